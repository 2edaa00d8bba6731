//! Every entry point by its own name, in the shape that devices run, and the check
//! that none is left out.

use crate::alone::{self, Geometry};
use crate::case::{Emulated, draws};
use crate::cases;
use crate::sorter::{Kernels, Sorter};
use crate::sorts_by_bucket::{ByBucket, sorts_locally};
use cuda_std::emu::Buffer;
use gpu_kernels::key::{Bits, Key};
use gpu_kernels::policy::{self, Shape};
use gpu_kernels::tile::{Buffers, look};
use gpu_kernels::{block, buckets, entries, merge, tile};
use sort_cases::{Case, Distribution, KeyType, Kind, Payload};
use std::collections::BTreeSet;

/// A test for each of a family of entry points, and their names.
macro_rules! stamp {
    ($names:ident: $($name:ident => $test:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $test(stringify!($name));
            }
        )*
        const $names: &[&str] = &[$(stringify!($name)),*];
    };
}

macro_rules! histograms {
    ($($name:ident: $key:ty, $bytes:expr;)*) => {
        stamp! { HISTOGRAMS: $($name => |name| histogram::<$key>(name, Kernels {
            histogram_threads: policy::HISTOGRAM_THREADS as u32,
            histogram_shared: policy::histogram_shared_bytes(size_of::<$key>(), $bytes),
            histogram: |a| unsafe {
                let Bits { begin, end } = a.bits;
                entries::$name(a.input, a.control, a.n, a.tiles, a.flip, begin, end, a.options)
            },
            ..Kernels::of::<128, 1, 1>()
        });)* }
    };
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

fn histogram<K: Key>(name: &str, kernels: Kernels<K>) {
    let key = KeyType::unsigned(K::BITS);
    draws(name, cases::ENTRY, (4096, 9000)).of(key, |case| {
        let keys = Buffer::from_slice(&case.words::<K>()).named("keys");
        let skip = (case.seed as usize % 16).min(case.n - 1);
        Sorter::new(case, kernels).histogram(&keys, skip)
    });
}

/// What sorts by bucket, of a width: its entry points, and the least local sort.
trait Entries: Key {
    const BY_BUCKET: ByBucket<Self>;
}

macro_rules! by_bucket {
    ($($histogram:ident, $starts:ident, $again:ident, $local:ident: $key:ty;)*) => {
        $(impl Entries for $key {
            const BY_BUCKET: ByBucket<Self> = ByBucket {
                histogram: |a, tallies| unsafe {
                    entries::$histogram(a.input, a.control, a.n, a.tiles, a.flip, a.options, tallies)
                },
                histogram_threads: policy::HISTOGRAM_THREADS as u32,
                histogram_shared: buckets::shared_bytes::<$key>(buckets::COPIES_SAMPLED),
                starts: |a| unsafe {
                    entries::$starts(a.tallies, a.count, a.control, a.starts, a.n, a.capacity)
                },
                again: |a| unsafe {
                    let Bits { begin, end } = a.bits;
                    entries::$again(a.input, a.control, a.n, a.tiles, a.flip, begin, end, a.options)
                },
                again_shared: policy::histogram_shared_bytes(
                    size_of::<$key>(),
                    policy::HISTOGRAM_BYTES_LARGE,
                ),
                local: |a| unsafe {
                    entries::$local(a.keys, a.values, a.control, a.starts, a.flip, a.options)
                },
                geometry: {
                    let Shape { threads, items, .. } = policy::local::shapes(size_of::<$key>(), true)[0];
                    crate::sorts_by_bucket::geometry::<$key>(threads, items, true)
                },
                paired: true,
            };
        })*
        stamp! { BY_BUCKET: $($histogram => by_bucket::<$key>; $starts => by_bucket::<$key>;)* }
    };
}

fn by_bucket<K: Entries>(name: &str) {
    let key = KeyType::unsigned(K::BITS);
    draws(name, cases::ENTRY_BY_BUCKET, (4096, 9000)).of(key, |case| {
        let bits = (0, K::BITS);
        K::BY_BUCKET.sorts(&Case { bits, ..*case }).map(|_| ())
    });
}

by_bucket! {
    histogram_by_bucket_u32, bucket_starts_u32, histogram_large_u32, local_sort_pairs_384_u32: u32;
    histogram_by_bucket_u64, bucket_starts_u64, histogram_large_u64, local_sort_pairs_384_u64: u64;
}

macro_rules! local_sorts {
    ($($name:ident: $key:ty, $shape:ident, $paired:literal;)*) => {
        stamp! { LOCAL: $($name => |name| {
            let Shape { threads, items, .. } = policy::local::$shape;
            let geometry = crate::sorts_by_bucket::geometry::<$key>(threads, items, $paired);
            let draws = draws(name, cases::ENTRY_BY_BUCKET, (geometry.tile / 2, geometry.tile));
            draws.of(KeyType::unsigned(<$key>::BITS), |case| {
                sorts_locally::<$key>(case, |a| unsafe {
                    entries::$name(a.keys, a.values, a.control, a.starts, a.flip, a.options)
                }, geometry, $paired)
            });
        };)* }
    };
}

local_sorts! {
    local_sort_keys_384_u32: u32, U32_384, false;
    local_sort_keys_704_u32: u32, U32_704, false;
    local_sort_keys_1280_u32: u32, U32_1280, false;
    local_sort_keys_2304_u32: u32, U32_2304, false;
    local_sort_keys_4608_u32: u32, U32_4608, false;
    local_sort_keys_9216_u32: u32, U32_9216, false;
    local_sort_pairs_384_u32: u32, U32_384, true;
    local_sort_pairs_704_u32: u32, U32_704, true;
    local_sort_pairs_1280_u32: u32, U32_1280, true;
    local_sort_pairs_2304_u32: u32, U32_2304, true;
    local_sort_pairs_4608_u32: u32, U32_4608, true;
    local_sort_pairs_9216_u32: u32, U32_9216, true;
    local_sort_keys_384_u64: u64, U64_384, false;
    local_sort_keys_704_u64: u64, U64_704, false;
    local_sort_keys_1280_u64: u64, U64_1280, false;
    local_sort_keys_2304_u64: u64, U64_2304, false;
    local_sort_keys_4608_u64: u64, U64_4608, false;
    local_sort_keys_9216_u64: u64, U64_9216, false;
    local_sort_pairs_384_u64: u64, U64_384, true;
    local_sort_pairs_704_u64: u64, U64_704, true;
    local_sort_pairs_1280_u64: u64, U64_1280, true;
    local_sort_pairs_2304_u64: u64, U64_2304_PAIRS, true;
    local_sort_pairs_4608_u64: u64, U64_4608_PAIRS, true;
    local_sort_pairs_9216_u64: u64, U64_9216, true;
}

/// A pass of this shape, after a small histogram if it needs one. One of a wide sort gets
/// a tile a launch.
fn pass<K: Key>(shape: Shape, paired: bool, look: u32) -> Kernels<K> {
    Kernels {
        tile: shape.tile(),
        paired,
        look,
        portion: if look == look::BACK_IN_PORTION {
            1
        } else {
            usize::MAX
        },
        patient: true,
        pass_threads: shape.threads as u32,
        pass_shared: tile::shared_bytes::<K>(shape.threads, shape.items, paired, look),
        ..Kernels::of::<128, 1, 1>()
    }
}

macro_rules! keys_passes {
    ($($name:ident: $key:ty, $shape:path, $look:ident;)*) => {
        stamp! { KEYS: $($name => |name| sort::<$key>(name, Kernels {
            pass: |a| unsafe {
                let Buffers { input, output, scratch } = a.keys;
                entries::$name(
                    input, output, scratch, a.control, a.n, a.place, a.shift, a.mask, a.flip,
                    a.portion, a.first_tile, a.options, a.bits.begin, a.bits.end,
                )
            },
            ..pass($shape, false, look::$look)
        });)* }
    };
}

keys_passes! {
    onesweep_keys_u8: u8, policy::onesweep::KEYS_U8, BACK;
    onesweep_keys_baseline_u16: u16, policy::onesweep::KEYS_U16_BASELINE, BACK;
    onesweep_keys_baseline_u32: u32, policy::onesweep::KEYS_U32_BASELINE, BACK;
    onesweep_keys_ballots_u32: u32, policy::onesweep::KEYS_U32_BALLOTS, BACK;
    onesweep_keys_baseline_u64: u64, policy::onesweep::KEYS_U64_BASELINE, BACK;
    onesweep_keys_baseline_u128: u128, policy::onesweep::KEYS_U128_BASELINE, BACK;
    onesweep_keys_wide_u8: u8, policy::onesweep::KEYS_U8, BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u16: u16, policy::onesweep::KEYS_U16_BASELINE, BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u32: u32, policy::onesweep::KEYS_U32_BASELINE, BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u64: u64, policy::onesweep::KEYS_U64_BASELINE, BACK_IN_PORTION;
    onesweep_keys_wide_baseline_u128: u128, policy::onesweep::KEYS_U128_BASELINE, BACK_IN_PORTION;
    few_keys_4096_u8: u8, policy::few::PAIRS_FEW, AROUND;
    few_keys_8192_u8: u8, policy::few::KEYS_SOME, AROUND;
    few_keys_4096_u16: u16, policy::few::KEYS_FEW, AROUND;
    few_keys_8192_u16: u16, policy::few::KEYS_SOME, AROUND;
    few_keys_2048_u32: u32, policy::few::KEYS_LEAST, AROUND;
    few_keys_4096_u32: u32, policy::few::KEYS_FEW, AROUND;
    few_keys_8192_u32: u32, policy::few::KEYS_SOME, AROUND;
    few_keys_2048_u64: u64, policy::few::KEYS_LEAST, AROUND;
    few_keys_4096_u64: u64, policy::few::KEYS_FEW, AROUND;
    few_keys_8192_u64: u64, policy::few::KEYS_SOME, AROUND;
    few_keys_2048_u128: u128, policy::few::PAIRS_LEAST, AROUND;
    few_keys_4096_u128: u128, policy::few::PAIRS_FEW, AROUND;
    onesweep_keys_u16: u16, policy::onesweep::KEYS_U16, BACK;
    onesweep_keys_u32: u32, policy::onesweep::KEYS_U32, BACK;
    onesweep_keys_many_u32: u32, policy::onesweep::KEYS_U32_MANY, BACK;
    onesweep_keys_u64: u64, policy::onesweep::KEYS_U64, BACK;
    onesweep_keys_u128: u128, policy::onesweep::KEYS_U128, BACK;
    onesweep_keys_wide_u16: u16, policy::onesweep::KEYS_U16, BACK_IN_PORTION;
    onesweep_keys_wide_u32: u32, policy::onesweep::KEYS_U32, BACK_IN_PORTION;
    onesweep_keys_wide_u64: u64, policy::onesweep::KEYS_U64, BACK_IN_PORTION;
    onesweep_keys_wide_u128: u128, policy::onesweep::KEYS_U128, BACK_IN_PORTION;
}

macro_rules! pairs_passes {
    ($($name:ident: $key:ty, $shape:path, $look:ident;)*) => {
        stamp! { PAIRS: $($name => |name| sort::<$key>(name, Kernels {
            pass: |a| unsafe {
                let (keys, values) = (a.keys, a.values);
                entries::$name(
                    keys.input, keys.output, keys.scratch, values.input, values.output,
                    values.scratch, a.control, a.n, a.place, a.shift, a.mask, a.flip,
                    a.portion, a.first_tile, a.options, a.bits.begin, a.bits.end,
                )
            },
            ..pass($shape, true, look::$look)
        });)* }
    };
}

pairs_passes! {
    onesweep_pairs_u8: u8, policy::onesweep::PAIRS_U8, BACK;
    onesweep_pairs_baseline_u16: u16, policy::onesweep::PAIRS_U16_BASELINE, BACK;
    onesweep_pairs_baseline_u32: u32, policy::onesweep::PAIRS_U32_BASELINE, BACK;
    onesweep_pairs_baseline_u64: u64, policy::onesweep::PAIRS_U64_BASELINE, BACK;
    onesweep_pairs_baseline_u128: u128, policy::onesweep::PAIRS_U128_BASELINE, BACK;
    onesweep_pairs_wide_u8: u8, policy::onesweep::PAIRS_U8, BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u16: u16, policy::onesweep::PAIRS_U16_BASELINE, BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u32: u32, policy::onesweep::PAIRS_U32_BASELINE, BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u64: u64, policy::onesweep::PAIRS_U64_BASELINE, BACK_IN_PORTION;
    onesweep_pairs_wide_baseline_u128: u128, policy::onesweep::PAIRS_U128_BASELINE, BACK_IN_PORTION;
    few_pairs_2048_u8: u8, policy::few::PAIRS_LEAST, AROUND;
    few_pairs_4096_u8: u8, policy::few::PAIRS_FEW, AROUND;
    few_pairs_8192_u8: u8, policy::few::PAIRS_SOME, AROUND;
    few_pairs_2048_u16: u16, policy::few::PAIRS_LEAST, AROUND;
    few_pairs_4096_u16: u16, policy::few::PAIRS_FEW, AROUND;
    few_pairs_8192_u16: u16, policy::few::PAIRS_SOME, AROUND;
    few_pairs_2048_u32: u32, policy::few::PAIRS_LEAST, AROUND;
    few_pairs_3072_u32: u32, policy::few::PAIRS_NEXT, AROUND;
    few_pairs_4096_u32: u32, policy::few::PAIRS_FEW, AROUND;
    few_pairs_8192_u32: u32, policy::few::PAIRS_SOME, AROUND;
    few_pairs_2048_u64: u64, policy::few::PAIRS_LEAST, AROUND;
    few_pairs_4096_u64: u64, policy::few::PAIRS_FEW, AROUND;
    few_pairs_8192_u64: u64, policy::few::PAIRS_SOME, AROUND;
    few_pairs_2048_u128: u128, policy::few::PAIRS_LEAST, AROUND;
    few_pairs_4096_u128: u128, policy::few::PAIRS_FEW, AROUND;
    onesweep_pairs_u16: u16, policy::onesweep::PAIRS_U16, BACK;
    onesweep_pairs_u32: u32, policy::onesweep::PAIRS_U32, BACK;
    onesweep_pairs_u64: u64, policy::onesweep::PAIRS_U64, BACK;
    onesweep_pairs_u128: u128, policy::onesweep::PAIRS_U128, BACK;
    onesweep_pairs_wide_u16: u16, policy::onesweep::PAIRS_U16, BACK_IN_PORTION;
    onesweep_pairs_wide_u32: u32, policy::onesweep::PAIRS_U32, BACK_IN_PORTION;
    onesweep_pairs_wide_u128: u128, policy::onesweep::PAIRS_U128, BACK_IN_PORTION;
}

/// Sorts of up to two tiles. Of the widest keys only some bits, for the time it takes.
fn sort<K: Key>(name: &str, kernels: Kernels<K>) {
    let key = KeyType::unsigned(K::BITS);
    let sizes = (kernels.tile, 2 * kernels.tile + 1);
    draws(name, cases::ENTRY_PASS, sizes).of(key, |case| {
        let case = Case {
            bits: (case.bits.0, case.bits.1.min(case.bits.0 + 40)),
            ..*case
        };
        let keys = case.words::<K>();
        let values = case.some_words::<u32>(keys.len(), 2);
        let given = kernels.paired && case.seed.is_multiple_of(2);
        let sorter = Sorter::new(&case, kernels);
        sorter.sort(&keys, given.then_some(&values)).map(|_| ())
    });
    if kernels.paired {
        one_run_a_tile(kernels).unwrap_or_else(|failure| panic!("one run a tile: {failure}"));
    }
}

/// Tiles of one run are stored in a way of their own, and hardly ever drawn.
fn one_run_a_tile<K: Key>(kernels: Kernels<K>) -> Result<(), String> {
    let case = Case {
        key: KeyType::unsigned(K::BITS),
        n: 2 * kernels.tile + 1,
        seed: 1,
        distribution: Distribution::Stretches,
        payload: Payload::Value(4),
        descending: false,
        numeric: false,
        bits: (0, K::BITS.min(8)),
        in_place: false,
        ballots: false,
    };
    let keys: Vec<K> = (0..case.n)
        .map(|i| K::from_u64(2 - (i / kernels.tile) as u64))
        .collect();
    let values = case.some_words::<u32>(case.n, 2);
    let sorter = Sorter::new(&case, kernels);
    sorter.sort(&keys, Some(&values)).map(|_| ())
}

macro_rules! blocks {
    ($($name:ident: $key:ty, $shape:ident, $paired:literal;)*) => {
        stamp! { BLOCKS: $($name => |name| {
            let Shape { threads, items, .. } = policy::block::$shape;
            let geometry = Geometry {
                threads,
                tile: threads * items,
                shared_bytes: block::shared_bytes::<$key>(threads, items),
                ..Geometry::default()
            };
            let key = KeyType::unsigned(<$key>::BITS);
            draws(name, cases::ENTRY, (geometry.tile / 2, geometry.tile)).of(key, |case| {
                alone::sorts_in_a_block::<$key>(case, |a| unsafe {
                    let (keys, values) = (a.keys, a.values);
                    entries::$name(
                        keys.input, keys.output, values.input, values.output, a.n, a.flip,
                        a.bits.begin, a.bits.end, a.options,
                    )
                }, geometry, $paired)
            });
        };)* }
    };
}

blocks! {
    block_small_keys_u8: u8, SMALL, false;
    block_small_keys_u16: u16, SMALL, false;
    block_small_keys_u32: u32, SMALL, false;
    block_small_keys_u64: u64, SMALL, false;
    block_small_keys_u128: u128, SMALL, false;
    block_medium_keys_u32: u32, MEDIUM, false;
    block_medium_keys_u64: u64, MEDIUM, false;
    block_small_pairs_u8: u8, SMALL, true;
    block_small_pairs_u16: u16, SMALL, true;
    block_small_pairs_u32: u32, SMALL, true;
    block_small_pairs_u64: u64, SMALL, true;
    block_small_pairs_u128: u128, SMALL, true;
    block_medium_pairs_u32: u32, MEDIUM, true;
    block_medium_pairs_u64: u64, MEDIUM, true;
}

/// A test of a kernel by itself, of keys of one type.
fn of(name: &str, key: KeyType, most: usize, test: impl Fn(&Case) -> Result<(), String>) {
    draws(name, cases::ENTRY, (most / 3, most)).of(key, test);
}

macro_rules! merges {
    ($($name:ident: $key:ty, $types:expr;)*) => {
        stamp! { MERGES: $($name => |name| {
            let Shape { threads, items, .. } = merge::shape::<$key>();
            let tile = threads * items;
            let shared_bytes = merge::shared_bytes::<$key>(threads, items);
            let geometry = Geometry { threads, tile, shared_bytes, ..Geometry::default() };
            for key in $types {
                let draws = draws(name, 4 * cases::ENTRY, (tile, 3 * tile));
                draws.of(key, |case| alone::merges(case, entries::$name, geometry));
            }
        };)* }
    };
}

merges! {
    merge_u32: u32, [KeyType::U32, KeyType::I32, KeyType::F32];
    merge_u64: u64, [KeyType::U64, KeyType::I64, KeyType::F64];
}

macro_rules! checks {
    ($($name:ident, $values:ident: $key:ty;)*) => {
        stamp! { CHECKS: $($name => |name| {
            of(name, KeyType::unsigned(<$key>::BITS), 3000, |case| {
                alone::verifies(case, entries::$name, 2, policy::VERIFY.threads)
            });
        };)* }
        stamp! { VALUES: $($values => |name| {
            of(name, KeyType::unsigned(<$key>::BITS), 3000, |case| {
                alone::verifies_values(case, entries::$values, 2, policy::VERIFY.threads)
            });
        };)* }
    };
}

checks! {
    verify_u8, verify_values_u8: u8;
    verify_u16, verify_values_u16: u16;
    verify_u32, verify_values_u32: u32;
    verify_u64, verify_values_u64: u64;
    verify_u128, verify_values_u128: u128;
}

macro_rules! gathers {
    ($($name:ident: $element:ty;)*) => {
        stamp! { GATHERS: $($name => |name| {
            of(name, KeyType::unsigned(<$element>::BITS), 3000, |case| {
                alone::gathers(case, entries::$name, 3, policy::GATHER.threads)
            });
        };)* }
    };
}

gathers! {
    gather_u16: u16;
    gather_u32: u32;
    gather_u64: u64;
    gather_u128: u128;
}

macro_rules! codes {
    ($($name:ident: $type:ident;)*) => {
        stamp! { CODES: $($name => |name| {
            of(name, KeyType::$type, 3000, |case| {
                let Kind::Float { infinity } = case.key.kind else {
                    return Err(format!("{} has no infinity", case.key.name));
                };
                alone::codes(case, infinity, entries::$name, 3, policy::GATHER.threads)
            });
        };)* }
    };
}

codes! {
    numeric_codes_u16: BF16;
    numeric_codes_u32: F32;
    numeric_codes_u64: F64;
}

/// The names in the source of the entry points: the lines `name: type, ..` that its
/// macros are given, and functions that stand there by themselves.
fn names_in_the_source() -> BTreeSet<&'static str> {
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let mut names = BTreeSet::new();
    for line in include_str!("../../src/entries.rs").lines() {
        if let Some((_, behind)) = line.split_once("pub unsafe fn ") {
            let name = behind.split(['(', '<']).next().unwrap_or_default();
            names.extend(Some(name).filter(is_name));
        } else if let Some((listed, element)) = line.trim().split_once(": ")
            && line.ends_with(';')
            && ["u8", "u16", "u32", "u64", "u128"].iter().any(|word| {
                element
                    .strip_prefix(word)
                    .is_some_and(|rest| rest.starts_with([',', ';']))
            })
        {
            names.extend(listed.split(", ").filter(is_name));
        }
    }
    names
}

#[test]
fn every_entry_point_is_run() {
    let families = [
        HISTOGRAMS, BY_BUCKET, LOCAL, KEYS, PAIRS, BLOCKS, MERGES, CHECKS, VALUES, GATHERS, CODES,
    ];
    let run: BTreeSet<&str> = families.concat().into_iter().collect();
    let all = names_in_the_source();
    let left_out: Vec<_> = all.difference(&run).collect();
    assert!(left_out.is_empty(), "not run here: {left_out:?}");
    let gone: Vec<_> = run.difference(&all).collect();
    assert!(gone.is_empty(), "not found in the source: {gone:?}");
}
