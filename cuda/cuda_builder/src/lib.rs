//! Builds a crate of kernels written in Rust to PTX, from a build script.
//!
//! ```no_run
//! use cuda_builder::{CudaBuilder, NvvmArch};
//!
//! # fn main() -> Result<(), cuda_builder::CudaBuilderError> {
//! let ptx = CudaBuilder::new("../gpu-kernels")
//!     .arch(NvvmArch::Compute90)
//!     .copy_to("kernels.ptx")
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! The names are those of Rust-CUDA's crate; the implementation is plain rustc and
//! its own NVPTX backend. The steps, each a module:
//!
//! | module | step |
//! |---|---|
//! | [`compiler`] | finds a rustc that can compile for the device |
//! | `crates` | finds the crates that the kernel crate is made of |
//! | `upstream` | follows or refuses the options of Rust-CUDA's builder |
//! | `sysroot` | builds the device's `core`, once |
//! | `compile` | compiles each crate |
//! | `build_script` | runs the build scripts of crates from registries |
//! | [`ptx`] | writes the launch bounds into the PTX; reads PTX |
//! | [`lint`] | finds code that a kernel must not have |
//! | `cache` | keeps everything by content, safely for builds at once |
//!
//! Unchanged sources compile nothing. In a build script, cargo is told when to build
//! again, and warnings appear as cargo's.

pub mod arch;
mod build_script;
mod cache;
mod compile;
pub mod compiler;
mod crates;
pub mod error;
pub mod lint;
pub mod ptx;
mod sysroot;
mod upstream;

pub use arch::NvvmArch;
pub use compiler::{Compiler, CompilerSearch, Origin};
pub use error::CudaBuilderError;
pub use lint::Lint;
pub use upstream::DebugInfo;

use cache::{Cache, write_if_changed};
use compile::Compilation;
use crates::Crates;
use std::env;
use std::path::{Path, PathBuf};

/// Names the folder for everything built.
const CACHE_VARIABLE: &str = "CUDA_BUILDER_CACHE";

/// Has builds check kernels and compile none.
const CHECK_VARIABLE: &str = "CUDA_BUILDER_CHECK";

/// Builds one kernel crate for one architecture.
#[derive(Clone, Debug)]
pub struct CudaBuilder {
    path: PathBuf,
    arch: NvvmArch,
    copy_to: Option<PathBuf>,
    lint: Lint,
    check: bool,
    cache: Option<PathBuf>,
    compiler: Option<Compiler>,
    arguments: Vec<String>,
    /// Of cargo, which resolves the crates.
    cargo_arguments: Vec<String>,
    announce: Announce,
    llvm_ir: bool,
    llvm_ir_to: Option<PathBuf>,
    /// An option that cannot be followed, and the reason.
    refused: Option<(String, &'static str)>,
}

/// Takes the name of a crate that is about to be compiled, and what for: `sm_90`, `the host`.
pub type Announce = fn(krate: &str, target: &str);

/// The result of a build.
#[derive(Clone, Debug)]
pub struct Build {
    /// The PTX.
    pub ptx: PathBuf,
    /// The compiler.
    pub compiler: Compiler,
    /// Runs of rustc in this build; 0 when everything was in the cache.
    pub compiler_calls: usize,
    /// Warnings for the user: of the compiler's choice, the compiler's own, and of the lint.
    pub warnings: Vec<String>,
}

impl CudaBuilder {
    /// The kernel crate in this folder, relative to the current one (in a build
    /// script, the folder of the package).
    pub fn new(path_to_crate: impl AsRef<Path>) -> Self {
        Self {
            path: path_to_crate.as_ref().to_owned(),
            arch: NvvmArch::default(),
            copy_to: None,
            lint: Lint::default(),
            check: env::var_os(CHECK_VARIABLE).is_some_and(|value| !value.is_empty()),
            cache: None,
            compiler: None,
            arguments: Vec::new(),
            cargo_arguments: Vec::new(),
            announce: |_, _| {},
            llvm_ir: false,
            llvm_ir_to: None,
            refused: None,
        }
    }

    /// The least capable chip to run on; the baseline, unless set.
    pub fn arch(mut self, arch: NvvmArch) -> Self {
        self.arch = arch;
        let reason = "the oldest architecture that kernels are compiled for is sm_75";
        self.refuse_if(arch < sysroot::OLDEST, format!("arch({arch})"), reason)
    }

    /// Puts the PTX there as well. The file is left alone when it is the same.
    pub fn copy_to(mut self, path: impl AsRef<Path>) -> Self {
        self.copy_to = Some(path.as_ref().to_owned());
        self
    }

    /// The treatment of lint violations; they are warnings, unless set.
    pub fn lint(mut self, lint: Lint) -> Self {
        self.lint = lint;
        self
    }

    /// Checks the kernels as `cargo check` does: the PTX is empty. So does every build where the
    /// variable `CUDA_BUILDER_CHECK` is set.
    pub fn check(mut self) -> Self {
        self.check = true;
        self
    }

    /// The folder for everything built. Unless set: the variable
    /// `CUDA_BUILDER_CACHE`, or `cuda_builder` in cargo's target folder.
    pub fn cache_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.cache = Some(path.as_ref().to_owned());
        self
    }

    /// The compiler, instead of the one that [`find_compiler`] finds.
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = Some(compiler);
        self
    }

    /// One more argument for the device's crates but `core`. It comes last, so it wins
    /// over the builder's own.
    pub fn rustc_arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Called before each run of rustc, for a display of progress. Nothing is, unless set.
    pub fn announce(mut self, announce: Announce) -> Self {
        self.announce = announce;
        self
    }

    /// Builds. Returns the path of the PTX: [`copy_to`](Self::copy_to), or one in the cache.
    pub fn build(self) -> Result<PathBuf, CudaBuilderError> {
        self.build_with_info().map(|build| build.ptx)
    }

    /// [`build`](Self::build), with the details of the build.
    pub fn build_with_info(self) -> Result<Build, CudaBuilderError> {
        self.require_no_refused()?;
        let crates = crates::resolve(&self.path, &self.cargo_arguments)?;
        print_dependencies(&crates);
        let folder = self.cache_folder(&crates);
        let compiler = match &self.compiler {
            Some(compiler) => compiler.clone(),
            None => search(&crates, &folder)?,
        };
        let cache = Cache::open(folder)?;
        let mut compilation = Compilation {
            cache: &cache,
            compiler: &compiler,
            crates: &crates,
            arch: self.arch,
            arguments: &self.arguments,
            check: self.check,
            llvm_ir: self.llvm_ir,
            announce: self.announce,
            calls: 0,
        };
        let raw = compilation.ptx()?;
        let compiler_calls = compilation.calls;

        let text = ptx::apply_launch_bounds(&raw.text).map_err(CudaBuilderError::LaunchBounds)?;
        let kept = raw.entry.join("kernels.ptx");
        write_if_changed(&kept, text.as_bytes())?;
        let mut warnings: Vec<String> = compiler.warning.iter().cloned().collect();
        warnings.extend(Some(raw.messages).filter(|messages| !messages.is_empty()));
        if self.lint != Lint::Allow {
            let violations = lint::lint(&text);
            if self.lint == Lint::Deny && !violations.is_empty() {
                return Err(CudaBuilderError::Lint { ptx: kept, violations });
            }
            warnings.extend(lint::summary(&violations));
        }
        if in_build_script() {
            for line in warnings.iter().flat_map(|warning| warning.lines()) {
                println!("cargo::warning={line}");
            }
        }
        if let Some(path) = &self.llvm_ir_to {
            write_if_changed(path, raw.llvm_ir.as_bytes())?;
        }
        let ptx = self.copy_to.unwrap_or(kept);
        write_if_changed(&ptx, text.as_bytes())?;
        Ok(Build { ptx, compiler, compiler_calls, warnings })
    }

    fn cache_folder(&self, crates: &Crates) -> PathBuf {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(folder) = self.cache.clone().or_else(|| set(CACHE_VARIABLE)) {
            return folder;
        }
        // A build script runs somewhere below the target folder, which cargo marks with this file.
        let out_dir = set("OUT_DIR").unwrap_or_default();
        let target = out_dir
            .ancestors()
            .find(|folder| folder.is_absolute() && folder.join("CACHEDIR.TAG").is_file())
            .unwrap_or(&crates.target_directory);
        target.join("cuda_builder")
    }
}

/// The compiler that builds of the kernel crate in this folder use. Fails with
/// [`CudaBuilderError::NoCompiler`] where there is none.
pub fn find_compiler(path_to_crate: impl AsRef<Path>) -> Result<Compiler, CudaBuilderError> {
    CompilerSearch::from_env(pinned_toolchain(path_to_crate)?).find()
}

/// The release of rustc that the kernel crate in this folder pins, if it does:
/// `toolchain` under `[package.metadata.cuda_builder]` in its manifest.
pub fn pinned_toolchain(
    path_to_crate: impl AsRef<Path>,
) -> Result<Option<String>, CudaBuilderError> {
    crates::pinned(path_to_crate.as_ref())
}

/// The compiler for `crates`. Cargo is told to come again when that changes.
fn search(crates: &Crates, cache: &Path) -> Result<Compiler, CudaBuilderError> {
    let found = CompilerSearch::from_env(crates.toolchain.clone()).find();
    if in_build_script() {
        // A missing file counts as changed: once a compiler is installed, the next build finds it.
        let watched = match &found {
            Ok(compiler) => compiler.rustc.clone(),
            Err(_) => cache.join("no-compiler"),
        };
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    found
}

/// Cargo sets both when it runs a build script, and not otherwise.
fn in_build_script() -> bool {
    env::var_os("OUT_DIR").is_some() && env::var_os("NUM_JOBS").is_some()
}

/// Prints the lines that tell cargo when to run the build script again.
fn print_dependencies(crates: &Crates) {
    if !in_build_script() {
        return;
    }
    for krate in &crates.in_order {
        println!("cargo::rerun-if-changed={}", krate.source_folder().display());
        if let Some(manifest) = krate.manifest() {
            println!("cargo::rerun-if-changed={}", manifest.display());
        }
    }
    for variable in [compiler::RUSTC_VARIABLE, CACHE_VARIABLE, CHECK_VARIABLE, "RUSTUP_HOME"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
}
