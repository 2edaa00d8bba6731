//! The result of a comparison as it is written: a table for people, in text or Markdown,
//! and JSON for programs.

use anyhow::Result;
use cudamark::report::figures::change;
use cudamark::table::Format;
use regress::build::{self, Build};
use regress::calibration::Summary;
use regress::comparison::Row;
use regress::stats;
use serde::Serialize;

/// Version of the JSON. It rises when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Heads of the table's columns.
const COLUMNS: [&str; 7] =
    ["case", "verdict", "change", "interval", "noise floor", "rounds", "notes"];

/// Stands where there is no calibration.
const NOT_CALIBRATED: &str = "this machine is not calibrated: `cudamark calibrate` measures how \
                              often it raises false alarms, and what it can see\n";

/// The result of a comparison.
#[derive(Serialize)]
pub(crate) struct Verdicts<'a> {
    version: u32,
    machine_id: &'a str,
    governor: Option<&'a str>,
    false_alarms_at_most: f64,
    base: Side<'a>,
    head: Side<'a>,
    /// Notes on the two, a sentence each.
    notes: Vec<String>,
    #[serde(rename = "cells")]
    cases: &'a [Row],
    calibration: Option<&'a Summary>,
}

/// One of the two builds.
#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    commit: Option<&'a str>,
    identity: Option<&'a str>,
    executable_sha256: &'a str,
}

impl<'a> Side<'a> {
    fn new(build: &'a Build) -> Self {
        Self {
            name: &build.name,
            commit: build.commit.as_deref(),
            identity: build.identity.as_deref(),
            executable_sha256: &build.executable_sha256,
        }
    }
}

impl<'a> Verdicts<'a> {
    /// `rows` of two builds that were measured on a machine, what sets its CPU's clock, and
    /// how far its verdicts can be trusted.
    pub(crate) fn new(
        [base, head]: &'a [Build; 2],
        rows: &'a [Row],
        machine_id: &'a str,
        governor: Option<&'a str>,
        calibration: Option<&'a Summary>,
    ) -> Self {
        Self {
            version: VERSION,
            machine_id,
            governor,
            false_alarms_at_most: stats::FALSE_ALARMS,
            notes: match base.executable_sha256 == head.executable_sha256 {
                true => vec![build::same_executable(&["base", "head"])],
                false => Vec::new(),
            },
            base: Side::new(base),
            head: Side::new(head),
            cases: rows,
            calibration,
        }
    }

    /// The result in a format.
    pub(crate) fn written(&self, format: Format) -> Result<String> {
        if format == Format::Json {
            return Ok(serde_json::to_string_pretty(self)? + "\n");
        }
        let rows = self.cases.iter().map(|row| columns(row).into()).collect();
        let notes: String = self.notes.iter().map(|note| format!("{note}\n\n")).collect();
        let trust = self.calibration.map_or_else(|| NOT_CALIBRATED.to_owned(), Summary::text);
        Ok(format!("{}\n{notes}{trust}", format.table(&COLUMNS, rows)))
    }
}

/// A row of the table.
fn columns(row: &Row) -> [String; COLUMNS.len()] {
    let estimate = &row.estimate;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut notes = Vec::new();
    if row.same_ptx {
        notes.push("the kernels' PTX is the same".to_owned());
    }
    if let Some(verdict) = row.in_cycles {
        notes.push(format!("{} in cycles", verdict.name()));
    }
    if row.slowed_down > 0 {
        notes.push(format!("GPU slowed down after {} samples", row.slowed_down));
    }
    notes.extend(row.disturbed.notes());
    [
        row.case.to_string(),
        estimate.verdict.name().to_owned(),
        or_none(estimate.ratio.map(change)),
        or_none(estimate.interval.map(|ends| ends.map(change).join(" to "))),
        or_none(estimate.floor.map(change)),
        estimate.rounds.to_string(),
        notes.join("; "),
    ]
}
