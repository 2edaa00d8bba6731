//! The report's page and the history's in a browser: they load without an error on its
//! console and without a request to a network, and their controls work by keyboard, in
//! light and dark.
//!
//! Where there is no browser, the tests show as ignored, and a line says why.

mod chromium;
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use cudamark::report;
use cudamark::report::history::{self as history_page, Shown};
use regress::commits::Commit;
use regress::history::{self, Search};
use regress::schema::{self, Distribution, Measured, Store};
use serde_json::{Value, json};
use suite::environment::Environment;
use suite::lines::{EnvironmentLine, Line, Sample};
use suite::records::Contents;
use suite::{Case, Summary};

use chromium::{BROWSERS, Page, Writer};
use common::Test;

/// Rows of a long table.
const LONG: usize = 41;
/// Rows of all tables.
const ROWS: usize = 16 + LONG;

static BROWSER: LazyLock<Option<PathBuf>> = LazyLock::new(chromium::find);

/// Tests by name, each of which runs a function on a page of its own.
macro_rules! tests_of {
    ($page:literal, $write:ident: $($test:ident),* $(,)?) => {
        vec![$((concat!($page, "::", stringify!($test)), (|| on_page($write, $test)) as fn())),*]
    };
}

fn main() -> ExitCode {
    let of_report: Vec<Test> = tests_of!(
        "report", write_report:
        asks_nothing_of_a_network,
        colours_follow_the_system_and_the_control,
        nothing_overflows_a_narrow_window,
        all_is_drawn,
        the_first_screen_has_five_answers,
        no_figure_stands_twice,
        names_at_the_ends_of_curves_do_not_overlap,
        an_engine_that_ignores_the_level_is_a_flat_line,
        level_curves_change_by_keyboard,
        rows_are_filtered,
        groups_without_measurements_are_one_line,
    );
    let of_history: Vec<Test> = tests_of!(
        "history", write_history:
        asks_nothing_of_a_network,
        colours_follow_the_system_and_the_control,
        nothing_overflows_a_narrow_window,
        steps_are_marked,
        curves_are_filtered,
        records_open_by_keyboard,
    );
    let none = "CUDAMARK_BROWSER names none, and the path has none of";
    let lacks = BROWSER.is_none().then(|| format!("{none} {}", BROWSERS.join(", ")));
    common::run([(of_report, lacks.clone()), (of_history, lacks)])
}

fn on_page(write: Writer, test: fn(&mut Page)) {
    let mut page = Page::open(BROWSER.as_ref().unwrap(), write);
    test(&mut page);
    // Whatever a test does, the console stays clean.
    page.settle();
    assert_eq!(page.errors(), Vec::<String>::new());
}

fn write_report(folder: &Path) -> PathBuf {
    report::write_page(&summary(), folder).unwrap()
}

const CELLS: [&str; 2] = ["cpu/u32-uniform/cpu-std/1/1000", "cpu/u32-uniform/cpu-radix/2/1000"];

/// Twelve commits, all but the fifth and sixth measured; a fifth slower from the eighth on.
fn write_history(folder: &Path) -> PathBuf {
    let commits: Vec<Commit> = (0..12)
        .map(|index| Commit {
            id: format!("{index:x}").repeat(40),
            unix_time_s: 0,
            day: format!("2026-11-{:02}", index + 1),
            subject: format!("Say <b>{index}</b> & more"),
        })
        .collect();
    let store = Store::of_machine(&folder.join("store"), "m");
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..6 {
        for (index, commit) in commits.iter().enumerate() {
            if index == 4 || index == 5 {
                continue;
            }
            let cells = CELLS.map(|cell| {
                let slower = if index >= 7 && cell == CELLS[0] { 1.2 } else { 1.0 };
                let median_s = 0.001 * slower * (1.0 + 0.02 * rng.f64());
                let distribution = Distribution {
                    samples: 5,
                    least_s: median_s,
                    median_s,
                    low_s: median_s,
                    high_s: median_s,
                    confidence: 0.9,
                    slowed_down: 0,
                };
                (cell.parse::<Case>().unwrap(), distribution)
            });
            let records = format!("records/m/{index}-{round}.jsonl");
            let path = store.folder().join(&records);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}\n").unwrap();
            let measured = Measured {
                machine_id: "m".to_owned(),
                session: "s".to_owned(),
                round,
                commit: commit.id.clone(),
                executable_sha256: String::new(),
                ptx_sha256: None,
                unix_time_s: 0.0,
                records,
                cases: BTreeMap::from(cells),
            };
            store.add_synced(&schema::Line::Measured(Box::new(measured))).unwrap();
        }
    }
    let processes = history::processes(&store).unwrap();
    let curves = history::curves(&processes, &commits, &|_| true, Search::of(0.02));
    let shown = Shown {
        label: "machine m: NOT THIS ONE, shown by --force",
        other: true,
        commits: &commits,
        curves: &curves,
        processes: &processes,
        store: &store,
    };
    history_page::write(&shown, &folder.join("page")).unwrap()
}

/// A summary of levels, sizes and engines, some of them missing.
fn summary() -> Summary {
    let mut environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
    environment.id = "e".to_owned();
    environment.host_copy_bytes_per_s = Some(10e9);
    let mut contents = Contents::default();
    contents.add(Line::Environment(Box::new(environment)));
    contents
        .add(Line::Skipped { engine: "gpu".to_owned(), reason: "no NVIDIA driver <&>".to_owned() });
    let mut add = |cell: String, seconds: f64| {
        for index in 0..10 {
            let seconds = seconds * (1.0 + 0.01 * f64::from(index));
            let sample = Sample::by_host("e", cell.parse().unwrap(), index, seconds);
            contents.add(Line::Sample(Box::new(sample)));
        }
    };
    for level in [1, 2, 4, 8] {
        add(format!("classic/i32-classic-1000000/cpu-std/{level}"), 0.05 / level as f64);
        add(format!("classic/i32-classic-1000000/cpu-radix/{level}"), 0.02);
    }
    add("classic/i32-classic-1000000/cupy/1".to_owned(), 0.021);
    for exponent in [10, 16, 20] {
        let n = 1 << exponent;
        add(format!("cpu/u32-uniform/cpu-radix/2/{n}"), 1e-9 * f64::from(n));
        if exponent < 20 {
            add(format!("cpu/u32-uniform/cpu-std/2/{n}"), 3e-9 * f64::from(n));
        }
    }
    for level in 1..=LONG {
        add(format!("batch/u32-uniform-1024/cpu-std/{level}"), 1e-5 * level as f64);
    }
    for (engine, seconds) in [("bounds", 0.1), ("races", 0.4)] {
        add(format!("emulator/u32-uniform/{engine}/1/100000"), seconds);
    }
    Summary::of(&contents)
}

fn asks_nothing_of_a_network(page: &mut Page) {
    // The first Tab goes to the link past the controls.
    page.press("Tab", 9);
    assert_eq!(page.value("document.activeElement.className"), "skip");
    let asked = page.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
    for event in asked {
        let url = event["params"]["request"]["url"].as_str().unwrap();
        assert!(url.starts_with("file:") || url.starts_with("data:"), "{url}");
    }
}

const ALL_DRAWN: &str =
    "[...document.querySelectorAll('figure svg')].every(svg => svg.querySelector('polyline'))";

fn all_is_drawn(page: &mut Page) {
    page.shows([
        ("document.querySelectorAll('section').length", 5.into()),
        ("document.querySelectorAll('table.cells tbody tr').length", ROWS.into()),
        (ALL_DRAWN, true.into()),
        ("document.querySelectorAll('figure').length >= 2", true.into()),
    ]);
}

fn steps_are_marked(page: &mut Page) {
    page.shows([
        ("document.querySelectorAll('section.curve').length", 2.into()),
        (ALL_DRAWN, true.into()),
        (
            "[...document.querySelectorAll('#steps tbody tr')]
                .map(row => row.cells[0].textContent).join()",
            "7777777777".into(),
        ),
        (
            "document.querySelector('#steps tbody tr').cells[6].textContent",
            "Say <b>7</b> & more".into(),
        ),
        // The step's colour is in the curve that has one, and in no other.
        (
            "[...document.querySelectorAll('section.curve')]
                .map(curve => curve.querySelector('svg').innerHTML.includes('--series-3')).join()",
            "false,true".into(),
        ),
        // The link of the step leads to its curve.
        (
            "document.querySelector(document.querySelector('#steps a').hash).dataset.name",
            CELLS[0].into(),
        ),
        ("document.getElementById('machine').className", "other".into()),
    ]);
}

const SHOWN: &str = "document.getElementById('shown').textContent";

fn curves_are_filtered(page: &mut Page) {
    page.focus("#filter");
    page.type_text("RADIX u32");
    page.shows([
        (
            "[...document.querySelectorAll('section.curve')]
                .filter(curve => curve.offsetParent).map(curve => curve.dataset.name).join()",
            CELLS[1].into(),
        ),
        (SHOWN, "1 of 2 curves".into()),
    ]);
}

fn records_open_by_keyboard(page: &mut Page) {
    let visible = "[...document.querySelectorAll('table.commits a')]
        .filter(link => link.checkVisibility()).length";
    assert_eq!(page.value(visible), 0);
    page.focus("summary");
    page.press(" ", 32);
    page.settle();
    // Ten commits of six processes.
    assert_eq!(page.value(visible), 60);
    let links = page.value(
        "[...document.querySelectorAll('a[href^=records]')]
            .map(link => link.getAttribute('href'))",
    );
    let links = links.as_array().unwrap();
    assert_eq!(links.len(), 120);
    for link in links {
        let link = link.as_str().unwrap();
        assert!(page.folder.path().join("page").join(link).is_file(), "{link}");
    }
}

const BACKGROUND: &str = "getComputedStyle(document.body).backgroundColor";

fn colours_follow_the_system_and_the_control(page: &mut Page) {
    let system = |page: &mut Page, scheme: &str| {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", features);
        page.value(BACKGROUND)
    };
    let light = system(page, "light");
    let dark = system(page, "dark");
    assert_ne!(light, dark);
    // The control prevails: from "as the system" down to "light", then to "dark".
    page.focus("#theme");
    page.press("ArrowDown", 40);
    assert_eq!(page.value("document.getElementById('theme').value"), "light");
    assert_eq!(page.value(BACKGROUND), light);
    page.press("ArrowDown", 40);
    assert_eq!(system(page, "light"), dark);
    page.press("ArrowUp", 38);
    page.press("ArrowUp", 38);
    assert_eq!(page.value(BACKGROUND), light);
}

fn level_curves_change_by_keyboard(page: &mut Page) {
    let shown = "[...new Set([...document.querySelectorAll('[data-metric]')]
        .filter(drawing => drawing.offsetParent).map(drawing => drawing.dataset.metric))].join()";
    assert_eq!(page.value(shown), "time");
    page.focus("#metric");
    for metric in ["throughput", "speed-up"] {
        page.press("ArrowDown", 40);
        assert_eq!(page.value(shown), metric);
    }
}

fn rows_are_filtered(page: &mut Page) {
    let open = "[...document.querySelectorAll('details')].map(details => details.open).join()";
    // Of classic, batch, cpu and emulator, in which something was measured.
    assert_eq!(page.value(open), "false,false,false,false");
    page.focus("#filter");
    page.type_text("CPU-radix classic");
    let visible = "[...document.querySelectorAll('table.cells tbody tr')]
        .filter(row => row.offsetParent).length";
    page.shows([
        (open, "true,true,true,true".into()),
        (visible, 4.into()),
        (SHOWN, format!("4 of {ROWS} cases").into()),
    ]);
    page.value("document.getElementById('filter').select()");
    page.press("Delete", 46);
    page.shows([(visible, ROWS.into()), (SHOWN, "".into())]);
}

fn groups_without_measurements_are_one_line(page: &mut Page) {
    page.shows([
        (
            "document.getElementById('not-measured').textContent",
            "Not measured: device-cold, device-graph, devices (gpu: no NVIDIA driver <&>); device, \
             split, segments, ragged, pairs, transfer (not run)."
                .into(),
        ),
        ("document.getElementById('device')", Value::Null),
        // Checks of the emulator are compared, and not ranked.
        (
            "[...document.querySelectorAll('#emulator td[data-of=\"x best\"]')]
                .map(cell => cell.textContent).join()",
            "1.00,4.00".into(),
        ),
    ]);
}

fn resize(page: &mut Page, width: u32, height: u32) {
    let metrics =
        json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    page.call("Emulation.setDeviceMetricsOverride", metrics);
    page.settle();
}

fn the_first_screen_has_five_answers(page: &mut Page) {
    for (width, height) in [(1280, 800), (390, 844)] {
        resize(page, width, height);
        let lowest = "Math.max(...[...document.querySelectorAll('main > section:first-of-type \
                      .answers li, main > section:first-of-type .trust')]
            .map(item => item.getBoundingClientRect().bottom))";
        let lowest = page.value(lowest).as_f64().unwrap();
        assert!(lowest <= f64::from(height), "{lowest} of {height}");
    }
    page.shows([
        (
            "[...document.querySelectorAll('main > section:first-of-type .topic')]
                .map(topic => topic.textContent).join()",
            "Fastest,By how much,Concurrency,Beside a copy,Trust".into(),
        ),
        (
            "document.querySelector('.answers li').textContent",
            "Fastest cpu-std takes 6.53 ms at its best level.".into(),
        ),
        // A number at most in each, and it stands out.
        (
            r"[...document.querySelectorAll('#classic .answers li')].every(item =>
                item.textContent.match(/\d+(\.\d+)?/g).join()
                    === item.querySelector('strong').textContent.match(/\d+(\.\d+)?/g).join())",
            true.into(),
        ),
    ]);
    resize(page, 1280, 800);
    let chart = "document.querySelector('figure svg').getBoundingClientRect().bottom <= 800";
    page.shows([(chart, true.into())]);
}

fn no_figure_stands_twice(page: &mut Page) {
    // Of those with a unit, in the first section and in the environment. A level may well be
    // the number of cores.
    let unit = r"[\d.,]+ ([mnµ]?s|%|times|samples|cases|GiB|GB\/s)(?![a-z])";
    let figures = format!(
        "[...document.querySelectorAll('#classic .answers li, .trust li, dd')]
            .flatMap(one => one.textContent.match(/{unit}/g) ?? [])"
    );
    let twice = format!("{figures}.filter((one, index, all) => all.indexOf(one) !== index).join()");
    page.shows([(&*twice, "".into()), (&*format!("{figures}.length >= 5"), true.into())]);
}

fn names_at_the_ends_of_curves_do_not_overlap(page: &mut Page) {
    let overlaps = "(() => {
        const found = [];
        for (const svg of document.querySelectorAll('figure svg')) {
            const names = [...svg.querySelectorAll('text')]
                .filter(text => text.getAttribute('fill').includes('--series')
                    || text.textContent.trim() === 'copy');
            const boxes = names.map(name => name.getBoundingClientRect()).filter(box => box.width);
            const edge = svg.getBoundingClientRect();
            boxes.forEach((a, i) => {
                if (a.right > edge.right + 1 || a.bottom > edge.bottom + 1) found.push('outside');
                for (const b of boxes.slice(i + 1))
                    if (a.bottom - b.top > 3 && b.bottom - a.top > 3) found.push('overlap');
            });
        }
        return found.join();
    })()";
    let names = "[...document.querySelectorAll('#classic figure [data-metric=time] text')]
        .filter(text => text.getAttribute('fill').includes('--series'))
        .map(text => text.textContent.trim()).sort().join()";
    for width in [390, 1280] {
        resize(page, width, 800);
        page.shows([(overlaps, "".into()), (names, "cpu-radix,cpu-std,cupy".into())]);
    }
}

fn an_engine_that_ignores_the_level_is_a_flat_line(page: &mut Page) {
    // The third engine of the group, beside the fourth, which was measured at every level.
    let drawn = |series: u32, what: &str| {
        format!(
            "(() => {{
                const at = [...document.querySelectorAll('#classic [data-metric=time] polyline')]
                    .filter(line => line.getAttribute('stroke') === 'var(--series-{series})'
                        && line.getAttribute('stroke-width') === '2')
                    .flatMap(line => line.getAttribute('points').trim().split(' '))
                    .map(point => point.split(',').map(Number));
                const [xs, ys] = [0, 1].map(axis => at.map(point => point[axis]));
                return {what};
            }})()"
        )
    };
    page.shows([(&drawn(2, "new Set(ys).size"), 1.into())]);
    let span = "Math.max(...xs) - Math.min(...xs)";
    let [flat, curve] = [2, 3].map(|series| page.value(&drawn(series, span)).as_f64().unwrap());
    assert!(flat > 0.95 * curve && curve > 100.0, "{flat} of {curve}");
}

fn nothing_overflows_a_narrow_window(page: &mut Page) {
    for width in [360, 390, 800, 1400] {
        resize(page, width, 800);
        let over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(page.value(over), 0, "at a width of {width}");
    }
}
