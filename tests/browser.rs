//! The report's page and the history's in a browser: they load without an error on its
//! console and without a request to a network, and their controls work by keyboard, in
//! light and dark.
//!
//! Where there is no browser, the tests show as ignored, and a line says why.

mod chromium;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cudamark::report;
use cudamark::report::history::{self as history_page, Shown};
use libtest_mimic::{Arguments, Failed, Trial};
use regress::commits::Commit;
use regress::history::{self, Search};
use regress::schema::{self, Distribution, Measured};
use regress::store::Store;
use serde_json::json;
use suite::environment::Environment;
use suite::lines::{EnvironmentLine, Line, Sample, SkippedLine, VERSION};
use suite::records::Contents;
use suite::{Case, Summary};

use chromium::{BROWSERS, Page, Writer};

/// Rows of a table too long to be open from the start.
const LONG: usize = 41;
/// Rows of all tables.
const ROWS: usize = 15 + LONG;

/// What is shown of the page.
type Test = fn(&mut Page) -> Result<(), Failed>;

/// Tests of a page, by name.
type Tests<'a> = &'a [(&'static str, Test)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browser = chromium::find();
    if browser.is_none() {
        eprintln!(
            "browser: ignored: none of {} in PATH; CUDAMARK_BROWSER may name one",
            BROWSERS.join(", ")
        );
    }
    let of_both: [(&str, Test); 3] = [
        ("asks_nothing_of_a_network", asks_nothing_of_a_network),
        ("colours_follow_the_system_and_the_control", colours_follow_the_system_and_the_control),
        ("nothing_overflows_a_narrow_window", nothing_overflows_a_narrow_window),
    ];
    let of_report: [(&str, Test); 4] = [
        ("all_is_drawn", all_is_drawn),
        ("level_curves_change_by_keyboard", level_curves_change_by_keyboard),
        ("rows_are_filtered", rows_are_filtered),
        ("what_was_not_measured_shows_as_empty", what_was_not_measured_shows_as_empty),
    ];
    let of_history: [(&str, Test); 3] = [
        ("steps_are_marked", steps_are_marked),
        ("curves_are_filtered", curves_are_filtered),
        ("records_open_by_keyboard", records_open_by_keyboard),
    ];
    let pages: [(&str, Writer, Tests); 4] = [
        ("report", write_report, &of_both),
        ("report", write_report, &of_report),
        ("history", write_history, &of_both),
        ("history", write_history, &of_history),
    ];
    let mut trials = Vec::new();
    for (page, write, tests) in pages {
        for &(name, test) in tests {
            let browser = browser.clone();
            let ignored = browser.is_none();
            let run = move || {
                let browser = browser.ok_or("no browser")?;
                let mut page = Page::open(&browser, write)?;
                test(&mut page)?;
                // Whatever a test does, the console stays clean.
                page.settle()?;
                assert_eq!(page.errors(), Vec::<String>::new());
                Ok(())
            };
            let trial = Trial::test(format!("{page}::{name}"), run);
            trials.push(trial.with_ignored_flag(ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn write_report(folder: &Path) -> Result<PathBuf, Failed> {
    let written = report::write_page(&summary(), folder);
    Ok(written.map_err(|error| format!("{error:#}"))?)
}

const CELLS: [&str; 2] = ["cpu/u32-uniform/cpu-std/1/1000", "cpu/u32-uniform/cpu-radix/2/1000"];

/// Twelve commits, all but the fifth and sixth measured; a fifth slower from the eighth on.
fn write_history(folder: &Path) -> Result<PathBuf, Failed> {
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
            fs::create_dir_all(path.parent().unwrap())?;
            fs::write(path, "{}\n")?;
            let measured = Measured {
                version: schema::VERSION,
                machine_id: "m".to_owned(),
                session: "s".to_owned(),
                round,
                commit: commit.id.clone(),
                executable_sha256: String::new(),
                ptx_sha256: None,
                unix_time_s: 0.0,
                records,
                cells: BTreeMap::from(cells),
            };
            let added = store.add(&schema::Line::Measured(Box::new(measured)));
            added.map_err(|error| format!("{error:#}"))?;
        }
    }
    let lines = store.read().map_err(|error| format!("{error:#}"))?;
    let processes = history::processes(lines);
    let curves = history::curves(&processes, &commits, &|_| true, Search::of(0.02));
    let shown = Shown {
        label: "machine m: NOT THIS ONE, shown by --force",
        other: true,
        commits: &commits,
        curves: &curves,
        processes: &processes,
        store: &store,
    };
    let written = history_page::write(&shown, &folder.join("page"));
    Ok(written.map_err(|error| format!("{error:#}"))?)
}

/// A summary of levels, sizes and engines, some of them missing.
fn summary() -> Summary {
    let mut environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
    environment.id = "e".to_owned();
    environment.host_copy_bytes_per_s = Some(10e9);
    let mut contents = Contents::default();
    contents.add(Line::Environment(Box::new(environment)));
    contents.add(Line::Skipped(SkippedLine {
        version: VERSION,
        engine: "gpu".to_owned(),
        reason: "no NVIDIA driver <&>".to_owned(),
    }));
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

fn asks_nothing_of_a_network(page: &mut Page) -> Result<(), Failed> {
    // The first Tab goes to the link past the controls.
    page.press("Tab", 9)?;
    assert_eq!(page.value("document.activeElement.className")?, "skip");
    let asked = page.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
    for event in asked {
        let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
        assert!(url.starts_with("file:") || url.starts_with("data:"), "{url}");
    }
    Ok(())
}

const ALL_DRAWN: &str =
    "[...document.querySelectorAll('figure svg')].every(svg => svg.querySelector('polyline'))";

fn all_is_drawn(page: &mut Page) -> Result<(), Failed> {
    assert_eq!(page.value("document.querySelectorAll('section').length")?, 11);
    assert_eq!(page.value("document.querySelectorAll('table.cells tbody tr').length")?, ROWS);
    assert_eq!(page.value(ALL_DRAWN)?, true);
    assert!(page.value("document.querySelectorAll('figure').length")?.as_u64() >= Some(2));
    Ok(())
}

fn steps_are_marked(page: &mut Page) -> Result<(), Failed> {
    assert_eq!(page.value("document.querySelectorAll('section.curve').length")?, 2);
    assert_eq!(page.value(ALL_DRAWN)?, true);
    let steps = "[...document.querySelectorAll('#steps tbody tr')].map(row => row.cells[0].textContent).join()";
    assert_eq!(page.value(steps)?, "7777777777");
    let subject = "document.querySelector('#steps tbody tr').cells[6].textContent";
    assert_eq!(page.value(subject)?, "Say <b>7</b> & more");
    // The step's colour is in the curve that has one, and in no other.
    let marked = "[...document.querySelectorAll('section.curve')].map(curve => \
                  curve.querySelector('svg').innerHTML.includes('--series-3')).join()";
    assert_eq!(page.value(marked)?, "false,true");
    // The link of the step leads to its curve.
    let target = "document.querySelector(document.querySelector('#steps a').hash).dataset.name";
    assert_eq!(page.value(target)?, CELLS[0]);
    let machine = "document.getElementById('machine').className";
    assert_eq!(page.value(machine)?, "other");
    Ok(())
}

fn curves_are_filtered(page: &mut Page) -> Result<(), Failed> {
    page.value("document.getElementById('filter').focus()")?;
    page.call("Input.insertText", json!({"text": "RADIX u32"}))?;
    let visible = "[...document.querySelectorAll('section.curve')].filter(curve => curve.offsetParent).map(curve => curve.dataset.name).join()";
    assert_eq!(page.value(visible)?, CELLS[1]);
    assert_eq!(page.value("document.getElementById('shown').textContent")?, "1 of 2 curves");
    Ok(())
}

fn records_open_by_keyboard(page: &mut Page) -> Result<(), Failed> {
    let visible = "[...document.querySelectorAll('table.commits a')].filter(link => link.checkVisibility()).length";
    assert_eq!(page.value(visible)?, 0);
    page.value("document.querySelector('summary').focus()")?;
    page.press(" ", 32)?;
    page.settle()?;
    // Ten commits of six processes.
    assert_eq!(page.value(visible)?, 60);
    let links = "[...document.querySelectorAll('a[href^=records]')].map(link => link.getAttribute('href')).join()";
    let links = page.value(links)?;
    let links: Vec<&str> = links.as_str().unwrap_or_default().split(',').collect();
    assert_eq!(links.len(), 120);
    for link in links {
        assert!(page.folder.path().join("page").join(link).is_file(), "{link}");
    }
    Ok(())
}

const BACKGROUND: &str = "getComputedStyle(document.body).backgroundColor";

fn colours_follow_the_system_and_the_control(page: &mut Page) -> Result<(), Failed> {
    let system = |page: &mut Page, scheme: &str| {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", features)?;
        page.value(BACKGROUND)
    };
    let light = system(page, "light")?;
    let dark = system(page, "dark")?;
    assert_ne!(light, dark);
    // The control prevails: from "as the system" down to "light", then to "dark".
    page.value("document.getElementById('theme').focus()")?;
    page.press("ArrowDown", 40)?;
    assert_eq!(page.value("document.getElementById('theme').value")?, "light");
    assert_eq!(page.value(BACKGROUND)?, light);
    page.press("ArrowDown", 40)?;
    assert_eq!(system(page, "light")?, dark);
    page.press("ArrowUp", 38)?;
    page.press("ArrowUp", 38)?;
    assert_eq!(page.value(BACKGROUND)?, light);
    Ok(())
}

fn level_curves_change_by_keyboard(page: &mut Page) -> Result<(), Failed> {
    let shown = "[...new Set([...document.querySelectorAll('[data-metric]')]\
                 .filter(drawing => drawing.offsetParent).map(drawing => drawing.dataset.metric))].join()";
    assert_eq!(page.value(shown)?, "time");
    page.value("document.getElementById('metric').focus()")?;
    for metric in ["throughput", "speed-up"] {
        page.press("ArrowDown", 40)?;
        assert_eq!(page.value(shown)?, metric);
    }
    Ok(())
}

fn rows_are_filtered(page: &mut Page) -> Result<(), Failed> {
    let open = "[...document.querySelectorAll('details')].map(details => details.open).join()";
    // Of classic, batch, cpu and emulator, in which something was measured.
    assert_eq!(page.value(open)?, "true,false,true,true");
    page.value("document.getElementById('filter').focus()")?;
    page.call("Input.insertText", json!({"text": "CPU-radix classic"}))?;
    assert_eq!(page.value(open)?, "true,true,true,true");
    let visible = "[...document.querySelectorAll('table.cells tbody tr')].filter(row => row.offsetParent).length";
    assert_eq!(page.value(visible)?, 4);
    assert_eq!(
        page.value("document.getElementById('shown').textContent")?,
        format!("4 of {} cells", ROWS)
    );
    page.value("document.getElementById('filter').select()")?;
    page.press("Delete", 46)?;
    assert_eq!(page.value(visible)?, ROWS);
    assert_eq!(page.value("document.getElementById('shown').textContent")?, "");
    Ok(())
}

fn what_was_not_measured_shows_as_empty(page: &mut Page) -> Result<(), Failed> {
    let device = "document.querySelector('#device .analysis').textContent";
    assert_eq!(page.value(device)?, "Nothing was measured here.");
    let empty =
        "[...document.querySelectorAll('#cpu td.empty')].map(cell => cell.textContent).join()";
    assert_eq!(page.value(empty)?, "not measured");
    // Checks of the emulator are held against each other, and not ranked.
    let ratios = "[...document.querySelectorAll('#emulator td.slower')].map(cell => cell.textContent).join()";
    assert_eq!(page.value(ratios)?, "4.00");
    assert_eq!(page.value("document.querySelectorAll('#emulator ol').length")?, 0);
    let skipped = "document.querySelector('#environment li').textContent";
    assert_eq!(page.value(skipped)?, "gpu: no NVIDIA driver <&>");
    Ok(())
}

fn nothing_overflows_a_narrow_window(page: &mut Page) -> Result<(), Failed> {
    for width in [360, 800, 1400] {
        let metrics =
            json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        page.call("Emulation.setDeviceMetricsOverride", metrics)?;
        page.settle()?;
        let over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(page.value(over)?, 0, "at a width of {width}");
    }
    Ok(())
}
