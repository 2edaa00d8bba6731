//! Every Python on the path, and the one that is set, with the libraries that peers import.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

use suite::peers::programs::Tools;
use suite::peers::python::{
    ASK_LIMIT, Interpreter, LIBRARIES, Library, PYTHON_VARIABLE, ask, import,
};

use super::{Look, Machine, Note, State, Warning, amiss};

const IMPORT_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(super) struct Python {
    pub(super) path: PathBuf,
    /// Peers run in this one.
    pub(super) is_used: bool,
    pub(super) answer: Result<Interpreter, String>,
    /// The versions of [`LIBRARIES`], or why they do not import.
    pub(super) libraries: Vec<Result<String, String>>,
}

impl Python {
    /// Asks the interpreter at `path`, and imports the libraries if it is of version 3.
    fn ask(path: &Path, is_used: bool) -> Self {
        let answer = ask(path, ASK_LIMIT);
        let imports = answer.as_ref().is_ok_and(|answer| answer.version.starts_with("3."));
        let libraries: &[Library] = if imports { &LIBRARIES } else { &[] };
        let libraries = all_at_once(libraries, |of| import(path, of.name, IMPORT_LIMIT));
        Self { path: path.to_owned(), is_used, answer, libraries }
    }
}

/// The Pythons of this machine, the one that peers run in first.
pub(super) fn pythons() -> Vec<Python> {
    // One that the variable names and that cannot be run is told of all the same.
    let named = || env::var_os(PYTHON_VARIABLE).map(PathBuf::from);
    let used = Tools::find().ok().and_then(|tools| tools.python.ok()).or_else(named);
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).flat_map(|folder| named_as_pythons(&folder));
    let mut files = BTreeSet::new();
    let distinct = used.iter().cloned().chain(others).filter(|path| files.insert(file(path)));
    let distinct: Vec<PathBuf> = distinct.collect();
    let found = all_at_once(&distinct, |path| Ok(Python::ask(path, used.as_ref() == Some(path))));
    let mut seen = BTreeSet::new();
    // One installation has several names, and shims that start it.
    let is_new = |python: &Python| match &python.answer {
        Ok(answer) => seen.insert(answer.clone()),
        Err(_) => true,
    };
    found.into_iter().filter_map(Result::ok).filter(is_new).collect()
}

/// The result of `act` on each, in threads of their own: one may take its time.
fn all_at_once<T: Sync, R: Send>(
    all: &[T],
    act: impl Fn(&T) -> Result<R, String> + Sync,
) -> Vec<Result<R, String>> {
    let act = &act;
    thread::scope(|scope| {
        let begin = |one| thread::Builder::new().spawn_scoped(scope, move || act(one));
        let begun: Vec<_> = all.iter().map(begin).collect();
        let ended = begun.into_iter().map(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err("it was not asked".to_owned())),
            Err(error) => Err(format!("it was not asked: {error}")),
        });
        ended.collect()
    })
}

/// The identity of a file with several names in one folder, or in folders that are one. The
/// folder counts: a virtual environment is a link to another's executable.
fn file(path: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    (folder, fs::canonicalize(path).ok())
}

/// The files in a folder that have the name of a Python: `python3.12`.
pub(super) fn named_as_pythons(folder: &Path) -> Vec<PathBuf> {
    let is_python = |name: &str| {
        let version = name.strip_prefix("python");
        version.is_some_and(|rest| rest.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| is_python(&entry.file_name().to_string_lossy()));
    let paths = named.map(|entry| folder.join(entry.file_name()));
    let mut found: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    found.sort();
    found
}

pub(super) fn findings(machine: &Machine) -> Vec<(&'static str, Look)> {
    let pythons = &machine.pythons;
    let missing = (!pythons.iter().any(|python| python.is_used)).then(|| {
        let finding = "no Python is found for CuPy and PyTorch, which are not measured";
        let remedy = "`sudo apt-get install python3 python3-venv`, or CUDAMARK_PYTHON=PATH";
        ("python", amiss(Warning, finding, remedy))
    });
    missing
        .into_iter()
        .chain(pythons.iter().flat_map(|python| of_python(python, pythons)))
        .collect()
}

fn of_python(python: &Python, pythons: &[Python]) -> Vec<(&'static str, Look)> {
    let state = if python.is_used { Warning } else { Note };
    let path = python.path.display();
    let other = |finding: String, remedy: &str| {
        vec![("python", amiss(state, finding, format!("CUDAMARK_PYTHON=PATH {remedy}")))]
    };
    match &python.answer {
        Err(reason) => other(
            format!("{path} does not answer as Python does: {reason}"),
            "names another; or take it off the path",
        ),
        Ok(Interpreter { version, .. }) if !version.starts_with("3.") => {
            other(format!("{path} is Python {version}, and peers need Python 3"), "names another")
        }
        Ok(Interpreter { version, .. }) => (0..python.libraries.len())
            .map(|index| {
                (LIBRARIES[index].name, of_library(python, pythons, (state, version), index))
            })
            .collect(),
    }
}

fn of_library(
    python: &Python,
    pythons: &[Python],
    (state, version): (State, &str),
    index: usize,
) -> Look {
    let library = &LIBRARIES[index];
    let named = format!("{} (Python {version})", python.path.display());
    let chosen = |path: &Path| format!("CUDAMARK_PYTHON={}", path.display());
    match &python.libraries[index] {
        Err(reason) => {
            let has = |of: &&Python| of.libraries.get(index).is_some_and(Result::is_ok);
            let remedy = match pythons.iter().find(has) {
                Some(other) => chosen(&other.path),
                None => library.remedy(&python.path, Some(version)),
            };
            amiss(state, format!("{} does not import in {named}: {reason}", library.title), remedy)
        }
        Ok(found) => {
            let finding = format!("{named} has {} {found}", library.title);
            match !python.is_used && pythons.iter().any(|python| python.is_used) {
                false => Ok(finding),
                true => {
                    let finding = format!("{finding}, but is not the one that peers run in");
                    amiss(Note, finding, chosen(&python.path))
                }
            }
        }
    }
}
