//! The shapes that `cudamark tune` holds against those of [`policy`](crate::policy):
//! neighbours of the ones in use, of each [`Family`], in both ways to rank.
//!
//! Their kernels are compiled on request only (`cfg(sweep)`, which the feature `tune`
//! of the host crate sets for the device): they would double the program and the time
//! to build it. The list is always there. Names are `sweep_kind_key_shape_ranking`, with
//! the shape as threads, items and blocks a multiprocessor.
//!
//! Each line is one kernel, by the macros that make the entry points in use.

#[cfg(all(target_os = "cuda", sweep))]
use crate::{
    key::Bits,
    onesweep, synchronisation,
    tile::{Buffers, Pass, look},
};
#[cfg(all(target_os = "cuda", sweep))]
use cuda_std::prelude::*;

use crate::policy::Shape;

/// What a shape is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Passes of tiles that look back.
    Passes,
    /// Passes of few tiles, which look at each other.
    Few,
    /// The local sort of buckets.
    Local,
}

/// A kernel of a shape that is not necessarily in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name of its kernel.
    pub name: &'static str,
    /// What it does.
    pub family: Family,
    /// Bytes of a key.
    pub width: usize,
    /// With values of 4 bytes.
    pub paired: bool,
    /// How it cuts its input.
    pub shape: Shape,
    /// Ranks by atomics, where the plan says so if there is one.
    pub atomics: bool,
}

/// The shape `$t x $i x $b`.
macro_rules! shape {
    ($t:literal x $i:literal x $b:literal) => {
        Shape {
            threads: $t,
            items: $i,
            blocks: $b,
        }
    };
}

macro_rules! sweep {
    (
        keys { $($keys:ident: $key:ty, $kt:literal x $ki:literal x $kb:literal, $atomics:literal;)* }
        pairs { $($pairs:ident: $first:ty, $pt:literal x $pi:literal x $pb:literal;)* }
        few_keys { $($few:ident: $few_key:ty, $ft:literal x $fi:literal x $fb:literal;)* }
        few_pairs { $($fpairs:ident: $fp_key:ty, $qt:literal x $qi:literal x $qb:literal;)* }
        local_keys { $($local:ident: $local_key:ty, $lt:literal x $li:literal x $lb:literal;)* }
        local_pairs { $($lpairs:ident: $lp_key:ty, $mt:literal x $mi:literal x $mb:literal;)* }
    ) => {
        #[cfg(all(target_os = "cuda", sweep))]
        keys_passes! {
            $($keys: $key, shape!($kt x $ki x $kb), $atomics, look::BACK;)*
            $($few: $few_key, shape!($ft x $fi x $fb), true, look::AROUND;)*
        }

        #[cfg(all(target_os = "cuda", sweep))]
        pairs_passes! {
            $($pairs: $first, shape!($pt x $pi x $pb), look::BACK;)*
            $($fpairs: $fp_key, shape!($qt x $qi x $qb), look::AROUND;)*
        }

        #[cfg(all(target_os = "cuda", sweep, target_feature = "sm_90"))]
        local_sorts! {
            $($local: $local_key, shape!($lt x $li x $lb), false;)*
            $($lpairs: $lp_key, shape!($mt x $mi x $mb), true;)*
        }

        /// All there are.
        pub const CANDIDATES: &[Candidate] = &[
            $(candidate!($keys, Passes, $key, false, shape!($kt x $ki x $kb), $atomics),)*
            $(candidate!($pairs, Passes, $first, true, shape!($pt x $pi x $pb), false),)*
            $(candidate!($few, Few, $few_key, false, shape!($ft x $fi x $fb), true),)*
            $(candidate!($fpairs, Few, $fp_key, true, shape!($qt x $qi x $qb), false),)*
            $(candidate!($local, Local, $local_key, false, shape!($lt x $li x $lb), true),)*
            $(candidate!($lpairs, Local, $lp_key, true, shape!($mt x $mi x $mb), true),)*
        ];
    };
}

macro_rules! candidate {
    ($name:ident, $family:ident, $key:ty, $paired:literal, $shape:expr, $atomics:literal) => {
        Candidate {
            name: stringify!($name),
            family: Family::$family,
            width: size_of::<$key>(),
            paired: $paired,
            shape: $shape,
            atomics: $atomics,
        }
    };
}

sweep! {
    keys {
        sweep_keys_u8_256x17x4_ballots: u8, 256 x 17 x 4, false;
        sweep_keys_u8_512x13x2_ballots: u8, 512 x 13 x 2, false;
        sweep_keys_u8_512x17x2_ballots: u8, 512 x 17 x 2, false;
        sweep_keys_u8_512x17x2_atomics: u8, 512 x 17 x 2, true;
        sweep_keys_u16_384x34x2_atomics: u16, 384 x 34 x 2, true;
        sweep_keys_u16_512x25x2_atomics: u16, 512 x 25 x 2, true;
        sweep_keys_u16_256x35x3_ballots: u16, 256 x 35 x 3, false;
        sweep_keys_u16_512x17x2_ballots: u16, 512 x 17 x 2, false;
        sweep_keys_u16_512x23x2_ballots: u16, 512 x 23 x 2, false;
        sweep_keys_u32_256x8x2_atomics: u32, 256 x 8 x 2, true;
        sweep_keys_u32_256x16x2_atomics: u32, 256 x 16 x 2, true;
        sweep_keys_u32_256x15x3_atomics: u32, 256 x 15 x 3, true;
        sweep_keys_u32_256x23x3_atomics: u32, 256 x 23 x 3, true;
        sweep_keys_u32_384x23x2_atomics: u32, 384 x 23 x 2, true;
        sweep_keys_u32_384x34x2_atomics: u32, 384 x 34 x 2, true;
        sweep_keys_u32_384x35x2_atomics: u32, 384 x 35 x 2, true;
        sweep_keys_u32_512x8x2_atomics: u32, 512 x 8 x 2, true;
        sweep_keys_u32_512x16x1_atomics: u32, 512 x 16 x 1, true;
        sweep_keys_u32_512x16x2_atomics: u32, 512 x 16 x 2, true;
        sweep_keys_u32_512x21x2_atomics: u32, 512 x 21 x 2, true;
        sweep_keys_u32_512x23x2_atomics: u32, 512 x 23 x 2, true;
        sweep_keys_u32_512x24x2_atomics: u32, 512 x 24 x 2, true;
        sweep_keys_u32_512x25x2_atomics: u32, 512 x 25 x 2, true;
        sweep_keys_u32_1024x12x1_atomics: u32, 1024 x 12 x 1, true;
        sweep_keys_u32_256x7x4_ballots: u32, 256 x 7 x 4, false;
        sweep_keys_u32_256x11x4_ballots: u32, 256 x 11 x 4, false;
        sweep_keys_u32_256x15x3_ballots: u32, 256 x 15 x 3, false;
        sweep_keys_u32_256x23x3_ballots: u32, 256 x 23 x 3, false;
        sweep_keys_u32_256x31x3_ballots: u32, 256 x 31 x 3, false;
        sweep_keys_u32_256x33x3_ballots: u32, 256 x 33 x 3, false;
        sweep_keys_u32_256x35x3_ballots: u32, 256 x 35 x 3, false;
        sweep_keys_u32_384x23x2_ballots: u32, 384 x 23 x 2, false;
        sweep_keys_u32_512x23x2_ballots: u32, 512 x 23 x 2, false;
        sweep_keys_u64_256x8x2_atomics: u64, 256 x 8 x 2, true;
        sweep_keys_u64_256x15x3_atomics: u64, 256 x 15 x 3, true;
        sweep_keys_u64_384x15x2_atomics: u64, 384 x 15 x 2, true;
        sweep_keys_u64_384x21x2_atomics: u64, 384 x 21 x 2, true;
        sweep_keys_u64_512x8x2_atomics: u64, 512 x 8 x 2, true;
        sweep_keys_u64_512x11x2_atomics: u64, 512 x 11 x 2, true;
        sweep_keys_u64_512x13x2_atomics: u64, 512 x 13 x 2, true;
        sweep_keys_u64_512x15x2_atomics: u64, 512 x 15 x 2, true;
        sweep_keys_u64_512x16x1_atomics: u64, 512 x 16 x 1, true;
        sweep_keys_u64_256x7x3_ballots: u64, 256 x 7 x 3, false;
        sweep_keys_u64_256x11x3_ballots: u64, 256 x 11 x 3, false;
        sweep_keys_u64_256x15x3_ballots: u64, 256 x 15 x 3, false;
        sweep_keys_u64_512x13x2_ballots: u64, 512 x 13 x 2, false;
        sweep_keys_u64_512x15x2_ballots: u64, 512 x 15 x 2, false;
        sweep_keys_u128_256x7x2_ballots: u128, 256 x 7 x 2, false;
        sweep_keys_u128_256x9x2_ballots: u128, 256 x 9 x 2, false;
        sweep_keys_u128_256x11x2_ballots: u128, 256 x 11 x 2, false;
        sweep_keys_u128_384x9x2_ballots: u128, 384 x 9 x 2, false;
        sweep_keys_u128_512x5x2_ballots: u128, 512 x 5 x 2, false;
        sweep_keys_u128_512x7x2_ballots: u128, 512 x 7 x 2, false;
        sweep_keys_u128_512x7x2_atomics: u128, 512 x 7 x 2, true;
    }
    pairs {
        sweep_pairs_u8_512x13x2_ballots: u8, 512 x 13 x 2;
        sweep_pairs_u8_512x15x2_ballots: u8, 512 x 15 x 2;
        sweep_pairs_u16_256x23x3_ballots: u16, 256 x 23 x 3;
        sweep_pairs_u16_512x15x2_ballots: u16, 512 x 15 x 2;
        sweep_pairs_u16_512x19x2_ballots: u16, 512 x 19 x 2;
        sweep_pairs_u16_512x21x2_ballots: u16, 512 x 21 x 2;
        sweep_pairs_u16_512x23x2_ballots: u16, 512 x 23 x 2;
        sweep_pairs_u16_384x31x2_ballots: u16, 384 x 31 x 2;
        sweep_pairs_u32_256x7x4_ballots: u32, 256 x 7 x 4;
        sweep_pairs_u32_256x8x2_ballots: u32, 256 x 8 x 2;
        sweep_pairs_u32_256x11x4_ballots: u32, 256 x 11 x 4;
        sweep_pairs_u32_256x15x3_ballots: u32, 256 x 15 x 3;
        sweep_pairs_u32_256x23x2_ballots: u32, 256 x 23 x 2;
        sweep_pairs_u32_384x23x2_ballots: u32, 384 x 23 x 2;
        sweep_pairs_u32_512x16x1_ballots: u32, 512 x 16 x 1;
        sweep_pairs_u32_512x17x2_ballots: u32, 512 x 17 x 2;
        sweep_pairs_u32_512x21x2_ballots: u32, 512 x 21 x 2;
        sweep_pairs_u32_512x23x2_ballots: u32, 512 x 23 x 2;
        sweep_pairs_u32_512x24x2_ballots: u32, 512 x 24 x 2;
        sweep_pairs_u64_256x7x3_ballots: u64, 256 x 7 x 3;
        sweep_pairs_u64_256x11x2_ballots: u64, 256 x 11 x 2;
        sweep_pairs_u64_256x15x2_ballots: u64, 256 x 15 x 2;
        sweep_pairs_u64_384x11x2_ballots: u64, 384 x 11 x 2;
        sweep_pairs_u64_512x9x2_ballots: u64, 512 x 9 x 2;
        sweep_pairs_u64_512x11x2_ballots: u64, 512 x 11 x 2;
        sweep_pairs_u64_512x13x2_ballots: u64, 512 x 13 x 2;
        sweep_pairs_u64_384x17x2_ballots: u64, 384 x 17 x 2;
        sweep_pairs_u128_256x7x2_ballots: u128, 256 x 7 x 2;
        sweep_pairs_u128_256x11x2_ballots: u128, 256 x 11 x 2;
        sweep_pairs_u128_384x7x2_ballots: u128, 384 x 7 x 2;
        sweep_pairs_u128_384x9x2_ballots: u128, 384 x 9 x 2;
    }
    few_keys {
        sweep_few_keys_u8_256x8x4_atomics: u8, 256 x 8 x 4;
        sweep_few_keys_u8_512x8x1_atomics: u8, 512 x 8 x 1;
        sweep_few_keys_u8_512x8x2_atomics: u8, 512 x 8 x 2;
        sweep_few_keys_u8_512x16x1_atomics: u8, 512 x 16 x 1;
        sweep_few_keys_u16_256x8x4_atomics: u16, 256 x 8 x 4;
        sweep_few_keys_u16_512x8x2_atomics: u16, 512 x 8 x 2;
        sweep_few_keys_u16_512x16x1_atomics: u16, 512 x 16 x 1;
        sweep_few_keys_u32_256x8x2_atomics: u32, 256 x 8 x 2;
        sweep_few_keys_u32_256x8x4_atomics: u32, 256 x 8 x 4;
        sweep_few_keys_u32_256x12x4_atomics: u32, 256 x 12 x 4;
        sweep_few_keys_u32_256x16x2_atomics: u32, 256 x 16 x 2;
        sweep_few_keys_u32_512x4x1_atomics: u32, 512 x 4 x 1;
        sweep_few_keys_u32_512x8x1_atomics: u32, 512 x 8 x 1;
        sweep_few_keys_u32_512x8x2_atomics: u32, 512 x 8 x 2;
        sweep_few_keys_u32_512x16x1_atomics: u32, 512 x 16 x 1;
        sweep_few_keys_u32_512x16x2_atomics: u32, 512 x 16 x 2;
        sweep_few_keys_u32_768x6x1_atomics: u32, 768 x 6 x 1;
        sweep_few_keys_u32_768x11x1_atomics: u32, 768 x 11 x 1;
        sweep_few_keys_u64_256x8x2_atomics: u64, 256 x 8 x 2;
        sweep_few_keys_u64_256x8x4_atomics: u64, 256 x 8 x 4;
        sweep_few_keys_u64_512x4x2_atomics: u64, 512 x 4 x 2;
        sweep_few_keys_u64_512x8x1_atomics: u64, 512 x 8 x 1;
        sweep_few_keys_u64_512x8x2_atomics: u64, 512 x 8 x 2;
        sweep_few_keys_u64_512x16x1_atomics: u64, 512 x 16 x 1;
        sweep_few_keys_u64_768x6x1_atomics: u64, 768 x 6 x 1;
        sweep_few_keys_u64_768x11x1_atomics: u64, 768 x 11 x 1;
        sweep_few_keys_u128_256x8x2_atomics: u128, 256 x 8 x 2;
        sweep_few_keys_u128_512x8x1_atomics: u128, 512 x 8 x 1;
    }
    few_pairs {
        sweep_few_pairs_u8_256x8x2_ballots: u8, 256 x 8 x 2;
        sweep_few_pairs_u8_512x8x1_ballots: u8, 512 x 8 x 1;
        sweep_few_pairs_u8_512x16x1_ballots: u8, 512 x 16 x 1;
        sweep_few_pairs_u16_256x8x2_ballots: u16, 256 x 8 x 2;
        sweep_few_pairs_u16_512x8x1_ballots: u16, 512 x 8 x 1;
        sweep_few_pairs_u16_512x16x1_ballots: u16, 512 x 16 x 1;
        sweep_few_pairs_u32_256x8x2_ballots: u32, 256 x 8 x 2;
        sweep_few_pairs_u32_256x12x2_ballots: u32, 256 x 12 x 2;
        sweep_few_pairs_u32_512x4x2_ballots: u32, 512 x 4 x 2;
        sweep_few_pairs_u32_512x8x1_ballots: u32, 512 x 8 x 1;
        sweep_few_pairs_u32_512x16x1_ballots: u32, 512 x 16 x 1;
        sweep_few_pairs_u32_768x6x1_ballots: u32, 768 x 6 x 1;
        sweep_few_pairs_u32_768x10x1_ballots: u32, 768 x 10 x 1;
        sweep_few_pairs_u64_256x8x2_ballots: u64, 256 x 8 x 2;
        sweep_few_pairs_u64_512x8x1_ballots: u64, 512 x 8 x 1;
        sweep_few_pairs_u64_512x16x1_ballots: u64, 512 x 16 x 1;
        sweep_few_pairs_u128_256x8x2_ballots: u128, 256 x 8 x 2;
        sweep_few_pairs_u128_512x8x1_ballots: u128, 512 x 8 x 1;
    }
    local_keys {
        sweep_local_keys_u32_32x11x32_atomics: u32, 32 x 11 x 32;
        sweep_local_keys_u32_32x12x32_atomics: u32, 32 x 12 x 32;
        sweep_local_keys_u32_32x13x32_atomics: u32, 32 x 13 x 32;
        sweep_local_keys_u32_32x22x24_atomics: u32, 32 x 22 x 24;
        sweep_local_keys_u32_32x23x20_atomics: u32, 32 x 23 x 20;
        sweep_local_keys_u32_128x6x12_atomics: u32, 128 x 6 x 12;
        sweep_local_keys_u32_128x10x10_atomics: u32, 128 x 10 x 10;
        sweep_local_keys_u32_128x11x10_atomics: u32, 128 x 11 x 10;
        sweep_local_keys_u32_256x5x6_atomics: u32, 256 x 5 x 6;
        sweep_local_keys_u32_128x18x8_atomics: u32, 128 x 18 x 8;
        sweep_local_keys_u32_256x9x6_atomics: u32, 256 x 9 x 6;
        sweep_local_keys_u32_128x19x7_atomics: u32, 128 x 19 x 7;
        sweep_local_keys_u32_256x18x4_atomics: u32, 256 x 18 x 4;
        sweep_local_keys_u32_512x9x3_atomics: u32, 512 x 9 x 3;
        sweep_local_keys_u32_256x19x4_atomics: u32, 256 x 19 x 4;
        sweep_local_keys_u32_512x18x2_atomics: u32, 512 x 18 x 2;
        sweep_local_keys_u32_1024x9x1_atomics: u32, 1024 x 9 x 1;
        sweep_local_keys_u32_512x19x2_atomics: u32, 512 x 19 x 2;
        sweep_local_keys_u64_32x12x32_atomics: u64, 32 x 12 x 32;
        sweep_local_keys_u64_32x22x20_atomics: u64, 32 x 22 x 20;
        sweep_local_keys_u64_128x6x10_atomics: u64, 128 x 6 x 10;
        sweep_local_keys_u64_128x10x8_atomics: u64, 128 x 10 x 8;
        sweep_local_keys_u64_256x5x6_atomics: u64, 256 x 5 x 6;
        sweep_local_keys_u64_128x18x6_atomics: u64, 128 x 18 x 6;
        sweep_local_keys_u64_256x9x4_atomics: u64, 256 x 9 x 4;
        sweep_local_keys_u64_256x9x5_atomics: u64, 256 x 9 x 5;
        sweep_local_keys_u64_256x18x3_atomics: u64, 256 x 18 x 3;
        sweep_local_keys_u64_512x9x2_atomics: u64, 512 x 9 x 2;
        sweep_local_keys_u64_384x12x3_atomics: u64, 384 x 12 x 3;
        sweep_local_keys_u64_512x18x1_atomics: u64, 512 x 18 x 1;
        sweep_local_keys_u64_1024x9x1_atomics: u64, 1024 x 9 x 1;
        sweep_local_keys_u64_768x12x1_atomics: u64, 768 x 12 x 1;
    }
    local_pairs {
        sweep_local_pairs_u32_32x11x32_atomics: u32, 32 x 11 x 32;
        sweep_local_pairs_u32_32x12x32_atomics: u32, 32 x 12 x 32;
        sweep_local_pairs_u32_32x13x32_atomics: u32, 32 x 13 x 32;
        sweep_local_pairs_u32_32x22x24_atomics: u32, 32 x 22 x 24;
        sweep_local_pairs_u32_32x23x20_atomics: u32, 32 x 23 x 20;
        sweep_local_pairs_u32_128x6x12_atomics: u32, 128 x 6 x 12;
        sweep_local_pairs_u32_128x10x10_atomics: u32, 128 x 10 x 10;
        sweep_local_pairs_u32_128x11x10_atomics: u32, 128 x 11 x 10;
        sweep_local_pairs_u32_256x5x6_atomics: u32, 256 x 5 x 6;
        sweep_local_pairs_u32_128x18x8_atomics: u32, 128 x 18 x 8;
        sweep_local_pairs_u32_256x9x6_atomics: u32, 256 x 9 x 6;
        sweep_local_pairs_u32_128x19x7_atomics: u32, 128 x 19 x 7;
        sweep_local_pairs_u32_256x18x4_atomics: u32, 256 x 18 x 4;
        sweep_local_pairs_u32_512x9x3_atomics: u32, 512 x 9 x 3;
        sweep_local_pairs_u32_256x19x4_atomics: u32, 256 x 19 x 4;
        sweep_local_pairs_u32_512x18x2_atomics: u32, 512 x 18 x 2;
        sweep_local_pairs_u32_1024x9x1_atomics: u32, 1024 x 9 x 1;
        sweep_local_pairs_u32_512x19x2_atomics: u32, 512 x 19 x 2;
        sweep_local_pairs_u64_32x12x32_atomics: u64, 32 x 12 x 32;
        sweep_local_pairs_u64_32x22x20_atomics: u64, 32 x 22 x 20;
        sweep_local_pairs_u64_128x6x10_atomics: u64, 128 x 6 x 10;
        sweep_local_pairs_u64_128x10x8_atomics: u64, 128 x 10 x 8;
        sweep_local_pairs_u64_256x5x6_atomics: u64, 256 x 5 x 6;
        sweep_local_pairs_u64_128x18x6_atomics: u64, 128 x 18 x 6;
        sweep_local_pairs_u64_256x9x4_atomics: u64, 256 x 9 x 4;
        sweep_local_pairs_u64_256x9x5_atomics: u64, 256 x 9 x 5;
        sweep_local_pairs_u64_256x18x3_atomics: u64, 256 x 18 x 3;
        sweep_local_pairs_u64_512x9x2_atomics: u64, 512 x 9 x 2;
        sweep_local_pairs_u64_384x12x3_atomics: u64, 384 x 12 x 3;
        sweep_local_pairs_u64_512x18x1_atomics: u64, 512 x 18 x 1;
        sweep_local_pairs_u64_1024x9x1_atomics: u64, 1024 x 9 x 1;
        sweep_local_pairs_u64_768x12x1_atomics: u64, 768 x 12 x 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control;

    #[test]
    fn names_say_what_the_kernels_are() {
        for candidate in CANDIDATES {
            let Shape {
                threads,
                items,
                blocks,
            } = candidate.shape;
            let kind = if candidate.paired { "pairs" } else { "keys" };
            let family = match candidate.family {
                Family::Passes => "",
                Family::Few => "few_",
                Family::Local => "local_",
            };
            let bits = 8 * candidate.width;
            let ranking = if candidate.atomics {
                "atomics"
            } else {
                "ballots"
            };
            assert_eq!(
                candidate.name,
                format!("sweep_{family}{kind}_u{bits}_{threads}x{items}x{blocks}_{ranking}")
            );
            // What the kernels take for granted.
            let (least, most) = match candidate.family {
                Family::Passes => (128, (1 << 16) - 1),
                Family::Few => (256, control::ROW_COUNT as usize),
                Family::Local => (32, (1 << 16) - 1),
            };
            assert!(threads % 32 == 0 && threads >= least && threads * blocks <= 2048);
            assert!(candidate.shape.tile() <= most);
        }
    }
}
