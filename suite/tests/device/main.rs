//! Tests on a GPU. Where there is none they show as ignored, and one
//! line says why.
//!
//! There are two tiers. The tests of [`full`] take minutes and most of the memory of
//! a large GPU: they run when asked for, with `--include-ignored` or, they alone, with
//! `--ignored full::`.

mod buckets;
mod devices;
mod full;
mod list;
mod oracle;
mod raw_kernels;
mod segments;
mod workspaces;

use std::sync::{Arc, RwLock};

use cust::memory::{CopyDestination, DeviceBuffer};
use host::Error;
use host::gpu::module::{embedded_texts, load_module};
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order, Payload, Resident};
use libtest_mimic::{Arguments, Failed, Trial};
use oracle::{Ranked, call, check, get, keys, oracle, stream};
use suite::edge_inputs::edge_inputs;
use suite::engine::Engine;
use suite::gpu_engine::{self, Split};
use suite::key::Key;
use suite::workload::{Distribution, Workload};

/// A test: its name, and what it does on a GPU.
type OnDevice = (&'static str, fn(Arc<Device>));

/// Tests that capture a stream: what other threads ask of the driver meanwhile may fail,
/// and the capture with it.
const ALONE: &[&str] = &["a_sort_is_captured_in_a_graph", "a_capture_alone_clears_nothing"];

/// Held by each test, by those alone.
static TURN: RwLock<()> = RwLock::new(());

const TESTS: &[OnDevice] = &[
    ("every_case_is_sorted", every_case_is_sorted),
    ("every_type_and_order_is_sorted", every_type_and_order_is_sorted),
    ("every_payload_goes_with_its_key", every_payload_goes_with_its_key),
    ("bit_ranges_are_sorted_stably", bit_ranges_are_sorted_stably),
    ("large_inputs_are_sorted_and_stable", large_inputs_are_sorted_and_stable),
    ("buckets_are_sorted_locally_or_not", buckets::buckets_are_sorted_locally_or_not),
    ("wide_buckets_are_sorted_locally_or_not", buckets::wide_buckets_are_sorted_locally_or_not),
    ("top_digits_are_sorted_locally_or_not", buckets::top_digits_are_sorted_locally_or_not),
    ("buffers_may_take_turns", workspaces::buffers_may_take_turns),
    ("buffers_of_pairs_may_take_turns", workspaces::buffers_of_pairs_may_take_turns),
    ("few_keys_take_no_workspace", workspaces::few_keys_take_no_workspace),
    ("sorts_of_all_kinds_share_a_workspace", workspaces::sorts_of_all_kinds_share_a_workspace),
    ("a_sort_is_captured_in_a_graph", workspaces::a_sort_is_captured_in_a_graph),
    (
        "sorts_of_few_and_many_tiles_share_a_workspace",
        workspaces::sorts_of_few_and_many_tiles_share_a_workspace,
    ),
    ("a_capture_alone_clears_nothing", workspaces::a_capture_alone_clears_nothing),
    ("segments_are_sorted_each_by_itself", segments::segments_are_sorted_each_by_itself),
    ("many_segments_and_none_are_sorted", segments::many_segments_and_none_are_sorted),
    ("wrong_offsets_are_refused", segments::wrong_offsets_are_refused),
    ("every_level_sorts_every_case", every_level_sorts_every_case),
    ("a_corrupt_ptx_is_one_clear_error", a_corrupt_ptx_is_one_clear_error),
    ("what_does_not_fit_is_refused", what_does_not_fit_is_refused),
];

fn main() {
    let device = Device::open();
    if let Err(skipped) = &device {
        eprintln!("gpu: skipped: {skipped}");
    }
    let mut trials: Vec<Trial> = TESTS
        .iter()
        .chain(list::TESTS)
        .chain(raw_kernels::tests())
        .chain(devices::TESTS)
        .map(|&(name, test)| {
            let device = device.clone();
            let skipped = device.is_err();
            Trial::test(name, move || {
                let device = device.map_err(|skipped| Failed::from(skipped.to_string()))?;
                // Poisoned or not, it is only a turn that is waited for.
                let turn = if ALONE.contains(&name) {
                    (None, Some(TURN.write()))
                } else {
                    (Some(TURN.read()), None)
                };
                // Tests run in threads of their own.
                device.enter().map_err(|error| Failed::from(error.to_string()))?;
                test(device);
                drop(turn);
                Ok(())
            })
            .with_ignored_flag(skipped)
        })
        .collect();
    trials.extend(full::trials(&device));
    trials.push(devices::trial());
    let built_without = embedded_texts().next().is_none();
    if built_without {
        eprintln!("built without a kernel compiler; run `cargo xtask setup`");
    }
    let embedded = Trial::test("every_embedded_text_has_every_kernel", || {
        every_embedded_text_has_every_kernel();
        Ok(())
    });
    trials.push(embedded.with_ignored_flag(built_without));
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

fn every_case_is_sorted(device: Arc<Device>) {
    fn of<K: Key>(sorter: &GpuSorter) {
        // Around the sizes of a block's sort and of the tiles.
        for case in edge_inputs::<K>(&[32, 1024, 2816, 4096, 5632, 22528, 100_000]) {
            let mut keys = case.keys.clone();
            sorter.sort_slice(&mut keys, Order::ascending()).unwrap();
            assert!(keys == sorted(&case.keys), "{} {}", K::NAME, case.name);
        }
    }
    let sorter = GpuSorter::new(device);
    of::<u32>(&sorter);
    of::<i32>(&sorter);
    of::<u64>(&sorter);
    of::<suite::key::F32>(&sorter);
}

fn every_type_and_order_is_sorted(device: Arc<Device>) {
    fn of<K: Ranked>(sorter: &GpuSorter) {
        for n in [1, 2, 1000, 4096, 20_000, 300_001] {
            let keys = keys(n);
            for (order, descending) in [(Order::ascending(), false), (Order::descending(), true)] {
                for order in [order.clone(), order.match_ranking()] {
                    check(sorter, &keys, order, &oracle(&keys, K::rank, descending));
                }
            }
        }
    }
    fn numerically<K: Ranked>(sorter: &GpuSorter) {
        if !K::TYPE.is_float() {
            return;
        }
        for n in [1, 1000, 20_000, 300_001] {
            let keys = keys(n);
            for (order, descending) in [(Order::ascending(), false), (Order::descending(), true)] {
                let expected =
                    oracle(&keys, |key: K| K::TYPE.numeric_rank(key.to_word()), descending);
                check(sorter, &keys, order.numeric(), &expected);
            }
        }
    }
    let sorter = GpuSorter::new(device);
    sort_cases::for_every_type!(call of (&sorter));
    sort_cases::for_every_type!(call numerically (&sorter));
}

fn every_payload_goes_with_its_key(device: Arc<Device>) {
    fn of<V: GpuKey>(sorter: &GpuSorter, value: fn(usize) -> V, order: Order) {
        for n in [1, 999, 5000, 200_003] {
            // No NaN and no zeros: then all orders of these are one.
            let keys: Vec<f32> = keys::<u32>(n)
                .iter()
                .map(|word| f32::from_bits((word & 0xBFFF_FFFF) | 1))
                .collect();
            let values: Vec<V> = (0..n).map(value).collect();
            let expected = oracle(&keys, f32::rank, false);
            let expected: Vec<V> = expected.iter().map(|&i| values[i as usize]).collect();
            let stream = stream();
            let payload = Payload::Value(size_of::<V>());
            let sort = sorter.prepare::<f32>(n, payload, order.clone()).unwrap();
            let mut workspace = sort.workspace().unwrap();
            let (keys_in, values_in) = (
                DeviceBuffer::from_slice(&keys).unwrap(),
                DeviceBuffer::from_slice(&values).unwrap(),
            );
            let mut keys_out = DeviceBuffer::from_slice(&keys).unwrap();
            let mut values_out = DeviceBuffer::from_slice(&vec![V::default(); n]).unwrap();
            sort.pairs(
                (&keys_in, &values_in),
                (&mut keys_out, &mut values_out),
                &mut workspace,
                &stream,
            )
            .unwrap();
            assert!(get(&values_out, &stream) == expected, "{n}, out of place");
            keys_out.copy_from(&keys).unwrap();
            values_out.copy_from(&values).unwrap();
            sort.pairs_in_place(&mut keys_out, &mut values_out, &mut workspace, &stream).unwrap();
            assert!(get(&values_out, &stream) == expected, "{n}, in place");
        }
    }
    let sorter = GpuSorter::new(device);
    for order in [Order::ascending(), Order::ascending().numeric()] {
        of::<u32>(&sorter, |i| i as u32, order.clone());
        of::<u64>(&sorter, |i| i as u64 * 3, order.clone());
        of::<u128>(&sorter, |i| (i as u128) << 70, order);
    }
}

fn bit_ranges_are_sorted_stably(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    for n in [500, 30_000, 200_000] {
        let keys = keys::<u64>(n);
        for (begin, end) in [(0, 64), (0, 1), (3, 17), (8, 16), (20, 60), (63, 64), (5, 9)] {
            let rank = |key: u64| u128::from((key >> begin) & (u64::MAX >> (64 - end + begin)));
            let order = Order::ascending().bits(begin..end);
            check(&sorter, &keys, order, &oracle(&keys, rank, false));
            let order = Order::descending().bits(begin..end);
            check(&sorter, &keys, order, &oracle(&keys, rank, true));
        }
    }
}

fn large_inputs_are_sorted_and_stable(device: Arc<Device>) {
    fn of<K: Key>(sorter: &GpuSorter, workload: Workload) {
        let keys = workload.generate::<K>().unwrap();
        for paired in [false, true] {
            let mut resident = Resident::new(sorter, &keys, paired, Order::ascending()).unwrap();
            for _ in 0..3 {
                if let Err(error) = resident.verified_sample() {
                    panic!("{} {workload:?}, paired {paired}: {error}", K::NAME);
                }
            }
        }
    }
    let sorter = GpuSorter::new(device);
    for distribution in [
        Distribution::Uniform,
        Distribution::Classic,
        Distribution::Constant,
        Distribution::Sorted,
        Distribution::Reversed,
    ] {
        for n in [(1 << 22) - 1, 1 << 22, 5_000_011] {
            let workload = Workload { n, distribution, seed: n as u64 };
            of::<i32>(&sorter, workload);
            of::<u64>(&sorter, workload);
            of::<suite::key::F32>(&sorter, workload);
        }
    }
}

fn every_level_sorts_every_case(device: Arc<Device>) {
    fn of<K: Key>(device: &Arc<Device>) {
        let mut engine = Split::<K>::new(Arc::clone(device));
        for level in [1, 2, 3, 8, 128] {
            for case in edge_inputs::<K>(&[100, 5000, 200_000]) {
                engine.prepare(case.keys.len(), level).unwrap();
                let mut keys = case.keys.clone();
                engine.sort(&mut keys).unwrap();
                let same = keys == sorted(&case.keys);
                assert!(same, "{} level {level}, {}", K::NAME, case.name);
            }
        }
    }
    of::<u32>(&device);
    of::<i32>(&device);
    of::<u64>(&device);
    of::<suite::key::F32>(&device);
}

fn a_corrupt_ptx_is_one_clear_error(device: Arc<Device>) {
    device.enter().unwrap();
    let Err(error) = load_module("corrupt.ptx", "this is no PTX") else {
        panic!("loaded");
    };
    let text = error.to_string();
    assert!(text.starts_with("corrupt.ptx: "), "{text}");
    assert!(!text.contains('\n'), "{text}");
    let Err(error) = load_module("newer.ptx", ".version 99.0\n.target sm_90\n.address_size 64\n")
    else {
        panic!("loaded");
    };
    assert!(error.to_string().contains("driver"), "{error}");
}

fn what_does_not_fit_is_refused(device: Arc<Device>) {
    let sorter = GpuSorter::new(device.clone());
    let ascending = Order::ascending;
    let prepare = |n, payload, order| sorter.prepare::<u32>(n, payload, order);
    let sort = prepare(100, Payload::None, ascending()).unwrap();
    let mut workspace = sort.workspace().unwrap();
    let stream = stream();
    let buffer = |n| DeviceBuffer::from_slice(&vec![7u32; n]).unwrap();

    let many = prepare(1 << 40, Payload::None, ascending()).unwrap();
    assert!(matches!(many.workspace(), Err(Error::Memory { .. })));
    assert!(matches!(prepare(1 << 40, Payload::Index, ascending()), Err(Error::TooMany { .. })));
    for (begin, end) in [(4, 4), (9, 3), (0, 33), (40, 50)] {
        let order = ascending().bits(begin..end);
        assert!(matches!(prepare(1, Payload::None, order), Err(Error::Bits { .. })));
    }
    assert!(matches!(
        prepare(1, Payload::Value(3), ascending()),
        Err(Error::ValueWidth { width: 3 })
    ));
    assert!(matches!(
        sort.keys(&buffer(5), &mut buffer(6), &mut workspace, &stream),
        Err(Error::Lengths { .. })
    ));
    assert!(matches!(
        sort.keys_in_place(&mut buffer(101), &mut workspace, &stream),
        Err(Error::Capacity { .. })
    ));
    let shared = buffer(20);
    assert!(matches!(
        sort.keys(&shared.index(0..10), &mut shared.index(5..15), &mut workspace, &stream),
        Err(Error::Overlap { .. })
    ));
    let mut indices = buffer(5);
    assert!(matches!(
        sort.indices(&buffer(5), &mut buffer(5), &mut indices, &mut workspace, &stream),
        Err(Error::Payload { .. })
    ));
    assert_eq!(shared.as_host_vec().unwrap(), [7; 20]);

    let mut engine = Split::<u32>::new(device);
    assert!(matches!(engine.prepare(10, 0), Err(suite::Error::LevelZero)));
    assert!(matches!(engine.prepare(10, 100_000), Err(suite::Error::LevelTooHigh { .. })));
    assert!(matches!(engine.sort(&mut [2, 1]), Err(suite::Error::NotPrepared { .. })));
}

fn every_embedded_text_has_every_kernel() {
    let texts: Vec<&str> = embedded_texts().collect();
    assert!(!texts.is_empty());
    for text in texts {
        for name in [
            "onesweep_keys_baseline_u32",
            "onesweep_pairs_wide_baseline_u128",
            "few_keys_2048_u32",
            "histogram_large_u128",
            "block_small_keys_u8",
            "merge_u32",
            "merge_u64",
            "merge_pairs_u32",
            "ranks_u64",
            "verify_values_u8",
            "gather_u64",
            "numeric_codes_u16",
        ] {
            assert!(text.contains(&format!(".entry {name}(")), "{name}");
        }
    }
}

fn without_a_gpu_the_engine_says_why() {
    if let Err(skipped) = gpu_engine::open::<u32>() {
        let line = skipped.to_string();
        assert!(line.starts_with("gpu: skipped: "), "{line}");
        assert!(line.len() > "gpu: skipped: ".len(), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
