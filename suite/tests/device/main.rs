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
mod raw_kernels;
mod segments;
mod workspaces;

use std::sync::{Arc, RwLock};

use cust::memory::{DeviceBuffer, DeviceCopy, DeviceSlice};
use cust::stream::{Stream, StreamFlags};
use host::Error;
use host::gpu::module::{embedded_texts, load_module};
use host::gpu::{Device, GpuKey, GpuSorter, Order, Payload, Resident};
use libtest_mimic::{Arguments, Failed, Trial};
use list::{expect, keys_of};
use sort_cases::Case as Input;
use suite::engine::Engine;
use suite::engines::{GPU, GPU_SPLIT};
use suite::key::{F32, Key};
use suite::registry::{self, KEY_VARIANTS, PAIR_VARIANTS};
use suite::verify::Keys;
use suite::workload::{Distribution, Workload};
use suite::{Case, Registry};

/// A test: its name, and what it does on a GPU.
type OnDevice = (&'static str, fn(Arc<Device>));

/// Distributions that differ in what they do to a sort.
const SPREADS: [Distribution; 6] = [
    Distribution::Uniform,
    Distribution::Classic,
    Distribution::Constant,
    Distribution::Sorted,
    Distribution::Reversed,
    Distribution::FewDistinct,
];

/// Tests that capture a stream: what other threads ask of the driver meanwhile may fail,
/// and the capture with it. Those that hold GPUs back, for which others that free memory
/// would wait, and the driver with them. And those that compare times.
const ALONE: &[&str] = &[
    "a_sort_is_captured_in_a_graph",
    "a_capture_alone_clears_nothing",
    "graphs_and_sorts_share_a_workspace",
    "every_level_sorts_every_case",
    "levels_on_a_gpu_opened_several_times",
    "levels_go_over_all_gpus",
    "long_segments_are_timed",
];

/// Held by each test, by those alone.
static TURN: RwLock<()> = RwLock::new(());

/// Runs a test when it is its turn.
fn in_turn(name: &str, test: impl FnOnce()) {
    // Poisoned or not, it is only a turn that is waited for.
    let turn =
        if ALONE.contains(&name) { (None, Some(TURN.write())) } else { (Some(TURN.read()), None) };
    test();
    drop(turn);
}

const TESTS: &[OnDevice] = &[
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
    ("graphs_and_sorts_share_a_workspace", workspaces::graphs_and_sorts_share_a_workspace),
    ("segments_are_sorted_each_by_itself", segments::segments_are_sorted_each_by_itself),
    ("many_segments_and_none_are_sorted", segments::many_segments_and_none_are_sorted),
    (
        "segments_are_sorted_with_every_payload_and_order",
        segments::segments_are_sorted_with_every_payload_and_order,
    ),
    ("sorts_of_segments_share_a_workspace", segments::sorts_of_segments_share_a_workspace),
    ("wrong_offsets_are_refused", segments::wrong_offsets_are_refused),
    (
        "sorts_of_segments_refuse_what_they_are_not_prepared_for",
        segments::sorts_of_segments_refuse_what_they_are_not_prepared_for,
    ),
    ("cases_of_segments_are_verified", segments::cases_of_segments_are_verified),
    ("long_segments_are_timed", segments::long_segments_are_timed),
    ("variants_are_sorted_and_verified", variants_are_sorted_and_verified),
    ("every_level_sorts_every_case", every_level_sorts_every_case),
    ("many_keys_stream_through_in_runs", many_keys_stream_through_in_runs),
    ("a_corrupt_ptx_is_one_clear_error", a_corrupt_ptx_is_one_clear_error),
    ("what_does_not_fit_is_refused", what_does_not_fit_is_refused),
];

fn main() {
    let device = Device::open();
    if let Err(skipped) = &device {
        eprintln!("gpu: skipped: {skipped}");
    }
    if let Some(launch) = raw_kernels::as_child() {
        let device = device.unwrap();
        device.enter().unwrap();
        return launch(device);
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
                // Tests run in threads of their own.
                device.enter().map_err(|error| Failed::from(error.to_string()))?;
                in_turn(name, || test(device));
                Ok(())
            })
            .with_ignored_flag(skipped)
        })
        .collect();
    trials.extend(full::trials(&device));
    trials.extend(devices::trials());
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

/// `n` keys of every bit pattern.
fn keys<K: GpuKey>(n: usize) -> Vec<K> {
    keys_of(&Input::uniform(K::TYPE, n, 1))
}

fn stream() -> Stream {
    Stream::new(StreamFlags::NON_BLOCKING, None).unwrap()
}

/// Content of a slice once the stream has done all its work.
fn get<T: DeviceCopy + Default>(from: &DeviceSlice<T>, stream: &Stream) -> Vec<T> {
    stream.synchronize().unwrap();
    from.as_host_vec().unwrap()
}

/// Sorts edge cases from and to host memory at every level.
fn sorts_at_every_level<K: Key>(engine: &mut dyn Engine<K>, levels: &[usize], edges: &[usize]) {
    for &level in levels {
        for case in Input::about(K::TYPE, edges) {
            engine.prepare(case.n, level).unwrap();
            let mut keys: Vec<K> = keys_of(&case);
            engine.sort(&mut keys).unwrap();
            expect(&case, &keys, &[] as &[u32]);
        }
    }
}

fn large_inputs_are_sorted_and_stable(device: Arc<Device>) {
    fn of<K: Key>(sorter: &GpuSorter, workload: Workload) {
        let keys = workload.generate::<K>().unwrap();
        for paired in [false, true] {
            let (payload, order) = (Payload::of(paired), Order::ascending());
            let mut resident = Resident::new(sorter, &keys, payload, order).unwrap();
            for _ in 0..3 {
                if let Err(error) = resident.verified_sample() {
                    panic!("{} {workload:?}, paired {paired}: {error}", K::NAME);
                }
            }
        }
    }
    let sorter = GpuSorter::new(device);
    for distribution in SPREADS {
        for n in [(1 << 22) - 1, 1 << 22, 5_000_011] {
            let workload = Workload { n, distribution, seed: n as u64 };
            of::<i32>(&sorter, workload);
            of::<u64>(&sorter, workload);
            of::<F32>(&sorter, workload);
        }
    }
}

/// Every type and order that is measured beside peers, on keys of which some are equal and, of
/// floats, some zeros and none numbers.
fn variants_are_sorted_and_verified(_: Arc<Device>) {
    let registry = Registry::new(7);
    let variants = KEY_VARIANTS.iter().chain(PAIR_VARIANTS);
    let more = ["f16@numeric@descending", "f32+index@numeric", "u64+index@8..20@descending"];
    for kind in variants.chain(&more) {
        let group = if kind.contains('+') { "pairs" } else { "device" };
        for (spread, n) in [("special", 1), ("special", 5_001), ("few-distinct", 300_007)] {
            let case = Case::new(group, GPU, (kind, spread, n), 1);
            let mut runner = registry.build(&case).unwrap();
            let sorted = runner.turn(2).and_then(|_| runner.verified_sort());
            sorted.unwrap_or_else(|error| panic!("{case}: {error}"));
            runner.sample(2).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    }
}

fn every_level_sorts_every_case(_: Arc<Device>) {
    fn of<K: Key>() {
        for name in [GPU, GPU_SPLIT] {
            let mut engine = registry::engine::<K>(name).unwrap();
            sorts_at_every_level(&mut *engine, &[1, 2, 3, 8, 128], &[100, 5000, 200_000]);
        }
    }
    of::<u32>();
    of::<i32>();
    of::<u64>();
    of::<F32>();
}

fn many_keys_stream_through_in_runs(_: Arc<Device>) {
    streams_many_keys::<i32>(&mut *registry::engine(GPU).unwrap());
    streams_many_keys::<u64>(&mut *registry::engine(GPU).unwrap());
    streams_many_keys::<F32>(&mut *registry::engine(GPU).unwrap());
}

/// Of several runs, which are merged while the result leaves, more keys and fewer in turn. All
/// keys of a half may be less than those of the other.
fn streams_many_keys<K: Key>(engine: &mut dyn Engine<K>) {
    for (n, level) in [(20_000_003, 8), (300_001, 1), (3_000_001, 64)] {
        for distribution in SPREADS {
            let workload = Workload { n, distribution, seed: n as u64 };
            let keys = workload.generate::<K>().unwrap();
            engine.prepare(n, level).unwrap();
            for length in [n, n, n / 3] {
                let input = Keys::new(keys[..length].to_vec());
                let mut work = input.keys().to_vec();
                engine.sort(&mut work).unwrap();
                input.check(&work, GPU, level).unwrap();
            }
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

    for name in [GPU, GPU_SPLIT] {
        let mut engine = registry::engine::<u32>(name).unwrap();
        assert!(matches!(engine.prepare(10, 0), Err(suite::Error::LevelZero)));
        assert!(matches!(engine.prepare(10, 100_000), Err(suite::Error::LevelTooHigh { .. })));
        assert!(matches!(engine.sort(&mut [2, 1]), Err(suite::Error::NotPrepared { .. })));
        engine.prepare(1 << 44, 2).unwrap_err();
    }
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
    if let Err(missing) = registry::engine::<u32>(GPU) {
        let line = missing.to_string();
        let reason = line.strip_prefix("gpu: not available on this machine: ");
        assert!(reason.is_some_and(|reason| !reason.is_empty()), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
