//! What the 32 lanes of a warp do together.
//!
//! `mask` names the lanes that take part; each of them must call, with the same
//! mask. Only [`sync_warp`] orders memory: a shuffle or a vote does not. Reductions
//! are one instruction from compute capability 8.0 on, and before it a loop over the
//! lanes.

use super::intrinsics as nv;
use core::arch::asm;

/// Every lane.
pub const FULL: u32 = !0;

/// This thread's place in its warp, `0..32`.
#[inline(always)]
pub fn lane_id() -> u32 {
    nv::lane_id()
}

/// The lanes below this one. Read where it is called and not kept from an earlier
/// call: it costs less than the register it would hold.
#[inline(always)]
pub fn lane_mask_lt() -> u32 {
    let mask: u32;
    unsafe { asm!("mov.u32 {}, %lanemask_lt;", out(reg32) mask, options(nomem, nostack)) };
    mask
}

/// The lanes above this one. Read like [`lane_mask_lt`].
#[inline(always)]
pub fn lane_mask_gt() -> u32 {
    let mask: u32;
    unsafe { asm!("mov.u32 {}, %lanemask_gt;", out(reg32) mask, options(nomem, nostack)) };
    mask
}

/// The lanes that happen to run together here. For nothing but reports.
#[inline(always)]
pub fn active_mask() -> u32 {
    unsafe { nv::active_mask() }
}

/// Waits for the lanes of `mask`, and makes what each wrote before it visible to
/// all of them after it.
#[inline(always)]
pub fn sync_warp(mask: u32) {
    unsafe { nv::sync_warp(mask) }
}

/// The value that `lane` holds.
#[inline(always)]
pub fn shuffle_idx(mask: u32, value: u32, lane: u32) -> u32 {
    unsafe { nv::shuffle_idx(mask, value, lane, 31) }
}

/// The value of the lane `delta` below; a lane that has none keeps its own.
#[inline(always)]
pub fn shuffle_up(mask: u32, value: u32, delta: u32) -> u32 {
    unsafe { nv::shuffle_up(mask, value, delta, 0) }
}

/// The value of the lane `delta` above; a lane that has none keeps its own.
#[inline(always)]
pub fn shuffle_down(mask: u32, value: u32, delta: u32) -> u32 {
    unsafe { nv::shuffle_down(mask, value, delta, 31) }
}

/// The value of the lane whose number differs by `lane_mask`.
#[inline(always)]
pub fn shuffle_xor(mask: u32, value: u32, lane_mask: u32) -> u32 {
    unsafe { nv::shuffle_xor(mask, value, lane_mask, 31) }
}

/// The lanes in which `predicate` holds.
#[inline(always)]
pub fn ballot(mask: u32, predicate: bool) -> u32 {
    unsafe { nv::ballot(mask, predicate) }
}

/// Whether `predicate` holds in any lane of `mask`.
#[inline(always)]
pub fn any(mask: u32, predicate: bool) -> bool {
    unsafe { nv::any(mask, predicate) }
}

/// Whether `predicate` holds in every lane of `mask`.
#[inline(always)]
pub fn all(mask: u32, predicate: bool) -> bool {
    unsafe { nv::all(mask, predicate) }
}

/// The lanes that hold the same value as this one. Slow on recent chips (about
/// 65 cycles a warp on an H200): see [`match_digit`].
#[inline(always)]
pub fn match_any(mask: u32, value: u32) -> u32 {
    unsafe { nv::match_any(mask, value) }
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident, $instruction:ident, $combine:expr;)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(mask: u32, value: u32) -> u32 {
            #[cfg(target_feature = "sm_80")]
            unsafe {
                nv::$instruction(value, mask)
            }
            #[cfg(not(target_feature = "sm_80"))]
            {
                reduce(mask, value, $combine)
            }
        }
    )* };
}

reductions! {
    /// The sum, wrapping, of the values that the lanes of `mask` hold.
    reduce_add, reduce_add, u32::wrapping_add;
    /// The least of the values that the lanes of `mask` hold.
    reduce_min, reduce_umin, u32::min;
    /// The greatest of the values that the lanes of `mask` hold.
    reduce_max, reduce_umax, u32::max;
    /// The bits that are set in all lanes of `mask`.
    reduce_and, reduce_and, |a, b| a & b;
    /// The bits that are set in any lane of `mask`.
    reduce_or, reduce_or, |a, b| a | b;
    /// The bits that are set in an odd number of lanes of `mask`.
    reduce_xor, reduce_xor, |a, b| a ^ b;
}

/// A reduction where there is no instruction for it: lane by lane.
#[cfg(not(target_feature = "sm_80"))]
#[inline(always)]
fn reduce(mask: u32, value: u32, combine: impl Fn(u32, u32) -> u32) -> u32 {
    let mut reduced = shuffle_idx(mask, value, mask.trailing_zeros());
    let mut rest = mask & (mask - 1);
    while rest != 0 {
        reduced = combine(reduced, shuffle_idx(mask, value, rest.trailing_zeros()));
        rest &= rest - 1;
    }
    reduced
}

/// The tests and ballots of two halves of a digit, one after the other.
#[cfg(target_feature = "sm_90")]
macro_rules! halves {
    ($tests:literal, $ballots:literal, $more_tests:literal, $more_ballots:literal) => {
        concat!($tests, $ballots, $more_tests, $more_ballots)
    };
}

/// The same with all tests first. Half of them move by one instruction then, and kernels of
/// 64 registers do not spill for compute capability 8.0.
#[cfg(not(target_feature = "sm_90"))]
macro_rules! halves {
    ($tests:literal, $ballots:literal, $more_tests:literal, $more_ballots:literal) => {
        concat!($tests, $more_tests, $ballots, $more_ballots)
    };
}

/// The lanes of the full warp whose low 8 bits of `digit` equal this lane's.
///
/// Eight ballots, each inverted where this lane's bit is 0, and their
/// conjunction: 23 instructions. The inversion is a multiply-add (`-v - 1` is
/// `!v`), because on the chips measured LOP3, ISETP and VOTE share a pipe that
/// IMAD leaves free. `ones` is `!0` from [`all_ones`], hidden from the assembler,
/// which would otherwise turn the multiply-add back into LOP3. The bits are tested
/// in two halves: the assembler moves up to seven low bits of a word into predicates
/// by one instruction (R2P), but of eight it tests each by itself.
///
/// The votes stand in `asm!`, which LLVM does not know to be convergent: call
/// this in straight-line code only, where every lane of the warp takes part. The
/// build counts the votes of each kernel.
#[inline(always)]
pub fn match_digit(digit: u32, ones: u32) -> u32 {
    let mask: u32;
    unsafe {
        asm!(
            "{{ .reg .pred p0,p1,p2,p3,p4,p5,p6,p7; .reg .b32 t0,t1,t2,t3,t4,t5,t6,t7,high;",
            halves!(
                "and.b32 t0,{1},1; setp.ne.u32 p0,t0,0; and.b32 t1,{1},2; setp.ne.u32 p1,t1,0;
                 and.b32 t2,{1},4; setp.ne.u32 p2,t2,0; and.b32 t3,{1},8; setp.ne.u32 p3,t3,0;",
                "vote.sync.ballot.b32 t0,p0,-1; vote.sync.ballot.b32 t1,p1,-1;
                 vote.sync.ballot.b32 t2,p2,-1; vote.sync.ballot.b32 t3,p3,-1;
                 @!p0 mad.lo.u32 t0,t0,{2},{2}; @!p1 mad.lo.u32 t1,t1,{2},{2};
                 @!p2 mad.lo.u32 t2,t2,{2},{2}; @!p3 mad.lo.u32 t3,t3,{2},{2};",
                "shr.u32 high,{1},4;
                 and.b32 t4,high,1; setp.ne.u32 p4,t4,0; and.b32 t5,high,2; setp.ne.u32 p5,t5,0;
                 and.b32 t6,high,4; setp.ne.u32 p6,t6,0; and.b32 t7,high,8; setp.ne.u32 p7,t7,0;",
                "vote.sync.ballot.b32 t4,p4,-1; vote.sync.ballot.b32 t5,p5,-1;
                 vote.sync.ballot.b32 t6,p6,-1; vote.sync.ballot.b32 t7,p7,-1;
                 @!p4 mad.lo.u32 t4,t4,{2},{2}; @!p5 mad.lo.u32 t5,t5,{2},{2};
                 @!p6 mad.lo.u32 t6,t6,{2},{2}; @!p7 mad.lo.u32 t7,t7,{2},{2};"
            ),
            "lop3.b32 t0,t0,t1,t2,0x80; lop3.b32 t3,t3,t4,t5,0x80;",
            "lop3.b32 t6,t6,t7,t0,0x80; and.b32 {0},t3,t6; }}",
            out(reg32) mask, in(reg32) digit, in(reg32) ones,
            options(nomem, nostack, preserves_flags)
        );
    }
    mask
}

/// `!0` as a value the assembler cannot see through, for [`match_digit`].
#[inline(always)]
pub fn all_ones() -> u32 {
    lane_mask_lt() | lane_mask_gt() | 1u32.wrapping_shl(lane_id())
}

/// `a` in the low half and `b` in the high half of one word, in one instruction.
#[inline(always)]
pub fn pack_halves(a: u32, b: u32) -> u32 {
    nv::permute_bytes(a, b, 0x5410)
}
