//! The run itself: a group of Criterion's for each chart, a benchmark in it for each case.

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{
    AxisScale, BenchmarkFilter, BenchmarkGroup, BenchmarkId, Criterion, PlotConfiguration,
    SamplingMode, Throughput,
};
use cudamark::{paths, tell};
use indicatif::HumanDuration;
use regex::RegexBuilder;
use suite::session::Sink;
use suite::{Case, Records, Sampler, Tier};

use super::Build;
use super::arguments::{Arguments, Mode};
use super::samples::Samples;
use super::stop::Stop;

/// Criterion, set up for sorts that take milliseconds. Its command line prevails.
pub(crate) fn criterion(tier: Tier) -> Criterion {
    // The full tier has many cases, and as many samples of each as the default one.
    let (warm_up, measurement) = match tier {
        Tier::Quick | Tier::Full => (0.2, 0.5),
        Tier::Default => (0.5, 1.0),
    };
    Criterion::default()
        .output_directory(&paths::criterion())
        .sample_size(10)
        .warm_up_time(Duration::from_secs_f64(warm_up))
        .measurement_time(Duration::from_secs_f64(measurement))
        // Enough for an interval of ten samples, and a tenth of the time.
        .nresamples(10_000)
}

/// Where lines go: the file, or nowhere if nothing is measured.
pub(crate) fn sink(records: Option<Records>) -> Sink {
    match records {
        Some(records) => Box::new(move |line| records.add(line)),
        None => Box::new(|_| Ok(())),
    }
}

/// A run of one benchmark target.
pub(crate) struct Run<'a> {
    pub bench: &'a str,
    pub arguments: &'a Arguments,
    pub samples: Samples,
    pub build: Build,
    pub interrupted: Arc<AtomicBool>,
}

impl Run<'_> {
    /// Those of `cases` whose engines can run here. If the user insisted on the engines,
    /// one that cannot is an error.
    pub(crate) fn runnable(&self, cases: Vec<Case>, insisted: bool) -> Result<Vec<Case>, Stop> {
        let mut missing = Vec::new();
        let mut left = Vec::new();
        for case in cases {
            let mut say = |line: &str| missing.push(line.to_owned());
            if (self.samples).with(|session| session.can_run(&case.engine, &mut say))? {
                left.push(case);
            }
        }
        for line in &missing {
            tell!("{line}");
        }
        match insisted && !missing.is_empty() {
            true => Err(format!("CUDAMARK_ENGINES: {}", missing.join("; ")).into()),
            false => Ok(left),
        }
    }

    /// Measures `cases`, and has Criterion write its pages, even if the run is ended
    /// before its time. They show all that was measured of `planned`, now or before.
    pub(crate) fn measure(&self, planned: &[Case], cases: &[Case], tier: Tier) -> Result<(), Stop> {
        let chosen: BTreeSet<&Case> = cases.iter().collect();
        let mode = self.arguments.mode();
        let mut criterion = criterion(tier)
            .with_measurement(self.samples.clone())
            .configure_from_args()
            .with_benchmark_filter(only(cases)?);
        let has_samples = |case: &Case| {
            let folder = paths::criterion_case(case);
            folder.join("new/sample.json").is_file()
        };
        // Criterion draws no chart without samples in its files: it panics.
        let drawn = mode != Mode::Load || cases.iter().all(has_samples);
        if self.arguments.has("discard-baseline") || !drawn {
            criterion = criterion.without_plots();
        }
        let begun = Instant::now();
        let mut done = 0;
        let mut ended = Ok(());
        for chart in planned.chunk_by(|a, b| a.chart() == b.chart()) {
            if ended.is_err() || !chart.iter().any(|case| chosen.contains(case)) {
                continue;
            }
            let mut group = criterion.benchmark_group(chart[0].chart());
            group.sampling_mode(SamplingMode::Flat);
            let scale = PlotConfiguration::default().summary_scale(AxisScale::Logarithmic);
            group.plot_config(scale);
            for case in chart {
                if !case.is_over_levels() {
                    group.throughput(Throughput::Elements(case.n as u64));
                }
                if chosen.contains(case) && ended.is_ok() {
                    self.say_progress(done, cases.len(), begun);
                    ended = self.measure_case(&mut group, case);
                    done += 1;
                } else if has_samples(case) {
                    group.bench_function(id(case), |_| ());
                }
            }
            group.finish();
        }
        criterion.final_summary();
        ended
    }

    fn say_progress(&self, done: usize, all: usize, begun: Instant) {
        if self.arguments.mode() != Mode::Measure {
            return;
        }
        let left = match done {
            0 => String::new(),
            _ => {
                let each = begun.elapsed() / done as u32;
                format!(", about {} left", HumanDuration(each * (all - done) as u32))
            }
        };
        tell!("{}: case {} of {all}{left}", self.bench, done + 1);
    }

    /// A sampler of the case; none if it is skipped: a peer that runs, but does not sort this;
    /// an input that is too large.
    fn build(&self, case: &Case) -> Result<Option<Sampler>, Stop> {
        self.samples.with(|session| match (self.build)(session, case) {
            Ok(built) => Ok(Some(session.sampler(case, built))),
            Err(error) => {
                let Some(reason) = error.lacks() else {
                    return Err(error.into());
                };
                tell!("{case}: skipped: {reason}");
                session.skip(case, reason)?;
                Ok(None)
            }
        })
    }

    fn measure_case(
        &self,
        group: &mut BenchmarkGroup<'_, Samples>,
        case: &Case,
    ) -> Result<(), Stop> {
        self.go_on()?;
        let mut built = None;
        if self.arguments.mode() != Mode::Load {
            built = self.build(case)?;
            if built.is_none() {
                return Ok(());
            }
        }
        let mut take = |iterations| {
            self.go_on()?;
            let sampler = built.as_mut();
            let sampler = sampler.ok_or_else(|| format!("{case}: Criterion has no samples"))?;
            self.samples.take(sampler, iterations)
        };
        let measured = panic::catch_unwind(AssertUnwindSafe(|| {
            group.bench_function(id(case), |bencher| {
                bencher.iter_custom(|iterations| {
                    // Criterion's closures return times and nothing else.
                    take(iterations).unwrap_or_else(|stop| panic::resume_unwind(Box::new(stop)))
                });
            });
        }));
        if let Err(cause) = measured {
            // Criterion's line on what it was doing has no end where it is overwritten.
            tell!();
            return match cause.downcast::<Stop>() {
                Ok(stop) => Err(*stop),
                Err(other) => panic::resume_unwind(other),
            };
        }
        let kept = self.samples.end_case();
        if kept > 0 {
            self.samples.with(|session| session.finish(case, kept))?;
        }
        Ok(self.arguments.save(case)?)
    }

    /// An error after Ctrl-C.
    fn go_on(&self) -> Result<(), Stop> {
        if !self.interrupted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let kept = self.samples.count();
        Err(Stop::interrupted(format!(
            "interrupted; {kept} finished samples are kept; {}=1 goes on from there",
            super::RESUME
        )))
    }
}

/// Criterion's name of a case within its chart.
fn id(case: &Case) -> BenchmarkId {
    BenchmarkId::new(case.curve(), case.point())
}

/// The filter that takes these cases and no other.
fn only(cases: &[Case]) -> Result<BenchmarkFilter, Stop> {
    let names: Vec<String> = cases.iter().map(|case| regex::escape(&case.to_string())).collect();
    let all = format!("^(?:{})$", names.join("|"));
    // As many names as a user's lists of sizes and levels make.
    let regex = RegexBuilder::new(&all).size_limit(usize::MAX).build();
    let regex = regex.map_err(|error| format!("too many cases: {error}"))?;
    Ok(BenchmarkFilter::Regex(regex))
}
