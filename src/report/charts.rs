//! Charts, as SVG that takes its colours from the page it stands in.
//!
//! The library draws with fixed colours. Each colour here stands for a variable of the
//! page's style sheet and is replaced by it when all is drawn, so that one drawing
//! serves a light and a dark page. No colour is the only sign of anything: series have
//! marks of their own too, and the table beside a chart has every figure.

use std::io;
use std::ops::Range;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use regress::commits::Commit;
use regress::history::{self, Step};
use regress::stats::median;
use suite::classic::Classic;
use suite::summary::{Curve, Figures};

use super::figures::{self, change, grouped};

const FONT: &str = "sans-serif";
/// Series that have a colour and a mark of their own; more take turns.
pub const SERIES: usize = 6;
/// Stands for the colour of texts.
const INK: RGBColor = RGBColor(1, 1, 1);
/// Stands for the colour of grids.
const GRID: RGBColor = RGBColor(2, 2, 2);
/// Series whose colours a history's curve and its steps have.
const CURVE: usize = 0;
const STEP: usize = 3;

/// Metric of a chart over levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Time of one run.
    Time,
    /// Elements a second.
    Throughput,
    /// Throughput over that of level 1.
    SpeedUp,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Time, Self::Throughput, Self::SpeedUp];

    /// Its name in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Throughput => "throughput",
            Self::SpeedUp => "speed-up",
        }
    }
}

/// A value with the ends of its interval.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    low: f64,
    value: f64,
    high: f64,
}

/// A line in a chart.
struct Series {
    colour: usize,
    points: Vec<Point>,
}

/// Titles and labels of the axes.
struct Axes<'a> {
    titles: [&'a str; 2],
    labels: [usize; 2],
    x: &'a dyn Fn(&f64) -> String,
    y: &'a dyn Fn(&f64) -> String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;
type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// A metric over levels, a line an engine. `colours` has the position of each curve's
/// engine among those of the group.
pub fn over_levels(curves: &[&Curve], colours: &[usize], metric: Metric) -> Result<String> {
    let slowest = curves.iter().flat_map(|curve| &curve.points);
    let slowest = slowest.map(|point| point.median_s).fold(0.0, f64::max);
    let (unit, per_second) = figures::unit(slowest);
    let series = curves.iter().zip(colours).map(|(curve, &colour)| Series {
        colour,
        points: (curve.points.iter())
            .map(|point| level_point(point, &curve.points[0], metric, per_second))
            .collect(),
    });
    let title = match metric {
        Metric::Time => format!("time [{unit}]"),
        Metric::Throughput => "elements a second [millions]".to_owned(),
        Metric::SpeedUp => "speed-up over level 1".to_owned(),
    };
    let titles = ["concurrency level (logarithmic)", &title];
    logarithmic(&series.collect::<Vec<_>>(), None, titles, &|level| format!("{level:.0}"))
}

fn level_point(point: &Figures, first: &Figures, metric: Metric, per_second: f64) -> Point {
    let elements = point.per_second * point.median_s;
    let value = |seconds: f64| match metric {
        Metric::Time => seconds * per_second,
        Metric::Throughput => elements / seconds / 1e6,
        Metric::SpeedUp => elements / seconds / first.per_second,
    };
    // Where the metric falls as time rises, ends change sides.
    let ends = [value(point.low_s), value(point.high_s)];
    Point {
        x: point.name.level as f64,
        low: ends[0].min(ends[1]),
        value: value(point.median_s),
        high: ends[0].max(ends[1]),
    }
}

/// Throughput over sizes, a line an engine, with `bound` elements a second as a limit.
pub fn over_sizes(
    lines: &[Vec<&Figures>],
    colours: &[usize],
    bound: Option<f64>,
) -> Result<String> {
    let point = |figures: &&Figures| {
        let elements = figures.per_second * figures.median_s / 1e6;
        Point {
            x: figures.name.n as f64,
            low: elements / figures.high_s,
            value: elements / figures.median_s,
            high: elements / figures.low_s,
        }
    };
    let series = lines.iter().zip(colours);
    let series: Vec<Series> = series
        .map(|(line, &colour)| Series { colour, points: line.iter().map(point).collect() })
        .collect();
    let titles = ["elements (logarithmic)", "elements a second [millions]"];
    let label = |n: &f64| figures::power(n.round() as usize);
    logarithmic(&series, bound.map(|bound| bound / 1e6), titles, &label)
}

/// Series over an axis of powers of two, with a dashed line at `bound`.
fn logarithmic(
    series: &[Series],
    bound: Option<f64>,
    titles: [&str; 2],
    label: &dyn Fn(&f64) -> String,
) -> Result<String> {
    let points = || series.iter().flat_map(|series| &series.points);
    let ends = span(points().map(|point| point.x));
    let top = span(points().map(|point| point.high).chain(bound)).end.max(1e-9) * 1.08;
    let least = span(points().map(|point| point.low).filter(|low| *low > 0.0)).start.min(top);
    let x = (ends.start / 1.25..ends.end * 1.25).log_scale().base(2.0);
    let axes = Axes { titles, labels: [16, 8], x: label, y: &|value| short(*value) };
    svg((760, 400), |area| {
        let mut builder = ChartBuilder::on(area);
        builder.margin(10).x_label_area_size(54).y_label_area_size(90);
        // From zero, so that heights compare; unless the lowest line would lie on it.
        if top / least > 30.0 {
            let y = (least / 1.3..top * 1.2).log_scale();
            plot(&mut builder.build_cartesian_2d(x, y)?, &axes, series, bound, ends)
        } else {
            plot(&mut builder.build_cartesian_2d(x, 0.0..top)?, &axes, series, bound, ends)
        }
    })
}

fn plot<X, Y>(
    chart: &mut Chart<'_, '_, X, Y>,
    axes: &Axes,
    all: &[Series],
    bound: Option<f64>,
    ends: Range<f64>,
) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    mesh(chart, axes)?;
    for one in all {
        series(chart, one)?;
    }
    if let Some(bound) = bound {
        let line = [(ends.start, bound), (ends.end, bound)];
        chart.draw_series(DashedLineSeries::new(line, 6, 5, INK.stroke_width(1)))?;
    }
    Ok(())
}

/// A case over `commits`.
pub fn over_commits(curve: &history::Curve, commits: &[Commit]) -> Result<String> {
    let greatest = curve.points.iter().map(|point| point.interval_s[1]);
    let (unit, per_second) = figures::unit(greatest.fold(0.0, f64::max));
    let points = curve.points.iter().map(|point| {
        let [low, high] = point.interval_s.map(|seconds| seconds * per_second);
        Point { x: point.index as f64, low, value: point.aligned_s * per_second, high }
    });
    let all = Series { colour: CURVE, points: points.collect() };
    let ends = span(all.points.iter().flat_map(|point| [point.low, point.high]));
    let room = ((ends.end - ends.start) * 0.12).max(ends.end * 0.01);
    let heights = (ends.start - room).max(0.0)..ends.end + 2.0 * room;
    // Enough that neighbouring labels differ.
    let decimals = (1.0 - (ends.end - ends.start + room).log10()).ceil().clamp(0.0, 6.0) as usize;
    let last = commits.len().saturating_sub(1) as f64;
    let axes = Axes {
        titles: ["commit, the oldest on the left", &format!("time [{unit}]")],
        labels: [10, 6],
        x: &|at| label(*at, commits),
        y: &|value| format!("{value:.decimals$}"),
    };
    svg((1000, 330), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(54)
            .y_label_area_size(86)
            .build_cartesian_2d(-0.6..last + 0.6, heights.clone())?;
        mesh(&mut chart, &axes)?;
        let index = |id: &str| commits.iter().position(|commit| commit.id == id);
        for Step { commit, previous, ratio, .. } in &curve.steps {
            let (Some(from), Some(to)) = (index(previous), index(commit)) else {
                continue;
            };
            let x = (from + to) as f64 / 2.0;
            let line = [(x, heights.start), (x, heights.end)];
            let style = colour_of(STEP).stroke_width(2);
            chart.draw_series(DashedLineSeries::new(line, 6, 5, style))?;
            let beside = x + (last + 1.2) * 0.005;
            chart.draw_series([Text::new(change(*ratio), (beside, heights.end), text(15))])?;
        }
        for (ends, level_s) in levels(curve) {
            let line = ends.map(|index| (index as f64, level_s * per_second));
            chart.draw_series(LineSeries::new(line, colour_of(CURVE).stroke_width(1)))?;
        }
        series(&mut chart, &all)
    })
}

/// The commit at an index; nothing between two or beyond them.
fn label(at: f64, commits: &[Commit]) -> String {
    if at.fract().abs() > 1e-6 || at < 0.0 {
        return String::new();
    }
    commits.get(at as usize).map_or_else(String::new, |commit| commit.short().to_owned())
}

/// First and last index, and median, of the points between two steps.
fn levels(curve: &history::Curve) -> Vec<([usize; 2], f64)> {
    let starts = |point: &history::Point| curve.steps.iter().any(|of| of.commit == point.commit);
    let levels = curve.points.chunk_by(|_, next| !starts(next));
    let level = |points: &[history::Point]| {
        let values: Vec<f64> = points.iter().map(|point| point.aligned_s).collect();
        Some(([points.first()?.index, points.last()?.index], median(&values)?))
    };
    levels.filter_map(level).collect()
}

/// A drawing of its own: time over concurrency level of `cudamark classic`. The axis of times
/// is linear and from zero, so that heights compare as times do.
pub fn classic(record: &Classic) -> Result<String> {
    let mut levels: Vec<_> = record.levels.iter().collect();
    levels.sort_by_key(|level| level.level);
    // Room above the highest bar, and a scale at all where nothing was sorted.
    let top = (levels.iter().map(|level| level.high_s).fold(0.0, f64::max) * 1.1).max(1e-9);
    let (unit, per_second) = figures::unit(top);
    let points = levels.iter().map(|level| Point {
        x: level.level as f64,
        low: level.low_s * per_second,
        value: level.median_s * per_second,
        high: level.high_s * per_second,
    });
    let all = Series { colour: CURVE, points: points.collect() };
    let ends = match all.points.is_empty() {
        true => 1.0..1.0,
        false => span(all.points.iter().map(|point| point.x)),
    };
    let title =
        format!("Sorting {} {} keys: time over concurrency level", grouped(record.n), record.key);
    let axes = Axes {
        titles: ["concurrency level: threads or streams (logarithmic)", &format!("time [{unit}]")],
        labels: [16, 10],
        x: &|level| format!("{level:.0}"),
        y: &|value| short(*value),
    };
    let drawing = svg((900, 540), |area| {
        area.fill(&WHITE)?;
        let (head, body) = area.split_vertically(70);
        head.draw_text(&title, &text(27).into_text_style(&head), (24, 14))?;
        head.draw_text(&subtitle(record), &text(18).into_text_style(&head), (24, 46))?;
        let x = (ends.start / 1.25..ends.end * 1.25).log_scale().base(2.0);
        let mut chart = ChartBuilder::on(&body)
            .margin(16)
            .x_label_area_size(56)
            .y_label_area_size(72)
            .build_cartesian_2d(x, 0.0..top * per_second)?;
        plot(&mut chart, &axes, &[all], None, ends)
    })?;
    let colours = [("var(--ink)", "#000000"), ("var(--grid)", "#DDDDDD")];
    let drawing = colours.iter().fold(drawing, |svg, (name, colour)| svg.replace(name, colour));
    Ok(drawing.replace("var(--series-0)", "#0000FF"))
}

/// Engine, machine and meaning of the bars.
fn subtitle(record: &Classic) -> String {
    let engine = record.levels.first().map_or("", |level| &*level.engine);
    let samples = record.levels.first().map_or(0, |level| level.samples_s.len());
    let environment = &record.environment;
    let machine = match (&environment.gpu, &environment.cpu) {
        (Some(gpu), _) => gpu.name.clone(),
        (None, Some(cpu)) => format!("{cpu}, {} cores", environment.cores),
        (None, None) => format!("{} cores", environment.cores),
    };
    format!(
        "{engine} on {machine}; median of {samples}, bars: {:.1} % interval for it",
        100.0 * record.confidence
    )
}

/// Draws, with the page's colours.
fn svg(size: (u32, u32), draw: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).and_then(|()| area.present()).context("cannot draw a chart")?;
    }
    let hex = |RGBColor(r, g, b): RGBColor| format!("#{r:02X}{g:02X}{b:02X}");
    svg = svg.replace(&hex(INK), "var(--ink)").replace(&hex(GRID), "var(--grid)");
    for series in 0..SERIES {
        svg = svg.replace(&hex(colour_of(series)), &format!("var(--series-{series})"));
    }
    Ok(svg.replacen("<svg ", "<svg role=\"presentation\" ", 1))
}

fn mesh<X, Y>(chart: &mut Chart<'_, '_, X, Y>, axes: &Axes) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(axes.titles[0])
        .y_desc(axes.titles[1])
        .x_labels(axes.labels[0])
        .y_labels(axes.labels[1])
        .x_label_formatter(&|value| (axes.x)(value))
        .y_label_formatter(&|value| (axes.y)(value))
        .label_style(text(17))
        .axis_desc_style(text(18))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()
}

/// A line with intervals and marks: by turns dots, triangles and crosses.
fn series<X, Y>(chart: &mut Chart<'_, '_, X, Y>, series: &Series) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let style = colour_of(series.colour);
    let points = || series.points.iter().copied();
    let at = points().map(|point| (point.x, point.value));
    chart.draw_series(LineSeries::new(at.clone(), style.stroke_width(2)))?;
    chart.draw_series(points().map(|Point { x, low, value, high }| {
        ErrorBar::new_vertical(x, low, value, high, style.filled(), 8)
    }))?;
    match series.colour % 3 {
        0 => chart.draw_series(at.map(|at| Circle::new(at, 4, style.filled())))?,
        1 => chart.draw_series(at.map(|at| TriangleMarker::new(at, 6, style.filled())))?,
        _ => chart.draw_series(at.map(|at| Cross::new(at, 5, style.stroke_width(2))))?,
    };
    Ok(())
}

fn text(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// From the least to the greatest of `values`.
fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    values.fold(f64::INFINITY..0.0, |span, value| span.start.min(value)..span.end.max(value))
}

/// A figure on an axis.
fn short(value: f64) -> String {
    match value {
        1.0.. => grouped(value.round() as usize),
        0.0 => "0".to_owned(),
        // As many digits as show the first two that are not 0.
        _ => format!("{value:.*}", 1 + (-value.log10()).ceil() as usize),
    }
}

/// Stands for the colour of a series.
fn colour_of(series: usize) -> RGBColor {
    RGBColor(3, 3, (series % SERIES) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_no_colour_but_the_pages() {
        let point = |x: f64, value: f64| Point { x, low: value * 0.9, value, high: value * 1.1 };
        let points = |colour| vec![point(1.0, 5.0), point(8.0, 3.0 + colour as f64)];
        let all: Vec<Series> =
            (0..SERIES).map(|colour| Series { colour, points: points(colour) }).collect();
        let svg = logarithmic(&all, Some(2.0), ["x", "y"], &|x| x.to_string()).unwrap();
        assert!(!svg.contains("\"#"), "{svg}");
        for variable in ["--ink", "--grid", "--series-0", "--series-5"] {
            assert!(svg.contains(&format!("var({variable})")), "{variable}");
        }
    }
}
