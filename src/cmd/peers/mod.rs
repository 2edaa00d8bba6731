//! `cudamark peers`: our sort against those of other libraries on the same GPU.
//!
//! Standard output is a table, printed as it is measured; what is skipped or fails goes
//! to standard error, and into the report.

mod options;
mod table;

use anyhow::{Result, bail};
use cudamark::tell;
use suite::Unavailable;
use suite::peers::report::{self, Cache, CaseRecord, Report};
use suite::runners::gpu;
use suite::turns::{Outcome, Turns};
use suite::{Case, Session, registry};

use options::CLASSIC;
pub(crate) use options::Options;

use super::classic::print;
use super::sample::sink_to;
use cudamark::output::{self, Output};
use table::title;

pub(crate) fn run(options: &Options) -> Result<()> {
    let file = options.keys.open()?;
    host::gpu::Device::open().map_err(Unavailable::from)?;
    let paths = [&options.json, &options.records];
    let [json, records] = Output::open_all(paths.map(Option::as_deref))?;
    let sink = match options.records.as_deref().zip(records) {
        Some((path, output)) => sink_to(path, output),
        None => Box::new(|_: &_| Ok(())),
    };
    let turns = Turns::of(options.samples);
    let mut session = Session::new(options.seed, "peers", true, sink);
    let cases = options.cases(file.as_ref());
    if let Some(file) = file {
        session.registry.take_file(file);
    }
    session.begin(false)?;
    let environment = session.environment.environment.clone();
    let report = Report::new(environment, options.seed, turns);
    let mut comparison =
        Comparison { report, session, turns, ours: options.ours(), peers: Vec::new() };
    let names = options.peers();
    comparison.start(&names)?;
    if comparison.peers.is_empty() && comparison.report.failures.is_empty() {
        let reason = format!("none of {} can run on this machine", names.join(", "));
        return Err(Unavailable { engine: "peers", reason }.into());
    }
    comparison.report.before = report::gpu_state();
    comparison.measure(&cases)?;
    comparison.report.after = report::gpu_state();
    finish(comparison.report, json)
}

/// The report, as it comes to be.
struct Comparison {
    report: Report,
    session: Session,
    turns: Turns,
    ours: Vec<&'static str>,
    /// Peers that can run, each a column.
    peers: Vec<String>,
}

impl Comparison {
    /// Starts the peers that can run on this GPU; says of the others why not.
    fn start(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            let mut skipped = None;
            let mut say = |line: &str| skipped = Some(line.to_owned());
            match self.session.can_run(name, &mut say) {
                Ok(true) => {
                    tell!("{name}: {}", self.session.version(name).unwrap_or_default());
                    self.peers.push((*name).to_owned());
                }
                Ok(false) => {
                    let line = skipped.unwrap_or_default();
                    tell!("{line}");
                    self.report.skipped.push(line);
                }
                Err(error) => failed(&mut self.report, error.to_string()),
            }
        }
        Ok(())
    }

    fn measure(&mut self, cases: &[Case]) -> Result<()> {
        let cache_bytes = gpu::cache_bytes();
        print(&table::head(&self.peers))?;
        for case in cases {
            let bytes = registry::bytes_of(&case.kind).unwrap_or(1);
            let cache = Cache::of(case.n, bytes, cache_bytes);
            let outcomes = self.outcomes(case)?;
            for error in outcomes.iter().filter_map(|outcome| outcome.times.as_ref().err()) {
                failed(&mut self.report, format!("{}: {error}", title(case)));
            }
            self.report.cases.extend(CaseRecord::of(case, &outcomes, cache));
            print(&table::lines(&self.peers, case, &outcomes))?;
        }
        Ok(())
    }

    /// Has all engines that can sort this sort it, by turns.
    fn outcomes(&mut self, case: &Case) -> Result<Vec<Outcome>> {
        let mut engines = self.ours.clone();
        engines.retain(|ours| case.group != CLASSIC || !ours.contains('@'));
        engines.extend(self.peers.iter().map(String::as_str));
        let mut outcomes = self.session.by_turns(case, &engines, self.turns)?;
        for ours in outcomes.iter_mut().filter(|outcome| !outcome.is_peer()) {
            ours.name = ours.name.replace('@', "-");
        }
        Ok(outcomes)
    }
}

/// Says what failed, and keeps it.
fn failed(report: &mut Report, line: String) {
    tell!("{line}");
    report.failures.push(line);
}

fn finish(report: Report, json: Option<Output>) -> Result<()> {
    // A report without a figure is no reason to replace one.
    if let Some(json) = json.filter(|_| !report.cases.is_empty()) {
        json.write(&output::json(&report)?)?;
    }
    match report.failures.len() {
        0 => Ok(()),
        1 => bail!("one figure is missing: {}", report.failures[0]),
        count => bail!("{count} figures are missing: see above"),
    }
}
