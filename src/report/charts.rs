//! Charts, as SVG that takes its colours from the page it stands in.
//!
//! The library draws with fixed colours. Each colour here stands for a variable of the
//! page's style sheet and is replaced by it when all is drawn, so that one drawing
//! serves a light and a dark page. No colour is the only sign of anything: each line has
//! its name at its end, and the table beside a chart has every figure.

use std::io;
use std::ops::Range;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use regress::commits::Commit;
use regress::history::{self, Step};
use regress::stats::median;
use suite::classic::Classic;
use suite::summary::{Curve, Figures};
use suite::{Case, Group};

use super::figures::{self, change, grouped};

const FONT: &str = "sans-serif";
/// Series that have a colour of their own; more take turns.
const SERIES: usize = 6;
/// Size of a chart over levels or sizes: its texts can be read at a phone's width too.
const SIZE: (u32, u32) = (480, 340);
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
    /// Name at its end, if it has one.
    label: String,
    colour: RGBColor,
    points: Vec<Point>,
    /// Drawn without marks: a limit, or an engine that ignores the level.
    dashed: bool,
}

/// Titles and labels of the axes, and the size of their letters.
struct Axes<'a> {
    titles: [&'a str; 2],
    labels: [usize; 2],
    letters: i32,
    x: &'a dyn Fn(&f64) -> String,
    y: &'a dyn Fn(&f64) -> String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;
type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// A metric over levels, a line an engine.
pub fn over_levels(curves: &[&Curve], metric: Metric) -> Result<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (unit, per_second) = figures::unit(span(points().map(|point| point.of_array_s())).start);
    let (many, keys) = many(span(points().map(|point| point.per_second)).end);
    let levels = span(points().map(|point| point.name.level as f64));
    let series = curves.iter().map(|curve| {
        let scale = |point: &Figures| match metric {
            Metric::Time => point.of_array_s() * per_second,
            Metric::Throughput => point.per_second / keys,
            Metric::SpeedUp => point.per_second / curve.points[0].per_second,
        };
        let point = |case: &Figures| point(case, case.name.level, metric, scale(case));
        let mut points: Vec<Point> = curve.points.iter().map(point).collect();
        let dashed = curve.ignores_level();
        if dashed {
            points = [levels.start, levels.end].map(|x| Point { x, ..points[0] }).to_vec();
        }
        Series { dashed, ..Series::of_engine(&curve.points[0].name, points) }
    });
    let is_batch = points().any(|point| point.arrays > 1);
    let title = match metric {
        Metric::Time if is_batch => format!("time an array [{unit}]"),
        Metric::Time => format!("time [{unit}]"),
        Metric::Throughput => format!("{many} keys a second"),
        Metric::SpeedUp => "speed-up over level 1".to_owned(),
    };
    let series: Vec<Series> = series.collect();
    logarithmic(SIZE, &[], &series, ["concurrency level", &title], &|level| format!("{level:.0}"))
}

/// A point whose interval is about `value` as that of the time is about its median.
fn point(case: &Figures, x: usize, metric: Metric, value: f64) -> Point {
    let ends = [case.low_s / case.median_s, case.high_s / case.median_s];
    let [low, high] = match metric {
        Metric::Time => ends.map(|end| value * end),
        // They fall as time rises: ends change sides.
        Metric::Throughput | Metric::SpeedUp => [value / ends[1], value / ends[0]],
    };
    Point { x: x as f64, low, value, high }
}

/// A word for a number of keys of which `most` has some, and the number.
fn many(most: f64) -> (&'static str, f64) {
    match most {
        1e9.. => ("billion", 1e9),
        _ => ("million", 1e6),
    }
}

/// Throughput over sizes, a line an engine, with `bound` elements a second as a limit.
pub fn over_sizes(lines: &[Vec<&Figures>], bound: Option<f64>) -> Result<String> {
    let (many, keys) = many(span(lines.iter().flatten().map(|case| case.per_second)).end);
    let of = |case: &&Figures| point(case, case.name.n, Metric::Throughput, case.per_second / keys);
    let line =
        |line: &Vec<&Figures>| Series::of_engine(&line[0].name, line.iter().map(of).collect());
    let mut series: Vec<Series> = lines.iter().map(line).collect();
    let sizes = span(series.iter().flat_map(|series| &series.points).map(|point| point.x));
    if let Some(value) = bound.map(|bound| bound / keys) {
        let points = [sizes.start, sizes.end].map(|x| Point { x, low: value, value, high: value });
        let (label, points) = ("copy".to_owned(), points.to_vec());
        series.push(Series { label, colour: INK, points, dashed: true });
    }
    let label = |n: &f64| figures::power(n.round() as usize);
    logarithmic(SIZE, &[], &series, ["keys", &format!("{many} keys a second")], &label)
}

/// Series over an axis of powers of two, each with its name at its end, below the lines of
/// `head`.
fn logarithmic(
    size: (u32, u32),
    head: &[String],
    series: &[Series],
    titles: [&str; 2],
    label: &dyn Fn(&f64) -> String,
) -> Result<String> {
    let points = || series.iter().flat_map(|series| &series.points);
    let ends = span(points().map(|point| point.x));
    let ends = if ends.is_empty() && ends.start != ends.end { 1.0..1.0 } else { ends };
    let top = span(points().map(|point| point.high)).end.max(1e-9) * 1.08;
    let least = span(points().map(|point| point.low).filter(|low| *low > 0.0)).start.min(top);
    let x = (ends.start / 1.25..ends.end * 1.25).log_scale().base(2.0);
    let letters = 18;
    let ticks = size.0 as usize / (15 * (1 + label(&ends.end).len()));
    let axes = Axes {
        titles: [titles[0], ""],
        labels: [ticks, 6],
        letters,
        x: label,
        y: &|value| short(*value),
    };
    let longest = series.iter().map(|series| series.label.len()).max().unwrap_or(0);
    svg(size, |area| {
        let mut below = 2;
        for line in head.iter().map(String::as_str).chain([titles[1]]) {
            area.draw_text(line, &text(letters).into_text_style(area), (4, below))?;
            below += 28;
        }
        let mut builder = ChartBuilder::on(area);
        builder.margin(6).margin_top(below).margin_right(10 + 9 * longest as u32);
        builder.x_label_area_size(50).y_label_area_size(56);
        // From zero, so that heights compare; unless the lowest line would lie on it.
        if top / least > 30.0 {
            let y = (least / 1.3..top * 1.2).log_scale();
            plot(area, &mut builder.build_cartesian_2d(x, y)?, &axes, series)
        } else {
            plot(area, &mut builder.build_cartesian_2d(x, 0.0..top)?, &axes, series)
        }
    })
}

fn plot<X, Y>(area: &Area, chart: &mut Chart<'_, '_, X, Y>, axes: &Axes, all: &[Series]) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    mesh(chart, axes)?;
    for one in all {
        series(chart, one)?;
    }
    let last = |series: &Series| {
        let point = series.points.last().filter(|_| !series.label.is_empty())?;
        Some(chart.backend_coord(&(point.x, point.value)))
    };
    let mut ends: Vec<_> = all.iter().filter_map(|one| Some((last(one)?, one))).collect();
    ends.sort_by_key(|((_, y), _)| *y);
    let (across, down) = chart.plotting_area().get_pixel_range();
    let wanted: Vec<i32> = ends.iter().map(|((_, y), _)| *y).collect();
    for (((x, y), one), at) in ends.iter().zip(spread(&wanted, axes.letters + 2, down)) {
        // A thread from the end of a line to a name that lies elsewhere.
        if across.end - x > 24 || (at - y).abs() > 2 {
            let thread = vec![(x + 6, *y), (across.end - 2, at)];
            area.draw(&PathElement::new(thread, one.colour.stroke_width(1)))?;
        }
        let style = text(axes.letters).color(&one.colour).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(&one.label, &style, (across.end + 2, at))?;
    }
    Ok(())
}

/// Heights of labels, `gap` apart at least and within `range` if there is room: each as near
/// below the one `wanted` as those above it let it be. The wanted heights ascend.
fn spread(wanted: &[i32], gap: i32, range: Range<i32>) -> Vec<i32> {
    let mut free = range.start;
    let place = |(above, y): (usize, &i32)| {
        let below = (wanted.len() - 1 - above) as i32;
        let at = (*y).min(range.end - below * gap).max(free);
        free = at + gap;
        at
    };
    wanted.iter().enumerate().map(place).collect()
}

/// A case over `commits`.
pub fn over_commits(curve: &history::Curve, commits: &[Commit]) -> Result<String> {
    let greatest = curve.points.iter().map(|point| point.interval_s[1]);
    let (unit, per_second) = figures::unit(greatest.fold(0.0, f64::max));
    let points = curve.points.iter().map(|point| {
        let [low, high] = point.interval_s.map(|seconds| seconds * per_second);
        Point { x: point.index as f64, low, value: point.aligned_s * per_second, high }
    });
    let all = Series::unnamed(points.collect());
    let ends = span(all.points.iter().flat_map(|point| [point.low, point.high]));
    let room = ((ends.end - ends.start) * 0.12).max(ends.end * 0.01);
    let heights = (ends.start - room).max(0.0)..ends.end + 2.0 * room;
    // Enough that neighbouring labels differ.
    let decimals = (1.0 - (ends.end - ends.start + room).log10()).ceil().clamp(0.0, 6.0) as usize;
    let last = commits.len().saturating_sub(1) as f64;
    let axes = Axes {
        titles: ["commit, the oldest on the left", &format!("time [{unit}]")],
        labels: [10, 6],
        letters: 17,
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

/// A drawing of its own, on white: time over concurrency level of `cudamark classic`.
pub fn classic(record: &Classic) -> Result<String> {
    let mut levels: Vec<_> = record.levels.iter().collect();
    levels.sort_by_key(|level| level.level);
    let (unit, per_second) = figures::unit(span(levels.iter().map(|level| level.median_s)).start);
    let points = levels.iter().map(|level| Point {
        x: level.level as f64,
        low: level.low_s * per_second,
        value: level.median_s * per_second,
        high: level.high_s * per_second,
    });
    let series = Series::unnamed(points.collect());
    let title =
        format!("Sorting {} {} keys: time over concurrency level", grouped(record.n), record.key);
    let titles = ["concurrency level: threads", &format!("time [{unit}]")];
    let head = [title, subtitle(record)];
    let svg = logarithmic((900, 540), &head, &[series], titles, &|level| format!("{level:.0}"))?;
    let colours = [
        ("var(--ink)", "#000000"),
        ("var(--grid)", "#DDDDDD"),
        ("var(--series-0)", "#0000FF"),
        (" viewBox=", " style=\"background: white\" viewBox="),
    ];
    Ok(colours.iter().fold(svg, |svg, (name, colour)| svg.replace(name, colour)))
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
        .label_style(text(axes.letters))
        .axis_desc_style(text(axes.letters + 1))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()
}

/// A line with intervals and marks, or a dashed one.
fn series<X, Y>(chart: &mut Chart<'_, '_, X, Y>, series: &Series) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let (colour, style) = (series.colour.filled(), series.colour.stroke_width(2));
    let points = || series.points.iter().copied();
    let at = points().map(|point| (point.x, point.value));
    if series.dashed {
        chart.draw_series(DashedLineSeries::new(at, 6, 5, style))?;
        return Ok(());
    }
    chart.draw_series(LineSeries::new(at.clone(), style))?;
    chart.draw_series(points().map(|Point { x, low, value, high }| {
        ErrorBar::new_vertical(x, low, value, high, colour, 8)
    }))?;
    chart.draw_series(at.map(|at| Circle::new(at, 4, colour)))?;
    Ok(())
}

impl Series {
    /// The one line of a chart.
    fn unnamed(points: Vec<Point>) -> Self {
        Self { label: String::new(), colour: colour_of(CURVE), points, dashed: false }
    }

    /// The line of a case's engine, in the colour that its place in the group gives it.
    fn of_engine(name: &Case, points: Vec<Point>) -> Self {
        let engines = name.group.parse().map_or_else(|_| Vec::new(), Group::engines);
        let place = engines.iter().position(|engine| *engine == name.engine);
        let colour = colour_of(place.unwrap_or(0));
        Self { label: name.engine.clone(), colour, points, dashed: false }
    }
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
        let series = |index: usize| Series {
            label: format!("line-{index}"),
            colour: colour_of(index),
            points: vec![point(1.0, 5.0), point(8.0, 3.0 + index as f64)],
            dashed: index == 1,
        };
        let all: Vec<Series> = (0..SERIES).map(series).collect();
        let svg = logarithmic(SIZE, &[], &all, ["x", "y"], &|x| x.to_string()).unwrap();
        assert!(!svg.contains("\"#"), "{svg}");
        for variable in ["--ink", "--grid", "--series-0", "--series-5"] {
            assert!(svg.contains(&format!("var({variable})")), "{variable}");
        }
        assert!((0..SERIES).all(|index| svg.contains(&format!("line-{index}\n"))), "{svg}");
    }

    #[test]
    fn labels_are_where_they_are_wanted_or_a_gap_apart() {
        assert_eq!(spread(&[20, 60, 90], 16, 0..100), [20, 60, 90]);
        assert_eq!(spread(&[20, 22, 90], 16, 0..100), [20, 36, 90]);
        assert_eq!(spread(&[90, 95, 99], 16, 0..100), [68, 84, 100]);
        assert_eq!(spread(&[-5, 0], 16, 0..100), [0, 16]);
        assert!(spread(&[], 16, 0..100).is_empty());
    }
}
