//! Every entry point by its own name, in the shape that devices run: the tests are stamped
//! from the list that the entry points are made from.

use crate::alone::{self, Geometry};
use crate::bucket_sort::{BucketSorts, sorts_locally};
use crate::case::{Emulated, draws};
use crate::cases;
use crate::fused::sorts_as_launched;
use crate::sorter::{Kernels, Sorter};
use cuda_std::emu::Buffer;
use gpu_kernels::block::Block;
use gpu_kernels::entries;
use gpu_kernels::entry::Entry;
use gpu_kernels::fused::Fused;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::Key;
use gpu_kernels::local_sort::{LocalSort, local_sort};
use gpu_kernels::merge::Merge;
use gpu_kernels::policy;
use gpu_kernels::tile::{Pass, look};
use sort_cases::{Case, Distribution, KeyType, Payload};

/// A test of each name in a section of the list.
macro_rules! tests {
    ({ $($name:ident $(: $($word:ident)+, $shape:expr)?;)* } $key:ident $test:ident) => {
        $(
            #[test]
            fn $name() {
                $test::<$key>(&entries::$name::ENTRY, entries::$name::run);
            }
        )*
    };
}

macro_rules! stamp {
    ($($key:ident {
        histograms { $large:ident, $small:ident; }
        $(buckets { $counts:ident, $starts:ident; })?
        $(recent_look_back $recent_look_back:tt)?
        look_back $look_back:tt
        $(recent_portioned $recent_portioned:tt)?
        portioned $portioned:tt
        single_wave $single_wave:tt
        $(local $local:tt)?
        $(fused $fused:tt)?
        blocks $blocks:tt
        $(merge $merge:tt)?
        verify { $verify:ident, $verify_values:ident; }
        $(gather { $gather:ident; })?
        $(numeric_codes { $codes:ident; })?
    })*) => { $(
        tests! { { $large; $small; } $key histogram }
        $(
            #[test]
            fn $counts() {
                bucket_sort::<$key>(stringify!($counts), bucket_sorts!($key $large $counts $starts));
            }

            #[test]
            fn $starts() {
                bucket_sort::<$key>(stringify!($starts), bucket_sorts!($key $large $counts $starts));
            }
        )?
        $(tests! { $recent_look_back $key look_back })?
        tests! { $look_back $key look_back }
        $(tests! { $recent_portioned $key portioned })?
        tests! { $portioned $key portioned }
        tests! { $single_wave $key single_wave }
        $(tests! { $local $key local })?
        $(tests! { $fused $key fused })?
        tests! { $blocks $key block }
        $(tests! { $merge $key merge })?
        elementwise! { $verify [KeyType::unsigned(<$key>::BITS)], verifies 2 }
        elementwise! { $verify_values [KeyType::unsigned(<$key>::BITS)], verifies_values 2 }
        $(elementwise! { $gather [KeyType::unsigned(<$key>::BITS)], gathers 3 })?
        $(elementwise! { $codes floats(<$key>::BITS), codes 3 })?
    )* };
}

/// A test of a kernel of any grid, of keys of some types.
macro_rules! elementwise {
    ($name:ident $types:expr, $test:ident $blocks:literal) => {
        #[test]
        fn $name() {
            let launched = ($blocks, Geometry::of(&entries::$name::ENTRY));
            for key in $types {
                let draws = draws(stringify!($name), cases::ENTRY, (1000, 3000));
                draws.of(key, |case| alone::$test(case, entries::$name::run, launched));
            }
        }
    };
}

/// What sorts by bucket, with the least local sort.
macro_rules! bucket_sorts {
    ($key:ident $large:ident $counts:ident $starts:ident) => {
        BucketSorts {
            histogram: entries::$counts::run,
            histogram_threads: entries::$counts::ENTRY.shape.threads as u32,
            histogram_shared: entries::$counts::ENTRY.shared_bytes,
            starts: entries::$starts::run,
            again: entries::$large::run,
            again_shared: entries::$large::ENTRY.shared_bytes,
            local: local_sort::<$key, { LEAST.threads }, { LEAST.items }, true>,
            geometry: crate::bucket_sort::geometry::<$key>(LEAST, true),
            paired: true,
        }
    };
}

const LEAST: policy::Shape = policy::local::U32_384;

gpu_kernels::for_every_entry!(stamp);

fn histogram<K: Key>(entry: &Entry<Histogram<K>>, run: unsafe fn(Histogram<K>)) {
    let kernels = Kernels {
        histogram_threads: entry.shape.threads as u32,
        histogram_shared: entry.shared_bytes,
        histogram: run,
        ..Kernels::of::<128, 1, 1>()
    };
    let key = KeyType::unsigned(K::BITS);
    draws(entry.name, cases::ENTRY, (4096, 9000)).of(key, |case| {
        let keys = Buffer::from_slice(&case.words::<K>()).named("keys");
        let skip = (case.seed as usize % 16).min(case.n - 1);
        Sorter::new(case, kernels).histogram(&keys, skip)
    });
}

fn bucket_sort<K: Key>(name: &str, kernels: BucketSorts<K>) {
    let key = KeyType::unsigned(K::BITS);
    draws(name, cases::ENTRY_BUCKETS, (4096, 9000)).of(key, |case| {
        let bits = (0, K::BITS);
        kernels.sorts(&Case { bits, ..*case }).map(|_| ())
    });
}

fn fused<K: Key>(entry: &Entry<Fused<K>>, run: unsafe fn(Fused<K>)) {
    sorts_as_launched(entry.name, run, Geometry::of(entry));
}

fn local<K: Key>(entry: &Entry<LocalSort<K>>, run: unsafe fn(LocalSort<K>)) {
    let geometry = Geometry { early: true, ..Geometry::of(entry) };
    let sizes = (geometry.tile / 2, geometry.tile);
    let draws = draws(entry.name, cases::ENTRY_BUCKETS, sizes);
    draws.of(KeyType::unsigned(K::BITS), |case| {
        sorts_locally::<K>(case, run, geometry, entry.paired)
    });
}

fn look_back<K: Key>(entry: &Entry<Pass<K>>, run: unsafe fn(Pass<K>)) {
    pass(entry, look::BACK, run);
}

fn portioned<K: Key>(entry: &Entry<Pass<K>>, run: unsafe fn(Pass<K>)) {
    pass(entry, look::BACK_IN_PORTION, run);
}

fn single_wave<K: Key>(entry: &Entry<Pass<K>>, run: unsafe fn(Pass<K>)) {
    pass(entry, look::ALL_GATHER, run);
}

/// Sorts of up to two tiles, after a small histogram if they need one. One in portions gets a
/// tile a launch. Of the widest keys only some bits, for the time it takes.
fn pass<K: Key>(entry: &Entry<Pass<K>>, look: u32, run: unsafe fn(Pass<K>)) {
    let kernels = Kernels {
        tile: entry.shape.tile(),
        paired: entry.paired,
        look,
        portion: if look == look::BACK_IN_PORTION { 1 } else { usize::MAX },
        patient: true,
        pass_threads: entry.shape.threads as u32,
        pass_shared: entry.shared_bytes,
        pass: run,
        ..Kernels::of::<128, 1, 1>()
    };
    let key = KeyType::unsigned(K::BITS);
    let sizes = (kernels.tile, 2 * kernels.tile + 1);
    draws(entry.name, cases::ENTRY_PASS, sizes).of(key, |case| {
        let case = Case { bits: (case.bits.0, case.bits.1.min(case.bits.0 + 40)), ..*case };
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
        match_ranking: false,
    };
    let keys: Vec<K> = (0..case.n).map(|i| K::from_u64(2 - (i / kernels.tile) as u64)).collect();
    let values = case.some_words::<u32>(case.n, 2);
    let sorter = Sorter::new(&case, kernels);
    sorter.sort(&keys, Some(&values)).map(|_| ())
}

fn block<K: Key>(entry: &Entry<Block<K>>, run: unsafe fn(Block<K>)) {
    let geometry = Geometry::of(entry);
    let key = KeyType::unsigned(K::BITS);
    draws(entry.name, cases::ENTRY, (geometry.tile / 2, geometry.tile))
        .of(key, |case| alone::sorts_in_a_block::<K>(case, run, geometry, entry.paired));
}

fn merge<K: Key>(entry: &Entry<Merge<K>>, run: unsafe fn(Merge<K>)) {
    let geometry = Geometry::of(entry);
    let sizes = (geometry.tile, 3 * geometry.tile);
    for key in KeyType::ALL.iter().filter(|key| key.bits == K::BITS) {
        let draws = draws(entry.name, 4 * cases::ENTRY, sizes);
        draws.of(*key, |case| alone::merges(case, run, geometry));
    }
}

/// The floating-point types of so many bits.
fn floats(bits: u32) -> impl Iterator<Item = KeyType> {
    let types = KeyType::ALL.iter().copied();
    types.filter(move |key| key.is_float() && key.bits == bits)
}
