//! Kernel crates as they are written for Rust-CUDA, and the options of its builder.

use crate::{assemble, assert_has, builder, builder_of, ptx_of, written, written_with};
use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, NvvmArch};
use std::fs;
use std::path::Path;

/// A crate of this source, which has no attributes at its head.
fn crate_of(source: &str) -> tempfile::TempDir {
    written(source, "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]")
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
            if cfg!(target_feature = \"compute_90a\") { known += 1000; }
            if cfg!(target_feature = \"compute_100f\") { known += 10000; }
            unsafe { *out = known };
        }",
    );
    for (arch, known) in [
        (NvvmArch::Compute75, 1),
        (NvvmArch::Compute89, 11),
        (NvvmArch::Compute90a, 1111),
        (NvvmArch::Compute100a, 10111),
    ] {
        let ptx = ptx_of(builder_of(krate.path(), &compiler).arch(arch));
        assert_has(&ptx, &[&format!(", {known};")]);
    }
}

pub(crate) fn options_are_followed_or_refused_with_the_reason(compiler: Compiler) {
    let refused = |builder: CudaBuilder, words: &[&str]| {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, CudaBuilderError::Option { .. }), "{error}");
        assert_has(&error, words);
        // `unwrap` in a build script shows this.
        assert_eq!(format!("{error:?}"), error.to_string());
    };
    let bounds = || builder("bounds", &compiler);
    refused(bounds().build_args(&["--locked"]), &["build_args([\"--locked\"])", "without cargo"]);
    refused(bounds().release(false), &["release(false)", "local memory"]);
    refused(bounds().fast_math(true).ftz(true), &["fast_math(true)", "fast_div"]);

    let krate = written(
        "use cuda_std::kernel;
        #[cfg(feature = \"more\")]
        #[kernel]
        pub unsafe fn of_a_feature() {}
        #[kernel]
        pub unsafe fn fused(x: *mut f32) {
            unsafe { *x = *x.add(1) * *x.add(2) + *x.add(3) / *x.add(4) };
        }",
        "[features]\nmore = []",
    );
    let build = || builder_of(krate.path(), &compiler);
    assert!(!ptx_of(build()).contains("of_a_feature"));
    assert_has(ptx_of(build().build_args(&["--features", "more"])), &[".entry of_a_feature("]);
    assert_has(ptx_of(build()), &["div.rn.f32"]);
    assert_has(ptx_of(build().fast_div(true)), &["div.approx.f32"]);
    assert_has(ptx_of(build().fma_contraction(true)), &["fma.rn.f32"]);
    assert!(!ptx_of(build().fma_contraction(false)).contains("fma.rn"));
    assert_has(ptx_of(build().generate_line_info(true)), &[".loc"]);
    let module = krate.path().join("module.ll");
    build().final_module_path(&module).build().unwrap();
    assert_has(fs::read_to_string(module).unwrap(), &["define", "@fused"]);
}

/// Every operation by its name, and every function of both floats.
const NAMES: &str = r#"
use core::sync::atomic::Ordering;
use cuda_std::atomic::{AtomicF32, AtomicF64, mid};
use cuda_std::{ext::*, prelude::*};
use cuda_std::{FloatExt, shared};
use cuda_std::warp::WarpReductionOp;

#[kernel]
pub unsafe fn threads(out: *mut u32) {
    let (i, j) = (thread::index_3d(), thread::index_2d());
    let mut sum = i.x + i.y + i.z + j.x + j.y + thread::index() + thread::index_1d();
    sum += thread::warp_size() + thread::first() as u32;
    sum += thread::sync_threads_count(sum & 1) + thread::sync_threads_and(sum & 2);
    sum += thread::sync_threads_or(sum & 4) + thread::sync_threads_and(sum > 9) as u32;
    thread::device_fence();
    thread::grid_fence();
    thread::system_fence();
    thread::nanosleep(20);
    let words = shared::dynamic_shared_mem::<u32>();
    unsafe {
        *words.add(i.x as usize) = sum;
        thread::sync_threads();
        *out.add(i.x as usize) = *words.add(i.y as usize);
    }
}

#[kernel]
pub unsafe fn warps(out: *mut u64, wide: u128, float: f64) {
    unsafe {
        let mask = warp::activemask();
        let (a, in_range) = warp::warp_shuffle_down(!0, wide, 3, 16);
        let (b, _) = warp::warp_shuffle_up(!0, float, 1, 32);
        let (c, _) = warp::warp_shuffle_xor(!0, float as f32, 1, 32);
        let (d, _) = warp::warp_shuffle_idx(!0, wide as i8, 4, 8);
        let same = warp::warp_match_any(!0, wide as u64);
        let all = warp::warp_match_all(!0, wide as u32).unwrap_or(1);
        let least = warp::warp_reduce(!0, float as i32, WarpReductionOp::Min);
        let vote = warp::warp_vote_ballot(!0, in_range) + warp::warp_vote_any(!0, in_range) as u32;
        warp::sync_warp(!0);
        *out = a as u64 + b as u64 + c as u64 + d as u64 + (same + all + vote + mask) as u64
            + least as u64;
    }
}

#[kernel]
pub unsafe fn atomics(words: *mut u32, signed: *mut i64, float: &AtomicF32, wide: &AtomicF64) {
    unsafe {
        let old = mid::atomic_fetch_max_u32_device(words, Ordering::AcqRel, 7);
        mid::atomic_fetch_min_i64_block(signed, Ordering::Relaxed, old as i64);
        mid::atomic_compare_and_swap_u32_system(words, old, 5, Ordering::SeqCst);
        mid::atomic_store_32_device(words, Ordering::Release, old);
        mid::device_thread_fence(Ordering::AcqRel);
        float.store(wide.fetch_add(2.5, Ordering::AcqRel) as f32, Ordering::Relaxed);
        float.fetch_sub(float.swap(1.0, Ordering::Relaxed), Ordering::Release);
    }
}

macro_rules! functions {
    ($($kernel:ident: $float:ident;)*) => { $(
        #[kernel]
        pub unsafe fn $kernel(values: &mut [$float]) {
            let x = values[0];
            let of_one = [
                x.floor(), x.ceil(), x.round(), x.trunc(), x.fract(), x.abs(), x.signum(), x.sqrt(),
                x.exp(), x.exp2(), x.ln(), x.log2(), x.log10(), x.cbrt(), x.sin(), x.cos(), x.tan(),
                x.asin(), x.acos(), x.atan(), x.exp_m1(), x.ln_1p(), x.sinh(), x.cosh(), x.tanh(),
                x.asinh(), x.acosh(), x.atanh(),
            ];
            let y = values[1];
            let of_two = [
                x.copysign(y), x.mul_add(y, x), x.div_euclid(y), x.rem_euclid(y), x.powi(3),
                x.powf(y), x.log(y), x.hypot(y), x.atan2(y), x.sin_cos().0,
            ];
            let beyond_std = [
                x.cospi(), x.sinpi(), x.sincospi().0, x.error_function(),
                x.complementary_error_function(), x.inv_complementary_error_function(),
                x.scaled_complementary_error_function(), x.norm_cdf(), x.inv_norm_cdf(), x.j0(),
                x.j1(), x.jn(2), x.y0(), x.y1(), x.yn(2), x.gamma(), x.log_gamma(), x.log1p(),
                x.rcbrt(), x.saturate(), x.ldexp(3), x.scale_by_n(x.unbiased_exp()), x.frexp().0,
            ];
            for i in 0..28 {
                values[i] = of_one[i];
            }
            for i in 0..10 {
                values[28 + i] = of_two[i];
            }
            for i in 0..23 {
                values[38 + i] = beyond_std[i];
            }
        }
    )* };
}
functions! { floats: f32; doubles: f64; }
"#;

pub(crate) fn every_name_assembles(compiler: Compiler, ptxas: &Path) {
    let krate = written_with(&["float"], NAMES, "");
    for arch in [NvvmArch::Compute75, NvvmArch::Compute90] {
        let ptx = builder_of(krate.path(), &compiler).arch(arch).build().unwrap();
        assemble(ptxas, &ptx, arch);
        let text = fs::read_to_string(ptx).unwrap();
        assert_has(&text, &["sqrt.rn.f32", "activemask", "ld.shared", "atom.acq_rel.gpu.add.f64"]);
        assert_has(
            &text,
            &["atom.relaxed.cta.min.s64", "fence.sc.sys", "atom.acq_rel.sys.cas.b32"],
        );
        // A function that neither the device nor libm has would be one of another file.
        assert!(!text.contains(".extern .func"), "{text}");
    }
}

pub(crate) fn numbers_of_16_bits_are_converted(compiler: Compiler) {
    let krate = written_with(
        &["half"],
        "use cuda_std::{bf16, prelude::*};
        #[kernel]
        pub unsafe fn halves(input: &[f16], sum: *mut f16, brain: *mut bf16) {
            unsafe {
                *sum = input[0] + f16::from_f32(2.0 * input[1].to_f32());
                *brain = bf16::from_f32(input[2].to_f32());
            }
        }",
        "",
    );
    assert_has(ptx_of(builder_of(krate.path(), &compiler)), &["ld.global.b16", "st.global.b16"]);
}
