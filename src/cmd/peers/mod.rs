//! `cudamark peers`: our sort against those of other libraries on the same GPU.
//!
//! Standard output is a table, printed as it is measured; what is skipped or fails goes
//! to standard error, and into the report.
//!
//! | module | what it holds |
//! |---|---|
//! | `options` | what is asked for |
//! | `table` | the table |

mod options;
mod table;

use anyhow::{Context, Result, bail};
use cudamark::tell;
use host::gpu::{Device, GpuSorter};
use suite::engine::Unavailable;
use suite::peers::process::LIMIT;
use suite::peers::programs::Tools;
use suite::peers::report::{self, Cache, CellRecord, Report, TimesRecord};
use suite::peers::{Arena, Case, Contender, Ours, Outcomes, Peer, PeerError, Plan, ours};
use suite::record::{Environment, Gpu};

pub use options::Options;

use super::classic::print;
use crate::output::Output;
use table::{Table, title};

/// Runs the command.
///
/// # Errors
/// [`Unavailable`] if nothing can be measured here: no GPU, or no peer. Figures that
/// could not be had, after all others were.
pub fn run(options: &Options) -> Result<()> {
    let device = Device::open().map_err(Unavailable::from)?;
    let gpu = Gpu::of(&device)?;
    let paths = [&options.json, &options.records];
    let [json, records] = Output::open_all(paths.map(Option::as_deref))?;
    let plan = Plan::new(options.samples);
    let environment = Environment::here(Some(gpu));
    let report = Report::new(environment, report::driver_version(), options.seed, plan);

    let mut tournament = Tournament {
        report,
        records,
        table: Table { peers: Vec::new() },
    };
    let (tools, capability) = (Tools::find()?, device.capability());
    let names = options.peers();
    let peers = tournament.start(&names, |name| tools.start(name, capability, LIMIT));
    if peers.is_empty() && tournament.report.failures.is_empty() {
        return Err(none_can_run(&names).into());
    }
    let mut ours: Vec<Ours> = (options.ours().into_iter())
        .map(|scheme| Ours::new(GpuSorter::new(device.clone()), scheme))
        .collect();
    let ours = (ours.iter_mut()).map(|ours| ours as &mut dyn Contender);
    let mut arena = Arena::new(ours.collect(), peers, plan);
    tournament.report.before = report::gpu_state();
    tournament.measure(&options.cases(), &mut arena)?;
    tournament.report.after = report::gpu_state();
    tournament.finish(json)
}

/// The error for a machine without any of the peers asked for.
fn none_can_run(names: &[&str]) -> Unavailable {
    Unavailable {
        engine: "peers",
        reason: format!("none of {} can run on this machine", names.join(", ")),
    }
}

/// The table and the report, as they come to be.
struct Tournament {
    report: Report,
    records: Option<Output>,
    table: Table,
}

impl Tournament {
    /// Starts the peers that can run on the GPU that the report names; says of the
    /// others why not.
    fn start(
        &mut self,
        names: &[&str],
        start: impl Fn(&str) -> Result<Peer, PeerError>,
    ) -> Vec<Peer> {
        let mut peers: Vec<Peer> = Vec::new();
        for name in names {
            match start(name).and_then(|peer| peer.on(&self.report.device)) {
                Ok(peer) => {
                    tell!("{name}: {}", peer.greeting().peer_version);
                    self.table.peers.push((*name).to_owned());
                    peers.push(peer);
                }
                Err(skipped @ PeerError::Skipped { .. }) => {
                    tell!("{skipped}");
                    self.report.skipped.push(skipped.to_string());
                }
                Err(error) => self.failed(error.to_string()),
            }
        }
        peers
    }

    fn measure(&mut self, cases: &[Case], arena: &mut Arena<'_>) -> Result<()> {
        let cache_bytes = ours::cache_bytes();
        print(&self.table.head())?;
        for case in cases {
            let cache = Cache::of(case.workload.n, case.kind.bytes, cache_bytes);
            match arena.hold(*case) {
                Ok(outcomes) => self.keep(case, &outcomes, cache)?,
                Err(error) => self.failed(format!("{}: {error}", title(case))),
            }
        }
        Ok(())
    }

    /// Prints the lines of an input and keeps what they say; says what failed.
    fn keep(&mut self, case: &Case, outcomes: &Outcomes, cache: Cache) -> Result<()> {
        for outcome in outcomes.iter() {
            if let Err(error) = &outcome.times {
                self.failed(format!("{}: {error}", title(case)));
            }
            if let Some(records) = &mut self.records {
                for record in TimesRecord::of(case, outcome, self.report.plan) {
                    let line = serde_json::to_string(&record).context("cannot write a record")?;
                    records.add(&(line + "\n"))?;
                }
            }
        }
        let cells = CellRecord::of(case, outcomes, cache);
        self.report.cells.extend(cells);
        print(&self.table.lines(case, outcomes))
    }

    fn failed(&mut self, line: String) {
        tell!("{line}");
        self.report.failures.push(line);
    }

    fn finish(self, json: Option<Output>) -> Result<()> {
        // A report without a figure is no reason to replace one.
        if let Some(json) = json.filter(|_| !self.report.cells.is_empty()) {
            let text = serde_json::to_string_pretty(&self.report);
            json.write(&(text.context("cannot write the report")? + "\n"))?;
        }
        match self.report.failures.len() {
            0 => Ok(()),
            1 => bail!("one figure is missing: {}", self.report.failures[0]),
            count => bail!("{count} figures are missing: see above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::options::tests::parsed;
    use super::*;
    use suite::peers::{AllTimes, Outcome, Times, Variant};

    fn tournament() -> Tournament {
        Tournament {
            report: Report::new(Environment::here(None), None, 1, Plan::new(2)),
            records: None,
            table: Table {
                peers: vec!["cub".to_owned(), "torch".to_owned()],
            },
        }
    }

    #[test]
    fn a_row_has_a_figure_or_a_dash_for_every_peer_and_a_failure_is_said() {
        let outcome = |name: &str, times_ms: &[f64]| Outcome {
            name: name.to_owned(),
            version: (name != "gpu").then(|| "1.0".to_owned()),
            times: Ok(AllTimes::new(vec![Times {
                variant: Variant {
                    name: "only".to_owned(),
                    temporary_bytes: None,
                },
                times_ms: times_ms.to_vec(),
                warm_ups: 2,
            }])),
        };
        let mut wrong = outcome("torch", &[]);
        wrong.times = Err(PeerError::Refused {
            peer: "torch".to_owned(),
            request: "run 3".to_owned(),
            reason: "out of memory".to_owned(),
        });
        let case = parsed("--types i32 --sizes 2^20").unwrap().cases()[0];
        let mut tournament = tournament();
        let outcomes = Outcomes {
            ours: vec![outcome("gpu", &[0.05]), outcome("gpu-ballots", &[0.08])],
            peers: vec![outcome("cub", &[0.1]), wrong],
        };
        tournament.keep(&case, &outcomes, Cache::Warm).unwrap();
        let cells: Vec<&str> = (tournament.report.cells.iter())
            .map(|cell| cell.peer.as_str())
            .collect();
        assert_eq!(cells, ["cub", "cub"]);
        let failure = "i32, 2^20, uniform: torch: `run 3`: out of memory";
        assert_eq!(tournament.report.failures, [failure]);
        let lines = tournament.table.lines(&case, &outcomes);
        let words: Vec<Vec<&str>> = lines
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        let input = ["i32", "2^20", "uniform"];
        let planned = ["gpu", "0.0500", "20.97", "0.1000", "2.00", "-", "-"];
        let ballots = ["gpu-ballots", "0.0800", "13.11", "0.1000", "1.25", "-", "-"];
        assert_eq!(
            words,
            [
                [&input[..], &planned].concat(),
                [&input[..], &ballots].concat()
            ]
        );
        assert_eq!(lines.len(), 2 * tournament.table.head().len());
        let message = tournament.finish(None).unwrap_err().to_string();
        assert_eq!(message, format!("one figure is missing: {failure}"));
    }
}
