//! Dependencies of a build beside its sources, as a text: two builds of the same sources
//! under equal texts are the same build. It errs by naming too much: then a build is made
//! again that need not have been.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::git::outside_hooks;

/// Begin the names of variables that compilers, cargo and build scripts read.
const VARIABLES: &str = "AR CARGO_ CC CFLAGS CPATH CUDA_BUILDER_ CUDA_HOME CUDA_LIBRARY_PATH CUDA_PATH CUDA_ROOT \
    CUDA_TOOLKIT CXX C_INCLUDE_PATH HOST_ LDFLAGS LIBRARY_PATH NVCC PKG_CONFIG RUST \
    SOURCE_DATE_EPOCH TARGET_";

/// Begin the names of those among them that change no executable: where things are kept,
/// how fast, what is shown, and what `cargo run` says of the program that it runs.
const NO_MATTER: &str = "CARGO_BIN_ CARGO_BUILD_BUILD_DIR CARGO_BUILD_JOBS CARGO_BUILD_TARGET_DIR CARGO_CRATE_NAME \
    CARGO_HOME CARGO_HTTP_ CARGO_MAKEFLAGS CARGO_MANIFEST_ CARGO_NET_ CARGO_PKG_ \
    CARGO_PRIMARY_PACKAGE CARGO_REGISTRIES_ CARGO_REGISTRY_ CARGO_TARGET_DIR \
    CARGO_TARGET_TMPDIR CARGO_TERM_ HOST_NAME RUSTUP_ RUST_BACKTRACE RUST_LIB_BACKTRACE \
    RUST_LOG RUST_RECURSION_COUNT";

/// The text for a build by cargo in `sources`, which reads `configs` as well.
pub(crate) fn around(sources: &Path, configs: &[PathBuf]) -> String {
    let mut text = String::new();
    for (name, value) in variables() {
        let _ = writeln!(text, "{name}={value}");
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let _ = writeln!(text, "rustc {}", version(Path::new(&rustc), sources));
    if let Ok(cargo) = which::which("cargo") {
        let _ = writeln!(text, "cargo {cargo:?} {}", stamp(&cargo));
    }
    kernel_compilers(sources, &mut text);
    let above = sources.ancestors().map(Path::to_owned);
    let inherited = above.chain(cargo_home()).flat_map(|folder| config_of(&folder));
    for path in inherited.chain(configs.iter().cloned()) {
        // A file that is gone meanwhile is as one that was not there.
        let config = fs::read_to_string(path).unwrap_or_default();
        let _ = writeln!(text, "config {config:?}");
    }
    text
}

/// Cargo's settings in the folders above `top`, which a build elsewhere would not read:
/// the outermost first.
pub(crate) fn configs_above(top: &Path) -> Vec<PathBuf> {
    let above = top.ancestors().skip(1);
    let mut configs: Vec<PathBuf> = above
        .filter(|folder| cargo_home() != Some(folder.join(".cargo")))
        .filter_map(|folder| config_of(&folder.join(".cargo")))
        .collect();
    configs.reverse();
    configs
}

fn variables() -> Vec<(String, String)> {
    let starts = |name: &str, all: &str| all.split(' ').any(|start| name.starts_with(start));
    let mut variables: Vec<(String, String)> = env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), format!("{value:?}")))
        .filter(|(name, _)| starts(name, VARIABLES) && !starts(name, NO_MATTER))
        .collect();
    variables.sort();
    variables
}

/// All that a compiler says of its version in `folder`: rustup may have another one there.
fn version(program: &Path, folder: &Path) -> String {
    let mut command = Command::new(program);
    let output = outside_hooks(&mut command).arg("-vV").current_dir(folder).output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => error.to_string(),
    }
}

/// The compilers that kernels may be built by: `cuda_builder` takes the first that serves,
/// and an old one may look for them in its own order.
fn kernel_compilers(sources: &Path, text: &mut String) {
    let chosen = env::var_os("CUDA_BUILDER_RUSTC").map(PathBuf::from);
    let system = PathBuf::from("/usr/bin/rustc");
    for rustc in chosen.into_iter().chain([system]) {
        let _ = writeln!(text, "kernels {} {}", stamp(&rustc), version(&rustc, sources));
    }
    let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let rustup = rustup.or_else(|| Some(env::home_dir()?.join(".rustup")));
    let toolchains = rustup.and_then(|home| fs::read_dir(home.join("toolchains")).ok());
    let toolchains = toolchains.into_iter().flatten().flatten();
    let mut toolchains: Vec<PathBuf> = toolchains.map(|entry| entry.path()).collect();
    toolchains.sort();
    for toolchain in toolchains {
        let files = ["bin/rustc", "lib/rustlib/src/rust/library/core/src/lib.rs"];
        let files = files.map(|file| stamp(&toolchain.join(file)));
        let _ = writeln!(text, "kernels {:?} {files:?}", toolchain.file_name());
    }
}

/// Length and time of a file, which change when another is installed in its place.
fn stamp(path: &Path) -> String {
    let meta = fs::metadata(path);
    meta.map_or_else(|_| "none".to_owned(), |meta| format!("{} {}", meta.len(), meta.mtime()))
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").filter(|home| !home.as_bytes().is_empty());
    set.map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// The settings in a folder `.cargo`, or one that stands for it.
fn config_of(folder: &Path) -> Option<PathBuf> {
    // Where both are there, cargo takes the one without an ending.
    let names = ["config", "config.toml"].map(|name| folder.join(name));
    names.into_iter().find(|path| path.is_file())
}
