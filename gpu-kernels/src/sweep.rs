//! The shapes that `cudamark tune` holds against those of [`policy`](crate::policy):
//! neighbours of the ones in use, in both ways to rank.
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
    onesweep, policy, synchronisation,
    tile::{Buffers, Pass, look},
};
#[cfg(all(target_os = "cuda", sweep))]
use cuda_std::prelude::*;

use crate::policy::Shape;

/// A pass of a shape that is not necessarily in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name of its kernel.
    pub name: &'static str,
    /// Bytes of a key.
    pub width: usize,
    /// With values of 4 bytes.
    pub paired: bool,
    /// How it cuts its input.
    pub shape: Shape,
    /// Ranks by atomics where the plan says so.
    pub atomics: bool,
}

macro_rules! sweep {
    (
        keys { $($keys:ident: $key:ty, $kt:literal x $ki:literal x $kb:literal, $atomics:literal;)* }
        pairs { $($pairs:ident: $first:ty, $pt:literal x $pi:literal x $pb:literal;)* }
    ) => {
        #[cfg(all(target_os = "cuda", sweep))]
        keys_passes! { $(
            $keys: $key, policy::Shape { threads: $kt, items: $ki, blocks: $kb }, $atomics, look::BACK;
        )* }

        #[cfg(all(target_os = "cuda", sweep))]
        pairs_passes! { $(
            $pairs: $first, policy::Shape { threads: $pt, items: $pi, blocks: $pb }, look::BACK;
        )* }

        /// All there are.
        pub const CANDIDATES: &[Candidate] = &[
            $(Candidate {
                name: stringify!($keys),
                width: size_of::<$key>(),
                paired: false,
                shape: Shape { threads: $kt, items: $ki, blocks: $kb },
                atomics: $atomics,
            },)*
            $(Candidate {
                name: stringify!($pairs),
                width: size_of::<$first>(),
                paired: true,
                shape: Shape { threads: $pt, items: $pi, blocks: $pb },
                atomics: false,
            },)*
        ];
    };
}

sweep! {
    keys {
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
        sweep_keys_u32_384x23x2_ballots: u32, 384 x 23 x 2, false;
        sweep_keys_u32_512x23x2_ballots: u32, 512 x 23 x 2, false;
        sweep_keys_u64_256x8x2_atomics: u64, 256 x 8 x 2, true;
        sweep_keys_u64_256x15x3_atomics: u64, 256 x 15 x 3, true;
        sweep_keys_u64_384x15x2_atomics: u64, 384 x 15 x 2, true;
        sweep_keys_u64_512x8x2_atomics: u64, 512 x 8 x 2, true;
        sweep_keys_u64_512x11x2_atomics: u64, 512 x 11 x 2, true;
        sweep_keys_u64_512x13x2_atomics: u64, 512 x 13 x 2, true;
        sweep_keys_u64_512x15x2_atomics: u64, 512 x 15 x 2, true;
        sweep_keys_u64_512x16x1_atomics: u64, 512 x 16 x 1, true;
        sweep_keys_u64_256x7x3_ballots: u64, 256 x 7 x 3, false;
        sweep_keys_u64_256x11x3_ballots: u64, 256 x 11 x 3, false;
        sweep_keys_u64_256x15x3_ballots: u64, 256 x 15 x 3, false;
        sweep_keys_u64_512x13x2_ballots: u64, 512 x 13 x 2, false;
    }
    pairs {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_kernels_are() {
        for candidate in CANDIDATES {
            let Shape {
                threads,
                items,
                blocks,
            } = candidate.shape;
            let kind = if candidate.paired { "pairs" } else { "keys" };
            let bits = 8 * candidate.width;
            let ranking = if candidate.atomics {
                "atomics"
            } else {
                "ballots"
            };
            assert_eq!(
                candidate.name,
                format!("sweep_{kind}_u{bits}_{threads}x{items}x{blocks}_{ranking}")
            );
            // What the passes take for granted.
            assert!(threads % 32 == 0 && threads >= 128);
            assert!(candidate.shape.tile() < 1 << 16);
        }
    }
}
