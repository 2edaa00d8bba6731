//! Expected results for keys of any type, by the standard library's stable
//! sort of their indices.

use std::fmt::Debug;

use cust::memory::{CopyDestination, DeviceBuffer, DeviceCopy, DeviceSlice};
use cust::stream::{Stream, StreamFlags};
use host::gpu::{GpuKey, GpuSorter, Order, Payload};
use rayon::prelude::*;

/// A key that can be shown.
pub(crate) trait Ranked: GpuKey + Debug {
    /// Its place among all, in words that compare as numbers.
    fn rank(self) -> u128 {
        Self::TYPE.rank(self.to_word())
    }
}

impl<K: GpuKey + Debug> Ranked for K {}

/// Calls a function that is generic over the key for the types of `sort_cases::for_every_type!`.
macro_rules! call {
    (
        $of:ident $arguments:tt
        $($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*
    ) => {
        $($of::<$key> $arguments;)*
    };
}
pub(crate) use call;

/// `n` keys of every bit pattern, of which some come more than once.
pub(crate) fn keys<K: Ranked>(n: usize) -> Vec<K> {
    let mut state = 0x1234_5678_9ABC_DEF0_u128;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645) + 1;
            let draw = state ^ (state >> 64);
            K::from_word(if draw.is_multiple_of(5) { draw >> 120 } else { draw })
        })
        .collect()
}

/// The stable sort that the device's is compared with: indices in order.
pub(crate) fn oracle<K: GpuKey>(
    keys: &[K],
    rank: impl Fn(K) -> u128 + Sync,
    descending: bool,
) -> Vec<u32> {
    let mut indices: Vec<u32> = (0..keys.len() as u32).collect();
    let place = |&i: &u32| {
        let rank = rank(keys[i as usize]);
        if descending { !rank } else { rank }
    };
    // By so few keys, other threads are not worth waking.
    if keys.len() < 1 << 16 {
        indices.sort_by_key(place);
    } else {
        indices.par_sort_by_key(place);
    }
    indices
}

pub(crate) fn stream() -> Stream {
    Stream::new(StreamFlags::NON_BLOCKING, None).unwrap()
}

/// Content of a slice once the stream has done all its work.
pub(crate) fn get<T: DeviceCopy + Default>(from: &DeviceSlice<T>, stream: &Stream) -> Vec<T> {
    stream.synchronize().unwrap();
    from.as_host_vec().unwrap()
}

pub(crate) const CHECKED_SORTS: u64 = 3;

/// Sorts keys alone, in place and not, and with their indices; compares all with
/// the indices in order.
pub(crate) fn check<K: Ranked>(sorter: &GpuSorter, keys: &[K], order: Order, expected: &[u32]) {
    let n = keys.len();
    let what = format!("{} keys of {}, {order:?}", n, K::TYPE.name);
    let words = |keys: &[K]| keys.iter().map(|key| key.to_word()).collect::<Vec<_>>();
    let in_order: Vec<u128> = expected.iter().map(|&i| keys[i as usize].to_word()).collect();
    let stream = stream();
    let input = DeviceBuffer::from_slice(keys).unwrap();
    let mut output = DeviceBuffer::from_slice(keys).unwrap();

    let sort = sorter.prepare::<K>(n, Payload::None, order.clone()).unwrap();
    let mut workspace = sort.workspace().unwrap();
    sort.keys(&input, &mut output, &mut workspace, &stream).unwrap();
    assert!(words(&get(&output, &stream)) == in_order, "{what}, out of place");
    assert!(words(&get(&input, &stream)) == words(keys), "{what}, input changed");
    output.copy_from(keys).unwrap();
    sort.keys_in_place(&mut output, &mut workspace, &stream).unwrap();
    assert!(words(&get(&output, &stream)) == in_order, "{what}, in place");

    let sort = sorter.prepare::<K>(n, Payload::Index, order).unwrap();
    let mut workspace = sort.workspace().unwrap();
    let mut indices = DeviceBuffer::from_slice(&vec![u32::MAX; n]).unwrap();
    output.copy_from(keys).unwrap();
    sort.indices(&input, &mut output, &mut indices, &mut workspace, &stream).unwrap();
    assert!(get(&indices, &stream) == expected, "{what}, indices");
    assert!(words(&get(&output, &stream)) == in_order, "{what}, keys of indices");
}
