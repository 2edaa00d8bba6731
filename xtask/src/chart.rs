//! Line charts, as SVG that is readable on a light page and on a dark one.
//!
//! A colour stands for a card, dashes for another library; each line carries its name at
//! its end. The colours are a style sheet's, so that one file serves both pages.

use crate::figures::{CHIPS, Record};
use anyhow::Result;
use std::fmt::Write;

const WIDTH: f64 = 660.0;
const HEIGHT: f64 = 380.0;
/// The area of the plot: left, right, top, bottom.
const AREA: [f64; 4] = [44.0, 420.0, 64.0, 320.0];
/// Least distance of two labels.
const LABEL: f64 = 18.0;

const STYLE: &str = "\
text { font: 15px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 }
.minor { fill: #59636e; font-size: 14px }
.tick { text-anchor: middle }
.scale { text-anchor: end }
.grid { stroke: #d1d9e0 }
polyline { fill: none; stroke-width: 2.5 }
.peer { stroke-dasharray: 7 5 }
.h200 { stroke: #0969da }
.h100 { stroke: #bc4c00 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.minor { fill: #9198a1 }
.grid { stroke: #3d444d }
.h200 { stroke: #4493f8 }
.h100 { stroke: #f0883e }
}
";

struct Line {
    class: String,
    label: String,
    points: Vec<(f64, f64)>,
}

struct Chart<'a> {
    title: &'a str,
    subtitle: String,
    x: &'a str,
    ticks: Vec<(f64, String)>,
    /// The top of the scale from zero, and the distance of its lines.
    top: f64,
    step: f64,
    lines: Vec<Line>,
}

/// Keys a second over n, ours and CUB's.
pub(crate) fn throughput() -> Result<String> {
    let mut lines = Vec::new();
    let mut versions = Vec::new();
    for (machine, name) in CHIPS {
        let record = Record::of(machine, "peers")?;
        let cells = record.uniform("gpu", "cub")?;
        for (field, class, label) in [("ours_ms", "", "cudamark"), ("peer_ms", " peer", "CUB")] {
            let of_u32 = cells.iter().filter(|((kind, _), _)| *kind == "u32");
            let points = of_u32.map(|((_, n), cell)| {
                let n = *n as f64;
                (n.log2(), n / cell[field].as_f64().unwrap_or(f64::NAN) / 1e6)
            });
            let points: Vec<(f64, f64)> = points.collect();
            let last = points.last().map_or(0.0, |(_, rate)| *rate);
            let label = format!("{label}, {name}: {last:.1}");
            lines.push(Line { class: format!("{machine}{class}"), label, points });
        }
        versions.push(format!("{} on the {name}", record.peer_version()));
    }
    let chart = Chart {
        title: "Billions of keys sorted in a second",
        subtitle: format!("u32, uniform, in device memory; CUB {}", versions.join(", ")),
        x: "keys",
        ticks: (10..=28).step_by(3).map(|e| (f64::from(e), format!("2^{e}"))).collect(),
        top: 100.0,
        step: 20.0,
        lines,
    };
    Ok(chart.draw())
}

/// Time of the classic workload over the level, beside CuPy's.
pub(crate) fn levels() -> Result<String> {
    let mut lines = Vec::new();
    let mut ticks = Vec::new();
    for (machine, name) in CHIPS {
        let levels = Record::of(machine, "classic")?.levels()?;
        let best = levels.iter().map(|(_, ms)| *ms).fold(f64::MAX, f64::min);
        let points = levels.iter().map(|(level, ms)| ((*level as f64).log2(), *ms));
        let label = format!("cudamark, {name}: best {best:.1}");
        lines.push(Line { class: machine.to_owned(), label, points: points.collect() });
        ticks = levels.iter().map(|(n, _)| ((*n as f64).log2(), n.to_string())).collect();
    }
    let cupy = Record::of("h200", "peers_classic")?.cupy_classic_ms()?;
    lines.push(Line {
        class: "h200 peer".to_owned(),
        label: format!("CuPy, H200: {cupy:.1}"),
        points: ticks.iter().map(|(level, _)| (*level, cupy)).collect(),
    });
    let chart = Chart {
        title: "The classic workload, in milliseconds",
        subtitle: "50,000,000 i32 from host memory to host memory".to_owned(),
        x: "level: host threads that copy at the same time",
        ticks,
        top: 100.0,
        step: 20.0,
        lines,
    };
    Ok(chart.draw())
}

impl Chart<'_> {
    fn draw(&self) -> String {
        let [left, right, top, bottom] = AREA;
        let ends = (self.ticks[0].0, self.ticks[self.ticks.len() - 1].0);
        let x = |value: f64| left + (value - ends.0) / (ends.1 - ends.0) * (right - left);
        let y = |value: f64| bottom - value / self.top * (bottom - top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n",
            self.title
        );
        let mut text = |class: &str, x: f64, y: f64, text: &str| {
            // Writing to a string cannot fail.
            let _ =
                writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
        };
        text("title", 8.0, 22.0, self.title);
        text("minor", 8.0, 43.0, &self.subtitle);
        text("minor tick", (left + right) / 2.0, bottom + 46.0, self.x);
        for (value, label) in &self.ticks {
            text("tick", x(*value), bottom + 22.0, label);
        }
        let heights = (0..).map(|i| f64::from(i) * self.step).take_while(|v| *v <= self.top);
        for value in heights.clone() {
            text("scale", left - 8.0, y(value) + 5.0, &format!("{value:.0}"));
        }
        // Names at the ends of lines, from the top, apart from each other.
        let end = |line: &&Line| line.points.last().map_or(0.0, |(_, value)| y(*value));
        let mut named: Vec<&Line> = self.lines.iter().collect();
        named.sort_by(|a, b| end(a).total_cmp(&end(b)));
        let mut free = f64::MIN;
        for line in named {
            let height = (end(&line) + 5.0).max(free);
            text("", right + 10.0, height, &line.label);
            free = height + LABEL;
        }
        for value in heights {
            let y = y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
        for Line { class, points, .. } in &self.lines {
            let points = points.iter().map(|&(a, b)| format!("{:.1},{:.1}", x(a), y(b)));
            let points = points.collect::<Vec<_>>().join(" ");
            let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{points}\"/>");
        }
        svg + "</svg>\n"
    }
}
