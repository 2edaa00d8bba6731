//! What the tests that compile something share.
#![allow(dead_code, reason = "no test uses all of it")]

use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, find_compiler};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A kernel crate under `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The cache of ordinary builds, where `core` may already be.
pub fn shared_cache() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap().join("cuda_builder")
}

/// The compiler that the sort kernels are built with. Without one, says so, in one
/// write past the test harness, which keeps what a passing test prints to itself.
pub fn compiler(test: &str) -> Option<Compiler> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gpu-kernels");
    match find_compiler(kernels) {
        Ok(compiler) => Some(compiler),
        Err(error) => {
            assert!(
                matches!(error, CudaBuilderError::NoCompiler { .. }),
                "{error}"
            );
            let line = format!("{test}: skipped: {error}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
    }
}

/// A builder of the fixture.
pub fn builder(name: &str, compiler: Compiler) -> CudaBuilder {
    CudaBuilder::new(fixture(name))
        .compiler(compiler)
        .cache_dir(shared_cache())
}

/// A kernel crate of this source in a new folder, with further lines at the end of
/// its manifest, where the dependencies stand.
pub fn generated(source: &str, manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cuda_std = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda_std");
    let cargo_toml = format!(
        "[workspace]\n[package]\nname = \"generated\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\ncuda_std = {{ path = {cuda_std:?} }}\n{manifest}\n"
    );
    let source = format!(
        "#![no_std]\n#![feature(abi_ptx, asm_experimental_arch)]\n\
         use cuda_std::prelude::*;\n{source}\n"
    );
    std::fs::write(folder.path().join("Cargo.toml"), cargo_toml).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), source).unwrap();
    folder
}

/// A cache of its own, with nothing in it but the `core` of the shared one, which
/// takes half a minute to build and is not what the test is about.
pub fn cache_with_core(compiler: &Compiler) -> tempfile::TempDir {
    builder("broken", compiler.clone()).build().unwrap_err();
    let cache = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(shared_cache()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("core-") && entry.path().is_dir() {
            std::os::unix::fs::symlink(entry.path(), cache.path().join(name)).unwrap();
        }
    }
    cache
}
