//! The oldest glibc on which an executable starts, and a linker that lowers it.
//!
//! The system's linker binds to the newest versions of glibc's symbols that it sees, so
//! what it links needs a glibc as new as the one here. zig's linker has the symbols of
//! every glibc and binds to those of the one that it is told.

use crate::programs;
use anyhow::{Context, Result};
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use which::which;

/// The glibc of RHEL 8 and Debian 10. Ubuntu 20.04 has a later one.
pub(crate) const OLD: Version = Version(2, 28);

/// The release of zig, on PyPI as `ziglang`.
const ZIG: &str = "0.15.2";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Version(u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The variable by which cargo is told of a linker.
pub(crate) fn variable() -> String {
    let arch = env::consts::ARCH.to_uppercase();
    format!("CARGO_TARGET_{arch}_UNKNOWN_LINUX_GNU_LINKER")
}

/// A linker against [`OLD`], in cargo's target folder: installed by pip if it is not there.
pub(crate) fn linker(target: &Path) -> Result<PathBuf> {
    linker_by("python3", target)
}

fn linker_by(python: &str, target: &Path) -> Result<PathBuf> {
    let folder = target.join(format!("tools/ziglang-{ZIG}"));
    let zig = folder.join("ziglang/zig");
    if which(&zig).is_err() {
        println!("installing a linker for glibc {OLD}, zig {ZIG}, by pip: 94 MB");
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]);
        pip.arg(&folder).arg(format!("ziglang=={ZIG}"));
        programs::run(&mut pip).context("install python3 with pip (Debian: python3-pip)")?;
    }
    // Cargo takes one path: it has no way to say the arguments that come first. By its name
    // rustc takes it for a C compiler.
    let script = folder.join("zigcc");
    let old = format!("{}-linux-gnu.{OLD}", env::consts::ARCH);
    let text = format!(
        "#!/bin/sh\n\
         here=$(dirname \"$0\")\n\
         export ZIG_GLOBAL_CACHE_DIR=\"$here/cache\" ZIG_LOCAL_CACHE_DIR=\"$here/cache\"\n\
         exec \"$here/ziglang/zig\" cc -target {old} \"$@\"\n"
    );
    programs::write_script(&script, &text)?;
    // `--version` does not do: that goes to clang, which knows no glibc in a target.
    let source = folder.join("empty.c");
    fs::write(&source, "int main(void) { return 0; }\n")
        .with_context(|| format!("cannot write {}", source.display()))?;
    programs::output(Command::new(&script).arg(&source).arg("-o").arg(folder.join("empty")))
        .with_context(|| format!("{} does not link", zig.display()))?;
    Ok(script)
}

/// The oldest glibc that has every symbol an executable asks for; none if it asks for none.
pub(crate) fn needed(executable: &Path) -> Result<Option<Version>> {
    let mut readelf = Command::new("readelf");
    readelf.args(["--version-info", "--wide"]).arg(executable).env("LC_ALL", "C");
    let read = programs::text(&mut readelf).context("readelf is part of binutils")?;
    Ok(newest(&read))
}

/// The newest version in what readelf prints of the versions that a file needs.
fn newest(read: &str) -> Option<Version> {
    let needs = read.lines().filter_map(|line| {
        let (_, behind) = line.split_once("Name: GLIBC_")?;
        let (major, minor) = behind.split_whitespace().next()?.split_once('.')?;
        // `2.2.5` is `2.2` to whoever asks for a floor.
        let minor = minor.split('.').next()?;
        Some(Version(major.parse().ok()?, minor.parse().ok()?))
    });
    needs.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_floor_whatever_its_spelling() {
        let read = "Version needs section '.gnu.version_r' contains 2 entries:
  000000: Version: 1  File: libm.so.6  Cnt: 1
  0x0050:   Name: GLIBC_2.2.5  Flags: none  Version: 3
  0x0080:   Name: GLIBC_2.9  Flags: none  Version: 2
  0x00a0:   Name: GLIBC_2.28  Flags: none  Version: 14
  0x00b0:   Name: GLIBC_PRIVATE  Flags: none  Version: 4
  0x00c0:   Name: GCC_3.3  Flags: none  Version: 12";
        assert_eq!(newest(read), Some(Version(2, 28)));
        assert_eq!(newest("No version information found in this file."), None);
    }

    #[test]
    fn without_pip_the_error_names_the_remedy() {
        let target = tempfile::tempdir().unwrap();
        for python in ["false", "no-such-python"] {
            let error = linker_by(python, target.path()).unwrap_err();
            assert!(format!("{error:#}").contains("python3-pip"), "{error:#}");
        }
    }

    #[test]
    fn a_linker_that_is_installed_is_called_as_a_c_compiler_for_the_old_glibc() {
        let target = tempfile::tempdir().unwrap();
        let zig = target.path().join(format!("tools/ziglang-{ZIG}/ziglang/zig"));
        fs::create_dir_all(zig.parent().unwrap()).unwrap();
        // As zig does, of a target with a glibc.
        let refuses = "case \"$*\" in *--version*) exit 1 ;; esac";
        programs::write_script(&zig, &format!("#!/bin/sh\n{refuses}\necho \"$@\"\n")).unwrap();
        let linker = linker_by("false", target.path()).unwrap();
        let said = programs::text(Command::new(&linker).args(["-o", "a b"])).unwrap();
        let expected = format!("cc -target {}-linux-gnu.2.28 -o a b\n", env::consts::ARCH);
        assert_eq!(said, expected);
        fs::write(&zig, "#!/bin/sh\necho broken >&2\nexit 1\n").unwrap();
        let error = format!("{:#}", linker_by("false", target.path()).unwrap_err());
        assert!(error.contains("does not link: ") && error.ends_with("broken"), "{error}");
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn this_executable_needs_a_glibc_that_it_runs_on() {
        let executable = env::current_exe().unwrap();
        assert!(needed(&executable).unwrap() >= Some(Version(2, 17)));
        assert!(super::needed(Path::new("no such file")).is_err());
    }
}
