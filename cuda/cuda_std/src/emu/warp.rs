//! What the 32 lanes of a warp do together.
//!
//! `mask` names the lanes that take part; each of them must call, with the same
//! mask. Only [`sync_warp`] orders memory: a shuffle or a vote does not.

use super::collective::{Operation, Reduction};
use super::launch::current;
use std::panic::Location;

/// Every lane.
pub const FULL: u32 = !0;

#[track_caller]
fn collective(operation: Operation, mask: u32, value: u32, argument: u32) -> u32 {
    let at = Location::caller();
    current(|launch| launch.collective(operation, mask, value, argument, at))
}

/// This thread's place in its warp, `0..32`.
pub fn lane_id() -> u32 {
    current(|launch| launch.me().thread % 32)
}

/// The lanes below this one.
pub fn lane_mask_lt() -> u32 {
    (1 << lane_id()) - 1
}

/// The lanes above this one.
pub fn lane_mask_gt() -> u32 {
    !lane_mask_lt() ^ (1 << lane_id())
}

/// The lanes that happen to run together here. For nothing but reports: the
/// emulator answers with any set of lanes that this one is in.
pub fn active_mask() -> u32 {
    current(|launch| launch.active_mask())
}

/// Waits for the lanes of `mask`, and makes what each wrote before it visible to
/// all of them after it.
#[track_caller]
pub fn sync_warp(mask: u32) {
    collective(Operation::SyncWarp, mask, 0, 0);
}

/// The value that `lane` holds.
#[track_caller]
pub fn shuffle_idx(mask: u32, value: u32, lane: u32) -> u32 {
    collective(Operation::ShuffleIdx, mask, value, lane)
}

/// The value of the lane `delta` below; a lane that has none keeps its own.
#[track_caller]
pub fn shuffle_up(mask: u32, value: u32, delta: u32) -> u32 {
    collective(Operation::ShuffleUp, mask, value, delta)
}

/// The value of the lane `delta` above; a lane that has none keeps its own.
#[track_caller]
pub fn shuffle_down(mask: u32, value: u32, delta: u32) -> u32 {
    collective(Operation::ShuffleDown, mask, value, delta)
}

/// The value of the lane whose number differs by `lane_mask`.
#[track_caller]
pub fn shuffle_xor(mask: u32, value: u32, lane_mask: u32) -> u32 {
    collective(Operation::ShuffleXor, mask, value, lane_mask)
}

/// The lanes in which `predicate` holds.
#[track_caller]
pub fn ballot(mask: u32, predicate: bool) -> u32 {
    collective(Operation::Ballot, mask, predicate as u32, 0)
}

/// Whether `predicate` holds in any lane of `mask`.
#[track_caller]
pub fn any(mask: u32, predicate: bool) -> bool {
    collective(Operation::Any, mask, predicate as u32, 0) != 0
}

/// Whether `predicate` holds in every lane of `mask`.
#[track_caller]
pub fn all(mask: u32, predicate: bool) -> bool {
    collective(Operation::All, mask, predicate as u32, 0) != 0
}

/// The lanes that hold the same value as this one.
#[track_caller]
pub fn match_any(mask: u32, value: u32) -> u32 {
    collective(Operation::MatchAny, mask, value, 0)
}

/// The sum, wrapping, of the values that the lanes of `mask` hold.
#[track_caller]
pub fn reduce_add(mask: u32, value: u32) -> u32 {
    collective(Operation::Reduce(Reduction::Add), mask, value, 0)
}

/// The least of the values that the lanes of `mask` hold.
#[track_caller]
pub fn reduce_min(mask: u32, value: u32) -> u32 {
    collective(Operation::Reduce(Reduction::Min), mask, value, 0)
}

/// The greatest of the values that the lanes of `mask` hold.
#[track_caller]
pub fn reduce_max(mask: u32, value: u32) -> u32 {
    collective(Operation::Reduce(Reduction::Max), mask, value, 0)
}

/// The bits that are set in all lanes of `mask`.
#[track_caller]
pub fn reduce_and(mask: u32, value: u32) -> u32 {
    collective(Operation::Reduce(Reduction::And), mask, value, 0)
}

/// The bits that are set in any lane of `mask`.
#[track_caller]
pub fn reduce_or(mask: u32, value: u32) -> u32 {
    collective(Operation::Reduce(Reduction::Or), mask, value, 0)
}

/// The bits that are set in an odd number of lanes of `mask`.
#[track_caller]
pub fn reduce_xor(mask: u32, value: u32) -> u32 {
    collective(Operation::Reduce(Reduction::Xor), mask, value, 0)
}

/// The lanes of the full warp whose low 8 bits of `digit` equal this lane's.
/// `ones` must be [`all_ones`].
#[track_caller]
pub fn match_digit(digit: u32, ones: u32) -> u32 {
    assert_eq!(ones, !0, "match_digit: `ones` has to come from all_ones()");
    collective(Operation::MatchDigit, FULL, digit & 0xff, 0)
}

/// `!0`, for [`match_digit`].
pub fn all_ones() -> u32 {
    !0
}

/// `a` in the low half and `b` in the high half of one word.
pub fn pack_halves(a: u32, b: u32) -> u32 {
    (a & 0xffff) | b << 16
}
