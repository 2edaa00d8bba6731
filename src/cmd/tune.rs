//! `cudamark tune`: the sweep that chooses the kernels' tuning parameters.
//!
//! Standard output is a table for each type and size, the fastest shape first and
//! those in use marked; what is skipped goes to standard error, and into the record.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use cudamark::tell;
use host::gpu::sweep::{self, Family, Name, Ranking};
use host::gpu::{Device, GpuKey};
use suite::lines::{Line, ShapeLine};
use suite::runners::shape::{Shape, shapes};
use suite::statistics::{interval, median};
use suite::turns::Turns;
use suite::workload::sizes::sizes;
use suite::workload::{DEFAULT_SEED, Distribution, Workload};
use suite::{Case, Sample, Session, Unavailable};

use super::classic::{print, sample_count};
use super::sample::sink_to;
use crate::output::Output;

/// Command line with the kernels of the sweep.
const WITH_KERNELS: &str = "cargo run --release --features tune -- tune";

/// Time the sort's kernels in other shapes than those in use, and print which is fastest.
///
/// A shape is threads in a block, elements of a thread, and blocks on a multiprocessor: of
/// passes after a histogram, of passes of a single wave, or of the local sort of buckets, each
/// where it can be used.
/// All shapes sort one input by turns, out of place in GPU memory; times are medians by
/// events, and every result is verified. The shapes are compiled on request only: cargo
/// run --release --features tune -- tune.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Types of the elements [default: all there are].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    types: Vec<Type>,

    /// Numbers of elements: 1000000, 2^20, or a range of powers such as 2^14..2^28:2.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = some_sizes,
        default_value = "2^14..2^28:2"
    )]
    sizes: Vec<Sizes>,

    /// How keys are spread.
    #[arg(long, value_name = "NAME", default_value = "uniform")]
    distribution: Distribution,

    /// Samples of each shape, at least.
    #[arg(long, value_name = "S", default_value_t = 21, value_parser = sample_count)]
    samples: usize,

    /// Where the draws of the keys start.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED)]
    seed: u64,

    /// Write every sample to this file, a line of JSON each, after one for its shape.
    #[arg(long, value_name = "FILE.jsonl")]
    json: Option<PathBuf>,
}

/// Type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    #[value(name = "u8")]
    U8,
    #[value(name = "u16")]
    U16,
    #[value(name = "u32")]
    U32,
    #[value(name = "u64")]
    U64,
    #[value(name = "u128")]
    U128,
    #[value(name = "u8+u32")]
    PairsU8,
    #[value(name = "u16+u32")]
    PairsU16,
    /// Pairs with values of 4 bytes.
    #[value(name = "u32+u32", alias = "pairs")]
    PairsU32,
    #[value(name = "u64+u32")]
    PairsU64,
    #[value(name = "u128+u32")]
    PairsU128,
}

impl Type {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Keys that shapes are timed with. What is generated has 4 or 8 bytes; narrower keys are
/// the upper bits of 8 bytes, and the widest the same 8 bytes twice, so each of their
/// digits is spread like one of a generated key.
trait Swept: GpuKey {
    fn keys(workload: &Workload) -> Result<Vec<Self>, suite::Error>;
}

macro_rules! swept {
    ($($key:ty: $from:ty, $convert:expr;)*) => { $(
        impl Swept for $key {
            fn keys(workload: &Workload) -> Result<Vec<Self>, suite::Error> {
                let keys = workload.generate::<$from>()?;
                Ok(keys.into_iter().map($convert).collect())
            }
        }
    )* };
}

swept! {
    u8: u64, |key| (key >> 56) as u8;
    u16: u64, |key| (key >> 48) as u16;
    u32: u32, |key| key;
    u64: u64, |key| key;
    u128: u64, |key| u128::from(key) << 64 | u128::from(key);
}

/// Sizes of one item of a list.
#[derive(Clone, Debug)]
struct Sizes(Vec<usize>);

fn some_sizes(text: &str) -> Result<Sizes, String> {
    let sizes = sizes(text)?;
    match sizes.iter().find(|&&n| n > sweep::MOST) {
        Some(n) => Err(format!("no shape sorts {n} elements; take {} or fewer", sweep::MOST)),
        None => Ok(Sizes(sizes)),
    }
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !sweep::BUILT {
        bail!("built without the kernels of the sweep; run `{WITH_KERNELS}`");
    }
    Device::open().map_err(Unavailable::from)?;
    let sink = match &options.json {
        Some(path) => sink_to(path, Output::open(path)?),
        None => Box::new(|_: &Line| Ok(())),
    };
    let mut session = Session::new(options.seed, "tune", true, sink);
    session.begin(false)?;
    let types = match options.types.is_empty() {
        true => Type::value_variants(),
        false => &options.types,
    };
    for &kind in types {
        for &n in options.sizes.iter().flat_map(|sizes| &sizes.0) {
            let sweep = Sweep { options, kind: kind.name(), n };
            let swept = match kind {
                Type::U8 => sweep.run::<u8>(false, &mut session),
                Type::U16 => sweep.run::<u16>(false, &mut session),
                Type::U32 => sweep.run::<u32>(false, &mut session),
                Type::U64 => sweep.run::<u64>(false, &mut session),
                Type::U128 => sweep.run::<u128>(false, &mut session),
                Type::PairsU8 => sweep.run::<u8>(true, &mut session),
                Type::PairsU16 => sweep.run::<u16>(true, &mut session),
                Type::PairsU32 => sweep.run::<u32>(true, &mut session),
                Type::PairsU64 => sweep.run::<u64>(true, &mut session),
                Type::PairsU128 => sweep.run::<u128>(true, &mut session),
            };
            swept.with_context(|| sweep.title())?;
        }
    }
    Ok(())
}

/// All shapes on one input.
struct Sweep<'a> {
    options: &'a Options,
    kind: String,
    n: usize,
}

impl Sweep<'_> {
    fn title(&self) -> String {
        format!("{}, {} elements, {}", self.kind, self.n, self.options.distribution)
    }

    fn case(&self, paired: bool, engine: &str) -> Case {
        Case {
            group: if paired { "pairs" } else { "device" }.to_owned(),
            engine: engine.to_owned(),
            kind: self.kind.clone(),
            distribution: self.options.distribution.to_string(),
            n: self.n,
            level: 1,
        }
    }

    /// Samples every shape by turns, and prints the table.
    fn run<K: Swept>(&self, paired: bool, session: &mut Session) -> Result<()> {
        let (distribution, seed) = (self.options.distribution, self.options.seed);
        let keys = K::keys(&Workload { n: self.n, distribution, seed })?;
        let (mut samplers, mut rows) = (Vec::new(), Vec::new());
        for Shape { name, line, runner } in shapes(&keys, paired)? {
            let case = self.case(paired, &line.engine);
            match runner {
                Ok(runner) => {
                    session.keep_shape(line.clone())?;
                    samplers.push(Ok(session.sampler(&case, runner)));
                    rows.push((name, line));
                }
                Err(reason) => {
                    session.skip(&case, &reason)?;
                    tell!("{}: {}: skipped: {reason}", self.title(), shape(&name));
                }
            }
        }
        let taken = Turns::of(self.options.samples).take(samplers);
        let mut ran = Vec::with_capacity(rows.len());
        for ((name, line), samples) in rows.into_iter().zip(taken) {
            let samples = samples?;
            ran.push(Row::of(name, &line, &samples));
            samples.into_iter().try_for_each(|sample| session.keep(sample))?;
        }
        print(&table(&self.title(), self.n, ran))
    }
}

/// The rows by time, under `title`.
fn table(title: &str, n: usize, mut rows: Vec<Row>) -> String {
    rows.sort_by(|a, b| a.median_s.total_cmp(&b.median_s));
    let best = rows.first().map_or(0.0, |row| row.median_s);
    let mut table = format!(
        "{title}\n  {:10} {:14} {:10} {:>9} {:>6} {:>10} {:>21} {:>8} {:>7}\n",
        "kernels",
        "shape",
        "ranking",
        "registers",
        "blocks",
        "median ms",
        "interval",
        "G/s",
        "to best",
    );
    for row in &rows {
        table += &format!(
            "{} {:10} {:14} {:10} {:>9} {:>6} {:>10.4} {:>10.4}-{:>10.4} {:>8.2} {:>7.3}\n",
            if row.name.in_use { '*' } else { ' ' },
            family(row.name.family),
            size(&row.name),
            ranking(row.name.ranking),
            row.registers,
            row.blocks,
            row.median_s * 1e3,
            row.low_s * 1e3,
            row.high_s * 1e3,
            n as f64 / row.median_s / 1e9,
            row.median_s / best,
        );
    }
    table + "\n"
}

/// Figures of a shape.
struct Row {
    name: Name,
    registers: u32,
    blocks: u32,
    median_s: f64,
    low_s: f64,
    high_s: f64,
}

impl Row {
    fn of(name: Name, line: &ShapeLine, samples: &[Sample]) -> Self {
        let seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
        let interval = interval(&seconds);
        Row {
            name,
            registers: line.registers,
            blocks: line.resident_blocks,
            median_s: median(&seconds),
            low_s: interval.low,
            high_s: interval.high,
        }
    }
}

/// A shape in a line of its own.
fn shape(name: &Name) -> String {
    let Name { family: of, ranking: by, .. } = *name;
    format!("{} {} {}", family(of), size(name), ranking(by))
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Passes => "passes",
        Family::SingleWave => "single wave",
        Family::LocalSort => "local sort",
        Family::Fused => "one launch",
    }
}

fn size(name: &Name) -> String {
    let blocks = name.blocks.map(|blocks| format!(" x {blocks}"));
    format!("{} x {}{}", name.threads, name.items, blocks.unwrap_or_default())
}

fn ranking(ranking: Ranking) -> &'static str {
    match ranking {
        Ranking::Atomics => "atomics",
        Ranking::Match => "match",
        Ranking::AsInUse => "as in use",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(line: &str) -> Result<Options, String> {
        let words = ["tune"].into_iter().chain(line.split_whitespace());
        let parsed = Arguments::try_parse_from(words);
        parsed.map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_read() {
        let options = parsed("--types pairs,u64 --sizes 2^14..2^18:2,1000").unwrap();
        assert_eq!(options.types, [Type::PairsU32, Type::U64]);
        let sizes: Vec<usize> = options.sizes.into_iter().flat_map(|sizes| sizes.0).collect();
        assert_eq!(sizes, [1 << 14, 1 << 16, 1 << 18, 1000]);
    }

    #[test]
    fn sizes_that_no_shape_sorts_are_refused() {
        for (line, part) in [
            ("--sizes 0", "take 1 or more"),
            ("--sizes 2^30", "no shape sorts 1073741824 elements; take "),
            ("--types u33", "u32+u32"),
            ("--samples 0", "take 1 or more"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn without_its_kernels_the_command_says_what_to_run() {
        let options = parsed("").unwrap();
        assert_eq!(options.sizes[0].0.len(), 8);
        if !sweep::BUILT {
            let error = run(&options).unwrap_err().to_string();
            assert!(error.contains(WITH_KERNELS) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_fastest_is_first_and_the_one_in_use_marked() {
        let row = |threads, in_use: bool, median_s| Row {
            name: Name {
                family: Family::Passes,
                threads,
                items: 7,
                blocks: (!in_use).then_some(2),
                ranking: Ranking::Match,
                in_use,
            },
            registers: 40,
            blocks: 2,
            median_s,
            low_s: median_s,
            high_s: median_s,
        };
        let rows = vec![row(256, true, 2e-3), row(512, false, 1e-3)];
        let table = table("u32", 1000, rows);
        let lines: Vec<&str> = table.lines().collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let faster = "passes 512 x 7 x 2 match 40 2 1.0000";
        assert_eq!(words(lines[2])[..10].join(" "), faster);
        assert!(lines[3].starts_with("* passes     256 x 7 "), "{}", lines[3]);
        assert!(lines[3].ends_with(" 2.000"), "{}", lines[3]);
    }
}
