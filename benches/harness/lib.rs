//! Common part of all benchmarks of the suite: cases become benchmarks of
//! Criterion, and each of Criterion's samples a line of a records file.
//!
//! Criterion says how many sorts make a sample and calls for them; `suite` sorts,
//! times and verifies. Warm-up is Criterion's, and is verified and not written down.
//! A wrong result, or Ctrl-C, ends the run at once, with Criterion's pages on what was
//! finished.
//!
//! The cases and their names are the same whether they are listed, run once or measured.

mod arguments;
mod run;
mod samples;
mod selection;
mod stop;

use std::cell::LazyCell;
use std::env;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use cudamark::{interrupt, paths, report, tell};
use host::gpu::Device;
use suite::records::Contents;
use suite::session::{self, Session};
use suite::{Case, Error, Group, Plan, Records, Runner, Settings};

use arguments::{Arguments, Mode};
use run::Run;
use samples::Samples;
use selection::Answer;
use stop::Stop;

/// Set, a run goes on with the records of the last one.
const RESUME: &str = "CUDAMARK_RESUME";

/// How a case is built. Tests plant engines here.
pub type Build = fn(&Session, &Case) -> Result<Box<dyn Runner>, Error>;

/// Runs the benchmark called `bench`, which measures `groups`.
pub fn main(bench: &str, groups: &[Group]) -> ExitCode {
    main_with(bench, groups, |session, name| session.registry.build(name))
}

/// [`main`] with another way to build cases.
pub fn main_with(bench: &str, groups: &[Group], build: Build) -> ExitCode {
    suite::limits::return_errors();
    match leave_package().and_then(|()| measure(bench, groups, build)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            tell!("{bench}: {}", stop.message);
            ExitCode::from(stop.code)
        }
    }
}

/// Goes from the folder of this package, where cargo starts a benchmark, to the
/// workspace's: paths that a user gives are relative to that.
fn leave_package() -> Result<(), Stop> {
    let is_cargos = env::var("CARGO_PKG_NAME").is_ok_and(|name| name == env!("CARGO_PKG_NAME"));
    let Some(package) = env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_cargos) else {
        return Ok(());
    };
    let root = Path::new(&package).parent().unwrap_or(Path::new("/"));
    env::set_current_dir(root)
        .map_err(|error| format!("cannot go to {}: {error}", root.display()).into())
}

fn measure(bench: &str, groups: &[Group], build: Build) -> Result<(), Stop> {
    let arguments = Arguments::of_process();
    let settings = Settings::of_environment()?;
    if selection::is_asked() {
        selection::answer(run::criterion(settings.tier));
        return Ok(());
    }
    if arguments.has("version") {
        return stop::print(&format!("{bench} {}\n", env!("CARGO_PKG_VERSION")));
    }
    if let Some(mut again) = arguments.again() {
        arguments.require_use()?;
        return Err(format!("cannot start again: {}", again.exec()).into());
    }
    let with_gpu = Device::open().is_ok();
    let plan = Plan::new(settings.clone(), with_gpu);
    let planned: Vec<Case> = groups.iter().flat_map(|&group| plan.cases(group)).collect();
    let selected = match selection::ask(&planned, &arguments)? {
        Answer::Text(text) => return stop::print(&text),
        Answer::Selected(cases) => cases,
    };
    arguments.require_use()?;
    let mode = arguments.mode();
    if mode == Mode::List {
        return list(selected, with_gpu || arguments.has("bench"));
    }
    if selected.is_empty() {
        require_known(&arguments, groups)?;
        tell!("{bench}: no case has these engines, or matches the filter: nothing to measure");
        return Ok(());
    }
    stop::where_nobody_reads(bench);
    let looking = LazyCell::new(|| {
        let mut session = Session::new(settings.seed(), "", false, run::sink(None));
        take_keys(&mut session, &settings);
        session
    });
    arguments.require_baseline(&selected, |case| {
        build(&looking, case).is_err_and(|error| error.is_unavailable())
    })?;
    let (records, known) = records(bench, mode)?;
    let path = records.as_ref().map(|records| records.path().to_owned());
    let gpu = with_gpu && session::any_needs_gpu(&selected);
    let sink = run::sink(records);
    let mut session = Session::new(settings.seed(), settings.tier.name(), gpu, sink);
    take_keys(&mut session, &settings);
    tell!(
        "{bench}: tier {}, seed {}, environment {}",
        settings.tier,
        settings.seed(),
        session.environment.id
    );
    let known = known.for_seed(settings.seed(), &session.environment.machine_id)?;
    let finished = known.finished;
    session.begin(mode == Mode::Measure)?;
    let run = Run {
        bench,
        arguments: &arguments,
        samples: Samples::new(session, mode == Mode::Measure),
        build,
        interrupted: interrupt::flag()?,
    };
    // Engines that were asked for by name must be able to run.
    let mut cases = run.runnable(selected, settings.engines.is_some())?;
    cases.retain(|case| !finished.contains(case));
    if !finished.is_empty() {
        tell!("{bench}: {} cases are finished already", finished.len());
    }
    if matches!(mode, Mode::Profile | Mode::Load) {
        tell!("{bench}: no sample is kept of this run");
    }
    let measured = run.measure(&planned, &cases, settings.tier);
    let shown = measured.as_ref().map_or_else(Stop::is_interrupted, |()| true);
    if let Some(path) = path.filter(|_| shown) {
        let said = report::after_run(&paths::suite(), groups)?;
        stop::print(&format!("{said}\nRecords: {}\n", path.display()))?;
    }
    measured
}

/// Hands a session the file of keys that the settings name.
fn take_keys(session: &mut Session, settings: &Settings) {
    if let Some(file) = &settings.keys {
        session.take_file(file.clone());
    }
}

/// Prints names as Criterion does; those that take a GPU only `with_gpu`: a test of what
/// is skipped would pass.
fn list(cases: Vec<Case>, with_gpu: bool) -> Result<(), Stop> {
    let takes = |case: &&Case| with_gpu || !session::any_needs_gpu(std::slice::from_ref(*case));
    let lines = cases.iter().filter(takes);
    let lines: Vec<String> = lines.map(|case| format!("{case}: benchmark\n")).collect();
    stop::print(&lines.concat())
}

/// An error if `--exact` names no case of any benchmark, or one of `groups`: no case is
/// selected.
fn require_known(arguments: &Arguments, groups: &[Group]) -> Result<(), Stop> {
    if !arguments.has("exact") || arguments.has("ignored") {
        return Ok(());
    }
    let mut named = arguments.names().filter_map(|name| name.group.parse::<Group>().ok());
    match named.next() {
        Some(group) if !groups.contains(&group) => Ok(()),
        _ => Err(format!(
            "`{}`: no case of this run has this name; --list shows them, and CUDAMARK_N and \
             other variables choose them",
            arguments.shown()
        )
        .into()),
    }
}

/// Content of the records of an earlier run.
#[derive(Default)]
struct Known(Contents);

impl Known {
    /// The content, if it may be gone on with here.
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
fn records(bench: &str, mode: Mode) -> Result<(Option<Records>, Known), Stop> {
    if mode != Mode::Measure {
        return Ok((None, Known::default()));
    }
    let folder = paths::suite().join("records");
    let resume = env::var_os(RESUME).is_some_and(|value| !value.is_empty() && value != "0");
    let last = report::files::newest(&folder, bench).filter(|_| resume);
    Ok(match last {
        Some(path) => (Some(Records::at(&path)), Known(Contents::read(&path)?)),
        None => (Some(Records::at(&report::files::new(&folder, bench))), Known::default()),
    })
}
