//! Common part of all benchmarks of the suite: cases become benchmarks of
//! Criterion, and each of Criterion's samples a line of a records file.
//!
//! Criterion reads the command line, selects cases, says how many sorts make a sample and
//! calls for them; `suite` sorts, times and verifies. Warm-up is Criterion's, and is
//! verified and not written down. A wrong result, or Ctrl-C, ends the run at once, with
//! Criterion's pages on what was finished.
//!
//! The cases and their names are the same whether they are listed, run once or measured.

mod panics;
mod run;
mod samples;
mod selection;

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cudamark::{interrupt, paths, report, tell};
use host::gpu::Device;
pub use suite::Group;
use suite::records::Contents;
use suite::session::{self, Session, Sink};
use suite::{Case, Error, Plan, Records, Runner, Settings};

use run::{Interrupted, Run, Usage};
use samples::Samples;

/// The program of a benchmark, named as its target, that measures these groups.
#[macro_export]
macro_rules! benchmark {
    ($($group:ident),+) => {
        fn main() -> ::std::process::ExitCode {
            $crate::main(env!("CARGO_CRATE_NAME"), &[$($crate::Group::$group),+])
        }
    };
}

/// Set, a run goes on with the records of the last one.
const RESUME: &str = "CUDAMARK_RESUME";

/// The way to build a case. Tests plant engines here.
pub type Build = fn(&Session, &Case) -> Result<Box<dyn Runner>, Error>;

/// Runs the benchmark called `bench`, which measures `groups`.
pub fn main(bench: &str, groups: &[Group]) -> ExitCode {
    main_with(bench, groups, |session, name| session.registry.build(name))
}

/// [`main`] with another way to build cases.
pub fn main_with(bench: &str, groups: &[Group], build: Build) -> ExitCode {
    suite::limits::return_errors();
    panics::keep_quiet(bench);
    suite::variables::misspelt().for_each(|line| tell!("{bench}: {line}"));
    let measured = panics::catch(|| {
        leave_package()?;
        measure(bench, groups, build)
    });
    let Err(error) = measured else {
        return ExitCode::SUCCESS;
    };
    tell!("{bench}: {error:#}");
    ExitCode::from(match () {
        () if error.is::<Interrupted>() => 130,
        () if error.is::<Usage>() => 2,
        () => 1,
    })
}

/// Goes from the folder of this package, where cargo starts a benchmark, to the
/// workspace's: paths that a user gives are relative to that.
fn leave_package() -> Result<()> {
    let is_cargos = env::var("CARGO_PKG_NAME").is_ok_and(|name| name == env!("CARGO_PKG_NAME"));
    let Some(package) = env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_cargos) else {
        return Ok(());
    };
    let root = Path::new(&package).parent().unwrap_or(Path::new("/"));
    env::set_current_dir(root).with_context(|| format!("cannot go to {}", root.display()))
}

/// The words of the command line.
fn words() -> impl Iterator<Item = String> {
    env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())
}

/// The command line for an error's message.
fn shown() -> String {
    words().filter(|word| word != "--bench").collect::<Vec<_>>().join(" ")
}

/// True if the command line has one of these options of Criterion's.
fn has(options: &[&str]) -> bool {
    let mut words = words().take_while(|word| word != "--");
    words.any(|word| options.contains(&word.split('=').next().unwrap_or_default()))
}

fn measure(bench: &str, groups: &[Group], build: Build) -> Result<()> {
    if has(&["--version", "-V"]) {
        println!("{bench} {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let settings = Settings::of_environment()?;
    let criterion = run::criterion(settings.tier)?;
    if selection::is_asked() {
        selection::answer(criterion);
        return Ok(());
    }
    let with_gpu = Device::open().is_ok();
    let plan = Plan::new(settings.clone(), with_gpu);
    let planned: Vec<Case> = groups.iter().flat_map(|&group| plan.cases(group)).collect();
    let mut selected = selection::ask(&planned)?;
    if has(&["--list"]) {
        if !with_gpu && !has(&["--bench"]) {
            // A list of tests: one of what is skipped would pass.
            selected.retain(|case| !session::any_needs_gpu(std::slice::from_ref(case)));
        }
        selected.iter().for_each(|case| println!("{case}: benchmark"));
        return Ok(());
    }
    if selected.is_empty() {
        require_known(groups)?;
        tell!("{bench}: no case has these engines, or matches the filter: nothing to measure");
        return Ok(());
    }
    let tests = has(&["--test"]) || !has(&["--bench"]);
    let measures = !tests && !has(&["--load-baseline", "--profile-time"]);
    let folder = paths::suite().join("records");
    let resumes = env::var_os(RESUME).is_some_and(|value| !value.is_empty() && value != "0");
    let last = report::files::newest(&folder, bench).filter(|_| measures && resumes);
    let path = last.clone().unwrap_or_else(|| report::files::new(&folder, bench));
    let records = Records::at(&path);
    let sink: Sink = match measures {
        true => Box::new(move |line| records.add(line)),
        false => Box::new(|_| Ok(())),
    };
    let gpu = with_gpu && session::any_needs_gpu(&selected);
    let mut session = Session::new(settings.seed(), settings.tier.name(), gpu, sink);
    if let Some(file) = &settings.keys {
        session.registry.take_file(file.clone());
    }
    let finished = last.map_or_else(|| Ok(BTreeSet::new()), |last| finished(&last, &session))?;
    if settings.engines.is_some() {
        // Engines that were asked for by name must be able to run.
        let engines: BTreeSet<&String> = selected.iter().map(|case| &case.engine).collect();
        for engine in engines {
            session.registry.look_for(engine).context("CUDAMARK_ENGINES")?;
        }
    }
    let (tier, id) = (settings.tier, &session.environment.id);
    tell!("{bench}: tier {tier}, seed {}, environment {id}", settings.seed());
    session.begin(measures)?;
    let mut cases = Vec::new();
    for case in selected {
        let runs = session.can_run(&case.engine, &mut |line| tell!("{line}"))?;
        if runs && !finished.contains(&case) {
            cases.push(case);
        }
    }
    if !finished.is_empty() {
        tell!("{bench}: {} cases are finished already", finished.len());
    }
    if !measures && !tests {
        tell!("{bench}: no sample is kept of this run");
    }
    let samples = Samples::new(session, measures);
    let run = Run { bench, samples, build, interrupted: interrupt::flag()? };
    let measured = run.measure(criterion, &planned, &cases);
    let is_shown = measured.as_ref().map_or_else(|error| error.is::<Interrupted>(), |()| true);
    if measures && is_shown {
        println!("{}\nRecords: {}", report::after_run(&paths::suite(), groups)?, path.display());
    }
    measured
}

/// An error if `--exact` names no case of any benchmark, or one of `groups`: no case is
/// selected.
fn require_known(groups: &[Group]) -> Result<()> {
    let named = words().find_map(|word| word.parse::<Case>().ok()?.group.parse::<Group>().ok());
    let is_others = named.is_some_and(|group| !groups.contains(&group));
    if !has(&["--exact"]) || has(&["--ignored"]) || is_others {
        return Ok(());
    }
    bail!(
        "`{}`: no case of this run has this name; --list shows them, and CUDAMARK_N and other \
         variables choose them",
        shown()
    )
}

/// The cases that an earlier run finished, of which this one may keep the samples.
fn finished(records: &Path, session: &Session) -> Result<BTreeSet<Case>> {
    let known = Contents::read(records)?;
    let (seed, machine) = (session.environment.seed, &session.environment.machine_id);
    for last in known.environments.values() {
        let (last_seed, last_machine) = (last.seed, &last.machine_id);
        if (last_seed, last_machine) != (seed, machine) {
            bail!(
                "{RESUME}: the last run had seed {last_seed} on machine {last_machine}, and this \
                 one has seed {seed} on {machine}; unset {RESUME} to begin anew"
            );
        }
    }
    Ok(known.finished)
}
