//! The store of processes' figures: JSON lines, appended only.
//!
//! There is one a machine, named by `Environment::machine_id`, because times of two
//! machines do not compare. A line is written whole under an exclusive lock of the file
//! and synced before the next process starts: two writers take turns, and a process that
//! is killed loses what it was measuring and nothing before it. A part of a line that a
//! killed writer left is moved to a file beside the store (`.torn`) by the next one; a line that a
//! full disk cuts short is cut off again, and the store is as before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::schema::{Line, VERSION};

/// Bytes at the end of a store that are read at a time, to find its last line.
const TAIL: u64 = 1 << 16;

/// The store of one machine.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The store in `folder` of the machine of that id. Nothing is written yet.
    pub fn of_machine(folder: &Path, machine_id: &str) -> Self {
        Self { path: folder.join(format!("{machine_id}.jsonl")) }
    }

    /// The store that this file is.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it lies in, from which its lines name files.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// All whole lines; an error names one that is none, or of another version.
    pub fn read(&self) -> Result<Vec<Line>> {
        let said = || format!("cannot read the store {}", self.path.display());
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(said),
        };
        file.lock_shared().with_context(said)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(said)?;
        let text = std::str::from_utf8(&bytes[..whole(&bytes)]).with_context(said)?;
        text.lines().enumerate().map(|(index, text)| self.line(index + 1, text)).collect()
    }

    /// The first line, if there is a whole one.
    pub fn first(&self) -> Result<Option<Line>> {
        let mut text = String::new();
        let file = File::open(&self.path);
        file.and_then(|file| BufReader::new(file).read_line(&mut text))
            .with_context(|| format!("cannot read the store {}", self.path.display()))?;
        let whole = text.strip_suffix('\n');
        whole.map(|text| self.line(1, text)).transpose()
    }

    fn line(&self, number: usize, text: &str) -> Result<Line> {
        let location = || format!("{}:{number}", self.path.display());
        let line: Line = serde_json::from_str(text).with_context(location)?;
        if line.version() != VERSION {
            bail!("{}: version {}, and not {VERSION}", location(), line.version());
        }
        Ok(line)
    }

    /// Adds a line, and returns once it is on the disk. After an error, such as a full disk,
    /// the store is as it was.
    pub fn add(&self, line: &Line) -> Result<()> {
        let said = || format!("cannot add to the store {}", self.path.display());
        let text = serde_json::to_string(line).with_context(said)? + "\n";
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).with_context(said)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .with_context(said)?;
        file.lock().with_context(said)?;
        let end = self.set_torn_aside(&mut file).with_context(said)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            // The error that is told is the first; a line cut short is found later.
            let _ = file.set_len(end);
        }
        written.with_context(said)
    }

    /// Moves part of a line at the end to a file beside; returns where lines go on.
    fn set_torn_aside(&self, file: &mut File) -> io::Result<u64> {
        let length = file.seek(SeekFrom::End(0))?;
        // From the end backwards: a store is long, and its last line is short.
        let mut end = length;
        let mut part = Vec::new();
        while end > 0 {
            let from = end.saturating_sub(TAIL);
            part.resize((end - from) as usize, 0);
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut part)?;
            end = from + whole(&part) as u64;
            if end > from {
                break;
            }
        }
        if end < length {
            part.resize((length - end) as usize, 0);
            file.seek(SeekFrom::Start(end))?;
            file.read_exact(&mut part)?;
            let beside = self.path.with_extension("jsonl.torn");
            let mut torn = OpenOptions::new().append(true).create(true).open(beside)?;
            torn.write_all(&part)?;
            torn.write_all(b"\n")?;
            torn.sync_all()?;
            file.set_len(end)?;
        }
        file.seek(SeekFrom::Start(end))
    }
}

/// Bytes up to and with the last line that has an end.
fn whole(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|&byte| byte == b'\n');
    last.map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(repeat: u32) -> Line {
        Line::Finished { version: VERSION, comparison: "c".to_owned(), repeat }
    }

    #[test]
    fn two_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of_machine(folder.path(), "m");
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..25 {
                        store.add(&finished(writer * 100 + round)).unwrap();
                    }
                });
            }
        });
        let lines = store.read().unwrap();
        let all = (0..25).chain(100..125).map(finished);
        assert_eq!(lines.len(), 50);
        assert!(all.into_iter().all(|line| lines.contains(&line)));
    }

    #[test]
    fn a_torn_line_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of_machine(folder.path(), "m");
        assert!(store.read().unwrap().is_empty());
        store.add(&finished(0)).unwrap();
        let whole = fs::read_to_string(store.path()).unwrap();
        fs::write(store.path(), format!("{whole}{{\"li")).unwrap();
        assert_eq!(store.read().unwrap(), [finished(0)]);
        store.add(&finished(1)).unwrap();
        assert_eq!(store.read().unwrap(), [finished(0), finished(1)]);
        let torn = || fs::read_to_string(folder.path().join("m.jsonl.torn")).unwrap();
        assert_eq!(torn(), "{\"li\n");
        // One that is longer than what is read at a time, and one with nothing before it.
        let long = "x".repeat(3 * TAIL as usize + 5);
        for (before, after) in [(2, 3), (0, 1)] {
            let text = fs::read_to_string(store.path()).unwrap();
            let kept: String =
                text.lines().take(before).map(|line| line.to_owned() + "\n").collect();
            fs::write(store.path(), kept + &long).unwrap();
            store.add(&finished(2)).unwrap();
            assert_eq!(store.read().unwrap().len(), after);
            assert!(torn().ends_with(&format!("\n{long}\n")));
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of_machine(folder.path(), "m");
        fs::write(store.path(), "nonsense\n").unwrap();
        let error = format!("{:#}", store.read().unwrap_err());
        assert!(error.contains("m.jsonl:1"), "{error}");
    }
}
