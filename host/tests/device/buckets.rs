//! Sorts of keys enough to go by bucket.

use std::sync::Arc;

use cust::memory::DeviceBuffer;
use host::gpu::{Device, GpuSorter, Order, Payload, Resident};
use host::key::{F32, Key};
use host::workload::{Distribution, Workload};

use crate::oracle::stream;
use crate::sorted;

/// Keys enough to be sorted by bucket: evenly spread, so that each is sorted locally,
/// and with one bucket that is too large, or crowded.
pub fn buckets_are_sorted_locally_or_not(device: Arc<Device>) {
    fn of<K: Key>(sorter: &GpuSorter, keys: &[K], paired: bool, order: &Order, what: &str) {
        let mut resident = Resident::new(sorter, keys, paired, order.clone()).unwrap();
        for _ in 0..2 {
            if let Err(error) = resident.verified_sample() {
                panic!("{} {order:?}, {what}, paired {paired}: {error}", K::NAME);
            }
        }
    }
    let sorter = GpuSorter::new(device);
    let n = (1 << 25) + 17;
    let workload = Workload {
        n,
        distribution: Distribution::Uniform,
        seed: 25,
    };
    let spread = workload.generate::<u32>();
    let (mut large, mut crowded) = (spread.clone(), spread.clone());
    // A twentieth of the keys of a crowd, and several times what a block holds.
    for i in (0..n).step_by(9973) {
        large[i] = large[i] % 65536 + (77 << 16);
    }
    for i in (0..n).step_by(20) {
        crowded[i] = 77 << 16;
    }
    for order in &[Order::ascending(), Order::descending()] {
        for paired in [false, true] {
            of(&sorter, &spread, paired, order, "spread");
            of(&sorter, &large, paired, order, "one too large");
            of(&sorter, &crowded, paired, order, "one crowded");
            of(&sorter, &spread[..(1 << 24) + 1], paired, order, "half");
            of(
                &sorter,
                &workload.generate::<i32>(),
                paired,
                order,
                "spread",
            );
            of(
                &sorter,
                &workload.generate::<F32>(),
                paired,
                order,
                "spread",
            );
        }
    }
    in_place_and_by_index(&sorter, &spread);
}

/// The ways to sort that do not leave the input as it is, or make the values.
fn in_place_and_by_index(sorter: &GpuSorter, keys: &[u32]) {
    let expected = sorted(keys);
    let stream = stream();
    let sort = sorter
        .prepare::<u32>(keys.len(), Payload::None, Order::ascending())
        .unwrap();
    let mut workspace = sort.workspace().unwrap();
    let mut buffer = DeviceBuffer::from_slice(keys).unwrap();
    sort.keys_in_place(&mut buffer, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(buffer.as_host_vec().unwrap() == expected);
    // Fewer than are worth it, with the same preparation.
    let few = DeviceBuffer::from_slice(&keys[..100_000]).unwrap();
    let mut output = DeviceBuffer::from_slice(&keys[..100_000]).unwrap();
    sort.keys(&few, &mut output, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(output.as_host_vec().unwrap() == sorted(&keys[..100_000]));

    let sort = sorter
        .prepare::<u32>(keys.len(), Payload::Index, Order::ascending())
        .unwrap();
    let mut workspace = sort.workspace().unwrap();
    let input = DeviceBuffer::from_slice(keys).unwrap();
    let mut indices = DeviceBuffer::from_slice(keys).unwrap();
    sort.indices(&input, &mut buffer, &mut indices, &mut workspace, &stream)
        .unwrap();
    stream.synchronize().unwrap();
    assert!(buffer.as_host_vec().unwrap() == expected);
    let indices = indices.as_host_vec().unwrap();
    let follows = |pair: &[u32]| {
        let (a, b) = (keys[pair[0] as usize], keys[pair[1] as usize]);
        a < b || a == b && pair[0] < pair[1]
    };
    assert!(indices.windows(2).all(follows));
    assert!(keys[indices[0] as usize] == expected[0]);
}
