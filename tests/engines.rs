//! Every engine against `sort_unstable`, over every type of key: the shared list of
//! hard inputs, and random ones.
//!
//! An engine that cannot run here shows as ignored, and one line says why.

use std::cell::RefCell;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sort_cases::Case;
use suite::Error;
use suite::engine::Engine;
use suite::engines;
use suite::key::Key;
use suite::registry;
use suite::workload::{Distribution, Workload};

/// Levels at which every case is sorted: one, even and odd, and more than many cases
/// have keys.
const LEVELS: [usize; 5] = [1, 2, 3, 8, 128];
/// Sizes about which chunks of those levels change, and sorts their method.
const EDGES: [usize; 6] = [8, 21, 128, 1024, 4096, 20_000];
/// Random inputs for each engine and type.
const RANDOM_INPUTS: u32 = 64;

type Check<K> = fn(&mut dyn Engine<K>);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (unsigned, skipped) = trials::<u32>();
    let (signed, _) = trials::<i32>();
    for reason in skipped {
        eprintln!("{reason}");
    }
    libtest_mimic::run(&arguments, unsigned.into_iter().chain(signed).collect()).exit_code()
}

/// The tests of every engine for one type of key, and the engines that cannot run.
fn trials<K: Key + Arbitrary>() -> (Vec<Trial>, Vec<Error>) {
    let checks: [(&str, Check<K>); 6] = [
        ("every_case_at_every_level", every_case_at_every_level),
        ("random_keys", random_keys),
        ("random_workloads", random_workloads),
        ("fewer_keys_than_prepared_for", fewer_keys_than_prepared_for),
        ("level_zero_is_an_error", level_zero_is_an_error),
        ("unprepared_is_an_error", unprepared_is_an_error),
    ];
    let mut trials = Vec::new();
    let mut unavailable = Vec::new();
    for name in engines::of_host_memory() {
        let skipped = registry::engine::<K>(name).err();
        for (what, check) in checks {
            let trial = Trial::test(format!("{name}::{}::{what}", K::NAME), move || {
                check(&mut *registry::engine::<K>(name)?);
                Ok(())
            });
            trials.push(trial.with_ignored_flag(skipped.is_some()));
        }
        unavailable.extend(skipped);
    }
    (trials, unavailable)
}

/// Asserts that `engine`, which is prepared, sorts `keys` as the standard library does.
fn sorts<K: Key>(engine: &mut dyn Engine<K>, keys: &[K], about: &str) {
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    let mut sorted = keys.to_vec();
    engine.sort(&mut sorted).unwrap();
    let differing = expected.iter().zip(&sorted).position(|(a, b)| a != b);
    if let Some(index) = differing {
        let (found, right, n) = (sorted[index], expected[index], keys.len());
        panic!("{about}: index {index} of {n}: {found} in place of {right}");
    }
}

fn every_case_at_every_level<K: Key>(engine: &mut dyn Engine<K>) {
    for level in LEVELS {
        engine.prepare(EDGES[EDGES.len() - 1] + 1, level).unwrap();
        for case in Case::about(K::TYPE, &EDGES) {
            let keys: Vec<K> = case.keys().into_iter().map(K::from_word).collect();
            sorts(engine, &keys, &format!("level {level}, {case}"));
        }
    }
}

/// Prepares `engine` for `keys` and more or fewer threads than there are keys, and sorts.
fn prepared_sorts<K: Key>(engine: &mut dyn Engine<K>, keys: &[K], level: usize) {
    engine.prepare(keys.len(), level).unwrap();
    sorts(engine, keys, &format!("level {level}"));
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: RANDOM_INPUTS,
        // A failure shows its smallest input, which belongs into `sort_cases`.
        failure_persistence: None,
        ..Config::default()
    })
}

fn random_keys<K: Key + Arbitrary>(engine: &mut dyn Engine<K>) {
    let engine = RefCell::new(engine);
    let inputs = (vec(any::<K>(), 0..3000), 1..40usize);
    let run = runner().run(&inputs, |(keys, level)| {
        prepared_sorts(&mut **engine.borrow_mut(), &keys, level);
        Ok(())
    });
    run.unwrap();
}

/// Sizes about multiples of the level, so that the last chunk is full, short by one,
/// or holds one key.
fn random_workloads<K: Key>(engine: &mut dyn Engine<K>) {
    let engine = RefCell::new(engine);
    use Distribution::{Classic, Constant, Reversed, Sorted, Uniform};
    let distributions = prop::sample::select(vec![Classic, Uniform, Constant, Sorted, Reversed]);
    let inputs = (1..40usize, 0..2000usize, 0..3usize, distributions, any::<u64>());
    let run = runner().run(&inputs, |(level, chunk, beyond, distribution, seed)| {
        let n = (level * chunk + beyond).saturating_sub(1);
        let keys = Workload { n, distribution, seed }.generate::<K>().unwrap();
        prepared_sorts(&mut **engine.borrow_mut(), &keys, level);
        Ok(())
    });
    run.unwrap();
}

fn fewer_keys_than_prepared_for<K: Key>(engine: &mut dyn Engine<K>) {
    engine.prepare(10_000, 4).unwrap();
    for n in [10_000, 9_999, 5, 1, 0, 10_000] {
        sorts(engine, &Workload::classic(n, 3).generate::<K>().unwrap(), "fewer");
    }
}

fn level_zero_is_an_error<K: Key>(engine: &mut dyn Engine<K>) {
    let prepared = engine.prepare(100, 0);
    assert!(matches!(prepared, Err(Error::LevelZero)), "{prepared:?}");
}

fn unprepared_is_an_error<K: Key>(engine: &mut dyn Engine<K>) {
    let sorted = engine.sort(&mut [K::greatest(), K::least()]);
    assert!(matches!(sorted, Err(Error::NotPrepared { n: 2, .. })), "{sorted:?}");
}
