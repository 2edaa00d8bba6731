//! Counts the keys of a sorted array that are below given ones, many at once.
//!
//! A sort over several devices cuts their sorted parts where the result of one device ends and
//! that of the next begins. The key there is found bit by bit, from the highest: of all candidates
//! for the next few bits at once, each device tells how many of its keys are below.

use crate::grid::each;
use crate::key::Key;
use cuda_std::ext::*;

/// The arguments. A key's word, in which keys ascend as unsigned integers, is its bits with
/// `magnitude` complemented where the highest one is set, combined with `order_mask`.
#[derive(Clone, Copy)]
pub struct Ranks<K> {
    /// `n` keys in order.
    pub keys: Global<K>,
    pub n: u32,
    /// `count` words whose lowest `bits + shift` bits are clear.
    pub lows: Global<K>,
    pub count: u32,
    pub bits: u32,
    pub shift: u32,
    pub order_mask: K,
    /// As in [`Merge`](crate::merge::Merge).
    pub magnitude: K,
    /// For each of `lows`, and each of its `1 << bits` candidates, which have `bits` bits from
    /// `shift` on set to 0, 1, ..: the keys whose words are less.
    pub ranks: Global<u32>,
}

/// The kernel. Any grid.
#[inline(always)]
pub unsafe fn ranks<K: Key>(arg: Ranks<K>) {
    each((arg.count as u64) << arg.bits, |i| {
        let candidate = K::from_u64(i as u64 & ((1 << arg.bits) - 1)) << arg.shift;
        let candidate = arg.lows.get(i >> arg.bits) | candidate;
        let (mut low, mut high) = (0, arg.n);
        while low < high {
            let middle = low + (high - low) / 2;
            let key = arg.keys.get(middle as usize);
            if key ^ (key.sign() & arg.magnitude) ^ arg.order_mask < candidate {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        arg.ranks.set(i, low);
    });
}
