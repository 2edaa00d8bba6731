//! Axes of each group in each tier, before settings choose among them.

use crate::engines::{self, is_peer};
use crate::environment;
use crate::group::Group;
use crate::names::named;
use crate::registry::{KEY_VARIANTS, PAIR_VARIANTS};
use crate::workload::{CLASSIC_LEVELS, CLASSIC_N};

named! {
    /// How much is measured.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Tier as "tier" {
        /// Does everything run, and about how fast.
        Quick = "quick",
        #[default]
        /// Every question once.
        Default = "default",
        /// Every axis.
        Full = "full",
    }
}

/// Cases that are every combination of these. The levels are those of engines that a
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
/// All distributions of keys but those made against our own kernels, and of what floats
/// alone have.
const ALL_SPREADS: &[&str] = &[
    "uniform",
    "entropy-0.811",
    "entropy-0.544",
    "entropy-0.337",
    "entropy-0.201",
    "classic",
    "constant",
    "sorted",
    "reversed",
    "nearly-sorted",
    "organ-pipe",
    "few-distinct",
    "zipf",
];
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

/// The axes of `group` in `tier`. Several, where not every size has every distribution.
/// Without a GPU, as many elements as two cores sort in good time.
pub fn axes(tier: Tier, group: Group, with_gpu: bool) -> Vec<Axes> {
    let at = |cpu: usize, gpu: usize| if with_gpu { gpu } else { cpu };
    let levels = tier.of(TWO_LEVELS, &CLASSIC_LEVELS, &CLASSIC_LEVELS).to_vec();
    let cores = environment::cores();
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
        Group::Split => split(tier, with_gpu, &levels),
        Group::Devices => devices(tier),
        Group::Batch => {
            let exponents: &[u32] = match (tier, with_gpu) {
                (Tier::Quick, false) => &[14],
                (Tier::Quick, true) | (Tier::Default, false) => &[16],
                (Tier::Default, true) => &[18],
                (Tier::Full, _) => &[14, 18],
            };
            let levels = tier.of(TWO_LEVELS, SOME_LEVELS, SOME_LEVELS);
            vec![powers(U32, UNIFORM, exponents, levels)]
        }
        Group::Segments | Group::Ragged => {
            // Of 16 to 4096 keys each, or on average.
            let exponent = tier.of(18, 24, 24);
            let shifts: &[u32] = tier.of(&[4, 12], &[4, 8, 12], &[4, 6, 8, 10, 12]);
            let levels: Vec<usize> = shifts.iter().rev().map(|by| 1 << (exponent - by)).collect();
            let types: &[&str] = match (group, tier) {
                (Group::Segments, Tier::Full) => &["u32", "u32+u32"],
                _ => U32,
            };
            vec![powers(types, UNIFORM, &[exponent], &levels)]
        }
        Group::Pairs => pairs(tier, with_gpu, cores),
        Group::Cpu => cpu(tier, cores),
        Group::Transfer => {
            let n = tier.of(at(2_000_000, CLASSIC_N), at(10_000_000, CLASSIC_N), CLASSIC_N);
            let levels: &[usize] = tier.of(TWO_LEVELS, &[1, 2, 4, 8], SOME_LEVELS);
            vec![Axes { levels: levels.to_vec(), ..one(I32, CLASSIC, n) }]
        }
        Group::Emulator => {
            let n = tier.of(20_000, 100_000, 100_000);
            vec![Axes { levels: vec![1], ..one(U32, UNIFORM, n) }]
        }
    }
}

/// Most bytes of an input that a peer is handed as a file, and hands back to be verified
/// after each sample.
const PEERS_MOST: usize = 1 << 28;
/// Most bytes of an input that engines of the CPU sort beside a GPU: they take seconds
/// for what it does in milliseconds, and would be most of the run.
const CPU_MOST: usize = 1 << 24;

/// Returns true if a tier measures `engine` on an input of `bytes` bytes, which sizes that were
/// asked for are measured on in any case.
pub fn takes(group: Group, engine: &str, bytes: usize, with_gpu: bool) -> bool {
    let beside = matches!(group, Group::Split | Group::Batch | Group::Pairs) && with_gpu;
    match engine {
        _ if is_peer(engine) => bytes <= PEERS_MOST,
        _ if beside && !engines::needs_gpu(engine) => bytes <= CPU_MOST,
        _ => true,
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
            powers(U32, UNIFORM, &[10, 12, 14, 16, 18, 20, 22, 24, 26, 28], &[1]),
            powers(&["u64"], UNIFORM, &[12, 16, 20, 24, 28], &[1]),
            powers(&["i32", "f32"], UNIFORM, &[16, 20, 24], &[1]),
            powers(U32, ALL_SPREADS, &[24], &[1]),
            powers(&["f32"], &["special"], &[24], &[1]),
            powers(KEY_VARIANTS, UNIFORM, &[24], &[1]),
        ],
    }
}

fn split(tier: Tier, with_gpu: bool, levels: &[usize]) -> Vec<Axes> {
    let small = if with_gpu { &[24][..] } else { &[18] };
    match tier {
        Tier::Quick => vec![powers(U32, UNIFORM, small, levels)],
        Tier::Default if with_gpu => vec![powers(U32, UNIFORM, &[22, 26], levels)],
        Tier::Default => vec![powers(U32, UNIFORM, &[20], levels)],
        Tier::Full => vec![
            powers(U32, UNIFORM, &[22, 26], levels),
            powers(&["u64", "f32"], UNIFORM, &[24], levels),
        ],
    }
}

/// One GPU, two, four and so on, and all.
pub fn device_counts(all: usize) -> Vec<usize> {
    let doubled = (0..).map(|exponent| 1 << exponent).take_while(|&count| count < all);
    doubled.chain([all]).collect()
}

/// Levels are numbers of GPUs: two where there is one, so that it is said why there is no time.
fn devices(tier: Tier) -> Vec<Axes> {
    let levels = device_counts(environment::gpus().len().max(2));
    let keys: &[u32] = tier.of(&[24], &[24, 26], &[24, 26, 29]);
    let mut all = vec![powers(U32, UNIFORM, keys, &levels)];
    if tier != Tier::Quick {
        all.push(powers(&["u32+u32"], UNIFORM, tier.of(&[], &[26], &[26, 29]), &levels));
    }
    if tier == Tier::Full {
        all.push(powers(U32, SPREADS, &[26], &levels));
    }
    all
}

fn pairs(tier: Tier, with_gpu: bool, cores: usize) -> Vec<Axes> {
    let levels = &[1, cores];
    let exponents: &[u32] = match (tier, with_gpu) {
        (Tier::Quick, false) => &[16],
        (Tier::Quick, true) => &[20],
        (Tier::Default, false) => &[16, 20],
        (Tier::Default, true) | (Tier::Full, _) => &[12, 16, 20, 24, 26],
    };
    let mut all = vec![powers(&["u32+u32"], UNIFORM, exponents, levels)];
    if tier == Tier::Full {
        all.push(powers(&["u64+u32"], UNIFORM, &[16, 20, 24], levels));
        all.push(powers(PAIR_VARIANTS, UNIFORM, &[24], levels));
        all.push(powers(&["u32+u32"], SPREADS, &[24], levels));
    }
    all
}

fn cpu(tier: Tier, cores: usize) -> Vec<Axes> {
    let types: &[&str] = tier.of(U32, &["u32", "u64"], &["u32", "u64"]);
    let exponents: &[u32] = tier.of(&[16], &[12, 16, 20], &[12, 16, 20, 24]);
    let spreads: &[&str] = tier.of(&["sorted"], SPREADS, ALL_SPREADS);
    let exponent: &[u32] = tier.of(&[16], &[20], &[20]);
    let mut all =
        vec![powers(types, UNIFORM, exponents, &[cores]), powers(U32, spreads, exponent, &[cores])];
    if tier == Tier::Full {
        all.push(powers(&["i32", "f32"], UNIFORM, exponent, &[cores]));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_most_of_a_run_is_left_out_beside_a_gpu() {
        for (group, engine, bytes, with_gpu, taken) in [
            (Group::Device, "gpu", 1 << 30, true, true),
            (Group::Device, "cub", 1 << 28, true, true),
            (Group::Device, "torch", 1 << 29, true, false),
            (Group::Split, "gpu", 1 << 28, true, true),
            (Group::Split, "cpu-std", 1 << 28, true, false),
            (Group::Split, "cpu-std", 1 << 28, false, true),
            (Group::Classic, "cpu-std", 1 << 28, true, true),
            (Group::Pairs, "cpu-rayon", 1 << 24, true, true),
        ] {
            assert_eq!(takes(group, engine, bytes, with_gpu), taken, "{group}/{engine} {bytes}");
        }
    }
}
