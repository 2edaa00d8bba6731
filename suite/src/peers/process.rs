//! A peer's process. It is another's code: it may be missing, crash, hang or talk
//! nonsense, and each of these has to end as an error that says which it was. One that
//! never greets cannot run here, and is skipped with the reason. Lines are read by a thread, so that an answer can be waited for and no longer than a
//! limit; what a peer writes to standard error is kept for the day it crashes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::protocol::{self, First, Greeting, Loaded, NoAnswer, Saved, Timed, Variant};
use crate::error::Error;

/// How long a peer may take over one answer: it may have gigabytes to read, and an
/// interpreter's libraries take long to load on a cold machine.
pub const LIMIT: Duration = Duration::from_secs(180);
/// How long a peer that was told to end is left to do so.
const LEAVE: Duration = Duration::from_secs(5);
/// How long to sleep before looking again whether it has ended.
const POLL: Duration = Duration::from_millis(2);
/// Request in errors over the greeting.
const GREETING: &str = "(greeting)";
/// How the status of a process begins that Ctrl-C ended.
const INTERRUPTED: &str = "signal: 2 ";
/// Most characters of a peer's line that an error shows.
const SHOWN: usize = 200;
/// Lines that are read ahead of those that are asked for.
const READ_AHEAD: usize = 64;

/// A peer, running.
#[derive(Debug)]
pub struct Peer {
    /// The name it was started under.
    pub name: String,
    /// Its greeting.
    pub greeting: Greeting,
    /// Ways in which it can sort what is loaded.
    pub variants: Vec<Variant>,
    /// Folder of the files that it has loaded.
    loaded: Option<PathBuf>,
    ended: bool,
    pipe: Pipe,
}

impl Peer {
    /// Starts `command` and waits for its greeting, as for every later answer, no
    /// longer than `limit`.
    pub fn start(name: &str, command: Command, limit: Duration) -> Result<Self, Error> {
        let (pipe, greeting) = greet(name, command, limit)?;
        let (name, variants) = (name.to_owned(), Vec::new());
        Ok(Self { name, greeting, variants, loaded: None, ended: false, pipe })
    }

    /// It, if it runs on the GPU called `device`.
    pub fn on(self, device: &str) -> Result<Self, Error> {
        if self.greeting.device == device {
            return Ok(self);
        }
        Err(Error::OtherDevice {
            peer: self.name.clone(),
            theirs: self.greeting.device.clone(),
            ours: device.to_owned(),
        })
    }

    /// Returns true if its process is of no further use.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Has it load `n` elements of a type from the files in `folder`, unless it did so last.
    pub fn load(&mut self, kind: &str, n: usize, folder: &Path) -> Result<(), Error> {
        if self.loaded.as_deref() == Some(folder) {
            return Ok(());
        }
        self.loaded = None;
        let request = format!("load {kind} {n} {}", folder.display());
        let (answer, line) = self.ask::<Loaded>(&request)?;
        if answer.loaded != n as u64 {
            return Err(self.malformed(&request, &line, format!("asked for {n} elements")));
        }
        if answer.variants.is_empty() {
            let reason = "it names no variant to sort them by".to_owned();
            return Err(self.malformed(&request, &line, reason));
        }
        self.variants = answer.variants;
        self.loaded = Some(folder.to_owned());
        Ok(())
    }

    /// The variant whose least time of `count` sorts is least.
    pub fn fastest(&mut self, count: usize) -> Result<Variant, Error> {
        let mut fastest = (f64::INFINITY, self.variants[0].clone());
        for variant in self.variants.clone() {
            let least = self.run(&variant.name, count)?.into_iter().fold(f64::INFINITY, f64::min);
            if least < fastest.0 {
                fastest = (least, variant);
            }
        }
        Ok(fastest.1)
    }

    /// Has it sort `count` times in device memory by a variant; returns the milliseconds of
    /// each.
    pub fn run(&mut self, variant: &str, count: usize) -> Result<Vec<f64>, Error> {
        self.timed(&format!("run {variant} {count}"), count)
    }

    /// The same from host memory to host memory.
    pub fn end_to_end(&mut self, count: usize) -> Result<Vec<f64>, Error> {
        self.timed(&format!("end_to_end {count}"), count)
    }

    /// Has it write its last result to files in `folder`.
    pub fn save(&mut self, folder: &Path) -> Result<(), Error> {
        let request = format!("save {}", folder.display());
        let (answer, line) = self.ask::<Saved>(&request)?;
        if answer.saved {
            return Ok(());
        }
        let reason = "neither saved nor an error".to_owned();
        Err(self.malformed(&request, &line, reason))
    }

    fn timed(&mut self, request: &str, count: usize) -> Result<Vec<f64>, Error> {
        let (Timed { times_ms }, line) = self.ask(request)?;
        if times_ms.len() != count {
            let reason = format!("asked for {count} times, given {}", times_ms.len());
            return Err(self.malformed(request, &line, reason));
        }
        match times_ms.iter().find(|time| **time <= 0.0) {
            Some(time) => {
                let reason = format!("{time} ms is no time that a sort takes");
                Err(self.malformed(request, &line, reason))
            }
            None => Ok(times_ms),
        }
    }

    /// Sends a request; returns the answer and the line it was read from.
    fn ask<T: DeserializeOwned>(&mut self, request: &str) -> Result<(T, String), Error> {
        let sent = self.pipe.send(request);
        let line =
            sent.and_then(|()| self.pipe.line(request)).inspect_err(|_| self.ended = true)?;
        match protocol::answer(&line) {
            Ok(answer) => Ok((answer, line)),
            Err(NoAnswer::Refused(reason)) => {
                Err(Error::Refused { peer: self.name.clone(), request: request.to_owned(), reason })
            }
            Err(NoAnswer::Malformed(reason)) => Err(self.malformed(request, &line, reason)),
        }
    }

    /// The error for an answer that is none, after which the peer is of no further use.
    fn malformed(&mut self, request: &str, line: &str, reason: String) -> Error {
        self.ended = true;
        malformed(&self.name, request, line, reason)
    }
}

/// Starts `command` and waits, no longer than `limit`, for what it says of itself.
pub(super) fn greet<T: DeserializeOwned>(
    name: &str,
    command: Command,
    limit: Duration,
) -> Result<(Pipe, T), Error> {
    let opened = Pipe::open(name, command, limit).and_then(|mut pipe| {
        let first = pipe.first()?;
        Ok((pipe, first))
    });
    let reason = match opened {
        Ok((pipe, First::Ready(words))) => return Ok((pipe, words)),
        Ok((_, First::Skipped(reason))) => reason,
        Err(Error::Ended { status, said, .. }) if !status.starts_with(INTERRUPTED) => {
            format!("it ended ({status}) before it was ready, and last said: {said}")
        }
        Err(Error::TimedOut { limit, .. }) => {
            format!("it was not ready in {} s", limit.as_secs_f64())
        }
        Err(Error::Protocol { answer, reason, .. }) => format!("it said `{answer}`: {reason}"),
        Err(Error::Start { program, reason, .. }) => {
            format!("cannot start `{program}`: {reason}")
        }
        Err(error) => return Err(error),
    };
    Err(Error::Skipped { engine: name.to_owned(), reason })
}

fn malformed(peer: &str, request: &str, line: &str, reason: String) -> Error {
    Error::Protocol {
        peer: peer.to_owned(),
        request: request.to_owned(),
        answer: line.chars().take(SHOWN).collect(),
        reason,
    }
}

/// The process and the ends of its pipes.
#[derive(Debug)]
pub(super) struct Pipe {
    name: String,
    child: Child,
    /// Taken away to tell the peer that no request will come.
    requests: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The last line on standard error that is not empty.
    said: Arc<Mutex<String>>,
    /// Ends with standard error.
    listener: Option<JoinHandle<()>>,
    limit: Duration,
}

impl Pipe {
    fn open(name: &str, mut command: Command, limit: Duration) -> Result<Self, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().to_string_lossy().into_owned();
        let cannot = |error: io::Error| Error::Start {
            peer: name.to_owned(),
            program: program.clone(),
            reason: error.to_string(),
        };
        let mut child = command.spawn().map_err(cannot)?;
        let requests = child.stdin.take();
        let (sender, lines) = sync_channel(READ_AHEAD);
        let reader = read_lines(child.stdout.take(), move |line| sender.send(line).is_ok());
        let said = Arc::new(Mutex::new(String::new()));
        let last = Arc::clone(&said);
        let listener = read_lines(child.stderr.take(), move |line| {
            if !line.trim().is_empty() {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
            true
        });
        let listener = match reader.and(listener) {
            Ok(listener) => listener,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(cannot(error));
            }
        };
        Ok(Self { name: name.to_owned(), child, requests, lines, said, listener, limit })
    }

    fn send(&mut self, request: &str) -> Result<(), Error> {
        let sent = match &mut self.requests {
            Some(requests) => writeln!(requests, "{request}").and_then(|()| requests.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        sent.map_err(|_| self.ended(request))
    }

    /// The first line of the protocol. One before it counts as what the process said last.
    fn first<T: DeserializeOwned>(&mut self) -> Result<First<T>, Error> {
        let deadline = Instant::now() + self.limit;
        loop {
            let line = self.line_by(GREETING, deadline)?;
            match protocol::first(&line) {
                Ok(Some(first)) => return Ok(first),
                Ok(None) if line.trim().is_empty() => {}
                Ok(None) => *self.said.lock().unwrap_or_else(PoisonError::into_inner) = line,
                Err(reason) => return Err(malformed(&self.name, GREETING, &line, reason)),
            }
        }
    }

    /// The next line the peer says.
    fn line(&mut self, request: &str) -> Result<String, Error> {
        self.line_by(request, Instant::now() + self.limit)
    }

    fn line_by(&mut self, request: &str, deadline: Instant) -> Result<String, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        // One that never stops talking has lines left at the end of its time.
        let line = match left.is_zero() {
            true => Err(RecvTimeoutError::Timeout),
            false => self.lines.recv_timeout(left),
        };
        match line {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(request)),
            Err(RecvTimeoutError::Timeout) => {
                self.stop();
                Err(Error::TimedOut {
                    peer: self.name.clone(),
                    request: request.to_owned(),
                    limit: self.limit,
                })
            }
        }
    }

    /// The error for a peer that has closed its pipes.
    fn ended(&mut self, request: &str) -> Error {
        let status = match self.leave() {
            Some(status) => status,
            None => "its output closed, but running".to_owned(),
        };
        // Its last lines may not have been read yet when it has ended.
        let deadline = Instant::now() + LEAVE;
        let listens = |listener: &JoinHandle<()>| !listener.is_finished();
        while self.listener.as_ref().is_some_and(listens) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        Error::Ended {
            peer: self.name.clone(),
            request: request.to_owned(),
            status,
            said: match said.as_str() {
                "" => "nothing".to_owned(),
                line => line.trim().chars().take(SHOWN).collect(),
            },
        }
    }

    /// Closes the peer's input, waits for it to end, and says how it did. One that does
    /// not is stopped.
    fn leave(&mut self) -> Option<String> {
        self.requests = None;
        let deadline = Instant::now() + LEAVE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status.to_string());
            }
            thread::sleep(POLL);
        }
        self.stop();
        None
    }

    fn stop(&mut self) {
        self.requests = None;
        // One that has ended already cannot be stopped, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The end of its input is as good as `quit`.
        self.leave();
    }
}

/// Hands the lines of `from` to `take` on a thread of their own, which ends when there are
/// no more or `take` returns false.
fn read_lines(
    from: Option<impl Read + Send + 'static>,
    mut take: impl FnMut(String) -> bool + Send + 'static,
) -> io::Result<Option<JoinHandle<()>>> {
    let Some(from) = from else { return Ok(None) };
    let read = move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            if !take(String::from_utf8_lossy(&line).trim_end().to_owned()) {
                return;
            }
        }
    };
    thread::Builder::new().spawn(read).map(Some)
}
