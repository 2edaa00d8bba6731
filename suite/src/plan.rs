//! Which cases a run has: a tier, and settings that choose among them.
//!
//! | tier | what it is for | how long |
//! |---|---|---|
//! | `quick` | does everything run, and about how fast | under 2 minutes on two cores |
//! | `default` | every question once | under 10 minutes on two cores without a GPU |
//! | `full` | every axis: sizes to 2^28, all types and distributions | about 10 minutes on 16 cores with a GPU |
//!
//! With a GPU, tiers leave out what would be most of their time: engines of the CPU on
//! large inputs in groups where the GPU is measured, and of peers the largest inputs.
//! Sizes that are asked for are measured by all.
//!
//! Settings come from the environment, because Criterion owns the command line of a
//! benchmark:
//!
//! | variable | what it chooses | where it is not set |
//! |---|---|---|
//! | `CUDAMARK_TIER` | the tier | `default` |
//! | `CUDAMARK_N` | numbers of elements, as in `1000000` or `2^16..2^20:2` | by tier and group |
//! | `CUDAMARK_TYPES` | types, as in `u32,u64`, and orders, as in `u32@descending,u64@0..32` | by tier and group |
//! | `CUDAMARK_DISTRIBUTIONS` | distributions, as in `uniform,sorted` | by tier and group |
//! | `CUDAMARK_LEVELS` | concurrency levels, as in `1,2,4` | by tier and group |
//! | `CUDAMARK_ENGINES` | engines, as in `gpu,cpu-std` | all that can run |
//! | `CUDAMARK_DEVICES` | GPUs that the engine `gpu` goes over in `classic`, `split` and `batch`, beside the one over the first: `all`, or how many | none |
//! | `CUDAMARK_KEYS` | a file of keys in place of drawn ones: NumPy's .npy, or raw | none |
//! | `CUDAMARK_KEYS_TYPE` | type of its keys, if it is raw | |
//! | `CUDAMARK_SEED` | seed of the inputs | 42 |

use std::env::{self, VarError};
use std::fmt::Display;
use std::iter;
use std::path::PathBuf;

use crate::case::Case;
use crate::devices_engine::{self, Gpus};
use crate::engine;
use crate::engines;
use crate::error::{Error, unknown};
use crate::group::Group;
use crate::registry;
use crate::tiers::{self, Axes, Tier};
use crate::workload::{self, DEFAULT_SEED, Distribution, KeyFile};

/// Choices; `None` stands for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// How much is measured.
    pub tier: Tier,
    /// Numbers of elements.
    pub sizes: Option<Vec<usize>>,
    /// Names of types.
    pub types: Option<Vec<String>>,
    /// Names of distributions.
    pub distributions: Option<Vec<String>>,
    /// Concurrency levels.
    pub levels: Option<Vec<usize>>,
    /// Names of engines.
    pub engines: Option<Vec<String>>,
    /// GPUs that the engine `gpu` goes over, beside the one over the first.
    pub devices: Option<Gpus>,
    /// File whose keys are sorted: with them type, distribution and number are given.
    pub keys: Option<KeyFile>,
    /// Seed of the inputs, if not 42.
    pub seed: Option<u64>,
}

impl Settings {
    /// Those of the environment.
    pub fn of_environment() -> Result<Self, Error> {
        Self::of(|name| env::var(name))
    }

    fn of(get: impl Fn(&str) -> Result<String, VarError>) -> Result<Self, Error> {
        let variables = Variables(get);
        let all = engines::names(|_| true);
        let keys = variables.keys()?;
        Ok(Self {
            keys,
            tier: (variables.one("CUDAMARK_TIER", str::parse)?).unwrap_or_default(),
            sizes: variables.list("CUDAMARK_N", workload::sizes::sizes)?.map(|all| all.concat()),
            types: variables
                .list("CUDAMARK_TYPES", |word| registry::kind(word).map(|_| word.to_owned()))?,
            distributions: variables.list("CUDAMARK_DISTRIBUTIONS", |word| {
                word.parse().map(|distribution: Distribution| distribution.to_string())
            })?,
            levels: variables.list("CUDAMARK_LEVELS", engine::parse_level)?,
            engines: variables.list("CUDAMARK_ENGINES", |word| match all.contains(&word) {
                true => Ok(word.to_owned()),
                false => Err(unknown("engine", word, &all)),
            })?,
            devices: variables.one("CUDAMARK_DEVICES", str::parse)?,
            seed: variables.one("CUDAMARK_SEED", workload::parse_seed)?,
        })
    }

    /// The seed of the inputs.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }
}

/// Where variables are looked up.
struct Variables<F>(F);

impl<F: Fn(&str) -> Result<String, VarError>> Variables<F> {
    /// The variable `setting`, if it is set, as `parse` reads it.
    fn one<T, E: Display>(
        &self,
        setting: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Error> {
        let wrong = |given: &str, reason: String| Error::Setting {
            setting,
            given: given.to_owned(),
            reason,
        };
        match (self.0)(setting) {
            Ok(text) => {
                parse(text.trim()).map(Some).map_err(|error| wrong(&text, error.to_string()))
            }
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(text)) => {
                Err(wrong(&text.to_string_lossy(), "not text".to_owned()))
            }
        }
    }

    /// The file of keys, and none of what it gives itself.
    fn keys(&self) -> Result<Option<KeyFile>, Error> {
        let text = |name| self.one(name, |text| Ok::<_, String>(text.to_owned()));
        let (path, kind) = (text("CUDAMARK_KEYS")?, text("CUDAMARK_KEYS_TYPE")?);
        let wrong = |setting, given: &str, reason: String| {
            Err(Error::Setting { setting, given: given.to_owned(), reason })
        };
        let Some(path) = path else {
            return match kind {
                Some(kind) => {
                    let reason = "no CUDAMARK_KEYS has keys of this type; set or unset both";
                    wrong("CUDAMARK_KEYS_TYPE", &kind, reason.to_owned())
                }
                None => Ok(None),
            };
        };
        for other in ["CUDAMARK_N", "CUDAMARK_TYPES", "CUDAMARK_DISTRIBUTIONS"] {
            if text(other)?.is_some() {
                let reason = format!("a file has its own keys; unset this or {other}");
                return wrong("CUDAMARK_KEYS", &path, reason);
            }
        }
        registry::key_file(&PathBuf::from(path), kind.as_deref()).map(Some)
    }

    /// The same for items with commas between them.
    fn list<T, E: Display>(
        &self,
        setting: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, Error> {
        self.one(setting, |text| text.split(',').map(|item| parse(item.trim())).collect())
    }
}

/// The cases of a run, group by group.
#[derive(Clone, Debug)]
pub struct Plan {
    settings: Settings,
    with_gpu: bool,
}

impl Plan {
    /// The cases of `settings` on a machine with or without a GPU.
    pub fn new(settings: Settings, with_gpu: bool) -> Self {
        Self { settings, with_gpu }
    }

    /// The cases of `group`, in the order in which they are measured: all of one chart
    /// together, and in it all of one input. Cases of engines that cannot run are among
    /// them.
    pub fn cases(&self, group: Group) -> Vec<Case> {
        let mut cases = Vec::new();
        for axes in tiers::axes(self.settings.tier, group, self.with_gpu) {
            for kind in chosen(&self.settings.types, axes.types) {
                for distribution in chosen(&self.settings.distributions, axes.distributions) {
                    for &n in self.settings.sizes.as_ref().unwrap_or(&axes.sizes) {
                        let case = Case::new(group.name(), "", (&kind, &distribution, n), 1);
                        let case = match &self.settings.keys {
                            Some(keys) => keys.of_case(case),
                            None => case,
                        };
                        self.add_levels(group, &axes, &case, &mut cases);
                    }
                }
            }
        }
        // Criterion draws a chart of the benchmarks that follow one another.
        let charts: Vec<String> = cases.iter().map(Case::chart).collect();
        cases.sort_by_cached_key(|case| {
            let chart = case.chart();
            charts.iter().position(|known| *known == chart)
        });
        cases
    }

    /// Adds `input` with every engine and level. Of keys of a file, payloads and orders that
    /// they do not have are left out.
    fn add_levels(&self, group: Group, axes: &Axes, input: &Case, cases: &mut Vec<Case>) {
        let levels = self.settings.levels.as_ref().unwrap_or(&axes.levels);
        let size = registry::bytes_of(&input.kind);
        if size.is_none() && self.settings.keys.is_some() {
            return;
        }
        let bytes = input.n.saturating_mul(size.unwrap_or(1));
        for engine in group.engines() {
            let wanted = self.settings.engines.as_ref();
            if wanted.is_some_and(|wanted| !wanted.iter().any(|name| name == engine)) {
                continue;
            }
            let asked = self.settings.sizes.is_some() || self.settings.keys.is_some();
            if !asked && !tiers::takes(group, engine, bytes, self.with_gpu) {
                continue;
            }
            let one: &[usize] = &[1];
            for name in iter::once(engine.to_owned()).chain(self.over_devices(group, engine)) {
                for &level in if group.ignores_level(engine) { one } else { levels } {
                    let case = input.of_engine(&name).at_level(level);
                    if registry::is_measured(&case) && !cases.contains(&case) {
                        cases.push(case);
                    }
                }
            }
        }
    }

    /// The engine over the GPUs that were asked for, if there are several and it goes over them.
    fn over_devices(&self, group: Group, engine: &str) -> Option<String> {
        let goes = engine == engines::GPU && devices_engine::GROUPS.contains(&group);
        let count = self.settings.devices.filter(|_| goes)?.count();
        (count > 1).then(|| devices_engine::name(count))
    }
}

/// The words that a setting chose, or else `all`.
fn chosen(setting: &Option<Vec<String>>, all: &[&str]) -> Vec<String> {
    match setting {
        Some(words) => words.clone(),
        None => all.iter().map(|word| (*word).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    fn names(plan: &Plan, group: Group) -> Vec<String> {
        plan.cases(group).iter().map(Case::to_string).collect()
    }

    #[test]
    fn every_cell_of_every_tier_has_a_name_of_its_own_that_is_read_back() {
        for tier in Tier::ALL {
            for with_gpu in [false, true] {
                let settings = Settings { tier, ..Settings::default() };
                let plan = Plan::new(settings, with_gpu);
                for group in Group::ALL {
                    let mut names = names(&plan, group);
                    assert!(!names.is_empty(), "{group}");
                    let cases = plan.cases(group);
                    let charts = cases.chunk_by(|a, b| a.chart() == b.chart()).count();
                    let distinct: BTreeSet<String> = cases.iter().map(Case::chart).collect();
                    assert_eq!(charts, distinct.len(), "{group}: a chart is left and come back to");
                    for name in &names {
                        assert_eq!(name.parse::<Case>().unwrap().to_string(), *name);
                    }
                    let count = names.len();
                    names.sort();
                    names.dedup();
                    assert_eq!(names.len(), count, "{group}");
                }
            }
        }
    }

    /// A case takes a second or two, or no time where a peer does not sort such keys: the tier
    /// stays under ten minutes.
    #[test]
    fn the_full_tier_beside_a_gpu_is_of_a_few_hundred_cases() {
        let settings = Settings { tier: Tier::Full, ..Settings::default() };
        let plan = Plan::new(settings, true);
        let counts = Group::ALL.map(|group| plan.cases(group).len());
        assert!(counts.iter().sum::<usize>() < 500, "{counts:?}");
    }

    #[test]
    fn sizes_that_are_asked_for_are_measured_by_all() {
        let full = |variables: &[(&str, &str)]| {
            let variables = [&[("CUDAMARK_TIER", "full")][..], variables].concat();
            let plan = Plan::new(settings(&variables).unwrap(), true);
            names(&plan, Group::Split)
        };
        let large = "split/u32-uniform-67108864/cpu-std/1".to_owned();
        assert!(!full(&[]).contains(&large));
        assert!(full(&[("CUDAMARK_N", "2^26")]).contains(&large));
    }

    #[test]
    fn settings_choose() {
        let settings = settings(&[
            ("CUDAMARK_N", "1000, 2^4"),
            ("CUDAMARK_LEVELS", "1,3"),
            ("CUDAMARK_ENGINES", "cpu-std"),
            ("CUDAMARK_TYPES", "u64"),
            ("CUDAMARK_DISTRIBUTIONS", "sorted"),
            ("CUDAMARK_SEED", "7"),
            ("CUDAMARK_TIER", "quick"),
        ]);
        let settings = settings.unwrap();
        assert_eq!((settings.seed(), settings.tier), (7, Tier::Quick));
        let plan = Plan::new(settings, false);
        assert_eq!(
            names(&plan, Group::Classic),
            [
                "classic/u64-sorted-1000/cpu-std/1",
                "classic/u64-sorted-1000/cpu-std/3",
                "classic/u64-sorted-16/cpu-std/1",
                "classic/u64-sorted-16/cpu-std/3",
            ]
        );
        assert!(names(&plan, Group::Device).is_empty());
    }

    #[test]
    fn cases_over_several_gpus_stand_beside_those_over_one() {
        let with = |devices: &str| {
            let variables = [("CUDAMARK_DEVICES", devices), ("CUDAMARK_LEVELS", "4")];
            Plan::new(settings(&variables).unwrap(), true)
        };
        for group in Group::ALL {
            let [one, two] = ["1", "2"].map(|devices| names(&with(devices), group));
            let over: Vec<_> = two.iter().filter(|name| name.contains("@2-devices")).collect();
            assert_eq!(over.is_empty(), !devices_engine::GROUPS.contains(&group), "{group}");
            for name in &over {
                assert!(one.contains(&name.replace("@2-devices", "")), "{name}");
            }
            assert_eq!(two.len(), one.len() + over.len());
        }
    }

    #[test]
    fn settings_that_cannot_be_read_are_named() {
        for (variable, text, said) in [
            ("CUDAMARK_TIER", "slow", "there are quick, default, full"),
            ("CUDAMARK_N", "many", "1000000"),
            ("CUDAMARK_N", "0", "take 1 or more"),
            ("CUDAMARK_N", "2^99", "in range"),
            ("CUDAMARK_LEVELS", "1,0", "level 0"),
            ("CUDAMARK_LEVELS", "1,two", "`two`"),
            ("CUDAMARK_ENGINES", "gpu,abacus", "`abacus` is not known here; there are gpu"),
            ("CUDAMARK_TYPES", "u33", "there are u32"),
            ("CUDAMARK_DISTRIBUTIONS", "even", "there are uniform"),
            ("CUDAMARK_DEVICES", "0", "neither all nor a number"),
            ("CUDAMARK_SEED", "x", "whole number"),
        ] {
            let error = settings(&[(variable, text)]).unwrap_err().to_string();
            let start = format!("{variable}: `{text}`: ");
            assert!(error.starts_with(&start) && error.contains(said), "{error}");
        }
        assert_eq!(settings(&[]).unwrap(), Settings::default());
    }

    #[test]
    fn a_file_of_keys_takes_the_place_of_types_sizes_and_distributions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.bin");
        std::fs::write(&path, [7; 16]).unwrap();
        let path = path.to_str().unwrap();
        for (kind, n, pairs) in [("u64", 2, true), ("i32", 4, false)] {
            let variables = [("CUDAMARK_KEYS", path), ("CUDAMARK_KEYS_TYPE", kind)];
            let settings = settings(&variables).unwrap();
            let name = settings.keys.as_ref().unwrap().name().to_owned();
            let plan = Plan::new(settings, true);
            for group in Group::ALL {
                let cases = plan.cases(group);
                assert_eq!(cases.is_empty(), group == Group::Pairs && !pairs, "{group}");
                for case in cases {
                    assert_eq!((&case.distribution, case.n), (&name, n));
                    assert!(case.kind.starts_with(kind), "{case}");
                }
            }
            assert!(plan.cases(Group::Split).iter().any(|case| case.engine == "cpu-std"));
        }
        for (other, text) in
            [("CUDAMARK_N", "5"), ("CUDAMARK_TYPES", "u32"), ("CUDAMARK_DISTRIBUTIONS", "sorted")]
        {
            let error =
                settings(&[("CUDAMARK_KEYS", path), (other, text)]).unwrap_err().to_string();
            assert!(error.starts_with("CUDAMARK_KEYS: `") && error.contains(other), "{error}");
        }
        let error = settings(&[("CUDAMARK_KEYS_TYPE", "u32")]).unwrap_err().to_string();
        assert!(error.contains("no CUDAMARK_KEYS"), "{error}");
        let error = settings(&[("CUDAMARK_KEYS", path)]).unwrap_err().to_string();
        assert!(error.starts_with(path) && error.contains("--type u32"), "{error}");
    }

    #[test]
    fn engines_are_measured_at_the_levels_that_change_them() {
        let plan = Plan::new(Settings::default(), true);
        let classic = names(&plan, Group::Classic);
        assert!(classic.contains(&"classic/i32-classic-50000000/gpu/128".to_owned()));
        let cupy: Vec<_> = classic.iter().filter(|name| name.contains("/cupy/")).collect();
        assert_eq!(cupy, ["classic/i32-classic-50000000/cupy/1"]);
        let transfer = names(&plan, Group::Transfer);
        let pinned = transfer.iter().filter(|name| name.contains("/pinned-in/"));
        assert_eq!(pinned.count(), 1);
    }
}
