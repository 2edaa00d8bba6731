//! Sorts in two launches: the shared list, uneven inputs, and blocks that do not find room.

use crate::alone::{self, Kernel, Whole, uniform};
use crate::case::{Emulated, TYPES, draws};
use crate::cases;
use cuda_std::emu::{Buffer, Options, Stats};
use gpu_kernels::control;
use gpu_kernels::key::Key;
use gpu_kernels::partition;
use gpu_kernels::policy::Shape;
use gpu_kernels::policy::partition::RANGE;
use gpu_kernels::tile::WholeSort;
use sort_cases::{Case, KeyType};

/// Threads of a block, and ranges, in the small shape.
const THREADS: usize = 128;
/// Items of a thread of the small tile.
const ITEMS: usize = 2;
const TILE: usize = THREADS * ITEMS;
/// Keys of a range that a block sorts.
const HELD: usize = THREADS * RANGE.items;

/// Sorts, one after the other, with what the one before has left behind.
pub struct RangeSorter<K> {
    case: Case,
    kernels: [Kernel<WholeSort<K>>; 2],
    control: Buffer<u32>,
    paired: bool,
}

impl<K: Key> RangeSorter<K> {
    pub fn new(case: &Case, kernels: [Kernel<WholeSort<K>>; 2], paired: bool) -> Self {
        let words = vec![0; partition::words(kernels[0].threads, case.n.div_ceil(kernels[0].tile))];
        let control = Buffer::from_slice(&words).named("control");
        let case = Case { numeric: false, ..*case };
        RangeSorter { case, kernels, control, paired }
    }

    fn tiles(&self, n: usize) -> usize {
        n.div_ceil(self.kernels[0].tile)
    }

    /// A schedule of this number in which all blocks are on the device.
    fn roomy(&self, seed: u64, n: usize) -> Options {
        alone::roomy(seed, self.tiles(n), self.kernels[0].threads)
    }

    /// Returns what the first launch took.
    pub fn sort(&self, keys: &[K], options: &Options) -> Result<Stats, String> {
        let case = &self.case;
        let whole = Whole::new(case, keys, self.paired);
        let mut arg = whole.arg(&self.control);
        if !self.paired && !case.match_ranking {
            arg.options |= control::ALLOW_ATOMICS;
        }
        let [first, second] = self.kernels;
        let early = |options: &Options| Options { early: true, ..options.clone() };
        let stats =
            first.launch_as(&early(options).named("partition"), self.tiles(keys.len()), arg)?;
        let ranges = second.threads;
        let of_second = case.options(ranges as u32, ranges as u32).named("sort_ranges");
        second.launch_as(&early(&of_second), ranges, arg)?;
        whole.check()?;
        Ok(stats)
    }

    /// The keys, in a schedule of the case, and then the same reversed in another.
    fn sort_twice(&self, mut keys: Vec<K>) -> Result<(), String> {
        let roomy = self.roomy(self.case.seed, keys.len());
        let case = self.case.options(roomy.resident, THREADS as u32);
        // Blocks find no room in one case of four: the first barrier is hardly passed then.
        let crowded = (self.case.seed >> 8).is_multiple_of(4);
        self.sort(&keys, if crowded { &case } else { &roomy })?;
        keys.reverse();
        self.sort(&keys, &roomy).map(|_| ())
    }
}

fn small<K: Key, W: Key, const PAIRED: bool, const ATOMICS: bool>() -> [Kernel<WholeSort<K>>; 2] {
    [tiles::<K, W, THREADS, PAIRED, ATOMICS>(), ranges::<K, W, THREADS, PAIRED>()]
}

/// A first launch for blocks of so many threads in the second one.
pub fn tiles<K: Key, W: Key, const THREADS: usize, const PAIRED: bool, const ATOMICS: bool>()
-> Kernel<WholeSort<K>> {
    let shape = Shape::new(THREADS, ITEMS, 1);
    let run = partition::partition::<K, W, THREADS, ITEMS, PAIRED, ATOMICS>;
    Kernel::of_shape(run, shape, partition::shared_bytes::<K, W>(shape, PAIRED))
}

/// The second launch.
pub fn ranges<K: Key, W: Key, const THREADS: usize, const PAIRED: bool>() -> Kernel<WholeSort<K>> {
    let shape = Shape::new(THREADS, RANGE.items, 1);
    let run = partition::sort_ranges::<K, W, THREADS, PAIRED>;
    Kernel::of_shape(run, shape, partition::ranges_shared_bytes::<W>(shape))
}

fn keys<K: Key>(case: &Case) -> RangeSorter<K> {
    RangeSorter::new(case, small::<K, K, false, true>(), false)
}

fn pairs(case: &Case) -> RangeSorter<u32> {
    RangeSorter::new(case, small::<u32, u64, true, false>(), true)
}

#[test]
fn sorts_in_two_launches() {
    for key in TYPES {
        draws("sorts_in_two_launches", cases::RANGES, (TILE, 5 * TILE)).of(key, |case| {
            match key.bits {
                32 if case.seed.is_multiple_of(2) => pairs(case).sort_twice(case.words()),
                32 => keys::<u32>(case).sort_twice(case.words()),
                _ => keys::<u64>(case).sort_twice(case.words()),
            }
        });
    }
}

/// Keys made of uniform ones, by their number, in schedules in which all blocks pass. Returns
/// barriers of the first launch of the last sort of pairs.
#[track_caller]
fn sorts(n: usize, key: impl Fn(usize, u64) -> u64) -> u64 {
    let mut barriers = 0;
    for seed in 1..3 {
        let case = uniform(seed, n);
        let words = case.words::<u64>().into_iter().enumerate();
        let wide: Vec<u64> = words.map(|(i, word)| key(i, word)).collect();
        let sorter = keys::<u64>(&case);
        sorter.sort(&wide, &sorter.roomy(seed, n)).unwrap();
        // The upper halves alone.
        let case = Case { key: KeyType::U32, bits: (0, 32), ..case };
        let narrow: Vec<u32> = wide.into_iter().map(|key| (key >> 32) as u32).collect();
        let sorter = keys::<u32>(&case);
        sorter.sort(&narrow, &sorter.roomy(seed, n)).unwrap();
        let sorter = pairs(&case);
        barriers = sorter.sort(&narrow, &sorter.roomy(seed, n)).unwrap().barriers;
    }
    barriers
}

#[test]
fn sizes_at_the_borders_of_tiles() {
    for n in [1, 2, 31, 33, 127, 128, 129, TILE - 1, TILE, TILE + 1, 3 * TILE, 4 * TILE + 7] {
        sorts(n, |_, word| word);
    }
}

#[test]
fn uneven_and_few_keys() {
    let n = 2 * TILE + 99;
    sorts(n, |_, word| word & word.rotate_left(23));
    sorts(n, |_, word| word & word.rotate_left(23) & word.rotate_left(41));
    sorts(n, |i, _| i as u64 * 0x1_0001_0001);
    sorts(n, |i, word| if i == n / 2 { word } else { 5 << 40 });
    for values in [1, 2, 15, 300] {
        sorts(n, |_, word| (word % values).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        sorts(n, |_, word| word % values);
    }
}

/// Even leading bits, under which keys share all their other bits, or some.
#[test]
fn contention_below_even_digits() {
    let (n, top) = (4 * TILE, |word: u64| word >> 57 << 57);
    sorts(n, |_, word| top(word));
    sorts(n, |_, word| top(word) | word & 0xff_ffff);
    sorts(n, |_, word| (word >> 60 << 60) | (word % 3) << 56);
    sorts(n, |i, word| top(word) | if i % 2 == 0 { 0 } else { word >> 9 });
}

/// A digit that a block just holds, and one key more, which a sample does not show.
#[test]
fn digits_as_large_as_a_block_holds() {
    let n = HELD + 2 * TILE;
    let shift = 64 - THREADS.ilog2();
    let looked_at: Vec<usize> = (0..2 * THREADS).map(|i| i * n / (2 * THREADS)).collect();
    let barriers = |held: usize| {
        let large = (0..n).filter(|i| looked_at.binary_search(i).is_err()).take(held);
        let large: Vec<usize> = large.collect();
        sorts(n, |i, word| {
            let of_one = large.binary_search(&i).is_ok();
            let digit = if of_one { 3 } else { 4 + (i % (THREADS - 4)) as u64 };
            digit << shift | word >> (64 - shift)
        })
    };
    // By passes it takes some for each digit.
    assert!(barriers(HELD) + 20 < barriers(HELD + 1));
}

/// Fewer blocks on the device than wait for each other: they sort all the same, and leave what
/// the next sort needs.
#[test]
fn blocks_that_find_no_room() {
    let n = 3 * TILE;
    for seed in 1..5 {
        let case = uniform(seed, n);
        let sorter = keys::<u64>(&case);
        for resident in [3, 2, 1, 3] {
            let impatience = [0, 4, 64][seed as usize % 3];
            let schedule = Options::any(seed, 3, THREADS as u32);
            let options = Options { resident, impatience, ..schedule };
            let even = case.words::<u64>();
            let taken = sorter.sort(&even, &options).unwrap();
            assert!(resident == 3 || taken.impatient > 0);
            let uneven: Vec<u64> = even.iter().map(|key| key & key.rotate_left(9)).collect();
            sorter.sort(&uneven, &options).unwrap();
        }
    }
}

/// Cases of shapes that devices run.
pub fn sorts_as_launched<K: Key>(name: &str, kernels: [Kernel<WholeSort<K>>; 2], paired: bool) {
    let tile = kernels[0].tile;
    draws(name, 1, (tile / 2, 2 * tile)).of(KeyType::unsigned(K::BITS), |case| {
        let sorter = RangeSorter::new(case, kernels, paired);
        sorter.sort(&case.words(), &sorter.roomy(case.seed, case.n)).map(|_| ())
    });
}
