//! Operations of a warp on 32-bit values, and masks of its lanes.
//!
//! `mask` names the lanes that take part; each of them must call, with the same mask. None of them
//! orders memory. Reductions are one instruction from compute capability 8.0 on, and before it a
//! loop over the lanes.

#[cfg(target_os = "cuda")]
use crate::device::{intrinsics as nv, warp as device};
#[cfg(not(target_os = "cuda"))]
use crate::emu::collective::collective;
#[cfg(not(target_os = "cuda"))]
use crate::emu::operation::{Operation, Reduction};
use crate::warp::lane_id;
#[cfg(target_os = "cuda")]
use core::arch::asm;

/// The value of a special register, read at each call.
#[cfg(target_os = "cuda")]
macro_rules! special_register {
    ($name:literal) => {{
        let value: u32;
        // SAFETY: it only reads the register.
        unsafe { asm!(concat!("mov.u32 {}, ", $name, ";"), out(reg32) value, options(nomem, nostack)) };
        value
    }};
}

/// Every lane.
pub const FULL: u32 = !0;

twins! {
    /// The lanes below this one. It is read at each call and not kept from an earlier
    /// one, which costs less than the register it would hold.
    fn lane_mask_lt() -> u32 {
        special_register!("%lanemask_lt");
        (1 << lane_id()) - 1
    }

    /// The lanes above this one, read like [`lane_mask_lt`].
    fn lane_mask_gt() -> u32 {
        special_register!("%lanemask_gt");
        !lane_mask_lt() ^ (1 << lane_id())
    }

    /// The value that `lane` holds.
    fn shuffle_idx(mask: u32, value: u32, lane: u32) -> u32 {
        nv::shuffle_idx(mask, value, lane, 31);
        collective(Operation::ShuffleIdx, mask, value, lane)
    }

    /// The value of the lane `delta` below; a lane that has none keeps its own.
    fn shuffle_up(mask: u32, value: u32, delta: u32) -> u32 {
        nv::shuffle_up(mask, value, delta, 0);
        collective(Operation::ShuffleUp, mask, value, delta)
    }

    /// The value of the lane `delta` above; a lane that has none keeps its own.
    fn shuffle_down(mask: u32, value: u32, delta: u32) -> u32 {
        nv::shuffle_down(mask, value, delta, 31);
        collective(Operation::ShuffleDown, mask, value, delta)
    }

    /// The value of the lane whose number differs by `lane_mask`.
    fn shuffle_xor(mask: u32, value: u32, lane_mask: u32) -> u32 {
        nv::shuffle_xor(mask, value, lane_mask, 31);
        collective(Operation::ShuffleXor, mask, value, lane_mask)
    }

    /// The lanes in which `predicate` holds.
    fn ballot(mask: u32, predicate: bool) -> u32 {
        nv::ballot(mask, predicate);
        collective(Operation::Ballot, mask, predicate as u32, 0)
    }

    /// Returns true if `predicate` holds in any lane of `mask`.
    fn any(mask: u32, predicate: bool) -> bool {
        nv::any(mask, predicate);
        collective(Operation::Any, mask, predicate as u32, 0) != 0
    }

    /// Returns true if `predicate` holds in every lane of `mask`.
    fn all(mask: u32, predicate: bool) -> bool {
        nv::all(mask, predicate);
        collective(Operation::All, mask, predicate as u32, 0) != 0
    }

    /// The lanes that hold the same value as this one. Slow on recent chips (about
    /// 65 cycles a warp on an H200): see [`match_digit`].
    fn match_any(mask: u32, value: u32) -> u32 {
        nv::match_any(mask, value);
        collective(Operation::MatchAny, mask, value, 0)
    }

    /// The lanes of the full warp whose low 8 bits of `digit` equal this lane's.
    /// `ones` is [`all_ones`].
    ///
    /// On the device the votes stand in `asm!`, which LLVM does not know to be
    /// convergent: it is called in straight-line code only, by every lane of the warp.
    /// The build counts the votes of each kernel.
    fn match_digit(digit: u32, ones: u32) -> u32 {
        device::match_digit(digit, ones);
        {
            assert_eq!(ones, !0, "match_digit: `ones` has to come from all_ones()");
            collective(Operation::MatchDigit, FULL, digit & 0xff, 0)
        }
    }

    /// `!0` as a value the assembler cannot see through, for [`match_digit`].
    fn all_ones() -> u32 {
        lane_mask_lt() | lane_mask_gt() | 1u32.wrapping_shl(lane_id());
        !0
    }

    /// `a` in the low half and `b` in the high half of one word, in one instruction.
    fn pack_halves(a: u32, b: u32) -> u32 {
        nv::permute_bytes(a, b, 0x5410);
        (a & 0xffff) | b << 16
    }
}

/// Defines reductions by name, instruction, and function of two lanes' values.
macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident, $instruction:ident, $combine:expr;)*) => { twins! { $(
        $(#[$doc])*
        fn $name(mask: u32, value: u32) -> u32 {
            {
                #[cfg(target_feature = "sm_80")]
                {
                    nv::$instruction(value, mask)
                }
                #[cfg(not(target_feature = "sm_80"))]
                {
                    device::reduce(mask, value, $combine)
                }
            };
            {
                const REDUCTION: Reduction = Reduction { name: stringify!($name), combine: $combine };
                collective(Operation::Reduce(&REDUCTION), mask, value, 0)
            }
        }
    )* } };
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
