//! The entry points: one instantiation each.

use crate::histogram::{self, Histogram};
use crate::merge::{self, Merge};
use crate::onesweep::{self, Pass};
use crate::policy;
use crate::verify;
use cuda_std::prelude::*;

macro_rules! histograms {
    ($($name:ident: $key:ty, $copies:expr;)*) => { $(
        /// [`histogram`](crate::histogram) of one key width.
        #[kernel]
        #[launch_bounds(policy::HISTOGRAM_THREADS, 1)]
        pub unsafe fn $name(
            input: Global<$key>, control: Global<u32>, n: u32, tiles: u32, flip: $key, options: u32,
        ) {
            unsafe {
                histogram::histogram::<$key, { $copies }>(Histogram { input, control, n, tiles, flip, options })
            }
        }
    )* };
}

histograms! {
    histogram_large_u32: u32, policy::HISTOGRAM_COPIES_LARGE;
    histogram_small_u32: u32, policy::HISTOGRAM_COPIES_SMALL;
}

macro_rules! passes {
    ($($name:ident: $key:ty, $shape:expr;)*) => { $(
        /// [`onesweep`](crate::onesweep) of one key width and shape.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        pub unsafe fn $name(
            input: Global<$key>, output: Global<$key>, scratch: Global<$key>,
            control: Global<u32>, n: u32, place: u32, flip: $key,
        ) {
            unsafe {
                onesweep::onesweep::<$key, { $shape.threads }, { $shape.items }>(
                    Pass { input, output, scratch, control, n, place, flip },
                )
            }
        }
    )* };
}

passes! {
    onesweep_large_u32: u32, policy::ONESWEEP_LARGE;
    onesweep_small_u32: u32, policy::ONESWEEP_SMALL;
}

macro_rules! merges {
    ($($name:ident: $key:ty, $shape:expr;)*) => { $(
        /// [`merge`](crate::merge) of one key width.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        pub unsafe fn $name(
            a: Global<$key>, a_len: u32, b: Global<$key>, b_len: u32, output: Global<$key>, flip: $key,
        ) {
            unsafe {
                merge::merge::<$key, { $shape.threads }, { $shape.items }>(
                    Merge { a, a_len, b, b_len, output, flip },
                )
            }
        }
    )* };
}

merges! {
    merge_u32: u32, policy::MERGE;
}

macro_rules! checks {
    ($($name:ident: $key:ty;)*) => { $(
        /// [`verify`](crate::verify) of one key width.
        #[kernel]
        #[launch_bounds(policy::VERIFY.threads, policy::VERIFY.blocks)]
        pub unsafe fn $name(keys: Global<$key>, n: u32, flip: $key, result: Global<u64>) {
            unsafe { verify::verify::<$key>(keys, n, flip, result) }
        }
    )* };
}

checks! {
    verify_u32: u32;
}
