//! `cargo xtask setup`: a compiler for the kernels.
//!
//! An installed one first: then there is nothing to do. Else rustup is asked for
//! the toolchain that the kernel crate pins, unless `RUSTUP_AUTO_INSTALL=0` says
//! that nothing is to be installed that way; else Debian's packages are. Each
//! command is printed before it is run.

use crate::{cargo, kernels, programs};
use anyhow::{Context, Result, bail};
use cuda_builder::{Compiler, CompilerSearch, CudaBuilderError, pinned_toolchain};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// Debian's compiler and its source.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

pub(crate) fn run() -> Result<()> {
    let compiler = Setup::from_env()?.run()?;
    println!("kernel compiler: {compiler}");
    if let Some(warning) = &compiler.warning {
        println!("warning: {warning}");
    }
    Ok(())
}

/// Sets up, and compiles the kernels, for a task that also makes sense without them: that no
/// compiler can be had is a warning, that one refuses them an error.
pub(crate) fn with_kernels() -> Result<()> {
    match run() {
        Ok(()) => kernels::compile(),
        Err(error) => {
            eprintln!("warning: going on without GPU kernels: {error:#}");
            Ok(())
        }
    }
}

/// This machine, as far as it matters here.
struct Setup {
    search: CompilerSearch,
    /// The folders in which programs are looked up.
    path: OsString,
    rustup_allowed: bool,
    is_root: bool,
}

impl Setup {
    fn from_env() -> Result<Self> {
        let pinned = pinned_toolchain(cargo::kernels())?;
        Ok(Self {
            search: CompilerSearch::from_env(pinned),
            path: env::var_os("PATH").unwrap_or_default(),
            rustup_allowed: env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0"),
            is_root: is_root(),
        })
    }

    fn run(&self) -> Result<Compiler> {
        match self.search.find() {
            Err(CudaBuilderError::NoCompiler { .. }) => {}
            decided => return Ok(decided?),
        }
        let mut failed = Vec::new();
        for way in [Self::by_rustup, Self::by_apt] {
            match way(self) {
                Ok(()) => return self.search.find().context("installed, and still"),
                Err(error) => {
                    println!("{error:#}");
                    failed.push(format!("{error:#}"));
                }
            }
        }
        bail!("cannot install a kernel compiler: {}", failed.join("; "))
    }

    fn program(&self, name: &str) -> which::Result<PathBuf> {
        which::which_in(name, Some(&self.path), ".")
    }

    fn by_rustup(&self) -> Result<()> {
        if !self.rustup_allowed {
            bail!("not by rustup: RUSTUP_AUTO_INSTALL=0");
        }
        let Ok(rustup) = self.program("rustup") else {
            bail!("not by rustup: there is none in PATH");
        };
        let Some(release) = &self.search.pinned else {
            bail!("not by rustup: gpu-kernels pins no toolchain");
        };
        println!("installing rustc {release} and its source, by rustup, for the kernels alone");
        let mut command = Command::new(rustup);
        command.args(["toolchain", "install", release, "--profile", "minimal"]);
        command.args(["--component", "rust-src"]);
        if let Some(home) = &self.search.rustup_home {
            command.env("RUSTUP_HOME", home);
        }
        programs::run(&mut command)
    }

    fn by_apt(&self) -> Result<()> {
        let Ok(apt_get) = self.program("apt-get") else {
            bail!("not by apt: there is no apt-get in PATH");
        };
        let as_root = |arguments: &[&str]| -> Result<Command> {
            let mut command = if self.is_root {
                Command::new(&apt_get)
            } else {
                let sudo =
                    self.program("sudo").context("not by apt: neither root nor sudo in PATH")?;
                let mut command = Command::new(sudo);
                command.arg(&apt_get);
                command
            };
            command.args(arguments);
            Ok(command)
        };
        println!("installing {}, by apt", PACKAGES.join(" and "));
        let mut install = vec!["install", "-y", "--no-install-recommends"];
        install.extend(PACKAGES);
        if self.apt_offers_pinned() {
            match programs::run(&mut as_root(&install)?) {
                Ok(()) => return Ok(()),
                Err(error) => println!("{error:#}; once more with fresh package lists"),
            }
        }
        // It fails, too, where one list of many cannot be had, which need not be ours.
        if let Err(error) = programs::run(&mut as_root(&["update"])?) {
            println!("{error:#}; going on with what lists there are");
        }
        programs::run(&mut as_root(&install)?)
    }

    /// True if apt would install the pinned release, by the package lists on this machine.
    /// Those of a fresh container are empty, and those of an old image have a release that
    /// cannot build the kernels.
    fn apt_offers_pinned(&self) -> bool {
        let apt_cache = self.program("apt-cache");
        let (Ok(apt_cache), Some(pinned)) = (apt_cache, &self.search.pinned) else {
            return false;
        };
        let mut show = Command::new(apt_cache);
        let Ok(shown) = programs::text(show.args(["show", "--no-all-versions"]).args(PACKAGES))
        else {
            return false;
        };
        let versions = shown.lines().filter_map(|line| line.strip_prefix("Version: "));
        // Debian's version is the release, `+` or `-`, and more.
        let of_pinned = |version: &&str| {
            version.strip_prefix(pinned).is_some_and(|rest| rest.starts_with(['+', '-']))
        };
        versions.filter(of_pinned).count() == PACKAGES.len()
    }
}

fn is_root() -> bool {
    programs::text(Command::new("id").arg("-u")).is_ok_and(|id| id == "0\n")
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
