//! Checks a sort where its result lies.
//!
//! Two things make an array the sort of another: it is in order, and it holds the same keys. The
//! first is a comparison of neighbours. For the second every key is hashed and the hashes are
//! added: the sum does not depend on the order, and two different multisets of 64-bit hashes have
//! one sum with a chance of about 2^-64 unless somebody chose them so. Adding the keys themselves
//! would miss every error that keeps the sum, such as one key up and another down.
//!
//! Values that are the indices of their keys show more: that each key came with its own, and that
//! equal keys kept their order. With the order of the keys, that is all there is to a stable
//! sort: where indices of equal keys ascend, none comes twice, and as many as there are keys are
//! then all of them.

use crate::control;
use crate::grid::grid;
use crate::key::Key;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Index of the count of neighbours out of order, in the result's 64-bit words.
pub const DISORDERED: usize = 0;
/// Index of the sum of hashes, wrapping.
pub const HASH: usize = 1;
/// Index of the count of values that are not the index of their key.
pub const FOREIGN: usize = 2;
/// Index of the count of equal neighbours that have changed places.
pub const UNSTABLE: usize = 3;
pub const WORDS: usize = 4;

/// The arguments of a check of order: `n` keys, and the order that `order_mask` and `options` make.
#[derive(Clone, Copy)]
pub struct Verify<K> {
    pub keys: Global<K>,
    pub n: u64,
    pub order_mask: K,
    pub options: u32,
    /// [`WORDS`] words, to which is added what is found.
    pub result: Global<u64>,
}

/// The kernel that checks order. Any grid; whole warps.
#[inline(always)]
pub unsafe fn verify<K: Key>(arg: Verify<K>) {
    let (mut i, step) = grid();
    let n = arg.n as usize;
    let mut disordered = 0;
    let mut sum = 0u64;
    while i < n {
        let key = arg.keys.get(i);
        if i + 1 < n {
            let next = arg.keys.get(i + 1);
            let inverted = if arg.options & control::ENCODE != 0 {
                key.encode() ^ arg.order_mask > next.encode() ^ arg.order_mask
            } else {
                key ^ arg.order_mask > next ^ arg.order_mask
            };
            disordered += inverted as u64;
        }
        sum = sum.wrapping_add(hash(key));
        i += step;
    }
    let disordered = scan::warp_sum(disordered);
    let sum = scan::warp_sum(sum);
    if warp::lane_id() == 0 {
        arg.result.fetch_add(DISORDERED, disordered, Ordering::Relaxed, Scope::Device);
        arg.result.fetch_add(HASH, sum, Ordering::Relaxed, Scope::Device);
    }
}

/// The arguments of a check of values: the sorted `keys` with their `values`, which were the
/// indices of the `n` keys of `input`.
#[derive(Clone, Copy)]
pub struct VerifyValues<K> {
    pub input: Global<K>,
    pub keys: Global<K>,
    pub values: Global<u32>,
    pub n: u64,
    /// [`WORDS`] words, to which is added what is found.
    pub result: Global<u64>,
}

/// The kernel that checks values. Any grid; whole warps.
#[inline(always)]
pub unsafe fn verify_values<K: Key>(arg: VerifyValues<K>) {
    let (mut i, step) = grid();
    let n = arg.n as usize;
    let (mut foreign, mut unstable) = (0, 0);
    while i < n {
        let (key, value) = (arg.keys.get(i), arg.values.get(i));
        let own = (value as usize) < n && arg.input.get(value as usize) == key;
        foreign += !own as u64;
        if i + 1 < n && arg.keys.get(i + 1) == key {
            unstable += (arg.values.get(i + 1) <= value) as u64;
        }
        i += step;
    }
    let foreign = scan::warp_sum(foreign);
    let unstable = scan::warp_sum(unstable);
    if warp::lane_id() == 0 {
        arg.result.fetch_add(FOREIGN, foreign, Ordering::Relaxed, Scope::Device);
        arg.result.fetch_add(UNSTABLE, unstable, Ordering::Relaxed, Scope::Device);
    }
}

/// The hash of a key: each 64-bit half through the finaliser of SplitMix64 (Steele, Lea, Flood
/// 2014), the halves of a wider key one after the other.
#[inline(always)]
pub fn hash<K: Key>(key: K) -> u64 {
    let low = mix(key.to_u64());
    if K::BITS > 64 { mix((key >> (K::BITS - 64)).to_u64() ^ low) } else { low }
}

#[inline(always)]
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
