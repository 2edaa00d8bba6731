//! Two executables, run in turns as processes of their own.
//!
//! Every process is bound to the same cores and is `cudamark sample` over all cells, which
//! warms each cell up before it samples it. Each is added to the store as it ends. A
//! comparison that was cut short goes on after its last whole block; the processes of a
//! block that is not whole stay in the store and are not judged, because what pairs them
//! is that they ran one right after the other. For the same reason the same comparison
//! runs once at a time: a lock is held that goes with the process, however that ends.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use suite::Name;

use super::build::Build;
use super::noise::{Disturbance, Disturbed, Watch};
use super::process;
use super::stats::{self, Block, Judgement, Verdict};
use super::store::{Figures, Line, Run, Side, Store, VERSION};

/// What a comparison is of, and how long it may take.
#[derive(Debug)]
pub struct Plan {
    /// Base and head.
    pub builds: [Build; 2],
    /// Arguments of `cudamark sample` that choose and sample cells.
    pub arguments: Vec<String>,
    /// More arguments, for the head alone: what is planted in it.
    pub planted: Vec<String>,
    /// Cores that the processes are bound to; none where they are not.
    pub cores: Vec<usize>,
    /// The difference that is to be seen: 0.05 for 5 %.
    pub detect: f64,
    /// Time after which no block begins.
    pub budget: Duration,
}

/// A cell that was judged.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// The cell.
    pub cell: Name,
    /// By its seconds. Where the verdict in cycles is another, it is `unsure`.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The verdict by cycles of the GPU's multiprocessors, where they were counted.
    pub in_cycles: Option<Verdict>,
    /// It runs kernels, and their PTX is the same in both builds.
    pub same_ptx: bool,
    /// Samples right after which the GPU was slowed down.
    pub slowed_down: usize,
    /// Processes during which the machine did something else as well.
    pub disturbed: Disturbed,
}

/// What a comparison came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A row a cell.
    pub rows: Vec<Row>,
    /// The processes that they rest on, in whole blocks.
    pub runs: Vec<Run>,
}

impl Outcome {
    /// The figures of a row's cell, block by block, in seconds.
    pub fn blocks(&self, cell: &Name) -> Vec<Block> {
        blocks(&self.runs, &|run| stats::least(&run.cells.get(cell)?.seconds)).unwrap_or_default()
    }
}

/// The hash of an executable.
pub fn hash(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs blocks until the difference can be seen in all cells or the time is over.
///
/// # Errors
/// A process that fails; a store that cannot be written; the same comparison runs already;
/// Ctrl-C.
pub fn run(plan: &Plan, store: &Store, interrupted: &AtomicBool) -> Result<Outcome> {
    let hashes = plan.builds.each_ref().map(|build| &build.executable_sha256);
    let named = format!("{hashes:?} {:?} {:?} {:?}", plan.arguments, plan.planted, plan.cores);
    let comparison = hex(&Sha256::digest(named))[..16].to_owned();
    let _alone = alone(store, &comparison)?;
    let (mut runs, round) = begun(&store.read()?, &comparison);
    let begin = Instant::now();
    loop {
        let rows = judged(&runs, plan.detect);
        let seen = !rows.is_empty() && rows.iter().all(|row| row.judgement.sees(plan.detect));
        if seen || begin.elapsed() >= plan.budget {
            break;
        }
        let block = runs.len() / 4;
        let order = [Side::Base, Side::Head, Side::Head, Side::Base];
        for (place, side) in order.into_iter().enumerate() {
            let side = if block.is_multiple_of(2) { side } else { other(side) };
            let build = &plan.builds[side as usize];
            let measured = process(plan, side);
            // Ctrl-C reaches the process too: that it failed then is no news.
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted; {block} blocks are kept, and the same comparison goes on");
            }
            let (disturbance, ptx_sha256, cells) = measured?;
            let run = Run {
                version: VERSION,
                comparison: comparison.clone(),
                round,
                block,
                place,
                side,
                executable_sha256: build.executable_sha256.clone(),
                commit: build.commit.clone(),
                ptx_sha256,
                unix_time_s: now(),
                disturbance: Some(disturbance),
                cells,
            };
            store.add(&Line::Run(Box::new(run.clone())))?;
            runs.push(run);
        }
    }
    for build in &plan.builds {
        build.require_unchanged()?;
    }
    store.add(&Line::Finished { version: VERSION, comparison, round })?;
    Ok(Outcome { rows: judged(&runs, plan.detect), runs })
}

/// Holds a lock until it is dropped, so that the same comparison does not run twice.
pub(super) fn alone(store: &Store, comparison: &str) -> Result<File> {
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

/// Seconds since 1970-01-01 00:00 UTC.
pub(super) fn now() -> f64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn other(side: Side) -> Side {
    match side {
        Side::Base => Side::Head,
        Side::Head => Side::Base,
    }
}

/// Whole blocks of a comparison that was not finished, in order, and its round.
fn begun(lines: &[Line], comparison: &str) -> (Vec<Run>, u32) {
    let finished =
        |line: &&Line| matches!(line, Line::Finished { comparison: of, .. } if of == comparison);
    let round = lines.iter().filter(finished).count() as u32;
    // Of a block that was begun again, the later processes count.
    let mut blocks: BTreeMap<usize, BTreeMap<usize, Run>> = BTreeMap::new();
    for line in lines {
        if let Line::Run(run) = line
            && run.comparison == comparison
            && run.round == round
        {
            let block = blocks.entry(run.block).or_default();
            if run.place == 0 {
                block.clear();
            }
            block.insert(run.place, run.as_ref().clone());
        }
    }
    let whole = blocks.into_values().take_while(|block| block.len() == 4);
    (whole.flat_map(BTreeMap::into_values).collect(), round)
}

/// What was seen while a process ran, the hash of its PTX, and what it measured.
type Measured = (Disturbance, Option<String>, BTreeMap<Name, Figures>);

/// One process of a side.
fn process(plan: &Plan, side: Side) -> Result<Measured> {
    let part = Part::new();
    let mut arguments = plan.arguments.clone();
    if side == Side::Head {
        arguments.extend_from_slice(&plan.planted);
    }
    let watch = Watch::begin(&plan.cores);
    let contents = process::sample(&plan.builds[side as usize], &arguments, &part.0)?;
    let disturbance = watch.end();
    let (ptx, cells) = (process::ptx(&contents), process::cells(&contents));
    Ok((disturbance, ptx, cells))
}

/// A records file that goes when it was read.
struct Part(PathBuf);

impl Part {
    fn new() -> Self {
        let name = format!("cudamark-compare-{}.jsonl", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may not have been made.
        let _ = fs::remove_file(&self.0);
    }
}

/// The rows of all cells that every process measured.
fn judged(runs: &[Run], detect: f64) -> Vec<Row> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let everywhere = |cell: &&Name| runs.iter().all(|run| run.cells.contains_key(*cell));
    let cells: Vec<&Name> = first.cells.keys().filter(everywhere).collect();
    let same_ptx =
        first.ptx_sha256.is_some() && runs.iter().all(|run| run.ptx_sha256 == first.ptx_sha256);
    let disturbed = Disturbed::among(runs.iter().filter_map(|run| run.disturbance.as_ref()));
    let row = |cell: &&Name| {
        let judge = |figure: &dyn Fn(&Figures) -> Option<f64>| {
            let blocks = blocks(runs, &|run: &Run| figure(&run.cells[*cell]));
            blocks.map(|blocks| stats::judge(&blocks, cells.len(), detect))
        };
        let mut judgement = judge(&|figures| stats::least(&figures.seconds))?;
        let in_cycles = judge(&|figures| stats::least(figures.sm_cycles.as_ref()?));
        let in_cycles = in_cycles.map(|judgement| judgement.verdict);
        if in_cycles.is_some_and(|verdict| verdict != judgement.verdict) {
            judgement.verdict = Verdict::Unsure;
        }
        Some(Row {
            cell: (*cell).clone(),
            judgement,
            in_cycles,
            same_ptx: same_ptx && cell.engine.starts_with("gpu"),
            slowed_down: runs.iter().map(|run| run.cells[*cell].slowed_down).sum(),
            disturbed,
        })
    };
    cells.iter().filter_map(row).collect()
}

/// A figure of every process, block by block; none where a process lacks it.
fn blocks(runs: &[Run], figure: &dyn Fn(&Run) -> Option<f64>) -> Option<Vec<Block>> {
    runs.chunks_exact(4).map(|block| paired(block, figure)).collect()
}

/// The figures of four processes in a row, by side.
fn paired(block: &[Run], figure: &dyn Fn(&Run) -> Option<f64>) -> Option<Block> {
    let of = |side: Side| {
        let mut figures = block.iter().filter(|run| run.side == side).map(figure);
        Some([figures.next()??, figures.next()??])
    };
    Some(Block { base: of(Side::Base)?, head: of(Side::Head)? })
}
