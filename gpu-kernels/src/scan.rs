//! Prefix sums over a warp and over a block.

use cuda_std::prelude::*;

/// The sum of `value` over this lane and those below it. All 32 lanes call.
#[inline(always)]
pub fn warp_inclusive(value: u32, lane: u32) -> u32 {
    let mut sum = value;
    let mut delta = 1;
    while delta < 32 {
        let below = warp::shuffle_up(warp::FULL, sum, delta);
        if lane >= delta {
            sum += below;
        }
        delta *= 2;
    }
    sum
}

/// The sum of `value` over the lanes of a warp, in every lane.
#[inline(always)]
pub fn warp_sum(value: u64) -> u64 {
    let mut sum = value;
    let mut distance = 16;
    while distance > 0 {
        let low = warp::shuffle_xor(warp::FULL, sum as u32, distance);
        let high = warp::shuffle_xor(warp::FULL, (sum >> 32) as u32, distance);
        sum = sum.wrapping_add(low as u64 | (high as u64) << 32);
        distance /= 2;
    }
    sum
}
