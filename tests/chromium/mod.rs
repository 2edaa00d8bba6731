//! A page in a browser: Chromium or Chrome, of the path or named by `CUDAMARK_BROWSER`. It
//! is told what to do by the DevTools protocol, over two pipes.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the browser may be called.
pub const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Longest that the browser may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a page into a folder, and returns its path.
pub type Writer = fn(&Path) -> Result<PathBuf, Failed>;

/// The browser, if there is one.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CUDAMARK_BROWSER") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut all =
        BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|path| path.is_file())
}

/// The page, in a browser of its own.
pub struct Page {
    /// The folder that the page is in.
    pub folder: TempDir,
    /// What the browser has told of its own accord.
    pub events: Vec<Value>,
    browser: Child,
    requests: PipeWriter,
    answers: Receiver<Value>,
    session: String,
    last: u64,
}

impl Page {
    /// Opens the page that `write` writes.
    pub fn open(browser: &Path, write: Writer) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = write(folder.path())?;
        let (theirs_in, requests) = pipe()?;
        let (ours_in, theirs_out) = pipe()?;
        let profile = folder.path().join("profile");
        fs::create_dir(&profile)?;
        let mut command = Command::new(browser);
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mapping = |fd, child_fd| FdMapping { parent_fd: fd, child_fd };
        let mappings = vec![mapping(theirs_in.into(), 3), mapping(theirs_out.into(), 4)];
        command.fd_mappings(mappings).map_err(|error| error.to_string())?;
        let mut page = Self {
            browser: command.spawn()?,
            requests,
            answers: listen(ours_in),
            events: Vec::new(),
            session: String::new(),
            last: 0,
            folder,
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
        self.session = attached["sessionId"].as_str().unwrap_or_default().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        let url = format!("file://{}", path.display());
        self.call("Page.navigate", json!({"url": url}))?;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.receive()?;
        }
        Ok(())
    }

    /// Asks the browser, and returns its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Failed> {
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
    pub fn value(&mut self, expression: &str) -> Result<Value, Failed> {
        let params = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            return Err(format!("{expression}: {thrown}").into());
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, code: u32) -> Result<(), Failed> {
        for kind in ["rawKeyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", params)?;
        }
        Ok(())
    }

    /// Waits until the browser has drawn what was asked of it.
    pub fn settle(&mut self) -> Result<(), Failed> {
        let params = json!({
            "expression": "new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))",
            "awaitPromise": true,
        });
        self.call("Runtime.evaluate", params).map(drop)
    }

    /// What the console calls an error, and exceptions.
    pub fn errors(&self) -> Vec<String> {
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
