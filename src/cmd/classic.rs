//! `cudamark classic`: the classic workload, level by level.
//!
//! Standard output is, to the letter, that of the scripts this program replaces: the
//! cores, a line a level, and after an empty line the same as CSV. Where they gave the
//! one time they had taken, it gives the median of several, each of a verified result.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use cudamark::tell;
use indicatif::{ProgressBar, ProgressStyle};
use suite::Error;
use suite::engine::{self, Engine};
use suite::measure::{self, Measurement, Samples};
use suite::record::{self, Classic, Environment};
use suite::verify::Verifier;
use suite::workload::{CLASSIC_LEVELS, CLASSIC_N, DEFAULT_SEED, Workload};

use crate::output::Output;
use crate::plot;

/// Type of the classic workload's keys.
type ClassicKey = i32;

/// Sort integers at each concurrency level and print the time each took.
///
/// The keys are i32, uniform over 0..=1000000, and lie in ordinary memory before and
/// after each sort. A level is a number of threads, or of streams on a GPU. Times are
/// medians; every sample's result is verified.
#[derive(Args, Debug)]
pub struct Options {
    /// Number of keys.
    #[arg(long, value_name = "N", default_value_t = CLASSIC_N, value_parser = whole_number)]
    n: usize,

    /// Concurrency levels.
    #[arg(long, value_name = "LIST", default_value_t = Levels::default())]
    levels: Levels,

    /// Engine that sorts: auto takes the GPU where there is one, else the fastest on the CPU.
    #[arg(long, value_name = "NAME", default_value = AUTO, value_parser = engine_name)]
    engine: String,

    /// Samples per level. From 6 on, intervals have a confidence of 95 % or more.
    #[arg(long, value_name = "S", default_value_t = 7, value_parser = sample_count)]
    samples: usize,

    /// Where the draws of the keys start.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED)]
    seed: u64,

    /// Write the CSV to this file too.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Write a plot of time over level to this file, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    /// Write the record to this file: every sample, and the machine.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const AUTO: &str = "auto";

/// Runs the command.
pub fn run(options: &Options) -> Result<()> {
    let levels = &options.levels.0;
    let mut engine = choose(&options.engine)?;
    measure::require_memory(&*engine, options.n, levels)?;
    // A level that cannot be started is better known now than after the others, and memory
    // of the GPU that is too small before the keys are generated.
    engine.prepare(options.n, levels.iter().copied().max().unwrap_or(1))?;
    let outputs = Outputs::open(options)?;

    let workload = Workload::classic(options.n, options.seed);
    tell!(
        "engine: {}{}, n: {}, seed: {}, samples per level: {}",
        engine.name(),
        if options.engine == AUTO { " (auto)" } else { "" },
        options.n,
        options.seed,
        options.samples
    );
    let samples = measure_levels(&mut *engine, workload, levels, options.samples)?;
    let csv = csv(&samples);
    print(&format!("\n{csv}"))?;

    let environment = Environment::here(engine.gpu());
    let record = Classic::new::<ClassicKey>(workload, environment, &samples);
    outputs.write(&csv, &record)
}

/// The engine called `name`, or the first that can run here.
fn choose(name: &str) -> Result<Box<dyn Engine<ClassicKey>>> {
    if name != AUTO {
        let candidate = engine::candidate(name)?;
        return Ok(candidate.open().map_err(Error::from)?);
    }
    let mut skipped = Vec::new();
    for candidate in engine::candidates() {
        match candidate.open() {
            Ok(engine) => {
                for unavailable in skipped {
                    tell!("{unavailable}; {} is taken instead", engine.name());
                }
                return Ok(engine);
            }
            Err(unavailable) => skipped.push(unavailable),
        }
    }
    bail!("no engine can run on this machine")
}

/// Measures one level after the other, printing each when it is done.
fn measure_levels(
    engine: &mut dyn Engine<ClassicKey>,
    workload: Workload,
    levels: &[usize],
    count: usize,
) -> Result<Vec<Samples>> {
    print(&format!("CPU cores: {}\n", record::cores()))?;
    let input: Vec<ClassicKey> = workload.generate()?;
    let verifier = Verifier::new(&input);
    let progress = progress(levels.len() * count)?;
    let mut measured = Vec::with_capacity(levels.len());
    for &level in levels {
        progress.set_message(format!("{}, level {level}", engine.name()));
        let mut measurement = Measurement::new(engine, &verifier, level)?;
        let samples = measurement.samples(count, |_| progress.inc(1))?;
        let seconds = samples.median();
        progress
            .suspend(|| print(&format!("Threads: {level}, Time taken: {seconds:.4} seconds\n")))?;
        measured.push(samples);
    }
    progress.finish_and_clear();
    Ok(measured)
}

/// A bar over all samples, shown where standard error is a terminal.
fn progress(samples: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} samples, {eta} left")
        .context("progress bar")?;
    Ok(ProgressBar::new(samples as u64).with_style(style))
}

fn csv(samples: &[Samples]) -> String {
    let mut csv = String::from("ThreadCount,TimeTakenSeconds\n");
    for samples in samples {
        writeln!(csv, "{},{:.6}", samples.level, samples.median())
            .expect("a String takes all that is written to it");
    }
    csv
}

/// Results, to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}

/// The files that were asked for.
struct Outputs {
    csv: Option<Output>,
    plot: Option<Output>,
    json: Option<Output>,
}

impl Outputs {
    fn open(options: &Options) -> Result<Self> {
        let paths = [&options.csv, &options.plot, &options.json];
        let [csv, plot, json] = Output::open_all(paths.map(Option::as_deref))?;
        Ok(Self { csv, plot, json })
    }

    fn write(self, csv: &str, record: &Classic) -> Result<()> {
        if let Some(output) = self.csv {
            output.write(csv)?;
        }
        if let Some(output) = self.plot {
            output.write(&plot::time_over_level(record)?)?;
        }
        if let Some(output) = self.json {
            let json = serde_json::to_string_pretty(record).context("cannot write the record")?;
            output.write(&(json + "\n"))?;
        }
        Ok(())
    }
}

/// A list of levels as an argument.
#[derive(Clone, Debug)]
struct Levels(Vec<usize>);

impl Default for Levels {
    fn default() -> Self {
        Self(CLASSIC_LEVELS.to_vec())
    }
}

impl FromStr for Levels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        engine::parse_levels(text).map(Self)
    }
}

impl std::fmt::Display for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let levels: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&levels.join(","))
    }
}

fn whole_number(text: &str) -> Result<usize, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "not a whole number in range; write it like 50000000".to_owned())
}

pub(super) fn sample_count(text: &str) -> Result<usize, String> {
    match whole_number(text)? {
        0 => Err("no samples, no median; take 1 or more".to_owned()),
        count => Ok(count),
    }
}

/// A name that is `auto` or an engine's, so that a wrong one is a wrong command line.
fn engine_name(name: &str) -> Result<String, String> {
    if name != AUTO {
        engine::candidate::<ClassicKey>(name).map_err(|error| format!("{error}, {AUTO}"))?;
    }
    Ok(name.to_owned())
}
