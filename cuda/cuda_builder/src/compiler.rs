//! Finding a compiler for kernels.
//!
//! Any rustc serves that has the NVPTX backend (all released ones do) and the source of
//! `core`, which is compiled with the flags of the kernels. [`CompilerSearch::find`]
//! takes the first place that serves. Nothing here installs anything, so
//! rustup, whose proxies download missing toolchains, is never run.

use crate::CudaBuilderError;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a compiler explicitly.
pub(crate) const RUSTC_VARIABLE: &str = "CUDA_BUILDER_RUSTC";

/// Panics that leave no code behind (`-Cpanic=immediate-abort`) came with this release.
const OLDEST: (u32, u32) = (1, 92);

/// The release that is advised where a crate pins none.
const TESTED: &str = "1.96.0";

/// The origin of a compiler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The environment variable `CUDA_BUILDER_RUSTC`.
    Variable,
    /// The toolchain that the crate pins, installed by rustup.
    Rustup,
    /// The system's package manager.
    System,
}

/// A compiler that can build kernels.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The executable.
    pub rustc: PathBuf,
    /// The folder `library` of its source, with `core` in it.
    pub library: PathBuf,
    /// Its release, such as `1.96.0`.
    pub release: String,
    /// The answer to `rustc -vV`: part of every cache key.
    pub verbose_version: String,
    /// The place it was found in.
    pub origin: Origin,
    /// A warning to the user about this choice.
    pub warning: Option<String>,
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.origin {
            Origin::Variable => RUSTC_VARIABLE,
            Origin::Rustup => "rustup",
            Origin::System => "system packages",
        };
        let rustc = self.rustc.display();
        write!(f, "rustc {} at {rustc} (from {from})", self.release)
    }
}

/// The places to look for a compiler in. Builds use [`from_env`](Self::from_env).
#[derive(Clone, Debug)]
pub struct CompilerSearch {
    /// The value of `CUDA_BUILDER_RUSTC`: used, or an error.
    pub explicit: Option<PathBuf>,
    /// The release that the crate pins.
    pub pinned: Option<String>,
    /// rustup's folder.
    pub rustup_home: Option<PathBuf>,
    /// The executable that the system's packages install.
    pub system: PathBuf,
}

impl CompilerSearch {
    /// The places that the environment names, for a crate that pins `pinned`.
    pub fn from_env(pinned: Option<String>) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            explicit: set(RUSTC_VARIABLE).map(PathBuf::from),
            pinned,
            rustup_home: set("RUSTUP_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(env::home_dir()?.join(".rustup"))),
            system: PathBuf::from("/usr/bin/rustc"),
        }
    }

    /// The first compiler that serves: the one named, the pinned one, the system's, and then any of
    /// rustup's.
    pub fn find(&self) -> Result<Compiler, CudaBuilderError> {
        if let Some(rustc) = &self.explicit {
            return inspect(rustc, None, Origin::Variable).map_err(|reason| {
                CudaBuilderError::UnusableCompiler { value: rustc.display().to_string(), reason }
            });
        }
        let rustup = match self.rustup_toolchain() {
            Ok(compiler) => return Ok(compiler),
            Err(reason) => reason,
        };
        let found = inspect(&self.system, None, Origin::System).or_else(|reason| {
            let remedy = "(Debian: apt-get install rustc-web rust-web-src)";
            let system = format!("{}: {reason} {remedy}", self.system.display());
            self.newest_toolchain().ok_or(system)
        });
        found.map(|compiler| self.compared_to_pin(compiler)).map_err(|system| {
            let release = self.pinned.clone().unwrap_or_else(|| TESTED.to_owned());
            CudaBuilderError::NoCompiler { release, looked: vec![rustup, system] }
        })
    }

    /// The newest of rustup's toolchains that serve.
    fn newest_toolchain(&self) -> Option<Compiler> {
        let toolchains = std::fs::read_dir(self.rustup_home.as_ref()?.join("toolchains")).ok()?;
        let serving = toolchains.flatten().filter_map(|toolchain| {
            let toolchain = toolchain.path();
            inspect(&toolchain.join("bin/rustc"), Some(&toolchain), Origin::Rustup).ok()
        });
        serving.max_by_key(|compiler| (major_minor(&compiler.release), compiler.rustc.clone()))
    }

    fn rustup_toolchain(&self) -> Result<Compiler, String> {
        let Some(pinned) = &self.pinned else {
            return Err("rustup: the crate pins no toolchain".to_owned());
        };
        let Some(home) = &self.rustup_home else {
            return Err("rustup: no home folder".to_owned());
        };
        let toolchains = home.join("toolchains");
        let Some(toolchain) = installed_toolchain(&toolchains, pinned) else {
            let toolchains = toolchains.display();
            return Err(format!("{toolchains}: no toolchain {pinned}"));
        };
        let rustc = toolchain.join("bin/rustc");
        inspect(&rustc, Some(&toolchain), Origin::Rustup).map_err(|reason| {
            format!(
                "{}: {reason} (rustup component add rust-src --toolchain {pinned})",
                toolchain.display()
            )
        })
    }

    fn compared_to_pin(&self, mut compiler: Compiler) -> Compiler {
        if let Some(pinned) = &self.pinned
            && *pinned != compiler.release
        {
            compiler.warning = Some(format!(
                "kernels are tested with rustc {pinned}, and built here with {compiler}"
            ));
        }
        compiler
    }
}

/// rustup's folder for the release, on a machine like this one. The folder's name
/// ends in the host's triple, of which only two parts are known here.
fn installed_toolchain(toolchains: &Path, release: &str) -> Option<PathBuf> {
    let prefix = format!("{release}-{}-", env::consts::ARCH);
    let fits = |toolchain: &PathBuf| {
        let name = toolchain.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && name.contains(env::consts::OS)
    };
    let installed = std::fs::read_dir(toolchains).ok()?.flatten().map(|entry| entry.path());
    // `-gnu` before `-musl`, and the same on every run.
    installed.filter(fits).min()
}

/// Asks `rustc` for its version, and looks for its source in `sysroot`, or in the
/// sysroot that the compiler names.
fn inspect(rustc: &Path, sysroot: Option<&Path>, origin: Origin) -> Result<Compiler, String> {
    let verbose_version = ask(rustc, &["-vV"])?;
    let release = verbose_version
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .ok_or("it does not answer `-vV` as rustc does")?
        .to_owned();
    match major_minor(&release) {
        Some(version) if version >= OLDEST => {}
        _ => {
            let (major, minor) = OLDEST;
            return Err(format!("rustc {release} is older than {major}.{minor}"));
        }
    }
    let sysroot = match sysroot {
        Some(sysroot) => sysroot.to_owned(),
        None => PathBuf::from(ask(rustc, &["--print", "sysroot"])?.trim_end()),
    };
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if !library.join("core/src/lib.rs").is_file() {
        return Err(format!("rustc {release} has no source of core in {}", library.display()));
    }
    Ok(Compiler {
        rustc: rustc.to_owned(),
        library,
        release,
        verbose_version,
        origin,
        warning: None,
    })
}

fn ask(rustc: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = command(rustc)
        .args(arguments)
        .output()
        .map_err(|error| format!("it does not run: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let first = stderr.lines().next().unwrap_or_default();
        return Err(format!("it fails on `{}`: {first}", arguments.join(" ")));
    }
    String::from_utf8(output.stdout).map_err(|_| "its answer is not text".to_owned())
}

fn major_minor(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// The compiler, without the variables that cargo sets for its own compiler and the
/// crate it builds: library paths, wrappers, flags, package names. The rest cannot
/// change a kernel. rustup's proxy is told not to install anything.
pub(crate) fn command(rustc: &Path) -> Command {
    let mut command = Command::new(rustc);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let prefixes = ["CARGO", "RUSTC", "RUSTFLAGS", "LD_LIBRARY_PATH", "DYLD_"];
        if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("RUSTUP_AUTO_INSTALL", "0");
    command
}

/// Runs the compiler. Returns its warnings; its errors are the error's text.
pub(crate) fn run(
    mut rustc: Command,
    krate: &str,
    target: &str,
) -> Result<String, CudaBuilderError> {
    let output =
        rustc.output().map_err(CudaBuilderError::io("run", Path::new(rustc.get_program())))?;
    let mut message = without_noise(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(message);
    }
    if message.is_empty() {
        message = format!("the compiler ended with {}", output.status);
    }
    let (krate, target) = (krate.to_owned(), target.to_owned());
    Err(CudaBuilderError::Compile { krate, target, message })
}

/// The messages without the warning about the builder's own flags, and without the
/// count of warnings, which includes it.
fn without_noise(messages: &str) -> String {
    let ours = |paragraph: &&str| {
        let first = paragraph.trim_start().lines().next().unwrap_or_default();
        first.starts_with("warning: unstable feature specified for `-Ctarget-feature`")
            || first.starts_with("warning: ") && first.ends_with(" emitted")
    };
    let kept: Vec<&str> = messages.trim().split("\n\n").filter(|p| !ours(p)).collect();
    kept.join("\n\n")
}
