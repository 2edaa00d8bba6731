//! The page: one file with everything in it. Its first screen has what a reader wants to
//! know of the first group, in five sentences beside a chart; a section a group follows, and
//! the machine. It asks nothing of a network, which its own policy forbids, follows the
//! system's light or dark until told otherwise, and works with the keyboard alone: all
//! controls are the browser's own.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use askama::Template;
use suite::lines::EnvironmentLine;
use suite::summary::{Curve, Figures};
use suite::{Group, Summary, registry};

use super::analysis::{self, Answer};
use super::charts::{self, Metric};
use super::figures::{grouped, input};
use super::text;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    machine: String,
    metrics: Vec<&'static str>,
    first: Section,
    sections: Vec<Section>,
    not_measured: String,
    environment: Vec<(&'static str, String)>,
}

/// A group.
struct Section {
    name: &'static str,
    question: &'static str,
    about: Option<String>,
    answers: Vec<Answer>,
    /// Worth of all figures of the page, in the first section.
    trust: Vec<String>,
    charts: Vec<Chart>,
    head: Vec<&'static str>,
    rows: Vec<Row>,
}

/// A chart, in several metrics or in one.
struct Chart {
    title: String,
    drawings: Vec<Drawing>,
}

struct Drawing {
    /// The metric it is of; empty if it is always shown.
    metric: &'static str,
    svg: String,
}

struct Row {
    name: String,
    input: String,
    /// How much slower than the fastest, from 0 to 70 for the colour.
    strength: u32,
    cells: Vec<String>,
}

/// The page over `summary`.
pub fn render(summary: &Summary) -> Result<String> {
    let groups = summary.groups();
    // The first group in which one can be called the fastest.
    let first = groups.iter().copied().find(|group| group.has_rivals());
    let first = first.or(groups.first().copied()).unwrap_or(Group::Classic);
    let others = groups.into_iter().filter(|group| *group != first);
    let all: Vec<&Figures> = summary.cases.values().collect();
    let page = Page {
        machine: text::machine(summary).to_owned(),
        metrics: Metric::ALL.map(Metric::name).to_vec(),
        first: Section {
            answers: analysis::first_answers(summary, first),
            trust: [analysis::trust(&all), analysis::machines(summary).into_iter().collect()]
                .concat(),
            ..section(summary, first)?
        },
        sections: others.map(|group| section(summary, group)).collect::<Result<_>>()?,
        not_measured: analysis::not_measured(summary),
        environment: summary.environment().map(environment).unwrap_or_default(),
    };
    page.render().context("cannot write the report's page")
}

fn section(summary: &Summary, group: Group) -> Result<Section> {
    let charts = match group.asks_for_levels() {
        true => level_charts(summary, group)?,
        false => size_charts(summary, group)?,
    };
    let cases = summary.of_group(group);
    let (head, rows) = text::table(summary, &cases, true);
    let row = |(case, cells): (&&Figures, Vec<String>)| Row {
        name: case.name.to_string(),
        input: input(&case.name),
        // Full strength where another engine takes a quarter of the time.
        strength: (summary.times_best(case))
            .map_or(0, |best| (best.log2() / 2.0 * 70.0).clamp(0.0, 70.0) as u32),
        cells,
    };
    Ok(Section {
        name: group.name(),
        question: group.question(),
        about: analysis::about(summary, group),
        answers: analysis::answers(summary, group),
        trust: Vec::new(),
        charts,
        head,
        rows: cases.iter().zip(rows).map(row).collect(),
    })
}

/// A chart for each input that some engine sorts at several levels, the main one first.
fn level_charts(summary: &Summary, group: Group) -> Result<Vec<Chart>> {
    let curves = summary.curves(group);
    let main = analysis::main_curves(summary, group);
    let mut inputs: Vec<&str> = Vec::new();
    for curve in main.iter().chain(&curves).filter(|curve| curve.points.len() > 1) {
        if !inputs.contains(&curve.input.as_str()) {
            inputs.push(&curve.input);
        }
    }
    let chart = |wanted: &&str| {
        let shown: Vec<&Curve> = curves.iter().filter(|curve| curve.input == **wanted).collect();
        let drawing = |metric: Metric| {
            let svg = charts::over_levels(&shown, metric)?;
            Ok(Drawing { metric: metric.name(), svg })
        };
        Ok(Chart {
            title: input(&shown[0].points[0].name),
            drawings: Metric::ALL.into_iter().map(drawing).collect::<Result<_>>()?,
        })
    };
    inputs.iter().map(chart).collect()
}

/// A chart for each type and distribution of which there are several sizes.
fn size_charts(summary: &Summary, group: Group) -> Result<Vec<Chart>> {
    let cases = summary.of_group(group);
    let mut charts = Vec::new();
    let kind = |case: &Figures| (case.name.kind.clone(), case.name.distribution.clone());
    for cases in cases.chunk_by(|a, b| kind(a) == kind(b)) {
        let sizes: BTreeSet<usize> = cases.iter().map(|case| case.name.n).collect();
        if sizes.len() < 2 {
            continue;
        }
        let mut lines = Vec::new();
        for engine in summary.engines_of(group) {
            let of = |n: &usize| {
                let mut of = cases.to_vec();
                of.retain(|case| case.name.engine == engine && case.name.n == *n);
                // Of several levels, the best.
                of.into_iter().max_by(|a, b| a.per_second.total_cmp(&b.per_second))
            };
            let line: Vec<&Figures> = sizes.iter().filter_map(of).collect();
            if !line.is_empty() {
                lines.push(line);
            }
        }
        let (kind, spread) = kind(cases[0]);
        let svg = charts::over_sizes(&lines, bound(summary, group, &kind))?;
        let drawings = vec![Drawing { metric: "", svg }];
        charts.push(Chart { title: format!("{kind} {spread}"), drawings });
    }
    Ok(charts)
}

/// Elements a second that no sort surpasses which reads and writes each once.
fn bound(summary: &Summary, group: Group, kind: &str) -> Option<f64> {
    let line = summary.environment()?;
    let copied = match group {
        Group::Cpu => line.host_copy_bytes_per_s,
        _ if line.environment.gpu.is_some() => line.device_copy_bytes_per_s,
        _ => line.host_copy_bytes_per_s,
    };
    Some(copied? / registry::kind(kind).ok()?.least_moved() as f64)
}

/// The machine and the build, as the records have them. Unknown ones are left out.
fn environment(line: &EnvironmentLine) -> Vec<(&'static str, String)> {
    let environment = &line.environment;
    let gpu = environment.gpu.as_ref();
    let setup = environment.gpu_setup.clone().unwrap_or_default();
    let yes_no = |value: bool| (if value { "yes" } else { "no" }).to_owned();
    let bandwidth = |bytes: f64| format!("{:.1} GB/s", bytes / 1e9);
    let hertz = |hertz: f64| format!("{:.0} MHz", hertz / 1e6);
    let memory = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let rows = [
        ("commit", environment.commit.clone()),
        ("tracked files changed", environment.dirty.map(yes_no)),
        ("compiler", Some(environment.toolchain.clone())),
        ("PTX, SHA-256", environment.ptx_sha256.clone()),
        ("CPU", environment.cpu.clone()),
        ("cores", Some(environment.cores.to_string())),
        ("governor", environment.governor.clone()),
        ("memory", environment.memory_bytes.map(memory)),
        ("copy in host memory", line.host_copy_bytes_per_s.map(bandwidth)),
        ("system", environment.os.clone()),
        ("kernel", environment.kernel.clone()),
        ("container", environment.container.clone()),
        ("GPU", gpu.map(|gpu| gpu.name.clone())),
        ("GPU memory", gpu.map(|gpu| memory(gpu.memory_bytes))),
        ("copy in GPU memory", line.device_copy_bytes_per_s.map(bandwidth)),
        ("driver", setup.driver),
        ("CUDA of the driver", gpu.map(|gpu| gpu.driver_cuda.clone())),
        ("SM clock, highest", setup.sm_clock_max_hz.map(hertz)),
        ("memory clock, highest", setup.memory_clock_max_hz.map(hertz)),
        ("power cap", setup.power_cap_w.map(|watts| format!("{watts:.0} W"))),
        ("ECC", setup.ecc.map(yes_no)),
        ("MIG", setup.mig.map(yes_no)),
        ("seed", Some(line.seed.to_string())),
        ("tier", Some(line.tier.clone())),
        ("environment", Some(line.id.clone())),
        ("measured, Unix time", Some(grouped(environment.unix_time_s as usize))),
    ];
    let known = rows.into_iter();
    known.filter_map(|(what, value)| Some((what, value?))).collect()
}
