//! Files of JSON lines, appended only: the records of a run, and the store of a machine.
//!
//! A line is written whole, by one call, under an exclusive lock of the file: two writers
//! take turns, and whatever ends a process costs the line that it was writing and no other.
//! A part of a line that a killed writer left is passed over by readers, and moved to a file
//! beside (`.torn`) by the next writer; a line that a full disk cuts short is cut off again,
//! and the file is as before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::case::Case;
use crate::error::Error;
use crate::lines::{self, EnvironmentLine, Line, Sample};

/// Bytes at the end of a file that are read at a time, to find its last line.
const TAIL: u64 = 1 << 12;

/// A file of lines. It need not be there yet.
#[derive(Clone, Debug)]
pub struct Records<L = Line> {
    path: PathBuf,
    lines: PhantomData<fn(L) -> L>,
}

impl<L: Serialize + DeserializeOwned> Records<L> {
    /// The file at `path`. Nothing is written yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), lines: PhantomData }
    }

    /// The file in `folder` of the machine of that id.
    pub fn of_machine(folder: &Path, machine_id: &str) -> Self {
        Self::at(&folder.join(format!("{machine_id}.jsonl")))
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it lies in, from which its lines name files.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// All whole lines, none where there is no file; an error names one that is none, or of
    /// an unknown version.
    pub fn read(&self) -> Result<Vec<L>, Error> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = match File::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                file => file?,
            };
            file.lock_shared()?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(Error::file(&self.path))?;
        let text = String::from_utf8_lossy(&bytes[..whole(&bytes)]);
        text.lines().enumerate().map(|(index, text)| self.line(index + 1, text)).collect()
    }

    /// The first line, if there is a whole one.
    pub fn first(&self) -> Result<Option<L>, Error> {
        let mut text = String::new();
        File::open(&self.path)
            .and_then(|file| BufReader::new(file).read_line(&mut text))
            .map_err(Error::file(&self.path))?;
        text.strip_suffix('\n').map(|text| self.line(1, text)).transpose()
    }

    fn line(&self, line: usize, text: &str) -> Result<L, Error> {
        let wrong = |reason| Error::Line { path: self.path.clone(), line, reason };
        lines::of_text(text).map_err(wrong)
    }

    /// Adds a line, and makes the folders above the file. After an error, such as a full
    /// disk, the file is as it was.
    pub fn add(&self, line: &L) -> Result<(), Error> {
        self.append(line).map(drop).map_err(|error| self.not_added(error))
    }

    /// Adds a line, and returns once it is on the disk.
    pub fn add_synced(&self, line: &L) -> Result<(), Error> {
        let synced = self.append(line).and_then(|file| file.sync_all());
        synced.map_err(|error| self.not_added(error))
    }

    fn not_added(&self, error: io::Error) -> Error {
        Error::File { path: self.path.clone(), reason: format!("cannot add a line: {error}") }
    }

    fn append(&self, line: &L) -> io::Result<File> {
        let text = lines::to_text(line)?;
        fs::create_dir_all(self.folder())?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)?;
        file.lock()?;
        let end = self.set_torn_aside(&mut file)?;
        file.write_all(text.as_bytes()).inspect_err(|_| {
            // The error that is told is the first; a line cut short is found later.
            let _ = file.set_len(end);
        })?;
        Ok(file)
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

/// Content of records files.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Environments by their id.
    pub environments: BTreeMap<String, EnvironmentLine>,
    /// Versions of engines.
    pub engines: BTreeMap<String, String>,
    /// Samples by case, in the order taken.
    pub cases: BTreeMap<Case, Vec<Sample>>,
    /// Cases that have all their samples.
    pub finished: BTreeSet<Case>,
    /// Engines that cannot run, and why.
    pub skipped: BTreeMap<String, String>,
}

impl Contents {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        // Lines that are to be read are there.
        fs::metadata(path).map_err(Error::file(path))?;
        let mut contents = Self::default();
        Records::at(path).read()?.into_iter().for_each(|line| contents.add(line));
        Ok(contents)
    }

    /// Adds what a later file holds; its samples replace those of the same cases.
    pub fn merge(&mut self, later: Self) {
        self.environments.extend(later.environments);
        self.engines.extend(later.engines);
        self.finished.retain(|case| !later.cases.contains_key(case));
        self.cases.extend(later.cases);
        self.finished.extend(later.finished);
        self.skipped.extend(later.skipped);
    }

    /// Adds what a line says. A case that begins anew (its samples count from 0 again)
    /// drops those before: they were not finished, or are older.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Environment(line) => {
                self.environments.insert(line.id.clone(), *line);
            }
            Line::Engine { engine, engine_version } => {
                self.engines.insert(engine, engine_version);
            }
            // A sample names its engine, and with it the shape.
            Line::Shape(_) => {}
            Line::Sample(sample) => {
                let samples = self.cases.entry(sample.case.clone()).or_default();
                if sample.index == 0 {
                    samples.clear();
                    self.finished.remove(&sample.case);
                }
                samples.push(*sample);
            }
            Line::Finished { case, .. } => {
                self.finished.insert(case);
            }
            Line::Skipped { engine, reason } => {
                self.skipped.insert(engine, reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn sample(case: &str, index: u32) -> Line {
        let case = case.parse().unwrap();
        Line::Sample(Box::new(Sample::by_host("e", case, index, 0.5)))
    }

    const CELL: &str = "classic/i32-classic-10/cpu-std/1";
    const OTHER: &str = "classic/i32-classic-10/cpu-std/2";

    fn finished(case: &str, samples: u32) -> Line {
        Line::Finished { case: case.parse().unwrap(), samples }
    }

    /// A folder, and a file in it that is not there yet.
    fn records() -> (tempfile::TempDir, Records) {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::of_machine(&folder.path().join("records"), "m");
        (folder, records)
    }

    #[test]
    fn what_is_written_is_read_and_gone_on_with() {
        let (_folder, records) = records();
        let environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        let id = environment.id.clone();
        records.add(&Line::Environment(Box::new(environment))).unwrap();
        for line in [sample(CELL, 0), sample(CELL, 1), finished(CELL, 2), sample(OTHER, 0)] {
            records.add(&line).unwrap();
        }
        let contents = Contents::read(records.path()).unwrap();
        assert!(contents.environments.contains_key(&id));
        assert_eq!(contents.cases[&CELL.parse().unwrap()].len(), 2);
        assert_eq!(contents.finished.len(), 1);

        // The case that was not finished begins anew.
        for line in [sample(OTHER, 0), sample(OTHER, 1), finished(OTHER, 2)] {
            records.add_synced(&line).unwrap();
        }
        let contents = Contents::read(records.path()).unwrap();
        assert_eq!(contents.cases[&OTHER.parse().unwrap()].len(), 2);
        assert_eq!(contents.finished.len(), 2);
    }

    #[test]
    fn two_writers_lose_nothing() {
        let (_folder, records) = records();
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let records = &records;
                scope.spawn(move || {
                    for index in 0..25 {
                        records.add_synced(&finished(CELL, writer * 100 + index)).unwrap();
                    }
                });
            }
        });
        let lines = records.read().unwrap();
        assert_eq!(lines.len(), 50);
        let mut all = (0..25).chain(100..125).map(|number| finished(CELL, number));
        assert!(all.all(|line| lines.contains(&line)));
    }

    #[test]
    fn a_torn_line_at_the_end_costs_itself_alone_and_is_kept_aside() {
        let (_folder, records) = records();
        assert!(records.read().unwrap().is_empty());
        let [one, two] = [sample(CELL, 0), sample(OTHER, 0)];
        records.add(&one).unwrap();
        let whole = fs::read_to_string(records.path()).unwrap();
        let torn = || fs::read_to_string(records.path().with_extension("jsonl.torn")).unwrap();
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            let part = &whole[..cut];
            fs::write(records.path(), format!("{whole}{part}")).unwrap();
            assert_eq!(records.read().unwrap(), std::slice::from_ref(&one));
            records.add(&two).unwrap();
            assert_eq!(records.read().unwrap(), [one.clone(), two.clone()]);
            assert!(torn().ends_with(&format!("{part}\n")), "{}", torn());
        }
        // One that is longer than what is read at a time, and one with nothing before it.
        let long = "x".repeat(3 * TAIL as usize + 5);
        for (before, after) in [(whole.as_str(), 2), ("", 1)] {
            fs::write(records.path(), before.to_owned() + &long).unwrap();
            assert_eq!(records.read().unwrap().len(), after - 1);
            records.add(&two).unwrap();
            assert_eq!(records.read().unwrap().len(), after);
            assert!(torn().ends_with(&format!("\n{long}\n")));
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classic.jsonl");
        let whole = lines::to_text(&sample(CELL, 0)).unwrap();
        let no_time = |seconds| whole.replace("\"seconds\":0.5", seconds);
        for (text, said) in [
            (&*no_time("\"seconds\":0.0"), ":1: 0 seconds are no time"),
            (&*no_time("\"seconds\":-1.0"), ":1: -1 seconds are no time"),
            ("[]\n", "expected an object"),
            ("nonsense\n", ":1: expected"),
            ("{\"line\":\"tale\",\"version\":1}\n", ":1: unknown variant `tale`"),
            (
                "{\"line\":\"skipped\",\"version\":1,\"engine\":\"gpu\",\"reason\":\"\"}\n\
                 {\"line\":\"skipped\",\"version\":7,\"engine\":\"gpu\",\"reason\":\"\"}\n",
                ":2: version 7, and not 1 to 2",
            ),
        ] {
            fs::write(&path, text).unwrap();
            let error = Contents::read(&path).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let error = Contents::read(&folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none: No such file"), "{error}");
    }
}
