//! Sorts of keys alone by their top bits: all launches of a sort, in small shapes or one of them in
//! the shape that devices run.

use crate::alone::{Kernel, check_sorted};
use crate::case::{Emulated, both_ways, draws};
use crate::cases;
use crate::sorter::{Kernels, Sorter, behind};
use cuda_std::emu::Buffer;
use gpu_kernels::control::{self, ASCENDING, DESCENDING};
use gpu_kernels::histogram::{Histogram, least_by_top};
use gpu_kernels::key::{Key, RADIX};
use gpu_kernels::local_bins;
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::policy::Shape;
use gpu_kernels::tile::Pass;
use gpu_kernels::top_counts;
use gpu_kernels::top_pass::{self, TopPass};
use sort_cases::{Case, Distribution, KeyType, Payload};
use std::cell::Cell;

/// The kernels of a sort by top bits.
#[derive(Clone, Copy)]
pub struct TopSorts<K> {
    pub counts: Kernel<Histogram<K>>,
    pub pass: Kernel<TopPass<K>>,
    pub local: Kernel<LocalSort<K>>,
}

/// Bits that buckets have in common, of which there are no fewer than digits.
const TOP_BITS: [u32; 2] = [8, 9];
/// Left of a sort before, where digits are counted.
const LEFT: u32 = 0xfeed_5eed;

/// The way of a sort: with top bits counted alone at first, and by top bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Way {
    alone: bool,
    by_top: bool,
}

impl<K: Key> TopSorts<K> {
    pub fn small() -> Self {
        let counts = top_counts::histogram_by_top::<K, 2>;
        let shape = Shape::new(1024, 1, 1);
        let (tile, bucket) = (Shape::new(256, 4, 1), Shape::new(128, 5, 1));
        let pass = top_pass::top_pass::<K, 256, 4, 1>;
        let local = local_bins::sort_by_bins::<K, 128, 5>;
        TopSorts {
            counts: Kernel::of_shape(counts, shape, top_counts::shared_bytes(K::DIGITS, 2)),
            pass: Kernel::of_shape(pass, tile, top_pass::shared_bytes::<K>(tile)).early(),
            local: Kernel::of_shape(local, bucket, local_bins::shared_bytes::<K>(bucket, false))
                .early(),
        }
    }

    /// Sorts the keys. Returns whether by top bits.
    pub fn sorts(&self, case: &Case, keys: &[K]) -> Result<bool, String> {
        Ok(self.sorts_in_turn(case, &[keys])?[0].by_top)
    }

    /// Sorts inputs of as many keys, one after the other with the same control words.
    fn sorts_in_turn(&self, case: &Case, inputs: &[&[K]]) -> Result<Vec<Way>, String> {
        let bits = (0, K::BITS);
        let case = Case { bits, numeric: false, payload: Payload::None, ..*case };
        let mut sorter = Sorter::new(&case, Kernels::of_keys::<128, 2, 2>());
        sorter.suggests = case.seed / 4 % 4 == 1;
        let tops = control::tops(K::DIGITS);
        (0..1 << top_pass::BITS_MAX).for_each(|top| sorter.control.write(tops + top, 0));
        inputs.iter().map(|keys| self.sorts_with(&sorter, &case, keys)).collect()
    }

    fn sorts_with(&self, sorter: &Sorter<K>, case: &Case, keys: &[K]) -> Result<Way, String> {
        // Claims take the place of a row for each digit's worth of them.
        let most = if keys.len() > RADIX { 2 } else { 1 };
        let top_bits = TOP_BITS[case.seed as usize % most];
        let of = |word: usize| sorter.control.read(word);
        let first_start = control::starts(K::DIGITS, 0);
        sorter.control.write(first_start, LEFT);
        let alone = Cell::new(false);
        let plan = |input: &Buffer<K>, indexed, pass: Pass<K>| {
            let counts = sorter.counted(input, 0, indexed);
            let held = self.local.tile as u32;
            sorter.count(&self.counts, Histogram { held, top_bits, ..counts })?;
            alone.set(of(first_start) == LEFT);
            self.by_top(case, Pass { options: pass.options | counts.options, ..pass }, top_bits)?;
            match alone.get() && of(control::LOCALLY) != 0 {
                true => Ok(()),
                false => sorter.check_starts(&input.to_vec(), 0),
            }
        };
        let (sorted, _) = sorter.sort_around(keys, None, plan, |_| Ok(()))?;
        let rank = |key: K| case.rank(key);
        check_sorted((keys, &[]), rank, &sorted, None)?;
        let tops = control::tops(K::DIGITS);
        if (0..1 << top_bits).any(|top| of(tops + top) != 0) {
            return Err("counts of top bits are left".to_owned());
        }
        let way = Way { alone: alone.get(), by_top: of(control::LOCALLY) != 0 };
        let suggestion = of(control::SHORTCUT);
        if way.alone && !way.by_top && suggestion & control::ONLY_AGAIN == 0 {
            return Err("launches are not told of the second plan".to_owned());
        }
        let ranks: Vec<K> = keys.iter().map(|&key| rank(key)).collect();
        let copied = suggestion & (ASCENDING | DESCENDING) != 0;
        let should = Way {
            alone: top_counts::samples::<K>() && is_even(&ranks, sorter.suggests),
            by_top: !copied && self.fits(&ranks, top_bits),
        };
        if way != should {
            return Err(format!("{way:?}, where it should be {should:?}"));
        }
        Ok(way)
    }

    /// Sorts keys that are crowded, but for those of the sample.
    pub fn is_fooled(&self, case: &Case) -> Result<(), String> {
        let keys = fooling::<K>(case);
        let fooled = Way { alone: true, by_top: false };
        match self.sorts_in_turn(case, &[&keys])?[0] {
            way if way == fooled => Ok(()),
            way => Err(format!("{way:?}")),
        }
    }

    /// Returns true if blocks hold all buckets, and keys vary in as many digits as pay.
    fn fits(&self, ranks: &[K], top_bits: u32) -> bool {
        let mut counts = vec![0; 1 << top_bits];
        let mut differing = K::from_u64(0);
        for &rank in ranks {
            counts[(rank >> (K::BITS - top_bits)).to_u64() as usize] += 1;
            differing = differing | rank ^ ranks[0];
        }
        digits(differing) >= least_by_top(K::BITS, top_bits)
            && counts.iter().all(|&count| count <= self.local.tile)
    }

    /// The launches behind the count.
    fn by_top(&self, case: &Case, pass: Pass<K>, top_bits: u32) -> Result<(), String> {
        let local = behind(pass, pass.control, true);
        let n = pass.n as u32;
        let top = TopPass {
            input: pass.keys.input,
            output: local.keys,
            control: pass.control,
            n,
            order_mask: pass.order_mask,
            options: pass.options,
            top_bits,
        };
        self.pass.launch(case, "top_pass", (n as usize).div_ceil(self.pass.tile), top)?;
        self.local.launch(case, "sort_by_bins", 1 << top_bits, local)
    }
}

/// Digits that are not zero.
fn digits<K: Key>(word: K) -> usize {
    (0..K::DIGITS as u32).filter(|&position| word.digit(8 * position, 0xff, 0) != 0).count()
}

/// Keys from one of the sample to the next.
fn apart(n: usize) -> usize {
    (n - 1) / 1024
}

/// Returns true if a sample of such keys is even, and in no order that a copy is suggested for.
fn is_even<K: Key>(ranks: &[K], suggests: bool) -> bool {
    let sample: Vec<K> = (0..=1024).map(|i| ranks[apart(ranks.len()) * i]).collect();
    let mut counts = [0; RADIX];
    sample[..1024].iter().for_each(|rank| counts[(*rank >> (K::BITS - 8)).to_u64() as usize] += 1);
    let pairs: u32 = counts.into_iter().map(|count: u32| count * count.saturating_sub(1) / 2).sum();
    let vary = sample.windows(2).any(|pair| digits(pair[0] ^ pair[1]) >= 3);
    let in_order = sample.is_sorted() || sample.iter().rev().is_sorted();
    pairs <= 1024 * 1024 / 2 / 256 * 9 / 8 && vary && !(suggests && in_order)
}

/// Uniform keys where the sample is taken, and those of few buckets elsewhere.
fn fooling<K: Key>(case: &Case) -> Vec<K> {
    let mut keys = case.words::<K>();
    let apart = apart(keys.len());
    let elsewhere = keys.iter_mut().enumerate().filter(|(i, _)| !i.is_multiple_of(apart));
    elsewhere.for_each(|(_, key)| *key = (*key << 9) >> 9);
    keys
}

fn sorts(case: &Case) -> Result<bool, String> {
    match case.key.bits {
        32 => TopSorts::<u32>::small().sorts(case, &case.words()),
        _ => TopSorts::<u64>::small().sorts(case, &case.words()),
    }
}

#[test]
fn top_sort() {
    let draws = draws("top_sort", cases::BUCKET_SORT, (1024, 9000));
    both_ways(draws, 5, sorts);
}

/// Bins with more keys than are put in order there, with and without contention, and few.
#[test]
fn crowded_bins_are_sorted_by_rounds() {
    for key in [KeyType::U32, KeyType::U64] {
        let case = Case::uniform(key, 20_000, 1);
        for kept in [0, 3, 0x3f, 0xfff] {
            let spread = |word: u128, bits: u32| {
                let top = word >> (bits - 10) << (bits - 10);
                let below = (word & kept) * ((1 << (bits - 16)) / 0x1001 + 1);
                top | below
            };
            let sorted = match key.bits {
                32 => {
                    let words = case.words::<u32>().into_iter();
                    let keys: Vec<u32> = words.map(|key| spread(key.into(), 32) as u32).collect();
                    TopSorts::<u32>::small().sorts(&case, &keys)
                }
                _ => {
                    let words = case.words::<u64>().into_iter();
                    let keys: Vec<u64> = words.map(|key| spread(key.into(), 64) as u64).collect();
                    TopSorts::<u64>::small().sorts(&case, &keys)
                }
            };
            assert_eq!(sorted, Ok(kept > 0), "{key:?} {kept:#x}");
        }
    }
}

/// Keys in order, whose tiles have few buckets.
#[test]
fn sorted_keys_are_sorted_by_top_bits() {
    let case = Case { distribution: Distribution::Sorted, ..Case::uniform(KeyType::U32, 9000, 1) };
    assert_eq!(sorts(&case), Ok(true));
    let case = Case { key: KeyType::U64, ..case };
    assert_eq!(sorts(&case), Ok(true));
}

/// Uniform cases of each type of 8 bytes, in both orders.
fn cases_of_8_bytes(n: usize) -> impl Iterator<Item = Case> {
    let types = [KeyType::U64, KeyType::I64, KeyType::F64].into_iter().zip(1..);
    types.flat_map(move |(key, seed)| {
        [false, true].map(|other| Case {
            descending: other,
            in_place: !other,
            ..Case::uniform(key, n, seed + if other { 4 } else { 0 })
        })
    })
}

#[test]
fn digits_are_counted_after_all_where_the_sample_misleads() {
    for case in cases_of_8_bytes(9000) {
        assert_eq!(TopSorts::<u64>::small().is_fooled(&case), Ok(()), "{case}");
    }
}

/// Keys of each distribution, about as many as the sample and more.
#[test]
fn top_bits_are_counted_alone_where_the_sample_is_even() {
    for case in Case::about(KeyType::U64, &[1025, 3000]).filter(|case| case.n > 0) {
        let ways = TopSorts::<u64>::small().sorts_in_turn(&case, &[&case.words()]).unwrap();
        let alone = case.distribution == Distribution::Uniform && case.n > 1024;
        assert!(ways[0].alone || !alone, "{case}: {ways:?}");
    }
}

/// Each way after each other.
#[test]
fn sorts_in_one_workspace_leave_it_clear() {
    for case in cases_of_8_bytes(2051) {
        let (uniform, fooling): (Vec<u64>, _) = (case.words(), fooling(&case));
        let few: Vec<u64> = uniform.iter().map(|key| key % 3).collect();
        let [uniform, fooling, few] = [&uniform, &fooling, &few].map(Vec::as_slice);
        let inputs = [uniform, fooling, fooling, uniform, few, fooling, few, uniform];
        let ways = TopSorts::<u64>::small().sorts_in_turn(&case, &inputs).unwrap();
        let way = |(alone, by_top)| Way { alone, by_top };
        let [sorted, fooled, passed] = [(true, true), (true, false), (false, false)].map(way);
        assert_eq!(ways, [sorted, fooled, fooled, sorted, passed, fooled, passed, sorted]);
    }
}

/// A third digit that varies in one key alone, wherever it stands.
#[test]
fn a_digit_of_one_key_counts() {
    let case = Case::uniform(KeyType::U64, 9000, 1);
    for (place, alone) in [(None, false), (Some(8 * 100), true), (Some(8 * 100 + 1), false)] {
        let mut keys: Vec<u64> = case.words();
        keys.iter_mut().for_each(|key| *key &= 0xff00_0000_0000_00ff);
        if let Some(place) = place {
            keys[place] ^= 0xff00_00ff_0000_00ff;
        }
        let ways = TopSorts::<u64>::small().sorts_in_turn(&case, &[&keys]).unwrap();
        assert_eq!(ways, [Way { alone, by_top: place.is_some() }], "{place:?}");
    }
}
