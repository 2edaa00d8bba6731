//! Records files of runs: one a run, `BENCH-TIME.jsonl`, so that nothing that was
//! measured is ever replaced. The time is in seconds since 1970, so names in order are
//! runs in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use suite::environment::now;

const ENDING: &str = ".jsonl";

/// The path of a new run's file.
pub fn new(folder: &Path, bench: &str) -> PathBuf {
    let seconds = now() as u64;
    let path = |seconds| folder.join(format!("{bench}-{seconds}{ENDING}"));
    // Two runs within a second each have their own.
    let free = (seconds..).map(path).find(|path| !path.exists());
    free.unwrap_or_else(|| path(seconds))
}

/// The file of the last run of `bench`, if there is one.
pub fn newest(folder: &Path, bench: &str) -> Option<PathBuf> {
    all_newest(folder).remove(bench)
}

/// The file of the last run of each benchmark.
pub fn all_newest(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut newest: BTreeMap<String, (u64, PathBuf)> = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some((bench, time)) = parts(&path) else {
            continue;
        };
        let known = newest.get(bench).map_or(0, |(known, _)| *known);
        if time >= known {
            newest.insert(bench.to_owned(), (time, path.clone()));
        }
    }
    let paths = newest.into_iter();
    paths.map(|(bench, (_, path))| (bench, path)).collect()
}

/// The benchmark and the time in a file's name.
fn parts(path: &Path) -> Option<(&str, u64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
    let (bench, time) = stem.rsplit_once('-')?;
    Some((bench, time.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_file_of_each_benchmark_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path(), "cpu"), None);
        for name in ["cpu-9.jsonl", "cpu-10.jsonl", "split-3.jsonl", "notes.txt", "cpu-x.jsonl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(newest(folder.path(), "cpu"), Some(folder.path().join("cpu-10.jsonl")));
        let all: Vec<String> = all_newest(folder.path()).into_keys().collect();
        assert_eq!(all, ["cpu", "split"]);
        let first = new(folder.path(), "cpu");
        fs::write(&first, "").unwrap();
        assert_ne!(new(folder.path(), "cpu"), first);
        assert_eq!(newest(folder.path(), "cpu"), Some(first));
    }
}
