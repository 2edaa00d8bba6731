//! Text that is printed after a run: a table a group, the knees, the ranks, and the classic
//! CSV.

use std::fmt::Write as _;

use suite::Group;
use suite::summary::{Figures, Summary};

use super::figures::{count, grouped, joules, rate, seconds, share};
use crate::table;

const HEAD: [&str; 11] = [
    "engine",
    "input",
    "level",
    "time",
    "95 % interval",
    "keys/s",
    "speed-up",
    "efficiency",
    "of copy",
    "by passes",
    "clock",
];

/// Head of the column of joules for a billion elements, where any case has them.
const ENERGY: &str = "J/10^9";

/// The table of a group, and what follows from it.
pub fn group(summary: &Summary, group: Group) -> String {
    let mut text = format!("\n{group}: {}\n", group.question());
    let cases = summary.of_group(group);
    if cases.is_empty() {
        text += "nothing was measured\n";
        return text;
    }
    let engines = summary.engines_of(group);
    let mut rows: Vec<Vec<String>> =
        cases.iter().map(|figures| row(summary, figures, &engines)).collect();
    let over: Vec<String> = peers(&engines).map(|peer| format!("{peer} /")).collect();
    let mut head = HEAD.to_vec();
    head.extend(over.iter().map(String::as_str));
    if summary.has_energy(group) {
        head.push(ENERGY);
        for (row, figures) in rows.iter_mut().zip(&cases) {
            row.push(joules(figures.joules_per_billion));
        }
    }
    text += &table::text(&head, rows, 2);
    for curve in summary.curves(group) {
        let (Some(knee), best) = (curve.knee(), curve.best()) else {
            continue;
        };
        let _ = writeln!(
            text,
            "knee of {} {}: level {} ({}), best level {} ({})",
            curve.engine,
            curve.input,
            knee.name.level,
            seconds(knee.median_s),
            best.name.level,
            seconds(best.median_s),
        );
    }
    let ranks = summary.rank(group);
    for rank in &ranks {
        let _ = writeln!(
            text,
            "rank: {} {:.2} times the fastest (geometric mean of {})",
            rank.engine,
            rank.over_best,
            count(rank.cases, "case")
        );
    }
    let slowed: usize = cases.iter().map(|figures| figures.slowed).sum();
    if slowed > 0 {
        let _ = writeln!(text, "samples taken of a GPU that was slowed down: {slowed}");
    }
    text
}

/// All engines of a group but the first, which others are compared with.
pub fn peers<'a>(engines: &'a [&'static str]) -> impl Iterator<Item = &'static str> + use<'a> {
    engines.iter().copied().skip(1)
}

fn row(summary: &Summary, figures: &Figures, engines: &[&'static str]) -> Vec<String> {
    let name = &figures.name;
    let dash = || "-".to_owned();
    let times = |value: Option<f64>| value.map_or_else(dash, |value| format!("{value:.2}"));
    let mut row = vec![
        name.engine.clone(),
        name.input(),
        name.level.to_string(),
        seconds(figures.median_s),
        format!("{}..{}", seconds(figures.low_s), seconds(figures.high_s)),
        rate(figures.per_second),
        times(figures.speed_up),
        times(figures.efficiency),
        share(figures.share_once),
        share(figures.share_passes),
        format!("{:?}", figures.clock).to_lowercase(),
    ];
    let ours = engines.first() == Some(&name.engine.as_str());
    row.extend(peers(engines).map(|peer| match ours {
        true => times(summary.ratio(figures, peer)),
        false => String::new(),
    }));
    row
}

/// The classic CSV: levels and seconds of the engine that is fastest at its best level.
pub fn classic_csv(summary: &Summary) -> Option<String> {
    let curves = summary.curves(Group::Classic);
    let fastest = curves
        .iter()
        .filter(|curve| curve.points.len() > 1 || curves.len() == 1)
        .min_by(|a, b| a.best().median_s.total_cmp(&b.best().median_s))?;
    let mut csv = String::from("ThreadCount,TimeTakenSeconds\n");
    for point in &fastest.points {
        let _ = writeln!(csv, "{},{:.6}", point.name.level, point.median_s);
    }
    Some(csv)
}

/// One line on where the figures are from.
pub fn environment(summary: &Summary) -> String {
    let Some(line) = summary.environment() else {
        return String::new();
    };
    let environment = &line.environment;
    let machine = match &environment.gpu {
        Some(gpu) => gpu.name.clone(),
        None => environment.cpu.clone().unwrap_or_default(),
    };
    let dirty = if environment.dirty == Some(true) { "-dirty" } else { "" };
    let commit = environment.commit.as_deref().unwrap_or("unknown");
    let short = &commit[..commit.len().min(12)];
    let memory = environment.memory_bytes.map_or(0, |bytes| bytes >> 30);
    format!(
        "{machine}, {} cores, {} GiB; commit {short}{dirty}; seed {}; environment {}",
        environment.cores,
        grouped(memory as usize),
        line.seed,
        line.id
    )
}
