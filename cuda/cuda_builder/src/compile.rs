//! Compiling crates, each with one call of rustc, and none that is in the cache.

use crate::arch::NvvmArch;
use crate::build_script;
use crate::cache::{Cache, Key};
use crate::compiler::{Compiler, command, run};
use crate::crates::{Crate, Crates};
use crate::sysroot::{self, sysroot};
use crate::{Announce, CudaBuilderError};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the compiler's messages in an entry.
const MESSAGES: &str = "messages.txt";

/// One build of one kernel crate.
pub(crate) struct Compilation<'a> {
    pub cache: &'a Cache,
    pub compiler: &'a Compiler,
    pub crates: &'a Crates,
    pub arch: NvvmArch,
    /// Further arguments of the compiler for the device's crates.
    pub arguments: &'a [String],
    /// Only checks the kernel crate.
    pub check: bool,
    /// Asks for LLVM's code of the kernel crate as well.
    pub llvm_ir: bool,
    /// Told of each run of rustc before it begins.
    pub announce: Announce,
    /// Runs of rustc so far.
    pub calls: usize,
}

/// The compiler's output for the kernel crate.
pub(crate) struct RawPtx {
    /// The cache entry, in which more may be put.
    pub entry: PathBuf,
    pub text: String,
    /// The compiler's warnings, of this or of the earlier build.
    pub messages: String,
    /// LLVM's code; empty unless asked for.
    pub llvm_ir: String,
}

impl Compilation<'_> {
    /// The PTX as the compiler writes it.
    pub(crate) fn ptx(&mut self) -> Result<RawPtx, CudaBuilderError> {
        let entries = self.entries()?;
        let last = entries.len() - 1;
        self.ensure(last, &entries)?;
        let entry = self.cache.entry(&entries[last]);
        let read = |name: &str| {
            let path = entry.join(name);
            fs::read_to_string(&path).map_err(CudaBuilderError::io("read", &path))
        };
        let messages = read(MESSAGES)?;
        if self.check {
            return Ok(RawPtx { entry, text: String::new(), messages, llvm_ir: String::new() });
        }
        let llvm_ir = match self.llvm_ir {
            true => read(&format!("{}.ll", self.crates.in_order[last].name))?,
            false => String::new(),
        };
        let text = read(&self.file_name(last))?;
        Ok(RawPtx { text, messages, llvm_ir, entry })
    }

    /// The name of each crate's cache entry: a hash of its source, all that decides how
    /// it is compiled, and the names of its dependencies' entries, `core` among them.
    fn entries(&self) -> Result<Vec<String>, CudaBuilderError> {
        let mut entries: Vec<String> = Vec::new();
        for (i, krate) in self.crates.in_order.iter().enumerate() {
            let mut key = Key::default();
            key.field(env!("CARGO_PKG_VERSION")).field(&self.compiler.verbose_version);
            key.field(self.emitted(i));
            for flag in self.flags(i) {
                key.field(flag);
            }
            if !krate.for_host {
                key.field(sysroot::name(self.compiler));
            }
            for (name, dependency) in &krate.dependencies {
                key.field(name).field(&entries[*dependency]);
            }
            if let Some(script) = krate.build_script {
                key.field(&entries[script]);
            }
            let root = krate.root_file.file_name().unwrap_or_default();
            key.field(root.as_encoded_bytes()).folder(krate.source_folder())?;
            entries.push(format!("{}-{}", krate.name, key.finish()));
        }
        Ok(entries)
    }

    /// Compiles crate `i` and its dependencies unless they are in the cache.
    fn ensure(&mut self, i: usize, entries: &[String]) -> Result<(), CudaBuilderError> {
        let krate = &self.crates.in_order[i];
        if self.cache.entry(&entries[i]).is_dir() {
            return Ok(());
        }
        for dependency in
            krate.dependencies.iter().map(|(_, index)| *index).chain(krate.build_script)
        {
            self.ensure(dependency, entries)?;
        }
        let sysroot = match krate.for_host {
            true => None,
            false => Some(sysroot(self.cache, self.compiler, self.announce, &mut self.calls)?),
        };
        self.calls += 1;
        let compile = |folder: &Path| self.compile(i, entries, sysroot.as_deref(), folder);
        self.cache.make(&entries[i], compile).map(drop)
    }

    fn compile(
        &self,
        i: usize,
        entries: &[String],
        sysroot: Option<&Path>,
        folder: &Path,
    ) -> Result<(), CudaBuilderError> {
        let krate = &self.crates.in_order[i];
        let mut rustc = command(&self.compiler.rustc);
        rustc.env("RUSTC_BOOTSTRAP", "1").args(self.flags(i));
        build_script::set_package(&mut rustc, krate);
        if let Some(script) = krate.build_script {
            let set = build_script::cfgs(&self.cache.entry(&entries[script]))?;
            rustc.args(set.iter().map(|cfg| format!("--cfg={cfg}")));
        }
        if let Some(sysroot) = sysroot {
            rustc.arg("--sysroot").arg(sysroot);
        }
        for (name, dependency) in &krate.dependencies {
            let entry = self.cache.entry(&entries[*dependency]);
            let file = entry.join(self.file_name(*dependency));
            rustc.arg("--extern").arg(format!("{name}={}", file.display()));
        }
        for dependency in self.all_dependencies(i) {
            let folder = self.cache.entry(&entries[dependency]);
            rustc.arg(format!("-Ldependency={}", folder.display()));
        }
        // The whole folder and no single file: the compiler's intermediate files go there
        // too, and not where another build writes the same.
        rustc
            .arg(format!("--emit={},dep-info", self.emitted(i)))
            .arg("--out-dir")
            .arg(folder)
            .arg(&krate.root_file);
        let target = if krate.for_host { "the host" } else { &self.arch.to_string() };
        (self.announce)(&krate.package, target);
        let messages = run(rustc, &krate.package, target)?;
        check_sources(krate, &folder.join(format!("{}.d", krate.name)))?;
        if krate.is_build_script {
            build_script::run(krate, folder, &self.compiler.rustc)?;
        }
        let path = folder.join(MESSAGES);
        fs::write(&path, messages).map_err(CudaBuilderError::io("write", &path))
    }

    /// The arguments that say how crate `i` is compiled, without any path.
    fn flags(&self, i: usize) -> Vec<String> {
        let krate = &self.crates.in_order[i];
        let mut flags = vec![
            format!("--crate-name={}", krate.name),
            format!("--edition={}", krate.edition),
            format!("-Cmetadata={}-{}", krate.package, krate.version),
            "--cap-lints=warn".to_owned(),
        ];
        for feature in &krate.features {
            flags.push("--cfg".to_owned());
            flags.push(format!("feature=\"{feature}\""));
        }
        if !krate.for_host {
            flags.extend(self.arch.flags());
            flags.extend(self.arch.capability_cfgs());
            flags.extend(
                krate.attributes.iter().map(|attribute| format!("-Zcrate-attr={attribute}")),
            );
        }
        let by_kind: &[&str] = match (krate.proc_macro, self.is_kernels(i)) {
            _ if krate.is_build_script => &["--crate-type=bin"],
            (true, _) => &["--crate-type=proc-macro", "--extern", "proc_macro"],
            // There is nothing to link: PTX is text. rustc wants a linker.
            (false, true) => &["--crate-type=cdylib", "-Clto=fat", "-Clinker=true"],
            (false, false) if krate.for_host => &["--crate-type=rlib"],
            (false, false) => &["--crate-type=rlib", "-Cembed-bitcode=yes"],
        };
        flags.extend(by_kind.iter().map(|&flag| flag.to_owned()));
        if !krate.for_host {
            flags.extend(self.arguments.iter().cloned());
        }
        // A key of the cache, for the same output otherwise.
        if self.is_kernels(i) && self.llvm_ir && !self.check {
            flags.push("--emit=llvm-ir".to_owned());
        }
        flags
    }

    /// The compiler's outputs.
    fn emitted(&self, i: usize) -> &'static str {
        match self.is_kernels(i) {
            true if self.check => "metadata",
            // Without `link` nothing is merged: functions of other crates would be unresolved calls.
            true => "asm,link",
            false => "link",
        }
    }

    fn is_kernels(&self, i: usize) -> bool {
        i + 1 == self.crates.in_order.len()
    }

    /// The name of the compiler's output.
    fn file_name(&self, i: usize) -> String {
        let krate = &self.crates.in_order[i];
        match (krate.proc_macro, self.is_kernels(i)) {
            (true, _) => format!("lib{}{}", krate.name, std::env::consts::DLL_SUFFIX),
            (false, true) => format!("{}.s", krate.name),
            (false, false) => format!("lib{}.rlib", krate.name),
        }
    }

    fn all_dependencies(&self, i: usize) -> BTreeSet<usize> {
        let direct = self.crates.in_order[i].dependencies.iter().map(|(_, index)| *index);
        direct.flat_map(|index| self.all_dependencies(index).into_iter().chain([index])).collect()
    }
}

/// Refuses a crate that reads files of other folders, or variables: they are not hashed,
/// so the cache would not see a change of them.
fn check_sources(krate: &Crate, dep_info: &Path) -> Result<(), CudaBuilderError> {
    let text = fs::read_to_string(dep_info).map_err(CudaBuilderError::io("read", dep_info))?;
    let folder = krate.source_folder();
    let real_folder = folder.canonicalize().map_err(CudaBuilderError::io("open", folder))?;
    for line in text.lines() {
        if let Some(variable) = line.strip_prefix("# env-dep:") {
            let name = variable.split('=').next().unwrap_or(variable);
            // Part of the key, by the package's name and version.
            if name.starts_with("CARGO_PKG_") {
                continue;
            }
            return Err(krate.unsupported(format!(
                "it reads the environment variable {name}; use a feature or a constant"
            )));
        }
        // One rule without prerequisites for each file read.
        let Some(escaped) = line.strip_suffix(':') else {
            continue;
        };
        let file = escaped.replace("\\ ", " ");
        // The path may lead out by `..` or a link, or the file may be gone.
        let real = Path::new(&file).canonicalize();
        if !real.is_ok_and(|real| real.starts_with(&real_folder)) {
            return Err(
                krate.unsupported(format!("it reads {file}, outside of {}", folder.display()))
            );
        }
    }
    Ok(())
}
