//! The page of a history: one file, as the report's, with the records of all processes in
//! a folder beside it, so that the two can be moved together.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use askama::Template;
use regress::commits::{Commit, short};
use regress::history::{Curve, Point, Process, Records, Step};
use regress::schema::{Line, Store};
use suite::lines;

use super::charts;
use super::figures::{change, seconds};
use crate::output;

/// Content of a page.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The machine in words.
    pub label: &'a str,
    /// It is another than this one.
    pub other: bool,
    /// All commits, the oldest first.
    pub commits: &'a [Commit],
    /// Cells over them.
    pub curves: &'a [Curve],
    /// Whose figures the curves are of.
    pub processes: &'a [Process],
    /// Where those are kept.
    pub store: &'a Store,
}

#[derive(Template)]
#[template(path = "history.html")]
struct Page<'a> {
    shown: &'a Shown<'a>,
    /// A drawing for each curve.
    drawings: Vec<String>,
    /// Names of the records beside the page.
    there: BTreeSet<String>,
}

/// Writes the page to `index.html` in `folder`, and records beside it; returns its path.
pub fn write(shown: &Shown, folder: &Path) -> Result<PathBuf> {
    let beside = folder.join("records");
    fs::create_dir_all(&beside)
        .with_context(|| format!("cannot make the folder {}", beside.display()))?;
    let points = shown.curves.iter().flat_map(|curve| &curve.points);
    let linked: BTreeSet<&String> = points.flat_map(|point| &point.records).collect();
    let mut there = BTreeSet::new();
    for process in shown.processes {
        let name = process.records.name();
        let is_there = linked.contains(&name)
            && copy(&process.records, shown.store, &beside.join(&name))
                .with_context(|| format!("cannot copy the records {name}"))?;
        there.extend(is_there.then_some(name));
    }
    let drawings = shown.curves.iter().map(|curve| charts::over_commits(curve, shown.commits));
    let page = Page { shown, drawings: drawings.collect::<Result<_>>()?, there };
    let text = page.render().context("cannot write the history's page")?;
    let path = folder.join("index.html");
    output::replace(&path, text.as_bytes())?;
    Ok(path)
}

/// Copies a process's records to `to`; false if they are gone.
fn copy(records: &Records, store: &Store, to: &Path) -> Result<bool> {
    match records {
        Records::Line(run) => {
            output::replace(to, lines::to_text(&Line::Run(run.clone()))?.as_bytes())?;
        }
        // A store may be another's: it names no file but below its own folder.
        Records::File(path) if !is_below(Path::new(path)) => return Ok(false),
        Records::File(path) => match fs::read(store.folder().join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            records => output::replace(to, &records?)?,
        },
    }
    Ok(true)
}

/// True if a path leads down alone.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components();
    parts.all(|part| matches!(part, Component::Normal(_)))
}

impl Page<'_> {
    fn subtitle(&self) -> String {
        let commits = self.shown.commits;
        let points = || self.shown.curves.iter().flat_map(|curve| &curve.points);
        let is_measured = |commit: &&Commit| points().any(|point| point.commit == commit.id);
        let named = |commit: Option<&Commit>| {
            commit.map_or_else(String::new, |commit| format!("{} ({})", commit.short(), commit.day))
        };
        format!(
            "{} commits from {} to {}, {} of them measured",
            commits.len(),
            named(commits.first()),
            named(commits.last()),
            commits.iter().filter(is_measured).count()
        )
    }

    fn has_steps(&self) -> bool {
        self.shown.curves.iter().any(|curve| !curve.steps.is_empty())
    }

    fn sentences(&self, curve: &Curve) -> Vec<String> {
        let steps = curve.steps.iter();
        let steps = steps.map(|step| format!("Step {}.", sentence(step, self.shown.commits)));
        let none = curve.steps.is_empty().then(|| "No step was found.".to_owned());
        steps.chain(none).chain(curve.notes.iter().map(|note| format!("{note}."))).collect()
    }
}

/// The commit of a step, or the commits that it is among.
fn named(step: &Step) -> String {
    match step.not_measured.is_empty() {
        true => short(&step.commit).to_owned(),
        false => format!("after {}, up to {}", short(&step.previous), short(&step.commit)),
    }
}

/// The interval of a commit's time.
pub fn interval_of(point: &Point) -> String {
    point.interval_s.map(seconds).join(" to ")
}

fn interval(step: &Step) -> String {
    let ends = step.interval.map(|ends| ends.map(change).join(" to "));
    ends.unwrap_or_else(|| "none: too few processes".to_owned())
}

fn subject<'a>(commits: &'a [Commit], id: &str) -> &'a str {
    let commit = commits.iter().find(|commit| commit.id == id);
    commit.map_or("", |commit| &commit.subject)
}

/// A step in words: its commit, size and surety.
pub fn sentence(step: &Step, commits: &[Commit]) -> String {
    let among = match step.not_measured.len() {
        0 => subject(commits, &step.commit).to_owned(),
        count => format!("one of these {} commits", count + 1),
    };
    format!(
        "at {}: {} (interval {}; chance {:.3} if there were none): {among}",
        named(step),
        change(step.ratio),
        interval(step),
        step.chance
    )
}
