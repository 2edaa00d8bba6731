//! Warp operations on values of every width, under the names and with the parts of a warp that
//! Rust-CUDA has.
#![allow(clippy::missing_safety_doc)] // The contract is that of `warp`: all lanes of the mask call.

#[cfg(target_os = "cuda")]
use crate::device::intrinsics as nv;
use crate::ext::lanes::{
    match_any, reduce_add, reduce_and, reduce_max, reduce_min, reduce_or, reduce_xor,
};
use crate::warp::lane_id;

/// A value that lanes exchange, a word at a time.
pub trait WarpShuffleValue: Copy {
    /// The value made of what `exchange` returns for each word, lowest first.
    fn exchanged(self, exchange: impl FnMut(u32) -> u32) -> Self;
}

macro_rules! values {
    ($($value:ident: $words:literal;)*) => { $(
        impl WarpShuffleValue for $value {
            #[inline(always)]
            fn exchanged(self, mut exchange: impl FnMut(u32) -> u32) -> Self {
                let mut result = 0;
                for word in 0..$words {
                    let shift = 32 * word;
                    result |= (exchange((self as u128 >> shift) as u32) as u128) << shift;
                }
                result as $value
            }
        }
    )* };
}

values! {
    u8: 1; u16: 1; u32: 1; u64: 2; u128: 4; usize: 2;
    i8: 1; i16: 1; i32: 1; i64: 2; i128: 4; isize: 2;
}

impl WarpShuffleValue for f32 {
    #[inline(always)]
    fn exchanged(self, exchange: impl FnMut(u32) -> u32) -> Self {
        f32::from_bits(self.to_bits().exchanged(exchange))
    }
}

impl WarpShuffleValue for f64 {
    #[inline(always)]
    fn exchanged(self, exchange: impl FnMut(u32) -> u32) -> Self {
        f64::from_bits(self.to_bits().exchanged(exchange))
    }
}

/// Defines a shuffle: its instruction's clamp, and the lane it reads and whether there is one, by
/// the caller's lane, the last lane of its part of the warp, and the argument.
macro_rules! shuffles {
    ($($(#[$doc:meta])* $name:ident($argument:ident), $device:ident, $clamp:literal, |$lane:ident, $first:ident, $last:ident| $source:expr;)*) => { $(
        $(#[$doc])*
        ///
        /// The warp is in parts of `width` lanes, a power of two, and no lane reads another part.
        /// Returns the value, and true if there is such a lane; otherwise the lane's own.
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        pub unsafe fn $name<T: WarpShuffleValue>(mask: u32, value: T, $argument: u32, width: u32) -> (T, bool) {
            let $lane = lane_id();
            let $first = $lane & !(width - 1);
            let $last = $first + (width - 1);
            _ = ($first, $last);
            let (source, exists): (u32, bool) = $source;
            #[cfg(target_os = "cuda")]
            let exchange = |word| {
                _ = source;
                nv::$device(mask, word, $argument, (32 - width) << 8 | $clamp)
            };
            #[cfg(not(target_os = "cuda"))]
            let at = std::panic::Location::caller().into();
            #[cfg(not(target_os = "cuda"))]
            let exchange = |word| {
                use crate::emu::{launch::current, operation::Operation};
                let source = if exists { source } else { $lane };
                current(|launch| launch.collective(Operation::ShuffleIdx, mask, word, source, at))
            };
            (value.exchanged(exchange), exists)
        }
    )* };
}

shuffles! {
    /// The value of the lane whose number differs by `lane_mask`.
    warp_shuffle_xor(lane_mask), shuffle_xor, 31, |lane, first, last| {
        (lane ^ lane_mask, lane ^ lane_mask <= last)
    };
    /// The value of lane `idx` of this part of the warp.
    warp_shuffle_idx(idx), shuffle_idx, 31, |lane, first, last| {
        (first | (idx & (last - first)), true)
    };
    /// The value of the lane `delta` above.
    warp_shuffle_down(delta), shuffle_down, 31, |lane, first, last| {
        (lane.wrapping_add(delta), delta <= last - lane)
    };
    /// The value of the lane `delta` below.
    warp_shuffle_up(delta), shuffle_up, 0, |lane, first, last| {
        (lane.wrapping_sub(delta), delta <= lane - first)
    };
}

/// The lanes of `mask` that hold the same value as this one.
#[inline(always)]
#[cfg_attr(not(target_os = "cuda"), track_caller)]
pub unsafe fn warp_match_any<T: WarpShuffleValue>(mask: u32, value: T) -> u32 {
    let mut same = mask;
    value.exchanged(|word| {
        same &= match_any(mask, word);
        word
    });
    same
}

/// `mask`, if all its lanes hold the same value.
#[inline(always)]
#[cfg_attr(not(target_os = "cuda"), track_caller)]
pub unsafe fn warp_match_all<T: WarpShuffleValue>(mask: u32, value: T) -> Option<u32> {
    // SAFETY: the caller's contract is the same.
    (unsafe { warp_match_any(mask, value) } == mask).then_some(mask)
}

/// The operation of [`warp_reduce`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum WarpReductionOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
}

/// A value that a warp reduces: `u32` or `i32`.
pub trait WarpReduceValue: Copy {
    /// Bits to be complemented, so that values order as unsigned integers.
    const SIGN: u32;
    /// The bits of the value.
    fn to_bits(self) -> u32;
    /// The value of the bits.
    fn from_bits(bits: u32) -> Self;
}

macro_rules! reducible {
    ($($value:ident: $sign:expr;)*) => { $(
        impl WarpReduceValue for $value {
            const SIGN: u32 = $sign;
            #[inline(always)]
            fn to_bits(self) -> u32 {
                self as u32
            }
            #[inline(always)]
            fn from_bits(bits: u32) -> Self {
                bits as $value
            }
        }
    )* };
}
reducible! { u32: 0; i32: 1 << 31; }

/// The reduction by `op` of the values that the lanes of `mask` hold.
#[inline(always)]
#[cfg_attr(not(target_os = "cuda"), track_caller)]
pub unsafe fn warp_reduce<T: WarpReduceValue>(mask: u32, value: T, op: WarpReductionOp) -> T {
    let bits = value.to_bits();
    T::from_bits(match op {
        WarpReductionOp::Add => reduce_add(mask, bits),
        WarpReductionOp::Min => reduce_min(mask, bits ^ T::SIGN) ^ T::SIGN,
        WarpReductionOp::Max => reduce_max(mask, bits ^ T::SIGN) ^ T::SIGN,
        WarpReductionOp::And => reduce_and(mask, bits),
        WarpReductionOp::Or => reduce_or(mask, bits),
        WarpReductionOp::Xor => reduce_xor(mask, bits),
    })
}
