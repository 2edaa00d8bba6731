//! Plots, as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use suite::classic::Classic;

use crate::report::figures::{grouped, unit};

const SIZE: (u32, u32) = (900, 540);
const FONT: &str = "sans-serif";

/// Time over concurrency level: the medians as a line, their intervals as bars. The
/// axis of levels is logarithmic, that of times linear and from zero, so that heights
/// compare as times do.
pub fn time_over_level(record: &Classic) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        // Errors of this back end borrow it: only their text outlives the drawing.
        draw(&area, record).map_err(|error| anyhow!("cannot draw the plot: {error}"))?;
    }
    Ok(svg)
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    record: &Classic,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let mut levels: Vec<_> = record.levels.iter().collect();
    levels.sort_by_key(|level| level.level);
    let longest = levels.iter().map(|level| level.high_s).fold(0.0, f64::max);
    // Room above the highest bar, and a scale at all where nothing was sorted.
    let top = (longest * 1.1).max(1e-9);
    let (unit, per_second) = unit(top);
    let first = levels.first().map_or(1, |level| level.level) as f64;
    let last = levels.last().map_or(1, |level| level.level) as f64;

    area.fill(&WHITE)?;
    let (head, body) = area.split_vertically(70);
    let title =
        format!("Sorting {} {} keys: time over concurrency level", grouped(record.n), record.key);
    head.draw_text(&title, &(FONT, 27).into_text_style(&head), (24, 14))?;
    head.draw_text(&subtitle(record), &(FONT, 18).into_text_style(&head), (24, 46))?;

    let mut chart = ChartBuilder::on(&body)
        .margin(16)
        .x_label_area_size(56)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (first / 1.25..last * 1.25).log_scale().base(2.0),
            0.0..top * per_second,
        )?;
    chart
        .configure_mesh()
        .x_desc("concurrency level: threads or streams (logarithmic)")
        .y_desc(format!("time [{unit}]"))
        .x_labels(16)
        .x_label_formatter(&|level| format!("{level:.0}"))
        .label_style((FONT, 18))
        .axis_desc_style((FONT, 19))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let points = levels.iter().map(|level| {
        let scaled = [level.low_s, level.median_s, level.high_s].map(|s| s * per_second);
        (level.level as f64, scaled)
    });
    chart.draw_series(LineSeries::new(
        points.clone().map(|(level, [_, median, _])| (level, median)),
        BLUE.stroke_width(2),
    ))?;
    chart.draw_series(points.map(|(level, [low, median, high])| {
        ErrorBar::new_vertical(level, low, median, high, BLUE.filled(), 10)
    }))?;
    area.present()
}

/// What was measured, on what, and what the bars are.
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
