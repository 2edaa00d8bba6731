//! The device's `core`, built once from the compiler's own source.
//!
//! The `core` that ships with rustc does not serve, even for this target: its panics
//! format messages, and its generic code went through JumpThreading,
//! which duplicates barriers. Building it takes half a minute, so it is built once, for
//! the oldest architecture. Nearly all of it is generic or inline and is compiled again,
//! for the right architecture, in the crate that uses it; the PTX of the sort kernels is
//! the same with a `core` of their own architecture.
//!
//! `compiler_builtins`, which the compiler insists on, is empty: 128-bit division, soft
//! floats and `memcpy` would be function calls, and kernels have none.

use crate::arch::{DEVICE, NvvmArch};
use crate::cache::{Cache, Key};
use crate::compiler::{Compiler, command, run};
use crate::{Announce, CudaBuilderError};
use std::fs;
use std::path::{Path, PathBuf};

/// The architecture that `core` is built for.
pub(crate) const OLDEST: NvvmArch = NvvmArch::Compute75;

const COMPILER_BUILTINS: &str = "#![no_std]\n\
    #![feature(compiler_builtins)]\n\
    #![compiler_builtins]\n\
    #![allow(internal_features)]\n";

/// The sysroot with the device's `core` in it. `calls` counts the runs of rustc.
pub(crate) fn sysroot(
    cache: &Cache,
    compiler: &Compiler,
    announce: Announce,
    calls: &mut usize,
) -> Result<PathBuf, CudaBuilderError> {
    let name = name(compiler);
    let entry = cache.entry(&name);
    if entry.is_dir() {
        return Ok(entry);
    }
    // Two builds at once, as cargo runs them, would both spend the half minute.
    let _lock = cache.lock(&name)?;
    if entry.is_dir() {
        return Ok(entry);
    }
    cache.make(&name, |sysroot| {
        let libraries = sysroot.join("lib/rustlib").join(DEVICE).join("lib");
        fs::create_dir_all(&libraries).map_err(CudaBuilderError::io("create", &libraries))?;
        let stub = sysroot.join("compiler_builtins.rs");
        fs::write(&stub, COMPILER_BUILTINS).map_err(CudaBuilderError::io("write", &stub))?;
        let core = compiler.library.join("core/src/lib.rs");
        announce("core", "the device");
        build(compiler, sysroot, &libraries, "core", &core)?;
        build(compiler, sysroot, &libraries, "compiler_builtins", &stub)?;
        *calls += 2;
        Ok(())
    })
}

/// The name of the sysroot's cache entry.
pub(crate) fn name(compiler: &Compiler) -> String {
    let mut key = Key::default();
    key.field(env!("CARGO_PKG_VERSION")).field(&compiler.verbose_version).field(COMPILER_BUILTINS);
    for flag in core_flags() {
        key.field(flag);
    }
    format!("core-{}", key.finish())
}

fn core_flags() -> Vec<String> {
    let mut flags = OLDEST.flags();
    flags.extend(
        [
            // Neither optimised nor assembled: the little that is not generic or inline is when the
            // kernels are linked, and a third of the time is saved.
            "-Clinker-plugin-lto",
            "-Cno-prepopulate-passes",
            "-Zforce-unstable-if-unmarked",
            "-Cmetadata=cuda_builder",
            "-Cextra-filename=-cuda_builder",
            "--crate-type=rlib",
            "--cap-lints=allow",
            "--edition=2024",
        ]
        .map(str::to_owned),
    );
    flags
}

fn build(
    compiler: &Compiler,
    sysroot: &Path,
    libraries: &Path,
    name: &str,
    source: &Path,
) -> Result<(), CudaBuilderError> {
    let mut rustc = command(&compiler.rustc);
    rustc
        .env("RUSTC_BOOTSTRAP", "1")
        .args(core_flags())
        .arg("--sysroot")
        .arg(sysroot)
        .args(["--crate-name", name])
        .arg("--out-dir")
        .arg(libraries)
        .arg(source);
    run(rustc, name, "the device")?;
    Ok(())
}
