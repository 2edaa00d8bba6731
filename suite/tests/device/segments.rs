//! Sorts of many segments of one array.

use std::sync::Arc;

use cust::memory::DeviceBuffer;
use host::Error;
use host::gpu::segments::LONGEST_IN_A_BLOCK;
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order, Payload, SegmentSort, Workspace};
use sort_cases::{Case, Distribution, KeyType, Sorted};
use suite::Registry;

use crate::list::{call, keys_of, order, words};
use crate::{get, keys, stream};

/// Segments of lengths about those at which a sort changes, with keys outside of them.
pub(crate) fn segments_are_sorted_each_by_itself(device: Arc<Device>) {
    fn of<K: GpuKey>(sorter: &GpuSorter) {
        for (seed, most) in
            [8, 16, 33, 257, 1025, 4097, LONGEST_IN_A_BLOCK + 2, 100_000].into_iter().enumerate()
        {
            let offsets = offsets(300_000, most, seed as u64);
            for descending in [false, true] {
                let case = Case { descending, ..Case::uniform(K::TYPE, 0, 1) };
                check::<K>(sorter, &offsets, case);
            }
        }
    }
    let sorter = GpuSorter::new(device);
    sort_cases::for_every_type!(call of (&sorter));
}

/// Every type, payload and distribution, by all bits, by some, and by value.
pub(crate) fn segments_are_sorted_with_every_payload_and_order(device: Arc<Device>) {
    fn of<K: GpuKey>(sorter: &GpuSorter) {
        let mut seed = K::TYPE.bits as u64;
        for (payload, _) in Payload::ALL {
            for (distribution, _) in Distribution::ALL {
                let case = Case { payload, distribution, ..Case::uniform(K::TYPE, 0, seed) };
                let offsets = offsets(20_000, [3, 16, 700, 30_000][seed as usize % 4], seed);
                let descending = seed.is_multiple_of(3);
                let bits = (2, K::TYPE.bits - 1);
                for case in [case, Case { descending, ..case }, Case { bits, ..case }] {
                    check::<K>(sorter, &offsets, case);
                }
                if K::TYPE.is_float() {
                    check::<K>(sorter, &offsets, Case { numeric: true, descending, ..case });
                }
                seed += 1;
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
        check::<u32>(&sorter, &offsets, Case::uniform(KeyType::U32, 0, 1));
    }
    for (payload, _) in Payload::ALL {
        for offsets in [&[0][..], &[5, 5, 5], &[0, 9], &[0, 0, 7, 7, 9, 9], &[2; 1 << 16]] {
            let case = |key| Case { payload, ..Case::uniform(key, 0, 1) };
            check::<u32>(&sorter, offsets, case(KeyType::U32));
            check::<u64>(&sorter, offsets, case(KeyType::U64));
            check::<u8>(&sorter, offsets, case(KeyType::U8));
        }
    }
}

/// By kernels of segments, whose counts the sort before has cleared, and by whole sorts.
pub(crate) fn sorts_of_segments_share_a_workspace(device: Arc<Device>) {
    let stream = stream();
    let words = keys::<u32>(10_000);
    let offsets = DeviceBuffer::from_slice(&[0, 3000, 10_000]).unwrap();
    let prepare = |payload| {
        SegmentSort::<u32>::new(device.clone(), words.len(), 2, payload, Order::ascending())
    };
    let alone = prepare(Payload::None).unwrap();
    let indexed = prepare(Payload::Index).unwrap();
    let (input, mut workspace) =
        (DeviceBuffer::from_slice(&words).unwrap(), indexed.workspace().unwrap());
    for turn in 0..6 {
        let mut array = DeviceBuffer::from_slice(&words).unwrap();
        let mut indices = DeviceBuffer::from_slice(&words).unwrap();
        let enqueued = match turn % 3 {
            2 => {
                let to = (&mut array, &mut indices);
                indexed.indices(&input, to.0, to.1, &offsets, &mut workspace, &stream)
            }
            _ => alone.keys_in_place(&mut array, &offsets, &mut workspace, &stream),
        };
        enqueued.unwrap().finish().unwrap();
        let found = get(&array, &stream);
        let sorted = found[..3000].is_sorted() && found[3000..].is_sorted();
        assert!(sorted && found != words, "turn {turn}");
    }
}

/// Each is one error that names the first wrong segment, and no key moves.
pub(crate) fn wrong_offsets_are_refused(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let words = keys::<u32>(100_000);
    let array = DeviceBuffer::from_slice(&words).unwrap();
    for (offsets, message) in [
        (vec![0, 50_000, 49_999, 100_000], "segment 1 is 50000..49999 of 100000 keys"),
        (vec![0, 10, 20, 100_001], "segment 2 is 20..100001 of 100000 keys"),
        (vec![u32::MAX, 0], "segment 0 is 4294967295..0 of 100000 keys"),
    ] {
        let offsets = DeviceBuffer::from_slice(&offsets).unwrap();
        let check = |error: Error| {
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(array.as_host_vec().unwrap() == words);
        };
        let order = Order::ascending;
        check(sorter.segments(&mut array.index(..), &offsets, order()).unwrap_err());
        check(sorter.segments(&mut array.index(..), &offsets, order().bits(1..9)).unwrap_err());
        let (n, count) = (words.len(), offsets.len() - 1);
        let sort =
            SegmentSort::<u32>::new(sorter.device().clone(), n, count, Payload::Index, order());
        let (sort, stream) = (sort.unwrap(), stream());
        let [mut output, mut indices] =
            [1, 2].map(|i| DeviceBuffer::from_slice(&vec![i; n]).unwrap());
        let mut workspace = sort.workspace().unwrap();
        let to = (&mut output, &mut indices);
        let enqueued = sort.indices(&array, to.0, to.1, &offsets, &mut workspace, &stream);
        check(enqueued.unwrap().finish().unwrap_err());
        assert!(get(&output, &stream) == vec![1; n] && get(&indices, &stream) == vec![2; n]);
    }
}

/// Other payloads, lengths and workspaces than a sort is prepared for launch nothing.
pub(crate) fn sorts_of_segments_refuse_what_they_are_not_prepared_for(device: Arc<Device>) {
    let prepare = |n, payload, order| SegmentSort::<u32>::new(device.clone(), n, 1, payload, order);
    let ascending = Order::ascending;
    let refused = prepare(9, Payload::Value(3), ascending()).err();
    assert!(matches!(refused, Some(Error::ValueWidth { width: 3 })));
    let refused = prepare(9, Payload::None, ascending().bits(7..40)).err();
    assert!(matches!(refused, Some(Error::Bits { .. })));
    let refused = prepare(u32::MAX as usize, Payload::Index, ascending()).err();
    assert!(matches!(refused, Some(Error::TooMany { .. })));

    let sort = prepare(9, Payload::Value(4), ascending()).unwrap();
    let mut workspace = sort.workspace().unwrap();
    let mut none = Workspace::over(DeviceBuffer::from_slice(&[0]).unwrap());
    let stream = stream();
    let buffer = |n| DeviceBuffer::from_slice(&vec![7u32; n]).unwrap();
    let (mut keys, values, offsets) = (buffer(9), buffer(9), buffer(2));
    let pairs = |n: usize, m: usize, offsets: &_, workspace: &mut _| {
        let (keys, values) = (&mut keys.index(0..n), &mut values.index(0..m));
        sort.pairs_in_place(keys, values, offsets, workspace, &stream).err()
    };
    let refused = pairs(8, 8, &offsets, &mut workspace);
    assert!(matches!(refused, Some(Error::Capacity { n: 8, capacity: 9 })));
    assert!(matches!(pairs(9, 8, &offsets, &mut workspace), Some(Error::Lengths { .. })));
    assert!(matches!(pairs(9, 9, &buffer(3), &mut workspace), Some(Error::OffsetCount { .. })));
    assert!(matches!(pairs(9, 9, &offsets, &mut none), Some(Error::Workspace { .. })));
    let refused = sort.keys_in_place(&mut keys, &offsets, &mut workspace, &stream).err();
    assert!(matches!(refused, Some(Error::Payload { .. })));
    let (from, mut to) = ((&*buffer(9), &*values), (buffer(9), buffer(8)));
    let to = (&mut *to.0, &mut *to.1);
    let refused = sort.pairs(from, to, &offsets, &mut workspace, &stream).err();
    assert!(matches!(refused, Some(Error::Lengths { .. })));
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
            ("u32+u32-few-distinct-1000000", 50_000),
            ("u32+u32-uniform-1000000", 500),
            ("u32+u32-uniform-1000000", 7),
            ("u64+u32-few-distinct-100000", 300),
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

/// Sorts as many keys as the segments have and some more, by the kernels, and by the standard
/// library segment by segment.
#[track_caller]
fn check<K: GpuKey>(sorter: &GpuSorter, offsets: &[u32], case: Case) {
    let n = offsets.last().map_or(0, |&end| end as usize) + 5;
    let case = Case { n, ..case };
    let (keys, values) = (case.keys(), case.values());
    let mut from: Vec<usize> = (0..n).collect();
    let mut within = vec![u128::from(u32::MAX); n];
    for bounds in offsets.windows(2) {
        let segment = bounds[0] as usize..bounds[1] as usize;
        let order = case.expected(&keys[segment.clone()]);
        for (at, i) in segment.clone().zip(order) {
            (from[at], within[at]) = (segment.start + i, i as u128);
        }
    }
    let expected = Sorted {
        keys: from.iter().map(|&i| keys[i]).collect(),
        payload: match case.payload {
            Payload::None => Vec::new(),
            Payload::Index => within,
            Payload::Value(_) => from.iter().map(|&i| values[i]).collect(),
        },
    };
    let found = match case.payload {
        Payload::Value(8) => sort::<K, u64>(sorter, offsets, &case),
        Payload::Value(16) => sort::<K, u128>(sorter, offsets, &case),
        _ => sort::<K, u32>(sorter, offsets, &case),
    };
    let checked = found.map_err(|error| error.to_string()).and_then(|found| expected.check(&found));
    let count = offsets.len() - 1;
    checked.unwrap_or_else(|failure| panic!("{case}, {count} segments: {failure}"));
}

/// Sorts the case with values of type `V`, if it has any: in place, or for odd seeds apart.
fn sort<K: GpuKey, V: GpuKey>(
    sorter: &GpuSorter,
    offsets: &[u32],
    case: &Case,
) -> Result<Sorted, Error> {
    let keys: Vec<K> = keys_of(case);
    let apart = case.seed % 2 == 1;
    let begun = match apart || case.payload == Payload::Index {
        true => vec![K::from_word(0); keys.len()],
        false => keys.clone(),
    };
    let input = DeviceBuffer::from_slice(&keys).unwrap();
    let mut array = DeviceBuffer::from_slice(&begun).unwrap();
    let offsets = DeviceBuffer::from_slice(offsets).unwrap();
    if case.payload == Payload::None && !apart {
        sorter.segments(&mut array, &offsets, order(case))?;
        return Ok(Sorted { keys: words(&array.as_host_vec().unwrap()), payload: Vec::new() });
    }
    let (n, count) = (keys.len(), offsets.len() - 1);
    let device = sorter.device().clone();
    let sort = SegmentSort::<K>::new(device, n, count, case.payload, order(case))?;
    let (mut workspace, stream) = (sort.workspace()?, stream());
    let payload = if case.payload == Payload::None {
        sort.keys(&input, &mut array, &offsets, &mut workspace, &stream)?.finish()?;
        Vec::new()
    } else if case.payload == Payload::Index {
        let mut indices = DeviceBuffer::from_slice(&vec![u32::MAX; n]).unwrap();
        let to = (&mut array, &mut indices);
        sort.indices(&input, to.0, to.1, &offsets, &mut workspace, &stream)?.finish()?;
        words(&get(&indices, &stream))
    } else {
        let given: Vec<V> = case.values().into_iter().map(V::from_word).collect();
        let mut values = DeviceBuffer::from_slice(&given).unwrap();
        if apart {
            let mut moved = DeviceBuffer::from_slice(&vec![V::from_word(0); n]).unwrap();
            let (from, to) = ((&*input, &*values), (&mut *array, &mut *moved));
            sort.pairs(from, to, &offsets, &mut workspace, &stream)?.finish()?;
            words(&get(&moved, &stream))
        } else {
            sort.pairs_in_place(&mut array, &mut values, &offsets, &mut workspace, &stream)?
                .finish()?;
            words(&get(&values, &stream))
        }
    };
    assert!(words(&get(&input, &stream)) == words(&keys), "{case}: the input changed");
    Ok(Sorted { keys: words(&get(&array, &stream)), payload })
}
