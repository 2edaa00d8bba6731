//! Steps in the times of a benchmark over commits (docs/REGRESSION.md, "How steps are found").
//!
//! The observations are processes: each has a figure (a logarithm of time), the commit that
//! it ran, and the *round* that it ran in. Where nothing changed, the figures of a round are
//! exchangeable between its commits, whatever the machine did from one round to the next.
//! That is all that the test below assumes.
//!
//! *Search.* Circular binary segmentation (Olshen, Venkatraman, Lucito, Wigler:
//! Biostatistics 5, 2004): of a stretch of commits, every run of them is compared with the
//! rest by the standardised sum of ranks (Wilcoxon's), and the largest is kept. A run that
//! reaches no end of the stretch is a pair of steps, such as a slow commit and its repair,
//! which a search for single splits sees badly. The chance of it comes from permutations
//! within rounds, which end early when it is sure to be too high (Besag, Clifford:
//! Biometrika 78, 1991). At most the given error, and the parts are searched in turn. A flat
//! history is one stretch and one test, so that the error is the chance of any alarm over it.
//!
//! *Settling.* Ranks say little of how far two levels are apart, so each step is moved,
//! between its neighbours, to where the absolute deviations from the medians of its two
//! levels are least.
//!
//! *Pruning.* Each step is tested again, between its two levels alone, and must exceed the
//! least step of interest and its *floor*: four standard errors of the difference between
//! two levels, by the deviation of a commit. Two builds of the same code differ a little, by
//! where it lies in memory, and that is no step. The smallest step that does not pass is
//! taken back, until all pass.
//!
//! The size of a step is the Hodges-Lehmann shift between the two levels, and its interval
//! lies between order statistics of the differences of pairs (Hollander, Wolfe, Chicken:
//! Nonparametric Statistical Methods, 3rd edition, 4.2 and 4.3).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use statrs::statistics::{Data, OrderStatistics, RankTieBreaker};

use crate::stats::median;

/// Chance of an alarm over all series of a flat history, at most, by the search's test.
/// Builds of the same code differ a little, which the test takes for a change and pruning
/// does not always: with both, the rate is below one in twenty.
pub(crate) const FALSE_ALARMS: f64 = 0.02;
/// Chance that a step is kept when it is tested again by itself.
const PRUNE: f64 = 0.05;
/// Number of permutations, times the error.
const RESOLUTION: f64 = 20.0;
/// Standard deviations for half of the intervals: 95 % of a normal distribution.
const HALF_WIDTH: f64 = 1.96;
/// Standard errors that a step is to exceed.
const FLOOR: f64 = 4.0;
/// Mean absolute difference of two draws of a normal distribution, in its standard
/// deviations.
const MEAN_DIFFERENCE: f64 = std::f64::consts::FRAC_2_SQRT_PI;
/// The median of the same.
const MEDIAN_DIFFERENCE: f64 = 0.9539;
/// Standard error of a median over that of a mean, of many draws of a normal distribution.
const MEDIAN_ERROR: f64 = 1.253;
/// Differences that it takes to speak of their spread.
const FEWEST_DIFFERENCES: usize = 4;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observation {
    /// Place of its commit among those that were measured.
    pub(crate) commit: usize,
    /// The session that it ran in: commits that took turns.
    pub(crate) session: usize,
    /// The round that it ran in: a round of a session.
    pub(crate) round: usize,
    /// Logarithm of its time.
    pub(crate) value: f64,
}

/// A step: a commit from which on times are others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// Place of the first commit at the new level.
    pub(crate) at: usize,
    /// Chance of a step as clear anywhere in the stretch that was searched, if there was
    /// none.
    pub(crate) chance: f64,
    /// How much higher the new level is, in logarithms.
    pub(crate) shift: f64,
    /// Interval of that, of 95 %; absent where there are too few processes for one.
    pub(crate) interval: Option<[f64; 2]>,
    /// The size that it had to exceed by the series' own noise; absent where there are too few
    /// processes to speak of any.
    pub(crate) floor: Option<f64>,
}

/// Finds the steps of a series.
///
/// `error` is the chance of any alarm over a flat series, at most, and `least` the least
/// step of interest, in logarithms. The same series and `seed` have the same steps.
pub(crate) fn find(observations: &[Observation], error: f64, least: f64, seed: u64) -> Vec<Step> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let commits = observations.iter().map(|one| one.commit + 1).max();
    let mut chances = BTreeMap::new();
    let whole = 0..commits.unwrap_or(0);
    let mut stretches = Vec::from([whole]);
    while let Some(stretch) = stretches.pop() {
        let ranked = Ranked::new(observations, &stretch);
        let Some((run, chance)) = ranked.best(&ranked.runs(), error, &mut rng) else {
            continue;
        };
        let parts = [stretch.start..run.start, run.clone(), run.end..stretch.end];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            if part.start > stretch.start {
                chances.insert(part.start, chance);
            }
            stretches.push(part);
        }
    }
    prune(observations, chances, least, &mut rng)
}

/// Takes steps back until all that are left pass.
fn prune(
    observations: &[Observation],
    chances: BTreeMap<usize, f64>,
    least: f64,
    rng: &mut fastrand::Rng,
) -> Vec<Step> {
    let mut places: Vec<(usize, f64)> = chances.into_iter().collect();
    loop {
        settle(observations, &mut places);
        let noise = noise(observations, &places);
        let mut steps = Vec::new();
        let mut weakest: Option<(usize, f64)> = None;
        for (index, &(at, chance)) in places.iter().enumerate() {
            let [begin, end] = neighbours(&places, index);
            let before = begin..at;
            let step = step(observations, begin..end, at, chance, noise);
            let size = step.shift.abs();
            let passes = size >= least
                && step.floor.is_none_or(|floor| size > floor)
                && Ranked::new(observations, &(begin..end))
                    .best(std::slice::from_ref(&before), PRUNE, rng)
                    .is_some();
            if !passes && weakest.is_none_or(|(_, least)| size < least) {
                weakest = Some((index, size));
            }
            steps.push(step);
        }
        match weakest {
            Some((index, _)) => places.remove(index),
            None => return steps,
        };
    }
}

/// Where the level before a step begins and the one after it ends.
fn neighbours(places: &[(usize, f64)], index: usize) -> [usize; 2] {
    let before = index.checked_sub(1).map_or(0, |before| places[before].0);
    let after = places.get(index + 1).map_or(usize::MAX, |after| after.0);
    [before, after]
}

/// Moves each step to where its two levels fit best.
fn settle(observations: &[Observation], places: &mut [(usize, f64)]) {
    let commits = observations.iter().map(|one| one.commit + 1).max();
    for index in 0..places.len() {
        let [begin, end] = neighbours(places, index);
        let end = end.min(commits.unwrap_or(0));
        let deviation = |at: &usize| {
            let levels = [begin..*at, *at..end].map(|range| values(observations, &range));
            levels.iter().map(|level| deviations(level)).sum::<f64>()
        };
        let best = (begin + 1..end).min_by(|a, b| deviation(a).total_cmp(&deviation(b)));
        places[index].0 = best.unwrap_or(places[index].0);
    }
}

fn deviations(values: &[f64]) -> f64 {
    let middle = median(values).unwrap_or(0.0);
    values.iter().map(|value| (value - middle).abs()).sum()
}

fn values(observations: &[Observation], commits: &Range<usize>) -> Vec<f64> {
    let within = observations.iter().filter(|one| commits.contains(&one.commit));
    within.map(|one| one.value).collect()
}

/// The step at `at` between two levels, where a commit deviates by `noise`.
fn step(
    observations: &[Observation],
    levels: Range<usize>,
    at: usize,
    chance: f64,
    noise: Option<f64>,
) -> Step {
    let [before, after] =
        [levels.start..at, at..levels.end].map(|range| values(observations, &range));
    let pairs = after.iter().flat_map(|new| before.iter().map(move |old| new - old));
    let mut differences: Vec<f64> = pairs.collect();
    differences.sort_by(f64::total_cmp);
    let (m, n) = (before.len() as f64, after.len() as f64);
    let half = HALF_WIDTH * (m * n * (m + n + 1.0) / 12.0).sqrt();
    let left_out = (m * n / 2.0 - half).floor();
    // Below one, even the widest interval has less than its confidence.
    let interval = (left_out >= 1.0).then(|| {
        let low = left_out as usize - 1;
        [differences[low], differences[differences.len() - 1 - low]]
    });
    let commits = |range: Range<usize>| {
        let within = observations.iter().filter(|one| range.contains(&one.commit));
        within.map(|one| one.commit).collect::<BTreeSet<usize>>().len() as f64
    };
    let error = (1.0 / commits(levels.start..at) + 1.0 / commits(at..levels.end)).sqrt();
    Step {
        at,
        chance,
        shift: median(&differences).unwrap_or(0.0),
        interval,
        floor: noise.map(|noise| FLOOR * noise * error),
    }
}

/// Standard deviation of a commit's median about its level: by how commits at one level
/// differ, and at least what the differences between processes of a commit make of it.
fn noise(observations: &[Observation], places: &[(usize, f64)]) -> Option<f64> {
    let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for one in observations {
        values.entry(one.commit).or_default().push(one.value);
    }
    let within = values.values().flat_map(|of_commit| {
        let size = (of_commit.len() as f64).sqrt();
        let apart = of_commit.windows(2).map(move |pair| (pair[1] - pair[0]).abs());
        apart.map(move |apart| MEDIAN_ERROR * apart / size)
    });
    let medians: Vec<(usize, f64)> =
        values.iter().filter_map(|(commit, values)| Some((*commit, median(values)?))).collect();
    let between = medians
        .windows(2)
        .filter(|pair| places.iter().all(|(at, _)| *at != pair[1].0))
        .map(|pair| (pair[1].1 - pair[0].1).abs());
    // Single processes can be far out, where medians of several are not.
    let within: Vec<f64> = within.collect();
    let middle = median(&within).filter(|_| within.len() >= FEWEST_DIFFERENCES);
    let within = middle.map(|middle| middle / MEDIAN_DIFFERENCE);
    let between: Vec<f64> = between.collect();
    let mean = between.iter().sum::<f64>() / between.len() as f64;
    let between = (between.len() >= FEWEST_DIFFERENCES).then_some(mean / MEAN_DIFFERENCE);
    within.into_iter().chain(between).reduce(f64::max)
}

/// The processes of a stretch of commits, by rank.
struct Ranked {
    /// The first commit and the number of them.
    begin: usize,
    commits: usize,
    /// Commit of each process, from the first.
    commit: Vec<usize>,
    rank: Vec<f64>,
    /// Places of the processes of each round.
    rounds: Vec<Vec<usize>>,
}

impl Ranked {
    fn new(observations: &[Observation], stretch: &Range<usize>) -> Self {
        let within: Vec<&Observation> =
            observations.iter().filter(|one| stretch.contains(&one.commit)).collect();
        let mut rounds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, one) in within.iter().enumerate() {
            rounds.entry(one.round).or_default().push(place);
        }
        let values: Vec<f64> = within.iter().map(|one| one.value).collect();
        let last = within.iter().map(|one| one.commit + 1).max();
        Self {
            begin: stretch.start,
            commits: last.map_or(0, |last| last - stretch.start),
            commit: within.iter().map(|one| one.commit - stretch.start).collect(),
            rank: ranks(values),
            rounds: rounds.into_values().collect(),
        }
    }

    /// All runs of commits; of a run and the rest of the stretch, where that is a run
    /// too, one.
    fn runs(&self) -> Vec<Range<usize>> {
        let (begin, end) = (self.begin, self.begin + self.commits);
        (begin..end)
            .flat_map(|from| (from + 1..=end).map(move |to| from..to))
            .filter(|run| run.end < end || run.start > begin)
            .filter(|run| run.start == begin || run.end < end)
            .collect()
    }

    /// The run that differs most from the rest, with the chance that one of `runs` would
    /// by so much; none where that is above `error`.
    fn best(
        &self,
        runs: &[Range<usize>],
        error: f64,
        rng: &mut fastrand::Rng,
    ) -> Option<(Range<usize>, f64)> {
        let mut rank = self.rank.clone();
        let (run, found) = self.largest(&rank, runs)?;
        let all = (RESOLUTION / error).ceil() as usize;
        let mut as_large = 1;
        for _ in 1..all {
            for round in &self.rounds {
                for place in 1..round.len() {
                    rank.swap(round[place], round[rng.usize(..=place)]);
                }
            }
            // Sums in another order differ in their last digits.
            if self.largest(&rank, runs)?.1 >= found * (1.0 - 1e-9) {
                as_large += 1;
            }
            if as_large as f64 > error * all as f64 {
                return None;
            }
        }
        Some((run, as_large as f64 / all as f64))
    }

    /// The run whose sum of ranks is the farthest from what is expected, in standard
    /// deviations (squared, and but for a factor that is the same for all runs).
    fn largest(&self, rank: &[f64], runs: &[Range<usize>]) -> Option<(Range<usize>, f64)> {
        let mean = (rank.len() as f64 + 1.0) / 2.0;
        // Sums over all commits before each.
        let mut counts = vec![0.0; self.commits + 1];
        let mut sums = vec![0.0; self.commits + 1];
        for (&commit, rank) in self.commit.iter().zip(rank) {
            counts[commit + 1] += 1.0;
            sums[commit + 1] += rank - mean;
        }
        for commit in 0..self.commits {
            counts[commit + 1] += counts[commit];
            sums[commit + 1] += sums[commit];
        }
        let far = |run: &Range<usize>| {
            let (from, to) = (run.start - self.begin, run.end - self.begin);
            let inside = counts[to] - counts[from];
            let sum: f64 = sums[to] - sums[from];
            sum * sum / (inside * (rank.len() as f64 - inside))
        };
        let far = runs.iter().map(|run| (run, far(run)));
        let possible = far.filter(|(_, far)| far.is_finite());
        let largest = possible.max_by(|a, b| a.1.total_cmp(&b.1));
        largest.map(|(run, far)| (run.clone(), far))
    }
}

/// The ranks of `values`, from 1; equal ones share theirs.
fn ranks(values: Vec<f64>) -> Vec<f64> {
    Data::new(values).ranks(RankTieBreaker::Average)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alignment::align;

    const ERROR: f64 = FALSE_ALARMS;
    const LEAST: f64 = 0.02;

    /// Processes of commits that took turns on a noisy machine: each round at a speed of
    /// its own, 1.5 % between processes, one in twelve far out, and half a per cent
    /// between builds of the same code.
    fn series(
        rng: &mut fastrand::Rng,
        commits: usize,
        levels: &dyn Fn(usize) -> f64,
    ) -> Vec<Observation> {
        let normal = |rng: &mut fastrand::Rng| (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        let builds: Vec<f64> = (0..commits).map(|_| 0.005 * normal(rng)).collect();
        let mut observations = Vec::new();
        for round in 0..6 {
            let drift = 0.03 * normal(rng);
            for (commit, build) in builds.iter().enumerate() {
                let far = if rng.usize(..12) == 0 { 0.1 * rng.f64() } else { 0.0 };
                let noise = 0.015 * normal(rng) + far;
                let value = drift + build + noise + levels(commit).ln_1p();
                observations.push(Observation { commit, session: 0, round, value });
            }
        }
        align(&mut observations);
        observations
    }

    fn places(steps: &[Step]) -> Vec<usize> {
        steps.iter().map(|step| step.at).collect()
    }

    #[test]
    fn flat_noise_raises_few_alarms() {
        let mut rng = fastrand::Rng::with_seed(1);
        for commits in [3, 12, 30] {
            let alarms = (0..200)
                .filter(|&seed| {
                    let flat = series(&mut rng, commits, &|_| 0.0);
                    !find(&flat, ERROR, LEAST, seed).is_empty()
                })
                .count();
            assert!(alarms <= 10, "{alarms} of 200 with {commits} commits");
        }
    }

    #[test]
    fn drift_from_block_to_block_is_no_step() {
        // Two sessions, one a fifth slower, that have a commit in common, unaligned: its
        // rounds tell the drift apart, because no permutation crosses them.
        let mut rng = fastrand::Rng::with_seed(2);
        let alarms = (0..200)
            .filter(|&seed| {
                let mut flat = series(&mut rng, 12, &|_| 0.0);
                flat.retain(|one| (one.round < 3) == (one.commit < 6) || one.commit == 6);
                let slow = flat.iter_mut().filter(|one| one.round >= 3);
                slow.for_each(|one| one.value += 0.2);
                !find(&flat, ERROR, LEAST, seed).is_empty()
            })
            .count();
        assert!(alarms <= 10, "{alarms} of 200");
    }

    #[test]
    fn steps_are_found_where_they_are() {
        let mut rng = fastrand::Rng::with_seed(3);
        // A level of one commit is too short for 5 %: builds alone differ by nearly as much.
        for (slower, shortest, near, exact) in
            [(0.05, 2, 95, 90), (0.20, 1, 99, 98), (-0.20, 1, 99, 98)]
        {
            let (mut found, mut others) = ([0; 2], 0);
            for seed in 0..100 {
                let at = shortest + seed as usize % (13 - 2 * shortest);
                let level = |commit| if commit < at { 0.0 } else { slower };
                let stepped = series(&mut rng, 12, &level);
                let places = places(&find(&stepped, ERROR, LEAST, seed));
                found[0] += usize::from(places.iter().any(|place| place.abs_diff(at) <= 1));
                found[1] += usize::from(places.contains(&at));
                others += usize::from(places.len() > 1);
            }
            assert!(found[0] >= near && found[1] >= exact, "{slower}: {found:?}");
            // The levels before and after are flat, and searched as any.
            assert!(others <= 5, "{slower}: {others} have another step");
        }
    }

    #[test]
    fn one_slow_commit_is_two_steps() {
        let mut rng = fastrand::Rng::with_seed(4);
        let found = (0..100).filter(|&seed| {
            let bump = series(&mut rng, 12, &|commit| if commit == 7 { 0.2 } else { 0.0 });
            places(&find(&bump, ERROR, LEAST, seed)) == [7, 8]
        });
        assert!(found.count() >= 97);
    }

    #[test]
    fn a_step_has_a_size_and_an_interval() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut covered = 0;
        for seed in 0..100 {
            let stepped = series(&mut rng, 20, &|commit| if commit < 9 { 0.0 } else { 0.2 });
            let found = find(&stepped, ERROR, LEAST, seed);
            let step = found.iter().find(|step| step.at == 9);
            let step = step.unwrap_or_else(|| panic!("{found:?}"));
            assert!((step.shift - 0.2f64.ln_1p()).abs() < 0.02, "{step:?}");
            assert!(step.chance <= ERROR, "{step:?}");
            let [low, high] = step.interval.unwrap();
            covered += usize::from((low..high).contains(&0.2f64.ln_1p()));
        }
        // Builds differ too, and the interval is of processes: it covers a little less.
        assert!(covered >= 80, "{covered} of 100");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(find(&[], ERROR, LEAST, 0), []);
        let one = |commit, round, value| Observation { commit, session: 0, round, value };
        // Alone in their rounds, they cannot be told from drift.
        let apart = [one(0, 0, 1.0), one(0, 1, 1.0), one(1, 2, 9.0), one(1, 3, 9.0)];
        assert!(find(&apart, ERROR, LEAST, 0).is_empty());
        let equal: Vec<Observation> = (0..40).map(|at| one(at % 4, at / 4, 1.0)).collect();
        assert!(find(&equal, ERROR, LEAST, 0).is_empty());
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(vec![5.0, 1.0, 5.0, 9.0]), [2.5, 1.0, 2.5, 4.0]);
        // By the definition, over any values: half of the equal ones come before.
        let mut rng = fastrand::Rng::with_seed(6);
        let values: Vec<f64> = (0..99).map(|_| f64::from(rng.i32(-20..20)) / 7.0).collect();
        let rank = |value: &f64| {
            let less = values.iter().filter(|other| *other < value).count() as f64;
            let equal = values.iter().filter(|other| *other == value).count() as f64;
            less + (equal + 1.0) / 2.0
        };
        let wanted: Vec<f64> = values.iter().map(rank).collect();
        assert_eq!(ranks(values), wanted);
        assert!(ranks(Vec::new()).is_empty());
    }
}
