//! What each tier has of each group, before settings choose among it.

use super::group::Group;
use super::plan::Tier;
use crate::record;
use crate::workload::{CLASSIC_LEVELS, CLASSIC_N};

/// Cells that are every combination of these. The levels are those of engines that a
/// level changes.
#[derive(Clone, Debug)]
pub struct Axes {
    /// Types.
    pub types: &'static [&'static str],
    /// Distributions.
    pub distributions: &'static [&'static str],
    /// Numbers of elements.
    pub sizes: Vec<usize>,
    /// Concurrency levels.
    pub levels: Vec<usize>,
}

const U32: &[&str] = &["u32"];
const I32: &[&str] = &["i32"];
const UNIFORM: &[&str] = &["uniform"];
const CLASSIC: &[&str] = &["classic"];
/// Distributions that differ in what they do to a sort.
const SPREADS: &[&str] = &["uniform", "constant", "sorted", "reversed"];
/// Levels that show the shape of a curve.
const SOME_LEVELS: &[usize] = &[1, 2, 4, 8, 32, 128];
const TWO_LEVELS: &[usize] = &[1, 4];

impl Tier {
    /// The one of three that is meant.
    fn of<T>(self, quick: T, default: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Default => default,
            Self::Full => full,
        }
    }
}

/// What `tier` has of `group`. Several, where not every size has every distribution.
/// Without a GPU, as many elements as two cores sort in good time.
pub fn axes(tier: Tier, group: Group, with_gpu: bool) -> Vec<Axes> {
    let at = |cpu: usize, gpu: usize| if with_gpu { gpu } else { cpu };
    let levels = tier
        .of(TWO_LEVELS, &CLASSIC_LEVELS, &CLASSIC_LEVELS)
        .to_vec();
    let cores = record::cores();
    let one = |types, distributions, n| Axes {
        types,
        distributions,
        sizes: vec![n],
        levels: levels.clone(),
    };
    match group {
        Group::Classic => {
            let n = tier.of(at(500_000, CLASSIC_N), at(2_000_000, CLASSIC_N), CLASSIC_N);
            vec![one(I32, CLASSIC, n)]
        }
        Group::Device => device(tier),
        Group::DeviceCold => {
            let exponents: &[u32] =
                tier.of(&[20], &[16, 20, 24], &[10, 12, 14, 16, 18, 20, 22, 24, 26]);
            vec![powers(U32, UNIFORM, exponents, &[1])]
        }
        Group::DeviceGraph => {
            let types: &[&str] = tier.of(U32, U32, &["u32", "u64"]);
            let exponents: &[u32] = tier.of(&[14], &[10, 14, 18], &[8, 10, 12, 14, 16, 18, 20]);
            vec![powers(types, UNIFORM, exponents, &[1])]
        }
        Group::Split => {
            let n = tier.of(at(1 << 18, 1 << 24), at(1 << 20, 1 << 26), 1 << 26);
            vec![one(U32, UNIFORM, n)]
        }
        Group::Batch => {
            let exponents: &[u32] = match (tier, with_gpu) {
                (Tier::Quick, false) => &[14],
                (Tier::Quick, true) | (Tier::Default, false) => &[16],
                (Tier::Default, true) => &[18],
                (Tier::Full, _) => &[14, 18, 22],
            };
            let levels = tier.of(TWO_LEVELS, SOME_LEVELS, &CLASSIC_LEVELS);
            vec![powers(U32, UNIFORM, exponents, levels)]
        }
        Group::Pairs => {
            let types: &[&str] = tier.of(&["u32+u32"], &["u32+u32"], &["u32+u32", "u64+u32"]);
            let exponents: &[u32] = match (tier, with_gpu) {
                (Tier::Quick, false) => &[16],
                (Tier::Quick, true) => &[20],
                (Tier::Default, false) => &[16, 20],
                (Tier::Default, true) => &[16, 20, 24, 26],
                (Tier::Full, _) => &[12, 14, 16, 18, 20, 22, 24, 26],
            };
            let spreads = tier.of(UNIFORM, UNIFORM, SPREADS);
            vec![powers(types, spreads, exponents, &[1, cores])]
        }
        Group::Cpu => cpu(tier, cores),
        Group::Transfer => {
            let n = tier.of(
                at(2_000_000, CLASSIC_N),
                at(10_000_000, CLASSIC_N),
                CLASSIC_N,
            );
            let levels: &[usize] = tier.of(TWO_LEVELS, &[1, 2, 4, 8], &CLASSIC_LEVELS);
            vec![Axes {
                levels: levels.to_vec(),
                ..one(I32, CLASSIC, n)
            }]
        }
    }
}

fn powers(
    types: &'static [&'static str],
    distributions: &'static [&'static str],
    exponents: &[u32],
    levels: &[usize],
) -> Axes {
    Axes {
        types,
        distributions,
        sizes: exponents.iter().map(|exponent| 1 << exponent).collect(),
        levels: levels.to_vec(),
    }
}

fn device(tier: Tier) -> Vec<Axes> {
    match tier {
        Tier::Quick => vec![powers(U32, UNIFORM, &[16, 20], &[1])],
        Tier::Default => vec![
            powers(&["u32", "u64"], UNIFORM, &[12, 16, 20, 24, 26], &[1]),
            powers(U32, SPREADS, &[24], &[1]),
        ],
        Tier::Full => vec![
            powers(
                &["u32", "i32", "f32", "u64"],
                UNIFORM,
                &[10, 12, 14, 16, 18, 20, 22, 24, 26, 28],
                &[1],
            ),
            powers(&["u32", "u64"], SPREADS, &[16, 20, 24, 28], &[1]),
        ],
    }
}

fn cpu(tier: Tier, cores: usize) -> Vec<Axes> {
    let types: &[&str] = tier.of(U32, &["u32", "u64"], &["u32", "i32", "u64", "f32"]);
    let exponents: &[u32] = tier.of(&[16], &[12, 16, 20], &[10, 12, 14, 16, 18, 20, 22, 24, 26]);
    let spreads: &[&str] = tier.of(&["sorted"], SPREADS, SPREADS);
    let exponent: &[u32] = tier.of(&[16], &[20], &[24]);
    vec![
        powers(types, UNIFORM, exponents, &[cores]),
        powers(U32, spreads, exponent, &[cores]),
    ]
}
