//! What a kernel is run on, and in which schedule: one [`Case`], printed as a line
//! that brings it back.

use cuda_std::emu::{Options, Policy};
use gpu_kernels::key::Key;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::str::FromStr;

/// Set to a case as a failure prints it, it is the only one that is run.
const VARIABLE: &str = "KERNEL_CASE";

/// How the keys are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    Equal,
    Sorted,
    Reversed,
    /// Two values, the extremes.
    Extremes,
    /// Few values, so that long runs of one digit occur.
    Few,
    Uniform,
}

impl Distribution {
    const ALL: [Self; 6] = [
        Self::Equal,
        Self::Sorted,
        Self::Reversed,
        Self::Extremes,
        Self::Few,
        Self::Uniform,
    ];
}

/// One input and one schedule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Case {
    /// Of the keys and of the schedule.
    pub seed: u64,
    pub n: usize,
    pub distribution: Distribution,
    pub descending: bool,
    pub in_place: bool,
    pub atomics: bool,
    /// Whether blocks start by number and wait as long as it takes. Not of the
    /// case's text: a test has it so, or not.
    pub patient: bool,
}

impl Case {
    /// The schedule, for a launch of this shape; or, for all launches, the one that
    /// the environment asks for.
    pub fn options(&self, grid: u32, block: u32) -> Options {
        match Options::from_env() {
            Ok(Some(options)) => return options,
            Ok(None) => {}
            Err(error) => panic!("{error}"),
        }
        let options = Options {
            idle_limit: 500_000,
            ..Options::any(self.seed, grid, block)
        };
        if !self.patient {
            return options;
        }
        Options {
            shuffle_blocks: false,
            impatience: 0,
            policy: match options.policy {
                Policy::StarveBlock(_) => Policy::Random,
                other => other,
            },
            ..options
        }
    }

    /// What makes the order ascending or descending.
    pub fn flip<K: Key>(&self) -> K {
        if self.descending {
            !K::default()
        } else {
            K::default()
        }
    }

    /// The keys, `n` of them.
    pub fn keys<K: Key>(&self) -> Vec<K> {
        self.some_keys(self.n, 0)
    }

    /// `n` keys, others for another `stream`.
    pub fn some_keys<K: Key>(&self, n: usize, stream: u64) -> Vec<K> {
        let mut state = self.seed ^ (stream << 32);
        let mut draw = || {
            let low = mix(&mut state) as u128;
            K::from_u128(low | (mix(&mut state) as u128) << 64)
        };
        let mut keys: Vec<K> = match self.distribution {
            Distribution::Equal => vec![draw(); n],
            Distribution::Extremes => (0..n)
                .map(|_| {
                    if draw() > draw() {
                        K::default()
                    } else {
                        !K::default()
                    }
                })
                .collect(),
            Distribution::Few => {
                let few = [draw(), draw(), draw(), draw(), draw()];
                (0..n)
                    .map(|_| few[(draw().to_u64() % 5) as usize])
                    .collect()
            }
            _ => (0..n).map(|_| draw()).collect(),
        };
        match self.distribution {
            Distribution::Sorted => keys.sort(),
            Distribution::Reversed => keys.sort_by(|a, b| b.cmp(a)),
            _ => {}
        }
        keys
    }
}

/// SplitMix64.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{},{},{},{},{},{}",
            self.seed,
            self.n,
            self.distribution as u32,
            self.descending as u32,
            self.in_place as u32,
            self.atomics as u32
        )
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{VARIABLE}: `{text}` is not a case as a failure prints it");
        let numbers: Vec<u64> = text
            .split(',')
            .map(|number| number.trim().parse().map_err(|_| error()))
            .collect::<Result<_, _>>()?;
        let [seed, n, distribution, descending, in_place, atomics] = numbers[..] else {
            return Err(error());
        };
        Ok(Case {
            seed,
            n: n as usize,
            distribution: *Distribution::ALL
                .get(distribution as usize)
                .ok_or_else(error)?,
            descending: descending != 0,
            in_place: in_place != 0,
            atomics: atomics != 0,
            patient: false,
        })
    }
}

/// Sizes up to `most`, more often than not at an edge of `tile`.
fn sizes(tile: usize, most: usize) -> impl Strategy<Value = usize> {
    let edges = (1..=most / tile).flat_map(move |k| [k * tile - 1, k * tile, k * tile + 1]);
    let edges: Vec<usize> = [1, 2]
        .into_iter()
        .chain(edges)
        .filter(|&n| n > 0 && n <= most)
        .collect();
    prop_oneof![1..=most, prop::sample::select(edges)]
}

/// Runs `property` on `count` different cases of up to `most` keys, and says so.
/// `name` is the test's.
#[track_caller]
pub fn for_all(
    name: &str,
    count: u32,
    (tile, most): (usize, usize),
    property: impl Fn(&Case) -> Result<(), String>,
) {
    if let Ok(text) = std::env::var(VARIABLE) {
        let case = text.parse().unwrap_or_else(|error| panic!("{error}"));
        return property(&case).unwrap_or_else(|failure| panic!("{failure}"));
    }
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let distribution = prop::sample::select(Distribution::ALL.to_vec());
    let cases = (any::<u64>(), sizes(tile, most), distribution, flags);
    let cases = cases.prop_map(
        |(seed, n, distribution, (descending, in_place, atomics))| Case {
            seed,
            n,
            distribution,
            descending,
            in_place,
            atomics,
            patient: false,
        },
    );
    // The same cases in every run, and others for every test.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&hasher.finish().to_le_bytes());
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: Config::default().max_shrink_iters.min(400),
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let different = std::cell::RefCell::new(HashSet::new());
    let result = runner.run(&cases, |case| {
        different.borrow_mut().insert(case);
        property(&case).map_err(|failure| {
            TestCaseError::fail(format!(
                "{failure}\nto run it again: {VARIABLE}='{case}' cargo test -p gpu-kernels --test emulator {name}"
            ))
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let different = different.borrow().len();
    assert_eq!(
        different, count as usize,
        "different (input, schedule) pairs"
    );
    // Not by a macro: the test harness would keep it to itself.
    writeln!(
        std::io::stderr(),
        "{name}: {different} different (input, schedule) pairs"
    )
    .ok();
}
