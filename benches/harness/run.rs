//! The run itself: a group of Criterion's for each chart, a benchmark in it for each case.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use criterion::{
    AxisScale, BenchmarkFilter, BenchmarkGroup, BenchmarkId, Criterion, PlotConfiguration,
    SamplingMode, Throughput,
};
use cudamark::{paths, tell};
use indicatif::HumanDuration;
use regex::RegexBuilder;
use suite::{Case, Sampler, Tier};

use super::samples::Samples;
use super::{Build, RESUME, has, panics, shown};

/// Ctrl-C, after which so many samples are in their file.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {0} finished samples are kept; {RESUME}=1 goes on from there")]
pub(crate) struct Interrupted(u32);

/// A value that Criterion refuses.
#[derive(Debug, thiserror::Error)]
#[error("`{given}`: Criterion does not take this: {0}; see --help", given = shown())]
pub(crate) struct Usage(String);

/// Criterion, set up for sorts that take milliseconds. Its command line prevails.
pub(crate) fn criterion(tier: Tier) -> Result<Criterion> {
    // The full tier has many cases, and as many samples of each as the default one.
    let (warm_up, measurement) = match tier {
        Tier::Quick | Tier::Full => (0.2, 0.5),
        Tier::Default => (0.5, 1.0),
    };
    let criterion = Criterion::default()
        .output_directory(&paths::criterion())
        .sample_size(10)
        .warm_up_time(Duration::from_secs_f64(warm_up))
        .measurement_time(Duration::from_secs_f64(measurement))
        // Enough for an interval of ten samples, and a tenth of the time.
        .nresamples(10_000);
    let criterion = panics::catch(|| Ok(criterion.configure_from_args()))
        .map_err(|error| Usage(error.to_string()))?;
    // Criterion draws charts of samples in its files.
    Ok(match has(&["--discard-baseline"]) {
        true => criterion.without_plots(),
        false => criterion,
    })
}

/// A run of one benchmark target.
pub(crate) struct Run<'a> {
    pub bench: &'a str,
    pub samples: Samples,
    pub build: Build,
    pub interrupted: Arc<AtomicBool>,
}

impl Run<'_> {
    /// Measures `cases`, and has Criterion write its pages, even if the run is ended
    /// before its time. They show all that was measured of `planned`, now or before.
    pub(crate) fn measure(
        &self,
        criterion: Criterion,
        planned: &[Case],
        cases: &[Case],
    ) -> Result<()> {
        let chosen: BTreeSet<&Case> = cases.iter().collect();
        let mut criterion =
            criterion.with_measurement(self.samples.clone()).with_benchmark_filter(only(cases)?);
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
                if !chosen.contains(case) {
                    group.bench_function(id(case), |_| ());
                } else if ended.is_ok() {
                    self.say_progress(done, cases.len(), begun);
                    ended = self.measure_case(&mut group, case);
                    done += 1;
                }
            }
            group.finish();
        }
        criterion.final_summary();
        ended
    }

    fn say_progress(&self, done: usize, all: usize, begun: Instant) {
        if !self.samples.kept {
            return;
        }
        let left = begun.elapsed().checked_div(done as u32).map_or_else(String::new, |each| {
            format!(", about {} left", HumanDuration(each * (all - done) as u32))
        });
        tell!("{}: case {} of {all}{left}", self.bench, done + 1);
    }

    fn measure_case(&self, group: &mut BenchmarkGroup<'_, Samples>, case: &Case) -> Result<()> {
        self.go_on()?;
        // Before Criterion's clocks start, of which --quick has one around all that it calls.
        let Some(mut sampler) = self.build(case)? else {
            return Ok(());
        };
        let measured = panics::catch(|| {
            group.bench_function(id(case), |bencher| {
                bencher.iter_custom(|iterations| {
                    panics::pass(self.go_on());
                    panics::pass(self.samples.take(&mut sampler, iterations))
                });
            });
            Ok(())
        });
        if measured.is_err() {
            // Criterion's line on what it was doing has no end where it is overwritten.
            tell!();
        }
        measured.and_then(|()| self.samples.finish(case))
    }

    /// A sampler of the case; none if it is skipped: a peer that runs, but does not sort this;
    /// an input that is too large.
    fn build(&self, case: &Case) -> Result<Option<Sampler>> {
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

    /// An error after Ctrl-C.
    fn go_on(&self) -> Result<()> {
        match self.interrupted.load(Ordering::Relaxed) {
            true => Err(Interrupted(self.samples.count()).into()),
            false => Ok(()),
        }
    }
}

/// Criterion's name of a case within its chart.
fn id(case: &Case) -> BenchmarkId {
    BenchmarkId::new(case.curve(), case.point())
}

/// The filter that takes these cases and no other.
fn only(cases: &[Case]) -> Result<BenchmarkFilter> {
    let names: Vec<String> = cases.iter().map(|case| regex::escape(&case.to_string())).collect();
    let all = format!("^(?:{})$", names.join("|"));
    // As many names as a user's lists of sizes and levels make.
    let regex = RegexBuilder::new(&all).size_limit(usize::MAX).build();
    Ok(BenchmarkFilter::Regex(regex.context("too many cases")?))
}
