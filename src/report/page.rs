//! The page: one file with everything in it. It asks nothing of a network, which its
//! own policy forbids, follows the system's light or dark until told otherwise, and
//! works with the keyboard alone: all controls are the browser's own.

use anyhow::{Context, Result};
use askama::Template;
use suite::lines::EnvironmentLine;
use suite::summary::{Curve, Figures, Rank};
use suite::{Group, Summary, registry};

use super::charts::{self, Metric};
use super::figures::{grouped, input, joules, rate, seconds, share};
use super::text::peers;
use super::{analysis, text};

/// Most rows of a table that is open from the start.
const ROWS_OPEN: usize = 40;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    subtitle: String,
    machine: Vec<(&'static str, String)>,
    skipped: Vec<(String, String)>,
    metrics: Vec<&'static str>,
    sections: Vec<Section>,
}

/// A group.
struct Section {
    name: &'static str,
    question: &'static str,
    analysis: String,
    charts: Vec<Chart>,
    heat: Option<Heat>,
    ranks: Vec<Rank>,
    rows: Vec<Row>,
    /// True if the rows are shown from the start.
    open: bool,
    /// True if the rows have a column of joules.
    energy: bool,
}

/// A chart, in several metrics or in one.
struct Chart {
    title: String,
    legend: Vec<Legend>,
    drawings: Vec<Drawing>,
    bound: Option<String>,
}

struct Legend {
    engine: String,
    colour: usize,
}

struct Drawing {
    /// The metric it is of; empty if it is always shown.
    metric: &'static str,
    svg: String,
}

/// Times of peers over those of one engine.
struct Heat {
    engine: &'static str,
    peers: Vec<&'static str>,
    rows: Vec<HeatRow>,
}

struct HeatRow {
    input: String,
    cells: Vec<Option<HeatCell>>,
}

struct HeatCell {
    ratio: String,
    /// Which side is faster, and by how much, from 0 to 70 for the colour.
    side: &'static str,
    strength: u32,
}

struct Row {
    name: String,
    engine: String,
    input: String,
    level: usize,
    time: String,
    interval: String,
    rate: String,
    speed_up: String,
    efficiency: String,
    once: String,
    passes: String,
    joules: String,
    overlap: String,
    clock: String,
    samples: usize,
    slowed: usize,
}

/// The page over `summary`.
pub fn render(summary: &Summary) -> Result<String> {
    let sections: Result<Vec<Section>> =
        Group::ALL.into_iter().map(|group| section(summary, group)).collect();
    let page = Page {
        subtitle: text::environment(summary),
        machine: summary.environment().map(machine).unwrap_or_default(),
        skipped: (summary.skipped.iter())
            .map(|(engine, reason)| (engine.clone(), reason.clone()))
            .collect(),
        metrics: Metric::ALL.map(Metric::name).to_vec(),
        sections: sections?,
    };
    page.render().context("cannot write the report's page")
}

fn section(summary: &Summary, group: Group) -> Result<Section> {
    let mut charts = level_charts(summary, group)?;
    charts.extend(size_charts(summary, group)?);
    let rows: Vec<Row> = summary.of_group(group).into_iter().map(row).collect();
    Ok(Section {
        name: group.name(),
        question: group.question(),
        analysis: analysis::paragraph(summary, group),
        charts,
        heat: heat(summary, group),
        ranks: summary.rank(group),
        open: rows.len() <= ROWS_OPEN,
        energy: summary.has_energy(group),
        rows,
    })
}

/// The place of an engine among those of its group: its colour and its mark.
fn colour(group: Group, engine: &str) -> usize {
    let place = group.engines().iter().position(|known| *known == engine);
    place.unwrap_or(0)
}

fn legend(group: Group, engines: &[&str]) -> Vec<Legend> {
    let entry = |engine: &&str| Legend {
        engine: (*engine).to_owned(),
        colour: colour(group, engine) % charts::SERIES,
    };
    engines.iter().map(entry).collect()
}

/// A chart for each input that some engine sorts at several levels.
fn level_charts(summary: &Summary, group: Group) -> Result<Vec<Chart>> {
    let curves = summary.curves(group);
    let mut inputs: Vec<&str> = Vec::new();
    for curve in curves.iter().filter(|curve| curve.points.len() > 1) {
        if !inputs.contains(&curve.input.as_str()) {
            inputs.push(&curve.input);
        }
    }
    let chart = |wanted: &&str| {
        let shown: Vec<&Curve> = curves.iter().filter(|curve| curve.input == **wanted).collect();
        let first = shown.iter().flat_map(|curve| &curve.points).next();
        let what = first.map_or_else(String::new, |figures| input(&figures.name));
        let engines: Vec<&str> = shown.iter().map(|curve| curve.engine.as_str()).collect();
        let colours: Vec<usize> = engines.iter().map(|engine| colour(group, engine)).collect();
        let drawing = |metric: Metric| {
            Ok(Drawing {
                metric: metric.name(),
                svg: charts::over_levels(&shown, &colours, metric)?,
            })
        };
        Ok(Chart {
            title: format!("{what} over concurrency level, with intervals"),
            legend: legend(group, &engines),
            drawings: Metric::ALL.into_iter().map(drawing).collect::<Result<_>>()?,
            bound: None,
        })
    };
    inputs.iter().map(chart).collect()
}

/// A chart for each type and distribution of which there are several sizes.
fn size_charts(summary: &Summary, group: Group) -> Result<Vec<Chart>> {
    let cells = summary.of_group(group);
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for figures in &cells {
        let kind = (figures.name.kind.as_str(), figures.name.distribution.as_str());
        let of_kind = |other: &&&Figures| {
            (other.name.kind.as_str(), other.name.distribution.as_str()) == kind
        };
        let mut sizes: Vec<usize> = cells.iter().filter(of_kind).map(|cell| cell.name.n).collect();
        sizes.dedup();
        if sizes.len() > 1 && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let kinds = kinds.into_iter();
    kinds.map(|kind| size_chart(summary, group, kind)).collect()
}

fn size_chart(summary: &Summary, group: Group, (kind, spread): (&str, &str)) -> Result<Chart> {
    let cells = summary.of_group(group);
    let engines = summary.engines_of(group);
    let mut lines: Vec<Vec<&Figures>> = Vec::new();
    let mut shown: Vec<&str> = Vec::new();
    for engine in engines {
        let mut line: Vec<&Figures> = Vec::new();
        for &figures in &cells {
            let name = &figures.name;
            if name.engine != engine || name.kind != kind || name.distribution != spread {
                continue;
            }
            // Of several levels of one size, the best.
            match line.last_mut().filter(|last| last.name.n == name.n) {
                Some(last) if last.per_second < figures.per_second => *last = figures,
                Some(_) => {}
                None => line.push(figures),
            }
        }
        if !line.is_empty() {
            line.sort_by_key(|figures| figures.name.n);
            lines.push(line);
            shown.push(engine);
        }
    }
    let colours: Vec<usize> = shown.iter().map(|engine| colour(group, engine)).collect();
    let bound = bound(summary, group, kind);
    Ok(Chart {
        title: format!("{kind}, {spread}: throughput over size"),
        legend: legend(group, &shown),
        drawings: vec![Drawing { metric: "", svg: charts::over_sizes(&lines, &colours, bound)? }],
        bound: bound.map(|bound| {
            format!(
                "Dashed: {} elements a second, one read and one write at the speed of a copy.",
                rate(bound)
            )
        }),
    })
}

/// Elements a second that no sort surpasses which reads and writes each once.
fn bound(summary: &Summary, group: Group, kind: &str) -> Option<f64> {
    let line = summary.environment()?;
    let copied = match group {
        Group::Cpu => line.host_copy_bytes_per_s,
        _ if line.environment.gpu.is_some() => line.device_copy_bytes_per_s,
        _ => line.host_copy_bytes_per_s,
    };
    Some(copied? / (2.0 * registry::bytes_of(kind)? as f64))
}

fn heat(summary: &Summary, group: Group) -> Option<Heat> {
    let engines = summary.engines_of(group);
    let (engine, others) = engines.split_first()?;
    if others.is_empty() || group.is_copy() {
        return None;
    }
    let cells = summary.of_group(group);
    let rows = cells.iter().filter(|cell| cell.name.engine == *engine);
    let rows = rows.map(|cell| HeatRow {
        input: format!("{}, level {}", input(&cell.name), cell.name.level),
        cells: (peers(&engines)).map(|peer| summary.ratio(cell, peer).map(heat_cell)).collect(),
    });
    Some(Heat { engine, peers: peers(&engines).collect(), rows: rows.collect() })
}

fn heat_cell(ratio: f64) -> HeatCell {
    // Full strength where one takes four times as long as the other.
    let strength = (ratio.log2().abs() / 2.0).min(1.0) * 70.0;
    HeatCell {
        ratio: format!("{ratio:.2}"),
        side: if ratio >= 1.0 { "slower" } else { "faster" },
        strength: strength.round() as u32,
    }
}

fn row(figures: &Figures) -> Row {
    let dash = "\u{2013}";
    let times = |value: Option<f64>| value.map_or(dash.to_owned(), |value| format!("{value:.2}"));
    let part = |value: Option<f64>| match value {
        Some(_) => share(value),
        None => dash.to_owned(),
    };
    Row {
        name: figures.name.to_string(),
        engine: figures.name.engine.clone(),
        input: input(&figures.name),
        level: figures.name.level,
        time: seconds(figures.median_s),
        interval: format!("{} to {}", seconds(figures.low_s), seconds(figures.high_s)),
        rate: rate(figures.per_second),
        speed_up: times(figures.speed_up),
        efficiency: times(figures.efficiency),
        once: part(figures.share_once),
        passes: part(figures.share_passes),
        joules: match figures.joules_per_billion {
            Some(_) => joules(figures.joules_per_billion),
            None => dash.to_owned(),
        },
        overlap: times(figures.overlap),
        clock: format!("{:?}", figures.clock).to_lowercase(),
        samples: figures.samples,
        slowed: figures.slowed,
    }
}

/// The machine and the build, as the records have them. Unknown ones are left out.
fn machine(line: &EnvironmentLine) -> Vec<(&'static str, String)> {
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
