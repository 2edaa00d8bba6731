//! Stores that commands under test have written.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use regress::schema::{Line, Run, Store};

/// Folder of the stores below a target folder.
pub(crate) fn track(target: &Path) -> PathBuf {
    target.join("cudamark/track")
}

pub(crate) fn stores_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = files.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect()
}

pub(crate) fn only_store(folder: &Path) -> Store {
    let stores = stores_in(folder);
    assert_eq!(stores.len(), 1, "{stores:?}");
    Store::at(&stores[0])
}

pub(crate) fn count_lines(folder: &Path) -> usize {
    let texts = stores_in(folder).into_iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| text.lines().count()).sum()
}

/// Processes of comparisons.
pub(crate) fn runs(store: &Store) -> Vec<Run> {
    let run = |line| match line {
        Line::Run(run) => Some(*run),
        _ => None,
    };
    store.read().unwrap().into_iter().filter_map(run).collect()
}
