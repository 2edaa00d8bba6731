//! Where things lie below cargo's target folder.

use std::env;
use std::path::PathBuf;

use host::suite::Name;

/// Cargo's target folder: what `CARGO_TARGET_DIR` names, else the one that this
/// executable lies in, else `target`.
pub fn target() -> PathBuf {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR") {
        return folder.into();
    }
    let program = env::current_exe().unwrap_or_default();
    let mut above = program.ancestors().skip(1);
    let built = above.find(|folder| folder.ends_with("release") || folder.ends_with("debug"));
    built
        .and_then(|folder| folder.parent())
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

/// Where Criterion puts what it knows of a cell: a folder a baseline.
pub fn criterion_cell(cell: &Name) -> PathBuf {
    let parameter = format!("{}_{}", cell.input(), cell.level);
    criterion()
        .join(&cell.group)
        .join(&cell.engine)
        .join(parameter)
}
