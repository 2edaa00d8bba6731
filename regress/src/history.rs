//! Commits in their order, as the store has them: a curve a case, and its steps.
//!
//! Every process counts that measured one of the commits, those of comparisons too. Its
//! figure is the least of its samples, as in a comparison (`stats` says why). They ran in
//! *sessions*: commits that took turns, a round after the other. A machine is not equally
//! fast at all times, and what it did must not be read as what a commit did. So rounds and
//! sessions are moved against each other (`alignment`) before steps are looked for.
//!
//! A session without a commit in common stays where it is, and is counted as unlinked. No
//! false step comes of it: the test for steps compares within rounds alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use suite::Case;
use suite::statistics;

use crate::alignment::align;
use crate::build::same_executable;
use crate::change_points::{self, FALSE_ALARMS, Observation};
use crate::commits::{Commit, short};
use crate::schema::{Distribution, Line, Run, Store};
use crate::stats::median;

/// Where the permutations of every series start.
const SEED: u64 = 42;

/// A process that measured a commit.
#[derive(Clone, Debug)]
pub struct Process {
    /// The commit.
    pub commit: String,
    /// The machine, where the store says.
    pub machine_id: Option<String>,
    /// When it ended: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
    /// Hash of its executable.
    pub executable_sha256: String,
    /// Figures by case.
    pub cases: BTreeMap<Case, Distribution>,
    /// Its records.
    pub records: Records,
    session: String,
    round: usize,
}

/// Where the samples of a process are.
#[derive(Clone, Debug)]
pub enum Records {
    /// In a file, from the folder of the store.
    File(String),
    /// In its line of the store.
    Line(Box<Run>),
}

impl Records {
    /// The name of a file that holds them.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => {
                let name = path.rsplit('/').next();
                name.unwrap_or(path).to_owned()
            }
            Self::Line(run) => {
                format!("compare-{}-{}-{}-{}.json", run.comparison, run.repeat, run.round, run.turn)
            }
        }
    }
}

/// The processes of a store that measured a commit.
pub fn processes(store: &Store) -> Result<Vec<Process>, suite::Error> {
    Ok(store.read()?.into_iter().filter_map(process).collect())
}

fn process(line: Line) -> Option<Process> {
    match line {
        Line::Run(run) => {
            let cases = run.cases.iter();
            let cases = cases.filter_map(|(name, of)| Some((name.clone(), of.distribution()?)));
            Some(Process {
                commit: run.commit.clone()?,
                machine_id: None,
                unix_time_s: run.unix_time_s,
                executable_sha256: run.executable_sha256.clone(),
                cases: cases.collect(),
                session: format!("{}/{}", run.comparison, run.repeat),
                round: run.round,
                records: Records::Line(run),
            })
        }
        Line::Measured(measured) => Some(Process {
            commit: measured.commit,
            machine_id: Some(measured.machine_id),
            unix_time_s: measured.unix_time_s,
            executable_sha256: measured.executable_sha256,
            cases: measured.cases,
            session: measured.session,
            round: measured.round as usize,
            records: Records::File(measured.records),
        }),
        // Other lines say how comparisons went.
        _ => None,
    }
}

/// A case over commits.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The case.
    #[serde(rename = "cell")]
    pub case: Case,
    /// Commits that were measured, in their order.
    pub points: Vec<Point>,
    /// Where its time changed, in the order of commits.
    pub steps: Vec<Step>,
    /// Sessions that have no commit in common with the rest.
    pub unlinked_sessions: usize,
    /// Notes, a sentence each.
    pub notes: Vec<String>,
}

impl Curve {
    /// The step at a point.
    pub fn step_at(&self, point: &Point) -> Option<&Step> {
        self.steps.iter().find(|step| step.commit == point.commit)
    }
}

/// A commit that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The commit.
    pub commit: String,
    /// Its index among all that were walked.
    #[serde(skip)]
    pub index: usize,
    /// Processes, and samples in all of them.
    pub processes: usize,
    /// Samples in all of them.
    pub samples: usize,
    /// Median of the processes' medians in seconds, as measured.
    pub median_s: f64,
    /// Median of their figures, rounds and sessions aligned.
    pub aligned_s: f64,
    /// Interval of that over processes.
    pub interval_s: [f64; 2],
    /// Samples right after which the GPU was slowed down.
    pub slowed_down: usize,
    /// Hashes of the executables that it was measured as.
    pub executables: BTreeSet<String>,
    /// Names of the processes' records files.
    pub records: Vec<String>,
}

/// A change of level.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The first measured commit at the new level.
    pub commit: String,
    /// The last measured one at the old level.
    pub previous: String,
    /// Commits between these that were not measured: any of them may be it.
    pub not_measured: Vec<String>,
    /// New level over old: 1.05 is 5 % slower.
    pub ratio: f64,
    /// Interval of that; absent where there are too few processes for one.
    pub interval: Option<[f64; 2]>,
    /// Chance of a step as clear by the search's test, if there were none.
    pub chance: f64,
    /// The ratio that it (or one over it) had to exceed by the series' own noise.
    pub floor: Option<f64>,
}

/// How steps are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Chance of an alarm over all curves of a flat history.
    pub false_alarms: f64,
    /// The least step of interest: 0.02 for 2 %.
    pub least: f64,
}

impl Search {
    /// For steps of `least` and more.
    pub fn of(least: f64) -> Self {
        Self { false_alarms: FALSE_ALARMS, least }
    }
}

/// The curves of all cases that `wanted` takes.
pub fn curves(
    processes: &[Process],
    commits: &[Commit],
    wanted: &dyn Fn(&Case) -> bool,
    search: Search,
) -> Vec<Curve> {
    let place: BTreeMap<&str, usize> =
        commits.iter().enumerate().map(|(place, commit)| (commit.id.as_str(), place)).collect();
    let on_the_way: Vec<(usize, &Process)> = processes
        .iter()
        .filter_map(|process| Some((*place.get(process.commit.as_str())?, process)))
        .collect();
    let names = on_the_way.iter().flat_map(|(_, process)| process.cases.keys());
    let names: BTreeSet<&Case> = names.filter(|name| wanted(name)).collect();
    let error = search.false_alarms / names.len().max(1) as f64;
    names.into_iter().map(|case| curve(case, &on_the_way, commits, error, search.least)).collect()
}

fn curve(
    case: &Case,
    processes: &[(usize, &Process)],
    commits: &[Commit],
    error: f64,
    least: f64,
) -> Curve {
    let (places, mut observations) = observations(case, processes, |of_case| of_case.least_s);
    let unlinked_sessions = align(&mut observations);
    let found = change_points::find(&observations, error, least.ln_1p(), SEED);
    let point = |(index, &place): (usize, &usize)| {
        let of_commit = processes.iter().filter(|(at, _)| *at == place);
        let of_commit = of_commit.map(|(_, process)| *process);
        point(case, place, of_commit, &values_of(&observations, index))
    };
    let points: Vec<Point> = places.iter().enumerate().map(point).collect();
    Curve {
        case: case.clone(),
        notes: notes(&points, unlinked_sessions),
        points,
        steps: found.iter().map(|step| between(step, &places, commits)).collect(),
        unlinked_sessions,
    }
}

fn notes(points: &[Point], unlinked_sessions: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if unlinked_sessions > 0 {
        notes.push(format!(
            "{unlinked_sessions} sessions have no commit in common with the others: their levels \
             do not compare"
        ));
    }
    let is_same = |one: &Point, next: &Point| {
        one.executables.len() == 1 && one.executables == next.executables
    };
    for same in points.chunk_by(is_same).filter(|same| same.len() > 1) {
        let commits: Vec<&str> = same.iter().map(|point| short(&point.commit)).collect();
        notes.push(same_executable(&commits));
    }
    for point in points.iter().filter(|point| point.executables.len() > 1) {
        notes.push(format!(
            "{} was measured as {} executables: compilers, flags or settings differed, and so may \
             its times",
            short(&point.commit),
            point.executables.len()
        ));
    }
    notes
}

/// The places of commits that have the case, and the processes of these in the order of
/// the commits.
fn observations<'a>(
    case: &Case,
    processes: &[(usize, &'a Process)],
    figure: fn(&Distribution) -> f64,
) -> (Vec<usize>, Vec<Observation>) {
    let of_case = |(place, process): &(usize, &'a Process)| {
        let value = figure(process.cases.get(case)?).ln();
        // No process takes no time: such a line says nothing.
        value.is_finite().then_some((*place, *process, value))
    };
    let measured: Vec<(usize, &Process, f64)> = processes.iter().filter_map(of_case).collect();
    let places: BTreeSet<usize> = measured.iter().map(|(place, ..)| *place).collect();
    let places: Vec<usize> = places.into_iter().collect();
    let mut sessions = BTreeMap::new();
    let mut rounds = BTreeMap::new();
    let observations = measured.iter().map(|&(place, process, value)| {
        let (next_session, next_round) = (sessions.len(), rounds.len());
        let session = &process.session;
        Observation {
            commit: places.partition_point(|&before| before < place),
            session: *sessions.entry(session).or_insert(next_session),
            round: *rounds.entry((session, process.round)).or_insert(next_round),
            value,
        }
    });
    let observations = observations.collect();
    (places, observations)
}

/// The times in seconds of all commits of a store, case by case: medians over processes of
/// `figure`, rounds and sessions aligned.
pub fn times(
    processes: &[Process],
    figure: fn(&Distribution) -> f64,
) -> BTreeMap<String, BTreeMap<Case, f64>> {
    let ids: BTreeSet<&String> = processes.iter().map(|process| &process.commit).collect();
    let ids: Vec<&String> = ids.into_iter().collect();
    let place = |process: &Process| ids.partition_point(|id| **id < process.commit);
    let placed: Vec<(usize, &Process)> =
        processes.iter().map(|process| (place(process), process)).collect();
    let cases: BTreeSet<&Case> = processes.iter().flat_map(|of| of.cases.keys()).collect();
    let mut times: BTreeMap<String, BTreeMap<Case, f64>> = BTreeMap::new();
    for case in cases {
        let (places, mut observations) = observations(case, &placed, figure);
        align(&mut observations);
        for (index, place) in places.into_iter().enumerate() {
            let of_commit = times.entry(ids[place].clone()).or_default();
            let seconds = median(&values_of(&observations, index));
            of_commit.extend(seconds.map(|seconds| (case.clone(), seconds.exp())));
        }
    }
    times
}

fn values_of(observations: &[Observation], commit: usize) -> Vec<f64> {
    let of_commit = observations.iter().filter(|one| one.commit == commit);
    of_commit.map(|one| one.value).collect()
}

/// The point of a commit with the aligned logarithms of its processes.
fn point<'a>(
    case: &Case,
    place: usize,
    processes: impl Iterator<Item = &'a Process>,
    aligned: &[f64],
) -> Point {
    let processes: Vec<(&Process, &Distribution)> =
        processes.filter_map(|process| Some((process, process.cases.get(case)?))).collect();
    let medians: Vec<f64> = processes.iter().map(|(_, of)| of.median_s).collect();
    let interval = statistics::interval(aligned);
    Point {
        commit: processes[0].0.commit.clone(),
        index: place,
        processes: processes.len(),
        samples: processes.iter().map(|(_, of)| of.samples).sum(),
        median_s: statistics::median(&medians),
        aligned_s: statistics::median(aligned).exp(),
        interval_s: [interval.low.exp(), interval.high.exp()],
        slowed_down: processes.iter().map(|(_, of)| of.slowed_down).sum(),
        executables: processes
            .iter()
            .map(|(process, _)| process.executable_sha256.clone())
            .filter(|hash| !hash.is_empty())
            .collect(),
        records: processes.iter().map(|(process, _)| process.records.name()).collect(),
    }
}

fn between(step: &change_points::Step, places: &[usize], commits: &[Commit]) -> Step {
    let (previous, at) = (places[step.at - 1], places[step.at]);
    let id = |place: usize| commits[place].id.clone();
    Step {
        commit: id(at),
        previous: id(previous),
        not_measured: (previous + 1..at).map(id).collect(),
        ratio: step.shift.exp(),
        interval: step.interval.map(|ends| ends.map(f64::exp)),
        chance: step.chance,
        floor: step.floor.map(f64::exp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CASE: &str = "cpu/u32-uniform/cpu-std/1/10";

    fn commits(count: usize) -> Vec<Commit> {
        let commit = |index: usize| Commit { id: format!("{index:040}"), ..Commit::default() };
        (0..count).map(commit).collect()
    }

    fn line(text: Value) -> Line {
        serde_json::from_value(text).unwrap()
    }

    /// Six rounds of the commits at `places` on a machine that is so much slower.
    fn session(name: &str, places: &[usize], slower: f64, level: fn(usize) -> f64) -> Vec<Line> {
        let mut rng = fastrand::Rng::with_seed(places.len() as u64);
        let turns = (0..6).flat_map(|round| places.iter().map(move |&place| (round, place)));
        let measured = turns.map(|(round, place)| {
            let seconds = level(place) * slower * (1.0 + 0.01 * rng.f64());
            line(json!({
                "line": "measured", "machine_id": "m", "session": name, "round": round,
                "commit": format!("{place:040}"), "executable_sha256": "", "ptx_sha256": null,
                "unix_time_s": 0.0, "records": format!("records/m/{name}-{place}-{round}.jsonl"),
                "cells": {CASE: {
                    "samples": 5, "least_s": seconds, "median_s": 2.0 * seconds,
                    "low_s": seconds, "high_s": seconds, "confidence": 0.9, "slowed_down": 1,
                }},
            }))
        });
        measured.collect()
    }

    fn only(lines: Vec<Line>, commits: &[Commit]) -> Curve {
        let processes: Vec<Process> = lines.into_iter().filter_map(process).collect();
        let curves = curves(&processes, commits, &|_| true, Search::of(0.02));
        assert_eq!(curves.len(), 1);
        curves.into_iter().next().unwrap()
    }

    /// Rounds of a comparison of the commits at two places.
    fn comparison(places: [Option<usize>; 2], level: fn(usize) -> f64) -> Vec<Line> {
        let order = [(0, "base"), (1, "head"), (1, "head"), (0, "base")].into_iter().enumerate();
        let turns = (0..6).flat_map(|round| order.clone().map(move |turn| (round, turn)));
        let run = |(round, (turn, (side, name))): (usize, (usize, (usize, &str)))| {
            let place: Option<usize> = places[side];
            let seconds = level(place.unwrap_or(0)) * (1.0 + 0.001 * turn as f64);
            line(json!({
                "line": "run", "comparison": "c", "round": 0, "block": round, "place": turn,
                "side": name, "executable_sha256": "", "ptx_sha256": null, "unix_time_s": 0.0,
                "commit": place.map(|place| format!("{place:040}")),
                "cells": {CASE: {
                    "seconds": [3.0 * seconds, seconds], "sm_cycles": null, "slowed_down": 0,
                }},
            }))
        };
        turns.map(run).collect()
    }

    #[test]
    fn sessions_are_aligned_by_what_they_have_in_common() {
        let commits = commits(8);
        let flat = |_| 1.0;
        let mut lines = session("a", &[0, 1, 2, 3, 4], 1.0, flat);
        lines.extend(session("b", &[4, 5, 6, 7], 1.3, flat));
        let curve = only(lines, &commits);
        assert!(curve.steps.is_empty(), "{:?}", curve.steps);
        assert_eq!(curve.unlinked_sessions, 0);
        let point = &curve.points[7];
        assert!((point.aligned_s - 1.0).abs() < 0.02, "{point:?}");
        // As it was measured, by the samples' medians.
        assert!((point.median_s - 2.6).abs() < 0.05, "{point:?}");
        assert_eq!((point.processes, point.samples, point.slowed_down), (6, 30, 6));
        assert_eq!(point.records[0], "b-7-0.jsonl");
    }

    #[test]
    fn a_step_is_found_across_sessions() {
        let commits = commits(8);
        let stepped = |place| if place < 6 { 1.0 } else { 1.2 };
        let mut lines = session("a", &[0, 3, 7], 1.0, stepped);
        lines.extend(session("b", &[3, 5, 7], 0.8, stepped));
        lines.extend(session("c", &[5, 6, 7], 1.1, stepped));
        let curve = only(lines, &commits);
        let [step] = &curve.steps[..] else {
            panic!("{:?}", curve.steps);
        };
        assert_eq!((&step.previous, &step.commit), (&commits[5].id, &commits[6].id));
        assert!((step.ratio - 1.2).abs() < 0.02, "{step:?}");
        assert!(step.not_measured.is_empty());
    }

    #[test]
    fn what_has_nothing_in_common_is_counted_and_no_step() {
        let commits = commits(8);
        let flat = |_| 1.0;
        let mut lines = session("a", &[0, 1, 2, 3], 1.0, flat);
        lines.extend(session("b", &[4, 5, 6, 7], 1.3, flat));
        let curve = only(lines, &commits);
        assert_eq!((curve.unlinked_sessions, curve.steps.len()), (1, 0));
    }

    #[test]
    fn processes_of_comparisons_count_that_have_a_commit() {
        let commits = commits(4);
        let stepped = |place| if place < 2 { 1.0 } else { 1.5 };
        let curve = only(comparison([Some(0), Some(3)], stepped), &commits);
        let [step] = &curve.steps[..] else {
            panic!("{:?}", curve.steps);
        };
        assert_eq!(step.not_measured, [commits[1].id.clone(), commits[2].id.clone()]);
        assert_eq!(curve.points[1].processes, 12);
        assert_eq!(curve.points[1].records[0], "compare-c-0-0-1.json");
        let curve = only(comparison([Some(0), None], stepped), &commits);
        assert_eq!(curve.points.len(), 1);
        assert!((curve.points[0].aligned_s - 1.0).abs() < 0.01);
    }
}
