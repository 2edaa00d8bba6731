//! What holds on a GPU. Where there is none the tests show as ignored, and one
//! line says why.

use std::fmt::Debug;
use std::sync::Arc;

use cust::memory::{CopyDestination, DeviceBuffer};
use cust::stream::{Stream, StreamFlags};
use host::cases::cases;
use host::engine::Engine;
use host::gpu::kernels::load_module;
use host::gpu::split::Split;
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order, Payload, Resident};
use host::key::Key;
use host::workload::{Distribution, Workload};
use host::{Error, gpu};
use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name, and what it does on a GPU.
type OnDevice = (&'static str, fn(Arc<Device>));

const TESTS: &[OnDevice] = &[
    ("every_case_is_sorted", every_case_is_sorted),
    (
        "every_type_and_order_is_sorted",
        every_type_and_order_is_sorted,
    ),
    (
        "every_payload_goes_with_its_key",
        every_payload_goes_with_its_key,
    ),
    ("bit_ranges_are_sorted_stably", bit_ranges_are_sorted_stably),
    (
        "large_inputs_are_sorted_and_stable",
        large_inputs_are_sorted_and_stable,
    ),
    ("buffers_may_take_turns", buffers_may_take_turns),
    (
        "a_sort_is_captured_in_a_graph",
        a_sort_is_captured_in_a_graph,
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

fn stream() -> Stream {
    Stream::new(StreamFlags::NON_BLOCKING, None).unwrap()
}

fn sorted<K: Key>(keys: &[K]) -> Vec<K> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys
}

fn every_case_is_sorted(device: Arc<Device>) {
    fn of<K: Key + Debug>(sorter: &GpuSorter) {
        // Around the sizes of a block's sort and of the tiles.
        for case in cases::<K>(&[32, 1024, 2816, 4096, 5632, 22528, 100_000]) {
            let mut keys = case.keys.clone();
            sorter.sort_slice(&mut keys, Order::ascending()).unwrap();
            assert!(keys == sorted(&case.keys), "{} {}", K::NAME, case.name);
        }
    }
    let sorter = GpuSorter::new(device);
    of::<u32>(&sorter);
    of::<i32>(&sorter);
    of::<u64>(&sorter);
    of::<host::key::F32>(&sorter);
}

/// `n` keys of every bit pattern, of which some come more than once.
fn keys<K: GpuKey>(n: usize, from_word: fn(u128) -> K) -> Vec<K> {
    let mut state = 0x1234_5678_9ABC_DEF0_u128;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645) + 1;
            let draw = state ^ (state >> 64);
            from_word(if draw.is_multiple_of(5) {
                draw >> 120
            } else {
                draw
            })
        })
        .collect()
}

/// The place of each key in the order, in words that compare as numbers.
type Rank<K> = fn(&K) -> u128;

/// The stable sort that the device's is held against: indices in order.
fn oracle<K: GpuKey>(keys: &[K], rank: impl Fn(&K) -> u128, descending: bool) -> Vec<u32> {
    let mut indices: Vec<u32> = (0..keys.len() as u32).collect();
    indices.sort_by_key(|&i| {
        let rank = rank(&keys[i as usize]);
        if descending { !rank } else { rank }
    });
    indices
}

fn signed(bits: u32) -> impl Fn(u128) -> u128 {
    move |word| word ^ (1 << (bits - 1))
}

/// The total order of IEEE 754, of a word of `bits`.
fn total(word: u128, bits: u32) -> u128 {
    let sign = 1 << (bits - 1);
    if word & sign == 0 {
        word | sign
    } else {
        !word & (sign | (sign - 1))
    }
}

/// The order of values: zeros are equal, and so are NaN, which come last.
fn numeric(word: u128, bits: u32, infinity: u128) -> u128 {
    let magnitude = word & ((1 << (bits - 1)) - 1);
    if magnitude == 0 {
        total(0, bits)
    } else if magnitude > infinity {
        u128::MAX
    } else {
        total(word, bits)
    }
}

fn every_type_and_order_is_sorted(device: Arc<Device>) {
    fn of<K: GpuKey + Debug>(sorter: &GpuSorter, from: fn(u128) -> K, rank: Rank<K>) {
        for n in [1, 2, 1000, 4096, 20_000, 300_001] {
            let keys = keys(n, from);
            for (order, descending) in [(Order::ascending(), false), (Order::descending(), true)] {
                for order in [order.clone(), order.ballots()] {
                    check(sorter, &keys, order, &oracle(&keys, rank, descending));
                }
            }
        }
    }
    fn numerically<K: GpuKey + Debug>(sorter: &GpuSorter, from: fn(u128) -> K, rank: Rank<K>) {
        for n in [1, 1000, 20_000, 300_001] {
            let keys = keys(n, from);
            check(
                sorter,
                &keys,
                Order::ascending().numeric(),
                &oracle(&keys, rank, false),
            );
            check(
                sorter,
                &keys,
                Order::descending().numeric(),
                &oracle(&keys, rank, true),
            );
        }
    }
    let sorter = GpuSorter::new(device);
    of::<u8>(&sorter, |w| w as u8, |k| k.to_word());
    of::<u16>(&sorter, |w| w as u16, |k| k.to_word());
    of::<u32>(&sorter, |w| w as u32, |k| k.to_word());
    of::<u64>(&sorter, |w| w as u64, |k| k.to_word());
    of::<u128>(&sorter, |w| w, |k| k.to_word());
    of::<i8>(&sorter, |w| w as i8, |k| signed(8)(k.to_word()));
    of::<i16>(&sorter, |w| w as i16, |k| signed(16)(k.to_word()));
    of::<i32>(&sorter, |w| w as i32, |k| signed(32)(k.to_word()));
    of::<i64>(&sorter, |w| w as i64, |k| signed(64)(k.to_word()));
    of::<i128>(&sorter, |w| w as i128, |k| signed(128)(k.to_word()));
    of::<F16>(&sorter, |w| F16(w as u16), |k| total(k.to_word(), 16));
    of::<Bf16>(&sorter, |w| Bf16(w as u16), |k| total(k.to_word(), 16));
    of::<f32>(
        &sorter,
        |w| f32::from_bits(w as u32),
        |k| total(k.to_word(), 32),
    );
    of::<f64>(
        &sorter,
        |w| f64::from_bits(w as u64),
        |k| total(k.to_word(), 64),
    );
    numerically::<F16>(
        &sorter,
        |w| F16(w as u16),
        |k| numeric(k.to_word(), 16, 0x7C00),
    );
    numerically::<Bf16>(
        &sorter,
        |w| Bf16(w as u16),
        |k| numeric(k.to_word(), 16, 0x7F80),
    );
    numerically::<f32>(
        &sorter,
        |w| f32::from_bits(w as u32 & !0x0040_0000),
        |k| numeric(k.to_word(), 32, 0x7F80_0000),
    );
    numerically::<f64>(
        &sorter,
        |w| f64::from_bits(w as u64),
        |k| numeric(k.to_word(), 64, 0x7FF0_0000_0000_0000),
    );
}

/// Sorts keys alone, in place and not, and with their indices; holds all against
/// the indices in order.
fn check<K: GpuKey + Debug>(sorter: &GpuSorter, keys: &[K], order: Order, expected: &[u32]) {
    let n = keys.len();
    let what = format!("{} keys of {}, {order:?}", n, K::FORM.name);
    let words = |keys: &[K]| keys.iter().map(|key| key.to_word()).collect::<Vec<_>>();
    let in_order: Vec<u128> = expected
        .iter()
        .map(|&i| keys[i as usize].to_word())
        .collect();
    let stream = stream();
    let input = DeviceBuffer::from_slice(keys).unwrap();
    let mut output = DeviceBuffer::from_slice(keys).unwrap();

    let sort = sorter
        .prepare::<K>(n, Payload::None, order.clone())
        .unwrap();
    let mut workspace = sort.workspace().unwrap();
    sort.keys(&input, &mut output, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(
        words(&output.as_host_vec().unwrap()) == in_order,
        "{what}, out of place"
    );
    assert!(
        words(&input.as_host_vec().unwrap()) == words(keys),
        "{what}, input changed"
    );
    output.copy_from(keys).unwrap();
    sort.keys_in_place(&mut output, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(
        words(&output.as_host_vec().unwrap()) == in_order,
        "{what}, in place"
    );

    let sort = sorter.prepare::<K>(n, Payload::Index, order).unwrap();
    let mut workspace = sort.workspace().unwrap();
    let mut indices = DeviceBuffer::from_slice(&vec![u32::MAX; n]).unwrap();
    sort.indices(&input, &mut output, &mut indices, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(
        indices.as_host_vec().unwrap() == expected,
        "{what}, indices"
    );
    assert!(
        words(&output.as_host_vec().unwrap()) == in_order,
        "{what}, keys of indices"
    );
}

fn every_payload_goes_with_its_key(device: Arc<Device>) {
    fn of<K: GpuKey + Debug, V: GpuKey + Debug>(
        sorter: &GpuSorter,
        from: fn(u128) -> K,
        value: fn(usize) -> V,
        order: Order,
    ) {
        for n in [1, 999, 5000, 200_003] {
            let keys = keys(n, from);
            let values: Vec<V> = (0..n).map(value).collect();
            let expected = oracle(&keys, |key| numeric(key.to_word(), 32, 0x7F80_0000), false);
            let expected: Vec<V> = expected.iter().map(|&i| values[i as usize]).collect();
            let stream = stream();
            let payload = Payload::Value(size_of::<V>());
            let sort = sorter.prepare::<K>(n, payload, order.clone()).unwrap();
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
            stream.synchronize().unwrap();
            assert!(
                values_out.as_host_vec().unwrap() == expected,
                "{n}, out of place"
            );
            keys_out.copy_from(&keys).unwrap();
            values_out.copy_from(&values).unwrap();
            sort.pairs_in_place(&mut keys_out, &mut values_out, &mut workspace, &stream)
                .unwrap();
            stream.synchronize().unwrap();
            assert!(
                values_out.as_host_vec().unwrap() == expected,
                "{n}, in place"
            );
        }
    }
    let sorter = GpuSorter::new(device);
    // No NaN and no zeros: then all orders of these are one.
    let float = |w: u128| f32::from_bits((w as u32 & 0xBFFF_FFFF) | 1);
    for order in [Order::ascending(), Order::ascending().numeric()] {
        of::<f32, u32>(&sorter, float, |i| i as u32, order.clone());
        of::<f32, u64>(&sorter, float, |i| i as u64 * 3, order.clone());
        of::<f32, u128>(&sorter, float, |i| (i as u128) << 70, order);
    }
}

fn bit_ranges_are_sorted_stably(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    for n in [500, 30_000, 200_000] {
        let keys = keys(n, |w| w as u64);
        for (begin, end) in [
            (0, 64),
            (0, 1),
            (3, 17),
            (8, 16),
            (20, 60),
            (63, 64),
            (5, 9),
        ] {
            let rank = |key: &u64| u128::from((key >> begin) & (u64::MAX >> (64 - end + begin)));
            let order = Order::ascending().bits(begin..end);
            check(&sorter, &keys, order, &oracle(&keys, rank, false));
            let order = Order::descending().bits(begin..end);
            check(&sorter, &keys, order, &oracle(&keys, rank, true));
        }
    }
}

fn large_inputs_are_sorted_and_stable(device: Arc<Device>) {
    fn of<K: Key>(sorter: &GpuSorter, workload: Workload) {
        let keys = workload.generate::<K>();
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
            let workload = Workload {
                n,
                distribution,
                seed: n as u64,
            };
            of::<i32>(&sorter, workload);
            of::<u64>(&sorter, workload);
            of::<host::key::F32>(&sorter, workload);
        }
    }
}

fn buffers_may_take_turns(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let keys = keys(100_000, |w| w as u32);
    let sort = sorter
        .prepare::<u32>(keys.len(), Payload::None, Order::ascending())
        .unwrap();
    let mut workspace = sort.ping_pong_workspace().unwrap();
    assert!(workspace.bytes() < 4 * keys.len() as u64);
    let (mut a, mut b) = (
        DeviceBuffer::from_slice(&keys).unwrap(),
        DeviceBuffer::from_slice(&keys).unwrap(),
    );
    let stream = stream();
    sort.keys_ping_pong(&mut a, &mut b, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(a.as_host_vec().unwrap() == sorted(&keys));
    assert!(matches!(
        sort.keys_in_place(&mut a, &mut workspace, &stream),
        Err(Error::Workspace { .. })
    ));
}

/// Captures a sort once and replays it on new keys.
fn a_sort_is_captured_in_a_graph(device: Arc<Device>) {
    use cust::sys;
    let sorter = GpuSorter::new(device);
    let n = 50_000;
    let sort = sorter
        .prepare::<u32>(n, Payload::None, Order::ascending())
        .unwrap();
    let mut workspace = sort.workspace().unwrap();
    let stream = stream();
    let mut buffer = DeviceBuffer::from_slice(&vec![0u32; n]).unwrap();
    let (mut graph, mut executable) = (std::ptr::null_mut(), std::ptr::null_mut());
    let success = sys::cudaError_enum::CUDA_SUCCESS;
    // SAFETY: the handles are out-parameters of these calls, the stream is live.
    unsafe {
        let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_RELAXED;
        assert_eq!(
            sys::cuStreamBeginCapture_v2(stream.as_inner(), mode),
            success
        );
        sort.keys_in_place(&mut buffer, &mut workspace, &stream)
            .unwrap();
        assert_eq!(
            sys::cuStreamEndCapture(stream.as_inner(), &mut graph),
            success
        );
        let (no_node, no_log) = (std::ptr::null_mut(), std::ptr::null_mut());
        let made = sys::cuGraphInstantiate_v2(&mut executable, graph, no_node, no_log, 0);
        assert_eq!(made, success);
    }
    for seed in 0..3 {
        let workload = Workload {
            n,
            distribution: Distribution::Uniform,
            seed,
        };
        let keys = workload.generate::<u32>();
        buffer.copy_from(&keys).unwrap();
        // SAFETY: the graph's buffers are live.
        assert_eq!(
            unsafe { sys::cuGraphLaunch(executable, stream.as_inner()) },
            success
        );
        stream.synchronize().unwrap();
        assert!(
            buffer.as_host_vec().unwrap() == sorted(&keys),
            "seed {seed}"
        );
    }
    // SAFETY: both were made above and are not in use.
    unsafe {
        sys::cuGraphExecDestroy(executable);
        sys::cuGraphDestroy(graph);
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
    let ascending = Order::ascending;
    let prepare = |n, payload, order| sorter.prepare::<u32>(n, payload, order);
    let sort = prepare(100, Payload::None, ascending()).unwrap();
    let mut workspace = sort.workspace().unwrap();
    let stream = stream();
    let buffer = |n| DeviceBuffer::from_slice(&vec![7u32; n]).unwrap();

    let many = prepare(1 << 40, Payload::None, ascending()).unwrap();
    assert!(matches!(many.workspace(), Err(Error::Memory { .. })));
    assert!(matches!(
        prepare(1 << 40, Payload::Index, ascending()),
        Err(Error::TooMany { .. })
    ));
    for (begin, end) in [(4, 4), (9, 3), (0, 33), (40, 50)] {
        let order = ascending().bits(begin..end);
        assert!(matches!(
            prepare(1, Payload::None, order),
            Err(Error::Bits { .. })
        ));
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
        sort.keys(
            &shared.index(0..10),
            &mut shared.index(5..15),
            &mut workspace,
            &stream
        ),
        Err(Error::Overlap { .. })
    ));
    let mut indices = buffer(5);
    assert!(matches!(
        sort.indices(
            &buffer(5),
            &mut buffer(5),
            &mut indices,
            &mut workspace,
            &stream
        ),
        Err(Error::Payload { .. })
    ));
    assert_eq!(shared.as_host_vec().unwrap(), [7; 20]);

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
