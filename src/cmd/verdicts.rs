//! The result of a comparison as it is written: a table for people, in text or Markdown,
//! and JSON for programs.

use std::collections::BTreeMap;

use anyhow::Result;
use cudamark::output;
use cudamark::report::figures::change;
use cudamark::table::Format;
use regress::build::{self, Build};
use regress::calibration::Summary;
use regress::comparison::Row;
use regress::reason::Reason;
use regress::stats;
use serde::Serialize;
use suite::lines::VERSION;

/// Heads of the table's columns.
const COLUMNS: [&str; 7] =
    ["case", "verdict", "change", "interval", "noise floor", "rounds", "notes"];
/// Head and place of the column of reasons, where they are asked for.
const REASON: (&str, usize) = ("reason", 2);

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
    base: &'a Build,
    head: &'a Build,
    /// Notes on the two, a sentence each.
    notes: Vec<String>,
    /// The remedy for each reason that there is, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<BTreeMap<Reason, &'static str>>,
    #[serde(rename = "cells")]
    cases: &'a [Row],
    calibration: Option<&'a Summary>,
}

impl<'a> Verdicts<'a> {
    /// `rows` of two builds that were measured on a machine, what sets its CPU's clock, and
    /// how far its verdicts can be trusted; with `explain`, why each is what it is.
    pub(crate) fn new(
        [base, head]: &'a [Build; 2],
        rows: &'a [Row],
        machine_id: &'a str,
        governor: Option<&'a str>,
        calibration: Option<&'a Summary>,
        explain: bool,
    ) -> Self {
        let reasons = || rows.iter().map(|row| (row.reason, row.reason.advice())).collect();
        Self {
            version: VERSION,
            machine_id,
            governor,
            false_alarms_at_most: stats::FALSE_ALARMS,
            notes: match base.executable_sha256 == head.executable_sha256 {
                true => vec![build::same_executable(&["base", "head"])],
                false => Vec::new(),
            },
            reasons: explain.then(reasons),
            base,
            head,
            cases: rows,
            calibration,
        }
    }

    pub(crate) fn written(&self, format: Format) -> Result<String> {
        if format == Format::Json {
            return output::json(self);
        }
        let mut rows: Vec<Vec<String>> = self.cases.iter().map(|row| columns(row).into()).collect();
        let mut heads = COLUMNS.to_vec();
        let mut notes: String = self.notes.iter().map(|note| format!("{note}\n\n")).collect();
        if let Some(reasons) = &self.reasons {
            let (head, place) = REASON;
            heads.insert(place, head);
            for (row, columns) in self.cases.iter().zip(&mut rows) {
                columns.insert(place, row.reason.to_string());
            }
            notes.extend(reasons.iter().map(|(code, advice)| format!("{code}: {advice}\n\n")));
        }
        let trust = self.calibration.map_or_else(|| NOT_CALIBRATED.to_owned(), Summary::text);
        Ok(format!("{}\n{notes}{trust}", format.table(&heads, rows)))
    }
}

fn columns(row: &Row) -> [String; COLUMNS.len()] {
    let estimate = &row.estimate;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut notes = Vec::new();
    if row.same_ptx {
        notes.push("the kernels' PTX is the same".to_owned());
    }
    if let Some(verdict) = row.in_cycles {
        notes.push(format!("{verdict} in cycles"));
    }
    if row.slowed_down > 0 {
        notes.push(format!("GPU slowed down after {} samples", row.slowed_down));
    }
    notes.extend(row.disturbed.notes());
    [
        row.case.to_string(),
        estimate.verdict.to_string(),
        or_none(estimate.ratio.map(change)),
        or_none(estimate.interval.map(|ends| ends.map(change).join(" to "))),
        or_none(estimate.floor.map(change)),
        estimate.rounds.to_string(),
        notes.join("; "),
    ]
}
