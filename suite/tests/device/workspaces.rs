//! Workspaces, which sorts leave as the next ones need them, and graphs, which hold one.

use std::ops::Range;
use std::sync::Arc;

use cust::memory::{CopyDestination, DeviceBuffer};
use cust::stream::Stream;
use host::Error;
use host::gpu::{Device, GpuKey, GpuSorter, Order, Payload, SegmentSort, Workspace};
use suite::runners::gpu::Captured;
use suite::workload::{Distribution, Workload};

use crate::{get, keys, sorted, stream};

pub(crate) fn buffers_may_take_turns(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    // More than one launch sorts, which needs no second buffer.
    let keys = keys::<u32>(300_000);
    let sort = sorter.prepare::<u32>(keys.len(), Payload::None, Order::ascending()).unwrap();
    let mut workspace = sort.ping_pong_workspace().unwrap();
    assert!(workspace.bytes() < 4 * keys.len() as u64);
    let (mut a, mut b) =
        (DeviceBuffer::from_slice(&keys).unwrap(), DeviceBuffer::from_slice(&keys).unwrap());
    let stream = stream();
    sort.keys_ping_pong(&mut a, &mut b, &mut workspace, &stream).unwrap();
    assert!(get(&a, &stream) == sorted(&keys));
    assert!(matches!(
        sort.keys_in_place(&mut a, &mut workspace, &stream),
        Err(Error::Workspace { .. })
    ));
}

/// Pairs whose second buffers are the caller's, in a single wave, in more and by bucket sort; and
/// values that passes do not move, which take what they take elsewhere.
pub(crate) fn buffers_of_pairs_may_take_turns(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let stream = stream();
    for n in [100_000, 2_000_000, 1 << 24] {
        let keys = keys::<u32>(n);
        let values: Vec<u32> = (0..n as u32).collect();
        let sort = sorter.prepare::<u32>(n, Payload::Value(4), Order::ascending());
        let sort = sort.unwrap();
        let mut workspace = sort.ping_pong_workspace().unwrap();
        assert!(workspace.bytes() < 4 * n as u64);
        let buffer = |of: &[u32]| DeviceBuffer::from_slice(of).unwrap();
        let (mut a, mut b) = (buffer(&keys), buffer(&keys));
        let (mut with_a, mut with_b) = (buffer(&values), buffer(&values));
        let other = (&mut *b, &mut *with_b);
        sort.pairs_ping_pong((&mut a, &mut with_a), other, &mut workspace, &stream).unwrap();
        stream.synchronize().unwrap();
        let mut order = values;
        order.sort_by_key(|&i| keys[i as usize]);
        let found = (a.as_host_vec().unwrap(), with_a.as_host_vec().unwrap());
        assert!(found.0 == sorted(&keys) && found.1 == order, "{n} pairs");
        assert!(matches!(
            sort.pairs_in_place(&mut a, &mut with_a, &mut workspace, &stream),
            Err(Error::Workspace { .. })
        ));
    }
    let wide = sorter.prepare::<u32>(100_000, Payload::Value(8), Order::ascending());
    let wide = wide.unwrap();
    assert_eq!(wide.ping_pong_bytes(), wide.workspace_bytes());
}

pub(crate) fn few_keys_take_no_workspace(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let keys = keys::<u64>(4096);
    let bytes = |n, payload| {
        let sort = sorter.prepare::<u64>(n, payload, Order::ascending());
        sort.unwrap().workspace_bytes()
    };
    for payload in [Payload::Value(4), Payload::Index] {
        assert_eq!(bytes(keys.len(), payload), 0);
    }
    assert_eq!(bytes(1000, Payload::None), 0);
    // Alone, more are sorted in one launch of many blocks, or in one.
    assert!(bytes(keys.len(), Payload::None) < 8 * keys.len() as u64);
    let mut sorted_there = DeviceBuffer::from_slice(&keys).unwrap();
    sorter.sort(&mut sorted_there).unwrap();
    assert!(sorted_there.as_host_vec().unwrap() == sorted(&keys));
}

/// A small sort gathers where a large one keeps what must be zero.
pub(crate) fn sorts_of_all_kinds_share_a_workspace(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let (many, some, few) = (keys::<u32>(300_000), keys::<u32>(50_000), keys::<u32>(1000));
    let ascending = Order::ascending;
    let large = sorter.prepare::<u32>(many.len(), Payload::None, ascending());
    let middle = sorter.prepare::<u32>(some.len(), Payload::None, ascending());
    let small = sorter.prepare::<u32>(few.len(), Payload::Value(16), ascending());
    let (large, middle, small) = (large.unwrap(), middle.unwrap(), small.unwrap());
    let mut workspace = large.workspace().unwrap();
    let stream = stream();
    let values: Vec<u128> = (0..few.len() as u128).rev().collect();
    for _ in 0..3 {
        let mut there = DeviceBuffer::from_slice(&many).unwrap();
        large.keys_in_place(&mut there, &mut workspace, &stream).unwrap();
        // In one launch, twice: the first finds anything, the second what that has left.
        for _ in 0..2 {
            let mut there = DeviceBuffer::from_slice(&some).unwrap();
            middle.keys_in_place(&mut there, &mut workspace, &stream).unwrap();
            assert!(get(&there, &stream) == sorted(&some));
        }
        let mut keys = DeviceBuffer::from_slice(&few).unwrap();
        let mut values = DeviceBuffer::from_slice(&values).unwrap();
        small.pairs_in_place(&mut keys, &mut values, &mut workspace, &stream).unwrap();
        assert!(get(&there, &stream) == sorted(&many));
        assert!(get(&keys, &stream) == sorted(&few));
    }
}

/// Sorts in a single wave and in more, of two widths, by all bits, by one digit and by two,
/// in turns: each begins with what another has left behind.
pub(crate) fn sorts_of_few_and_many_tiles_share_a_workspace(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let stream = stream();
    let largest = sorter.prepare::<u64>(3_000_000, Payload::None, Order::ascending());
    let mut workspace = largest.unwrap().workspace().unwrap();
    let ranges = [0..32, 3..11, 5..19];
    for turn in 0..3 {
        for n in [5000, 3_000_000, 20_000, 300_000, 5001, 1_000_000, 1_500_000] {
            let bits = ranges[(turn + n) % 3].clone();
            sorts_by(&sorter, &keys::<u32>(n), bits, &mut workspace, &stream);
            let bits = ranges[(turn + n / 7) % 3].clone();
            sorts_by(&sorter, &keys::<u64>(n), bits, &mut workspace, &stream);
        }
    }
}

/// Sorts `keys` by `bits` in place, twice, and compares the result with the standard
/// library's.
fn sorts_by<K: GpuKey>(
    sorter: &GpuSorter,
    keys: &[K],
    bits: Range<u32>,
    workspace: &mut Workspace,
    stream: &Stream,
) {
    let order = Order::ascending().bits(bits.clone());
    let sort = sorter.prepare::<K>(keys.len(), Payload::None, order);
    let sort = sort.unwrap();
    let mut expected = keys.to_vec();
    expected.sort_by_key(|key| key.to_word() >> bits.start & ((1 << bits.len()) - 1));
    for _ in 0..2 {
        let mut there = DeviceBuffer::from_slice(keys).unwrap();
        sort.keys_in_place(&mut there, workspace, stream).unwrap();
        let found = get(&there, stream);
        let n = keys.len();
        assert!(found == expected, "{n} keys by bits {bits:?}");
    }
}

/// A capture that is not launched clears nothing.
pub(crate) fn a_capture_alone_clears_nothing(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let keys = keys::<u32>(50_000);
    let sort = sorter.prepare::<u32>(keys.len(), Payload::None, Order::ascending());
    let sort = sort.unwrap();
    let memory = vec![0x55u8; sort.workspace_bytes() as usize];
    let mut workspace = Workspace::over(DeviceBuffer::from_slice(&memory).unwrap());
    let stream = stream();
    let mut buffer = DeviceBuffer::from_slice(&keys).unwrap();
    let capture = || sort.keys_in_place(&mut buffer, &mut workspace, &stream);
    let graph = Captured::of(&stream, capture).unwrap();
    let sorted_there = sort.keys_in_place(&mut buffer, &mut workspace, &stream);
    sorted_there.unwrap();
    assert!(get(&buffer, &stream) == sorted(&keys));
    launch(&graph, &stream);
    assert!(buffer.as_host_vec().unwrap() == sorted(&keys));
}

/// Launches of a graph between sorts of the same and of other kinds, segments among them: none
/// counts on words that another has left.
pub(crate) fn graphs_and_sorts_share_a_workspace(device: Arc<Device>) {
    let sorter = GpuSorter::new(device.clone());
    let arrays = [50_000, 300_000, 3_000_000].map(keys::<u32>);
    let sorts = arrays
        .each_ref()
        .map(|keys| sorter.prepare::<u32>(keys.len(), Payload::None, Order::ascending()).unwrap());
    let words = keys::<u32>(10_000);
    let segments =
        SegmentSort::<u32>::new(device, words.len(), 2, Payload::None, Order::ascending());
    let segments = segments.unwrap();
    let offsets = DeviceBuffer::from_slice(&[0, 3000, 10_000]).unwrap();
    let stream = stream();
    for (captured, keys) in sorts.iter().zip(&arrays) {
        let mut workspace = sorts[2].workspace().unwrap();
        let mut buffer = DeviceBuffer::from_slice(keys).unwrap();
        // Its words are clear now, but not when the graph runs.
        captured.keys_in_place(&mut buffer, &mut workspace, &stream).unwrap();
        let capture = || captured.keys_in_place(&mut buffer, &mut workspace, &stream);
        let graph = Captured::of(&stream, capture).unwrap();
        for _ in 0..2 {
            for (sort, other) in sorts.iter().zip(&arrays) {
                let mut there = DeviceBuffer::from_slice(other).unwrap();
                sort.keys_in_place(&mut there, &mut workspace, &stream).unwrap();
                assert!(get(&there, &stream) == sorted(other));
                buffer.copy_from(keys).unwrap();
                launch(&graph, &stream);
                assert!(get(&buffer, &stream) == sorted(keys));
            }
            let mut there = DeviceBuffer::from_slice(&words).unwrap();
            let enqueued = segments.keys_in_place(&mut there, &offsets, &mut workspace, &stream);
            enqueued.unwrap().finish().unwrap();
            let found = get(&there, &stream);
            assert!(found[..3000].is_sorted() && found[3000..].is_sorted() && found != words);
            launch(&graph, &stream);
        }
    }
}

/// Captures a sort once and replays it on new keys.
pub(crate) fn a_sort_is_captured_in_a_graph(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    // In a single wave, and in more.
    for n in [50_000, 2_000_000] {
        let sort = sorter.prepare::<u32>(n, Payload::None, Order::ascending()).unwrap();
        let mut workspace = sort.workspace().unwrap();
        let stream = stream();
        let mut buffer = DeviceBuffer::from_slice(&vec![0u32; n]).unwrap();
        let capture = || sort.keys_in_place(&mut buffer, &mut workspace, &stream);
        let graph = Captured::of(&stream, capture).unwrap();
        for seed in 0..3 {
            let workload = Workload { n, distribution: Distribution::Uniform, seed };
            let keys = workload.generate::<u32>().unwrap();
            buffer.copy_from(&keys).unwrap();
            launch(&graph, &stream);
            let found = buffer.as_host_vec().unwrap();
            assert!(found == sorted(&keys), "{n} keys, seed {seed}");
        }
    }
}

/// Launches a graph and waits for it. Its buffers are live.
fn launch(graph: &Captured, stream: &Stream) {
    // SAFETY: the callers keep the graph's buffers as long as the graph.
    unsafe { graph.launch(stream).unwrap() };
    stream.synchronize().unwrap();
}
