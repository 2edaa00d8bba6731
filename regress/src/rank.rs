//! Commits, engines and machines side by side, best first.
//!
//! Each is a column: a time for each of its cases. A column is ranked by the geometric
//! mean, over the cases that all columns have, of its time over the least time of the
//! case: 1 is fastest everywhere. Commits of stores are ranked by what comparisons judge
//! them by; where something else is among the columns, all are ranked by medians. A ratio of
//! two means does not depend on which column is divided by; a sum of times would be that of
//! the largest inputs alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use suite::records::Contents;
use suite::{Case, Group, Summary, summary};

use crate::build::same_executable;
use crate::commits::short;
use crate::git::resolve;
use crate::history::{self, Process};
use crate::machine::Source;
use crate::schema::{Line, Store};
use crate::selection::Selection;

/// Where columns are looked for.
pub struct Sources<'a> {
    /// This machine.
    pub machine_id: &'a str,
    /// The folder of the stores.
    pub stores: PathBuf,
    /// Reads what the last runs of the suite measured.
    pub last_runs: &'a dyn Fn() -> Result<Summary>,
}

/// A thing that is ranked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Column {
    /// Its name.
    pub label: String,
    /// Machines that its times are of.
    pub machines: BTreeSet<String>,
    /// Geometric mean of its time over the least, once it is ranked.
    pub over_best: f64,
    /// Medians in seconds by case; of an engine, by case without it.
    #[serde(skip)]
    medians: BTreeMap<Case, f64>,
    /// Of a commit in a store, the same by the least samples of its processes.
    #[serde(skip)]
    least: Option<BTreeMap<Case, f64>>,
    /// Hashes of the executables that were measured, of a commit in a store.
    #[serde(skip)]
    executables: BTreeSet<String>,
    /// It is of one engine.
    #[serde(skip)]
    of_engine: bool,
}

/// Columns in their order, and the cases that all have.
#[derive(Clone, Debug, Serialize)]
pub struct Ranking {
    /// Best first.
    pub columns: Vec<Column>,
    /// Cells that all columns have.
    #[serde(rename = "cells")]
    pub cases: Vec<Row>,
    /// They are of different machines.
    pub machines_differ: bool,
    /// Kind of the times.
    pub times: Times,
    /// Notes, a sentence each.
    pub notes: Vec<String>,
}

/// Kind of the times of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Times {
    /// Medians over processes of the least sample of each, as in a comparison: of commits
    /// alone.
    Least,
    /// Medians.
    Median,
}

/// A case that all columns have.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The case; where columns are engines, without them.
    #[serde(rename = "cell")]
    pub case: String,
    /// A time for each column, in their order.
    pub seconds: Vec<f64>,
}

/// The column that `text` names: a file of records; a store's, of its latest commit or
/// with `@REV`; a revision in the store of this machine; each with `:ENGINE` for one
/// engine of it; or an engine in the last runs of the suite.
pub fn column(text: &str, sources: &Sources) -> Result<Column> {
    if let Some(column) = whole(text, sources)? {
        return Ok(column);
    }
    let is_engine = |text: &str| {
        let mut groups = Group::ALL.iter();
        groups.any(|group| group.engines().contains(&text))
    };
    if is_engine(text) {
        let summary = (sources.last_runs)()?;
        return of_engine(of_summary("last runs", &summary), text, text);
    }
    if let Some((source, engine)) = text.rsplit_once(':') {
        let column = match whole(source, sources)? {
            Some(column) => column,
            None => of_revision(source, sources)?,
        };
        return of_engine(column, engine, text);
    }
    of_revision(text, sources)
}

/// The column of a file, if `text` names one.
fn whole(text: &str, sources: &Sources) -> Result<Option<Column>> {
    let path = Path::new(text);
    if path.is_file() {
        return of_file(path, None).map(Some);
    }
    // A machine is named by its store.
    let store = sources.stores.join(format!("{text}.jsonl"));
    match text.rsplit_once('@') {
        Some((path, revision)) if Path::new(path).is_file() => {
            of_file(Path::new(path), Some(revision)).map(Some)
        }
        _ if text.ends_with(".jsonl") => bail!("there is no file {text}"),
        _ if !text.is_empty() && store.is_file() => of_file(&store, None).map(Some),
        _ => Ok(None),
    }
}

fn of_file(path: &Path, revision: Option<&str>) -> Result<Column> {
    let shown = path.display().to_string();
    if !is_store(path) {
        if let Some(revision) = revision {
            bail!("{shown} is no store, and has nothing of `{revision}`");
        }
        let column = of_summary(&shown, &Summary::of(&Contents::read(path)?));
        if column.medians.is_empty() {
            bail!("{shown} has no samples");
        }
        return Ok(column);
    }
    let source = Source::at(path)?;
    let processes = history::processes(&source.store)?;
    let latest = || {
        let last = processes.iter().max_by(|a, b| a.unix_time_s.total_cmp(&b.unix_time_s));
        last.map(|process| process.commit.clone())
    };
    let commit = revision.map_or_else(latest, |revision| named(revision, &processes));
    let commit = commit.with_context(|| match revision {
        Some(revision) => format!("{shown} has no measurement of `{revision}`"),
        None => format!("{shown} has no measurement of a commit"),
    })?;
    let label = format!("{shown}@{}", short(&commit));
    Ok(of_commit(label, source.machines, &processes, &commit))
}

/// True if a file is a store and no records file, by its first line.
fn is_store(path: &Path) -> bool {
    let store = Store::at(path).first();
    store.is_ok_and(|line| line.is_some_and(|line| !matches!(line, Line::Finished { .. })))
}

/// The commit that a revision names here, or that begins so among those measured: a store
/// of another machine may know commits that this checkout does not.
fn named(revision: &str, processes: &[Process]) -> Option<String> {
    let resolved = resolve(Path::new("."), revision).ok();
    let is_it = |process: &&Process| match &resolved {
        Some(id) => process.commit == *id,
        None => revision.len() >= 7 && process.commit.starts_with(revision),
    };
    let process = processes.iter().find(is_it);
    process.map(|process| process.commit.clone())
}

fn of_revision(revision: &str, sources: &Sources) -> Result<Column> {
    let source = Source::here(&sources.stores, sources.machine_id);
    let processes = history::processes(&source.store)?;
    let Some(commit) = named(revision, &processes) else {
        resolve(Path::new("."), revision).with_context(|| {
            format!("`{revision}` is no file, store, engine or revision that can be ranked")
        })?;
        bail!(
            "`{revision}` was not measured on this machine; `cudamark history --fill 1` or \
             `cudamark compare` does"
        );
    };
    Ok(of_commit(revision.to_owned(), source.machines, &processes, &commit))
}

fn of_commit(
    label: String,
    machines: BTreeSet<String>,
    processes: &[Process],
    commit: &str,
) -> Column {
    let times = |figure| history::times(processes, figure).remove(commit);
    let of_commit = processes.iter().filter(|process| process.commit == commit);
    let executables = of_commit.map(|process| process.executable_sha256.clone());
    Column {
        label,
        machines,
        medians: times(|of| of.median_s).unwrap_or_default(),
        least: times(|of| of.least_s),
        executables: executables.filter(|hash| !hash.is_empty()).collect(),
        ..Column::default()
    }
}

fn of_summary(label: &str, summary: &Summary) -> Column {
    let cases = summary.cases.values();
    Column {
        label: label.to_owned(),
        machines: (summary.environments.iter()).map(|line| line.machine_id.clone()).collect(),
        medians: cases.map(|figures| (figures.name.clone(), figures.median_s)).collect(),
        ..Column::default()
    }
}

fn of_engine(column: Column, engine: &str, label: &str) -> Result<Column> {
    let of_engine = |times: BTreeMap<Case, f64>| -> BTreeMap<Case, f64> {
        let times = times.into_iter().filter(|(name, _)| name.engine == engine);
        times.map(|(name, seconds)| (name.of_engine(""), seconds)).collect()
    };
    let medians = of_engine(column.medians);
    if medians.is_empty() {
        bail!("{} has no case of the engine `{engine}`", column.label);
    }
    Ok(Column {
        label: label.to_owned(),
        medians,
        least: column.least.map(of_engine),
        of_engine: true,
        ..column
    })
}

/// Ranks columns by the cases of `selection` that all have.
pub fn rank(mut columns: Vec<Column>, selection: &Selection, force: bool) -> Result<Ranking> {
    let machines: BTreeSet<&String> = columns.iter().flat_map(|of| &of.machines).collect();
    let machines_differ = machines.len() > 1;
    if machines_differ && !force {
        let of = |column: &Column| {
            let machines: Vec<&str> = column.machines.iter().map(String::as_str).collect();
            format!("{} of {}", column.label, machines.join(" and "))
        };
        let named: Vec<String> = columns.iter().map(of).collect();
        bail!(
            "times of different machines do not compare ({}); --force ranks them all the same",
            named.join(", ")
        );
    }
    if columns.iter().any(|of| of.of_engine) && !columns.iter().all(|of| of.of_engine) {
        bail!("name an engine for all that are ranked, as in HEAD:cpu-std, or for none");
    }
    let cases = common(&columns, selection)?;
    let times = match columns.iter().all(|column| column.least.is_some()) {
        true => Times::Least,
        false => Times::Median,
    };
    let row = |columns: &[Column], case: &Case| -> Vec<f64> {
        let of = |column: &Column| match (times, &column.least) {
            (Times::Least, Some(least)) => least[case],
            _ => column.medians[case],
        };
        columns.iter().map(of).collect()
    };
    let rows: Vec<Vec<f64>> = cases.iter().map(|case| row(&columns, case)).collect();
    for (column, mean) in columns.iter_mut().zip(summary::over_best(&rows)) {
        column.over_best = mean;
    }
    columns.sort_by(|a, b| a.over_best.total_cmp(&b.over_best));
    let rows = cases.iter().map(|case| Row { case: shown(case), seconds: row(&columns, case) });
    Ok(Ranking { cases: rows.collect(), notes: notes(&columns), columns, machines_differ, times })
}

/// Columns that are the same executable. Engines of one commit always are.
fn notes(columns: &[Column]) -> Vec<String> {
    let mut labels: BTreeMap<&BTreeSet<String>, Vec<&str>> = BTreeMap::new();
    for column in columns.iter().filter(|of| of.executables.len() == 1 && !of.of_engine) {
        labels.entry(&column.executables).or_default().push(&column.label);
    }
    let same = labels.values().filter(|labels| labels.len() > 1);
    same.map(|labels| same_executable(labels)).collect()
}

/// A case's name; where its engine was left out, without.
fn shown(case: &Case) -> String {
    case.to_string().replace("//", "/")
}

fn common(columns: &[Column], selection: &Selection) -> Result<Vec<Case>> {
    let Some(first) = columns.first() else {
        bail!("nothing is named that can be ranked");
    };
    let everywhere = |case: &&Case| columns.iter().all(|of| of.medians.contains_key(*case));
    let cases: Vec<Case> = first.medians.keys().filter(everywhere).cloned().collect();
    if cases.is_empty() {
        let of = |column: &Column| {
            let case = column.medians.keys().next().map(shown);
            let like = case.map_or_else(String::new, |case| format!(" like {case}"));
            format!("{} has {}{like}", column.label, column.medians.len())
        };
        let of: Vec<String> = columns.iter().map(of).collect();
        bail!("there is no case that all have: {}", of.join("; "));
    }
    let chosen: Vec<Case> = cases.into_iter().filter(|case| selection.takes(case)).collect();
    if chosen.is_empty() {
        bail!("--cases: none of the cases that all have is meant");
    }
    Ok(chosen)
}
