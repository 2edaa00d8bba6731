//! Setting up on machines that are put together from scripts: each pretends to
//! install, and writes down its calls.

use super::*;
use std::fs;
use std::path::{Path, PathBuf};

struct Machine {
    folder: tempfile::TempDir,
    setup: Setup,
}

impl Machine {
    /// Without any program and without a compiler.
    fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let setup = Setup {
            search: CompilerSearch {
                explicit: None,
                pinned: Some("1.96.0".to_owned()),
                rustup_home: Some(at("rustup-home")),
                system: at("usr/bin/rustc"),
            },
            path: at("programs").into_os_string(),
            rustup_allowed: true,
            is_root: true,
        };
        Self { folder, setup }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that writes down its call and then does `text`.
    fn program(&self, name: &str, text: &str) {
        let log = self.at("log");
        let text = format!("echo {name} \"$@\" >> '{}'\n{text}", log.display());
        script(&self.at("programs").join(name), &text);
    }

    /// Shell commands that put a compiler with its source below `sysroot`.
    fn install(&self, sysroot: &Path) -> String {
        let original = self.at("original-rustc");
        let text = format!(
            "case \"$1\" in -vV) echo 'release: 1.96.0' ;; *) echo '{}' ;; esac",
            sysroot.display()
        );
        script(&original, &text);
        let library = sysroot.join("lib/rustlib/src/rust/library/core/src");
        format!(
            "mkdir -p '{0}/bin' '{1}' && cp '{2}' '{0}/bin/rustc' && touch '{1}/lib.rs'",
            sysroot.display(),
            library.display(),
            original.display()
        )
    }

    fn toolchain(&self) -> PathBuf {
        let name =
            format!("toolchains/1.96.0-{}-unknown-{}-gnu", env::consts::ARCH, env::consts::OS);
        self.at("rustup-home").join(name)
    }

    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.at("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    programs::write_script(path, &format!("#!/bin/sh\n{text}\n")).unwrap();
}

const INSTALL: &str = "apt-get install -y --no-install-recommends rustc-web rust-web-src";
const UPDATE: &str = "apt-get update";
const SHOW: &str = "apt-cache show --no-all-versions rustc-web rust-web-src";
const RUSTUP: &str = "rustup toolchain install 1.96.0 --profile minimal --component rust-src";

/// Prints the packages with the pinned release, as `apt-cache` does.
const OFFER: &str = "printf 'Version: 1.96.0+dfsg1-1\\nVersion: 1.96.0+dfsg1-1\\n'";

#[test]
fn with_a_compiler_nothing_is_run() {
    let machine = Machine::bare();
    for name in ["rustup", "apt-get", "apt-cache"] {
        machine.program(name, "exit 1");
    }
    let install = machine.install(&machine.at("usr"));
    assert!(Command::new("sh").args(["-c", &install]).status().unwrap().success());
    let compiler = machine.setup.run().unwrap();
    assert_eq!(compiler.rustc, machine.at("usr/bin/rustc"));
    assert_eq!(machine.calls(), [""; 0]);
}

#[test]
fn rustup_installs_the_pinned_toolchain_with_its_source() {
    let machine = Machine::bare();
    machine.program("apt-get", "exit 1");
    let install = machine.install(&machine.toolchain());
    machine.program("rustup", &format!("test -n \"$RUSTUP_HOME\" && {install}"));
    let compiler = machine.setup.run().unwrap();
    assert_eq!(compiler.rustc, machine.toolchain().join("bin/rustc"));
    assert_eq!(machine.calls(), [RUSTUP]);
}

#[test]
fn apt_comes_after_rustup_and_updates_its_lists_when_needed() {
    let other = |version: &str| OFFER.replace("1.96.0+dfsg1-1", version);
    let (older, longer) = (other("1.85.0+dfsg3-1~deb12u3"), other("1.96.01-1"));
    let no_update = "case \"$1\" in update) exit 100 ;; *) INSTALL ;; esac";
    let after_update = "case \"$1\" in update) touch \"$0.new\" ;; \
                        *) test -e \"$0.new\" && INSTALL ;; esac";
    // Scripts of `rustup` (which may not install where there is none), `apt-cache` and
    // `apt-get`, and the calls.
    for (rustup, apt_cache, apt_get, calls) in [
        (None, OFFER, "INSTALL", &[SHOW, INSTALL][..]),
        (Some("exit 1"), "exit 100", "INSTALL", &[RUSTUP, SHOW, UPDATE, INSTALL]),
        (None, older.as_str(), "INSTALL", &[SHOW, UPDATE, INSTALL]),
        (None, longer.as_str(), "INSTALL", &[SHOW, UPDATE, INSTALL]),
        (None, "exit 100", no_update, &[SHOW, UPDATE, INSTALL]),
        (None, OFFER, after_update, &[SHOW, INSTALL, UPDATE, INSTALL]),
    ] {
        let mut machine = Machine::bare();
        machine.setup.rustup_allowed = rustup.is_some();
        machine.program("rustup", rustup.unwrap_or("exit 0"));
        machine.program("apt-cache", apt_cache);
        let install = machine.install(&machine.at("usr"));
        machine.program("apt-get", &apt_get.replace("INSTALL", &install));
        machine.setup.run().unwrap();
        assert_eq!(machine.calls(), calls, "{rustup:?}, {apt_cache}, {apt_get}");
    }
}

#[test]
fn without_root_apt_is_run_by_sudo_or_not_at_all() {
    let mut machine = Machine::bare();
    machine.setup.rustup_allowed = false;
    machine.setup.is_root = false;
    machine.program("apt-cache", OFFER);
    machine.program("apt-get", &machine.install(&machine.at("usr")));
    let error = machine.setup.run().unwrap_err().to_string();
    assert!(error.contains("RUSTUP_AUTO_INSTALL=0"), "{error}");
    assert!(error.contains("neither root nor sudo"), "{error}");

    machine.program("sudo", "exec \"$@\"");
    machine.setup.run().unwrap();
    let calls = machine.calls();
    assert!(calls.iter().any(|call| call.starts_with("sudo /")), "{calls:?}");
    assert_eq!(calls.last().unwrap(), INSTALL);
}

#[test]
fn a_machine_with_nothing_names_each_attempt() {
    let machine = Machine::bare();
    let error = machine.setup.run().unwrap_err().to_string();
    assert!(error.starts_with("cannot install a kernel compiler: "), "{error}");
    assert!(error.contains("no apt-get in PATH") && error.contains("not by rustup"), "{error}");
}

#[test]
fn an_explicit_compiler_that_does_not_serve_is_no_reason_to_install() {
    let mut machine = Machine::bare();
    machine.program("rustup", "exit 0");
    machine.setup.search.explicit = Some(machine.at("absent"));
    let error = machine.setup.run().unwrap_err().to_string();
    assert!(error.starts_with("CUDA_BUILDER_RUSTC="), "{error}");
    assert_eq!(machine.calls(), [""; 0]);
}
