//! Sorts by bucket: the counts, the decision, and the local sort, alone and together.

use crate::alone::{Kernel, check_sorted};
use crate::case::{Emulated, TYPES, both_ways, draws};
use crate::cases;
use crate::sorter::{self, Kernels, Sorter, behind};
use cuda_std::emu::Buffer;
use gpu_kernels::bucket_starts::{self, BucketStarts};
use gpu_kernels::buckets::{self, BUCKET_BITS, BUCKETS, BucketCounts, COUNT_WORDS};
use gpu_kernels::control;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::Key;
use gpu_kernels::local_sort::{self, LocalSort};
use gpu_kernels::policy::Shape;
use sort_cases::{Case, KeyType, Payload};
use std::cell::Cell;

/// A local sort in a small shape.
fn local<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool>()
-> Kernel<LocalSort<K>> {
    let shape = Shape::new(THREADS, ITEMS, 1);
    let run = local_sort::local_sort::<K, THREADS, ITEMS, PAIRED>;
    Kernel::of_shape(run, shape, local_sort::shared_bytes::<K>(shape, PAIRED)).early()
}

/// The key of a bucket that has its lower bits in common with `key`.
pub fn in_bucket<K: Key>(bucket: u64, key: K) -> K {
    let lower = !K::from_u64(0) >> BUCKET_BITS;
    K::from_u64(bucket) << (K::BITS - BUCKET_BITS) | key & lower
}

/// The bucket of a code.
pub fn bucket_of<K: Key>(code: K) -> usize {
    (code >> (K::BITS - BUCKET_BITS)).to_u64() as usize
}

/// The case's keys, of which so many share their bucket, or thereabouts.
fn keys_by_bucket<K: Key>(case: &Case, shared: usize) -> Vec<K> {
    let buckets = (case.n / shared).clamp(1, BUCKETS);
    let apart = BUCKETS / buckets;
    let keys = case.words::<K>().into_iter();
    keys.map(|key| in_bucket((bucket_of(key) % buckets * apart) as u64, key)).collect()
}

/// Keys without the bits that the first rounds of a local sort are by, but for buckets'.
fn alike_at_first<K: Key>(keys: &mut [K]) {
    let kept = !K::from_u64(0) >> (BUCKET_BITS + 24);
    for key in keys {
        *key = in_bucket(bucket_of(*key) as u64, *key & kept);
    }
}

/// The local sort of keys that stand by bucket already. The last bucket is one that the block's
/// shared memory just holds. Of some cases of wide keys no two differ in what the first rounds
/// are by.
pub fn sorts_locally<K: Key>(
    case: &Case,
    kernel: Kernel<LocalSort<K>>,
    paired: bool,
) -> Result<(), String> {
    let order_mask: K = case.order_mask();
    let rank = |key: K| case.rank(key);
    let mut keys = keys_by_bucket::<K>(case, kernel.tile / 2);
    keys.sort_by_key(|&key| bucket_of(rank(key)));
    let last = keys.last().map_or(0, |&key| bucket_of(rank(key)));
    let so_far = keys.iter().filter(|&&key| bucket_of(rank(key)) == last);
    let room = kernel.tile.saturating_sub(so_far.count());
    let fills = case.some_words::<K>(room, 5).into_iter();
    keys.extend(fills.map(|low| case.code(in_bucket(last as u64, low) ^ order_mask)));
    if K::BITS > 32 && (case.seed >> 12).is_multiple_of(3) && !case.encodes() {
        alike_at_first(&mut keys);
    }
    let mut starts = vec![0; BUCKETS + 1];
    for &key in &keys {
        starts[bucket_of(rank(key)) + 1] += 1;
    }
    if starts.iter().any(|&count| count as usize > kernel.tile) {
        // Such keys are not sorted locally.
        return Ok(());
    }
    for i in 0..BUCKETS {
        starts[i + 1] += starts[i];
    }
    let values: Vec<u32> = case.some_words(keys.len(), 2);
    let coded: Vec<K> = keys.iter().map(|&key| case.code(key)).collect();
    let words = vec![0; control::BINS];
    let control = Buffer::from_slice(&words).named("control");
    control.write(control::LOCALLY, 1);
    let held = Buffer::from_slice(&coded).named("keys");
    let held_values = Buffer::from_slice(&values).named("values");
    let starts = Buffer::from_slice(&starts).named("starts");
    let arg = LocalSort {
        keys: held.global(),
        output: held.global(),
        values: held_values.global(),
        output_values: held_values.global(),
        control: control.global(),
        starts: starts.global(),
        n: keys.len() as u32,
        order_mask,
        options: if case.encodes() { control::ENCODE } else { 0 },
    };
    let blocks = 1 + (case.seed >> 8) as usize % 3;
    kernel.launch(case, "local_sort", blocks, arg)?;
    let found = paired.then(|| held_values.to_vec());
    check_sorted((&keys, &values), rank, &held.to_vec(), found.as_deref())
}

/// The kernels of a bucket sort, but for the passes.
#[derive(Clone, Copy)]
pub struct BucketSorts<K> {
    pub counts: Kernel<BucketCounts<K>>,
    pub starts: Kernel<BucketStarts>,
    /// The histogram that follows.
    pub again: Kernel<Histogram<K>>,
    pub local: Kernel<LocalSort<K>>,
    pub paired: bool,
}

impl<K: Key> BucketSorts<K> {
    /// Small shapes.
    pub fn small<const THREADS: usize, const PAIRED: bool>() -> Self {
        let counts = buckets::bucket_counts::<K, 1, 2>;
        let shape = Shape::new(256, 1, 1);
        let starts = bucket_starts::bucket_starts::<K>;
        let (starts_shape, starts_bytes) = (bucket_starts::SHAPE, bucket_starts::SHARED_BYTES);
        BucketSorts {
            counts: Kernel::of_shape(counts, shape, buckets::shared_bytes::<K>(1)),
            starts: Kernel::of_shape(starts, starts_shape, starts_bytes).early(),
            again: sorter::histogram::<K, 2>().early(),
            local: local::<K, THREADS, 2, PAIRED>(),
            paired: PAIRED,
        }
    }

    /// Sorts the case's keys. Returns whether locally.
    pub fn sorts(&self, case: &Case) -> Result<bool, String> {
        // From a key a bucket to contended ones.
        self.sorts_keys(case, keys_by_bucket(case, 1 + (case.seed >> 20) as usize % 12))
    }

    fn sorter(&self, case: &Case) -> Sorter<K> {
        Sorter::new(case, Kernels::small(self.paired))
    }

    /// Counts the keys by bucket.
    fn count(
        &self,
        sorter: &Sorter<K>,
        input: &Buffer<K>,
        indexed: bool,
    ) -> Result<Buffer<u32>, String> {
        let words = sorter.blocks as usize * COUNT_WORDS;
        let bucket_counts = Buffer::uninitialised(words).named("bucket counts");
        let counted = sorter.counted(input, 0, indexed);
        sorter.count(&self.counts, BucketCounts::of(counted, bucket_counts.global()))?;
        Ok(bucket_counts)
    }

    /// The launches after the count: the starts of buckets, and where there are none to sort
    /// locally, all digits again. Returns whether buckets are sorted locally.
    fn decide(
        &self,
        (case, sorter): (&Case, &Sorter<K>),
        input: &Buffer<K>,
        indexed: bool,
        (bucket_counts, starts): (Buffer<u32>, &Buffer<u32>),
    ) -> Result<bool, String> {
        let arg = BucketStarts {
            bucket_counts: bucket_counts.global(),
            count: sorter.blocks,
            control: sorter.control.global(),
            starts: starts.global(),
            n: input.len() as u32,
            capacity: self.local.tile as u32,
        };
        sorter.control.write(control::SHORTCUT, control::FEW | control::ASCENDING);
        self.starts.launch(case, "bucket_starts", bucket_starts::BLOCKS, arg)?;
        let mut arg = sorter.counted(input, 0, indexed);
        arg.options |= control::ONLY_AGAIN;
        self.again.launch(case, "histogram", sorter.blocks as usize, arg)?;
        let locally = sorter.control.read(control::LOCALLY) != 0;
        if locally && sorter.control.read(control::SHORTCUT) != control::ASCENDING {
            return Err("not the suggestion of keys in order alone".to_owned());
        }
        let lowest = if locally { K::DIGITS as u32 - 2 } else { 0 };
        sorter.check_starts(&input.to_vec(), lowest)?;
        Ok(locally)
    }

    /// The same of keys that the case does not say.
    fn sorts_keys(&self, case: &Case, keys: Vec<K>) -> Result<bool, String> {
        let sorter = self.sorter(case);
        let starts = Buffer::uninitialised(BUCKETS + 1).named("starts");
        let values: Vec<u32> = case.some_words(keys.len(), 2);
        let locally = Cell::new(false);
        let plan = |input: &Buffer<K>, indexed, _| {
            let bucket_counts = self.count(&sorter, input, indexed)?;
            let decided = self.decide((case, &sorter), input, indexed, (bucket_counts, &starts))?;
            locally.set(decided);
            Ok(())
        };
        let after =
            |pass| self.local.launch(case, "local_sort", 2, behind(pass, starts.global(), false));
        let given = self.paired && case.payload != Payload::Index;
        let given = given.then_some(values.as_slice());
        let found = sorter.sort_around(&keys, given, plan, after)?;
        self.check(case, &keys, given, found, locally.get())?;
        Ok(locally.get())
    }

    fn check(
        &self,
        case: &Case,
        keys: &[K],
        values: Option<&[u32]>,
        (sorted, order): (Vec<K>, Vec<u32>),
        locally: bool,
    ) -> Result<(), String> {
        let rank = |key: K| case.rank(key);
        let mut counts = vec![0; BUCKETS];
        keys.iter().for_each(|&key| counts[bucket_of(rank(key))] += 1);
        if locally && counts.iter().any(|&count| count > self.local.tile) {
            return Err("sorted locally what a block does not hold".to_owned());
        }
        let indices: Vec<u32> = (0..keys.len() as u32).collect();
        let values = values.unwrap_or(&indices);
        let order = self.paired.then_some(order.as_slice());
        check_sorted((keys, values), rank, &sorted, order)
    }
}

fn sort_alone<K: Key>(case: &Case) -> Result<(), String> {
    match case.seed % 4 {
        0 => sorts_locally(case, local::<K, 32, 4, true>(), true),
        1 => sorts_locally(case, local::<K, 32, 4, false>(), false),
        2 => sorts_locally(case, local::<K, 128, 2, true>(), true),
        _ => sorts_locally(case, local::<K, 128, 2, false>(), false),
    }
}

#[test]
fn local_sort_alone() {
    for key in TYPES {
        let draws = draws("local_sort_alone", cases::LOCAL, (128, 700));
        draws.of(key, |case| match key.bits {
            32 => sort_alone::<u32>(case),
            _ => sort_alone::<u64>(case),
        });
    }
}

fn sort_small<K: Key>(case: &Case) -> Result<bool, String> {
    let case = Case { bits: (0, K::BITS), numeric: false, ..*case };
    match case.seed % 4 {
        0 => BucketSorts::<K>::small::<32, true>().sorts(&case),
        1 => BucketSorts::<K>::small::<32, false>().sorts(&case),
        2 => BucketSorts::<K>::small::<128, true>().sorts(&case),
        _ => BucketSorts::<K>::small::<128, false>().sorts(&case),
    }
}

#[test]
fn bucket_sort() {
    let draws = draws("bucket_sort", cases::BUCKET_SORT, (512, 6000));
    both_ways(draws, 5, |case| match case.key.bits {
        32 => sort_small::<u32>(case),
        _ => sort_small::<u64>(case),
    });
}

/// Uniform keys.
fn uniform(key: KeyType, n: usize) -> Case {
    Case { match_ranking: true, ..Case::uniform(key, n, 1) }
}

/// Buckets far from each other, each of which a block holds but for a few keys, and that the
/// first keys do not show.
#[test]
fn buckets_too_large_are_left_to_the_passes() {
    fn of<K: Key>(key: KeyType) {
        let case = uniform(key, 22_400);
        let mut keys: Vec<K> = case.words();
        for i in (0..keys.len()).step_by(320) {
            keys[i] = in_bucket(77, keys[i]);
            keys[i + 1] = in_bucket(40_000, keys[i + 1]);
        }
        let locally = BucketSorts::small::<32, false>().sorts_keys(&case, keys);
        assert_eq!(locally, Ok(false));
    }
    of::<u32>(KeyType::U32);
    of::<u64>(KeyType::U64);
}

/// Digits that most keys share, below those that buckets are made by.
#[test]
fn contended_lower_digits_are_left_to_the_passes() {
    let case = uniform(KeyType::U64, 7000);
    let mut keys: Vec<u64> = case.words();
    for key in &mut keys {
        *key &= !0xff00;
    }
    let locally = BucketSorts::small::<32, false>().sorts_keys(&case, keys);
    assert_eq!(locally, Ok(false));
}

/// Many of one bucket next to each other, behind keys that do not show it.
#[test]
fn late_contention_is_seen() {
    let case = uniform(KeyType::U32, 24_000);
    let mut keys: Vec<u32> = case.words();
    for key in &mut keys[20_000..] {
        *key = in_bucket(7, *key);
    }
    let locally = BucketSorts::small::<128, false>().sorts_keys(&case, keys);
    assert_eq!(locally, Ok(false));
}

/// One bucket that overflows a counter of 16 bits, in either half of a word, though no two
/// neighbours share it.
#[test]
fn a_count_that_overflows_is_seen() {
    for bucket in [6, 7] {
        let case = Case {
            // One block.
            seed: 3,
            ..uniform(KeyType::U32, 150_000)
        };
        let mut keys: Vec<u32> = case.words();
        for key in keys[9000..].iter_mut().step_by(2) {
            *key = in_bucket(bucket, *key);
        }
        let bucket_sort = BucketSorts::small::<128, false>();
        let sorter = bucket_sort.sorter(&case);
        assert_eq!(sorter.blocks, 1);
        let input = Buffer::from_slice(&keys);
        bucket_sort.count(&sorter, &input, false).unwrap();
        let of = |word| sorter.control.read(word);
        assert_eq!((of(control::AGAIN), of(control::LOCALLY)), (1, 0));
    }
}
