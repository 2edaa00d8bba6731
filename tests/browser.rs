//! The report's page in a browser: it loads without an error on its console and without
//! a request to a network, and its controls work by keyboard, in light and dark.
//!
//! The browser is Chromium or Chrome, of the path or named by `CUDAMARK_BROWSER`. Where
//! there is none, the tests show as ignored, and a line says why. It is told what to do
//! by the DevTools protocol, over two pipes.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use cudamark::report;
use host::record::Environment;
use host::suite::Summary;
use host::suite::lines::{EnvironmentLine, Line, Sample, SkippedLine, VERSION};
use host::suite::records::Contents;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Longest that the browser may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is shown of the page.
type Test = fn(&mut Page) -> Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browser = find();
    if browser.is_none() {
        eprintln!(
            "browser: ignored: none of {} in PATH; CUDAMARK_BROWSER may name one",
            BROWSERS.join(", ")
        );
    }
    let tests: [(&str, Test); 6] = [
        (
            "loads_without_errors_or_requests",
            loads_without_errors_or_requests,
        ),
        (
            "colours_follow_the_system_and_the_control",
            colours_follow_the_system_and_the_control,
        ),
        (
            "level_curves_change_by_keyboard",
            level_curves_change_by_keyboard,
        ),
        ("rows_are_filtered", rows_are_filtered),
        (
            "what_was_not_measured_shows_as_empty",
            what_was_not_measured_shows_as_empty,
        ),
        (
            "nothing_overflows_a_narrow_window",
            nothing_overflows_a_narrow_window,
        ),
    ];
    let trials = tests.map(|(name, test)| {
        let browser = browser.clone();
        let ignored = browser.is_none();
        let run = move || {
            let browser = browser.ok_or("no browser")?;
            let mut page = Page::open(&browser)?;
            test(&mut page)?;
            // Whatever a test does, the console stays clean.
            page.settle()?;
            assert_eq!(page.errors(), Vec::<String>::new());
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CUDAMARK_BROWSER") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut all = BROWSERS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|path| path.is_file())
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
        add(
            format!("classic/cpu-std/i32-classic-1000000/{level}"),
            0.05 / level as f64,
        );
        add(
            format!("classic/cpu-radix/i32-classic-1000000/{level}"),
            0.02,
        );
    }
    for exponent in [10, 16, 20] {
        let n = 1 << exponent;
        add(
            format!("cpu/cpu-radix/u32-uniform-{n}/2"),
            1e-9 * f64::from(n),
        );
        if exponent < 20 {
            add(
                format!("cpu/cpu-std/u32-uniform-{n}/2"),
                3e-9 * f64::from(n),
            );
        }
    }
    Summary::of(&contents)
}

/// The page, in a browser of its own.
struct Page {
    browser: Child,
    requests: PipeWriter,
    answers: Receiver<Value>,
    events: Vec<Value>,
    session: String,
    last: u64,
    _folder: TempDir,
}

impl Page {
    fn open(browser: &Path) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path =
            report::write_page(&summary(), folder.path()).map_err(|error| format!("{error:#}"))?;
        let (theirs_in, requests) = pipe()?;
        let (ours_in, theirs_out) = pipe()?;
        let profile = folder.path().join("profile");
        fs::create_dir(&profile)?;
        let mut command = Command::new(browser);
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mapping = |fd, child_fd| FdMapping {
            parent_fd: fd,
            child_fd,
        };
        let mappings = vec![mapping(theirs_in.into(), 3), mapping(theirs_out.into(), 4)];
        command
            .fd_mappings(mappings)
            .map_err(|error| error.to_string())?;
        let mut page = Self {
            browser: command.spawn()?,
            requests,
            answers: listen(ours_in),
            events: Vec::new(),
            session: String::new(),
            last: 0,
            _folder: folder,
        };
        // The parent's copies of the browser's ends close with the command.
        drop(command);
        page.attach(&path)?;
        Ok(page)
    }

    fn attach(&mut self, path: &Path) -> Result<(), Failed> {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", attach)?;
        self.session = attached["sessionId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        let url = format!("file://{}", path.display());
        self.call("Page.navigate", json!({"url": url}))?;
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            self.receive()?;
        }
        Ok(())
    }

    /// Asks the browser, and returns its answer.
    fn call(&mut self, method: &str, params: Value) -> Result<Value, Failed> {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.clone().into();
        }
        self.requests.write_all(format!("{request}\0").as_bytes())?;
        loop {
            let answer = self.receive()?;
            if answer["id"] == self.last {
                return match answer.get("error") {
                    Some(error) => Err(format!("{method}: {error}").into()),
                    None => Ok(answer["result"].clone()),
                };
            }
        }
    }

    /// The next message; events are kept.
    fn receive(&mut self) -> Result<Value, Failed> {
        let message = self.answers.recv_timeout(PATIENCE);
        let message = message.map_err(|_| "the browser does not answer")?;
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        Ok(message)
    }

    /// The value of an expression.
    fn value(&mut self, expression: &str) -> Result<Value, Failed> {
        let params = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            return Err(format!("{expression}: {thrown}").into());
        }
        Ok(answer["result"]["value"].clone())
    }

    fn press(&mut self, key: &str, code: u32) -> Result<(), Failed> {
        for kind in ["rawKeyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", params)?;
        }
        Ok(())
    }

    /// Waits until the browser has drawn what was asked of it.
    fn settle(&mut self) -> Result<(), Failed> {
        let params = json!({
            "expression": "new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))",
            "awaitPromise": true,
        });
        self.call("Runtime.evaluate", params).map(drop)
    }

    /// What the console calls an error, and exceptions.
    fn errors(&self) -> Vec<String> {
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => ["error", "warning", "assert"]
                .contains(&event["params"]["type"].as_str().unwrap_or("")),
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events
            .iter()
            .filter(bad)
            .map(Value::to_string)
            .collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

/// Messages of the browser, each ended by a zero.
fn listen(pipe: PipeReader) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for message in BufReader::new(pipe).split(0).map_while(Result::ok) {
            if let Ok(message) = serde_json::from_slice(&message)
                && sender.send(message).is_err()
            {
                break;
            }
        }
    });
    receiver
}

fn loads_without_errors_or_requests(page: &mut Page) -> Result<(), Failed> {
    assert_eq!(
        page.value("document.querySelectorAll('section').length")?,
        10
    );
    assert_eq!(
        page.value("document.querySelectorAll('table.cells tbody tr').length")?,
        13
    );
    let drawn =
        "[...document.querySelectorAll('figure svg')].every(svg => svg.querySelector('polyline'))";
    assert_eq!(page.value(drawn)?, true);
    assert!(
        page.value("document.querySelectorAll('figure').length")?
            .as_u64()
            >= Some(2)
    );
    // The first Tab goes to the link past the controls.
    page.press("Tab", 9)?;
    assert_eq!(page.value("document.activeElement.className")?, "skip");
    let asked = page
        .events
        .iter()
        .filter(|event| event["method"] == "Network.requestWillBeSent");
    for event in asked {
        let url = event["params"]["request"]["url"]
            .as_str()
            .unwrap_or_default();
        assert!(
            url.starts_with("file:") || url.starts_with("data:"),
            "{url}"
        );
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
    assert_eq!(
        page.value("document.getElementById('theme').value")?,
        "light"
    );
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
    page.value("document.getElementById('filter').focus()")?;
    page.call("Input.insertText", json!({"text": "CPU-radix classic"}))?;
    let visible = "[...document.querySelectorAll('table.cells tbody tr')].filter(row => row.offsetParent).length";
    assert_eq!(page.value(visible)?, 4);
    assert_eq!(
        page.value("document.getElementById('shown').textContent")?,
        "4 of 13 cells"
    );
    page.value("document.getElementById('filter').select()")?;
    page.press("Delete", 46)?;
    assert_eq!(page.value(visible)?, 13);
    assert_eq!(
        page.value("document.getElementById('shown').textContent")?,
        ""
    );
    Ok(())
}

fn what_was_not_measured_shows_as_empty(page: &mut Page) -> Result<(), Failed> {
    let device = "document.querySelector('#device .analysis').textContent";
    assert_eq!(page.value(device)?, "Nothing was measured here.");
    let empty =
        "[...document.querySelectorAll('#cpu td.empty')].map(cell => cell.textContent).join()";
    assert_eq!(page.value(empty)?, "not measured");
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
