//! Options of the command line.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use suite::Case;
use suite::engines::{self, GPU};
use suite::registry::{self, KEY_VARIANTS, PAIR_VARIANTS};
use suite::workload::sizes::sizes;
use suite::workload::{CLASSIC_N, DEFAULT_SEED, Distribution, KeyFile, parse_seed};

use crate::cmd::classic::sample_count;
use crate::cmd::keys::Keys;
use crate::cmd::once_each;

/// Types that are sorted by default, in the order of the table.
const TYPES: [&str; 5] = ["u32", "i32", "f32", "u64", "u32+u32"];
/// Name of the group, and of the distribution, of the classic workload.
pub(crate) const CLASSIC: &str = "classic";
/// Word for all distributions.
const ALL: &str = "all";

/// Time our sort and other libraries' by turns and print the ratios.
///
/// Keys lie in GPU memory before and after each sort; times are medians by events; every
/// engine's result is verified. A ratio is the peer's time over ours: above 1, ours is
/// faster.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    pub keys: Keys,

    /// Types of the elements, and orders: u32, u32+u32 with values, u32+index for an argsort;
    /// u32@descending, u64@0..32 by these bits, f32@numeric with -0 equal to +0 and NaN last
    /// [default: u32,i32,f32,u64,u32+u32].
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = kind,
        conflicts_with_all = ["keys", "type"]
    )]
    types: Vec<String>,

    /// Sort other types and orders than the five, or beside those of --types: 8, 16 and 128
    /// bits, half precision, indices, descending, by some bits, and by value.
    #[arg(long, conflicts_with_all = ["keys", "type"])]
    variants: bool,

    /// Numbers of elements: 1000000, 2^20 or 2^20-1, or a range, in which an exponent
    /// counts: 2^10..2^28, or every second 2^10..2^28:2.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = sizes,
        default_value = "2^10..2^28:2", conflicts_with_all = ["keys", "type"]
    )]
    sizes: Vec<Sizes>,

    /// How keys are spread.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = spread_parser(),
        default_value = "uniform", conflicts_with_all = ["keys", "type"]
    )]
    distributions: Vec<Spread>,

    /// Sorts of ours to measure: as the device plans them, and by match ranking alone, which
    /// is stable whatever the order of atomics.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum, default_value = "gpu")]
    ours: Vec<Ours>,

    /// Samples of each engine, at least.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = sample_count)]
    pub samples: usize,

    /// Peers to measure beside ours.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = PossibleValuesParser::new(engines::peers()),
        default_value = "cub,cupy,torch"
    )]
    peers: Vec<String>,

    /// Where the draws of the keys start.
    #[arg(
        long, value_name = "SEED", default_value_t = DEFAULT_SEED, value_parser = parse_seed,
        conflicts_with_all = ["keys", "type"]
    )]
    pub seed: u64,

    /// Also sort the classic workload from and to host memory, by the host's clock.
    #[arg(long)]
    end_to_end: bool,

    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write every time to this file, a line an input, engine and variant, as they
    /// are taken.
    #[arg(long, value_name = "FILE.jsonl")]
    pub records: Option<PathBuf>,
}

impl Options {
    /// The cases of our sort, in the order of the table. A file of keys is the only input
    /// there is.
    pub(crate) fn cases(&self, file: Option<&KeyFile>) -> Vec<Case> {
        let mut types: Vec<&str> = self.types.iter().map(String::as_str).collect();
        if self.variants {
            types.extend(KEY_VARIANTS.iter().chain(PAIR_VARIANTS));
        } else if types.is_empty() {
            types.extend(TYPES);
        }
        let distributions = once_each(self.distributions.iter().flatten());
        let sizes = once_each(self.sizes.iter().flatten());
        let types = once_each(types.into_iter());
        let case =
            |group, kind, distribution: &str, n| Case::new(group, GPU, (kind, distribution, n), 1);
        let mut cases = Vec::new();
        let types = if file.is_some() { &types[..1] } else { &types };
        let sizes = if file.is_some() { &sizes[..1] } else { &sizes };
        for &kind in types {
            let group = if kind.contains('+') { "pairs" } else { "device" };
            for distribution in &distributions {
                let distribution = distribution.to_string();
                let each = sizes.iter().map(|&&n| case(group, kind, &distribution, n));
                cases.extend(each);
            }
        }
        if self.end_to_end {
            cases.push(Case::classic(GPU, CLASSIC_N, 1));
        }
        if let Some(file) = file {
            cases = cases.into_iter().map(|case| file.of_case(case)).collect();
        }
        cases
    }

    pub(crate) fn ours(&self) -> Vec<&'static str> {
        once_each(self.ours.iter().map(|ours| ours.engine()))
    }

    pub(crate) fn peers(&self) -> Vec<&str> {
        once_each(self.peers.iter().map(String::as_str))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ours {
    /// As the plan made on the device says: by match ranking, or by atomics that are checked
    /// afterwards.
    #[value(name = "gpu")]
    Planned,
    /// By match ranking in every pass: stable whatever the order of atomics.
    #[value(name = "gpu-ballots")]
    Match,
}

impl Ours {
    fn engine(self) -> &'static str {
        match self {
            Self::Planned => GPU,
            Self::Match => "gpu@ballots",
        }
    }
}

/// Reads the name of a type and an order.
fn kind(name: &str) -> Result<String, suite::Error> {
    registry::kind(name).map(|_| name.to_owned())
}

/// A size or a range of them. By another name, as clap's derive takes a list of lists for itself.
type Sizes = Vec<usize>;

/// A distribution, or all.
type Spread = Vec<Distribution>;

/// Reads a name, and lists all with what they mean.
fn spread_parser() -> impl TypedValueParser<Value = Spread> {
    let named = Distribution::ALL.iter().filter_map(ValueEnum::to_possible_value);
    let all = PossibleValue::new(ALL).help("All of these");
    PossibleValuesParser::new(named.chain([all])).map(|name| {
        // The parser lets names of distributions pass, and this one.
        name.parse().map_or_else(|_| Distribution::ALL.to_vec(), |one| vec![one])
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::title;
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        crate::cmd::parsed(line)
    }

    #[test]
    fn what_is_not_said_is_what_the_table_is_for() {
        let options = parsed("").unwrap();
        let cases = options.cases(None);
        let sizes = [10, 12, 14, 16, 18, 20, 22, 24, 26, 28].map(|k| 1 << k);
        let of_first: Vec<usize> = cases[..10].iter().map(|case| case.n).collect();
        assert_eq!(of_first, sizes);
        assert_eq!(cases.len(), TYPES.len() * sizes.len());
        let uniform = |case: &Case| case.distribution == "uniform";
        assert!(cases.iter().all(uniform));
        assert_eq!(options.ours(), ["gpu"]);
        assert_eq!(options.peers(), ["cub", "cupy", "torch"]);
        assert_eq!(options.samples, 20);
    }

    #[test]
    fn lists_are_read() {
        let options = parsed(
            "--sizes 2^10-1,1000,3^2,2^2..2^4 --types i32,u32 --distributions sorted,zipf \
             --ours gpu,gpu-ballots,gpu --peers torch,cub,torch",
        );
        let options = options.unwrap();
        let titles: Vec<String> = options.cases(None).iter().map(title).collect();
        assert_eq!(titles.len(), 24);
        assert_eq!(titles[0], "i32, 2^10-1, sorted");
        assert_eq!(titles[23], "u32, 16, zipf");
        assert_eq!(options.ours(), ["gpu", "gpu@ballots"]);
        assert_eq!(options.peers(), ["torch", "cub"]);
    }

    #[test]
    fn variants_are_sorted_in_place_of_the_five_types_or_beside_others() {
        let cases = |line: &str| parsed(line).unwrap().cases(None);
        let variants = cases("--variants --sizes 2^24");
        assert_eq!(variants.len(), KEY_VARIANTS.len() + PAIR_VARIANTS.len());
        assert!(variants.iter().all(suite::registry::is_measured));
        assert!(variants.iter().all(|case| !TYPES.contains(&&*case.kind)));
        let some = cases("--variants --types u32,u64@8..16@descending,u32+index --sizes 2^24");
        let titles: Vec<String> = some[..3].iter().map(title).collect();
        let own = [
            "u32, 2^24, uniform",
            "u64@8..16@descending, 2^24, uniform",
            "u32+index, 2^24, uniform",
        ];
        assert_eq!(titles, own);
        assert_eq!(some[2].group, "pairs");
        assert_eq!(some.len(), variants.len() + 2, "each once");
    }

    #[test]
    fn all_is_every_distribution_once() {
        let options = parsed("--types i32 --sizes 1 --distributions special,all");
        let cases = options.unwrap().cases(None);
        let spreads: Vec<&str> = cases.iter().map(|case| &*case.distribution).collect();
        assert_eq!(spreads.len(), Distribution::ALL.len());
        assert_eq!(spreads[..2], ["special", "uniform"]);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_the_remedy() {
        for (line, item, remedy) in [
            ("--sizes 2^10,many", "'many'", "write it like 1000000, 2^20"),
            ("--sizes 2^64", "'2^64'", "in range"),
            ("--sizes -5", "-5", ""),
            ("--sizes 1,,2", "''", "2^20"),
            ("--sizes 0", "'0'", "take 1 or more"),
            ("--sizes 5..1", "'5..1'", "upwards"),
            ("--types u33", "'u33'", "u32, i32"),
            ("--types u32@up", "`up`", "descending"),
            ("--distributions even", "'even'", "uniform, classic, entropy-0.811"),
            ("--ours best", "'best'", "gpu, gpu-ballots"),
            ("--peers cud", "'cud'", "cub, cupy, torch"),
            ("--samples 0", "'0'", "take 1 or more"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(item), "{line}: {message}");
            assert!(message.contains(remedy), "{line}: {message}");
        }
    }

    #[test]
    fn cases_are_every_type_with_every_spread_at_every_size() {
        let options = parsed("--types i32 --sizes 1,2 --distributions sorted,uniform --end-to-end");
        let cases: Vec<String> = options.unwrap().cases(None).iter().map(title).collect();
        assert_eq!(
            cases,
            [
                "i32, 1, sorted",
                "i32, 2, sorted",
                "i32, 1, uniform",
                "i32, 2, uniform",
                "i32, 50,000,000, classic (host)",
            ]
        );
    }
}
