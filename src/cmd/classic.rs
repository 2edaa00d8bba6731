//! `cudamark classic`: the classic workload, level by level.
//!
//! Standard output is, to the letter, that of the scripts this program replaces: the
//! cores, a line a level, and after an empty line the same as CSV. Where they gave the
//! one time they had taken, it gives the median of several, each of a verified result.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use cudamark::tell;
use indicatif::{ProgressBar, ProgressStyle};
use suite::classic::Classic;
use suite::devices_engine::Gpus;
use suite::engine::parse_level;
use suite::workload::{CLASSIC_N, DEFAULT_SEED, parse_seed};
use suite::{Case, Error, Sample, Session};
use suite::{devices_engine, engines, environment, registry, statistics};

use super::keys::Keys;
use super::{number, once_each};
use cudamark::output::{self, Output};
use cudamark::report::charts;
use cudamark::report::text::classic_csv;

/// Type of the classic workload's keys: whatever the type, an engine runs or does not.
type ClassicKey = i32;

/// Sort integers at each concurrency level and print the time each took.
///
/// The keys are i32, uniform over 0..=1000000, and lie in ordinary memory before and
/// after each sort. A level is a number of the host's threads: on the CPU they sort; for a
/// GPU they copy keys to it and back while it sorts, with `gpu-split` each on a stream of its
/// own. Times are medians; every sample's result is verified. --keys sorts those of a file in
/// their place.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Number of keys.
    #[arg(
        long, value_name = "N", default_value_t = CLASSIC_N, value_parser = number_or_none,
        conflicts_with_all = ["keys", "type"]
    )]
    n: usize,

    #[command(flatten)]
    keys: Keys,

    /// Concurrency levels.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = parse_level,
        default_value = "1,2,4,8,16,32,64,128"
    )]
    levels: Vec<usize>,

    /// Engine that sorts: auto takes the GPU where there is one, else the fastest on the CPU.
    #[arg(long, value_name = "NAME", default_value = AUTO, value_parser = engine_name)]
    engine: String,

    /// GPUs that the engine `gpu` sorts over: all, or how many from the first on. A level's threads
    /// copy keys for all of them.
    #[arg(long, value_name = "all|N")]
    devices: Option<Gpus>,

    /// Samples per level. From 6 on, intervals have a confidence of 95 % or more.
    #[arg(long, value_name = "S", default_value_t = 7, value_parser = sample_count)]
    samples: usize,

    /// Where the draws of the keys start.
    #[arg(
        long, value_name = "SEED", default_value_t = DEFAULT_SEED, value_parser = parse_seed,
        conflicts_with_all = ["keys", "type"]
    )]
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
pub(crate) fn run(options: &Options) -> Result<()> {
    let file = options.keys.open()?;
    let name = match options.devices {
        Some(gpus) => over(gpus, &options.engine)?,
        None => choose(&options.engine)?,
    };
    let name = name.as_str();
    let case = Case::classic(name, options.n, 1);
    let case = file.as_ref().map_or(case.clone(), |file| file.of_case(case));
    // Better known before keys are drawn and other levels measured.
    registry::require_levels(&case, &options.levels)?;
    let paths = [&options.csv, &options.plot, &options.json];
    let [csv, plot, json] = Output::open_all(paths.map(Option::as_deref))?;
    let gpu = engines::needs_gpu(name);
    let mut session = Session::new(options.seed, "classic", gpu, Box::new(|_| Ok(())));
    tell!(
        "engine: {name}{}, n: {}, {}, samples per level: {}",
        if options.engine == AUTO { " (auto)" } else { "" },
        case.n,
        match &file {
            Some(file) => format!("keys: {} of {}", file.kind(), file.name()),
            None => format!("seed: {}", options.seed),
        },
        options.samples
    );
    if let Some(file) = file {
        session.registry.take_file(file);
    }
    let levels = measure_levels(&session, &case, options)?;
    let environment = session.environment.environment.clone();
    let record = Classic::new(options.seed, environment, &levels);
    let times = classic_csv(record.levels.iter().map(|level| (level.level, level.median_s)));
    print(&format!("\n{times}"))?;
    csv.map_or(Ok(()), |output| output.write(&times))?;
    plot.map_or(Ok(()), |output| output.write(&charts::classic(&record)?))?;
    json.map_or(Ok(()), |output| output.write(&output::json(&record)?))
}

/// The engine over several GPUs, in place of the engine called `engine`.
fn over(gpus: Gpus, engine: &str) -> Result<String> {
    if ![AUTO, engines::GPU].contains(&engine) {
        bail!("--devices: `{engine}` sorts on no GPU; leave it out, or take --engine gpu");
    }
    let name = devices_engine::name(gpus.count().max(1));
    registry::engine::<ClassicKey>(&name)?;
    Ok(name)
}

/// The engine called `name`, or the first that can run here.
fn choose(name: &str) -> Result<String> {
    if name.contains('@') {
        registry::engine::<ClassicKey>(name)?;
        return Ok(name.to_owned());
    }
    let mut skipped = Vec::new();
    for known in engines::of_host_memory() {
        // Where the GPU cannot run one engine, it cannot run the other.
        let is_meant = name == known || name == AUTO && known != engines::GPU_SPLIT;
        if !is_meant {
            continue;
        }
        match registry::engine::<ClassicKey>(known) {
            Ok(_) => {
                for unavailable in skipped {
                    tell!("{unavailable}; {known} is taken instead");
                }
                return Ok(known.to_owned());
            }
            Err(Error::Unavailable(unavailable)) if name == AUTO => skipped.push(unavailable),
            Err(error) => return Err(error.into()),
        }
    }
    bail!("no engine can run on this machine")
}

/// Samples one level after the other, after one sort that carries start-up, and prints each
/// when it is done.
fn measure_levels(
    session: &Session,
    case: &Case,
    options: &Options,
) -> Result<Vec<(Case, Vec<Sample>)>> {
    print(&format!("CPU cores: {}\n", environment::cores()))?;
    let levels = once_each(options.levels.iter());
    let progress = progress(levels.len() * options.samples)?;
    let mut measured = Vec::with_capacity(levels.len());
    for &level in levels {
        progress.set_message(format!("{}, level {level}", case.engine));
        let case = case.at_level(level);
        let take = || {
            let mut sampler = session.sampler(&case, session.registry.build(&case)?);
            sampler.drop_of(1)?;
            let samples = (0..options.samples).map(|_| {
                let sample = sampler.take_of(1);
                progress.inc(1);
                sample
            });
            samples.collect::<Result<Vec<Sample>, Error>>()
        };
        let samples = take().map_err(Error::into_cause)?;
        let seconds = statistics::median_of(&samples);
        progress
            .suspend(|| print(&format!("Threads: {level}, Time taken: {seconds:.4} seconds\n")))?;
        measured.push((case, samples));
    }
    progress.finish_and_clear();
    Ok(measured)
}

/// A bar over all samples, shown where standard error is a terminal.
pub(super) fn progress(samples: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} samples, {eta} left")
        .context("progress bar")?;
    Ok(ProgressBar::new(samples as u64).with_style(style))
}

/// Results, to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}

/// A number of keys, of which there may be none.
fn number_or_none(text: &str) -> Result<usize, String> {
    if text.trim() == "0" { Ok(0) } else { number(text) }
}

pub(super) fn sample_count(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) => Err("no samples, no median; take 1 or more"),
        Ok(count) => Ok(count),
        Err(_) => Err("not a whole number in range; write it like 10"),
    }
}

/// A name that is `auto` or an engine's, so that a wrong one is a wrong command line.
fn engine_name(name: &str) -> Result<String, String> {
    if name != AUTO {
        registry::require_engine(name).map_err(|error| format!("{error}, {AUTO}"))?;
    }
    Ok(name.to_owned())
}
