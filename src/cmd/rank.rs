//! `cudamark rank`: commits, engines and machines side by side, best first.

use anyhow::Result;
use clap::Args;
use cudamark::report::figures::seconds;
use cudamark::table::Format;
use cudamark::{output, paths, report, tell};
use regress::machine;
use regress::rank::{self, Column, Ranking, Row, Sources, Times};
use regress::selection::Selection;
use suite::environment::Environment;
use suite::lines::VERSION;

use super::classic::print;

/// Rank commits, engines or machines by geometric means, best first.
///
/// Each is a revision in the store of this machine; a file of records; a store, or the
/// name of one's machine, of its latest commit or with @REV; each with :ENGINE for one
/// engine of it; or an engine in the last runs of the suite.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Things to rank: `v1.0`, `HEAD`, `records/a.jsonl`, `other.jsonl@v1.0`,
    /// `HEAD:cpu-std`, `cpu-radix`.
    #[arg(value_name = "WHAT", required = true, num_args = 2..)]
    what: Vec<String>,

    /// Of the cases that all have, those of these names or regular expressions.
    #[arg(long, alias = "cells", value_name = "LIST", value_delimiter = ',')]
    cases: Vec<String>,

    /// Rank times of different machines all the same.
    #[arg(long)]
    force: bool,

    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let machine_id = Environment::here(None).machine_id();
    if let Some(said) = machine::renamed(&paths::suite().join("track"), &machine_id) {
        tell!("rank: {said}");
    }
    let last_runs = || report::last_runs(&paths::suite().join("records"));
    let sources = Sources {
        machine_id: &machine_id,
        stores: paths::suite().join("track"),
        last_runs: &last_runs,
    };
    let selection = Selection::new(&options.cases)?;
    let columns = options.what.iter().map(|what| rank::column(what, &sources));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let ranking = rank::rank(columns, &selection, options.force)?;
    print(&written(&ranking, options.format)?)
}

fn written(ranking: &Ranking, format: Format) -> Result<String> {
    if format == Format::Json {
        let mut json = serde_json::to_value(ranking)?;
        json["version"] = VERSION.into();
        return output::json(&json);
    }
    let warning = match ranking.machines_differ {
        true => "Different machines, ranked by --force: their times do not compare.\n\n",
        false => "",
    };
    let head = ["rank", "of", "machine", "mean of time over the least", "cases"];
    let row = |(index, column): (usize, &Column)| {
        let machines: Vec<&str> = column.machines.iter().map(String::as_str).collect();
        vec![
            (index + 1).to_string(),
            column.label.clone(),
            machines.join(", "),
            format!("{:.3}", column.over_best),
            ranking.cases.len().to_string(),
        ]
    };
    let ranks = format.table(&head, ranking.columns.iter().enumerate().map(row).collect());
    let labels = ranking.columns.iter().map(|column| column.label.as_str());
    let head: Vec<&str> = std::iter::once("case").chain(labels).collect();
    let row = |row: &Row| {
        let times = row.seconds.iter().copied().map(seconds);
        std::iter::once(row.case.clone()).chain(times).collect()
    };
    let cases = format.table(&head, ranking.cases.iter().map(row).collect());
    let times = match ranking.times {
        Times::Least => "Times: medians over processes of the least sample of each.",
        Times::Median => "Times: medians.",
    };
    let mut said = format!("{warning}{ranks}\n{cases}\n{times}\n");
    said.extend(ranking.notes.iter().map(|note| format!("\n{note}\n")));
    Ok(said)
}
