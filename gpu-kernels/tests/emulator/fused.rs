//! Sorts in one launch of many blocks, in a small shape: the shared list, uneven inputs, and
//! blocks that do not find room.

use crate::alone::{self, Kernel, Whole, uniform};
use crate::case::{Emulated, TYPES, draws};
use crate::cases;
use cuda_std::emu::{Buffer, Options, Stats};
use gpu_kernels::fused::{self, Fused, SAMPLES};
use gpu_kernels::key::Key;
use gpu_kernels::policy::Shape;
use sort_cases::{Case, KeyType, Kind};

const THREADS: usize = 64;
const LOADED: usize = 2;
const ITEMS: usize = 8;
/// Keys of a range that a block holds.
const HELD: usize = THREADS * ITEMS;
/// Most keys of the small shape.
const MOST: usize = THREADS / 2 * THREADS * LOADED;

/// Sorts, one after the other, with what the one before has left behind.
pub struct FusedSorter<K> {
    case: Case,
    kernel: Kernel<Fused<K>>,
    control: Buffer<u32>,
    /// With values.
    paired: bool,
}

impl<K: Key> FusedSorter<K> {
    pub fn new(case: &Case, kernel: Kernel<Fused<K>>, paired: bool) -> Self {
        let words = vec![0; fused::words(fused::blocks(case.n, kernel.threads))];
        let control = Buffer::from_slice(&words).named("control");
        let case = Case { numeric: false, ..*case };
        FusedSorter { case, kernel, control, paired }
    }

    /// The case's schedule. All blocks find room in three cases of four, or the first barrier is
    /// hardly ever passed.
    fn options(&self, blocks: u32) -> Options {
        let options = self.case.options(blocks, self.kernel.threads as u32);
        let roomy = !(self.case.seed >> 8).is_multiple_of(4);
        Options {
            resident: if roomy { blocks } else { options.resident },
            impatience: if roomy { 0 } else { options.impatience },
            ..options.named("fused")
        }
    }

    fn sort(&self, keys: &[K]) -> Result<Stats, String> {
        let blocks = fused::blocks(keys.len(), self.kernel.threads) as u32;
        self.sort_with(keys, &self.options(blocks))
    }

    fn sort_with(&self, keys: &[K], options: &Options) -> Result<Stats, String> {
        let blocks = fused::blocks(keys.len(), self.kernel.threads);
        let whole = Whole::new(&self.case, keys, self.paired);
        let arg = whole.arg(&self.control);
        let arg = Fused {
            input: arg.keys.input,
            output: arg.keys.output,
            input_values: arg.values.input,
            output_values: arg.values.output,
            indices: arg.values.scratch,
            control: arg.control,
            n: arg.n,
            order_mask: arg.order_mask,
            options: arg.options,
        };
        let (words, all) = (self.control.global(), fused::words(blocks));
        // A host might launch it so; and the third word is a sense, which any sort reverses.
        let options = Options { early: true, ..options.clone() };
        let options = options.expect_zero(words, 0..2).expect_zero(words, 3..all);
        let stats = self.kernel.launch_as(&options, blocks, arg)?;
        whole.check()?;
        let left = (0..all).find(|&word| self.control.read(word) << 1 != 0);
        left.map_or(Ok(stats), |word| Err(format!("word {word} is not left at zero")))
    }

    /// The keys, and then the same reversed.
    pub fn sort_twice(&self, mut keys: Vec<K>) -> Result<(), String> {
        self.sort(&keys)?;
        keys.reverse();
        self.sort(&keys).map(|_| ())
    }
}

fn small<K: Key>(case: &Case) -> FusedSorter<K> {
    of_keys::<K, LOADED, ITEMS>(case)
}

fn small_pairs(case: &Case) -> FusedSorter<u32> {
    let shape = Shape::new(THREADS, ITEMS, 1);
    let run = fused::fused::<u32, u64, THREADS, LOADED, ITEMS, true>;
    FusedSorter::new(case, Kernel::of_shape(run, shape, fused::shared_bytes::<u64>(shape)), true)
}

/// A shape whose blocks read all of up to so many keys, unless in place.
const SELECTED: usize = 16 * THREADS;

fn few(case: &Case) -> FusedSorter<u32> {
    of_keys::<u32, 1, 4>(case)
}

fn of_keys<K: Key, const LOADED: usize, const ITEMS: usize>(case: &Case) -> FusedSorter<K> {
    let shape = Shape::new(THREADS, ITEMS, 1);
    let run = fused::fused::<K, K, THREADS, LOADED, ITEMS, false>;
    FusedSorter::new(case, Kernel::of_shape(run, shape, fused::shared_bytes::<K>(shape)), false)
}

#[test]
fn sorts_in_one_launch() {
    for key in TYPES {
        draws("sorts_in_one_launch", cases::FUSED, (THREADS, 2000)).of(key, |case| {
            match key.bits {
                32 => match case.seed % 4 {
                    0 => small_pairs(case).sort_twice(case.words()),
                    1 => small::<u32>(case).sort_twice(case.words()),
                    _ => few(case).sort_twice(case.words()),
                },
                _ => small::<u64>(case).sort_twice(case.words()),
            }
        });
    }
}

/// All blocks on the device, under a schedule of this number.
fn roomy(seed: u64, n: usize) -> Options {
    alone::roomy(seed, fused::blocks(n, THREADS), THREADS)
}

/// Keys made of uniform ones, by their number, in schedules in which all blocks pass. Returns
/// what the last sort took.
#[track_caller]
fn sorts(n: usize, key: impl Fn(usize, u64) -> u64) -> Stats {
    let mut stats = Stats::default();
    for seed in 1..4 {
        let case = uniform(seed, n);
        let words = case.words::<u64>().into_iter().enumerate();
        let keys: Vec<u64> = words.map(|(i, word)| key(i, word)).collect();
        stats = small(&case).sort_with(&keys, &roomy(seed, n)).unwrap();
        // The upper halves alone.
        let case = Case { key: KeyType::U32, bits: (0, 32), ..case };
        let keys: Vec<u32> = keys.into_iter().map(|key| (key >> 32) as u32).collect();
        small(&case).sort_with(&keys, &roomy(seed, n)).unwrap();
        small_pairs(&case).sort_with(&keys, &roomy(seed, n)).unwrap();
        if n <= SELECTED && !case.in_place {
            // They wait for no other block.
            let alone = Options { resident: 1, ..roomy(seed, n) };
            few(&case).sort_with(&keys, &alone).unwrap();
        }
    }
    stats
}

#[test]
fn sizes_at_the_borders_of_tiles_and_grids() {
    for n in [1, 2, 31, 33, 63, 64, 65, 127, 128, 129, 1023, 2047, 2048, 2049] {
        sorts(n, |_, word| word);
    }
    sorts(MOST, |_, word| word);
}

#[test]
fn even_digits_cost_less_than_uneven_ones() {
    let n = 1000;
    let even = sorts(n, |_, word| word).collectives;
    let uneven = sorts(n, |_, word| word & word.rotate_left(23) & word.rotate_left(41));
    assert!(uneven.collectives > 2 * even, "{even}, {}", uneven.collectives);
}

/// Keys that share their leading bits, all of them or most.
#[test]
fn even_keys_behind_some_bits_need_no_splitters() {
    let n = 1000;
    let even = sorts(n, |_, word| word).collectives;
    let looked_at = |i: usize| (0..2 * THREADS).any(|number| number * n / (2 * THREADS) == i);
    let keys: [&dyn Fn(usize, u64) -> u64; 4] = [
        &|_, word| word >> 9,
        &|_, word| 77 << 50 | word >> 40,
        &|_, word| word % 3000,
        &|i, word| if i % 90 == 7 && !looked_at(i) { word } else { 5 << 55 | word >> 12 },
    ];
    for key in keys {
        let case = uniform(1, n);
        let words = case.words::<u64>().into_iter().enumerate();
        let keys: Vec<u64> = words.map(|(i, word)| key(i, word)).collect();
        let taken = small(&case).sort_with(&keys, &roomy(1, n)).unwrap().collectives;
        assert!(taken < even + even / 2, "{taken} {even}");
    }
}

#[test]
fn uneven_digits() {
    let zipf = |word: u64| u64::MAX / (1 + word % 977).pow(2);
    for n in [500, 1100] {
        sorts(n, |_, word| word & word.rotate_left(23));
        sorts(n, |_, word| word & word.rotate_left(23) & word.rotate_left(41));
        sorts(n, |_, word| word >> 40 << 24);
        sorts(n, |_, word| zipf(word));
        sorts(n, |i, _| i as u64 * 0x1_0001_0001);
        sorts(n, |i, _| u64::MAX - i as u64 / 7);
        sorts(n, |i, word| if i == n / 2 { word } else { 5 << 40 });
    }
}

#[test]
fn few_values() {
    for values in [1, 2, 3, 15, 40, 300] {
        sorts(1600, |_, word| (word % values).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        sorts(1100, |_, word| word % values);
    }
}

/// Even top digits, under which keys share all their other bits, or the bins' bits, or do so up
/// to the size from which on a bin is contended.
#[test]
fn contention_below_even_digits() {
    let top = |word: u64| word >> 59 << 59;
    for n in [640, 1900] {
        sorts(n, |_, word| top(word));
        sorts(n, |_, word| top(word) | word & 0xffff_ffff);
        sorts(n, |_, word| top(word) | (word % 3) << 56);
        sorts(n, |i, word| top(word) | if i % 2 == 0 { 0 } else { word >> 5 });
    }
    let buckets = 8;
    for equal in 14..=19 {
        sorts(buckets * 60, |i, word| {
            let low = if i / buckets < equal { 7 << 40 } else { word >> 3 };
            ((i % buckets) as u64) << 61 | low
        });
    }
}

/// A digit that a block just holds, and one key more, which a sample does not show.
#[test]
fn digits_as_large_as_a_block_holds() {
    let n = 1000;
    let blocks = fused::blocks(n, THREADS);
    let shift = 64 - blocks.ilog2();
    let looked_at: Vec<usize> = (0..2 * THREADS).map(|i| i * n / (2 * THREADS)).collect();
    let count = |held: usize| {
        let large = (0..n).filter(|i| !looked_at.contains(i)).take(held);
        let large: Vec<usize> = large.collect();
        let taken = sorts(n, |i, word| {
            let digit = if large.contains(&i) { 3 } else { 4 + (i % (blocks - 4)) as u64 };
            digit << shift | word >> (64 - shift)
        });
        taken.barriers
    };
    assert!(count(HELD) < count(HELD + 1));
}

/// Keys whose samples all lie elsewhere: one range has nearly all others.
#[test]
fn a_range_larger_than_a_block_holds() {
    for (n, held) in [(2000, HELD), (SELECTED, 4 * THREADS)] {
        let samples = SAMPLES * fused::blocks(n, THREADS);
        let sampled: Vec<usize> = (0..samples).map(|number| number * n / samples).collect();
        let sampled = |i: usize| sampled.contains(&i);
        assert!(n - samples > 3 * held);
        sorts(n, |i, word| if sampled(i) { word >> 1 } else { u64::MAX << 40 | word >> 24 });
        sorts(n, |i, word| if sampled(i) { word | 1 << 63 } else { word >> 8 });
    }
}

/// Fewer blocks on the device than wait for each other: they sort all the same, and leave what
/// the next sort needs.
#[test]
fn blocks_that_find_no_room() {
    let n = 700;
    let blocks = fused::blocks(n, THREADS) as u32;
    for seed in 1..25 {
        let case = uniform(seed, n);
        let sorter = small::<u64>(&case);
        for resident in [blocks, blocks / 2, blocks - 1, blocks, 1, blocks] {
            let impatience = [0, 4, 64][seed as usize % 3];
            let schedule = Options::any(seed, blocks, THREADS as u32);
            let options = Options { resident, impatience, ..schedule };
            let taken = sorter.sort_with(&case.words(), &options).unwrap();
            assert!(resident == blocks || taken.impatient > 0);
        }
    }
}

/// Cases of a shape that devices run. Of few blocks, which are many threads.
pub fn sorts_as_launched<K: Key>(name: &str, kernel: Kernel<Fused<K>>, paired: bool) {
    let types = TYPES.into_iter().filter(|key| key.bits == K::BITS);
    for key in types.filter(|key| !matches!(key.kind, Kind::Signed)) {
        draws(name, cases::ENTRY / 2, (kernel.threads, kernel.tile)).of(key, |case| {
            let options =
                Options { resident: 16, impatience: 0, ..Options::any(case.seed, 8, 256) };
            FusedSorter::new(case, kernel, paired).sort_with(&case.words(), &options).map(|_| ())
        });
    }
}
