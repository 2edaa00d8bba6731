//! Kernel crates as they are written for Rust-CUDA, and the options of its builder.

use crate::{assert_has, builder, builder_of, ptx_of};
use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, NvvmArch};
use std::fs;
use std::path::Path;

/// A crate of this source, which has no attributes at its head.
fn crate_of(source: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cuda_std = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda_std");
    let manifest = format!(
        "[workspace]\n[package]\nname = \"theirs\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n[dependencies]\n\
         cuda_std = {{ path = {cuda_std:?} }}\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), source).unwrap();
    folder
}

pub(crate) fn a_slice_is_a_pointer_and_a_length(compiler: Compiler) {
    let krate = crate_of(
        "use cuda_std::prelude::*;
        #[kernel]
        pub unsafe fn scale(input: &[f32], output: &mut [f32], pair: &[f32; 2]) {
            let i = thread::index_1d() as usize;
            if i < input.len() && i < output.len() {
                output[i] = pair[1] * input[i];
            }
        }",
    );
    let ptx = ptx_of(builder_of(krate.path(), &compiler));
    assert!(ptx.contains("scale_param_4") && !ptx.contains("scale_param_5"), "{ptx}");
    assert_has(&ptx, &["ld.global", "st.global.b32"]);
}

pub(crate) fn shared_statics_are_reached_by_shared_accesses_alone(compiler: Compiler) {
    let krate = crate_of(
        "use core::mem::MaybeUninit;
        use cuda_std::{address_space, kernel, shared_array, thread};
        #[kernel]
        pub unsafe fn reverse(words: *mut u64) {
            const N: usize = 4 * 16;
            #[address_space(shared)]
            static mut TILE: [MaybeUninit<u64>; N] = [MaybeUninit::uninit(); N];
            let copy = shared_array![u64; N];
            let t = thread::thread_idx_x() as usize;
            unsafe {
                TILE[t].write(*words.add(t));
                thread::sync_threads();
                *copy.add(t) = TILE[N - 1 - t].assume_init();
                thread::sync_threads();
                *words.add(t) = *copy.add(t ^ 1);
            }
        }",
    );
    let build = builder_of(krate.path(), &compiler).build_with_info().unwrap();
    assert!(build.warnings.is_empty(), "{:?}", build.warnings);
    let ptx = fs::read_to_string(build.ptx).unwrap();
    assert_has(&ptx, &["reverse_shared_0_bytes[512]", "reverse_shared_1_bytes[512]"]);
    assert_eq!(
        (ptx.matches("st.shared.b64").count(), ptx.matches("ld.shared.b64").count()),
        (2, 2)
    );
}

pub(crate) fn capabilities_up_to_the_architecture_are_set(compiler: Compiler) {
    let krate = crate_of(
        "use cuda_std::kernel;
        #[kernel]
        pub unsafe fn known(out: *mut u32) {
            let mut known = 0;
            if cfg!(target_feature = \"compute_61\") { known += 1; }
            if cfg!(target_feature = \"compute_86\") { known += 10; }
            if cfg!(target_feature = \"compute_90\") { known += 100; }
            unsafe { *out = known };
        }",
    );
    for (arch, known) in [(NvvmArch::Compute75, 1), (NvvmArch::Compute89, 11)] {
        let ptx = ptx_of(builder_of(krate.path(), &compiler).arch(arch));
        assert_has(&ptx, &[&format!(", {known};")]);
    }
}

pub(crate) fn options_are_followed_or_refused_with_the_reason(compiler: Compiler) {
    let refused = |builder: CudaBuilder, words: &[&str]| {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, CudaBuilderError::Option { .. }), "{error}");
        assert_has(&error, words);
        // What `unwrap` in a build script shows.
        assert_eq!(format!("{error:?}"), error.to_string());
    };
    let bounds = || builder("bounds", &compiler);
    refused(bounds().build_args(&["--locked"]), &["build_args([\"--locked\"])", "without cargo"]);
    refused(bounds().release(false), &["release(false)", "local memory"]);
    refused(bounds().fast_math(true).ftz(true), &["fast_math(true)", "fast_div"]);

    let krate = crate_of(
        "use cuda_std::kernel;
        #[kernel]
        pub unsafe fn fused(x: *mut f32) {
            unsafe { *x = *x.add(1) * *x.add(2) + *x.add(3) / *x.add(4) };
        }",
    );
    let build = || builder_of(krate.path(), &compiler);
    assert_has(ptx_of(build()), &["div.rn.f32"]);
    assert_has(ptx_of(build().fast_div(true)), &["div.approx.f32"]);
    assert_has(ptx_of(build().fma_contraction(true)), &["fma.rn.f32"]);
    assert!(!ptx_of(build().fma_contraction(false)).contains("fma.rn"));
    assert_has(ptx_of(build().generate_line_info(true)), &[".loc"]);
    let module = krate.path().join("module.ll");
    build().final_module_path(&module).build().unwrap();
    assert_has(fs::read_to_string(module).unwrap(), &["define", "@fused"]);
}
