//! The run itself: one benchmark of Criterion a cell.

use std::collections::BTreeSet;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use cudamark::tell;
use host::suite::session::Sink;
use host::suite::{Group, Name, Records, Sampler, Session, Tier};
use indicatif::HumanDuration;

use super::Open;
use super::arguments::Arguments;

/// Exit code after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Seconds of warm-up and of measurement of a cell, where the command line does not say.
fn durations(tier: Tier) -> (f64, f64) {
    match tier {
        // The full tier has many cells, and as many samples of each as the default one.
        Tier::Quick | Tier::Full => (0.2, 0.5),
        Tier::Default => (0.5, 1.0),
    }
}

/// How long Criterion warms up before each cell.
pub fn warm_up(tier: Tier, arguments: &Arguments) -> Duration {
    let seconds = arguments.warm_up_time.unwrap_or(durations(tier).0);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Criterion, set up for sorts that take milliseconds. Its command line prevails.
pub fn criterion(tier: Tier) -> Criterion {
    let (warm_up, measurement) = durations(tier);
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs_f64(warm_up))
        .measurement_time(Duration::from_secs_f64(measurement))
        // Enough for an interval of ten samples, and a tenth of the time.
        .nresamples(10_000)
        .configure_from_args()
}

/// Where lines go: the file, or nowhere if nothing is measured.
pub fn sink(records: Option<Records>) -> Sink {
    match records {
        Some(mut records) => Box::new(move |line| records.add(line)),
        None => Box::new(|_| Ok(())),
    }
}

/// Has Criterion print the names.
pub fn list(mut criterion: Criterion, cells: &[Name]) {
    for cell in cells {
        let mut group = criterion.benchmark_group(&cell.group);
        group.bench_function(id(cell), |_| {});
    }
}

/// What Criterion calls a cell within its group: the rest of its name.
fn id(cell: &Name) -> BenchmarkId {
    BenchmarkId::new(&cell.engine, format!("{}/{}", cell.input(), cell.level))
}

/// A run of one benchmark target.
pub struct Run<'a> {
    bench: &'a str,
    criterion: Criterion,
    arguments: &'a Arguments,
    warm_up: Duration,
    session: Session,
    open: Open,
    interrupted: Arc<AtomicBool>,
    kept: usize,
}

impl<'a> Run<'a> {
    /// A run of `tier`.
    pub fn new(
        bench: &'a str,
        tier: Tier,
        arguments: &'a Arguments,
        session: Session,
        open: Open,
        interrupted: Arc<AtomicBool>,
    ) -> Self {
        Self {
            bench,
            criterion: criterion(tier),
            arguments,
            warm_up: warm_up(tier, arguments),
            session,
            open,
            interrupted,
            kept: 0,
        }
    }

    /// Measures `cells` but for those that are finished and those that cannot run here.
    /// If the user insisted on the engines, one that cannot is an error.
    pub fn measure(
        &mut self,
        cells: &[Name],
        finished: &BTreeSet<Name>,
        insisted: bool,
    ) -> Result<(), String> {
        let mut missing = Vec::new();
        let mut left = Vec::new();
        for cell in cells.iter().filter(|cell| !finished.contains(*cell)) {
            let mut say = |line: &str| missing.push(line.to_owned());
            let runs = self.session.can_run(&cell.engine, &mut say);
            if runs.map_err(|error| error.to_string())? {
                left.push(cell);
            }
        }
        for line in &missing {
            tell!("{line}");
        }
        if insisted && !missing.is_empty() {
            return Err(format!("CUDAMARK_ENGINES: {}", missing.join("; ")));
        }
        if !finished.is_empty() {
            tell!(
                "{}: {} cells are finished already",
                self.bench,
                finished.len()
            );
        }
        let begun = Instant::now();
        for (done, cell) in left.iter().enumerate() {
            self.say_progress(done, left.len(), begun);
            self.measure_cell(cell)?;
        }
        Ok(())
    }

    fn say_progress(&self, done: usize, all: usize, begun: Instant) {
        if !self.arguments.measures() {
            return;
        }
        let left = match done {
            0 => String::new(),
            _ => {
                let each = begun.elapsed() / done as u32;
                format!(", about {} left", HumanDuration(each * (all - done) as u32))
            }
        };
        tell!("{}: cell {} of {all}{left}", self.bench, done + 1);
    }

    fn measure_cell(&mut self, cell: &Name) -> Result<(), String> {
        let opened = match (self.open)(&self.session, cell) {
            Ok(opened) => opened,
            // A peer that runs, but does not sort this; an input that is too large.
            Err(error) => {
                let Some(reason) = error.lacks() else {
                    return Err(error.to_string());
                };
                tell!("{cell}: skipped: {reason}");
                let written = self.session.skip(cell, reason);
                return written.map_err(|error| error.to_string());
            }
        };
        let mut calls = Calls {
            sampler: self.session.sampler(cell, opened),
            warm_up: self.warm_up,
            measures: self.arguments.measures(),
            spent: Duration::ZERO,
            next_warm_up: 1,
            kept: 0,
        };
        let is_batch = cell.group.parse::<Group>().is_ok_and(Group::is_batch);
        let arrays = if is_batch { cell.level } else { 1 };
        let mut group = self.criterion.benchmark_group(&cell.group);
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(Throughput::Elements((cell.n * arrays) as u64));
        let (session, interrupted) = (&mut self.session, &self.interrupted);
        let (bench, before) = (self.bench, self.kept);
        group.bench_function(id(cell), |bencher| {
            bencher.iter_custom(|iterations| {
                let taken = calls.call(iterations, session);
                if interrupted.load(Ordering::Relaxed) {
                    let kept = before + calls.kept as usize;
                    tell!(
                        "\n{bench}: interrupted; {kept} finished samples are kept; \
                         {}=1 goes on from there",
                        super::RESUME
                    );
                    process::exit(INTERRUPTED);
                }
                taken.unwrap_or_else(|message| {
                    tell!("\n{bench}: {message}");
                    process::exit(1);
                })
            });
        });
        group.finish();
        self.kept += calls.kept as usize;
        if calls.kept > 0 {
            let finished = self.session.finish(cell, calls.kept);
            finished.map_err(|error| error.to_string())?;
        }
        self.arguments.save(cell)
    }

    /// Has Criterion write its reports.
    pub fn finish(&self) {
        self.criterion.final_summary();
    }
}

/// Criterion's calls for one benchmark: first for warm-up, with more sorts each time,
/// until that has lasted as long as it is to; then one for each sample, all with the
/// same number of sorts. It does not say which is which, and so both signs are looked at.
struct Calls {
    sampler: Sampler,
    warm_up: Duration,
    measures: bool,
    /// How long the calls so far took.
    spent: Duration,
    /// Sorts of the next call, if it is still one for warm-up: twice as many each time.
    next_warm_up: u64,
    kept: u32,
}

impl Calls {
    /// Sorts `iterations` times; returns how long that took.
    fn call(&mut self, iterations: u64, session: &mut Session) -> Result<Duration, String> {
        let begun = Instant::now();
        let sorts = u32::try_from(iterations).unwrap_or(u32::MAX);
        let warm = self.spent > self.warm_up || iterations != self.next_warm_up;
        self.next_warm_up = iterations.saturating_mul(2);
        let seconds = match warm && self.measures {
            true => {
                let sample = self
                    .sampler
                    .take_of(sorts)
                    .map_err(|error| error.to_string())?;
                let seconds = sample.seconds;
                session.keep(sample).map_err(|error| error.to_string())?;
                self.kept += 1;
                seconds
            }
            false => self
                .sampler
                .drop_of(sorts)
                .map_err(|error| error.to_string())?,
        };
        self.spent += begun.elapsed();
        Ok(Duration::from_secs_f64(seconds * iterations as f64))
    }
}
