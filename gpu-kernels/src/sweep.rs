//! The shapes that `cudamark tune` compares with those of [`policy`](crate::policy):
//! neighbours of the ones in use, in both ways to rank.
//!
//! Their kernels are compiled on request only (`cfg(sweep)`, which the feature `tune`
//! of the host crate sets for the device): they would double the program and the time
//! to build it. The list is always there. Names are `sweep_kind_key_shape_ranking`, with
//! the shape as threads, items and blocks a multiprocessor.

#[cfg(not(target_os = "cuda"))]
use crate::entry::{Entry, parameter};
#[cfg(not(target_os = "cuda"))]
use crate::key::Key;
#[cfg(all(target_os = "cuda", sweep))]
use crate::{key::Bits, synchronisation, tile::Buffers};
#[cfg(any(not(target_os = "cuda"), sweep))]
use crate::{
    local_sort::{self, LocalSort},
    policy::Shape,
    tile::{self, Pass, look},
};
#[cfg(any(not(target_os = "cuda"), sweep))]
use cuda_std::prelude::*;

/// Shapes of keys of a width that are not in use.
#[cfg(not(target_os = "cuda"))]
pub trait Swept: Key {
    /// Passes of tiles that look back.
    const SWEPT_LOOK_BACK: &'static [Entry<Pass<Self>>];
    /// Passes of a single wave of tiles.
    const SWEPT_SINGLE_WAVE: &'static [Entry<Pass<Self>>];
    /// Local sorts of buckets.
    const SWEPT_LOCAL: &'static [Entry<LocalSort<Self>>];
}

macro_rules! sweep {
    ($($key:ident {
        $(look_back $($pass:ident)+ {
            $($name:ident: $t:literal x $i:literal x $b:literal;)*
        })*
        $(single_wave $($wave:ident)+ {
            $($wave_name:ident: $wt:literal x $wi:literal x $wb:literal;)*
        })*
        $(local $local:ident {
            $($local_name:ident: $lt:literal x $li:literal x $lb:literal;)*
        })*
    })*) => { $(
        $(swept! { [passes swept BACK $key] [$($pass)+] $($name $t $i $b)* })*
        $(swept! { [passes swept AROUND $key] [$($wave)+] $($wave_name $wt $wi $wb)* })*
        $(swept! { [local_sorts swept_recent $key] [$local] $($local_name $lt $li $lb)* })*

        #[cfg(not(target_os = "cuda"))]
        impl Swept for $key {
            const SWEPT_LOOK_BACK: &'static [Entry<Pass<Self>>] = &[$($($name::ENTRY),*),*];
            const SWEPT_SINGLE_WAVE: &'static [Entry<Pass<Self>>] = &[$($($wave_name::ENTRY),*),*];
            const SWEPT_LOCAL: &'static [Entry<LocalSort<Self>>] = &[$($($local_name::ENTRY),*),*];
        }
    )* };
}

/// Entry points of one kind, by the macro that makes those in use.
macro_rules! swept {
    ($of:tt $words:tt $($name:ident $t:literal $i:literal $b:literal)*) => { $(
        #[cfg(any(not(target_os = "cuda"), sweep))]
        swept! { @$of $words $name Shape::new($t, $i, $b) }
    )* };
    (@[$family:ident $($of:ident)+] [$($word:ident)+] $name:ident $shape:expr) => {
        $family! { $($of)+ { $name: $($word)+, $shape; } }
    };
}

sweep! {
    u8 {
        look_back keys match {
            sweep_keys_u8_256x17x4_ballots: 256 x 17 x 4;
            sweep_keys_u8_512x13x2_ballots: 512 x 13 x 2;
            sweep_keys_u8_512x17x2_ballots: 512 x 17 x 2;
        }
        look_back keys atomic {
            sweep_keys_u8_512x17x2_atomics: 512 x 17 x 2;
        }
        look_back pairs match {
            sweep_pairs_u8_512x13x2_ballots: 512 x 13 x 2;
            sweep_pairs_u8_512x15x2_ballots: 512 x 15 x 2;
        }
        single_wave keys atomic {
            sweep_few_keys_u8_256x8x4_atomics: 256 x 8 x 4;
            sweep_few_keys_u8_512x8x1_atomics: 512 x 8 x 1;
            sweep_few_keys_u8_512x8x2_atomics: 512 x 8 x 2;
            sweep_few_keys_u8_512x16x1_atomics: 512 x 16 x 1;
        }
        single_wave pairs match {
            sweep_few_pairs_u8_256x8x2_ballots: 256 x 8 x 2;
            sweep_few_pairs_u8_512x8x1_ballots: 512 x 8 x 1;
            sweep_few_pairs_u8_512x16x1_ballots: 512 x 16 x 1;
        }
    }
    u16 {
        look_back keys atomic {
            sweep_keys_u16_384x34x2_atomics: 384 x 34 x 2;
            sweep_keys_u16_512x25x2_atomics: 512 x 25 x 2;
        }
        look_back keys match {
            sweep_keys_u16_256x35x3_ballots: 256 x 35 x 3;
            sweep_keys_u16_512x17x2_ballots: 512 x 17 x 2;
            sweep_keys_u16_512x23x2_ballots: 512 x 23 x 2;
        }
        look_back pairs match {
            sweep_pairs_u16_256x23x3_ballots: 256 x 23 x 3;
            sweep_pairs_u16_512x15x2_ballots: 512 x 15 x 2;
            sweep_pairs_u16_512x19x2_ballots: 512 x 19 x 2;
            sweep_pairs_u16_512x21x2_ballots: 512 x 21 x 2;
            sweep_pairs_u16_512x23x2_ballots: 512 x 23 x 2;
            sweep_pairs_u16_384x31x2_ballots: 384 x 31 x 2;
        }
        single_wave keys atomic {
            sweep_few_keys_u16_256x8x4_atomics: 256 x 8 x 4;
            sweep_few_keys_u16_512x8x2_atomics: 512 x 8 x 2;
            sweep_few_keys_u16_512x16x1_atomics: 512 x 16 x 1;
        }
        single_wave pairs match {
            sweep_few_pairs_u16_256x8x2_ballots: 256 x 8 x 2;
            sweep_few_pairs_u16_512x8x1_ballots: 512 x 8 x 1;
            sweep_few_pairs_u16_512x16x1_ballots: 512 x 16 x 1;
        }
    }
    u32 {
        look_back keys atomic {
            sweep_keys_u32_256x8x2_atomics: 256 x 8 x 2;
            sweep_keys_u32_256x16x2_atomics: 256 x 16 x 2;
            sweep_keys_u32_256x15x3_atomics: 256 x 15 x 3;
            sweep_keys_u32_256x23x3_atomics: 256 x 23 x 3;
            sweep_keys_u32_384x23x2_atomics: 384 x 23 x 2;
            sweep_keys_u32_384x34x2_atomics: 384 x 34 x 2;
            sweep_keys_u32_384x35x2_atomics: 384 x 35 x 2;
            sweep_keys_u32_512x8x2_atomics: 512 x 8 x 2;
            sweep_keys_u32_512x16x1_atomics: 512 x 16 x 1;
            sweep_keys_u32_512x16x2_atomics: 512 x 16 x 2;
            sweep_keys_u32_512x21x2_atomics: 512 x 21 x 2;
            sweep_keys_u32_512x23x2_atomics: 512 x 23 x 2;
            sweep_keys_u32_512x24x2_atomics: 512 x 24 x 2;
            sweep_keys_u32_512x25x2_atomics: 512 x 25 x 2;
            sweep_keys_u32_1024x12x1_atomics: 1024 x 12 x 1;
        }
        look_back keys match {
            sweep_keys_u32_256x7x4_ballots: 256 x 7 x 4;
            sweep_keys_u32_256x11x4_ballots: 256 x 11 x 4;
            sweep_keys_u32_256x15x3_ballots: 256 x 15 x 3;
            sweep_keys_u32_256x23x3_ballots: 256 x 23 x 3;
            sweep_keys_u32_256x31x3_ballots: 256 x 31 x 3;
            sweep_keys_u32_256x33x3_ballots: 256 x 33 x 3;
            sweep_keys_u32_256x35x3_ballots: 256 x 35 x 3;
            sweep_keys_u32_384x23x2_ballots: 384 x 23 x 2;
            sweep_keys_u32_512x23x2_ballots: 512 x 23 x 2;
        }
        look_back pairs match {
            sweep_pairs_u32_256x7x4_ballots: 256 x 7 x 4;
            sweep_pairs_u32_256x8x2_ballots: 256 x 8 x 2;
            sweep_pairs_u32_256x11x4_ballots: 256 x 11 x 4;
            sweep_pairs_u32_256x15x3_ballots: 256 x 15 x 3;
            sweep_pairs_u32_256x23x2_ballots: 256 x 23 x 2;
            sweep_pairs_u32_384x23x2_ballots: 384 x 23 x 2;
            sweep_pairs_u32_512x16x1_ballots: 512 x 16 x 1;
            sweep_pairs_u32_512x17x2_ballots: 512 x 17 x 2;
            sweep_pairs_u32_512x21x2_ballots: 512 x 21 x 2;
            sweep_pairs_u32_512x23x2_ballots: 512 x 23 x 2;
            sweep_pairs_u32_512x24x2_ballots: 512 x 24 x 2;
        }
        single_wave keys atomic {
            sweep_few_keys_u32_256x8x2_atomics: 256 x 8 x 2;
            sweep_few_keys_u32_256x8x4_atomics: 256 x 8 x 4;
            sweep_few_keys_u32_256x12x4_atomics: 256 x 12 x 4;
            sweep_few_keys_u32_256x16x2_atomics: 256 x 16 x 2;
            sweep_few_keys_u32_512x4x1_atomics: 512 x 4 x 1;
            sweep_few_keys_u32_512x8x1_atomics: 512 x 8 x 1;
            sweep_few_keys_u32_512x8x2_atomics: 512 x 8 x 2;
            sweep_few_keys_u32_512x16x1_atomics: 512 x 16 x 1;
            sweep_few_keys_u32_512x16x2_atomics: 512 x 16 x 2;
            sweep_few_keys_u32_768x6x1_atomics: 768 x 6 x 1;
            sweep_few_keys_u32_768x11x1_atomics: 768 x 11 x 1;
        }
        single_wave pairs match {
            sweep_few_pairs_u32_256x8x2_ballots: 256 x 8 x 2;
            sweep_few_pairs_u32_256x12x2_ballots: 256 x 12 x 2;
            sweep_few_pairs_u32_512x4x2_ballots: 512 x 4 x 2;
            sweep_few_pairs_u32_512x8x1_ballots: 512 x 8 x 1;
            sweep_few_pairs_u32_512x16x1_ballots: 512 x 16 x 1;
            sweep_few_pairs_u32_768x6x1_ballots: 768 x 6 x 1;
            sweep_few_pairs_u32_768x10x1_ballots: 768 x 10 x 1;
        }
        local keys {
            sweep_local_keys_u32_32x11x32_atomics: 32 x 11 x 32;
            sweep_local_keys_u32_32x12x32_atomics: 32 x 12 x 32;
            sweep_local_keys_u32_32x13x32_atomics: 32 x 13 x 32;
            sweep_local_keys_u32_32x22x24_atomics: 32 x 22 x 24;
            sweep_local_keys_u32_32x23x20_atomics: 32 x 23 x 20;
            sweep_local_keys_u32_128x6x12_atomics: 128 x 6 x 12;
            sweep_local_keys_u32_128x10x10_atomics: 128 x 10 x 10;
            sweep_local_keys_u32_128x11x10_atomics: 128 x 11 x 10;
            sweep_local_keys_u32_256x5x6_atomics: 256 x 5 x 6;
            sweep_local_keys_u32_128x18x8_atomics: 128 x 18 x 8;
            sweep_local_keys_u32_256x9x6_atomics: 256 x 9 x 6;
            sweep_local_keys_u32_128x19x7_atomics: 128 x 19 x 7;
            sweep_local_keys_u32_256x18x4_atomics: 256 x 18 x 4;
            sweep_local_keys_u32_512x9x3_atomics: 512 x 9 x 3;
            sweep_local_keys_u32_256x19x4_atomics: 256 x 19 x 4;
            sweep_local_keys_u32_512x18x2_atomics: 512 x 18 x 2;
            sweep_local_keys_u32_1024x9x1_atomics: 1024 x 9 x 1;
            sweep_local_keys_u32_512x19x2_atomics: 512 x 19 x 2;
        }
        local pairs {
            sweep_local_pairs_u32_32x11x32_atomics: 32 x 11 x 32;
            sweep_local_pairs_u32_32x12x32_atomics: 32 x 12 x 32;
            sweep_local_pairs_u32_32x13x32_atomics: 32 x 13 x 32;
            sweep_local_pairs_u32_32x22x24_atomics: 32 x 22 x 24;
            sweep_local_pairs_u32_32x23x20_atomics: 32 x 23 x 20;
            sweep_local_pairs_u32_128x6x12_atomics: 128 x 6 x 12;
            sweep_local_pairs_u32_128x10x10_atomics: 128 x 10 x 10;
            sweep_local_pairs_u32_128x11x10_atomics: 128 x 11 x 10;
            sweep_local_pairs_u32_256x5x6_atomics: 256 x 5 x 6;
            sweep_local_pairs_u32_128x18x8_atomics: 128 x 18 x 8;
            sweep_local_pairs_u32_256x9x6_atomics: 256 x 9 x 6;
            sweep_local_pairs_u32_128x19x7_atomics: 128 x 19 x 7;
            sweep_local_pairs_u32_256x18x4_atomics: 256 x 18 x 4;
            sweep_local_pairs_u32_512x9x3_atomics: 512 x 9 x 3;
            sweep_local_pairs_u32_256x19x4_atomics: 256 x 19 x 4;
            sweep_local_pairs_u32_512x18x2_atomics: 512 x 18 x 2;
            sweep_local_pairs_u32_1024x9x1_atomics: 1024 x 9 x 1;
            sweep_local_pairs_u32_512x19x2_atomics: 512 x 19 x 2;
        }
    }
    u64 {
        look_back keys atomic {
            sweep_keys_u64_256x8x2_atomics: 256 x 8 x 2;
            sweep_keys_u64_256x15x3_atomics: 256 x 15 x 3;
            sweep_keys_u64_384x15x2_atomics: 384 x 15 x 2;
            sweep_keys_u64_384x21x2_atomics: 384 x 21 x 2;
            sweep_keys_u64_512x8x2_atomics: 512 x 8 x 2;
            sweep_keys_u64_512x11x2_atomics: 512 x 11 x 2;
            sweep_keys_u64_512x13x2_atomics: 512 x 13 x 2;
            sweep_keys_u64_512x15x2_atomics: 512 x 15 x 2;
            sweep_keys_u64_512x16x1_atomics: 512 x 16 x 1;
        }
        look_back keys match {
            sweep_keys_u64_256x7x3_ballots: 256 x 7 x 3;
            sweep_keys_u64_256x11x3_ballots: 256 x 11 x 3;
            sweep_keys_u64_256x15x3_ballots: 256 x 15 x 3;
            sweep_keys_u64_512x13x2_ballots: 512 x 13 x 2;
            sweep_keys_u64_512x15x2_ballots: 512 x 15 x 2;
        }
        look_back pairs match {
            sweep_pairs_u64_256x7x3_ballots: 256 x 7 x 3;
            sweep_pairs_u64_256x11x2_ballots: 256 x 11 x 2;
            sweep_pairs_u64_256x15x2_ballots: 256 x 15 x 2;
            sweep_pairs_u64_384x11x2_ballots: 384 x 11 x 2;
            sweep_pairs_u64_512x9x2_ballots: 512 x 9 x 2;
            sweep_pairs_u64_512x11x2_ballots: 512 x 11 x 2;
            sweep_pairs_u64_512x13x2_ballots: 512 x 13 x 2;
            sweep_pairs_u64_384x17x2_ballots: 384 x 17 x 2;
        }
        single_wave keys atomic {
            sweep_few_keys_u64_256x8x2_atomics: 256 x 8 x 2;
            sweep_few_keys_u64_256x8x4_atomics: 256 x 8 x 4;
            sweep_few_keys_u64_512x4x2_atomics: 512 x 4 x 2;
            sweep_few_keys_u64_512x8x1_atomics: 512 x 8 x 1;
            sweep_few_keys_u64_512x8x2_atomics: 512 x 8 x 2;
            sweep_few_keys_u64_512x16x1_atomics: 512 x 16 x 1;
            sweep_few_keys_u64_768x6x1_atomics: 768 x 6 x 1;
            sweep_few_keys_u64_768x11x1_atomics: 768 x 11 x 1;
        }
        single_wave pairs match {
            sweep_few_pairs_u64_256x8x2_ballots: 256 x 8 x 2;
            sweep_few_pairs_u64_512x8x1_ballots: 512 x 8 x 1;
            sweep_few_pairs_u64_512x16x1_ballots: 512 x 16 x 1;
        }
        local keys {
            sweep_local_keys_u64_32x12x32_atomics: 32 x 12 x 32;
            sweep_local_keys_u64_32x22x20_atomics: 32 x 22 x 20;
            sweep_local_keys_u64_128x6x10_atomics: 128 x 6 x 10;
            sweep_local_keys_u64_128x10x8_atomics: 128 x 10 x 8;
            sweep_local_keys_u64_256x5x6_atomics: 256 x 5 x 6;
            sweep_local_keys_u64_128x18x6_atomics: 128 x 18 x 6;
            sweep_local_keys_u64_256x9x4_atomics: 256 x 9 x 4;
            sweep_local_keys_u64_256x9x5_atomics: 256 x 9 x 5;
            sweep_local_keys_u64_256x18x3_atomics: 256 x 18 x 3;
            sweep_local_keys_u64_512x9x2_atomics: 512 x 9 x 2;
            sweep_local_keys_u64_384x12x3_atomics: 384 x 12 x 3;
            sweep_local_keys_u64_512x18x1_atomics: 512 x 18 x 1;
            sweep_local_keys_u64_1024x9x1_atomics: 1024 x 9 x 1;
            sweep_local_keys_u64_768x12x1_atomics: 768 x 12 x 1;
        }
        local pairs {
            sweep_local_pairs_u64_32x12x32_atomics: 32 x 12 x 32;
            sweep_local_pairs_u64_32x22x20_atomics: 32 x 22 x 20;
            sweep_local_pairs_u64_128x6x10_atomics: 128 x 6 x 10;
            sweep_local_pairs_u64_128x10x8_atomics: 128 x 10 x 8;
            sweep_local_pairs_u64_256x5x6_atomics: 256 x 5 x 6;
            sweep_local_pairs_u64_128x18x6_atomics: 128 x 18 x 6;
            sweep_local_pairs_u64_256x9x4_atomics: 256 x 9 x 4;
            sweep_local_pairs_u64_256x9x5_atomics: 256 x 9 x 5;
            sweep_local_pairs_u64_256x18x3_atomics: 256 x 18 x 3;
            sweep_local_pairs_u64_512x9x2_atomics: 512 x 9 x 2;
            sweep_local_pairs_u64_384x12x3_atomics: 384 x 12 x 3;
            sweep_local_pairs_u64_512x18x1_atomics: 512 x 18 x 1;
            sweep_local_pairs_u64_1024x9x1_atomics: 1024 x 9 x 1;
            sweep_local_pairs_u64_768x12x1_atomics: 768 x 12 x 1;
        }
    }
    u128 {
        look_back keys match {
            sweep_keys_u128_256x7x2_ballots: 256 x 7 x 2;
            sweep_keys_u128_256x9x2_ballots: 256 x 9 x 2;
            sweep_keys_u128_256x11x2_ballots: 256 x 11 x 2;
            sweep_keys_u128_384x9x2_ballots: 384 x 9 x 2;
            sweep_keys_u128_512x5x2_ballots: 512 x 5 x 2;
            sweep_keys_u128_512x7x2_ballots: 512 x 7 x 2;
        }
        look_back keys atomic {
            sweep_keys_u128_512x7x2_atomics: 512 x 7 x 2;
        }
        look_back pairs match {
            sweep_pairs_u128_256x7x2_ballots: 256 x 7 x 2;
            sweep_pairs_u128_256x11x2_ballots: 256 x 11 x 2;
            sweep_pairs_u128_384x7x2_ballots: 384 x 7 x 2;
            sweep_pairs_u128_384x9x2_ballots: 384 x 9 x 2;
        }
        single_wave keys atomic {
            sweep_few_keys_u128_256x8x2_atomics: 256 x 8 x 2;
            sweep_few_keys_u128_512x8x1_atomics: 512 x 8 x 1;
        }
        single_wave pairs match {
            sweep_few_pairs_u128_256x8x2_ballots: 256 x 8 x 2;
            sweep_few_pairs_u128_512x8x1_ballots: 512 x 8 x 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control;

    /// Names, and what the kernels take for granted.
    fn check<K: Key, A>(family: &str, entries: &[Entry<A>], (least, most): (usize, usize)) {
        for entry in entries {
            let Shape {
                threads,
                items,
                blocks,
                ..
            } = entry.shape;
            let kind = if entry.paired { "pairs" } else { "keys" };
            let ranking = if entry.atomic { "atomics" } else { "ballots" };
            let shape = format!("{threads}x{items}x{blocks}");
            let name = format!("sweep_{family}{kind}_u{}_{shape}_{ranking}", K::BITS);
            assert_eq!(entry.name, name);
            assert!(threads % 32 == 0 && threads >= least && threads * blocks <= 2048);
            assert!(entry.shape.tile() <= most);
        }
    }

    fn check_all<K: Swept>() {
        check::<K, _>("", K::SWEPT_LOOK_BACK, (128, (1 << 16) - 1));
        check::<K, _>(
            "few_",
            K::SWEPT_SINGLE_WAVE,
            (256, control::ROW_COUNT as usize),
        );
        check::<K, _>("local_", K::SWEPT_LOCAL, (32, (1 << 16) - 1));
    }

    #[test]
    fn names_say_what_the_kernels_are() {
        check_all::<u8>();
        check_all::<u16>();
        check_all::<u32>();
        check_all::<u64>();
        check_all::<u128>();
    }
}
