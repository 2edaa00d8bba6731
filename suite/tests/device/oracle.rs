//! What a sort has to make of keys of any type, by the standard library's stable
//! sort of their indices.

use std::fmt::Debug;

use cust::memory::{CopyDestination, DeviceBuffer};
use cust::stream::{Stream, StreamFlags};
use host::gpu::{Bf16, F16, GpuKey, GpuSorter, Order, Payload};
use rayon::prelude::*;

/// A key that knows its place in the order.
pub trait Ranked: GpuKey + Debug {
    /// The key with the lowest bits of `word`.
    fn from_word(word: u128) -> Self;

    /// Its place among all, in words that compare as numbers.
    fn rank(self) -> u128;
}

/// A floating-point number, which has a second order.
pub trait RankedNumber: Ranked {
    /// The same in the order of values.
    fn numeric_rank(self) -> u128;
}

macro_rules! ranked {
    ($($key:ty: $from:expr, $rank:expr;)*) => { $(
        impl Ranked for $key {
            fn from_word(word: u128) -> Self {
                let from: fn(u128) -> $key = $from;
                from(word)
            }

            fn rank(self) -> u128 {
                let rank: fn(u128) -> u128 = $rank;
                rank(self.to_word())
            }
        }
    )* };
}

ranked! {
    u8: |w| w as u8, |w| w;
    u16: |w| w as u16, |w| w;
    u32: |w| w as u32, |w| w;
    u64: |w| w as u64, |w| w;
    u128: |w| w, |w| w;
    i8: |w| w as i8, |w| w ^ (1 << 7);
    i16: |w| w as i16, |w| w ^ (1 << 15);
    i32: |w| w as i32, |w| w ^ (1 << 31);
    i64: |w| w as i64, |w| w ^ (1 << 63);
    i128: |w| w as i128, |w| w ^ (1 << 127);
    F16: |w| F16(w as u16), |w| total(w, 16);
    Bf16: |w| Bf16(w as u16), |w| total(w, 16);
    f32: |w| f32::from_bits(w as u32), |w| total(w, 32);
    f64: |w| f64::from_bits(w as u64), |w| total(w, 64);
}

macro_rules! ranked_numbers {
    ($($key:ty: $bits:literal, $infinity:literal;)*) => { $(
        impl RankedNumber for $key {
            fn numeric_rank(self) -> u128 {
                numeric(self.to_word(), $bits, $infinity)
            }
        }
    )* };
}

ranked_numbers! {
    F16: 16, 0x7C00;
    Bf16: 16, 0x7F80;
    f32: 32, 0x7F80_0000;
    f64: 64, 0x7FF0_0000_0000_0000;
}

/// Calls a function that is generic over the key for every type of key.
macro_rules! for_every_type {
    ($of:ident($($argument:expr),*)) => {{
        $of::<u8>($($argument),*);
        $of::<u16>($($argument),*);
        $of::<u32>($($argument),*);
        $of::<u64>($($argument),*);
        $of::<u128>($($argument),*);
        $of::<i8>($($argument),*);
        $of::<i16>($($argument),*);
        $of::<i32>($($argument),*);
        $of::<i64>($($argument),*);
        $of::<i128>($($argument),*);
        $of::<F16>($($argument),*);
        $of::<Bf16>($($argument),*);
        $of::<f32>($($argument),*);
        $of::<f64>($($argument),*);
    }};
}
pub(crate) use for_every_type;

/// The same for every floating-point type.
macro_rules! for_every_number {
    ($of:ident($($argument:expr),*)) => {{
        $of::<F16>($($argument),*);
        $of::<Bf16>($($argument),*);
        $of::<f32>($($argument),*);
        $of::<f64>($($argument),*);
    }};
}
pub(crate) use for_every_number;

/// The total order of IEEE 754, of a word of `bits`.
fn total(word: u128, bits: u32) -> u128 {
    let sign = 1 << (bits - 1);
    if word & sign == 0 { word | sign } else { !word & (sign | (sign - 1)) }
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

/// `n` keys of every bit pattern, of which some come more than once.
pub fn keys<K: Ranked>(n: usize) -> Vec<K> {
    let mut state = 0x1234_5678_9ABC_DEF0_u128;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645) + 1;
            let draw = state ^ (state >> 64);
            K::from_word(if draw.is_multiple_of(5) { draw >> 120 } else { draw })
        })
        .collect()
}

/// The stable sort that the device's is held against: indices in order.
pub fn oracle<K: GpuKey>(
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

pub fn stream() -> Stream {
    Stream::new(StreamFlags::NON_BLOCKING, None).unwrap()
}

/// Sorts that [`check`] makes.
pub const CHECKED_SORTS: u64 = 3;

/// Sorts keys alone, in place and not, and with their indices; holds all against
/// the indices in order.
pub fn check<K: Ranked>(sorter: &GpuSorter, keys: &[K], order: Order, expected: &[u32]) {
    let n = keys.len();
    let what = format!("{} keys of {}, {order:?}", n, K::LAYOUT.name);
    let words = |keys: &[K]| keys.iter().map(|key| key.to_word()).collect::<Vec<_>>();
    let in_order: Vec<u128> = expected.iter().map(|&i| keys[i as usize].to_word()).collect();
    let stream = stream();
    let input = DeviceBuffer::from_slice(keys).unwrap();
    let mut output = DeviceBuffer::from_slice(keys).unwrap();

    let sort = sorter.prepare::<K>(n, Payload::None, order.clone()).unwrap();
    let mut workspace = sort.workspace().unwrap();
    sort.keys(&input, &mut output, &mut workspace, &stream).unwrap();
    stream.synchronize().unwrap();
    assert!(words(&output.as_host_vec().unwrap()) == in_order, "{what}, out of place");
    assert!(words(&input.as_host_vec().unwrap()) == words(keys), "{what}, input changed");
    output.copy_from(keys).unwrap();
    sort.keys_in_place(&mut output, &mut workspace, &stream).unwrap();
    stream.synchronize().unwrap();
    assert!(words(&output.as_host_vec().unwrap()) == in_order, "{what}, in place");

    let sort = sorter.prepare::<K>(n, Payload::Index, order).unwrap();
    let mut workspace = sort.workspace().unwrap();
    let mut indices = DeviceBuffer::from_slice(&vec![u32::MAX; n]).unwrap();
    output.copy_from(keys).unwrap();
    sort.indices(&input, &mut output, &mut indices, &mut workspace, &stream).unwrap();
    stream.synchronize().unwrap();
    assert!(indices.as_host_vec().unwrap() == expected, "{what}, indices");
    assert!(words(&output.as_host_vec().unwrap()) == in_order, "{what}, keys of indices");
}
