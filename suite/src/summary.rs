//! Figures of samples: a median and its interval for each case, and what follows from
//! comparing cases.
//!
//! - *Throughput* is elements over the median; of a batch, those of all its arrays.
//! - *Speed-up* is throughput over that of the least level of the same engine and
//!   input; *efficiency* is speed-up over how many times the level is that level.
//! - The *knee* of a level curve is the least level whose throughput is within 5 % of
//!   the best, or whose median lies within the interval of the best: from there on, a
//!   higher level gains nothing that can be seen.
//! - *Share of peak* compares with what a plain copy moves, read and written, in the
//!   memory where the elements lie. Read-once-write-once counts each element once each
//!   way, which no comparison between algorithms can get around. Pass-aware counts the
//!   bytes that a radix sort by 8-bit digits moves: one read to count digits, then a
//!   read and a write for each digit; it is given for the engines that sort so.
//! - *Cycles* for an element: see [`cycles`](mod@crate::cycles).
//! - *Joules for a billion* elements: the mean power that the GPU's counter saw while the
//!   samples were taken, restoring and verifying included, times the median. Of less than
//!   [`COUNTED_S`] the counter's steps say too little, and of cases of the CPU nothing.
//! - The *rank* of engines is the geometric mean, over the inputs and levels that all
//!   of them have, of their median over the least: 1 is fastest everywhere. An engine
//!   that has one level alone counts with it at every level, and one that has fewer than
//!   half of the inputs and levels has no rank.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::Case;
use crate::cycles::Cycles;
use crate::engines::{Backend, CPU_COPY, DEVICE_COPY, GPU, backend};
use crate::group::Group;
use crate::lines::{EnvironmentLine, Sample};
use crate::records::Contents;
use crate::registry;
use crate::runner::Clock;
use crate::statistics;

/// How far from the best throughput a level may be and still be the knee.
const KNEE: f64 = 0.05;

/// Seconds for which energy was counted, at least, before a figure is made of it.
const COUNTED_S: f64 = 1.0;

/// The figures of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The case.
    pub name: Case,
    /// Clock they are read from.
    pub clock: Clock,
    /// Number of samples.
    pub samples: usize,
    /// Median in seconds.
    pub median_s: f64,
    /// Lower end of the interval for the median.
    pub low_s: f64,
    /// Upper end of it.
    pub high_s: f64,
    /// Confidence of that interval, from 0 to 1.
    pub confidence: f64,
    /// Median by the host's clock, if it saw the sorts.
    pub host_s: Option<f64>,
    /// Median by the device's.
    pub device_s: Option<f64>,
    /// Median overlap of the streams.
    pub overlap: Option<f64>,
    /// Arrays that were sorted at a time.
    pub arrays: usize,
    /// Elements a second.
    pub per_second: f64,
    /// Share of what a copy moves, each element read once and written once.
    pub share_once: Option<f64>,
    /// The same for all bytes that the engine's passes move.
    pub share_passes: Option<f64>,
    /// Throughput over that of the least level.
    pub speed_up: Option<f64>,
    /// Speed-up over the number of times that the level is the least.
    pub efficiency: Option<f64>,
    /// Cycles of the GPU's multiprocessors for an element, by the device's clock.
    pub cycles: Option<Cycles>,
    /// Joules of the GPU for a billion elements, where its counter says.
    pub joules_per_billion: Option<f64>,
    /// True of the knee of a curve over levels.
    pub is_knee: bool,
    /// Samples before which something slowed the GPU down.
    pub slowed: usize,
}

/// The figures of one engine and input, level by level.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Engine.
    pub engine: String,
    /// Input: `i32-classic-50000000`.
    pub input: String,
    /// In ascending order of levels.
    pub points: Vec<Figures>,
}

/// An engine's place among the engines of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The engine.
    pub engine: String,
    /// Geometric mean of its median over the least: 1 is fastest everywhere.
    pub over_best: f64,
    /// Inputs and levels in the mean.
    pub cases: usize,
}

/// Figures of records.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Figures by case.
    pub cases: BTreeMap<Case, Figures>,
    /// Where they were measured, the latest last.
    pub environments: Vec<EnvironmentLine>,
    /// Versions of engines that are other libraries'.
    pub engines: BTreeMap<String, String>,
    /// Engines that could not run, and why.
    pub skipped: BTreeMap<String, String>,
}

impl Summary {
    /// The environment that stands for all: the last, or the last with a GPU where
    /// benchmarks of the CPU alone were run beside others.
    pub fn environment(&self) -> Option<&EnvironmentLine> {
        let with_gpu = |line: &&EnvironmentLine| line.environment.gpu.is_some();
        let last = self.environments.iter().rfind(with_gpu);
        last.or(self.environments.last())
    }

    /// Number of machines that they were measured on. A run of the CPU alone does not say the
    /// GPU, and counts as one of a machine with that CPU.
    pub fn machines(&self) -> usize {
        let (with_gpu, without): (Vec<_>, Vec<_>) =
            self.environments.iter().partition(|line| line.environment.gpu.is_some());
        let is_known = |line: &&&EnvironmentLine| {
            with_gpu.iter().any(|other| other.environment.cpu == line.environment.cpu)
        };
        let others = without.iter().filter(|line| !is_known(line));
        let ids = with_gpu.iter().chain(others).map(|line| &line.machine_id);
        ids.collect::<BTreeSet<_>>().len()
    }

    /// Of what a file holds.
    pub fn of(contents: &Contents) -> Self {
        let mut cases = BTreeMap::new();
        for (name, samples) in &contents.cases {
            let environment = samples.last().map(|sample| &sample.environment);
            let environment = environment.and_then(|id| contents.environments.get(id));
            if let Some(figures) = figures(name, samples, environment) {
                cases.insert(name.clone(), figures);
            }
        }
        let mut summary = Self {
            cases,
            environments: contents.environments.values().cloned().collect(),
            engines: contents.engines.clone(),
            skipped: contents.skipped.clone(),
        };
        summary.environments.sort_by_key(|line| line.environment.unix_time_s);
        summary.compare_levels();
        summary
    }

    /// Adds what a later run measured; its figures replace those of the same cases. Each
    /// run's shares are of the copies that it made itself.
    pub fn merge(&mut self, later: Self) {
        self.cases.extend(later.cases);
        self.engines.extend(later.engines);
        self.skipped.extend(later.skipped);
        for line in later.environments {
            self.environments.retain(|known| known.id != line.id);
            self.environments.push(line);
        }
        self.environments.sort_by_key(|line| line.environment.unix_time_s);
    }

    fn compare_levels(&mut self) {
        for curve in
            self.groups().into_iter().flat_map(|group| self.curves(group)).collect::<Vec<_>>()
        {
            let Some(knee) = curve.knee() else { continue };
            let first = &curve.points[0];
            for point in &curve.points {
                let Some(figures) = self.cases.get_mut(&point.name) else { continue };
                let speed_up = point.per_second / first.per_second;
                let times = point.name.level as f64 / first.name.level as f64;
                figures.speed_up = Some(speed_up);
                figures.efficiency = Some(speed_up / times);
                figures.is_knee = point.name == knee.name && point.name.is_over_levels();
            }
        }
    }

    /// Groups that have cases, in the order in which they are shown.
    pub fn groups(&self) -> Vec<Group> {
        let has = |group: &Group| self.cases.keys().any(|name| name.group == group.name());
        Group::ALL.into_iter().filter(has).collect()
    }

    /// The cases of a group: by input, then engine, then level.
    pub fn of_group(&self, group: Group) -> Vec<&Figures> {
        let mut cases: Vec<&Figures> = self.cases.values().collect();
        cases.retain(|figures| figures.name.group == group.name());
        cases.sort_by_key(|figures| {
            let name = &figures.name;
            let input = (name.kind.clone(), name.distribution.clone(), name.n);
            (input, name.engine.clone(), name.level)
        });
        cases
    }

    /// The curves of a group.
    pub fn curves(&self, group: Group) -> Vec<Curve> {
        let mut curves: Vec<Curve> = Vec::new();
        for figures in self.of_group(group) {
            let (engine, input) = (&figures.name.engine, figures.name.input());
            match curves.last_mut() {
                Some(curve) if curve.engine == *engine && curve.input == input => {
                    curve.points.push(figures.clone());
                }
                _ => curves.push(Curve {
                    engine: engine.clone(),
                    input,
                    points: vec![figures.clone()],
                }),
            }
        }
        curves
    }

    /// The engines of a group that have cases, in the group's order.
    pub fn engines_of(&self, group: Group) -> Vec<&'static str> {
        let has = |engine: &&str| {
            let mut names = self.cases.keys();
            names.any(|name| name.group == group.name() && name.engine == **engine)
        };
        group.engines().iter().copied().filter(has).collect()
    }

    /// The case of `engine` for the input and at the level of `name`; of an engine that
    /// ignores the level, its only one.
    pub fn beside(&self, name: &Case, engine: &str) -> Option<&Figures> {
        let theirs = name.of_engine(engine);
        let ignored = theirs.ignores_level();
        self.cases.get(&if ignored { theirs.at_level(1) } else { theirs })
    }

    /// Median of a case over the least of all engines beside it; none of copies, and where no
    /// other engine is.
    pub fn times_best(&self, figures: &Figures) -> Option<f64> {
        let group: Group = figures.name.group.parse().ok()?;
        let engines = self.engines_of(group);
        let all = engines.iter().filter_map(|engine| self.beside(&figures.name, engine));
        let medians: Vec<f64> = all.map(|case| case.median_s).collect();
        let least = medians.iter().copied().fold(figures.median_s, f64::min);
        (medians.len() > 1 && group != Group::Transfer).then(|| figures.median_s / least)
    }

    /// The engines of a group in the order of their rank; empty where fewer than two
    /// have a case in common, and where they are no rivals.
    pub fn rank(&self, group: Group) -> Vec<Rank> {
        let cases = self.of_group(group);
        let keys: BTreeSet<Case> = cases.iter().map(|case| case.name.of_engine("")).collect();
        let mut engines = self.engines_of(group);
        engines.retain(|engine| {
            let has = |key: &&Case| self.beside(key, engine).is_some();
            2 * keys.iter().filter(has).count() >= keys.len()
        });
        if engines.len() < 2 || !group.has_rivals() {
            return Vec::new();
        }
        let times = keys.iter().filter_map(|key| {
            let of = |engine: &&str| Some(self.beside(key, engine)?.median_s);
            engines.iter().map(of).collect()
        });
        let times: Vec<Vec<f64>> = times.collect();
        let rank = |(engine, over_best): (&&str, f64)| Rank {
            engine: (*engine).to_owned(),
            over_best,
            cases: times.len(),
        };
        let means = over_best(&times);
        let mut ranks: Vec<Rank> = engines.iter().zip(means).map(rank).collect();
        ranks.sort_by(|a, b| a.over_best.total_cmp(&b.over_best));
        ranks
    }
}

/// Of each column of times, the geometric mean over rows of its time over the least of the
/// row; none without rows.
pub fn over_best(rows: &[Vec<f64>]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    let mut sums = vec![0.0; columns];
    for row in rows {
        let least = row.iter().copied().fold(f64::INFINITY, f64::min);
        for (sum, time) in sums.iter_mut().zip(row) {
            *sum += (time / least).ln();
        }
    }
    let mean = |sum: f64| (sum / rows.len() as f64).exp();
    sums.into_iter().map(mean).collect()
}

impl Figures {
    /// The median, shared among the arrays.
    pub fn of_array_s(&self) -> f64 {
        self.median_s / self.arrays as f64
    }
}

impl Curve {
    /// True of an engine that works alike at every level, and has one.
    pub fn ignores_level(&self) -> bool {
        self.points.len() == 1 && self.points[0].name.ignores_level()
    }

    /// The point of the best throughput.
    pub fn best(&self) -> &Figures {
        let better = |a: &&Figures, b: &&Figures| a.per_second.total_cmp(&b.per_second);
        // A curve has a point: it is made from one.
        self.points.iter().max_by(better).unwrap_or(&self.points[0])
    }

    /// The knee; none of a single point.
    pub fn knee(&self) -> Option<&Figures> {
        if self.points.len() < 2 {
            return None;
        }
        let best = self.best();
        let elements = best.per_second * best.median_s;
        let within = |point: &&Figures| {
            // Batches grow with the level: times of one element are what compare.
            let scale = elements / (point.per_second * point.median_s);
            point.per_second >= best.per_second * (1.0 - KNEE)
                || point.median_s * scale <= best.high_s
        };
        self.points.iter().find(within)
    }
}

/// The figures of a case; none without samples.
fn figures(
    name: &Case,
    samples: &[Sample],
    environment: Option<&EnvironmentLine>,
) -> Option<Figures> {
    let clock = samples.first()?.clock;
    let seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
    let median_s = statistics::median(&seconds);
    let interval = statistics::interval(&seconds);
    let median_of = |figure: fn(&Sample) -> Option<f64>| {
        let all: Option<Vec<f64>> = samples.iter().map(figure).collect();
        all.map(|all| statistics::median(&all))
    };
    let group: Option<Group> = name.group.parse().ok();
    let arrays = if group == Some(Group::Batch) { name.level } else { 1 };
    let elements = name.n as f64 * arrays as f64;
    let gpu = environment.and_then(|line| line.environment.gpu.as_ref());
    let copied = environment.and_then(|line| copy_bandwidth(name, line));
    let share = |bytes: Option<f64>| Some(elements * bytes? / median_s / copied?);
    Some(Figures {
        name: name.clone(),
        clock,
        samples: samples.len(),
        median_s,
        low_s: interval.low,
        high_s: interval.high,
        confidence: interval.confidence,
        host_s: median_of(|sample| sample.host_s),
        device_s: median_of(|sample| sample.device_s),
        overlap: median_of(|sample| sample.overlap),
        arrays,
        per_second: elements / median_s,
        share_once: share(registry::kind(&name.kind).ok().map(|kind| kind.least_moved() as f64)),
        share_passes: share(pass_bytes(name)),
        speed_up: None,
        efficiency: None,
        cycles: Cycles::of(gpu, elements, samples),
        joules_per_billion: power_w(samples).map(|watts| watts * median_s / elements * 1e9),
        is_knee: false,
        slowed: samples.iter().filter(|sample| !sample.slowdowns.is_empty()).count(),
    })
}

/// Mean power of the GPU while samples were taken; none unless all of them say.
fn power_w(samples: &[Sample]) -> Option<f64> {
    let sum = |figure: fn(&Sample) -> Option<f64>| samples.iter().map(figure).sum::<Option<f64>>();
    let (joules, seconds) = (sum(|of| of.energy_j)?, sum(|of| of.energy_s)?);
    (seconds >= COUNTED_S).then_some(joules / seconds)
}

/// Bytes a second of a copy in the memory where a case's elements lie; none where they are on
/// their way between two memories.
fn copy_bandwidth(name: &Case, line: &EnvironmentLine) -> Option<f64> {
    match (name.group.as_str(), name.engine.as_str()) {
        ("transfer", DEVICE_COPY) => line.device_copy_bytes_per_s,
        ("transfer", CPU_COPY) => line.host_copy_bytes_per_s,
        // The emulator's time is that of its checks.
        ("transfer" | "emulator", _) => None,
        (_, engine) if backend(engine) == Some(Backend::Cpu) => line.host_copy_bytes_per_s,
        ("classic", _) => None,
        _ => line.device_copy_bytes_per_s,
    }
}

/// Bytes that an element costs a radix sort by 8-bit digits: of the engines known to
/// sort so where keys lie on the device.
fn pass_bytes(name: &Case) -> Option<f64> {
    if ![GPU, "cub"].contains(&name.engine.as_str()) || name.group == "classic" {
        return None;
    }
    registry::kind(&name.kind).ok()?.pass_moved().map(|bytes| bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::lines::Line;

    fn contents(cases: &[(&str, &[f64])]) -> Contents {
        let mut environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        environment.id = "e".to_owned();
        environment.host_copy_bytes_per_s = Some(10e9);
        environment.device_copy_bytes_per_s = Some(4e12);
        let mut contents = Contents::default();
        contents.add(Line::Environment(Box::new(environment)));
        for (case, seconds) in cases {
            for (index, &seconds) in seconds.iter().enumerate() {
                let case = case.parse().unwrap();
                let sample = Sample::by_host("e", case, index as u32, seconds);
                contents.add(Line::Sample(Box::new(sample)));
            }
        }
        contents
    }

    fn figures_of(summary: &Summary, case: &str) -> Figures {
        summary.cases[&case.parse().unwrap()].clone()
    }

    #[test]
    fn a_cell_has_its_median_throughput_and_share() {
        let summary = Summary::of(&contents(&[
            ("cpu/u32-uniform/cpu-std/2/1000000", &[0.3, 0.1, 0.2]),
            ("device/u32-uniform/gpu/1/1000000000", &[0.025]),
            ("pairs/u32+u32-uniform/gpu/1/1000000000", &[0.034]),
        ]));
        let case = figures_of(&summary, "cpu/u32-uniform/cpu-std/2/1000000");
        assert_eq!((case.median_s, case.low_s, case.high_s), (0.2, 0.1, 0.3));
        assert!((case.per_second - 5e6).abs() < 1e-3);
        assert!((case.share_once.unwrap() - 8e6 / 0.2 / 10e9).abs() < 1e-9);
        assert_eq!(case.share_passes, None);
        // 36 bytes a key: one read to count, four passes of a read and a write.
        let device = figures_of(&summary, "device/u32-uniform/gpu/1/1000000000");
        assert!((device.share_passes.unwrap() - 36e9 / 0.025 / 4e12).abs() < 1e-9);
        let pairs = figures_of(&summary, "pairs/u32+u32-uniform/gpu/1/1000000000");
        assert!((pairs.share_passes.unwrap() - 68e9 / 0.034 / 4e12).abs() < 1e-9);
    }

    #[test]
    fn joules_are_mean_power_for_the_median_where_enough_was_counted() {
        let name = "device/u32-uniform/gpu/1/2000000000";
        let counted = |energy: [Option<(f64, f64)>; 2]| {
            let mut contents = contents(&[(name, &[0.05, 0.05])]);
            let samples = contents.cases.values_mut().next().unwrap();
            for (sample, energy) in samples.iter_mut().zip(energy) {
                sample.energy_j = energy.map(|(joules, _)| joules);
                sample.energy_s = energy.map(|(_, seconds)| seconds);
            }
            let summary = Summary::of(&contents);
            figures_of(&summary, name).joules_per_billion
        };
        // The counter stood still in one sample: 600 W over both.
        let joules = counted([Some((0.0, 0.25)), Some((600.0, 0.75))]).unwrap();
        assert!((joules - 600.0 * 0.05 / 2.0).abs() < 1e-9, "{joules}");
        assert_eq!(counted([Some((60.0, 0.1)), Some((60.0, 0.1))]), None);
        assert_eq!(counted([Some((600.0, 1.0)), None]), None);
    }

    #[test]
    fn a_curve_has_speed_ups_and_a_knee() {
        let summary = Summary::of(&contents(&[
            ("classic/i32-classic-100/cpu-std/1", &[1.0]),
            ("classic/i32-classic-100/cpu-std/2", &[0.5]),
            ("classic/i32-classic-100/cpu-std/4", &[0.26]),
            ("classic/i32-classic-100/cpu-std/8", &[0.25]),
            ("classic/i32-classic-100/cpu-std/128", &[0.4]),
        ]));
        let curves = summary.curves(Group::Classic);
        assert_eq!(curves.len(), 1);
        let levels: Vec<usize> = curves[0].points.iter().map(|point| point.name.level).collect();
        assert_eq!(levels, [1, 2, 4, 8, 128]);
        assert_eq!(curves[0].best().name.level, 8);
        assert_eq!(curves[0].knee().unwrap().name.level, 4);
        let four = figures_of(&summary, "classic/i32-classic-100/cpu-std/4");
        assert!((four.speed_up.unwrap() - 1.0 / 0.26).abs() < 1e-9);
        assert!((four.efficiency.unwrap() - 0.25 / 0.26).abs() < 1e-9);
    }

    #[test]
    fn a_later_run_replaces_figures_and_leaves_the_others() {
        let mut summary = Summary::of(&contents(&[
            ("cpu/u32-uniform/cpu-std/1/100", &[1.0]),
            ("cpu/u32-uniform/cpu-std/1/200", &[1.0]),
        ]));
        let mut later = contents(&[("cpu/u32-uniform/cpu-std/1/100", &[2.0])]);
        later.environments.values_mut().for_each(|line| line.host_copy_bytes_per_s = Some(1e9));
        let before = figures_of(&summary, "cpu/u32-uniform/cpu-std/1/200");
        summary.merge(Summary::of(&later));
        let replaced = figures_of(&summary, "cpu/u32-uniform/cpu-std/1/100");
        assert_eq!(replaced.median_s, 2.0);
        assert!((replaced.share_once.unwrap() - 800.0 / 2.0 / 1e9).abs() < 1e-12);
        assert_eq!(figures_of(&summary, "cpu/u32-uniform/cpu-std/1/200"), before);
        assert_eq!(summary.environments.len(), 1);
    }

    #[test]
    fn an_environment_with_a_gpu_stands_for_all_of_its_machine() {
        let cases: &[(&str, &[f64])] = &[("cpu/u32-uniform/cpu-std/1/100", &[1.0])];
        let named = |id: &str, gpu: bool| {
            let mut summary = Summary::of(&contents(cases));
            let line = &mut summary.environments[0];
            id.clone_into(&mut line.id);
            id.clone_into(&mut line.machine_id);
            line.environment.gpu = gpu.then(|| crate::environment::Gpu {
                name: "a GPU".to_owned(),
                ..Default::default()
            });
            summary
        };
        let mut summary = named("with", true);
        summary.merge(named("without", false));
        assert_eq!(summary.environments.len(), 2);
        assert_eq!(summary.environment().unwrap().id, "with");
        assert_eq!(named("alone", false).environment().unwrap().id, "alone");
        assert_eq!(summary.machines(), 1, "one CPU");
        let mut other = named("other", false);
        other.environments[0].environment.cpu = Some("another CPU".to_owned());
        summary.merge(other);
        assert_eq!(summary.machines(), 2);
    }

    #[test]
    fn a_batch_is_measured_by_all_its_arrays() {
        let summary = Summary::of(&contents(&[
            ("batch/u32-uniform-100/cpu-std/1", &[1.0]),
            ("batch/u32-uniform-100/cpu-std/4", &[2.0]),
            ("batch/u32-uniform-100/cpu-std/8", &[4.0]),
        ]));
        let four = figures_of(&summary, "batch/u32-uniform-100/cpu-std/4");
        assert_eq!(
            (four.per_second, four.speed_up, four.efficiency),
            (200.0, Some(2.0), Some(0.5))
        );
        let curve = &summary.curves(Group::Batch)[0];
        assert_eq!(curve.knee().unwrap().name.level, 4);
    }

    #[test]
    fn engines_are_ranked_over_the_cells_that_all_have() {
        let summary = Summary::of(&contents(&[
            ("cpu/u32-uniform/cpu-std/2/100", &[4.0]),
            ("cpu/u32-uniform/cpu-std/2/200", &[1.0]),
            ("cpu/u32-uniform/cpu-radix/2/100", &[1.0]),
            ("cpu/u32-uniform/cpu-radix/2/200", &[1.0]),
            // The other has no such case.
            ("cpu/u32-uniform/cpu-radix/2/300", &[1e9]),
        ]));
        let ranks = summary.rank(Group::Cpu);
        assert_eq!((ranks[0].engine.as_str(), ranks[0].over_best), ("cpu-radix", 1.0));
        assert_eq!((ranks[1].engine.as_str(), ranks[1].cases), ("cpu-std", 2));
        assert!((ranks[1].over_best - 2.0).abs() < 1e-12);
        // One that has few cases takes none from the others.
        let mut with_few = summary.clone();
        with_few.merge(Summary::of(&contents(&[("cpu/u32-uniform/cpu-rayon/2/300", &[1.0])])));
        assert_eq!(with_few.rank(Group::Cpu), ranks);
        let times = |case: &str| summary.times_best(&figures_of(&summary, case));
        assert_eq!(times("cpu/u32-uniform/cpu-radix/2/100"), Some(1.0));
        assert_eq!(times("cpu/u32-uniform/cpu-std/2/100"), Some(4.0));
        assert_eq!(times("cpu/u32-uniform/cpu-radix/2/300"), None);
    }

    #[test]
    fn an_engine_that_ignores_the_level_is_beside_every_level() {
        let summary = Summary::of(&contents(&[
            ("classic/i32-classic-100/gpu/1", &[2.0]),
            ("classic/i32-classic-100/gpu/8", &[0.5]),
            ("classic/i32-classic-100/cupy/1", &[4.0]),
            ("classic/i32-classic-200/cupy/1", &[9.0]),
            ("classic/i32-classic-100/cpu-std/1", &[1.0]),
        ]));
        let eight = figures_of(&summary, "classic/i32-classic-100/gpu/8");
        assert_eq!(summary.beside(&eight.name, "cupy").unwrap().median_s, 4.0);
        assert_eq!(summary.beside(&eight.name, "cpu-std"), None);
        let cupy = figures_of(&summary, "classic/i32-classic-100/cupy/1");
        assert_eq!(summary.times_best(&cupy), Some(4.0));
    }
}
