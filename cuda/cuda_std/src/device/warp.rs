//! Warp operations that are more than one intrinsic.

#[cfg(not(target_feature = "sm_80"))]
use super::intrinsics as nv;
use core::arch::asm;

/// A reduction where there is no instruction for it: lane by lane.
#[cfg(not(target_feature = "sm_80"))]
#[inline(always)]
pub(crate) fn reduce(mask: u32, value: u32, combine: impl Fn(u32, u32) -> u32) -> u32 {
    let lowest = |lanes: u32| nv::shuffle_idx(mask, value, lanes.trailing_zeros(), 31);
    let mut reduced = lowest(mask);
    let mut rest = mask & (mask - 1);
    while rest != 0 {
        reduced = combine(reduced, lowest(rest));
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
#[inline(always)]
pub(crate) fn match_digit(digit: u32, ones: u32) -> u32 {
    let mask: u32;
    // SAFETY: every lane of the warp takes part, as `match_digit` asks.
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
