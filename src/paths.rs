//! Where things lie below cargo's target folder.

use std::env;
use std::path::{Path, PathBuf};

/// Cargo's own file in its target folder, whatever triple or profile is built there.
const MARK: &str = ".rustc_info.json";

/// Cargo's target folder: what `CARGO_TARGET_DIR` names, else the one that this
/// executable lies in, else `target`.
pub fn target() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let program = env::current_exe().unwrap_or_default();
    target_of(named, &program)
}

/// The folder for a variable that holds `named` and an executable `program`.
fn target_of(named: Option<PathBuf>, program: &Path) -> PathBuf {
    let above = || program.ancestors().skip(1);
    // A relative one is so to the folder where cargo was called, and not to that of a
    // benchmark, which cargo calls in the package's.
    match named {
        Some(folder) if folder.is_absolute() => return folder,
        Some(folder) => {
            let built = above().find(|above| above.ends_with(&folder));
            return built.map_or(folder.clone(), Path::to_owned);
        }
        None => {}
    }
    let marked = above().find(|folder| folder.join(MARK).is_file());
    let profile = || above().find(|of| of.ends_with("release") || of.ends_with("debug"));
    marked
        .or_else(|| profile().and_then(Path::parent))
        .map_or_else(|| "target".into(), PathBuf::from)
}

/// Where the suite puts records and reports.
pub fn suite() -> PathBuf {
    target().join("cudamark")
}

/// Where Criterion puts what it writes.
pub fn criterion() -> PathBuf {
    match env::var_os("CRITERION_HOME") {
        Some(folder) => folder.into(),
        None => target().join("criterion"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_target_folder_is_found_above_triples_and_profiles() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("sub/elsewhere");
        let of = |named: Option<&str>, program: &str| {
            target_of(named.map(PathBuf::from), &target.join(program))
        };
        fs::create_dir_all(&target).unwrap();
        assert_eq!(of(None, "release/deps/cpu-1"), target);
        assert_eq!(of(None, "careful/cudamark"), PathBuf::from("target"));
        fs::write(target.join(MARK), "{}").unwrap();
        for program in [
            "release/deps/cpu-1",
            "careful/cudamark",
            "x86_64-unknown-linux-gnu/careful/deps/cpu-1",
            "cudamark/builds/cudamark-1",
        ] {
            assert_eq!(of(None, program), target, "{program}");
            assert_eq!(of(Some("sub/elsewhere"), program), target, "{program}");
            assert_eq!(of(Some("/mnt"), program), PathBuf::from("/mnt"));
            assert_eq!(of(Some("other"), program), PathBuf::from("other"));
        }
    }
}
