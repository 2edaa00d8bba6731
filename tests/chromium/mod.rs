//! A page in a browser: Chromium or Chrome, of the path or named by `CUDAMARK_BROWSER`. It
//! is told what to do by the DevTools protocol, over two pipes.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::PATIENCE;

/// Names of the browser.
pub(crate) const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Starts the browser with the two pipes of the protocol as descriptors 3 and 4.
const START: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// Writes a page into a folder, and returns its path.
pub(crate) type Writer = fn(&Path) -> PathBuf;

/// The browser, if there is one.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CUDAMARK_BROWSER") {
        return Some(named.into());
    }
    BROWSERS.iter().find_map(|name| which::which(name).ok())
}

/// A page in a browser of its own.
pub(crate) struct Page {
    /// The folder that the page is in.
    pub folder: TempDir,
    /// Messages that the browser sent of its own accord.
    pub events: Vec<Value>,
    browser: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    session: String,
    last: u64,
}

impl Page {
    /// Opens the page that `write` writes.
    pub(crate) fn open(browser: &Path, write: Writer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let profile = folder.path().join("profile");
        fs::create_dir(&profile).unwrap();
        let mut browser = Command::new("sh")
            .args(["-c", START])
            .arg(browser)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, answers) = channel();
        let output = BufReader::new(browser.stdout.take().unwrap());
        thread::spawn(move || {
            // Messages end with a zero.
            for message in output.split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let requests = browser.stdin.take().unwrap();
        let (events, session) = (Vec::new(), String::new());
        let mut page = Self { folder, events, browser, requests, answers, session, last: 0 };
        let target = page.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = page.call("Target.attachToTarget", attach);
        page.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.call("Page.navigate", json!({"url": format!("file://{}", path.display())}));
        while !page.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            page.receive();
        }
        page
    }

    /// Asks the browser, and returns its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.clone().into();
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.last {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The next message; events are kept.
    fn receive(&mut self) -> Value {
        let message = self.answers.recv_timeout(PATIENCE).expect("the browser answers");
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        message
    }

    /// The value of an expression.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Asserts the value of each expression.
    #[track_caller]
    pub(crate) fn shows<const N: usize>(&mut self, expected: [(&str, Value); N]) {
        for (expression, value) in expected {
            assert_eq!(self.value(expression), value, "{expression}");
        }
    }

    /// Gives an element the keyboard.
    #[track_caller]
    pub(crate) fn focus(&mut self, selector: &str) {
        self.value(&format!("document.querySelector('{selector}').focus()"));
    }

    /// Types a text where the keyboard is.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Waits until the browser has drawn.
    pub(crate) fn settle(&mut self) {
        let params = json!({
            "expression": "new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))",
            "awaitPromise": true,
        });
        self.call("Runtime.evaluate", params);
    }

    /// Messages that the console calls an error, and exceptions.
    pub(crate) fn errors(&self) -> Vec<String> {
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => ["error", "warning", "assert"]
                .contains(&event["params"]["type"].as_str().unwrap_or("")),
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(bad).map(Value::to_string).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
