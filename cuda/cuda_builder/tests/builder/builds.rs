//! The cache, builds at once, and crates that are refused.

use crate::{assert_has, builder, builder_of, cache_with_core, generated, ptx_of};
use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, NvvmArch};
use std::fs;
use std::sync::Mutex;

const KERNEL: &str = "#[kernel] pub unsafe fn k(out: Global<u32>) { unsafe { out.set(0, 77) } }";

pub(crate) fn unchanged_sources_run_no_compiler_and_changed_ones_do(compiler: Compiler) {
    let cache = cache_with_core(&compiler);
    let krate = generated(KERNEL, "");
    let copy = krate.path().join("copy.ptx");
    let build = |arch| {
        let builder = builder_of(krate.path(), &compiler).arch(arch).copy_to(&copy);
        builder.cache_dir(cache.path()).build_with_info().unwrap()
    };
    let baseline = NvvmArch::Compute75;
    // The macros and what reads Rust for them, cuda_std, the kernels.
    assert!(build(baseline).compiler_calls > 3);
    let first = fs::read_to_string(&copy).unwrap();
    let written = fs::metadata(&copy).unwrap().modified().unwrap();

    let again = build(baseline);
    assert_eq!((again.compiler_calls, &again.ptx), (0, &copy));
    assert_eq!(fs::metadata(&copy).unwrap().modified().unwrap(), written);

    // Another architecture shares the macros, which run on the host.
    assert_eq!(build(NvvmArch::Compute90).compiler_calls, 2);
    assert_ne!(fs::read_to_string(&copy).unwrap(), first);

    let source = krate.path().join("src/lib.rs");
    let original = fs::read_to_string(&source).unwrap();
    fs::write(&source, original.replace("77", "78")).unwrap();
    assert_eq!(build(baseline).compiler_calls, 1);
    assert!(fs::read_to_string(&copy).unwrap().contains("78;"));

    // Earlier builds are still there.
    fs::write(&source, original).unwrap();
    assert_eq!(build(baseline).compiler_calls, 0);
    assert_eq!(fs::read_to_string(&copy).unwrap(), first);
}

pub(crate) fn each_run_of_the_compiler_is_announced_before_it_begins(compiler: Compiler) {
    static ANNOUNCED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
    let announce = |krate: &str, target: &str| {
        ANNOUNCED.lock().unwrap().push((krate.to_owned(), target.to_owned()));
    };
    let cache = cache_with_core(&compiler);
    let krate = generated(KERNEL, "");
    for last in [
        &[("cuda_std_macros", "the host"), ("cuda_std", "sm_90"), ("generated", "sm_90")][..],
        // All is in the cache.
        &[],
    ] {
        ANNOUNCED.lock().unwrap().clear();
        let builder = builder_of(krate.path(), &compiler).arch(NvvmArch::Compute90);
        let builder = builder.cache_dir(cache.path()).announce(announce);
        let calls = builder.build_with_info().unwrap().compiler_calls;
        let announced = ANNOUNCED.lock().unwrap();
        let announced = announced.iter().map(|(krate, target)| (krate.as_str(), target.as_str()));
        let announced: Vec<_> = announced.collect();
        assert!(announced.ends_with(last) && announced.len() == calls, "{announced:?}");
        assert_eq!(calls == 0, last.is_empty());
    }
}

pub(crate) fn a_check_finds_errors_and_makes_no_ptx(compiler: Compiler) {
    assert_eq!(ptx_of(builder("bounds", &compiler).check()), "");
    assert!(!ptx_of(builder("bounds", &compiler)).is_empty());
    let error = builder("broken", &compiler).check().build().unwrap_err();
    assert_has(error, &["error[E0308]: mismatched types"]);
}

pub(crate) fn other_arguments_are_another_build(compiler: Compiler) {
    let build = |argument: &str| builder("bounds", &compiler).rustc_arg(argument).build().unwrap();
    assert_ne!(build("-Copt-level=2"), build("-Copt-level=3"));
}

pub(crate) fn warnings_of_the_compiler_are_kept_with_the_build(compiler: Compiler) {
    let krate = generated(&format!("{KERNEL} fn unused_helper() {{}}"), "");
    for _ in 0..2 {
        let build = builder_of(krate.path(), &compiler).build_with_info().unwrap();
        let [warning] = &build.warnings[..] else {
            panic!("{:?}", build.warnings);
        };
        assert_has(warning, &["`unused_helper` is never used"]);
        assert!(!warning.contains("ptx74"), "{warning}");
    }
}

pub(crate) fn builds_at_once_do_not_disturb_each_other(compiler: Compiler) {
    let cache = cache_with_core(&compiler);
    let built: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ptx_of(builder("bounds", &compiler).cache_dir(cache.path()))))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(built[0].contains(".entry unbounded"));
    assert!(built.iter().all(|ptx| *ptx == built[0]));
    for entry in fs::read_dir(cache.path()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with("unfinished"), "{name:?}");
    }
}

pub(crate) fn crates_that_need_cargo_are_refused_with_the_reason(compiler: Compiler) {
    let build = |source: &str, manifest: &str, prepare: fn(&std::path::Path)| {
        let krate = generated(source, manifest);
        prepare(krate.path());
        builder_of(krate.path(), &compiler).build().unwrap_err()
    };
    let nothing = |_: &std::path::Path| {};

    let error = build(KERNEL, "some-registry-crate = \"1\"", nothing);
    assert_has(error, &["cannot read ", "Cargo.toml: error: ", "some-registry-crate"]);

    let error = build(KERNEL, "", |folder| {
        fs::write(folder.join("build.rs"), "fn main() {}").unwrap();
    });
    assert_has(error, &["build script"]);

    let outside = format!("{KERNEL} pub const T: &str = include_str!(\"../table.txt\");");
    let error = build(&outside, "", |folder| {
        fs::write(folder.join("table.txt"), "1 2 3").unwrap();
    });
    assert_has(error, &["table.txt, outside of"]);

    let variable = format!("{KERNEL} pub const T: Option<&str> = option_env!(\"TUNING\");");
    let error = build(&variable, "", nothing);
    assert_has(error, &["environment variable TUNING"]);
}

pub(crate) fn a_folder_without_a_crate_is_named() {
    let error = CudaBuilder::new("no/such/crate").build().unwrap_err();
    assert_has(error, &["no/such/crate/Cargo.toml"]);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Cargo.toml"), "[package]\nname = 7\n").unwrap();
    let error = CudaBuilder::new(folder.path()).build().unwrap_err();
    assert!(matches!(error, CudaBuilderError::Metadata { .. }), "{error}");
    assert_has(error, &["name = 7"]);
}
