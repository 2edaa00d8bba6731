//! Helpers of the tests that compile something.
#![allow(dead_code, reason = "no test uses all of it")]

use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, find_compiler};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A kernel crate under `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The cache of ordinary builds, where `core` may already be.
pub(crate) fn shared_cache() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap().join("cuda_builder")
}

/// A test that compiles something: its name, and a function of the compiler.
pub(crate) type Compiling = (&'static str, fn(Compiler));

/// A test that needs nothing.
pub(crate) type Plain = (&'static str, fn());

/// The functions by their names.
#[macro_export]
macro_rules! named {
    ($($test:ident),* $(,)?) => { &[$((stringify!($test), $test)),*] };
}

/// The compiler that the sort kernels are built with, or where it was looked for.
pub(crate) fn compiler() -> Result<Compiler, String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gpu-kernels");
    find_compiler(kernels).map_err(|error| {
        let none = matches!(error, CudaBuilderError::NoCompiler { .. });
        assert!(none, "{error}");
        error.to_string()
    })
}

/// NVIDIA's assembler: the one on the PATH, or the one that CI puts into the target
/// folder; or what to do about it.
pub(crate) fn ptxas() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let wheels = std::fs::read_dir(target.join("tools/nvidia"));
    let wheels = wheels.into_iter().flatten().flatten();
    folders
        .into_iter()
        .chain(wheels.map(|wheel| wheel.path().join("bin")))
        .map(|folder| folder.join("ptxas"))
        .find(|program| program.is_file())
        .ok_or_else(|| "no ptxas on the PATH and none in target/tools".to_owned())
}

/// A test of something that may be missing. Then it shows as ignored, and a line says
/// why.
pub(crate) fn trial<T: Clone + Send + 'static>(
    name: &str,
    needed: &Result<T, String>,
    test: impl FnOnce(T) + Send + 'static,
) -> Trial {
    if let Err(reason) = needed {
        eprintln!("{name}: ignored: {reason}");
    }
    let missing = needed.is_err();
    let needed = needed.clone();
    let run = move || needed.map(test).map_err(Failed::from);
    Trial::test(name, run).with_ignored_flag(missing)
}

/// Runs tests that compile something, tests that need nothing, and others.
pub(crate) fn run(compiling: &[Compiling], plain: &[Plain], mut trials: Vec<Trial>) -> ! {
    let compiler = compiler();
    trials.extend(compiling.iter().map(|&(name, test)| trial(name, &compiler, test)));
    let nothing = Ok(());
    trials.extend(plain.iter().map(|&(name, test)| trial(name, &nothing, move |()| test())));
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

/// A builder of the crate in `folder`.
pub(crate) fn builder_of(folder: &Path, compiler: &Compiler) -> CudaBuilder {
    let builder = CudaBuilder::new(folder).compiler(compiler.clone());
    builder.cache_dir(shared_cache())
}

/// A builder of the fixture.
pub(crate) fn builder(name: &str, compiler: &Compiler) -> CudaBuilder {
    builder_of(&fixture(name), compiler)
}

/// The PTX that a builder makes.
pub(crate) fn ptx_of(builder: CudaBuilder) -> String {
    std::fs::read_to_string(builder.build().unwrap()).unwrap()
}

/// Fails with the whole text unless it has each of `parts`.
#[track_caller]
pub(crate) fn assert_has(text: impl Display, parts: &[&str]) {
    let text = text.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// A kernel crate of this source in a new folder, with further lines at the end of
/// its manifest, where the dependencies stand.
pub(crate) fn generated(source: &str, manifest: &str) -> tempfile::TempDir {
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
pub(crate) fn cache_with_core(compiler: &Compiler) -> tempfile::TempDir {
    builder("broken", compiler).build().unwrap_err();
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
