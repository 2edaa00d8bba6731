//! The key at an index.
//!
//! Two distributions are made against the look-back of a onesweep pass, in which every
//! tile publishes its count of each digit, and then waits for those before it:
//!
//! - *one digit*: all keys of nearly every tile have one digit in every pass. All lanes
//!   of a warp rank into one counter, the tile is written in one run, and one look-back
//!   in 256 carries all of the sums. A constant input would be that too, but for sorts
//!   that skip a place in which all keys agree; here one key keeps every place.
//! - *a digit a tile*: blocks of keys share a digit, other blocks have others, so that a
//!   tile publishes zero for nearly every digit, and a sum that is not zero lies up to
//!   256 blocks back. That this is so in each pass and not in the first alone takes keys
//!   that a pass leaves in whole blocks, neighbours apart: with T the block's number and
//!   every 16 bits of its keys T modulo 65536, an even pass finds the blocks in order of
//!   T and takes the low byte of T as digit; it leaves them in order of that byte first,
//!   in which the high byte changes from block to block; an odd pass takes that one, and
//!   leaves them in order of T.

use host::gpu::KeyType;
use rand::RngExt;
use rand_distr::Zipf;

use super::draws::{Draws, draw, draw_below, seed_of_values};
use super::{CLASSIC_MAX, Distribution, Workload};
use crate::error::Error;
use crate::key::Key;
use crate::memory;

/// Keys of an input with few distinct ones.
const FEW: u64 = 16;
/// Keys of the Zipf distribution, and its exponent.
const ZIPF_KEYS: f64 = (1 << 20) as f64;
const ZIPF_EXPONENT: f64 = 1.0;
/// Keys of a nearly sorted input to an exchange.
const KEYS_TO_AN_EXCHANGE: usize = 100;
/// Keys that share a digit in every pass: no more than a tile has, in most sorts.
const BLOCK: usize = 4096;

/// The keys of a workload.
pub(super) fn generate<K: Key>(workload: &Workload) -> Result<Vec<K>, Error> {
    // Keys of 128 bits are drawn ones of 64, twice: each digit is spread like one of those.
    let wide = K::TYPE.bits > u64::BITS;
    let maker = Maker::new(workload, if wide { KeyType::U64 } else { K::TYPE });
    let key = |index| {
        let word = u128::from(maker.at(index));
        K::from_word(if wide { word << u64::BITS | word } else { word })
    };
    let mut keys = memory::collect(workload.n, key)?;
    if workload.distribution == Distribution::NearlySorted {
        exchange(&mut keys, workload.seed);
    }
    Ok(keys)
}

/// Exchanges random pairs of places.
fn exchange<K>(keys: &mut [K], seed: u64) {
    let n = keys.len();
    for exchange in 0..(n / KEYS_TO_AN_EXCHANGE) as u64 {
        let place = |index| draw_below(n as u64, seed, index) as usize;
        keys.swap(place(2 * exchange), place(2 * exchange + 1));
    }
}

/// Makes the keys of a workload, as words of which a key takes the low bits.
struct Maker<'a> {
    workload: &'a Workload,
    kind: KeyType,
    zipf: Zipf<f64>,
    /// Edges of the type, where the distribution draws them.
    edges: Vec<u64>,
}

impl<'a> Maker<'a> {
    fn new(workload: &'a Workload, kind: KeyType) -> Self {
        Self {
            workload,
            kind,
            zipf: Zipf::new(ZIPF_KEYS, ZIPF_EXPONENT).expect("an exponent of 0 or more"),
            edges: match workload.distribution {
                Distribution::Special => edges(kind),
                _ => Vec::new(),
            },
        }
    }

    /// The key at `index`, below `n`.
    fn at(&self, index: usize) -> u64 {
        let &Workload { n, distribution, seed } = self.workload;
        let i = index as u64;
        let value = |index| draw(seed_of_values(seed), index);
        match distribution {
            Distribution::Uniform
            | Distribution::Entropy811
            | Distribution::Entropy544
            | Distribution::Entropy337
            | Distribution::Entropy201 => {
                let draws = distribution.ands().unwrap_or(1);
                let and = |bits, k| bits & draw(seed, i.wrapping_mul(draws) + k);
                (0..draws).fold(u64::MAX, and)
            }
            Distribution::Classic => {
                let value = draw_below(u64::from(CLASSIC_MAX) + 1, seed, i);
                match self.kind {
                    KeyType::F32 => (value as f32).to_bits().into(),
                    _ => value,
                }
            }
            Distribution::Constant => draw(seed, 0),
            Distribution::Sorted | Distribution::NearlySorted => self.step(index),
            Distribution::Reversed => self.step(n - 1 - index),
            Distribution::OrganPipe => self.step(2 * index.min(n - 1 - index)),
            Distribution::FewDistinct => value(draw_below(FEW, seed, i)),
            Distribution::Zipf => {
                let rank: f64 = Draws::new(draw(seed, i)).sample(self.zipf);
                value(rank as u64)
            }
            Distribution::Special => self.special(i),
            Distribution::OneDigit => {
                let rank = draw(seed, 0);
                self.of_rank(if index == n / 2 { !rank } else { rank })
            }
            Distribution::DigitATile => {
                let block = (index / BLOCK) as u64 & 0xFFFF;
                self.of_rank(block * 0x0001_0001_0001_0001)
            }
        }
    }

    fn of_rank(&self, rank: u64) -> u64 {
        self.kind.of_rank(rank.into()) as u64
    }

    /// The key at `index` of as many as there are, which ascend over the whole type.
    fn step(&self, index: usize) -> u64 {
        self.of_rank((((index as u128) << self.kind.bits) / self.workload.n as u128) as u64)
    }

    /// The draw itself or an edge of the type, half the time each.
    fn special(&self, i: u64) -> u64 {
        let seed = self.workload.seed;
        let bits = draw(seed, 2 * i);
        let which = draw_below(2 * self.edges.len() as u64, seed, 2 * i + 1);
        match self.edges.get(which as usize) {
            Some(&edge) => edge,
            None => bits,
        }
    }
}

/// Keys at which sorts go wrong. Of integers: the ends, the middle and their
/// neighbours. Of floats, with both signs: zero, the least and the greatest subnormal
/// and normal number, infinity, and a signalling, a quiet and the last NaN.
fn edges(kind: KeyType) -> Vec<u64> {
    let sign = kind.sign() as u64;
    if !kind.is_float() {
        let ranks = [0, 1, sign - 1, sign, 2 * (sign - 1), 2 * (sign - 1) + 1];
        return ranks.map(|rank| kind.of_rank(rank.into()) as u64).to_vec();
    }
    let infinity = kind.infinity() as u64;
    let normal = infinity & infinity.wrapping_neg();
    let numbers = [0, 1, normal - 1, normal, infinity - 1, infinity];
    let nans = [infinity + 1, infinity + normal / 2, sign - 1];
    let both = |bits| [bits, bits | sign];
    numbers.into_iter().chain(nans).flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use host::gpu::GpuKey;

    use super::*;
    use crate::key::{F16, F32};

    fn generate<K: Key>(n: usize, distribution: Distribution, seed: u64) -> Vec<K> {
        let workload = Workload { n, distribution, seed };
        workload.generate().unwrap()
    }

    /// Six standard deviations of the number of successes in `n` trials.
    fn six_sigma(n: usize, p: f64) -> f64 {
        6.0 * (n as f64 * p * (1.0 - p)).sqrt()
    }

    /// How often each key comes, the most frequent first.
    fn counts<K: Key>(mut keys: Vec<K>) -> Vec<usize> {
        keys.sort_unstable();
        let mut counts: Vec<usize> = keys.chunk_by(K::eq).map(<[K]>::len).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    fn independent_of_threads<K: Key>() {
        for distribution in Distribution::ALL {
            let by = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.unwrap().install(|| generate::<K>(100_003, distribution, 7))
            };
            let one = by(1);
            assert_eq!(one.len(), 100_003);
            assert!(one == by(3), "{} {distribution}", K::NAME);
            assert!(one == by(8), "{} {distribution}", K::NAME);
        }
    }

    #[test]
    fn any_number_of_threads_generates_the_same_keys() {
        independent_of_threads::<i32>();
        independent_of_threads::<u64>();
        independent_of_threads::<F32>();
        independent_of_threads::<u8>();
        independent_of_threads::<u128>();
    }

    #[test]
    fn every_distribution_has_inputs_of_any_size() {
        for distribution in Distribution::ALL {
            for n in [0, 1, 2, 3, 99, 100] {
                assert_eq!(generate::<u32>(n, distribution, 5).len(), n);
            }
        }
    }

    #[test]
    fn seeds_give_different_keys_and_the_same_seed_the_same() {
        use Distribution::{DigitATile, OrganPipe, Reversed, Sorted};
        for distribution in Distribution::ALL {
            let one = generate::<u32>(1000, distribution, 1);
            assert_eq!(one, generate::<u32>(1000, distribution, 1));
            let other = generate::<u32>(1000, distribution, 2);
            let drawn = ![Sorted, Reversed, OrganPipe, DigitATile].contains(&distribution);
            assert_eq!(one != other, drawn, "{distribution}");
        }
    }

    #[test]
    fn classic_keys_cover_their_range_evenly() {
        let keys = generate::<i32>(1_000_000, Distribution::Classic, 3);
        assert!(keys.iter().all(|key| (0..=1_000_000).contains(key)));
        let floats = generate::<F32>(1000, Distribution::Classic, 3);
        assert!(floats.iter().zip(&keys).all(|(float, &key)| *float == F32::new(key as f32)));
        let mut tenths = [0u32; 10];
        for key in keys {
            tenths[(key as usize / 100_000).min(9)] += 1;
        }
        for count in tenths {
            let off = f64::from(count) - 1e5;
            assert!(off.abs() < six_sigma(1_000_000, 0.1), "{tenths:?}");
        }
    }

    #[test]
    fn bits_of_an_and_level_hold_the_entropy_in_its_name() {
        use Distribution::{Entropy201, Entropy337, Entropy544, Entropy811, Uniform};
        let n = 200_000;
        for (k, distribution) in
            [Uniform, Entropy811, Entropy544, Entropy337, Entropy201].into_iter().enumerate()
        {
            let keys = generate::<u64>(n, distribution, 11);
            let p = 0.5f64.powi(k as i32 + 1);
            let mut entropies = 0.0;
            for bit in 0..64 {
                let set = keys.iter().filter(|&&key| key >> bit & 1 == 1).count() as f64;
                let off = set - n as f64 * p;
                assert!(off.abs() < six_sigma(n, p), "{distribution}, bit {bit}: {set}");
                let p = set / n as f64;
                entropies += -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
            }
            let name = distribution.to_string();
            let named: f64 = name.strip_prefix("entropy-").map_or(1.0, |e| e.parse().unwrap());
            // The mean of 64 bits, each off by sqrt(p (1 - p) / n) |log(p / (1 - p))|.
            let off = entropies / 64.0 - named;
            assert!(off.abs() < 0.002, "{distribution}: {}", entropies / 64.0);
        }
    }

    #[test]
    fn constant_repeats_one_key() {
        assert_eq!(counts(generate::<u32>(100, Distribution::Constant, 5)), [100]);
    }

    #[test]
    fn ordered_inputs_are_ordered_and_span_the_type() {
        for n in [1, 2, 1000] {
            let sorted = generate::<i32>(n, Distribution::Sorted, 0);
            assert!(sorted.is_sorted_by(|a, b| a < b));
            assert_eq!(sorted[0], i32::MIN);
            let mut reversed = generate::<i32>(n, Distribution::Reversed, 0);
            reversed.reverse();
            assert_eq!(reversed, sorted);
        }
        let last = generate::<i32>(1000, Distribution::Sorted, 0)[999];
        assert!(last > i32::MAX - 5_000_000);
    }

    #[test]
    fn nearly_sorted_is_sorted_but_for_two_places_in_a_hundred() {
        let n = 100_000;
        let sorted = generate::<u32>(n, Distribution::Sorted, 9);
        let mut nearly = generate::<u32>(n, Distribution::NearlySorted, 9);
        let moved = nearly.iter().zip(&sorted).filter(|(a, b)| a != b).count();
        // Exchanges seldom meet: 2 % less 2 % of 2 %, and some places twice.
        assert!((1900..=2000).contains(&moved), "{moved}");
        nearly.sort_unstable();
        assert_eq!(nearly, sorted);
    }

    #[test]
    fn an_organ_pipe_rises_to_the_middle_and_falls_as_it_rose() {
        for n in [1, 2, 5, 1000] {
            let keys = generate::<i32>(n, Distribution::OrganPipe, 0);
            let middle = n.div_ceil(2);
            assert!(keys[..middle].is_sorted_by(|a, b| a < b));
            assert!(keys.iter().eq(keys.iter().rev()));
        }
        let keys = generate::<i32>(1000, Distribution::OrganPipe, 0);
        assert_eq!(keys[0], i32::MIN);
        assert!(keys[500] > i32::MAX - 10_000_000);
    }

    #[test]
    fn few_distinct_keys_come_equally_often() {
        let n = 160_000;
        let counts = counts(generate::<u32>(n, Distribution::FewDistinct, 4));
        assert_eq!(counts.len(), 16);
        for count in &counts {
            let off = *count as f64 - 10_000.0;
            assert!(off.abs() < six_sigma(n, 1.0 / 16.0), "{counts:?}");
        }
    }

    #[test]
    fn keys_of_zipf_come_as_often_as_their_rank_says() {
        let n = 1_000_000;
        let keys = generate::<u64>(n, Distribution::Zipf, 8);
        let harmonic: f64 = (1..=1 << 20).map(|k| 1.0 / f64::from(k)).sum();
        let mut heaviest = 0;
        for rank in [1u64, 2, 3, 10, 100] {
            let key = draw(seed_of_values(8), rank);
            let count = keys.iter().filter(|&&other| other == key).count();
            let p = 1.0 / (rank as f64 * harmonic);
            let off = count as f64 - n as f64 * p;
            assert!(off.abs() < six_sigma(n, p), "rank {rank}: {count}");
            heaviest = heaviest.max(count);
        }
        let counts = counts(keys);
        assert_eq!(counts[0], heaviest);
        // The tail is long: of the keys that a million draws meet, most come once.
        assert!(counts.len() > 200_000, "{}", counts.len());
    }

    #[test]
    fn special_floats_are_all_there_and_uniform_ones_too() {
        let keys = generate::<F32>(10_000, Distribution::Special, 6);
        let numbers: Vec<f32> =
            (keys.iter()).map(|key| f32::from_bits(key.to_word() as u32)).collect();
        type Is = fn(f32) -> bool;
        let kinds: [(&str, Is); 8] = [
            ("quiet NaN", |x| x.is_nan() && x.to_bits() & 1 << 22 != 0),
            ("signalling NaN", |x| x.is_nan() && x.to_bits() & 1 << 22 == 0),
            ("infinity", f32::is_infinite),
            ("zero", |x| x == 0.0),
            ("least subnormal", |x| x.to_bits() & !(1 << 31) == 1),
            ("subnormal", f32::is_subnormal),
            ("least normal", |x| x.abs() == f32::MIN_POSITIVE),
            ("greatest", |x| x.abs() == f32::MAX),
        ];
        for (kind, is) in kinds {
            for negative in [false, true] {
                let of = |x: &&f32| is(**x) && x.is_sign_negative() == negative;
                let count = numbers.iter().filter(of).count();
                // An eighteenth of a half, or more.
                assert!(count > 150, "{kind}, negative: {negative}: {count}");
            }
        }
        let counts = counts(keys);
        assert!(counts.len() > 4500, "uniform ones: {}", counts.len());
    }

    #[test]
    fn special_integers_are_the_ends_and_the_middle() {
        let keys = generate::<i32>(10_000, Distribution::Special, 6);
        for edge in [i32::MIN, i32::MIN + 1, -1, 0, i32::MAX - 1, i32::MAX] {
            let count = keys.iter().filter(|&&key| key == edge).count();
            assert!(count > 600, "{edge}: {count}");
        }
        assert!(counts(keys).len() > 4500);
    }

    /// Each place's digit of a key, the lowest first.
    fn digits<K: Key>(key: K) -> Vec<u8> {
        (0..K::LEVELS).map(|level| key.get_level(level)).collect()
    }

    fn one_key_differs_in_every_digit<K: Key>() {
        let keys = generate::<K>(20_001, Distribution::OneDigit, 3);
        let (one, other) = (digits(keys[0]), digits(keys[10_000]));
        assert!(one.iter().zip(&other).all(|(a, b)| a != b), "{one:?} {other:?}");
        assert_eq!(counts(keys), [20_000, 1]);
    }

    #[test]
    fn one_digit_leaves_no_place_in_which_all_agree() {
        one_key_differs_in_every_digit::<u32>();
        one_key_differs_in_every_digit::<i32>();
        one_key_differs_in_every_digit::<u64>();
        one_key_differs_in_every_digit::<F32>();
        one_key_differs_in_every_digit::<F16>();
        one_key_differs_in_every_digit::<u128>();
    }

    /// Makes the passes of a sort, and looks at the digits of each before it.
    fn blocks_stay_apart<K: Key>() {
        let mut keys = generate::<K>(600 * BLOCK, Distribution::DigitATile, 0);
        for level in 0..K::LEVELS {
            let digit = |key: &K| key.get_level(level);
            let blocks = keys.chunks(BLOCK);
            let digits: Vec<u8> = blocks.clone().map(|block| digit(&block[0])).collect();
            let shared = |block: &[K]| block.iter().all(|key| digit(key) == digit(&block[0]));
            assert!(blocks.clone().all(shared), "{}, pass {level}", K::NAME);
            let alike = digits.windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert_eq!(alike, 0, "{}, pass {level}: {digits:?}", K::NAME);
            keys.sort_by_key(digit);
        }
        assert!(keys.is_sorted());
    }

    #[test]
    fn neighbouring_blocks_have_other_digits_in_every_pass() {
        blocks_stay_apart::<u32>();
        blocks_stay_apart::<u64>();
        blocks_stay_apart::<i32>();
        blocks_stay_apart::<F32>();
    }
}
