//! What holds on a GPU. Where there is none the tests show as ignored, and one
//! line says why.

use std::fmt::Debug;
use std::sync::Arc;

use host::cases::cases;
use host::engine::Engine;
use host::gpu::kernels::load_module;
use host::gpu::split::Split;
use host::gpu::{Device, GpuSorter, Resident};
use host::key::Key;
use host::workload::{Distribution, Workload};
use host::{Error, gpu};
use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name, and what it does on a GPU.
type OnDevice = (&'static str, fn(Arc<Device>));

const TESTS: &[OnDevice] = &[
    ("every_case_is_sorted", every_case_is_sorted),
    (
        "large_inputs_are_sorted_in_place_and_out_of_place",
        large_inputs_are_sorted_in_place_and_out_of_place,
    ),
    ("every_level_sorts_every_case", every_level_sorts_every_case),
    (
        "a_corrupt_ptx_is_one_clear_error",
        a_corrupt_ptx_is_one_clear_error,
    ),
    ("what_does_not_fit_is_refused", what_does_not_fit_is_refused),
];

fn main() {
    let device = Device::open();
    if let Err(skipped) = &device {
        eprintln!("{skipped}");
    }
    let mut trials: Vec<Trial> = TESTS
        .iter()
        .map(|&(name, test)| {
            let device = device.clone();
            let skipped = device.is_err();
            Trial::test(name, move || {
                test(device.map_err(|skipped| Failed::from(skipped.to_string()))?);
                Ok(())
            })
            .with_ignored_flag(skipped)
        })
        .collect();
    trials.push(Trial::test("without_a_gpu_the_engine_says_why", || {
        without_a_gpu_the_engine_says_why();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

fn sorted<K: Key>(keys: &[K]) -> Vec<K> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys
}

/// Sizes around what a pass cuts its input into.
fn edges(device: &Device) -> Vec<usize> {
    let kernels = device.kernels();
    let small = kernels.onesweep_small.tile as usize;
    vec![32, 128, small, 2 * small, 8 * small, 100_000]
}

fn sorts_every_case<K: Key + Debug>(device: Arc<Device>) {
    let edges = edges(&device);
    let sorter = GpuSorter::new(device);
    for case in cases::<K>(&edges) {
        let mut keys = case.keys.clone();
        sorter.sort_slice(&mut keys).unwrap();
        assert!(keys == sorted(&case.keys), "{} {}", K::NAME, case.name);
    }
}

fn every_case_is_sorted(device: Arc<Device>) {
    sorts_every_case::<u32>(device.clone());
    sorts_every_case::<i32>(device);
}

fn large_inputs_are_sorted_in_place_and_out_of_place(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    for distribution in [
        Distribution::Uniform,
        Distribution::Classic,
        Distribution::Constant,
        Distribution::Sorted,
        Distribution::Reversed,
    ] {
        for n in [(1 << 22) - 1, 1 << 22, 5_000_011] {
            let workload = Workload {
                n,
                distribution,
                seed: n as u64,
            };
            let keys = workload.generate::<i32>();
            let mut in_place = keys.clone();
            sorter.sort_slice(&mut in_place).unwrap();
            assert!(in_place == sorted(&keys), "{workload:?}");
            let mut resident = Resident::new(&sorter, &keys).unwrap();
            for _ in 0..3 {
                resident.verified_sample().unwrap();
            }
        }
    }
}

fn every_level_sorts_every_case(device: Arc<Device>) {
    let mut engine = Split::<i32>::new(device);
    for level in [1, 2, 3, 8, 128] {
        for case in cases::<i32>(&[100, 5000, 200_000]) {
            engine.prepare(case.keys.len(), level).unwrap();
            let mut keys = case.keys.clone();
            engine.sort(&mut keys).unwrap();
            assert!(keys == sorted(&case.keys), "level {level}, {}", case.name);
        }
    }
}

fn a_corrupt_ptx_is_one_clear_error(device: Arc<Device>) {
    device.enter().unwrap();
    let Err(error) = load_module("corrupt.ptx", "this is no PTX") else {
        panic!("loaded");
    };
    let text = error.to_string();
    assert!(text.starts_with("corrupt.ptx: "), "{text}");
    assert!(!text.contains('\n'), "{text}");
    let Err(error) = load_module(
        "newer.ptx",
        ".version 99.0\n.target sm_90\n.address_size 64\n",
    ) else {
        panic!("loaded");
    };
    assert!(error.to_string().contains("driver"), "{error}");
}

fn what_does_not_fit_is_refused(device: Arc<Device>) {
    let sorter = GpuSorter::new(device.clone());
    assert!(matches!(
        sorter.workspace::<u32>(1 << 40),
        Err(Error::TooMany { .. })
    ));
    let mut engine = Split::<u32>::new(device);
    assert!(matches!(engine.prepare(10, 0), Err(Error::LevelZero)));
    assert!(matches!(
        engine.prepare(10, 100_000),
        Err(Error::LevelTooHigh { .. })
    ));
    assert!(matches!(
        engine.sort(&mut [2, 1]),
        Err(Error::NotPrepared { .. })
    ));
}

fn without_a_gpu_the_engine_says_why() {
    if let Err(skipped) = gpu::engine::<u32>() {
        let line = skipped.to_string();
        assert!(line.starts_with("gpu: skipped: "), "{line}");
        assert!(line.len() > "gpu: skipped: ".len(), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
