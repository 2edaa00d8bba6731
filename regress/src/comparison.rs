//! Two executables, run by turns as processes of their own.
//!
//! Every process is bound to the same cores and is `cudamark sample` over all cases, which
//! warms each case up before it samples it. Each is added to the store as it ends. A
//! comparison that was cut short goes on after its last whole round; the processes of a
//! round that is not whole stay in the store and count for nothing, because what pairs them
//! is that they ran one right after the other. For the same reason the same comparison
//! runs once at a time: a lock is held that goes with the process, however that ends.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use suite::Case;
use suite::environment::now;
use tempfile::NamedTempFile;

use crate::build::Build;
use crate::digest;
use crate::noise::{Disturbance, Disturbed, Watch};
use crate::process::{self, Sampled};
use crate::reason::Reason;
use crate::schema::{Figures, Line, Run, Side, Store};
use crate::stats::{self, Estimate, Round, Verdict};

/// Subject and limits of a comparison.
#[derive(Debug)]
pub struct Plan {
    /// Base and head.
    pub builds: [Build; 2],
    /// Arguments of `cudamark sample` that choose and sample cases.
    pub arguments: Vec<String>,
    /// More arguments, for the head alone: a slowdown that is planted.
    pub planted: Vec<String>,
    /// Cores that the processes are bound to; none where they are not.
    pub cores: Vec<usize>,
    /// The difference that is to be seen: 0.05 for 5 %.
    pub detect: f64,
    /// Time after which no round begins.
    pub budget: Duration,
}

/// The result for a case.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// The case.
    #[serde(rename = "cell")]
    pub case: Case,
    /// By its seconds. Where the verdict in cycles is another, it is `unsure`.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The reason of the verdict.
    pub reason: Reason,
    /// The verdict by cycles of the GPU's multiprocessors, where they were counted.
    pub in_cycles: Option<Verdict>,
    /// It runs kernels, and their PTX is the same in both builds.
    pub same_ptx: bool,
    /// Samples right after which the GPU was slowed down.
    pub slowed_down: usize,
    /// Processes during which the machine did something else as well.
    pub disturbed: Disturbed,
}

/// The result of a comparison.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A row a case.
    pub rows: Vec<Row>,
    /// The processes that they rest on, in whole rounds.
    pub runs: Vec<Run>,
}

impl Outcome {
    /// The figures of a row's case, round by round, in seconds.
    pub fn rounds(&self, case: &Case) -> Vec<Round> {
        rounds(&self.runs, &|run| stats::least(&run.cases.get(case)?.seconds)).unwrap_or_default()
    }
}

/// Runs rounds until the difference can be seen in all cases or the time is over.
///
/// # Errors
/// Those of processes and the store; the same comparison runs already; Ctrl-C.
pub fn run(plan: &Plan, store: &Store, interrupted: &AtomicBool) -> Result<Outcome> {
    let hashes = plan.builds.each_ref().map(|build| &build.executable_sha256);
    let named = format!("{hashes:?} {:?} {:?} {:?}", plan.arguments, plan.planted, plan.cores);
    let comparison = digest::of(named, 16);
    let _alone = alone(store, &comparison)?;
    let (mut runs, repeat) = begun(&store.read()?, &comparison);
    let begin = Instant::now();
    loop {
        let rows = rows(&runs, plan.detect);
        let seen = !rows.is_empty() && rows.iter().all(|row| row.estimate.sees(plan.detect));
        if seen || begin.elapsed() >= plan.budget {
            break;
        }
        let round = runs.len() / 4;
        let order = [Side::Base, Side::Head, Side::Head, Side::Base];
        for (turn, side) in order.into_iter().enumerate() {
            let side = if round.is_multiple_of(2) { side } else { other(side) };
            let build = &plan.builds[side as usize];
            let measured = process(plan, side);
            // Ctrl-C reaches the process too: that it failed then is no news.
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted; {round} rounds are kept, and the same comparison goes on");
            }
            let (disturbance, sampled) = measured?;
            let run = Run {
                comparison: comparison.clone(),
                repeat,
                round,
                turn,
                side,
                executable_sha256: build.executable_sha256.clone(),
                commit: build.commit.clone(),
                ptx_sha256: sampled.ptx_sha256,
                unix_time_s: now(),
                disturbance: Some(disturbance),
                cases: sampled.cases,
            };
            store.add_synced(&Line::Run(Box::new(run.clone())))?;
            runs.push(run);
        }
    }
    for build in &plan.builds {
        build.require_unchanged()?;
    }
    store.add_synced(&Line::Finished { comparison, repeat })?;
    Ok(Outcome { rows: rows(&runs, plan.detect), runs })
}

/// Holds a lock until it is dropped, so that the same comparison does not run twice.
pub(crate) fn alone(store: &Store, comparison: &str) -> Result<File> {
    let folder = store.path().with_extension("running");
    let path = folder.join(comparison);
    let said = || format!("cannot lock {}", path.display());
    fs::create_dir_all(&folder).with_context(said)?;
    let file = File::create(&path).with_context(said)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("the same comparison runs already; wait until it has ended")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(said),
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Base => Side::Head,
        Side::Head => Side::Base,
    }
}

/// Whole rounds of a comparison that was not finished, in order, and how often it was
/// finished before.
fn begun(lines: &[Line], comparison: &str) -> (Vec<Run>, u32) {
    let finished =
        |line: &&Line| matches!(line, Line::Finished { comparison: of, .. } if of == comparison);
    let repeat = lines.iter().filter(finished).count() as u32;
    // Of a round that was begun again, the later processes count.
    let mut rounds: BTreeMap<usize, BTreeMap<usize, Run>> = BTreeMap::new();
    for line in lines {
        if let Line::Run(run) = line
            && run.comparison == comparison
            && run.repeat == repeat
        {
            let round = rounds.entry(run.round).or_default();
            if run.turn == 0 {
                round.clear();
            }
            round.insert(run.turn, run.as_ref().clone());
        }
    }
    let whole = rounds.into_values().take_while(|round| round.len() == 4);
    (whole.flat_map(BTreeMap::into_values).collect(), repeat)
}

/// One process of a side, with what else happened meanwhile.
fn process(plan: &Plan, side: Side) -> Result<(Disturbance, Sampled)> {
    let records = NamedTempFile::new().context("cannot make a temporary file")?;
    let mut arguments = plan.arguments.clone();
    if side == Side::Head {
        arguments.extend_from_slice(&plan.planted);
    }
    let watch = Watch::begin(&plan.cores);
    let sampled = process::sample(&plan.builds[side as usize], &arguments, records.path())?;
    Ok((watch.end(), sampled))
}

/// The rows of all cases that every process measured.
fn rows(runs: &[Run], detect: f64) -> Vec<Row> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let everywhere = |case: &&Case| runs.iter().all(|run| run.cases.contains_key(*case));
    let cases: Vec<&Case> = first.cases.keys().filter(everywhere).collect();
    let same_ptx =
        first.ptx_sha256.is_some() && runs.iter().all(|run| run.ptx_sha256 == first.ptx_sha256);
    let disturbed = Disturbed::among(runs.iter().filter_map(|run| run.disturbance.as_ref()));
    let row = |case: &&Case| {
        let estimate = |figure: &dyn Fn(&Figures) -> Option<f64>| {
            let rounds = rounds(runs, &|run: &Run| figure(&run.cases[*case]));
            rounds.map(|rounds| stats::classify(&rounds, cases.len(), detect))
        };
        let mut seconds = estimate(&|figures| stats::least(&figures.seconds))?;
        let in_cycles = estimate(&|figures| stats::least(figures.sm_cycles.as_ref()?));
        let in_cycles = in_cycles.map(|estimate| estimate.verdict);
        let mut reason = Reason::of(&seconds);
        if in_cycles.is_some_and(|verdict| verdict != seconds.verdict) {
            seconds.verdict = Verdict::Unsure;
            reason = Reason::CyclesDisagree;
        }
        Some(Row {
            case: (*case).clone(),
            estimate: seconds,
            reason,
            in_cycles,
            same_ptx: same_ptx && case.engine.starts_with("gpu"),
            slowed_down: runs.iter().map(|run| run.cases[*case].slowed_down).sum(),
            disturbed,
        })
    };
    cases.iter().filter_map(row).collect()
}

/// A figure of every process, round by round; none where a process lacks it.
fn rounds(runs: &[Run], figure: &dyn Fn(&Run) -> Option<f64>) -> Option<Vec<Round>> {
    runs.chunks_exact(4).map(|four| paired(four, figure)).collect()
}

fn paired(four: &[Run], figure: &dyn Fn(&Run) -> Option<f64>) -> Option<Round> {
    let of = |side: Side| {
        let mut figures = four.iter().filter(|run| run.side == side).map(figure);
        Some([figures.next()??, figures.next()??])
    };
    Some(Round { base: of(Side::Base)?, head: of(Side::Head)? })
}
