//! What all benchmarks of the suite have in common: cells become benchmarks of
//! Criterion, and each of Criterion's samples a line of a records file.
//!
//! Criterion says how many sorts make a sample and calls for them; `host::suite` sorts,
//! times and verifies. Warm-up is Criterion's, and is verified and not written down.
//! A wrong result, or Ctrl-C, ends the run at once: Criterion's closures return times
//! and nothing else.

mod arguments;
mod run;

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use cudamark::{interrupt, paths, report, tell};
use host::gpu::Device;
use host::suite::records::Contents;
use host::suite::session::{self, Session};
use host::suite::{Cell, Error, Group, Name, Plan, Records, Settings, Tier};

use arguments::Arguments;
use run::Run;

/// Set, a run goes on with the records of the last one.
const RESUME: &str = "CUDAMARK_RESUME";

/// Elements where nothing is measured, only run once (`cargo test --benches`).
const TEST_SIZE: usize = 10_000;

/// How a cell is opened. Tests plant engines here.
pub type Open = fn(&Session, &Name) -> Result<Box<dyn Cell>, Error>;

/// Runs the benchmark called `bench`, which measures `groups`.
pub fn main(bench: &str, groups: &[Group]) -> ExitCode {
    main_with(bench, groups, |session, name| session.open(name))
}

/// [`main`] with another way to open cells.
pub fn main_with(bench: &str, groups: &[Group], open: Open) -> ExitCode {
    match measure(bench, groups, open) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tell!("{bench}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(bench: &str, groups: &[Group], open: Open) -> Result<(), String> {
    let arguments = Arguments::of_process();
    if let Some(mut again) = arguments.again() {
        return Err(format!("cannot start again: {}", again.exec()));
    }
    let text = |error: Error| error.to_string();
    let settings = settings(&arguments).map_err(text)?;
    let with_gpu = Device::open().is_ok();
    let plan = Plan::new(settings.clone(), with_gpu);
    let planned: Vec<Name> = groups.iter().flat_map(|&group| plan.cells(group)).collect();
    let cells: Vec<Name> = (planned.into_iter())
        .filter(|cell| arguments.selects(cell))
        .collect();
    arguments.require_baseline(&cells)?;
    if arguments.list {
        run::list(run::criterion(settings.tier), &cells);
        return Ok(());
    }
    if cells.is_empty() {
        tell!("{bench}: no cell has these engines, or matches the filter: nothing to measure");
        return Ok(());
    }
    let (records, known) = records(bench, &arguments)?;
    let path = records.as_ref().map(|records| records.path().to_owned());
    let sink = run::sink(records);
    let gpu = with_gpu && session::any_needs_gpu(&cells);
    let mut session = Session::new(settings.seed(), settings.tier.name(), gpu, sink);
    tell!(
        "{bench}: tier {}, seed {}, environment {}",
        settings.tier,
        settings.seed(),
        session.environment().id
    );
    let known = known.for_seed(settings.seed(), &session.environment().machine_id)?;
    session.begin(arguments.measures()).map_err(text)?;
    let interrupted = interrupt::flag().map_err(|error| format!("{error:#}"))?;
    // Engines that were asked for by name must be able to run.
    let insisted = settings.engines.is_some();
    let mut run = Run::new(bench, settings.tier, &arguments, session, open, interrupted);
    run.measure(&cells, &known.finished, insisted)?;
    run.finish();
    if let Some(path) = path {
        let said = report::after_run(&paths::suite(), groups);
        println!("{}", said.map_err(|error| format!("{error:#}"))?);
        println!("Records: {}", path.display());
    }
    Ok(())
}

/// The settings of the environment; small where nothing is measured.
fn settings(arguments: &Arguments) -> Result<Settings, Error> {
    let mut settings = Settings::of_environment()?;
    if !arguments.measures() && !arguments.list {
        settings.tier = Tier::Quick;
        settings.sizes.get_or_insert_with(|| vec![TEST_SIZE]);
    }
    Ok(settings)
}

/// What an earlier run has finished.
#[derive(Default)]
struct Known(Contents);

impl Known {
    /// What may be gone on with here.
    fn for_seed(self, seed: u64, machine_id: &str) -> Result<Contents, String> {
        let other = self.0.environments.values();
        let mut other = other.filter(|line| line.seed != seed || line.machine_id != machine_id);
        match other.next() {
            None => Ok(self.0),
            Some(line) => Err(format!(
                "{RESUME}: the last run had seed {} on machine {}, and this one has seed {seed} on \
                 {machine_id}; unset {RESUME} to begin anew",
                line.seed, line.machine_id
            )),
        }
    }
}

/// The records file of this run, if it measures, and what it holds already.
fn records(bench: &str, arguments: &Arguments) -> Result<(Option<Records>, Known), String> {
    if !arguments.measures() {
        return Ok((None, Known::default()));
    }
    let folder = paths::suite().join("records");
    let resume = std::env::var_os(RESUME).is_some_and(|value| !value.is_empty() && value != "0");
    let last = report::files::newest(&folder, bench).filter(|_| resume);
    let opened = match &last {
        Some(path) => Contents::read(path)
            .and_then(|contents| Ok((Some(Records::append(path)?), Known(contents)))),
        None => Records::create(&report::files::new(&folder, bench))
            .map(|records| (Some(records), Known::default())),
    };
    opened.map_err(|error| error.to_string())
}
