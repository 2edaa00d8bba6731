//! Every entry point by its own name, in the shape that devices run: the tests are stamped from
//! the list that the entry points are made from.

use crate::alone::{self, Kernel};
use crate::bucket_sort::{BucketSorts, sorts_locally};
use crate::case::{Emulated, draws};
use crate::cases;
use crate::digit_sort::sorts_digits;
use crate::fused::sorts_as_launched;
use crate::gathered_sort::sorts_gathered;
use crate::partition;
use crate::segments::{SegmentSorts, numbers};
use crate::shortcut;
use crate::sorter::{Kernels, Sorter};
use crate::top_sort::TopSorts;
use cuda_std::emu::Buffer;
use gpu_kernels::block::Block;
use gpu_kernels::bucket_starts::BucketStarts;
use gpu_kernels::buckets::BucketCounts;
use gpu_kernels::control::ASCENDING;
use gpu_kernels::entries;
use gpu_kernels::entry::Entry;
use gpu_kernels::fused::Fused;
use gpu_kernels::gather::{Gather, NumericCodes, SegmentNumbers};
use gpu_kernels::gathered_sort::GatheredSort;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::Key;
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::merge::Merge;
use gpu_kernels::policy::partition::RANGE;
use gpu_kernels::policy::segments::{BLOCKS, MOST, SHORT, WARP_MOST};
use gpu_kernels::ranks::Ranks;
use gpu_kernels::segments::{Classes, Segments};
use gpu_kernels::tile::{Pass, WholeSort, look};
use gpu_kernels::top_counts::samples;
use gpu_kernels::top_pass::TopPass;
use gpu_kernels::verify::{Verify, VerifyValues};
use sort_cases::{Case, Distribution, KeyType, Payload};

/// A test of each entry point, of its section's function below.
macro_rules! stamp {
    ($($key:ident {
        $($section:ident { $($name:ident $(: $($word:ident)+, $shape:expr)?;)* })*
    })*) => {
        $($($(
            #[test]
            fn $name() {
                $section::<$key>(&entries::$name::ENTRY, entries::$name::run);
            }
        )*)*)*
    };
}

gpu_kernels::for_every_entry!(stamp);

fn histograms<K: Key>(entry: &Entry<Histogram<K>>, run: unsafe fn(Histogram<K>)) {
    let kernels = Kernels { histogram: Kernel::of(entry, run), ..Kernels::of_keys::<128, 1, 1>() };
    let key = KeyType::unsigned(K::BITS);
    draws(entry.name, cases::ENTRY, (4096, 9000)).of(key, |case| {
        let keys = Buffer::from_slice(&case.words::<K>()).named("keys");
        let skip = (case.seed as usize % 16).min(case.n - 1);
        Sorter::new(case, kernels).histogram(&keys, skip)
    });
}

fn bucket_counts<K: Key>(entry: &Entry<BucketCounts<K>>, run: unsafe fn(BucketCounts<K>)) {
    let small = BucketSorts::<K>::small::<128, true>();
    bucket_sort(entry.name, BucketSorts { counts: Kernel::of(entry, run), ..small });
}

fn bucket_starts<K: Key>(entry: &Entry<BucketStarts>, run: unsafe fn(BucketStarts)) {
    let small = BucketSorts::<K>::small::<128, true>();
    bucket_sort(entry.name, BucketSorts { starts: Kernel::of(entry, run).early(), ..small });
}

fn bucket_sort<K: Key>(name: &str, kernels: BucketSorts<K>) {
    let key = KeyType::unsigned(K::BITS);
    draws(name, cases::ENTRY_BUCKETS, (4096, 9000)).of(key, |case| {
        let bits = (0, K::BITS);
        kernels.sorts(&Case { bits, ..*case }).map(|_| ())
    });
}

fn fused<K: Key>(entry: &Entry<Fused<K>>, run: unsafe fn(Fused<K>)) {
    sorts_as_launched(entry.name, Kernel::of(entry, run), entry.paired);
}

fn partitions<K: Key>(entry: &Entry<WholeSort<K>>, run: unsafe fn(WholeSort<K>)) {
    let second = match entry.paired {
        true => partition::ranges::<K, u64, { RANGE.threads }, true>(),
        false => partition::ranges::<K, K, { RANGE.threads }, false>(),
    };
    let kernels = [Kernel::of(entry, run), second];
    partition::sorts_as_launched(entry.name, kernels, entry.paired);
}

fn range_sorts<K: Key>(entry: &Entry<WholeSort<K>>, run: unsafe fn(WholeSort<K>)) {
    let first = match entry.paired {
        true => partition::tiles::<K, u64, { RANGE.threads }, true, false>(),
        false => partition::tiles::<K, K, { RANGE.threads }, false, true>(),
    };
    partition::sorts_as_launched(entry.name, [first, Kernel::of(entry, run)], entry.paired);
}

fn local<K: Key>(entry: &Entry<LocalSort<K>>, run: unsafe fn(LocalSort<K>)) {
    let kernel = Kernel::of(entry, run).early();
    let draws = draws(entry.name, cases::ENTRY_BUCKETS, (kernel.tile / 2, kernel.tile));
    draws.of(KeyType::unsigned(K::BITS), |case| sorts_locally(case, kernel, entry.paired));
}

fn gathered<K: Key>(entry: &Entry<GatheredSort<K>>, run: unsafe fn(GatheredSort<K>)) {
    let kernel = Kernel::of(entry, run);
    let draws = draws(entry.name, cases::ENTRY_BUCKETS, (kernel.tile / 2, kernel.tile));
    draws.of(KeyType::unsigned(K::BITS), |case| sorts_gathered(case, kernel, entry.paired));
}

fn by_digit<K: Key>(entry: &Entry<LocalSort<K>>, run: unsafe fn(LocalSort<K>)) {
    let kernel = Kernel::of(entry, run).early();
    let draws = draws(entry.name, cases::ENTRY_BUCKETS, (kernel.tile / 2, kernel.tile));
    draws.of(KeyType::unsigned(K::BITS), |case| sorts_digits(case, kernel, entry.paired));
}

fn shortcuts<K: Key>(entry: &Entry<WholeSort<K>>, run: unsafe fn(WholeSort<K>)) {
    let kernel = Kernel::of(entry, run).early();
    draws(entry.name, cases::ENTRY, (4096, 9000)).of(KeyType::unsigned(K::BITS), |case| {
        let payload = if entry.paired { Payload::Index } else { Payload::None };
        let case = Case { payload, ..*case };
        shortcut::sorts(&case, &case.words(), kernel, (ASCENDING, false)).map(|_| ())
    });
}

fn top_counts<K: Key>(entry: &Entry<Histogram<K>>, run: unsafe fn(Histogram<K>)) {
    let kernels = TopSorts { counts: Kernel::of(entry, run), ..TopSorts::small() };
    top_sort(entry.name, kernels, (4096, 9000));
}

fn top_passes<K: Key>(entry: &Entry<TopPass<K>>, run: unsafe fn(TopPass<K>)) {
    let kernels = TopSorts { pass: Kernel::of(entry, run).early(), ..TopSorts::small() };
    let n = 2 * kernels.pass.tile + 1;
    top_sort(entry.name, kernels, (kernels.pass.tile, n));
    if samples::<K>() {
        let case = Case::uniform(KeyType::unsigned(K::BITS), n, 1);
        kernels.is_fooled(&case).unwrap_or_else(|failure| panic!("misled: {failure}"));
    }
}

fn by_top<K: Key>(entry: &Entry<LocalSort<K>>, run: unsafe fn(LocalSort<K>)) {
    let kernels = TopSorts { local: Kernel::of(entry, run).early(), ..TopSorts::small() };
    top_sort(entry.name, kernels, (4096, 9000));
}

fn top_sort<K: Key>(name: &str, kernels: TopSorts<K>, sizes: (usize, usize)) {
    let key = KeyType::unsigned(K::BITS);
    draws(name, cases::ENTRY_BUCKETS, sizes)
        .of(key, |case| kernels.sorts(case, &case.words()).map(|_| ()));
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
        pass: Kernel::of(entry, run),
        paired: entry.paired,
        look,
        portion: if look == look::BACK_IN_PORTION { 1 } else { usize::MAX },
        patient: true,
        ..Kernels::of_keys::<128, 1, 1>()
    };
    let key = KeyType::unsigned(K::BITS);
    let sizes = (kernels.pass.tile, 2 * kernels.pass.tile + 1);
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
    let tile = kernels.pass.tile;
    let case = Case {
        distribution: Distribution::Stretches,
        payload: Payload::Value(4),
        bits: (0, K::BITS.min(8)),
        ..Case::uniform(KeyType::unsigned(K::BITS), 2 * tile + 1, 1)
    };
    let keys: Vec<K> = (0..case.n).map(|i| K::from_u64(2 - (i / tile) as u64)).collect();
    let values = case.some_words::<u32>(case.n, 2);
    Sorter::new(&case, kernels).sort(&keys, Some(&values)).map(|_| ())
}

fn blocks<K: Key>(entry: &Entry<Block<K>>, run: unsafe fn(Block<K>)) {
    let kernel = Kernel::of(entry, run);
    draws(entry.name, cases::ENTRY, (kernel.tile / 2, kernel.tile))
        .of(KeyType::unsigned(K::BITS), |case| alone::sorts_in_a_block(case, kernel, entry.paired));
}

fn merge<K: Key>(entry: &Entry<Merge<K>>, run: unsafe fn(Merge<K>)) {
    let kernel = Kernel::of(entry, run);
    for key in KeyType::ALL.iter().filter(|key| key.bits == K::BITS) {
        draws(entry.name, 4 * cases::ENTRY, (kernel.tile, 3 * kernel.tile))
            .of(*key, |case| alone::merges(case, kernel, entry.paired));
    }
}

fn ranks<K: Key>(entry: &Entry<Ranks<K>>, run: unsafe fn(Ranks<K>)) {
    let types = KeyType::ALL.iter().copied();
    strided(entry, types.filter(|key| key.bits == K::BITS), |case| {
        alone::ranks(case, 3, Kernel::of(entry, run))
    });
}

fn segment_classes<K: Key>(entry: &Entry<Classes>, run: unsafe fn(Classes)) {
    let kernels = SegmentSorts::<K> { classes: Kernel::of(entry, run), ..SegmentSorts::of_keys() };
    segments(entry.name, kernels, 2 * MOST[BLOCKS - 1]);
}

fn segment_numbers<K: Key>(entry: &Entry<SegmentNumbers>, run: unsafe fn(SegmentNumbers)) {
    let key = [KeyType::unsigned(K::BITS)];
    strided(entry, key, |case| numbers(case, 3, Kernel::of(entry, run)));
}

fn segments_in_warps<K: Key>(entry: &Entry<Segments<K>>, run: unsafe fn(Segments<K>)) {
    let kernels =
        SegmentSorts { in_warps: Kernel::of(entry, run), ..SegmentSorts::of(entry.paired) };
    segments(entry.name, kernels, WARP_MOST);
}

fn short_segments<K: Key>(entry: &Entry<Segments<K>>, run: unsafe fn(Segments<K>)) {
    let kernels = SegmentSorts { short: Kernel::of(entry, run), ..SegmentSorts::of(entry.paired) };
    segments(entry.name, kernels, MOST[SHORT - 1]);
}

fn long_segments<K: Key>(entry: &Entry<Segments<K>>, run: unsafe fn(Segments<K>)) {
    let mut kernels = SegmentSorts::of(entry.paired);
    let class = MOST.iter().rposition(|&most| most <= entry.shape.tile()).unwrap();
    kernels.long[class - SHORT] = Kernel::of(entry, run);
    segments(entry.name, kernels, MOST[class]);
}

/// Sorts of segments no longer than `most` and a little more, of every type of the words' width.
fn segments<K: Key>(name: &str, kernels: SegmentSorts<K>, most: usize) {
    for key in KeyType::ALL.iter().filter(|key| key.bits == K::BITS) {
        let draws = draws(name, cases::SEGMENTS, (most, 3 * most + 1000));
        draws.of(*key, |case| kernels.sorts(case, most));
    }
}

fn verify<K: Key>(entry: &Entry<Verify<K>>, run: unsafe fn(Verify<K>)) {
    strided(entry, [KeyType::unsigned(K::BITS)], |case| {
        alone::verifies(case, 2, Kernel::of(entry, run))
    });
}

fn verify_values<K: Key>(entry: &Entry<VerifyValues<K>>, run: unsafe fn(VerifyValues<K>)) {
    strided(entry, [KeyType::unsigned(K::BITS)], |case| {
        alone::verifies_values(case, 2, Kernel::of(entry, run))
    });
}

fn gather<K: Key>(entry: &Entry<Gather<K>>, run: unsafe fn(Gather<K>)) {
    strided(entry, [KeyType::unsigned(K::BITS)], |case| {
        alone::gathers(case, 3, Kernel::of(entry, run))
    });
}

fn numeric_codes<K: Key>(entry: &Entry<NumericCodes<K>>, run: unsafe fn(NumericCodes<K>)) {
    let types = KeyType::ALL.iter().copied();
    let floats = types.filter(|key| key.is_float() && key.bits == K::BITS);
    strided(entry, floats, |case| alone::codes(case, 3, Kernel::of(entry, run)));
}

/// A kernel of any grid, of keys of some types.
fn strided<A>(
    entry: &Entry<A>,
    types: impl IntoIterator<Item = KeyType>,
    property: impl Fn(&Case) -> Result<(), String>,
) {
    for key in types {
        draws(entry.name, cases::ENTRY, (1000, 3000)).of(key, &property);
    }
}
