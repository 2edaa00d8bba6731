//! Prefix sums and reductions over a warp. All 32 lanes call.

use cuda_std::ext::*;
use cuda_std::prelude::*;

/// The sum of `value` over this lane and those below it.
#[inline(always)]
pub fn warp_inclusive(value: u32, lane: u32) -> u32 {
    group_inclusive(32, value, lane)
}

/// The sum of `value` over this lane and those below it in its group of so many, a power of two.
#[inline(always)]
pub fn group_inclusive(lanes: u32, value: u32, lane: u32) -> u32 {
    let mut sum = value;
    let mut delta = 1;
    while delta < lanes {
        let below = lanes::shuffle_up(lanes::FULL, sum, delta);
        if lane % lanes >= delta {
            sum += below;
        }
        delta *= 2;
    }
    sum
}

/// The sum of what earlier warps of the block have left in `sums`, a word each, before a barrier.
#[inline(always)]
pub unsafe fn sum_of_earlier(sums: Shared<u32>, warp: u32, warps: usize) -> u32 {
    let lane = thread::thread_idx_x() % 32;
    let sum = if (lane as usize) < warps { sums.get(lane as usize) } else { 0 };
    let before = warp_inclusive(sum, lane) - sum;
    lanes::shuffle_idx(lanes::FULL, before, warp)
}

/// [`warp_inclusive`] in 64 bits.
#[inline(always)]
pub fn warp_inclusive_wide(value: u64, lane: u32) -> u64 {
    let mut sum = value;
    let mut delta = 1;
    while delta < 32 {
        let below = halves(sum, |half| lanes::shuffle_up(lanes::FULL, half, delta));
        if lane >= delta {
            sum += below;
        }
        delta *= 2;
    }
    sum
}

/// The sum of `value`, wrapping, over the warp, in every lane.
#[inline(always)]
pub fn warp_sum(value: u64) -> u64 {
    let mut sum = value;
    let mut distance = 16;
    while distance > 0 {
        sum = sum.wrapping_add(exchanged(sum, distance));
        distance /= 2;
    }
    sum
}

/// The greatest `value` of the warp, in every lane.
#[inline(always)]
pub fn warp_most(value: u64) -> u64 {
    let mut most = value;
    let mut distance = 16;
    while distance > 0 {
        most = most.max(exchanged(most, distance));
        distance /= 2;
    }
    most
}

/// The bits that `value` has in any lane, in every lane.
#[inline(always)]
pub fn warp_or(value: u32) -> u32 {
    let mut bits = value;
    let mut distance = 16;
    while distance > 0 {
        bits |= lanes::shuffle_xor(lanes::FULL, bits, distance);
        distance /= 2;
    }
    bits
}

/// Leaves the bits that `value` has in any lane for [`block_or`]: two words for each warp.
#[inline(always)]
pub unsafe fn leave_or(value: u64, words: Shared<u32>) {
    let (lane, warp) = (thread::thread_idx_x() as usize % 32, thread::thread_idx_x() as usize / 32);
    let of_warp = halves(value, warp_or);
    if lane == 0 {
        words.set(2 * warp, of_warp as u32);
        words.set(2 * warp + 1, (of_warp >> 32) as u32);
    }
}

/// The bits that were left by any of so many warps, behind a barrier, in every thread.
#[inline(always)]
pub unsafe fn block_or(warps: usize, words: Shared<u32>) -> u64 {
    let lane = thread::thread_idx_x() as usize % 32;
    let word = |half: usize| if lane < warps { words.get(2 * lane + half) } else { 0 };
    halves(word(0) as u64 | (word(1) as u64) << 32, warp_or)
}

#[inline(always)]
fn exchanged(value: u64, distance: u32) -> u64 {
    halves(value, |half| lanes::shuffle_xor(lanes::FULL, half, distance))
}

#[inline(always)]
fn halves(value: u64, shuffle: impl Fn(u32) -> u32) -> u64 {
    shuffle(value as u32) as u64 | (shuffle((value >> 32) as u32) as u64) << 32
}
