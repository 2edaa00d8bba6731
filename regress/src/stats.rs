//! The verdict over one benchmark: paired rounds, a rank interval, a noise floor
//! (docs/REGRESSION.md, "The method").
//!
//! A process gives one figure, the least of its samples: what other programs do only ever
//! adds to a sample. Where they want the same cores, the differences of rounds spread a
//! quarter to a third as far as with medians; Chen and Revels, Robust benchmarking in noisy
//! environments (2016), chose it for the same reason.
//!
//! In logarithms, a round of four processes gives two contrasts, of equal variance if nothing
//! changed:
//!
//! - the *difference*: the mean of its heads less the mean of its bases;
//! - the *null*: how its second base differs from its first, less the same of its heads,
//!   halved. Each part compares a build with itself: this is the benchmark's A/A noise.
//!
//! With no change a difference is as likely as its negative, which is all that Wilcoxon's
//! signed-rank test asks for. Its estimate is the median of the Walsh averages (means of two
//! rounds, each also with itself), and its interval lies between two order statistics of
//! them, by the exact distribution of the rank sum (Hollander, Wolfe, Chicken: Nonparametric
//! Statistical Methods, 3rd edition, 3.1-3.3). Of many benchmarks, each interval has the
//! confidence 1 - [`FALSE_ALARMS`] / benchmarks (Bonferroni).

use std::fmt;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};
use suite::statistics;

/// Chance that a comparison of a build with itself raises any alarm, at most.
pub const FALSE_ALARMS: f64 = 0.05;

/// Figures of the four processes of a round, in the order in which they ran.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// First and second process of the base.
    pub base: [f64; 2],
    /// First and second process of the head.
    pub head: [f64; 2],
}

impl Round {
    fn difference(&self) -> f64 {
        let [base, head] = [self.base, self.head].map(|side| (side[0].ln() + side[1].ln()) / 2.0);
        head - base
    }

    fn null(&self) -> f64 {
        let [base, head] = [self.base, self.head].map(|side| (side[1] / side[0]).ln());
        (base - head) / 2.0
    }
}

/// The result for one benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The head takes less time.
    Faster,
    /// The head takes more time.
    Slower,
    /// A difference as large as the wanted one is ruled out.
    Same,
    /// Neither a change nor its absence was shown.
    Unsure,
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        self.serialize(to)
    }
}

/// A verdict with its figures: ratios of head to base, 1.05 being 5 % slower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The verdict.
    pub verdict: Verdict,
    /// Hodges-Lehmann estimate of the ratio; absent without rounds.
    pub ratio: Option<f64>,
    /// Interval of the ratio; absent where there are too few rounds for one.
    pub interval: Option<[f64; 2]>,
    /// The noise floor, as the ratio that a change must exceed.
    pub floor: Option<f64>,
    /// Number of rounds.
    #[serde(rename = "blocks")]
    pub rounds: usize,
}

impl Estimate {
    /// The least difference (0.05 for 5 %) that would be called a change: half of the
    /// interval's width above the floor. An estimate that is wrong by that half still
    /// exceeds the floor, and its interval excludes no change.
    pub fn visible(&self) -> Option<f64> {
        let [low, high] = self.interval?;
        Some(((high / low).ln() / 2.0 + self.floor?.ln()).exp_m1())
    }

    /// True if a difference of `detect` would be called a change, so that more rounds are
    /// not needed. It looks at widths alone and never at where the interval lies, so that
    /// stopping by it does not choose a result.
    pub fn sees(&self, detect: f64) -> bool {
        self.visible().is_some_and(|visible| visible <= detect)
    }
}

/// Classifies one of `benchmarks` benchmarks by its rounds, `detect` being the difference
/// (0.05 for 5 %) below which two builds count as the same.
pub fn classify(rounds: &[Round], benchmarks: usize, detect: f64) -> Estimate {
    let differences: Vec<f64> = rounds.iter().map(Round::difference).collect();
    let nulls: Vec<f64> = rounds.iter().map(Round::null).collect();
    let error = FALSE_ALARMS / benchmarks.max(1) as f64;
    let walsh = walsh_averages(&differences);
    let estimate = median(&walsh);
    let interval = interval(&walsh, rounds.len(), error);
    let noise = self::interval(&walsh_averages(&nulls), rounds.len(), error);
    let floor = noise.map(|[low, high]| low.abs().max(high.abs()));
    let verdict = match (estimate, interval, floor) {
        (Some(at), Some([low, _]), Some(floor)) if low > 0.0 && at > floor => Verdict::Slower,
        (Some(at), Some([_, high]), Some(floor)) if high < 0.0 && -at > floor => Verdict::Faster,
        (_, Some([low, high]), _) if low.abs().max(high.abs()) < detect.ln_1p() => Verdict::Same,
        _ => Verdict::Unsure,
    };
    Estimate {
        verdict,
        ratio: estimate.map(f64::exp),
        interval: interval.map(|ends| ends.map(f64::exp)),
        floor: floor.map(f64::exp),
        rounds: rounds.len(),
    }
}

/// The fewest rounds that have an interval at all, for this number of benchmarks.
pub fn fewest_rounds(benchmarks: usize) -> usize {
    let error = FALSE_ALARMS / benchmarks.max(1) as f64;
    (1.0 - error.log2()).ceil() as usize
}

/// The median; none without figures.
pub fn median(figures: &[f64]) -> Option<f64> {
    (!figures.is_empty()).then(|| statistics::median(figures))
}

/// The interval of a rate of which `count` of `n` were seen, by the binomial distribution
/// itself (Clopper and Pearson, 1934).
pub fn rate_interval(count: usize, n: usize, confidence: f64) -> [f64; 2] {
    let quantile = |successes: usize, failures: usize, chance: f64| {
        let beta = Beta::new(successes as f64, failures as f64);
        beta.map_or(f64::NAN, |beta| beta.inverse_cdf(chance))
    };
    let (tail, others) = ((1.0 - confidence) / 2.0, n - count);
    let low = if count == 0 { 0.0 } else { quantile(count, others + 1, tail) };
    let high = if others == 0 { 1.0 } else { quantile(count + 1, others, 1.0 - tail) };
    [low, high]
}

/// The least of a process's samples.
pub fn least(figures: &[f64]) -> Option<f64> {
    figures.iter().copied().reduce(f64::min)
}

/// Means of all pairs, each figure also with itself, in ascending order.
fn walsh_averages(figures: &[f64]) -> Vec<f64> {
    let pairs = figures.iter().enumerate().flat_map(|(index, one)| {
        let others = &figures[index..];
        others.iter().map(move |other| (one + other) / 2.0)
    });
    let mut averages: Vec<f64> = pairs.collect();
    averages.sort_by(f64::total_cmp);
    averages
}

/// The interval of confidence 1 - `error` between two of the Walsh averages of `n`
/// figures; none if even the widest has less.
fn interval(walsh: &[f64], n: usize, error: f64) -> Option<[f64; 2]> {
    let mut below = 0.0;
    let left_out = signed_rank_distribution(n)
        .into_iter()
        .take_while(|chance| {
            below += chance;
            below <= error / 2.0
        })
        .count();
    let low = left_out.checked_sub(1)?;
    Some([*walsh.get(low)?, *walsh.get(walsh.len() - 1 - low)?])
}

/// Chance of each sum of the positive ranks of `n` figures, each sign a fair coin's.
fn signed_rank_distribution(n: usize) -> Vec<f64> {
    let mut chances = vec![1.0];
    for rank in 1..=n {
        let mut next = vec![0.0; chances.len() + rank];
        for (sum, chance) in chances.iter().enumerate() {
            next[sum] += chance / 2.0;
            next[sum + rank] += chance / 2.0;
        }
        chances = next;
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process's figure: a slow drift, a normal-like core, and one in ten far out, as
    /// where another program ran at the same time.
    fn process(rng: &mut fastrand::Rng, time: f64, slower: f64) -> f64 {
        let core: f64 = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        let tail = if rng.f64() < 0.1 { 0.1 / (rng.f64() + 0.05) } else { 0.0 };
        (1.0 + 0.0005 * time) * (1.0 + slower) * (0.015 * core + tail).exp()
    }

    fn round(rng: &mut fastrand::Rng, index: usize, slower: f64) -> Round {
        let time = 4.0 * index as f64;
        let mut at = |turn: f64, slower| process(rng, time + turn, slower);
        let outer = if index.is_multiple_of(2) { 0.0 } else { slower };
        let inner = slower - outer;
        let [first, second, third, fourth] =
            [(0.0, outer), (1.0, inner), (2.0, inner), (3.0, outer)]
                .map(|(turn, slower)| at(turn, slower));
        match index.is_multiple_of(2) {
            true => Round { base: [first, fourth], head: [second, third] },
            false => Round { base: [second, third], head: [first, fourth] },
        }
    }

    /// A comparison as the command runs it: rounds until the difference can be seen, or
    /// there are 30.
    fn comparison(rng: &mut fastrand::Rng, benchmarks: usize, slower: f64) -> Vec<Verdict> {
        let mut all = vec![Vec::new(); benchmarks];
        for index in 0..30 {
            all.iter_mut().for_each(|rounds| rounds.push(round(rng, index, slower)));
            let sees = |rounds: &Vec<Round>| classify(rounds, benchmarks, 0.05).sees(0.05);
            if all.iter().all(sees) {
                break;
            }
        }
        let verdict = |rounds: &Vec<Round>| classify(rounds, benchmarks, 0.05).verdict;
        all.iter().map(verdict).collect()
    }

    #[test]
    fn a_build_compared_with_itself_raises_few_alarms() {
        let mut rng = fastrand::Rng::with_seed(1);
        for benchmarks in [1, 8] {
            let alarm = |verdict| matches!(verdict, Verdict::Slower | Verdict::Faster);
            let alarms = (0..400)
                .filter(|_| comparison(&mut rng, benchmarks, 0.0).into_iter().any(alarm))
                .count();
            assert!(alarms < 20, "{alarms} of 400 with {benchmarks} benchmarks");
        }
    }

    #[test]
    fn planted_slowdowns_are_found() {
        let mut rng = fastrand::Rng::with_seed(2);
        for (slower, wanted) in [(0.05, 90), (0.20, 100)] {
            let found = (0..100)
                .filter(|_| comparison(&mut rng, 4, slower).contains(&Verdict::Slower))
                .count();
            assert!(found >= wanted, "{slower}: {found} of 100");
        }
    }

    #[test]
    fn a_faster_head_is_faster_and_a_noiseless_one_the_same() {
        let mut rng = fastrand::Rng::with_seed(3);
        let rounds: Vec<Round> = (0..12).map(|at| round(&mut rng, at, -0.3)).collect();
        assert_eq!(classify(&rounds, 1, 0.05).verdict, Verdict::Faster);
        let still = Round { base: [2.0; 2], head: [2.0; 2] };
        let judged = classify(&[still; 6], 1, 0.05);
        assert_eq!(
            (judged.verdict, judged.ratio, judged.floor),
            (Verdict::Same, Some(1.0), Some(1.0))
        );
        assert!(judged.sees(0.05));
    }

    #[test]
    fn too_few_rounds_are_unsure() {
        for benchmarks in [1, 10, 100] {
            let fewest = fewest_rounds(benchmarks);
            let slower = Round { base: [1.0; 2], head: [3.0; 2] };
            let rounds = vec![slower; fewest];
            assert_eq!(classify(&rounds, benchmarks, 0.05).verdict, Verdict::Slower);
            let few = classify(&rounds[1..], benchmarks, 0.05);
            assert_eq!((few.verdict, few.interval), (Verdict::Unsure, None));
        }
        assert_eq!(classify(&[], 1, 0.05).ratio, None);
    }

    #[test]
    fn the_interval_of_a_rate_is_the_exact_one() {
        // Where the tails have closed forms, and a value of the published tables.
        for (count, n, wanted) in [
            (0, 32, [0.0, 1.0 - 0.025f64.powf(1.0 / 32.0)]),
            (10, 10, [0.025f64.powf(0.1), 1.0]),
            (1, 20, [0.001265, 0.248733]),
            (0, 0, [0.0, 1.0]),
        ] {
            let interval = rate_interval(count, n, 0.95);
            let off = |at: usize| (interval[at] - wanted[at]).abs();
            assert!(off(0) < 1e-5 && off(1) < 1e-5, "{count} of {n}: {interval:?}");
        }
    }

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Six figures: the widest interval has 1 - 2/64; with ten, 8 averages may be
        // left out on either side at 0.05 (critical value 8 of the signed-rank test).
        let six = walsh_averages(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(interval(&six, 6, 0.05), Some([1.0, 6.0]));
        assert_eq!(interval(&six, 6, 0.03), None);
        let ten: Vec<f64> = (0..10).map(|power| f64::from(1 << power)).collect();
        let walsh = walsh_averages(&ten);
        let ends = [walsh[8], walsh[walsh.len() - 9]];
        assert_eq!(interval(&walsh, 10, 0.05), Some(ends));
    }
}
