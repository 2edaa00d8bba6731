//! Sorts by bucket: the counts, the decision, and the local sort, alone and together.

use crate::alone::{Geometry, run};
use crate::case::{Emulated, draws};
use crate::cases;
use crate::sorter::{Kernels, Sorter};
use cuda_std::emu::Buffer;
use cuda_std::memory::Global;
use gpu_kernels::buckets::{self, BUCKETS, BucketStarts, TALLY};
use gpu_kernels::control;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::Key;
use gpu_kernels::local_sort::{self, LocalSort};
use gpu_kernels::tile::Pass;
use sort_cases::{Case, Distribution, KeyType, Payload};
use std::cell::Cell;

/// A histogram by bucket.
pub type HistogramKernel = unsafe fn(Histogram<u32>, Global<u32>);

/// A local sort.
pub type LocalKernel = unsafe fn(LocalSort);

/// What a local sort is launched as.
pub fn geometry(threads: usize, items: usize, paired: bool) -> Geometry {
    Geometry {
        threads,
        tile: threads * items,
        shared_bytes: local_sort::shared_bytes(threads, items, paired),
        early: true,
    }
}

/// The case's keys, of which so many share their upper half, or thereabouts.
fn keys_by_bucket(case: &Case, shared: usize) -> Vec<u32> {
    let buckets = (case.n / shared).clamp(1, BUCKETS) as u32;
    let apart = BUCKETS as u32 / buckets;
    let bucket = |key: u32| ((key >> 16) % buckets * apart) << 16;
    let keys = case.words::<u32>().into_iter();
    keys.map(|key| bucket(key) | key & 0xffff).collect()
}

/// The local sort of keys that stand by bucket already. The last bucket is one that the
/// block's shared memory just holds.
pub fn sorts_locally(
    case: &Case,
    kernel: LocalKernel,
    geometry: Geometry,
    paired: bool,
) -> Result<(), String> {
    let flip: u32 = case.flip();
    let encodes = case.key.is_float() && !case.numeric;
    let code = |key: u32| if encodes { key.encode() } else { key };
    let rank = |key: u32| code(key) ^ flip;
    let mut keys = keys_by_bucket(case, geometry.tile / 2);
    keys.sort_by_key(|&key| rank(key) >> 16);
    let last = keys.last().map_or(0, |&key| rank(key) >> 16);
    let so_far = keys.iter().filter(|&&key| rank(key) >> 16 == last).count();
    let fills = case.some_words::<u32>(geometry.tile.saturating_sub(so_far), 5);
    keys.extend(
        fills
            .iter()
            .map(|&low| code((last << 16 | low & 0xffff) ^ flip)),
    );
    let mut starts = vec![0; BUCKETS + 1];
    for &key in &keys {
        starts[(rank(key) >> 16) as usize + 1] += 1;
    }
    if starts.iter().any(|&count| count as usize > geometry.tile) {
        // What is not sorted locally.
        return Ok(());
    }
    for i in 0..BUCKETS {
        starts[i + 1] += starts[i];
    }
    let values: Vec<u32> = case.some_words(keys.len(), 2);
    let coded: Vec<u32> = keys.iter().map(|&key| code(key)).collect();
    let words = vec![0; control::BINS];
    let control = Buffer::from_slice(&words).named("control");
    control.write(control::LOCALLY, 1);
    let held = Buffer::from_slice(&coded).named("keys");
    let held_values = Buffer::from_slice(&values).named("values");
    let starts = Buffer::from_slice(&starts).named("starts");
    let arg = LocalSort {
        keys: held.global(),
        values: held_values.global(),
        control: control.global(),
        starts: starts.global(),
        flip,
        options: if encodes { control::ENCODE } else { 0 },
    };
    let blocks = 1 + (case.seed >> 8) as usize % 3;
    run(case, "local_sort", blocks, geometry, || unsafe {
        kernel(arg)
    })?;
    let mut expected: Vec<(u32, u32)> = keys.into_iter().zip(values).collect();
    expected.sort_by_key(|&(key, _)| rank(key));
    let (keys, values): (Vec<u32>, Vec<u32>) = expected.into_iter().unzip();
    if held.to_vec() != keys {
        return Err("the buckets are not sorted".to_owned());
    }
    if paired && held_values.to_vec() != values {
        return Err("the values are not their keys'".to_owned());
    }
    Ok(())
}

/// What sorts by bucket: all but the passes.
#[derive(Clone, Copy)]
pub struct ByBucket {
    pub histogram: HistogramKernel,
    pub histogram_threads: u32,
    pub histogram_shared: usize,
    pub starts: unsafe fn(BucketStarts),
    pub local: LocalKernel,
    pub geometry: Geometry,
    pub paired: bool,
}

impl ByBucket {
    /// Small shapes.
    fn small<const THREADS: usize, const PAIRED: bool>() -> Self {
        ByBucket {
            histogram: buckets::histogram_by_bucket::<2>,
            histogram_threads: 256,
            histogram_shared: buckets::shared_bytes(2),
            starts: buckets::bucket_starts,
            local: local_sort::local_sort::<THREADS, 2, PAIRED>,
            geometry: geometry(THREADS, 2, PAIRED),
            paired: PAIRED,
        }
    }

    /// Sorts the case's keys. Returns whether locally.
    pub fn sorts(&self, case: &Case) -> Result<bool, String> {
        // From a key a bucket to crowds.
        self.sorts_keys(
            case,
            keys_by_bucket(case, 1 + (case.seed >> 20) as usize % 12),
        )
    }

    /// The same of keys that the case does not say.
    fn sorts_keys(&self, case: &Case, keys: Vec<u32>) -> Result<bool, String> {
        let kernels = if self.paired {
            Kernels::<u32>::of_pairs::<128, 3, 1>()
        } else {
            Kernels::<u32>::of::<128, 2, 2>()
        };
        let kernels = Kernels {
            histogram_threads: self.histogram_threads,
            histogram_shared: self.histogram_shared,
            ..kernels
        };
        let sorter = Sorter::new(case, kernels);
        let (blocks, n) = (sorter.blocks(), keys.len() as u32);
        let tallies = Buffer::uninitialised(blocks as usize * TALLY).named("tallies");
        let starts = Buffer::uninitialised(BUCKETS + 1).named("starts");
        let (to, from) = (tallies.global(), tallies.global());
        let values: Vec<u32> = case.some_words(keys.len(), 2);
        let locally = Cell::new(false);
        let plan = |input: &Buffer<u32>, indexed| {
            let (kernel, starting) = (self.histogram, self.starts);
            sorter.plan_by(input, 0, indexed, |arg| unsafe { kernel(arg, to) })?;
            let arg = BucketStarts {
                tallies: from,
                count: blocks,
                control: sorter.control().global(),
                starts: starts.global(),
                n,
                capacity: self.geometry.tile as u32,
            };
            let geometry = Geometry {
                threads: buckets::THREADS,
                tile: 0,
                shared_bytes: buckets::STARTS_SHARED_BYTES,
                early: true,
            };
            let start = || unsafe { starting(arg) };
            run(case, "bucket_starts", buckets::BLOCKS, geometry, start)?;
            locally.set(sorter.control().read(control::LOCALLY) != 0);
            Ok(())
        };
        let after = |pass: Pass<u32>| {
            let arg = LocalSort {
                keys: pass.keys.output,
                values: pass.values.output,
                control: pass.control,
                starts: starts.global(),
                flip: pass.flip,
                options: pass.options,
            };
            let kernel = self.local;
            run(case, "local_sort", 2, self.geometry, || unsafe {
                kernel(arg)
            })
        };
        let given = self.paired && case.payload != Payload::Index;
        let given = given.then_some(values.as_slice());
        let found = sorter.sort_around(&keys, given, plan, after)?;
        self.check(case, &keys, given, found, locally.get())?;
        Ok(locally.get())
    }

    fn check(
        &self,
        case: &Case,
        keys: &[u32],
        values: Option<&[u32]>,
        (sorted, order): (Vec<u32>, Vec<u32>),
        locally: bool,
    ) -> Result<(), String> {
        let rank = |key: u32| {
            case.flip::<u32>()
                ^ if case.key.is_float() {
                    key.encode()
                } else {
                    key
                }
        };
        let value = |i: usize| values.map_or(i as u32, |values| values[i]);
        let mut expected: Vec<(u32, u32)> = (0..keys.len()).map(|i| (keys[i], value(i))).collect();
        expected.sort_by_key(|&(key, _)| rank(key));
        let mut counts = vec![0; BUCKETS];
        keys.iter()
            .for_each(|&key| counts[(rank(key) >> 16) as usize] += 1);
        if locally && counts.iter().any(|&count| count > self.geometry.tile) {
            return Err("sorted locally what a block does not hold".to_owned());
        }
        if !sorted.iter().eq(expected.iter().map(|(key, _)| key)) {
            return Err("the output is not the sorted input".to_owned());
        }
        if self.paired && !order.iter().eq(expected.iter().map(|(_, value)| value)) {
            return Err("the values are not their keys'".to_owned());
        }
        Ok(())
    }
}

#[test]
fn local_sort_alone() {
    for key in [KeyType::U32, KeyType::I32, KeyType::F32] {
        let draws = draws("local_sort_alone", cases::LOCAL, (128, 700));
        draws.of(key, |case| {
            let paired = case.seed.is_multiple_of(2);
            match (case.seed % 4, paired) {
                (0, _) => sorts_locally(
                    case,
                    local_sort::local_sort::<32, 4, true>,
                    geometry(32, 4, true),
                    true,
                ),
                (1, _) => sorts_locally(
                    case,
                    local_sort::local_sort::<32, 4, false>,
                    geometry(32, 4, false),
                    false,
                ),
                (2, _) => sorts_locally(
                    case,
                    local_sort::local_sort::<128, 2, true>,
                    geometry(128, 2, true),
                    true,
                ),
                _ => sorts_locally(
                    case,
                    local_sort::local_sort::<128, 2, false>,
                    geometry(128, 2, false),
                    false,
                ),
            }
        });
    }
}

#[test]
fn sort_by_bucket() {
    let (locally, not) = (Cell::new(0), Cell::new(0));
    for key in [KeyType::U32, KeyType::I32, KeyType::F32] {
        draws("sort_by_bucket", cases::BY_BUCKET, (512, 6000)).of(key, |case| {
            let case = Case {
                bits: (0, 32),
                numeric: false,
                ..*case
            };
            let done = match case.seed % 4 {
                0 => ByBucket::small::<32, true>().sorts(&case)?,
                1 => ByBucket::small::<32, false>().sorts(&case)?,
                2 => ByBucket::small::<128, true>().sorts(&case)?,
                _ => ByBucket::small::<128, false>().sorts(&case)?,
            };
            let counted = if done { &locally } else { &not };
            counted.set(counted.get() + 1);
            Ok(())
        });
    }
    // Both ways have been gone.
    assert!(
        locally.get() > 5 && not.get() > 5,
        "{locally:?} locally, {not:?} not"
    );
}

/// Uniform keys of 4 bytes.
fn uniform(n: usize) -> Case {
    Case {
        key: KeyType::U32,
        n,
        seed: 1,
        distribution: Distribution::Uniform,
        payload: Payload::None,
        descending: false,
        numeric: false,
        bits: (0, 32),
        in_place: false,
        ballots: true,
    }
}

/// Buckets far from each other, each of which a block holds but for a few keys, and that
/// the first keys do not show.
#[test]
fn buckets_too_large_are_left_to_the_passes() {
    let case = uniform(22_400);
    let mut keys: Vec<u32> = case.words();
    for i in (0..keys.len()).step_by(320) {
        keys[i] = 77 << 16 | keys[i] & 0xffff;
        keys[i + 1] = 40_000 << 16 | keys[i + 1] & 0xffff;
    }
    let locally = ByBucket::small::<32, false>().sorts_keys(&case, keys);
    assert_eq!(locally, Ok(false));
}

/// One bucket that overflows a counter of 16 bits, behind keys that do not show it.
#[test]
fn a_late_crowd_is_seen() {
    let case = uniform(90_000);
    let mut keys: Vec<u32> = case.words();
    keys[10_000..]
        .iter_mut()
        .for_each(|key| *key = 7 << 16 | *key & 0xffff);
    let kernels = Kernels {
        histogram_threads: 256,
        histogram_shared: buckets::shared_bytes(2),
        ..Kernels::<u32>::of::<128, 2, 2>()
    };
    let tallies = Buffer::uninitialised(3 * TALLY);
    let to = tallies.global();
    let sorter = Sorter::new(&case, kernels);
    let input = Buffer::from_slice(&keys);
    let counted = sorter.plan_by(&input, 0, false, |arg| unsafe {
        buckets::histogram_by_bucket::<2>(arg, to)
    });
    counted.unwrap_or_else(|failure| panic!("{failure}"));
}
