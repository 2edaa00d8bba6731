//! Sorts of many segments of one array.

use std::sync::Arc;

use cust::memory::DeviceBuffer;
use host::gpu::segments::LONGEST_IN_A_BLOCK;
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order};
use sort_cases::Case;
use suite::Registry;

use crate::keys;
use crate::list::{call, keys_of, order, words};

/// Segments of lengths about those at which a sort changes, with keys outside of them, of
/// every type of 4 and 8 bytes.
pub(crate) fn segments_are_sorted_each_by_itself(device: Arc<Device>) {
    fn of<K: GpuKey>(sorter: &GpuSorter) {
        if ![32, 64].contains(&K::TYPE.bits) {
            return;
        }
        for (seed, most) in
            [8, 16, 33, 257, 1025, 4097, LONGEST_IN_A_BLOCK + 2, 100_000].into_iter().enumerate()
        {
            let offsets = offsets(300_000, most, seed as u64);
            for descending in [false, true] {
                check::<K>(sorter, &offsets, descending);
            }
        }
    }
    let sorter = GpuSorter::new(device);
    sort_cases::for_every_type!(call of (&sorter));
}

/// Equal segments of very many keys, and none at all.
pub(crate) fn many_segments_and_none_are_sorted(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let n = 1 << 22;
    for length in [1, 7, 16, 200, 2048] {
        let offsets: Vec<u32> = (0..=n as u32 / length).map(|i| i * length).collect();
        check::<u32>(&sorter, &offsets, false);
    }
    check::<u32>(&sorter, &[0], false);
    check::<u64>(&sorter, &[5, 5, 5], false);
}

/// Each is one error that names the first wrong segment, and no key moves.
pub(crate) fn wrong_offsets_are_refused(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let words = keys::<u32>(100_000);
    let mut array = DeviceBuffer::from_slice(&words).unwrap();
    for (offsets, message) in [
        (vec![0, 50_000, 49_999, 100_000], "segment 1 is 50000..49999 of 100000 keys"),
        (vec![0, 10, 20, 100_001], "segment 2 is 20..100001 of 100000 keys"),
        (vec![u32::MAX, 0], "segment 0 is 4294967295..0 of 100000 keys"),
    ] {
        let offsets = DeviceBuffer::from_slice(&offsets).unwrap();
        let error = sorter.segments(&mut array, &offsets, Order::ascending()).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(array.as_host_vec().unwrap() == words);
    }
    let offsets = DeviceBuffer::from_slice(&[0, 1]).unwrap();
    let refused = |order| sorter.segments(&mut array.index(..), &offsets, order).unwrap_err();
    let error = refused(Order::ascending().bits(0..8)).to_string();
    assert!(error.contains("takes all bits"), "{error}");
    let mut bytes = DeviceBuffer::from_slice(&[2u8, 1]).unwrap();
    let error = sorter.segments(&mut bytes, &offsets, Order::ascending()).unwrap_err();
    assert!(error.to_string().contains("segments of u8 keys"), "{error}");
}

/// Segments of one length and of drawn ones, of which many are empty, and some so long that the
/// host has them sorted.
pub(crate) fn cases_of_segments_are_verified(_: Arc<Device>) {
    let registry = Registry::new(7);
    for group in ["segments", "ragged"] {
        for (input, level) in [
            ("u32-uniform-1000000", 50_000),
            ("f32-special-1000000", 500),
            ("u64-few-distinct-1000000", 7),
            ("i32-uniform-1000", 5000),
            ("u32-uniform-1", 3),
        ] {
            let case = format!("{group}/{input}/gpu/{level}").parse().unwrap();
            registry.build(&case).unwrap().sample(2).unwrap();
        }
    }
}

/// The clock runs while the host has such a segment sorted.
pub(crate) fn long_segments_are_timed(_: Arc<Device>) {
    let registry = Registry::new(7);
    let seconds = |name: &str| {
        let mut runner = registry.build(&name.parse().unwrap()).unwrap();
        runner.sample(5).unwrap().device_s.unwrap()
    };
    let one = seconds("device/u32-uniform/gpu/1/16777216");
    let segment = seconds("segments/u32-uniform-16777216/gpu/1");
    assert!(2.0 * segment > one, "a sort takes {one} s, a segment {segment} s");
}

fn offsets(n: u32, most: usize, mut state: u64) -> Vec<u32> {
    let mut offsets = vec![3];
    let mut end = 3;
    while offsets.len() < 20_000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        end += ((state >> 33) % (most as u64 + 1)) as u32;
        if end > n {
            break;
        }
        offsets.push(end);
    }
    offsets
}

/// Sorts by the kernels, and by the standard library segment by segment.
#[track_caller]
fn check<K: GpuKey>(sorter: &GpuSorter, offsets: &[u32], descending: bool) {
    let n = offsets.last().map_or(0, |&end| end as usize) + 5;
    let case = Case { descending, ..Case::uniform(K::TYPE, n, 1) };
    let mut expected = case.keys();
    for bounds in offsets.windows(2) {
        let segment = &mut expected[bounds[0] as usize..bounds[1] as usize];
        let sorted: Vec<u128> = case.expected(segment).into_iter().map(|i| segment[i]).collect();
        segment.copy_from_slice(&sorted);
    }
    let mut array = DeviceBuffer::from_slice(&keys_of::<K>(&case)).unwrap();
    let borders = DeviceBuffer::from_slice(offsets).unwrap();
    sorter.segments(&mut array, &borders, order(&case)).unwrap();
    let found = words(&array.as_host_vec().unwrap());
    let differs = (0..n).find(|&i| found[i] != expected[i]);
    assert!(differs.is_none(), "{case}, {} segments: differs at {differs:?}", offsets.len() - 1);
}
