//! The shapes that `cudamark tune` compares with those of [`policy`](crate::policy): neighbours
//! of the ones in use, in both ways to rank.
//!
//! Their kernels are compiled on request only (`cfg(sweep)`, which the feature `tune` of the host
//! crate sets for the device): they would double the program and the time to build it. The list
//! is always there. Names are `sweep_kind_key_shape_ranking`, with the shape as threads, items
//! and blocks a multiprocessor.

#[cfg(not(target_os = "cuda"))]
use crate::entry::{Entry, Swept, parameter};
#[cfg(any(not(target_os = "cuda"), all(sweep, target_feature = "sm_90")))]
use crate::local_sort::{self, LocalSort};
#[cfg(any(not(target_os = "cuda"), sweep))]
use crate::{
    fused::Fused,
    policy::Shape,
    tile::{self, Pass, look},
};
#[cfg(all(target_os = "cuda", sweep))]
use crate::{key::Bits, synchronisation, tile::Buffers};
#[cfg(any(not(target_os = "cuda"), sweep))]
use cuda_std::ext::*;
#[cfg(all(target_os = "cuda", sweep))]
use cuda_std::prelude::*;

macro_rules! sweep {
    ($($key:ident {
        $(look_back $pass:ident $by:ident $pass_ranking:ident { $($pass_shape:tt),* })*
        $(single_wave $wave:ident $wave_by:ident $wave_ranking:ident { $($wave_shape:tt),* })*
        $(local $local:ident $local_ranking:ident { $($local_shape:tt),* })*
        $(fused $fused:ident $fused_ranking:ident { $($fused_shape:tt),* })*
    })*) => { $(
        $($(swept! {
            [sweep_ $pass _ $key _] $pass_shape [_ $pass_ranking]
            passes { BACK $key } swept $pass $by
        })*)*
        $($(swept! {
            [sweep_few_ $wave _ $key _] $wave_shape [_ $wave_ranking]
            passes { ALL_GATHER $key } swept $wave $wave_by
        })*)*
        $($(swept! {
            [sweep_local_ $local _ $key _] $local_shape [_ $local_ranking]
            local_sorts { swept_recent $key } $local
        })*)*
        $($(swept! {
            [sweep_fused_ $fused _ $key _] $fused_shape [_ $fused_ranking]
            fused { $key } swept $fused
        })*)*

        #[cfg(not(target_os = "cuda"))]
        impl Swept for $key {
            const SWEPT_LOOK_BACK: &'static [Entry<Pass<Self>>] = &[$($(
                swept_entry!([sweep_ $pass _ $key _] $pass_shape [_ $pass_ranking]),
            )*)*];
            const SWEPT_SINGLE_WAVE: &'static [Entry<Pass<Self>>] = &[$($(
                swept_entry!([sweep_few_ $wave _ $key _] $wave_shape [_ $wave_ranking]),
            )*)*];
            const SWEPT_LOCAL: &'static [Entry<LocalSort<Self>>] = &[$($(
                swept_entry!([sweep_local_ $local _ $key _] $local_shape [_ $local_ranking]),
            )*)*];
            const SWEPT_FUSED: &'static [Entry<Fused<Self>>] = &[$($(
                swept_entry!([sweep_fused_ $fused _ $key _] $fused_shape [_ $fused_ranking]),
            )*)*];
        }
    )* };
}

/// An entry point, by the macro that makes those in use.
macro_rules! swept {
    ([$($before:tt)*] ($t:literal x $i:literal x $b:literal) [$($behind:tt)*]
        $family:ident { $($of:ident)+ } $($word:ident)+) => {
        #[cfg(any(not(target_os = "cuda"), sweep))]
        with_name! {
            [$($before)* $t x $i x $b $($behind)*]
            $family! { $($of)+ { NAME: $($word)+, Shape::new($t, $i, $b); } }
        }
    };
}

/// The entry, as a host sees it.
#[cfg(not(target_os = "cuda"))]
macro_rules! swept_entry {
    ([$($before:tt)*] ($($shape:tt)*) [$($behind:tt)*]) => {
        with_name!([$($before)* $($shape)* $($behind)*] NAME::ENTRY)
    };
}

sweep! {
    u8 {
        look_back keys match ballots { (256 x 17 x 4), (512 x 13 x 2), (512 x 17 x 2) }
        look_back keys atomic atomics { (512 x 17 x 2) }
        look_back pairs match ballots { (512 x 13 x 2), (512 x 15 x 2) }
        single_wave keys atomic atomics {
            (256 x 8 x 4), (512 x 8 x 1), (512 x 8 x 2), (512 x 16 x 1)
        }
        single_wave pairs match ballots { (256 x 8 x 2), (512 x 8 x 1), (512 x 16 x 1) }
    }
    u16 {
        look_back keys atomic atomics { (384 x 34 x 2), (512 x 25 x 2) }
        look_back keys match ballots { (256 x 35 x 3), (512 x 17 x 2), (512 x 23 x 2) }
        look_back pairs match ballots {
            (256 x 23 x 3), (512 x 15 x 2), (512 x 19 x 2), (512 x 21 x 2), (512 x 23 x 2),
            (384 x 31 x 2)
        }
        single_wave keys atomic atomics { (256 x 8 x 4), (512 x 8 x 2), (512 x 16 x 1) }
        single_wave pairs match ballots { (256 x 8 x 2), (512 x 8 x 1), (512 x 16 x 1) }
    }
    u32 {
        look_back keys atomic atomics {
            (256 x 8 x 2), (256 x 16 x 2), (256 x 15 x 3), (256 x 23 x 3), (384 x 23 x 2),
            (384 x 34 x 2), (384 x 35 x 2), (512 x 8 x 2), (512 x 16 x 1), (512 x 16 x 2),
            (512 x 21 x 2), (512 x 23 x 2), (512 x 24 x 2), (512 x 25 x 2), (1024 x 12 x 1)
        }
        look_back keys match ballots {
            (256 x 7 x 4), (256 x 11 x 4), (256 x 15 x 3), (256 x 23 x 3), (256 x 31 x 3),
            (256 x 33 x 3), (256 x 35 x 3), (384 x 23 x 2), (512 x 23 x 2)
        }
        look_back pairs match ballots {
            (256 x 7 x 4), (256 x 8 x 2), (256 x 11 x 4), (256 x 15 x 3), (256 x 23 x 2),
            (384 x 23 x 2), (512 x 16 x 1), (512 x 17 x 2), (512 x 21 x 2), (512 x 23 x 2),
            (512 x 24 x 2)
        }
        single_wave keys atomic atomics {
            (256 x 8 x 2), (256 x 8 x 4), (256 x 12 x 4), (256 x 16 x 2), (512 x 4 x 1),
            (512 x 8 x 1), (512 x 8 x 2), (512 x 16 x 1), (512 x 16 x 2), (768 x 6 x 1),
            (768 x 11 x 1)
        }
        single_wave pairs match ballots {
            (256 x 8 x 2), (256 x 12 x 2), (512 x 4 x 2), (512 x 8 x 1), (512 x 16 x 1),
            (768 x 6 x 1), (768 x 10 x 1)
        }
        local keys atomics {
            (32 x 11 x 32), (32 x 12 x 32), (32 x 13 x 32), (32 x 22 x 24), (32 x 23 x 20),
            (128 x 6 x 12), (128 x 10 x 10), (128 x 11 x 10), (256 x 5 x 6), (128 x 18 x 8),
            (256 x 9 x 6), (128 x 19 x 7), (256 x 18 x 4), (512 x 9 x 3), (256 x 19 x 4),
            (512 x 18 x 2), (1024 x 9 x 1), (512 x 19 x 2)
        }
        local pairs atomics {
            (32 x 11 x 32), (32 x 12 x 32), (32 x 13 x 32), (32 x 22 x 24), (32 x 23 x 20),
            (128 x 6 x 12), (128 x 10 x 10), (128 x 11 x 10), (256 x 5 x 6), (128 x 18 x 8),
            (256 x 9 x 6), (128 x 19 x 7), (256 x 18 x 4), (512 x 9 x 3), (256 x 19 x 4),
            (512 x 18 x 2), (1024 x 9 x 1), (512 x 19 x 2)
        }
        fused keys atomics {
            (256 x 4 x 4), (256 x 8 x 4), (512 x 4 x 2), (512 x 8 x 2), (1024 x 4 x 1),
            (1024 x 8 x 1)
        }
    }
    u64 {
        look_back keys atomic atomics {
            (256 x 8 x 2), (256 x 15 x 3), (384 x 15 x 2), (384 x 21 x 2), (512 x 8 x 2),
            (512 x 11 x 2), (512 x 13 x 2), (512 x 15 x 2), (512 x 16 x 1)
        }
        look_back keys match ballots {
            (256 x 7 x 3), (256 x 11 x 3), (256 x 15 x 3), (512 x 13 x 2), (512 x 15 x 2)
        }
        look_back pairs match ballots {
            (256 x 7 x 3), (256 x 11 x 2), (256 x 15 x 2), (384 x 11 x 2), (512 x 9 x 2),
            (512 x 11 x 2), (512 x 13 x 2), (384 x 17 x 2)
        }
        single_wave keys atomic atomics {
            (256 x 8 x 2), (256 x 8 x 4), (512 x 4 x 2), (512 x 8 x 1), (512 x 8 x 2),
            (512 x 16 x 1), (768 x 6 x 1), (768 x 11 x 1)
        }
        single_wave pairs match ballots { (256 x 8 x 2), (512 x 8 x 1), (512 x 16 x 1) }
        local keys atomics {
            (32 x 12 x 32), (32 x 22 x 20), (128 x 6 x 10), (128 x 10 x 8), (256 x 5 x 6),
            (128 x 18 x 6), (256 x 9 x 4), (256 x 9 x 5), (256 x 18 x 3), (512 x 9 x 2),
            (384 x 12 x 3), (512 x 18 x 1), (1024 x 9 x 1), (768 x 12 x 1)
        }
        local pairs atomics {
            (32 x 12 x 32), (32 x 22 x 20), (128 x 6 x 10), (128 x 10 x 8), (256 x 5 x 6),
            (128 x 18 x 6), (256 x 9 x 4), (256 x 9 x 5), (256 x 18 x 3), (512 x 9 x 2),
            (384 x 12 x 3), (512 x 18 x 1), (1024 x 9 x 1), (768 x 12 x 1)
        }
        fused keys atomics {
            (256 x 4 x 4), (256 x 8 x 4), (512 x 4 x 2), (512 x 8 x 2), (1024 x 4 x 1),
            (1024 x 8 x 1)
        }
    }
    u128 {
        look_back keys match ballots {
            (256 x 7 x 2), (256 x 9 x 2), (256 x 11 x 2), (384 x 9 x 2), (512 x 5 x 2),
            (512 x 7 x 2)
        }
        look_back keys atomic atomics { (512 x 7 x 2) }
        look_back pairs match ballots {
            (256 x 7 x 2), (256 x 11 x 2), (384 x 7 x 2), (384 x 9 x 2)
        }
        single_wave keys atomic atomics { (256 x 8 x 2), (512 x 8 x 1) }
        single_wave pairs match ballots { (256 x 8 x 2), (512 x 8 x 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control;
    use crate::key::Key;

    /// Names, and what the kernels take for granted.
    fn check<K: Key, A>(family: &str, entries: &[Entry<A>], (least, most): (usize, usize)) {
        for entry in entries {
            let Shape { threads, items, blocks, .. } = entry.shape;
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
        check::<K, _>("few_", K::SWEPT_SINGLE_WAVE, (256, control::ROW_COUNT as usize));
        check::<K, _>("local_", K::SWEPT_LOCAL, (32, (1 << 16) - 1));
        check::<K, _>("fused_", K::SWEPT_FUSED, (64, (1 << 16) - 1));
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
