//! Curves, as SVG that takes its colours from the page it stands in.
//!
//! The library draws with fixed colours. Each colour here stands for a variable of the
//! page's style sheet and is replaced by it when all is drawn, so that one drawing
//! serves a light and a dark page. No colour is the only sign of anything: series have
//! marks of their own too, and the table beside a chart has every figure.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use suite::summary::{Curve, Figures};

use super::figures;

const SIZE: (u32, u32) = (760, 400);
/// What texts are set in.
pub(crate) const FONT: &str = "sans-serif";
/// Series that have a colour and a mark of their own; more take turns.
pub const SERIES: usize = 6;

/// The colour that stands for that of texts.
pub(crate) const INK: RGBColor = RGBColor(1, 1, 1);
/// The colour that stands for that of grids.
pub(crate) const GRID: RGBColor = RGBColor(2, 2, 2);

/// What a level curve shows.
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
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// A limit, drawn as a dashed line over all of x.
struct Bound {
    points: Vec<(f64, f64)>,
}

/// A metric over levels, a line an engine. `colours` has the place of each curve's
/// engine among those of the group.
///
/// # Errors
/// What the library cannot draw.
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
    let x = "concurrency level (logarithmic)";
    draw_svg(&series.collect::<Vec<_>>(), None, (x, &title), &|level| format!("{level:.0}"))
}

fn level_point(point: &Figures, first: &Figures, metric: Metric, per_second: f64) -> Point {
    let elements = point.per_second * point.median_s;
    // From a time to the metric; where that falls as time rises, ends change places.
    let value = |seconds: f64| match metric {
        Metric::Time => seconds * per_second,
        Metric::Throughput => elements / seconds / 1e6,
        Metric::SpeedUp => elements / seconds / first.per_second,
    };
    let ends = [value(point.low_s), value(point.high_s)];
    Point {
        x: point.name.level as f64,
        low: ends[0].min(ends[1]),
        value: value(point.median_s),
        high: ends[0].max(ends[1]),
    }
}

/// Throughput over sizes, a line an engine, with `bound` elements a second as a limit.
///
/// # Errors
/// What the library cannot draw.
pub fn over_sizes(
    lines: &[Vec<&Figures>],
    colours: &[usize],
    bound: Option<f64>,
) -> Result<String> {
    let series: Vec<Series> = lines
        .iter()
        .zip(colours)
        .map(|(line, &colour)| Series {
            colour,
            points: line.iter().map(|figures| size_point(figures)).collect(),
        })
        .collect();
    let points = series.iter().flat_map(|series| &series.points);
    let xs: Vec<f64> = points.map(|point| point.x).collect();
    let least = xs.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = xs.iter().copied().fold(0.0, f64::max);
    let bound =
        bound.map(|bound| Bound { points: vec![(least, bound / 1e6), (greatest, bound / 1e6)] });
    let titles = ("elements (logarithmic)", "elements a second [millions]");
    draw_svg(&series, bound, titles, &|n| figures::power(n.round() as usize))
}

fn size_point(figures: &Figures) -> Point {
    let elements = figures.per_second * figures.median_s / 1e6;
    Point {
        x: figures.name.n as f64,
        low: elements / figures.high_s,
        value: elements / figures.median_s,
        high: elements / figures.low_s,
    }
}

fn draw_svg(
    series: &[Series],
    bound: Option<Bound>,
    titles: (&str, &str),
    label: &dyn Fn(&f64) -> String,
) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        // Errors of this back end borrow it: only their text outlives the drawing.
        draw(&area, series, bound, titles, label)
            .map_err(|error| anyhow!("cannot draw a chart: {error}"))?;
    }
    Ok(themed(&svg))
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    series: &[Series],
    bound: Option<Bound>,
    (x_title, y_title): (&str, &str),
    label: &dyn Fn(&f64) -> String,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let points = || series.iter().flat_map(|series| &series.points);
    let least_x = points().map(|point| point.x).fold(f64::INFINITY, f64::min);
    let greatest_x = points().map(|point| point.x).fold(0.0, f64::max);
    let limit = bound.iter().flat_map(|bound| &bound.points);
    let highs = points().map(|point| point.high);
    let highs = highs.chain(limit.map(|(_, y)| *y));
    let top = highs.fold(0.0, f64::max).max(1e-9) * 1.08;
    let lows = points().map(|point| point.low).filter(|low| *low > 0.0);
    let least = lows.fold(f64::INFINITY, f64::min).min(top);
    let x = (least_x / 1.25..greatest_x * 1.25).log_scale().base(2.0);
    // From zero, so that heights compare; unless the lowest line would lie on it.
    let mut chart = ChartBuilder::on(area);
    chart.margin(10).x_label_area_size(54).y_label_area_size(90);
    if top / least > 30.0 {
        let y = (least / 1.3..top * 1.2).log_scale();
        let mut chart = chart.build_cartesian_2d(x, y)?;
        plot(&mut chart, series, bound, (x_title, y_title), label)?;
    } else {
        let mut chart = chart.build_cartesian_2d(x, 0.0..top)?;
        plot(&mut chart, series, bound, (x_title, y_title), label)?;
    }
    area.present()
}

fn plot<B, X, Y>(
    chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
    series: &[Series],
    bound: Option<Bound>,
    (x_title, y_title): (&str, &str),
    label: &dyn Fn(&f64) -> String,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
where
    B: DrawingBackend,
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let text = |size| (FONT, size).into_font().color(&INK);
    chart
        .configure_mesh()
        .x_desc(x_title)
        .y_desc(y_title)
        .x_labels(16)
        .y_labels(8)
        .x_label_formatter(label)
        .y_label_formatter(&|value| short(*value))
        .label_style(text(17))
        .axis_desc_style(text(18))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for Series { colour, points } in series {
        let style = colour_of(*colour).stroke_width(2);
        let line = points.iter().map(|point| (point.x, point.value));
        chart.draw_series(LineSeries::new(line, style))?;
        let bar = |point: &Point| {
            let Point { x, low, value, high } = *point;
            ErrorBar::new_vertical(x, low, value, high, colour_of(*colour).filled(), 8)
        };
        chart.draw_series(points.iter().map(bar))?;
        mark(chart, *colour, points)?;
    }
    if let Some(bound) = bound {
        let style = INK.stroke_width(1);
        chart.draw_series(DashedLineSeries::new(bound.points, 6, 5, style))?;
    }
    Ok(())
}

/// The marks of a series: by turns dots, triangles and crosses.
fn mark<B, X, Y>(
    chart: &mut ChartContext<'_, B, Cartesian2d<X, Y>>,
    colour: usize,
    points: &[Point],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
where
    B: DrawingBackend,
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let at = points.iter().map(|point| (point.x, point.value));
    let style = colour_of(colour);
    match colour % 3 {
        0 => chart.draw_series(at.map(|at| Circle::new(at, 4, style.filled())))?,
        1 => chart.draw_series(at.map(|at| TriangleMarker::new(at, 6, style.filled())))?,
        _ => chart.draw_series(at.map(|at| Cross::new(at, 5, style.stroke_width(2))))?,
    };
    Ok(())
}

/// A figure on an axis.
pub(crate) fn short(value: f64) -> String {
    match value {
        1.0.. => figures::grouped(value.round() as usize),
        0.0 => "0".to_owned(),
        // As many places as the first two digits that are not 0 take.
        _ => format!("{value:.*}", 1 + (-value.log10()).ceil() as usize),
    }
}

/// The colour that stands for that of a series.
pub(crate) fn colour_of(series: usize) -> RGBColor {
    RGBColor(3, 3, (series % SERIES) as u8)
}

/// The drawing with the page's colours, and scaled as the page likes it.
pub(crate) fn themed(svg: &str) -> String {
    let hex = |RGBColor(r, g, b): RGBColor| format!("#{r:02X}{g:02X}{b:02X}");
    let mut svg = svg.replace(&hex(INK), "var(--ink)");
    svg = svg.replace(&hex(GRID), "var(--grid)");
    for series in 0..SERIES {
        svg = svg.replace(&hex(colour_of(series)), &format!("var(--series-{series})"));
    }
    svg.replacen("<svg ", "<svg role=\"presentation\" ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_no_colour_but_the_pages() {
        let point = |x: f64, value: f64| Point { x, low: value * 0.9, value, high: value * 1.1 };
        let series: Vec<Series> = (0..SERIES)
            .map(|colour| Series {
                colour,
                points: vec![point(1.0, 5.0), point(8.0, 3.0 + colour as f64)],
            })
            .collect();
        let bound = Bound { points: vec![(1.0, 2.0), (8.0, 2.0)] };
        let svg = draw_svg(&series, Some(bound), ("x", "y"), &|x| x.to_string()).unwrap();
        assert!(!svg.contains("\"#"), "{svg}");
        for variable in ["--ink", "--grid", "--series-0", "--series-5"] {
            assert!(svg.contains(&format!("var({variable})")), "{variable}");
        }
    }
}
