//! How long does the classic workload take on each engine, and what does a higher
//! concurrency level change?
//!
//! Group `classic`, one benchmark an engine and level: `classic/cpu-std/4`. The keys
//! are i32, uniform over 0..=1,000,000, in ordinary host memory before and after the
//! sort; copying the fresh input in and verifying the result lie outside the timed
//! interval. Every iteration is verified, warm-up included: a wrong result ends the
//! run with what differed and a non-zero exit code.
//!
//! Criterion owns the command line (`--save-baseline`, `--baseline`, filters, ...), so
//! what it does not know is chosen by environment variables:
//!
//! | variable | what it chooses | where it is not set |
//! |---|---|---|
//! | `CUDAMARK_N` | number of keys | 50,000,000 with a GPU, else 2,000,000 |
//! | `CUDAMARK_LEVELS` | levels, as in `1,2,4` | 1,2,4,8,16,32,64,128 |
//! | `CUDAMARK_ENGINES` | engines, as in `cpu-std,cpu-radix` | all that can run |
//! | `CUDAMARK_SEED` | seed of the keys | 42 |
//!
//! How to read it: time falling from level to level means that the engine turns more
//! threads or streams into speed; where the line goes flat, the machine is used up.

use std::cell::OnceCell;
use std::env::{self, VarError};
use std::process;
use std::str::FromStr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use host::Error;
use host::engine::{self, Engine};
use host::measure::{self, Measurement};
use host::verify::Verifier;
use host::workload::{CLASSIC_LEVELS, CLASSIC_N, DEFAULT_SEED, Workload};

type ClassicKey = i32;

const N: &str = "CUDAMARK_N";
const LEVELS: &str = "CUDAMARK_LEVELS";
const ENGINES: &str = "CUDAMARK_ENGINES";
const SEED: &str = "CUDAMARK_SEED";

/// Number of keys where no GPU is: three engines at eight levels take about two
/// minutes on two cores.
const CPU_N: usize = 2_000_000;
/// Number of keys where nothing is measured, only run once (`cargo test --benches`).
const TEST_N: usize = 100_000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    if let Err(message) = classic(&mut criterion) {
        fail(&message);
    }
    criterion.final_summary();
}

/// Ends the run. Criterion's closures return times only, so an error in one leaves by
/// this way too.
fn fail(message: &dyn std::fmt::Display) -> ! {
    eprintln!("classic: {message}");
    process::exit(1);
}

fn classic(criterion: &mut Criterion) -> Result<(), String> {
    let levels = levels()?;
    let mut engines = engines()?;
    let with_gpu = engines.iter().any(|engine| engine.gpu().is_some());
    let n = number(N)?.unwrap_or_else(|| default_n(with_gpu));
    if n == 0 {
        return Err(format!("{N}: 0: nothing to measure; give 1 or more"));
    }
    let seed = number(SEED)?.unwrap_or(DEFAULT_SEED);
    for engine in &engines {
        measure::require_memory(&**engine, n, &levels).map_err(|error| error.to_string())?;
    }

    // Made when the first benchmark that was not filtered out asks for it.
    let input: OnceCell<Vec<ClassicKey>> = OnceCell::new();
    let verifier = OnceCell::new();
    let mut group = criterion.benchmark_group("classic");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(n as u64));
    for engine in &mut engines {
        for &level in &levels {
            let id = BenchmarkId::new(engine.name(), level);
            // Criterion calls the closure once a sample; threads are started in the first.
            let mut unprepared = Some(&mut **engine);
            let mut prepared = None;
            group.bench_function(id, |bencher| {
                let measurement = prepared.get_or_insert_with(|| {
                    let verifier = verifier.get_or_init(|| {
                        Verifier::new(input.get_or_init(|| Workload::classic(n, seed).generate()))
                    });
                    let engine = unprepared.take().expect("an engine is prepared once");
                    Measurement::new(engine, verifier, level).unwrap_or_else(|error| fail(&error))
                });
                bencher.iter_custom(|iterations| {
                    let mut sample = || measurement.sample().unwrap_or_else(|error| fail(&error));
                    (0..iterations).map(|_| sample()).sum()
                });
            });
        }
    }
    group.finish();
    Ok(())
}

/// How many keys, if it is not said. Without `--bench`, or with `--test`, Criterion
/// runs every benchmark once and measures nothing.
fn default_n(with_gpu: bool) -> usize {
    let given = |flag| env::args().any(|argument| argument == flag);
    match (given("--bench") && !given("--test"), with_gpu) {
        (false, _) => TEST_N,
        (true, false) => CPU_N,
        (true, true) => CLASSIC_N,
    }
}

/// The engines to measure: those asked for, all of which must be able to run, or else
/// all that can run, with a line for each that cannot.
fn engines() -> Result<Vec<Box<dyn Engine<ClassicKey>>>, String> {
    let Some(names) = variable(ENGINES)? else {
        let opened = engine::candidates()
            .into_iter()
            .map(|candidate| candidate.open());
        return Ok(opened
            .filter_map(|engine| engine.map_err(|skipped| eprintln!("{skipped}")).ok())
            .collect());
    };
    let open = |name: &str| -> Result<_, Error> { Ok(engine::candidate(name)?.open()?) };
    let opened = names.split(',').map(|name| open(name.trim()));
    opened
        .collect::<Result<_, Error>>()
        .map_err(|error| format!("{ENGINES}: {error}"))
}

fn levels() -> Result<Vec<usize>, String> {
    match variable(LEVELS)? {
        Some(text) => engine::parse_levels(&text).map_err(|error| format!("{LEVELS}: {error}")),
        None => Ok(CLASSIC_LEVELS.to_vec()),
    }
}

/// The whole number in the environment variable `name`, if it is set.
fn number<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Some(text) = variable(name)? else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!(
            "{name}: `{text}` is not a whole number in range; write it like 1000000"
        )),
    }
}

fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(text)) => Err(format!("{name}: {text:?} is not text")),
    }
}
