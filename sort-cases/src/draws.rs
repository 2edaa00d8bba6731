//! Drawing cases, and what becomes of one that fails.

use crate::{Case, Distribution, KeyType, Payload};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Set to a case as a failure prints it, it is the only one that is run.
pub const VARIABLE: &str = "SORT_CASE";

/// Different cases that all draws of this process have run.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// So many cases for a test of a back end.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// The test's name.
    pub name: &'a str,
    /// The command that runs the back end's tests, to which the name is added.
    pub command: &'a str,
    /// How many different ones.
    pub count: u32,
    /// Sizes about the multiples of this are drawn more often.
    pub tile: usize,
    /// Most keys.
    pub most: usize,
}

impl Draws<'_> {
    /// Runs `property` on different cases of `key`, the same in every run and others for every
    /// name, and says how many.
    ///
    /// # Panics
    /// If one fails, with the least that does and what to run to see it again.
    #[track_caller]
    pub fn of(&self, key: KeyType, property: impl Fn(&Case) -> Result<(), String>) {
        if let Ok(text) = std::env::var(VARIABLE) {
            let case: Case = text.parse().unwrap_or_else(|error| panic!("{VARIABLE}: {error}"));
            if case.key == key {
                property(&case).unwrap_or_else(|failure| panic!("{failure}"));
            }
            return;
        }
        let mut hasher = DefaultHasher::new();
        self.name.hash(&mut hasher);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&hasher.finish().to_le_bytes());
        let config = Config {
            cases: self.count,
            failure_persistence: None,
            max_shrink_iters: Config::default().max_shrink_iters.min(400),
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let different = RefCell::new(HashSet::new());
        let result = TestRunner::new_with_rng(config, rng).run(&self.cases(key), |case| {
            different.borrow_mut().insert(case);
            property(&case).map_err(|failure| self.failure(&case, &failure))
        });
        if let Err(error) = result {
            panic!("{error}");
        }
        self.report(different.borrow().len());
    }

    fn failure(&self, case: &Case, failure: &str) -> TestCaseError {
        let Self { name, command, .. } = self;
        TestCaseError::fail(format!(
            "{failure}\nto run it again: {VARIABLE}='{case}' {command} {name}"
        ))
    }

    fn report(&self, different: usize) {
        let name = self.name;
        assert_eq!(different, self.count as usize, "{name}: different cases");
        let total = TOTAL.fetch_add(different, Ordering::Relaxed) + different;
        // In one write, past the test harness, which would keep it to itself.
        let line = format!("{name}: {different} different cases, {total} so far\n");
        std::io::stderr().write_all(line.as_bytes()).ok();
    }

    /// The strategy that cases are drawn from.
    fn cases(&self, key: KeyType) -> impl Strategy<Value = Case> + use<> {
        let drawn = &Distribution::ALL[..Distribution::DRAWN];
        let distributions: Vec<_> = drawn.iter().map(|&(distribution, _)| distribution).collect();
        let payload = prop_oneof![
            6 => Just(Payload::None),
            2 => Just(Payload::Index),
            2 => Just(Payload::Value(4)),
            1 => Just(Payload::Value(8)),
            1 => Just(Payload::Value(16)),
        ];
        let width = key.bits;
        let bits = prop_oneof![
            3 => Just((0, width)),
            1 => (0..width).prop_flat_map(move |begin| (Just(begin), begin + 1..=width)),
        ];
        let numeric = prop::bool::weighted(if key.is_float() { 0.3 } else { 0.0 });
        let flags = (any::<bool>(), numeric, any::<bool>(), any::<bool>());
        let input = (any::<u64>(), self.sizes(), prop::sample::select(distributions));
        (input, payload, bits, flags).prop_map(move |(input, payload, bits, flags)| {
            let (seed, n, distribution) = input;
            let (descending, numeric, in_place, match_ranking) = flags;
            Case {
                key,
                n,
                seed,
                distribution,
                payload,
                descending,
                numeric,
                bits: if numeric { (0, width) } else { bits },
                in_place,
                match_ranking,
            }
        })
    }

    /// Sizes, more often than not at an edge of a tile.
    fn sizes(&self) -> impl Strategy<Value = usize> + use<> {
        let (tile, most) = (self.tile, self.most);
        let edges = (1..=most / tile).flat_map(|k| [k * tile - 1, k * tile, k * tile + 1]);
        let edges: Vec<usize> =
            [1, 2].into_iter().chain(edges).filter(|&n| n > 0 && n <= most).collect();
        prop_oneof![1..=most, prop::sample::select(edges)]
    }
}
