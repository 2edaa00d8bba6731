//! The curve of a cell over commits, in the colours of the page (`report::charts`).

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use regress::commits::Commit;
use regress::history::{Curve, Point, Step};
use regress::stats::median;

use super::charts::{FONT, GRID, INK, colour_of, themed};
use super::figures::{self, change};

const SIZE: (u32, u32) = (1000, 330);
/// Series whose colours are the curve's and the steps'.
const CURVE: usize = 0;
const STEP: usize = 3;
/// Part of the heights that is left free above and below.
const ROOM: f64 = 0.12;
/// Part of the width that is left free beside a step.
const BESIDE: f64 = 0.005;

/// Draws `curve` over the places of `commits`.
///
/// # Errors
/// What the library cannot draw.
pub fn over_commits(curve: &Curve, commits: &[Commit]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, curve, commits).map_err(|error| anyhow!("cannot draw a curve: {error}"))?;
    }
    Ok(themed(&svg))
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curve: &Curve,
    commits: &[Commit],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let greatest = curve.points.iter().map(|point| point.interval_s[1]);
    let (unit, per_second) = figures::unit(greatest.fold(0.0, f64::max));
    let ends =
        |end: usize| curve.points.iter().map(move |point| point.interval_s[end] * per_second);
    let least = ends(0).fold(f64::INFINITY, f64::min);
    let greatest = ends(1).fold(0.0, f64::max);
    let room = ((greatest - least) * ROOM).max(greatest * 0.01);
    // So many that neighbouring labels differ.
    let decimals = (1.0 - (greatest - least + room).log10()).ceil().clamp(0.0, 6.0) as usize;
    let last = commits.len().saturating_sub(1) as f64;
    let mut chart =
        ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(44)
            .y_label_area_size(86)
            .build_cartesian_2d(-0.6..last + 0.6, (least - room).max(0.0)..greatest + 2.0 * room)?;
    let text = |size| (FONT, size).into_font().color(&INK);
    chart
        .configure_mesh()
        .x_desc("commit, the oldest on the left")
        .y_desc(format!("time [{unit}]"))
        .x_labels(10)
        .y_labels(6)
        .x_label_formatter(&|place| label(*place, commits))
        .y_label_formatter(&|value| format!("{value:.decimals$}"))
        .label_style(text(15))
        .axis_desc_style(text(16))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    let place = |id: &str| commits.iter().position(|commit| commit.id == id);
    let top = greatest + 2.0 * room;
    for Step { commit, previous, ratio, .. } in &curve.steps {
        let (Some(from), Some(to)) = (place(previous), place(commit)) else {
            continue;
        };
        let x = (from + to) as f64 / 2.0;
        let line = [(x, (least - room).max(0.0)), (x, top)];
        let style = colour_of(STEP).stroke_width(2);
        chart.draw_series(DashedLineSeries::new(line, 6, 5, style))?;
        let beside = x + (last + 1.2) * BESIDE;
        let label = Text::new(change(*ratio), (beside, top), text(15));
        chart.draw_series([label])?;
    }
    for level in levels(curve) {
        let value = level.2 * per_second;
        let line = [(level.0, value), (level.1, value)];
        chart.draw_series(LineSeries::new(line, colour_of(CURVE).stroke_width(1)))?;
    }
    let at = |point: &Point| (point.place as f64, point.aligned_s * per_second);
    let style = colour_of(CURVE);
    chart.draw_series(LineSeries::new(curve.points.iter().map(at), style.stroke_width(2)))?;
    chart.draw_series(curve.points.iter().map(|point| {
        let [low, high] = point.interval_s.map(|seconds| seconds * per_second);
        let (x, value) = at(point);
        ErrorBar::new_vertical(x, low, value, high, style.filled(), 6)
    }))?;
    let dots = curve.points.iter().map(|point| Circle::new(at(point), 3, style.filled()));
    chart.draw_series(dots)?;
    area.present()
}

/// The commit at a place; nothing between two places or beyond them.
fn label(place: f64, commits: &[Commit]) -> String {
    if place.fract().abs() > 1e-6 || place < 0.0 {
        return String::new();
    }
    let commit = commits.get(place as usize);
    commit.map_or_else(String::new, |commit| commit.short().to_owned())
}

/// First place, last place and median of what lies between two steps.
fn levels(curve: &Curve) -> Vec<(f64, f64, f64)> {
    let mut levels = Vec::new();
    let mut rest = &curve.points[..];
    for step in &curve.steps {
        let end = rest.iter().position(|point| point.commit == step.commit);
        let (level, after) = rest.split_at(end.unwrap_or(0));
        levels.push(level);
        rest = after;
    }
    levels.push(rest);
    let level = |points: &[Point]| {
        let values: Vec<f64> = points.iter().map(|point| point.aligned_s).collect();
        let (first, last) = (points.first()?.place, points.last()?.place);
        Some((first as f64, last as f64, median(&values)?))
    };
    levels.into_iter().filter_map(level).collect()
}
