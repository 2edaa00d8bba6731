//! `cudamark tune`: the sweep that chooses the kernels' tuning parameters.
//!
//! Standard output is a table for each type and size, the fastest shape first and
//! those in use marked; what is skipped goes to standard error, and into the record.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cudamark::{table, tell};
use host::gpu::{Device, sweep};
use sort_cases::{KeyType, Kind};
use suite::key::Key;
use suite::lines::{Line, ShapeLine};
use suite::runners::shape::{Shape, shapes};
use suite::statistics::{interval, median};
use suite::turns::Turns;
use suite::workload::sizes::sizes;
use suite::workload::{DEFAULT_SEED, Distribution, Workload, parse_seed};
use suite::{Case, Session, Unavailable};

use super::classic::{print, sample_count};
use super::once_each;
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
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = type_parser())]
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
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED, value_parser = parse_seed)]
    seed: u64,

    /// Write every sample to this file, a line of JSON each, after one for its shape.
    #[arg(long, value_name = "FILE.jsonl")]
    json: Option<PathBuf>,
}

impl Options {
    fn types(&self) -> Vec<Type> {
        match self.types.is_empty() {
            true => Type::all(),
            false => once_each(self.types.iter().copied()),
        }
    }

    fn sizes(&self) -> Vec<usize> {
        once_each(self.sizes.iter().flatten().copied())
    }
}

/// Type of the elements: keys, alone or with values of 4 bytes, and their sweep.
#[derive(Clone, Copy, Debug)]
struct Type {
    key: KeyType,
    name: &'static str,
    paired: bool,
    run: fn(&Sweep, &mut Session) -> Result<()>,
}

macro_rules! types {
    ($($test:ident: $constant:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*) => {
        /// Every type of key, alone and paired. Kernels are those of its word.
        const TYPES: &[[Type; 2]] = &[$({
            let (key, name) = (KeyType::$constant, $name);
            let alone =
                Type { key, name, paired: false, run: |sweep, session| sweep.run::<$word>(session) };
            [alone, Type { name: concat!($name, "+u32"), paired: true, ..alone }]
        }),*];
    };
}

sort_cases::for_every_type!(types);

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Type {
    /// One type of each width, then the same with values.
    fn all() -> Vec<Self> {
        let widths = TYPES.iter().filter(|[of, _]| of.key.kind == Kind::Unsigned);
        [0, 1].into_iter().flat_map(|paired| widths.clone().map(move |of| of[paired])).collect()
    }
}

/// Reads the name of a type; `pairs` is one that was used before.
fn type_parser() -> impl TypedValueParser<Value = Type> {
    let value = |of: Type| {
        let alias = (of.name == "u32+u32").then_some("pairs");
        PossibleValue::new(of.name).aliases(alias)
    };
    PossibleValuesParser::new(Type::all().into_iter().map(value)).map(|name| {
        let name = if name == "pairs" { "u32+u32" } else { &name };
        let mut all = Type::all().into_iter();
        all.find(|of| of.name == name).expect("the parser lets no other name pass")
    })
}

/// Sizes of one item of a list.
type Sizes = Vec<usize>;

fn some_sizes(text: &str) -> Result<Sizes, String> {
    let sizes = sizes(text)?;
    match sizes.iter().find(|&&n| n > sweep::MOST) {
        Some(n) => Err(format!("no shape sorts {n} elements; take {} or fewer", sweep::MOST)),
        None => Ok(sizes),
    }
}

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
    let sizes = options.sizes();
    for kind in options.types() {
        for &n in &sizes {
            let sweep = Sweep { options, kind, n };
            (kind.run)(&sweep, &mut session).with_context(|| sweep.title())?;
        }
    }
    Ok(())
}

/// All shapes on one input.
struct Sweep<'a> {
    options: &'a Options,
    kind: Type,
    n: usize,
}

impl Sweep<'_> {
    fn title(&self) -> String {
        format!("{}, {} elements, {}", self.kind.name, self.n, self.options.distribution)
    }

    fn case(&self, engine: &str) -> Case {
        let group = if self.kind.paired { "pairs" } else { "device" };
        let distribution = self.options.distribution.to_string();
        Case::new(group, engine, (self.kind.name, &distribution, self.n), 1)
    }

    /// Samples every shape by turns, and prints the table.
    fn run<K: Key>(&self, session: &mut Session) -> Result<()> {
        let (distribution, seed) = (self.options.distribution, self.options.seed);
        let keys: Vec<K> = Workload { n: self.n, distribution, seed }.generate()?;
        let (mut samplers, mut lines) = (Vec::new(), Vec::new());
        for Shape { line, runner } in shapes(&keys, self.kind.paired)? {
            let case = self.case(&line.engine);
            match runner {
                Ok(runner) => {
                    session.write(&Line::Shape(line.clone()))?;
                    samplers.push(Ok(session.sampler(&case, runner)));
                    lines.push(line);
                }
                Err(reason) => {
                    session.skip(&case, &reason)?;
                    tell!("{}: {}: skipped: {reason}", self.title(), line.engine);
                }
            }
        }
        let taken = Turns::of(self.options.samples).take(samplers);
        let mut ran = Vec::with_capacity(lines.len());
        for (line, samples) in lines.into_iter().zip(taken) {
            let samples = samples?;
            ran.push((line, samples.iter().map(|sample| sample.seconds).collect()));
            samples.into_iter().try_for_each(|sample| session.keep(sample))?;
        }
        print(&format!("{}\n{}\n", self.title(), table(self.n, ran)))
    }
}

/// The shapes by their median time, given the seconds of each.
fn table(n: usize, shapes: Vec<(ShapeLine, Vec<f64>)>) -> String {
    let with_median = |(line, seconds): (_, Vec<f64>)| (line, interval(&seconds), median(&seconds));
    let mut shapes: Vec<_> = shapes.into_iter().map(with_median).collect();
    shapes.sort_by(|a, b| a.2.total_cmp(&b.2));
    let best = shapes.first().map_or(0.0, |(_, _, median)| *median);
    let head = ["", "kernels", "registers", "blocks", "median ms", "interval", "G/s", "to best"];
    let rows = shapes.into_iter().map(|(line, interval, median)| {
        vec![
            if line.in_use { "*" } else { "" }.to_owned(),
            line.engine,
            line.registers.to_string(),
            line.resident_blocks.to_string(),
            format!("{:.4}", median * 1e3),
            format!("{:.4}-{:.4}", interval.low * 1e3, interval.high * 1e3),
            format!("{:.2}", n as f64 / median / 1e9),
            format!("{:.3}", median / best),
        ]
    });
    table::text(&head, rows.collect(), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        crate::cmd::parsed(line)
    }

    #[test]
    fn lists_are_read_and_each_item_once() {
        let options = parsed("--types pairs,u64,u32+u32 --sizes 2^14..2^18:2,1000,2^16").unwrap();
        let types: Vec<&str> = options.types().iter().map(|of| of.name).collect();
        assert_eq!(types, ["u32+u32", "u64"]);
        assert_eq!(options.sizes(), [1 << 14, 1 << 16, 1 << 18, 1000]);
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
        assert_eq!(options.sizes().len(), 8);
        if !sweep::BUILT {
            let error = run(&options).unwrap_err().to_string();
            assert!(error.contains(WITH_KERNELS) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_fastest_is_first_and_the_one_in_use_marked() {
        let shape = |engine: &str, in_use, seconds| {
            let engine = engine.to_owned();
            (ShapeLine { engine, in_use, registers: 40, resident_blocks: 2 }, vec![seconds; 3])
        };
        let shapes = vec![shape("gpu@one", true, 2e-3), shape("gpu@other", false, 1e-3)];
        let table = table(1000, shapes);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = table.lines().map(words).collect();
        assert_eq!(lines[1], "gpu@other 40 2 1.0000 1.0000-1.0000 0.00 1.000");
        assert_eq!(lines[2], "* gpu@one 40 2 2.0000 2.0000-2.0000 0.00 2.000");
    }
}
