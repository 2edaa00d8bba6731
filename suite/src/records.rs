//! Records files: lines of JSON, written as samples are taken.
//!
//! A line is written whole, by one call, and handed to the system before the next
//! sample is taken, so that whatever ends the process costs the sample that it was
//! taking and no other. A process that is killed within that call can leave part of a
//! line at the end: a reader leaves it out, and a writer that goes on with the file
//! cuts it off.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::error::Error;
use crate::lines::{EnvironmentLine, FinishedLine, Line, Sample, SkippedLine, VERSION};

/// A records file that is being written.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    file: File,
}

impl Records {
    /// A new file, and the folders above it; an old one of that name is replaced.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let failed = file_error(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(file_error(folder))?;
        }
        Ok(Self { path: path.to_owned(), file: File::create(path).map_err(failed)? })
    }

    /// A file that is gone on with: what it holds stays, but for part of a line at its
    /// end.
    pub fn append(path: &Path) -> Result<Self, Error> {
        let opened = || -> io::Result<File> {
            let mut file = OpenOptions::new().read(true).write(true).open(path)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text.iter().rposition(|&byte| byte == b'\n');
            let end = whole.map_or(0, |newline| newline + 1);
            file.set_len(end as u64)?;
            file.seek(SeekFrom::Start(end as u64))?;
            Ok(file)
        };
        Ok(Self { path: path.to_owned(), file: opened().map_err(file_error(path))? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    pub fn add(&mut self, line: &Line) -> Result<(), Error> {
        let failed = file_error(&self.path);
        let text = serde_json::to_string(line).map_err(io::Error::from);
        let text = text.map_err(&failed)? + "\n";
        self.file.write_all(text.as_bytes()).map_err(failed)
    }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::File { path: path.clone(), reason: error.to_string() }
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
        let text = fs::read_to_string(path).map_err(file_error(path))?;
        let mut contents = Self::default();
        contents.add_text(&text).map_err(|(line, reason)| Error::Line {
            path: path.to_owned(),
            line,
            reason,
        })?;
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

    fn add_text(&mut self, text: &str) -> Result<(), (usize, String)> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, text) in whole.lines().enumerate() {
            let wrong = |reason| (index + 1, reason);
            let line: Line =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if line.version() != VERSION {
                let reason = format!("version {}, and not {VERSION}", line.version());
                return Err(wrong(reason));
            }
            self.add(line);
        }
        Ok(())
    }

    /// Adds what a line says. A case that begins anew (its samples count from 0 again)
    /// drops those before: they were not finished, or are older.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Environment(line) => {
                self.environments.insert(line.id.clone(), *line);
            }
            Line::Engine(line) => {
                self.engines.insert(line.engine, line.engine_version);
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
            Line::Finished(FinishedLine { case, .. }) => {
                self.finished.insert(case);
            }
            Line::Skipped(SkippedLine { engine, reason, .. }) => {
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

    fn finished(case: &str) -> Line {
        Line::Finished(FinishedLine { version: VERSION, case: case.parse().unwrap(), samples: 2 })
    }

    #[test]
    fn what_is_written_is_read_and_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records/classic.jsonl");
        let environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        let id = environment.id.clone();
        let mut records = Records::create(&path).unwrap();
        records.add(&Line::Environment(Box::new(environment))).unwrap();
        for line in [sample(CELL, 0), sample(CELL, 1), finished(CELL), sample(OTHER, 0)] {
            records.add(&line).unwrap();
        }
        drop(records);
        let contents = Contents::read(&path).unwrap();
        assert!(contents.environments.contains_key(&id));
        assert_eq!(contents.cases[&CELL.parse().unwrap()].len(), 2);
        assert_eq!(contents.finished.len(), 1);

        let mut records = Records::append(&path).unwrap();
        // The case that was not finished begins anew.
        for line in [sample(OTHER, 0), sample(OTHER, 1), finished(OTHER)] {
            records.add(&line).unwrap();
        }
        let contents = Contents::read(&path).unwrap();
        assert_eq!(contents.cases[&OTHER.parse().unwrap()].len(), 2);
        assert_eq!(contents.finished.len(), 2);
    }

    #[test]
    fn a_torn_line_at_the_end_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classic.jsonl");
        let mut records = Records::create(&path).unwrap();
        records.add(&sample(CELL, 0)).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, format!("{whole}{}", &whole[..cut])).unwrap();
            let contents = Contents::read(&path).unwrap();
            assert_eq!(contents.cases.values().map(Vec::len).sum::<usize>(), 1);
            Records::append(&path).unwrap().add(&sample(OTHER, 0)).unwrap();
            assert_eq!(Contents::read(&path).unwrap().cases.len(), 2);
        }
        fs::write(&path, "{\"li").unwrap();
        assert!(Contents::read(&path).unwrap().cases.is_empty());
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classic.jsonl");
        for (text, said) in [
            ("nonsense\n", ":1: expected"),
            ("{\"line\":\"tale\"}\n", ":1: unknown variant `tale`"),
            (
                "{\"line\":\"skipped\",\"version\":1,\"engine\":\"gpu\",\"reason\":\"\"}\n\
                 {\"line\":\"skipped\",\"version\":7,\"engine\":\"gpu\",\"reason\":\"\"}\n",
                ":2: version 7, and not 1",
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
