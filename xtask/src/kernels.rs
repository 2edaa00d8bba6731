//! The kernels, as a step of its own before cargo builds what embeds them.
//!
//! They are the longest step of a first build, and cargo hides what a build script prints.
//! The build script of `host` finds them in the cache of `cuda_builder`.

use crate::cargo;
use anyhow::{Context, Result};
use cuda_builder::{CudaBuilder, Lint, NvvmArch};
use std::sync::Once;
use std::thread;
use std::time::Instant;

/// The architectures that the host crate builds the kernels for.
pub(crate) const BUILT: [NvvmArch; 2] = [NvvmArch::Compute75, NvvmArch::Compute90];

/// A build of the kernels that says what it compiles, if it compiles anything.
pub(crate) fn builder(arch: NvvmArch) -> CudaBuilder {
    CudaBuilder::new(cargo::kernels()).arch(arch).lint(Lint::Deny).announce(announce)
}

/// Compiles the kernels for all architectures, side by side, unless they are in the cache.
pub(crate) fn compile() -> Result<()> {
    let begin = Instant::now();
    let builds = BUILT.map(|arch| thread::spawn(move || builder(arch).build_with_info()));
    let mut calls = 0;
    for build in builds {
        let build = build.join().ok().context("a build of the kernels panicked")?;
        calls += build?.compiler_calls;
    }
    if calls > 0 {
        eprintln!("kernels: compiled in {} s", begin.elapsed().as_secs());
    }
    Ok(())
}

fn announce(krate: &str, target: &str) {
    static HEAD: Once = Once::new();
    HEAD.call_once(|| {
        let all = BUILT.map(|arch| arch.to_string()).join(" and ");
        eprintln!("kernels: not compiled for {all} yet: about 2 minutes on two cores, once");
    });
    eprintln!("kernels: compiling {krate} for {target}");
}
