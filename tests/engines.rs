//! Every engine against `sort_unstable`, over every type of key: the shared list of
//! hard inputs, and random ones.
//!
//! An engine that cannot run here shows as ignored, and one line says why.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use suite::Error;
use suite::edge_inputs::edge_inputs;
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

/// What is shown of an engine.
type Check<K> = fn(&mut dyn Engine<K>) -> Result<(), Failed>;

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
                check(&mut *registry::engine::<K>(name)?)
            });
            trials.push(trial.with_ignored_flag(skipped.is_some()));
        }
        unavailable.extend(skipped);
    }
    (trials, unavailable)
}

/// Fails unless `engine`, which is prepared, sorts `keys` as the standard library does.
fn sorts<K: Key>(engine: &mut dyn Engine<K>, keys: &[K]) -> Result<(), String> {
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    let mut sorted = keys.to_vec();
    engine.sort(&mut sorted).map_err(|error| error.to_string())?;
    let differing = expected.iter().zip(&sorted).position(|(a, b)| a != b);
    match differing {
        None => Ok(()),
        Some(index) => Err(format!(
            "index {index} of {}: {} in place of {}",
            keys.len(),
            sorted[index],
            expected[index]
        )),
    }
}

fn every_case_at_every_level<K: Key>(engine: &mut dyn Engine<K>) -> Result<(), Failed> {
    for level in LEVELS {
        engine.prepare(EDGES[EDGES.len() - 1] + 1, level)?;
        for case in edge_inputs::<K>(&EDGES) {
            sorts(engine, &case.keys)
                .map_err(|error| format!("level {level}, {}: {error}", case.name))?;
        }
    }
    Ok(())
}

/// Prepares `engine` for `keys` and more or fewer threads than there are keys, and
/// holds the result against the standard library's.
fn prepared_sorts<K: Key>(
    engine: &mut dyn Engine<K>,
    keys: &[K],
    level: usize,
) -> Result<(), TestCaseError> {
    let prepared = engine.prepare(keys.len(), level);
    prepared.map_err(|error| TestCaseError::fail(error.to_string()))?;
    sorts(engine, keys).map_err(TestCaseError::fail)
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: RANDOM_INPUTS,
        // A failure shows its smallest input, which belongs into `suite::edge_inputs`.
        failure_persistence: None,
        ..Config::default()
    })
}

fn random_keys<K: Key + Arbitrary>(engine: &mut dyn Engine<K>) -> Result<(), Failed> {
    let engine = std::cell::RefCell::new(engine);
    let inputs = (vec(any::<K>(), 0..3000), 1..40usize);
    runner()
        .run(&inputs, |(keys, level)| prepared_sorts(&mut **engine.borrow_mut(), &keys, level))?;
    Ok(())
}

/// Sizes about multiples of the level, so that the last chunk is full, short by one,
/// or holds one key.
fn random_workloads<K: Key>(engine: &mut dyn Engine<K>) -> Result<(), Failed> {
    let engine = std::cell::RefCell::new(engine);
    let distributions = prop::sample::select(vec![
        Distribution::Classic,
        Distribution::Uniform,
        Distribution::Constant,
        Distribution::Sorted,
        Distribution::Reversed,
    ]);
    let inputs = (1..40usize, 0..2000usize, 0..3usize, distributions, any::<u64>());
    runner().run(&inputs, |(level, chunk, beyond, distribution, seed)| {
        let n = (level * chunk + beyond).saturating_sub(1);
        let workload = Workload { n, distribution, seed };
        prepared_sorts(&mut **engine.borrow_mut(), &workload.generate::<K>().unwrap(), level)
    })?;
    Ok(())
}

fn fewer_keys_than_prepared_for<K: Key>(engine: &mut dyn Engine<K>) -> Result<(), Failed> {
    engine.prepare(10_000, 4)?;
    for n in [10_000, 9_999, 5, 1, 0, 10_000] {
        let keys: Vec<K> = Workload::classic(n, 3).generate().unwrap();
        sorts(engine, &keys)?;
    }
    Ok(())
}

fn level_zero_is_an_error<K: Key>(engine: &mut dyn Engine<K>) -> Result<(), Failed> {
    match engine.prepare(100, 0) {
        Err(Error::LevelZero) => Ok(()),
        Err(other) => Err(format!("another error: {other}").into()),
        Ok(()) => Err("level 0 was accepted".into()),
    }
}

fn unprepared_is_an_error<K: Key>(engine: &mut dyn Engine<K>) -> Result<(), Failed> {
    match engine.sort(&mut [K::greatest(), K::least()]) {
        Err(Error::NotPrepared { n: 2, .. }) => Ok(()),
        Err(other) => Err(format!("another error: {other}").into()),
        Ok(()) => Err("sorted without threads or memory".into()),
    }
}
