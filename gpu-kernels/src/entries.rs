//! The entry points: one instantiation each, named `kernel_key`.

use crate::block::{self, Block};
use crate::bucket_starts::{self, BucketStarts};
use crate::buckets;
use crate::gather;
use crate::histogram::{self, Histogram};
use crate::key::Bits;
use crate::merge::{self, Merge};
use crate::onesweep;
use crate::policy;
#[cfg(target_os = "cuda")]
use crate::synchronisation;
use crate::tile::{Buffers, Pass, look};
use crate::verify;
use cuda_std::prelude::*;

macro_rules! histograms {
    ($($name:ident: $key:ty, $bytes:expr;)*) => { $(
        synchronises!($name, synchronisation::HISTOGRAM);

        /// [`histogram`](crate::histogram) of one key width.
        #[kernel]
        #[launch_bounds(policy::HISTOGRAM_THREADS, 1)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $name(
            input: Global<$key>, control: Global<u32>, n: u64, tiles: u32, flip: $key,
            begin: u32, end: u32, options: u32,
        ) {
            let bits = Bits { begin, end };
            unsafe {
                histogram::histogram::<$key, { policy::histogram_copies(size_of::<$key>(), $bytes) }>(
                    Histogram { input, control, n, tiles, flip, bits, options },
                )
            }
        }
    )* };
}

histograms! {
    histogram_large_u8: u8, policy::HISTOGRAM_BYTES_LARGE;
    histogram_large_u16: u16, policy::HISTOGRAM_BYTES_LARGE;
    histogram_large_u32: u32, policy::HISTOGRAM_BYTES_LARGE;
    histogram_large_u64: u64, policy::HISTOGRAM_BYTES_LARGE;
    histogram_large_u128: u128, policy::HISTOGRAM_BYTES_LARGE;
    histogram_small_u8: u8, policy::HISTOGRAM_BYTES_SMALL;
    histogram_small_u16: u16, policy::HISTOGRAM_BYTES_SMALL;
    histogram_small_u32: u32, policy::HISTOGRAM_BYTES_SMALL;
    histogram_small_u64: u64, policy::HISTOGRAM_BYTES_SMALL;
    histogram_small_u128: u128, policy::HISTOGRAM_BYTES_SMALL;
}

macro_rules! by_bucket {
    ($($histogram:ident, $starts:ident: $key:ty;)*) => { $(
        synchronises!($histogram, synchronisation::HISTOGRAM_BY_BUCKET);
        synchronises!($starts, synchronisation::BUCKET_STARTS);

        /// [`histogram_by_bucket`](buckets::histogram_by_bucket) of one key width.
        #[kernel]
        #[launch_bounds(policy::HISTOGRAM_THREADS, 1)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $histogram(
            input: Global<$key>, control: Global<u32>, n: u64, tiles: u32, flip: $key,
            options: u32, tallies: Global<u32>,
        ) {
            let bits = Bits { begin: 0, end: <$key>::BITS };
            let arg = Histogram { input, control, n, tiles, flip, bits, options };
            const SAMPLED: usize = buckets::COPIES_SAMPLED;
            const COPIES: usize = buckets::copies::<$key>();
            unsafe { buckets::histogram_by_bucket::<$key, SAMPLED, COPIES>(arg, tallies) }
        }

        /// [`bucket_starts`](bucket_starts::bucket_starts) of one key width.
        #[kernel]
        #[launch_bounds(bucket_starts::THREADS, 4)]
        pub unsafe fn $starts(
            tallies: Global<u32>, count: u32, control: Global<u32>, starts: Global<u32>,
            n: u32, capacity: u32,
        ) {
            let arg = BucketStarts { tallies, count, control, starts, n, capacity };
            unsafe { bucket_starts::bucket_starts::<$key>(arg) }
        }
    )* };
}

by_bucket! {
    histogram_by_bucket_u32, bucket_starts_u32: u32;
    histogram_by_bucket_u64, bucket_starts_u64: u64;
}

#[cfg(any(not(target_os = "cuda"), target_feature = "sm_90"))]
macro_rules! local_sorts {
    ($($name:ident: $key:ty, $shape:expr, $paired:literal;)*) => { $(
        synchronises!($name, synchronisation::local_sort($shape.threads));

        /// [`local_sort`](crate::local_sort) of one shape.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        pub unsafe fn $name(
            keys: Global<$key>, values: Global<u32>, control: Global<u32>, starts: Global<u32>,
            flip: $key, options: u32,
        ) {
            unsafe {
                crate::local_sort::local_sort::<$key, { $shape.threads }, { $shape.items }, $paired>(
                    crate::local_sort::LocalSort { keys, values, control, starts, flip, options },
                )
            }
        }
    )* };
}

#[cfg(any(not(target_os = "cuda"), target_feature = "sm_90"))]
local_sorts! {
    local_sort_keys_384_u32: u32, policy::local::U32_384, false;
    local_sort_keys_704_u32: u32, policy::local::U32_704, false;
    local_sort_keys_1280_u32: u32, policy::local::U32_1280, false;
    local_sort_keys_2304_u32: u32, policy::local::U32_2304, false;
    local_sort_keys_4608_u32: u32, policy::local::U32_4608, false;
    local_sort_keys_9216_u32: u32, policy::local::U32_9216, false;
    local_sort_pairs_384_u32: u32, policy::local::U32_384, true;
    local_sort_pairs_704_u32: u32, policy::local::U32_704, true;
    local_sort_pairs_1280_u32: u32, policy::local::U32_1280, true;
    local_sort_pairs_2304_u32: u32, policy::local::U32_2304, true;
    local_sort_pairs_4608_u32: u32, policy::local::U32_4608, true;
    local_sort_pairs_9216_u32: u32, policy::local::U32_9216, true;
    local_sort_keys_384_u64: u64, policy::local::U64_384, false;
    local_sort_keys_704_u64: u64, policy::local::U64_704, false;
    local_sort_keys_1280_u64: u64, policy::local::U64_1280, false;
    local_sort_keys_2304_u64: u64, policy::local::U64_2304, false;
    local_sort_keys_4608_u64: u64, policy::local::U64_4608, false;
    local_sort_keys_9216_u64: u64, policy::local::U64_9216, false;
    local_sort_pairs_384_u64: u64, policy::local::U64_384, true;
    local_sort_pairs_704_u64: u64, policy::local::U64_704, true;
    local_sort_pairs_1280_u64: u64, policy::local::U64_1280, true;
    local_sort_pairs_2304_u64: u64, policy::local::U64_2304_PAIRS, true;
    local_sort_pairs_4608_u64: u64, policy::local::U64_4608_PAIRS, true;
    local_sort_pairs_9216_u64: u64, policy::local::U64_9216, true;
}

/// States in the PTX how many bytes of shared memory a launch of the pass `$name` takes:
/// where a chip has fewer, nobody launches it, and `cargo xtask ptx --check` lets it spill.
macro_rules! takes {
    ($name:ident, $bytes:expr) => {
        #[cfg(target_os = "cuda")]
        core::arch::global_asm!(
            concat!("// .shared_bytes ", stringify!($name), " {}"),
            const $bytes,
        );
    };
}

macro_rules! keys_passes {
    ($($name:ident: $key:ty, $shape:expr, $atomics:literal, $look:expr;)*) => { $(
        synchronises!($name, synchronisation::onesweep($shape, $atomics, false, $look));
        takes!($name, crate::tile::shared_bytes::<$key>($shape.threads, $shape.items, false, $look));

        /// [`onesweep`](crate::onesweep) of keys alone.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $name(
            input: Global<$key>, output: Global<$key>, scratch: Global<$key>, control: Global<u32>,
            n: u64, place: u32, shift: u32, mask: u32, flip: $key,
            portion: u32, first_tile: u32, options: u32, begin: u32, end: u32,
        ) {
            let keys = Buffers { input, output, scratch };
            // There are none: nothing reads or writes them.
            let values = Buffers { input: control, output: control, scratch: control };
            let bits = Bits { begin, end };
            unsafe {
                onesweep::onesweep::<$key, { $shape.threads }, { $shape.items }, false, $atomics, { $look }>(
                    Pass { keys, values, control, n, place, shift, mask, flip, bits, portion, first_tile, options },
                )
            }
        }
    )* };
}

keys_passes! {
    onesweep_keys_u8: u8, policy::onesweep::KEYS_U8, false, look::BACK;
    onesweep_keys_baseline_u16: u16, policy::onesweep::KEYS_U16_BASELINE, false, look::BACK;
    onesweep_keys_baseline_u32: u32, policy::onesweep::KEYS_U32_BASELINE, true, look::BACK;
    onesweep_keys_ballots_u32: u32, policy::onesweep::KEYS_U32_BALLOTS, false, look::BACK;
    onesweep_keys_baseline_u64: u64, policy::onesweep::KEYS_U64_BASELINE, true, look::BACK;
    onesweep_keys_baseline_u128: u128, policy::onesweep::KEYS_U128_BASELINE, false, look::BACK;
    onesweep_keys_wide_u8: u8, policy::onesweep::KEYS_U8, false, look::BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u16: u16, policy::onesweep::KEYS_U16_BASELINE, false, look::BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u32: u32, policy::onesweep::KEYS_U32_BASELINE, true, look::BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u64: u64, policy::onesweep::KEYS_U64_BASELINE, true, look::BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u128: u128, policy::onesweep::KEYS_U128_BASELINE, false, look::BACK_IN_PORTION;
    few_keys_4096_u8: u8, policy::few::PAIRS_FEW, true, look::AROUND;
    few_keys_8192_u8: u8, policy::few::KEYS_SOME, true, look::AROUND;
    few_keys_4096_u16: u16, policy::few::KEYS_FEW, true, look::AROUND;
    few_keys_8192_u16: u16, policy::few::KEYS_SOME, true, look::AROUND;
    few_keys_2048_u32: u32, policy::few::KEYS_LEAST, true, look::AROUND;
    few_keys_4096_u32: u32, policy::few::KEYS_FEW, true, look::AROUND;
    few_keys_8192_u32: u32, policy::few::KEYS_SOME, true, look::AROUND;
    few_keys_2048_u64: u64, policy::few::KEYS_LEAST, true, look::AROUND;
    few_keys_4096_u64: u64, policy::few::KEYS_FEW, true, look::AROUND;
    few_keys_8192_u64: u64, policy::few::KEYS_SOME, true, look::AROUND;
    few_keys_2048_u128: u128, policy::few::PAIRS_LEAST, false, look::AROUND;
    few_keys_4096_u128: u128, policy::few::PAIRS_FEW, false, look::AROUND;
}

#[cfg(any(not(target_os = "cuda"), target_feature = "sm_90"))]
keys_passes! {
    onesweep_keys_u16: u16, policy::onesweep::KEYS_U16, true, look::BACK;
    onesweep_keys_u32: u32, policy::onesweep::KEYS_U32, true, look::BACK;
    onesweep_keys_many_u32: u32, policy::onesweep::KEYS_U32_MANY, true, look::BACK;
    onesweep_keys_u64: u64, policy::onesweep::KEYS_U64, true, look::BACK;
    onesweep_keys_u128: u128, policy::onesweep::KEYS_U128, false, look::BACK;
    onesweep_keys_wide_u16: u16, policy::onesweep::KEYS_U16, true, look::BACK_IN_PORTION;
    onesweep_keys_wide_u32: u32, policy::onesweep::KEYS_U32, true, look::BACK_IN_PORTION;
    onesweep_keys_wide_u64: u64, policy::onesweep::KEYS_U64, true, look::BACK_IN_PORTION;
    onesweep_keys_wide_u128: u128, policy::onesweep::KEYS_U128, false, look::BACK_IN_PORTION;
}

macro_rules! pairs_passes {
    ($($name:ident: $key:ty, $shape:expr, $look:expr;)*) => { $(
        synchronises!($name, synchronisation::onesweep($shape, false, true, $look));
        takes!($name, crate::tile::shared_bytes::<$key>($shape.threads, $shape.items, true, $look));

        /// [`onesweep`](crate::onesweep) of keys with values of 4 bytes.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $name(
            input: Global<$key>, output: Global<$key>, scratch: Global<$key>,
            input_values: Global<u32>, output_values: Global<u32>, scratch_values: Global<u32>,
            control: Global<u32>, n: u64, place: u32, shift: u32, mask: u32, flip: $key,
            portion: u32, first_tile: u32, options: u32, begin: u32, end: u32,
        ) {
            let keys = Buffers { input, output, scratch };
            let values = Buffers { input: input_values, output: output_values, scratch: scratch_values };
            let bits = Bits { begin, end };
            unsafe {
                onesweep::onesweep::<$key, { $shape.threads }, { $shape.items }, true, false, { $look }>(
                    Pass { keys, values, control, n, place, shift, mask, flip, bits, portion, first_tile, options },
                )
            }
        }
    )* };
}

pairs_passes! {
    onesweep_pairs_u8: u8, policy::onesweep::PAIRS_U8, look::BACK;
    onesweep_pairs_baseline_u16: u16, policy::onesweep::PAIRS_U16_BASELINE, look::BACK;
    onesweep_pairs_baseline_u32: u32, policy::onesweep::PAIRS_U32_BASELINE, look::BACK;
    onesweep_pairs_baseline_u64: u64, policy::onesweep::PAIRS_U64_BASELINE, look::BACK;
    onesweep_pairs_baseline_u128: u128, policy::onesweep::PAIRS_U128_BASELINE, look::BACK;
    onesweep_pairs_wide_u8: u8, policy::onesweep::PAIRS_U8, look::BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u16: u16, policy::onesweep::PAIRS_U16_BASELINE, look::BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u32: u32, policy::onesweep::PAIRS_U32_BASELINE, look::BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u64: u64, policy::onesweep::PAIRS_U64_BASELINE, look::BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u128: u128, policy::onesweep::PAIRS_U128_BASELINE, look::BACK_IN_PORTION;
    few_pairs_2048_u8: u8, policy::few::PAIRS_LEAST, look::AROUND;
    few_pairs_4096_u8: u8, policy::few::PAIRS_FEW, look::AROUND;
    few_pairs_8192_u8: u8, policy::few::PAIRS_SOME, look::AROUND;
    few_pairs_2048_u16: u16, policy::few::PAIRS_LEAST, look::AROUND;
    few_pairs_4096_u16: u16, policy::few::PAIRS_FEW, look::AROUND;
    few_pairs_8192_u16: u16, policy::few::PAIRS_SOME, look::AROUND;
    few_pairs_2048_u32: u32, policy::few::PAIRS_LEAST, look::AROUND;
    few_pairs_3072_u32: u32, policy::few::PAIRS_NEXT, look::AROUND;
    few_pairs_4096_u32: u32, policy::few::PAIRS_FEW, look::AROUND;
    few_pairs_8192_u32: u32, policy::few::PAIRS_SOME, look::AROUND;
    few_pairs_2048_u64: u64, policy::few::PAIRS_LEAST, look::AROUND;
    few_pairs_4096_u64: u64, policy::few::PAIRS_FEW, look::AROUND;
    few_pairs_8192_u64: u64, policy::few::PAIRS_SOME, look::AROUND;
    few_pairs_2048_u128: u128, policy::few::PAIRS_LEAST, look::AROUND;
    few_pairs_4096_u128: u128, policy::few::PAIRS_FEW, look::AROUND;
}

#[cfg(any(not(target_os = "cuda"), target_feature = "sm_90"))]
pairs_passes! {
    onesweep_pairs_u16: u16, policy::onesweep::PAIRS_U16, look::BACK;
    onesweep_pairs_u32: u32, policy::onesweep::PAIRS_U32, look::BACK;
    onesweep_pairs_u64: u64, policy::onesweep::PAIRS_U64, look::BACK;
    onesweep_pairs_u128: u128, policy::onesweep::PAIRS_U128, look::BACK;
    onesweep_pairs_wide_u16: u16, policy::onesweep::PAIRS_U16, look::BACK_IN_PORTION;
    onesweep_pairs_wide_u32: u32, policy::onesweep::PAIRS_U32, look::BACK_IN_PORTION;
    onesweep_pairs_wide_u128: u128, policy::onesweep::PAIRS_U128, look::BACK_IN_PORTION;
}

macro_rules! blocks {
    ($($name:ident: $key:ty, $shape:expr, $paired:literal;)*) => { $(
        synchronises!($name, synchronisation::block($shape.items, $paired));

        /// [`block`](crate::block) of one key width and shape.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $name(
            input: Global<$key>, output: Global<$key>, input_values: Global<u32>, output_values: Global<u32>,
            n: u32, flip: $key, begin: u32, end: u32, options: u32,
        ) {
            let keys = Buffers { input, output, scratch: output };
            let values = Buffers { input: input_values, output: output_values, scratch: output_values };
            let bits = Bits { begin, end };
            unsafe {
                block::sort_block::<$key, { $shape.threads }, { $shape.items }, $paired>(
                    Block { keys, values, n, flip, bits, options },
                )
            }
        }
    )* };
}

blocks! {
    block_small_keys_u8: u8, policy::block::SMALL, false;
    block_small_keys_u16: u16, policy::block::SMALL, false;
    block_small_keys_u32: u32, policy::block::SMALL, false;
    block_small_keys_u64: u64, policy::block::SMALL, false;
    block_small_keys_u128: u128, policy::block::SMALL, false;
    block_medium_keys_u32: u32, policy::block::MEDIUM, false;
    block_medium_keys_u64: u64, policy::block::MEDIUM, false;
    block_small_pairs_u8: u8, policy::block::SMALL, true;
    block_small_pairs_u16: u16, policy::block::SMALL, true;
    block_small_pairs_u32: u32, policy::block::SMALL, true;
    block_small_pairs_u64: u64, policy::block::SMALL, true;
    block_small_pairs_u128: u128, policy::block::SMALL, true;
    block_medium_pairs_u32: u32, policy::block::MEDIUM, true;
    block_medium_pairs_u64: u64, policy::block::MEDIUM, true;
}

macro_rules! merges {
    ($($name:ident: $key:ty, $shape:expr;)*) => { $(
        synchronises!($name, synchronisation::MERGE);

        /// [`merge`](crate::merge) of one key width.
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        pub unsafe fn $name(
            a: Global<$key>, a_len: u32, b: Global<$key>, b_len: u32, output: Global<$key>, flip: $key,
            magnitude: $key,
        ) {
            unsafe {
                merge::merge::<$key, { $shape.threads }, { $shape.items }>(
                    Merge { a, a_len, b, b_len, output, flip, magnitude },
                )
            }
        }
    )* };
}

merges! {
    merge_u32: u32, merge::shape::<u32>();
    merge_u64: u64, merge::shape::<u64>();
}

macro_rules! checks {
    ($($name:ident, $values:ident: $key:ty;)*) => { $(
        synchronises!($name, synchronisation::NONE);
        synchronises!($values, synchronisation::NONE);

        /// [`verify`](crate::verify::verify) of one key width.
        #[kernel]
        #[launch_bounds(policy::VERIFY.threads, policy::VERIFY.blocks)]
        pub unsafe fn $name(keys: Global<$key>, n: u64, flip: $key, options: u32, result: Global<u64>) {
            unsafe { verify::verify::<$key>(keys, n, flip, options, result) }
        }

        /// [`verify_values`](crate::verify::verify_values) of one key width.
        #[kernel]
        #[launch_bounds(policy::VERIFY.threads, policy::VERIFY.blocks)]
        pub unsafe fn $values(
            input: Global<$key>, keys: Global<$key>, values: Global<u32>, n: u64, result: Global<u64>,
        ) {
            unsafe { verify::verify_values::<$key>(input, keys, values, n, result) }
        }
    )* };
}

checks! {
    verify_u8, verify_values_u8: u8;
    verify_u16, verify_values_u16: u16;
    verify_u32, verify_values_u32: u32;
    verify_u64, verify_values_u64: u64;
    verify_u128, verify_values_u128: u128;
}

macro_rules! gathers {
    ($($name:ident: $element:ty;)*) => { $(
        synchronises!($name, synchronisation::NONE);

        /// [`gather`](crate::gather::gather) of one element width.
        #[kernel]
        #[launch_bounds(policy::GATHER.threads, policy::GATHER.blocks)]
        pub unsafe fn $name(input: Global<$element>, index: Global<u32>, output: Global<$element>, n: u64) {
            unsafe { gather::gather(input, index, output, n) }
        }
    )* };
}

gathers! {
    gather_u16: u16;
    gather_u32: u32;
    gather_u64: u64;
    gather_u128: u128;
}

macro_rules! codes {
    ($($name:ident: $key:ty;)*) => { $(
        synchronises!($name, synchronisation::NONE);

        /// [`numeric_codes`](crate::gather::numeric_codes) of one key width.
        #[kernel]
        #[launch_bounds(policy::GATHER.threads, policy::GATHER.blocks)]
        pub unsafe fn $name(keys: Global<$key>, codes: Global<$key>, n: u64, infinity: $key) {
            unsafe { gather::numeric_codes(keys, codes, n, infinity) }
        }
    )* };
}

codes! {
    numeric_codes_u16: u16;
    numeric_codes_u32: u32;
    numeric_codes_u64: u64;
}
