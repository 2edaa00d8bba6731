//! `cudamark peers`: our sort against those of other libraries on the same GPU.
//!
//! Standard output is a table, a row an input, printed as it is measured; what is
//! skipped or fails goes to standard error, and into the report.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use host::engine::Unavailable;
use host::gpu::{Device, GpuSorter};
use host::peers::process::LIMIT;
use host::peers::programs::{self, Tools};
use host::peers::report::{self, Cache, CellRecord, Report, TimesRecord};
use host::peers::{Arena, Case, KINDS, Kind, Ours, Outcome, Peer, PeerError, Plan, Shape, ours};
use host::record::Environment;
use host::workload::{CLASSIC_N, DEFAULT_SEED, Distribution, Workload};

use super::classic::{print, sample_count, say};
use crate::output::Output;

/// Type of the classic workload's keys.
const CLASSIC_TYPE: &str = "i32";

/// Time our sort and other libraries' by turns and print the ratios.
///
/// Keys lie in GPU memory before and after each sort, which is out of place; times are
/// medians by events; every contender's result is verified. A ratio is the peer's time
/// over ours: above 1, ours is faster.
#[derive(Args, Debug)]
pub struct Options {
    /// Types of the elements [default: all there are].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = kind)]
    types: Vec<Kind>,

    /// Numbers of elements, each a number or a power such as 2^20.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = size,
        default_value = "2^10,2^12,2^14,2^16,2^18,2^20,2^22,2^24,2^26,2^28"
    )]
    sizes: Vec<usize>,

    /// How keys are spread.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = distribution,
        default_value = "uniform"
    )]
    distributions: Vec<Distribution>,

    /// Samples of each contender, at least.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = sample_count)]
    samples: usize,

    /// Peers to measure beside ours.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = programs::NAMES,
        default_value = "cub,cupy,torch"
    )]
    peers: Vec<String>,

    /// Where the draws of the keys start.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED)]
    seed: u64,

    /// Also sort the classic workload from and to host memory, by the host's clock.
    #[arg(long)]
    end_to_end: bool,

    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write every time to this file, a line an input and contender, as they are taken.
    #[arg(long, value_name = "FILE.jsonl")]
    records: Option<PathBuf>,
}

impl Options {
    /// What is to be sorted, in the order of the table.
    fn cases(&self) -> Vec<Case> {
        let kinds = match self.types.is_empty() {
            true => KINDS,
            false => &self.types,
        };
        let mut cases = Vec::new();
        for &kind in kinds {
            for &distribution in &self.distributions {
                cases.extend(self.sizes.iter().map(|&n| Case {
                    shape: Shape::Resident,
                    kind,
                    workload: Workload {
                        n,
                        distribution,
                        seed: self.seed,
                    },
                }));
            }
        }
        let classic = |kind: &&Kind| self.end_to_end && kind.name == CLASSIC_TYPE;
        cases.extend(KINDS.iter().find(classic).map(|&kind| Case {
            shape: Shape::EndToEnd,
            kind,
            workload: Workload::classic(CLASSIC_N, self.seed),
        }));
        cases
    }
}

/// Runs the command.
///
/// # Errors
/// [`Unavailable`] if nothing can be measured here: no GPU, or no peer. Figures that
/// could not be had, after all others were.
pub fn run(options: &Options) -> Result<()> {
    let device = Device::open()?;
    let gpu = device.describe()?;
    let json = options.json.as_deref().map(Output::open).transpose()?;
    let records = options.records.as_ref().map(Records::create).transpose()?;
    let plan = Plan::new(options.samples);
    let environment = Environment::here(Some(gpu));
    let report = Report::new(environment, report::driver_version(), options.seed, plan);

    let mut tournament = Tournament {
        report,
        records,
        columns: Vec::new(),
    };
    let (tools, capability) = (Tools::find()?, device.capability());
    let peers = tournament.start(&options.peers, |name| {
        let command = tools.command(name, capability)?;
        Peer::start(name, command, LIMIT)
    });
    if peers.is_empty() && tournament.report.failures.is_empty() {
        return Err(none_can_run(&options.peers).into());
    }
    let mut ours = Ours::new(GpuSorter::new(device));
    tournament.report.before = report::gpu_state();
    tournament.measure(&options.cases(), &mut Arena::new(&mut ours, peers, plan))?;
    tournament.report.after = report::gpu_state();
    tournament.finish(json)
}

/// The error for a machine without any of the peers asked for.
fn none_can_run(names: &[String]) -> Unavailable {
    Unavailable {
        engine: "peers",
        reason: format!("none of {} can run on this machine", names.join(", ")),
    }
}

/// The table and the report, as they come to be.
struct Tournament {
    report: Report,
    records: Option<Records>,
    /// Names of the peers that have a column.
    columns: Vec<String>,
}

impl Tournament {
    /// Starts the peers that can run on the GPU that the report names; says of the
    /// others why not.
    fn start(
        &mut self,
        names: &[String],
        start: impl Fn(&str) -> Result<Peer, PeerError>,
    ) -> Vec<Peer> {
        let mut peers: Vec<Peer> = Vec::new();
        for name in names {
            if self.columns.contains(name) {
                continue;
            }
            match start(name).and_then(|peer| peer.on(&self.report.device)) {
                Ok(peer) => {
                    say(&format!("{name}: {}", peer.greeting().peer_version));
                    self.columns.push(name.clone());
                    peers.push(peer);
                }
                Err(skipped @ PeerError::Skipped { .. }) => {
                    say(&skipped.to_string());
                    self.report.skipped.push(skipped.to_string());
                }
                Err(error) => self.failed(error.to_string()),
            }
        }
        peers
    }

    fn measure(&mut self, cases: &[Case], arena: &mut Arena<'_>) -> Result<()> {
        let cache_bytes = ours::cache_bytes();
        print(&self.head())?;
        for case in cases {
            let cache = Cache::of(case.workload.n, case.kind.bytes, cache_bytes);
            match arena.hold(*case) {
                Ok(outcomes) => self.keep(case, &outcomes, cache)?,
                Err(error) => self.failed(format!("{}: {error}", title(case))),
            }
        }
        Ok(())
    }

    /// Prints a row and keeps what it says; says what failed.
    fn keep(&mut self, case: &Case, outcomes: &[Outcome], cache: Cache) -> Result<()> {
        for outcome in outcomes {
            if let Err(error) = &outcome.times {
                self.failed(format!("{}: {error}", title(case)));
            }
            let record = TimesRecord::of(case, outcome, self.report.plan);
            if let (Some(record), Some(records)) = (record, &mut self.records) {
                records.add(&record)?;
            }
        }
        let cells = CellRecord::of(case, outcomes, cache);
        self.report.cells.extend(cells);
        print(&self.row(case, outcomes))
    }

    fn failed(&mut self, line: String) {
        say(&line);
        self.report.failures.push(line);
    }

    fn finish(self, json: Option<Output>) -> Result<()> {
        if let Some(json) = json {
            let text = serde_json::to_string_pretty(&self.report);
            json.write(&(text.context("cannot write the report")? + "\n"))?;
        }
        match self.report.failures.len() {
            0 => Ok(()),
            1 => bail!("one figure is missing: {}", self.report.failures[0]),
            count => bail!("{count} figures are missing: see above"),
        }
    }

    fn head(&self) -> String {
        let mut line = format!(
            "{:8} {:>10} {:14} {:>10} {:>8}",
            "type", "n", "distribution", "ours ms", "G/s"
        );
        for name in &self.columns {
            line += &format!(" {:>10} {:>6}", format!("{name} ms"), "ratio");
        }
        line + "\n"
    }

    fn row(&self, case: &Case, outcomes: &[Outcome]) -> String {
        let median = |outcome: &Outcome| {
            let times = outcome.times.as_ref().ok();
            times.map(|times| report::summary(times).0)
        };
        let ours = outcomes.first().and_then(median);
        let rate = ours.map(|ms| case.workload.n as f64 / ms / 1e6);
        let mut line = format!(
            "{:8} {:>10} {:14} {:>10} {:>8}",
            case.kind.name,
            power(case.workload.n),
            spread(case),
            figure(ours, 4),
            figure(rate, 2),
        );
        for column in &self.columns {
            let outcome = outcomes.iter().find(|outcome| outcome.name == *column);
            let theirs = outcome.and_then(median);
            let ratio = theirs.zip(ours).map(|(theirs, ours)| theirs / ours);
            line += &format!(" {:>10} {:>6}", figure(theirs, 4), figure(ratio, 2));
        }
        line + "\n"
    }
}

/// The file of all times.
struct Records {
    path: PathBuf,
    file: File,
}

impl Records {
    fn create(path: &PathBuf) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.clone(),
            file,
        })
    }

    fn add(&mut self, record: &TimesRecord<'_>) -> Result<()> {
        let line = serde_json::to_string(record).context("cannot write a record")?;
        let written = writeln!(self.file, "{line}");
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// A case, named in a line of its own.
fn title(case: &Case) -> String {
    let n = power(case.workload.n);
    format!("{}, {n}, {}", case.kind.name, spread(case))
}

/// How keys are spread; and marked where they do not lie in GPU memory.
fn spread(case: &Case) -> String {
    let mark = match case.shape {
        Shape::Resident => "",
        Shape::EndToEnd => " (host)",
    };
    name(case.workload.distribution) + mark
}

/// What records call a distribution.
fn name(distribution: Distribution) -> String {
    let value = serde_json::to_value(distribution).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// A figure, or what stands for none.
fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A number as it is, or from 1024 on as a power of two if it is one.
fn power(n: usize) -> String {
    match n.is_power_of_two() && n >= 1024 {
        true => format!("2^{}", n.ilog2()),
        false => n.to_string(),
    }
}

/// Reads a number of elements: `1000000` or `2^20`.
fn size(text: &str) -> Result<usize, String> {
    let number = |text: &str| text.parse::<usize>().ok();
    let n = match text.trim().split_once('^') {
        None => number(text.trim()),
        Some((base, exponent)) => number(base)
            .zip(exponent.parse().ok())
            .and_then(|(base, exponent)| base.checked_pow(exponent)),
    };
    match n {
        None => Err("not a number of elements in range; write it like 1000000 or 2^20".to_owned()),
        Some(0) => Err("nothing takes no time to sort; take 1 or more".to_owned()),
        Some(n) => Ok(n),
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    let found = KINDS.iter().find(|kind| kind.name == name.trim());
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        format!(
            "not a type that is compared; there are {}",
            known.join(", ")
        )
    })
}

/// The distributions that can be asked for.
const DISTRIBUTIONS: [Distribution; 5] = [
    Distribution::Uniform,
    Distribution::Classic,
    Distribution::Constant,
    Distribution::Sorted,
    Distribution::Reversed,
];

fn distribution(text: &str) -> Result<Distribution, String> {
    let found = DISTRIBUTIONS
        .into_iter()
        .find(|&known| name(known) == text.trim());
    found.ok_or_else(|| {
        let known = DISTRIBUTIONS.map(name).join(", ");
        format!("not a distribution; there are {known}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use host::peers::Times;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(line: &str) -> Result<Options, String> {
        let words = ["peers"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words);
        line.map(|line| line.options)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_what_the_table_is_for() {
        let options = parsed("").unwrap();
        assert_eq!(
            options.sizes,
            [10, 12, 14, 16, 18, 20, 22, 24, 26, 28].map(|k| 1 << k)
        );
        assert_eq!(options.distributions, [Distribution::Uniform]);
        assert_eq!(options.peers, ["cub", "cupy", "torch"]);
        assert_eq!(options.samples, 20);
        assert!(options.types.is_empty());
    }

    #[test]
    fn lists_are_read() {
        let options =
            parsed("--sizes 2^10,1000,3^2 --types i32,u32 --distributions sorted,classic");
        let options = options.unwrap();
        assert_eq!(options.sizes, [1024, 1000, 9]);
        let names: Vec<&str> = options.types.iter().map(|kind| kind.name).collect();
        assert_eq!(names, ["i32", "u32"]);
        assert_eq!(
            options.distributions,
            [Distribution::Sorted, Distribution::Classic]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_with_the_remedy() {
        for (line, item, remedy) in [
            (
                "--sizes 2^10,many",
                "'many'",
                "write it like 1000000 or 2^20",
            ),
            ("--sizes 2^64", "'2^64'", "in range"),
            ("--sizes 2^", "'2^'", "2^20"),
            ("--sizes -5", "-5", ""),
            ("--sizes 1,,2", "''", "2^20"),
            ("--sizes 1e6", "'1e6'", "2^20"),
            (
                "--sizes 99999999999999999999",
                "'99999999999999999999'",
                "in range",
            ),
            ("--sizes 0", "'0'", "take 1 or more"),
            ("--types u33", "'u33'", "there are u32, i32"),
            (
                "--distributions even",
                "'even'",
                "there are uniform, classic",
            ),
            ("--peers cud", "'cud'", "cub, cupy, torch"),
            ("--samples 0", "'0'", "take 1 or more"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(item), "{line}: {message}");
            assert!(message.contains(remedy), "{line}: {message}");
        }
    }

    fn tournament() -> Tournament {
        Tournament {
            report: Report::new(Environment::here(None), None, 1, Plan::new(2)),
            records: None,
            columns: vec!["cub".to_owned(), "torch".to_owned()],
        }
    }

    #[test]
    fn a_row_has_a_figure_or_a_dash_for_every_peer_and_a_failure_is_said() {
        let outcome = |name: &str, times_ms: &[f64]| Outcome {
            name: name.to_owned(),
            version: (name != "gpu").then(|| "1.0".to_owned()),
            times: Ok(Times {
                times_ms: times_ms.to_vec(),
                warm_ups: 2,
                temporary_bytes: None,
            }),
        };
        let mut wrong = outcome("torch", &[]);
        wrong.times = Err(PeerError::Refused {
            peer: "torch".to_owned(),
            request: "run 3".to_owned(),
            reason: "out of memory".to_owned(),
        });
        let case = parsed("--types i32 --sizes 2^20").unwrap().cases()[0];
        let mut tournament = tournament();
        let outcomes = [outcome("gpu", &[0.05]), outcome("cub", &[0.1]), wrong];
        tournament.keep(&case, &outcomes, Cache::Warm).unwrap();
        let cells: Vec<&str> = (tournament.report.cells.iter())
            .map(|cell| cell.peer.as_str())
            .collect();
        assert_eq!(cells, ["cub"]);
        let failure = "i32, 2^20, uniform: torch: `run 3`: out of memory";
        assert_eq!(tournament.report.failures, [failure]);
        let row = tournament.row(&case, &outcomes);
        let words: Vec<&str> = row.split_whitespace().collect();
        let expected = [
            "i32", "2^20", "uniform", "0.0500", "20.97", "0.1000", "2.00", "-", "-",
        ];
        assert_eq!(words, expected);
        assert_eq!(row.len(), tournament.head().len());
        let message = tournament.finish(None).unwrap_err().to_string();
        assert_eq!(message, format!("one figure is missing: {failure}"));
    }

    #[test]
    fn cases_are_every_type_with_every_spread_at_every_size() {
        let options = parsed("--types i32 --sizes 1,2 --distributions sorted,uniform --end-to-end");
        let cases: Vec<String> = options.unwrap().cases().iter().map(title).collect();
        assert_eq!(
            cases,
            [
                "i32, 1, sorted",
                "i32, 2, sorted",
                "i32, 1, uniform",
                "i32, 2, uniform",
                "i32, 50000000, classic (host)",
            ]
        );
    }

    #[test]
    fn numbers_are_shown_short() {
        assert_eq!(power(1 << 20), "2^20");
        assert_eq!(power(512), "512");
        assert_eq!(power(50_000_000), "50000000");
        assert_eq!(figure(Some(5.4701), 2), "5.47");
        assert_eq!(figure(None, 2), "-");
    }
}
