//! Sorts of keys enough to go by bucket.

use std::sync::Arc;

use cust::memory::DeviceBuffer;
use host::gpu::{Device, GpuSorter, Order, Payload, Resident};
use sort_cases::{Case, KeyType};
use suite::key::{F32, Key};
use suite::workload::{Distribution, Workload};

use crate::list::every_way;
use crate::{get, sorted, stream};

/// Keys of 4 bytes enough to be sorted by bucket: evenly spread, so that each is sorted
/// locally, and poisoned in some way.
pub(crate) fn buckets_are_sorted_locally_or_not(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let workload = uniform((1 << 25) + 17);
    let spread = workload.generate::<u32>().unwrap();
    let wide = workload.generate::<u64>().unwrap();
    for order in &[Order::ascending(), Order::descending()] {
        sorts(&sorter, &spread, order, "spread");
        sorts(&sorter, &spread[..(1 << 24) + 1], order, "half");
        sorts(&sorter, &workload.generate::<i32>().unwrap(), order, "spread");
        sorts(&sorter, &workload.generate::<F32>().unwrap(), order, "spread");
        for (what, poison) in POISONED {
            let poisoned = poisoned(&wide, poison, |key| (key >> 32) as u32);
            sorts(&sorter, &poisoned, order, what);
        }
    }
    in_place_and_by_index(&sorter, &spread);
}

/// The same of 8 bytes, by every shape of the local sort but the largest.
pub(crate) fn wide_buckets_are_sorted_locally_or_not(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let keys = uniform((1 << 26) + 5).generate::<u64>().unwrap();
    for exponent in 23..=26 {
        let keys = &keys[..(1 << exponent) + 5];
        sorts(&sorter, keys, &Order::ascending(), "spread");
    }
    let keys = &keys[..(1 << 23) + 5];
    for order in &[Order::ascending(), Order::descending()] {
        for (what, poison) in POISONED {
            sorts(&sorter, &poisoned(keys, poison, |key| key), order, what);
        }
    }
    other_types(&sorter, keys.len());
}

/// Keys few enough that a block holds what they have of a top digit, of each size of block.
pub(crate) fn top_digits_are_sorted_locally_or_not(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let workload = uniform((1 << 22) + 5);
    let narrow = workload.generate::<u32>().unwrap();
    let wide = workload.generate::<u64>().unwrap();
    for n in [(1 << 21) - 3, (1 << 22) + 5] {
        for order in &[Order::ascending(), Order::descending()] {
            sorts(&sorter, &narrow[..n], order, "spread");
            sorts(&sorter, &wide[..n], order, "spread");
            sorts(&sorter, &workload.generate::<i32>().unwrap()[..n], order, "spread");
            sorts(&sorter, &workload.generate::<F32>().unwrap()[..n], order, "spread");
        }
        for (what, poison) in POISONED.into_iter().chain(POISONED_BY_DIGIT) {
            let poisoned_wide = poisoned(&wide[..n], poison, |key| key);
            sorts(&sorter, &poisoned_wide, &Order::ascending(), what);
            let poisoned = poisoned(&wide[..n], poison, |key| (key >> 32) as u32);
            sorts(&sorter, &poisoned, &Order::descending(), what);
        }
    }
    other_types(&sorter, wide.len());
    in_place_and_by_index(&sorter, &narrow);
}

fn uniform(n: usize) -> Workload {
    Workload { n, distribution: Distribution::Uniform, seed: 25 }
}

/// Sorts keys twice, with values and without.
fn sorts<K: Key>(sorter: &GpuSorter, keys: &[K], order: &Order, what: &str) {
    for paired in [false, true] {
        let payload = Payload::of(paired);
        let mut resident = Resident::new(sorter, keys, payload, order.clone()).unwrap();
        for _ in 0..2 {
            if let Err(error) = resident.verified_sample() {
                panic!("{} {order:?}, {what}, paired {paired}: {error}", K::NAME);
            }
        }
    }
}

/// Sorts `n` keys of types that the suite has not.
fn other_types(sorter: &GpuSorter, n: usize) {
    every_way::<i64>(sorter, &Case::uniform(KeyType::I64, n, 25));
    let descending = Case { descending: true, ..Case::uniform(KeyType::F64, n, 25) };
    every_way::<f64>(sorter, &descending);
}

/// Changes key number `i` of `n`.
type Poison = fn(i: usize, n: usize, key: u64) -> u64;

/// Keys that are not sorted by bucket, or not by the first rounds, and why.
const POISONED: [(&str, Poison); 7] = [
    ("one bucket too large", |i, _, key| match i % 9973 {
        // Several times what a block holds.
        0 => key >> 16 | 77 << 48,
        _ => key,
    }),
    ("one contended", |i, _, key| match i % 20 {
        0 => 77 << 48,
        _ => key,
    }),
    ("contended later", |i, n, key| match i < n / 2 {
        true => key,
        false => key >> 16 | 77 << 48,
    }),
    ("sorted later", |i, n, key| match i < n / 2 {
        true => key,
        false => ((i as u128) << 64).wrapping_div(n as u128) as u64,
    }),
    ("spread in a sample alone", |i, n, key| match i % ((n - 1) / 1024) {
        0 => key,
        _ => key >> 16 | 77 << 48,
    }),
    ("lower bits alike", |_, _, key| key & !0xffff_ffff_ffff),
    ("middle bits alike but in pairs", |_, _, key| {
        // As spread as a sample sees, and all of a bucket in two values.
        let bucket = key >> 48;
        let middle = ((bucket * 0x9e37_79b9) ^ (key & 1)) & 0xff_ffff;
        bucket << 48 | middle << 24 | key & 0xff_ffff
    }),
];

/// The same of keys that are sorted by their top digit.
const POISONED_BY_DIGIT: [(&str, Poison); 4] = [
    ("one digit too large", |i, _, key| match i % 16 {
        0 => key >> 8 | 77 << 56,
        _ => key,
    }),
    ("one key a top digit", |_, _, key| (key >> 56) * 0x0101_0101_0101_0101),
    ("few below the top digit", |_, _, key| key & 0xff << 56 | ((key % 3) * 0x2_0304_0506_0708)),
    ("in order below the top digit", |i, _, key| key & 0xff << 56 | (i as u64) << 30),
];

fn poisoned<K>(keys: &[u64], poison: Poison, narrow: fn(u64) -> K) -> Vec<K> {
    let n = keys.len();
    let keys = keys.iter().enumerate();
    keys.map(|(i, &key)| narrow(poison(i, n, key))).collect()
}

/// Every way to sort, and fewer keys than are worth it with the same preparation.
fn in_place_and_by_index(sorter: &GpuSorter, keys: &[u32]) {
    every_way::<u32>(sorter, &Case::uniform(KeyType::U32, keys.len(), 25));
    let stream = stream();
    let sort = sorter.prepare::<u32>(keys.len(), Payload::None, Order::ascending()).unwrap();
    let mut workspace = sort.workspace().unwrap();
    for keys in [keys, &keys[..100_000]] {
        let input = DeviceBuffer::from_slice(keys).unwrap();
        let mut output = DeviceBuffer::from_slice(keys).unwrap();
        sort.keys(&input, &mut output, &mut workspace, &stream).unwrap();
        assert!(get(&output, &stream) == sorted(keys));
    }
}
