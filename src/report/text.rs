//! Text that is printed after a run: a table a group of at most 100 columns, what follows
//! from it in sentences, and the classic CSV.

use std::fmt::Write as _;

use suite::Group;
use suite::summary::{Figures, Summary};

use super::analysis::{about, answers, machines, trust};
use super::figures::{self, NONE, digits, grouped, input, or_none, rate, seconds, share};
use crate::table;

/// Columns of the table of cases. A console is narrow: the wide ones are on the page alone.
const COLUMNS: [Column; 15] = [
    ("engine", !WIDE, |_, case| case.name.engine.clone()),
    ("level", !WIDE, |_, case| {
        format!("{}{}", if case.is_knee { "knee " } else { "" }, case.name.level)
    }),
    ("time", !WIDE, |_, case| seconds(case.median_s)),
    ("95 % interval", !WIDE, |_, case| figures::interval(case.median_s, [case.low_s, case.high_s])),
    ("keys/s", !WIDE, |_, case| rate(case.per_second)),
    ("x best", !WIDE, |summary, case| times(summary.times_best(case))),
    ("speed-up", !WIDE, |_, case| times(case.speed_up)),
    ("efficiency", WIDE, |_, case| times(case.efficiency)),
    ("of copy", !WIDE, |_, case| share(case.share_once)),
    ("by passes", WIDE, |_, case| share(case.share_passes)),
    ("cycles/key", WIDE, |_, case| figures::cycles(case.cycles)),
    ("J/10^9", !WIDE, |_, case| or_none(case.joules_per_billion, digits)),
    ("overlap", WIDE, |_, case| times(case.overlap)),
    ("clock", WIDE, |_, case| format!("{:?}", case.clock).to_lowercase()),
    ("samples", WIDE, |_, case| match case.slowed {
        0 => case.samples.to_string(),
        slowed => format!("{} ({slowed} slowed down)", case.samples),
    }),
];
type Column = (&'static str, bool, fn(&Summary, &Figures) -> String);
const WIDE: bool = true;

fn times(value: Option<f64>) -> String {
    or_none(value, |value| format!("{value:.2}"))
}

/// The columns in which some of `cases` has a figure: heads and rows. Those of
/// the page alone are among them if `with_wide`.
pub fn table(
    summary: &Summary,
    cases: &[&Figures],
    with_wide: bool,
) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let columns = COLUMNS.iter().filter(|(_, is_wide, _)| with_wide || !is_wide);
    let columns: Vec<(&str, Vec<String>)> = columns
        .map(|(head, _, of)| (*head, cases.iter().map(|case| of(summary, case)).collect()))
        .collect();
    let has = |(_, cells): &&(&str, Vec<String>)| cells.iter().any(|cell| cell != NONE);
    let shown: Vec<_> = columns.iter().filter(has).collect();
    let row = |at: usize| shown.iter().map(|(_, cells)| cells[at].clone()).collect();
    (shown.iter().map(|(head, _)| *head).collect(), (0..cases.len()).map(row).collect())
}

/// Where the figures are from, and the tables of groups.
pub fn groups(summary: &Summary, groups: &[Group]) -> String {
    let tables = groups.iter().map(|&of| group(summary, of));
    let machines = machines(summary).map(|said| said + "\n").unwrap_or_default();
    environment(summary) + "\n" + &machines + &tables.collect::<String>()
}

/// The table of a group, and what follows from it.
fn group(summary: &Summary, group: Group) -> String {
    let mut text = format!("\n{group}: {}\n", group.question());
    let cases = summary.of_group(group);
    if cases.is_empty() {
        text += "nothing was measured\n";
        return text;
    }
    let (head, rows) = table(summary, &cases, false);
    let table = table::text(&head, rows, 1);
    let mut lines = table.lines();
    let mut last = None;
    text += lines.next().unwrap_or_default();
    // The input stands above its rows, however long its name is.
    for (case, line) in cases.iter().zip(lines) {
        if last != Some(case.name.input()) {
            let _ = write!(text, "\n{}", input(&case.name));
            last = Some(case.name.input());
        }
        let _ = write!(text, "\n{line}");
    }
    text += "\n";
    let of = about(summary, group).map(|of| format!("Of {of}:"));
    let answers = answers(summary, group).into_iter().map(|answer| answer.to_string());
    for line in of.into_iter().chain(answers).chain(trust(&cases)) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The classic CSV of the engine that is fastest at its best level.
pub fn fastest_csv(summary: &Summary) -> Option<String> {
    let curves = summary.curves(Group::Classic);
    let fastest = curves
        .iter()
        .filter(|curve| curve.points.len() > 1 || curves.len() == 1)
        .min_by(|a, b| a.best().median_s.total_cmp(&b.best().median_s))?;
    Some(classic_csv(fastest.points.iter().map(|point| (point.name.level, point.median_s))))
}

/// The classic CSV: levels and seconds.
pub fn classic_csv(levels: impl Iterator<Item = (usize, f64)>) -> String {
    let rows = levels.map(|(level, seconds)| format!("{level},{seconds:.6}\n"));
    "ThreadCount,TimeTakenSeconds\n".to_owned() + &rows.collect::<String>()
}

/// The GPU or the CPU that the figures are of.
pub fn machine(summary: &Summary) -> &str {
    let name = summary.environment().and_then(|line| line.environment.processor());
    name.unwrap_or("an unknown machine")
}

/// One line on where the figures are from.
fn environment(summary: &Summary) -> String {
    let Some(line) = summary.environment() else {
        return String::new();
    };
    let environment = &line.environment;
    let machine = machine(summary);
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

#[cfg(test)]
mod tests {
    use super::*;
    use suite::engines::needs_gpu;
    use suite::registry;
    use suite::workload::Distribution;

    use crate::report::tests::of;

    #[test]
    fn no_table_and_no_sentence_is_wider_than_100_columns() {
        let longest = |mut names: Vec<String>| {
            names.sort_by_key(String::len);
            names.pop().unwrap()
        };
        let kind = longest(registry::types().iter().map(ToString::to_string).collect());
        let distribution = longest(Distribution::ALL.map(|one| one.to_string()).to_vec());
        for group in Group::ALL {
            let mut cases = Vec::new();
            for engine in group.engines() {
                let mut add = |engine: &str, level: usize, seconds: f64| {
                    let end = match group.asks_for_levels() {
                        true => format!("-{}/{engine}/{level}", 1 << 20),
                        false => format!("/{engine}/{level}/{}", 1 << 20),
                    };
                    cases.push((format!("{group}/{kind}-{distribution}{end}"), seconds));
                };
                add(engine, 1, 98.76e-3);
                if engine == "cub" && group.ignores_level(engine) {
                    add("cub@count64-double-buffer", 1, 12.34e-3);
                }
                if !group.ignores_level(engine) {
                    add(engine, 1024, 1.234e-3);
                }
            }
            let mut summary = of(&cases);
            for case in summary.cases.values_mut().filter(|case| needs_gpu(&case.name.engine)) {
                case.joules_per_billion = Some(1234.5);
            }
            let text = super::group(&summary, group);
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{}: {line}", line.chars().count());
            }
            let is_row = |line: &&str| {
                let engine = line.split_whitespace().next().unwrap_or_default();
                group.engines().iter().any(|known| engine.split('@').next() == Some(*known))
            };
            assert_eq!(text.lines().filter(is_row).count(), cases.len(), "{text}");
        }
    }
}
