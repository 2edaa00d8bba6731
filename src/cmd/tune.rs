//! `cudamark tune`: the sweep that chooses the kernels' tuning parameters.
//!
//! Standard output is a table for each type and size, the fastest shape first and
//! those in use marked; what is skipped goes to standard error, and into the record.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use cudamark::tell;
use host::gpu::sweep::{self, Family, Fit, Name, Ranking, ShapedSort};
use host::gpu::{Device, GpuKey, GpuSorter, Order, Resident};
use suite::Unavailable;
use suite::environment::{Environment, Gpu};
use suite::statistics::{interval, median};
use suite::tune::Line;
use suite::workload::sizes::sizes;
use suite::workload::{DEFAULT_SEED, Distribution, Workload};

use super::classic::{print, sample_count};
use crate::output::Output;

/// What runs the command with the kernels that it needs.
const WITH_KERNELS: &str = "cargo run --release --features tune -- tune";
/// Rounds before the first that counts.
const WARM_UPS: usize = 2;

/// Time the sort's kernels in other shapes than those in use, and print which is fastest.
///
/// A shape is threads in a block, elements of a thread, and blocks on a multiprocessor: of
/// passes after a histogram, of passes of few tiles, or of the local sort of buckets, each
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

    /// Samples of each shape.
    #[arg(long, value_name = "S", default_value_t = 21, value_parser = sample_count)]
    samples: usize,

    /// Where the draws of the keys start.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED)]
    seed: u64,

    /// Write every sample to this file, a line of JSON a shape and size.
    #[arg(long, value_name = "FILE.jsonl")]
    json: Option<PathBuf>,
}

/// What is sorted.
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
    fn name(self) -> &'static str {
        match self {
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::U128 => "u128",
            Type::PairsU8 => "u8+u32",
            Type::PairsU16 => "u16+u32",
            Type::PairsU32 => "u32+u32",
            Type::PairsU64 => "u64+u32",
            Type::PairsU128 => "u128+u32",
        }
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

/// What one item of a list of sizes stands for.
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
///
/// # Errors
/// A program without the kernels of the sweep; [`Unavailable`] if there
/// is no GPU; a sort that fails, or whose result is wrong.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !sweep::BUILT {
        bail!("built without the kernels of the sweep; run `{WITH_KERNELS}`");
    }
    let device = Device::open().map_err(Unavailable::from)?;
    let mut record = Record(options.json.as_deref().map(Output::open).transpose()?);
    let environment = Environment::here(Some(Gpu::of(&device)?));
    record.put(Output::hold, &Line::environment(&environment))?;
    options.sweep(&GpuSorter::new(device), &mut record)
}

impl Options {
    /// Every type at every size.
    fn sweep(&self, sorter: &GpuSorter, record: &mut Record) -> Result<()> {
        let types = match self.types.is_empty() {
            true => Type::value_variants(),
            false => &self.types,
        };
        for &kind in types {
            for &n in self.sizes.iter().flat_map(|sizes| &sizes.0) {
                let sweep = Sweep {
                    sorter,
                    kind: kind.name(),
                    workload: Workload { n, distribution: self.distribution, seed: self.seed },
                    samples: self.samples,
                };
                let swept = match kind {
                    Type::U8 => sweep.run::<u8>(false, record),
                    Type::U16 => sweep.run::<u16>(false, record),
                    Type::U32 => sweep.run::<u32>(false, record),
                    Type::U64 => sweep.run::<u64>(false, record),
                    Type::U128 => sweep.run::<u128>(false, record),
                    Type::PairsU8 => sweep.run::<u8>(true, record),
                    Type::PairsU16 => sweep.run::<u16>(true, record),
                    Type::PairsU32 => sweep.run::<u32>(true, record),
                    Type::PairsU64 => sweep.run::<u64>(true, record),
                    Type::PairsU128 => sweep.run::<u128>(true, record),
                };
                swept.with_context(|| sweep.title())?;
            }
        }
        Ok(())
    }
}

/// The lines of the record, each written as it comes to be.
struct Record(Option<Output>);

impl Record {
    fn add(&mut self, line: &Line<'_>) -> Result<()> {
        self.put(Output::add, line)
    }

    fn put(&mut self, how: fn(&mut Output, &str) -> Result<()>, line: &Line<'_>) -> Result<()> {
        let text = serde_json::to_string(line).context("cannot write a record")? + "\n";
        self.0.as_mut().map_or(Ok(()), |output| how(output, &text))
    }
}

/// All shapes on one input.
struct Sweep<'a> {
    sorter: &'a GpuSorter,
    kind: &'static str,
    workload: Workload,
    samples: usize,
}

impl Sweep<'_> {
    fn title(&self) -> String {
        let Workload { n, distribution, .. } = self.workload;
        format!("{}, {n} elements, {distribution}", self.kind)
    }

    fn run<K: Swept>(&self, paired: bool, record: &mut Record) -> Result<()> {
        let keys = K::keys(&self.workload)?;
        let field = sweep::sorts::<K>(self.sorter, keys.len(), paired)?;
        let mut resident = Resident::new(self.sorter, &keys, paired, Order::ascending())?;
        let mut samples = vec![Vec::new(); field.len()];
        for round in 0..WARM_UPS + self.samples {
            for (fit, samples) in field.iter().zip(&mut samples) {
                let Fit::Runs(shaped) = fit else {
                    continue;
                };
                resident.set_sort(shaped.sort.clone())?;
                let mut sample = || {
                    let sample = resident.verified_sample();
                    sample.with_context(|| shape(&shaped.name))
                };
                // The first sort of a shape may have to clear what another's has left.
                sample()?;
                let sample = sample()?;
                if round >= WARM_UPS {
                    samples.push(sample.as_secs_f64());
                }
            }
        }
        for (fit, samples) in field.iter().zip(&samples) {
            record.add(&Line::shape(self.kind, self.workload, fit, samples))?;
            if let Fit::Skipped { name, reason } = fit {
                tell!("{}: {}: skipped: {reason}", self.title(), shape(name));
            }
        }
        let ran = field.iter().zip(samples).filter_map(|(fit, seconds)| match fit {
            Fit::Runs(shaped) => Some(Row::of(shaped, seconds)),
            Fit::Skipped { .. } => None,
        });
        print(&table(&self.title(), self.workload.n, ran.collect()))
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

/// What a shape took.
struct Row {
    name: Name,
    registers: u32,
    blocks: u32,
    median_s: f64,
    low_s: f64,
    high_s: f64,
}

impl Row {
    fn of<K: GpuKey>(shaped: &ShapedSort<K>, seconds: Vec<f64>) -> Self {
        let interval = interval(&seconds);
        Row {
            name: shaped.name,
            registers: shaped.resources.registers,
            blocks: shaped.resources.blocks,
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
