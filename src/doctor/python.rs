//! Every Python on the path, and the one that is set, with the libraries that peers import.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use suite::peers::programs::Tools;
use suite::peers::python::{ASK_LIMIT, LIBRARIES, Library, ask, import};

use super::{Finding, State};

/// Time for an import.
const IMPORT_LIMIT: Duration = Duration::from_secs(60);

/// A Python.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its executable.
    pub path: PathBuf,
    /// Whether it is the one that peers run in.
    pub is_used: bool,
    /// Its version, or why it says none.
    pub version: Result<String, String>,
    /// The versions of [`LIBRARIES`], or why they do not import.
    pub libraries: Vec<Result<String, String>>,
}

/// The Pythons of this machine, the one that peers run in first.
pub fn gather() -> Vec<Facts> {
    let used = Tools::find().ok().and_then(|tools| tools.python.ok());
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).flat_map(|folder| pythons(&folder));
    let mut files = BTreeSet::new();
    let distinct = used.iter().cloned().chain(others).filter(|path| files.insert(file(path)));
    let distinct: Vec<PathBuf> = distinct.collect();
    let asked = all_at_once(&distinct, |path| ask(path, ASK_LIMIT));
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (path, asked) in distinct.into_iter().zip(asked) {
        // One installation has several names, and shims that start it.
        let known = asked.as_ref().is_ok_and(|one| !seen.insert(one.clone()));
        if !known {
            found.push(Facts {
                is_used: used.as_ref() == Some(&path),
                path,
                version: asked.map(|one| one.version),
                libraries: Vec::new(),
            });
        }
    }
    let works = |python: &&Facts| python.version.as_ref().is_ok_and(|v| v.starts_with("3."));
    let imports: Vec<(PathBuf, &Library)> = (found.iter().filter(works))
        .flat_map(|python| LIBRARIES.iter().map(|library| (python.path.clone(), library)))
        .collect();
    let imported =
        all_at_once(&imports, |(path, library)| import(path, library.name, IMPORT_LIMIT));
    let mut imported = imported.into_iter();
    for python in found.iter_mut().filter(|python| works(&&**python)) {
        python.libraries = imported.by_ref().take(LIBRARIES.len()).collect();
    }
    found
}

/// What `act` says of each, asked of all at once: one may take its time.
fn all_at_once<T: Sync, R: Send>(
    all: &[T],
    act: impl Fn(&T) -> Result<R, String> + Sync,
) -> Vec<Result<R, String>> {
    let act = &act;
    thread::scope(|scope| {
        let begun: Vec<_> = (all.iter())
            .map(|one| thread::Builder::new().spawn_scoped(scope, move || act(one)))
            .collect();
        let end = |begun: std::io::Result<thread::ScopedJoinHandle<'_, _>>| match begun {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err("it was not asked".to_owned())),
            Err(error) => Err(format!("it was not asked: {error}")),
        };
        begun.into_iter().map(end).collect()
    })
}

/// What tells files apart that have several names in one folder, or in folders that are one.
/// The folder counts: a virtual environment is a link to another's executable.
fn file(path: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    (folder, fs::canonicalize(path).ok())
}

/// The files in a folder that are called as Pythons are: `python3.12`.
fn pythons(folder: &Path) -> Vec<PathBuf> {
    let is_python = |name: &str| {
        let version = name.strip_prefix("python");
        version.is_some_and(|rest| rest.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()))
    };
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<PathBuf> = (names.filter(|name| is_python(name)))
        .map(|name| folder.join(name))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

/// The findings.
pub fn findings(pythons: &[Facts]) -> Vec<Finding> {
    if !pythons.iter().any(|python| python.is_used) {
        let found = Finding::amiss(
            State::Warning,
            "python",
            "no Python is found for CuPy and PyTorch, which are not measured",
            "`sudo apt-get install python3 python3-venv`, or CUDAMARK_PYTHON=PATH",
        );
        return [found].into_iter().chain(others(pythons)).collect();
    }
    others(pythons).collect()
}

fn others(pythons: &[Facts]) -> impl Iterator<Item = Finding> {
    pythons.iter().flat_map(|python| {
        let state = if python.is_used { State::Warning } else { State::Note };
        let path = python.path.display();
        match &python.version {
            Err(reason) => vec![Finding::amiss(
                state,
                "python",
                format!("{path} does not answer as Python does: {reason}"),
                "CUDAMARK_PYTHON=PATH names another; or take it off the path",
            )],
            Ok(version) if !version.starts_with("3.") => vec![Finding::amiss(
                state,
                "python",
                format!("{path} is Python {version}, and peers need Python 3"),
                "CUDAMARK_PYTHON=PATH names another",
            )],
            Ok(version) => (LIBRARIES.iter().zip(&python.libraries).enumerate())
                .map(|(index, (library, imported))| {
                    let named = format!("{path} (Python {version})");
                    match imported {
                        Ok(found) => of_found(python, pythons, library, &named, found),
                        Err(reason) => Finding::amiss(
                            state,
                            library.name,
                            format!("{} does not import in {named}: {reason}", library.title),
                            match having(pythons, index) {
                                Some(other) => format!("CUDAMARK_PYTHON={}", other.display()),
                                None => library.remedy(&python.path, Some(version)),
                            },
                        ),
                    }
                })
                .collect(),
        }
    })
}

fn of_found(
    python: &Facts,
    pythons: &[Facts],
    library: &Library,
    named: &str,
    version: &str,
) -> Finding {
    let finding = format!("{named} has {} {version}", library.title);
    let uses = |other: &Facts| other.is_used;
    match python.is_used || !pythons.iter().any(uses) {
        true => Finding::ok(library.name, finding),
        false => Finding::amiss(
            State::Note,
            library.name,
            format!("{finding}, but is not the one that peers run in"),
            format!("CUDAMARK_PYTHON={}", python.path.display()),
        ),
    }
}

/// A Python that has the library of this index, in which the peers do not run.
fn having(pythons: &[Facts], library: usize) -> Option<&Path> {
    let has = |python: &&Facts| python.libraries.get(library).is_some_and(Result::is_ok);
    pythons.iter().find(has).map(|python| python.path.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(path: &str, is_used: bool, version: &str, cupy: Result<&str, &str>) -> Facts {
        Facts {
            path: path.into(),
            is_used,
            version: Ok(version.to_owned()),
            libraries: vec![cupy.map(str::to_owned).map_err(str::to_owned), Ok("2.9.0".to_owned())],
        }
    }

    fn of(pythons: &[Facts], name: &str) -> Vec<(State, String, String)> {
        let found = findings(pythons).into_iter();
        let found = found.filter(|finding| finding.name == name);
        let parts = |found: Finding| (found.state, found.finding, found.remedy.unwrap_or_default());
        found.map(parts).collect()
    }

    #[test]
    fn an_import_that_fails_names_its_reason_and_a_python_that_has_the_library() {
        let reason = "AttributeError: attribute '__name__' is not writable";
        let used = python("/usr/bin/python3", true, "3.13.0", Err(reason));
        let found = of(std::slice::from_ref(&used), "cupy");
        let sentence = "CuPy does not import in /usr/bin/python3 (Python 3.13.0): ".to_owned();
        assert_eq!((found[0].0, &found[0].1), (State::Warning, &(sentence + reason)));
        assert!(found[0].2.contains("-m pip install -U cupy-cuda13x"), "{found:?}");
        let other = python("/opt/bin/python", false, "3.12.1", Ok("13.6.0"));
        let found = of(&[used, other], "cupy");
        assert_eq!(found[0].2, "CUDAMARK_PYTHON=/opt/bin/python");
        assert_eq!((found[1].0, found[1].2.as_str()), (State::Note, found[0].2.as_str()));
    }

    #[test]
    fn a_library_of_the_python_in_use_is_well_and_others_are_notes() {
        let used = python("/usr/bin/python3", true, "3.12.1", Ok("14.0.0"));
        let other = python("/opt/bin/python", false, "3.9.1", Err("No module named 'cupy'"));
        let found = of(&[used, other], "cupy");
        let expected = "/usr/bin/python3 (Python 3.12.1) has CuPy 14.0.0";
        assert_eq!(found[0], (State::Ok, expected.to_owned(), String::new()));
        assert_eq!(found[1].0, State::Note);
    }

    #[test]
    fn an_interpreter_that_is_none_or_old_or_missing_is_said() {
        assert!(of(&[], "python")[0].1.starts_with("no Python is found"));
        let old = python("/usr/bin/python", true, "2.7.18", Ok("1"));
        assert_eq!(
            of(&[old], "python")[0].1,
            "/usr/bin/python is Python 2.7.18, and peers need Python 3"
        );
        let mut none = python("/bin/true", true, "", Ok("1"));
        none.version = Err("it ended (exit status: 0)".to_owned());
        let found = of(&[none], "python");
        assert!(found[0].1.ends_with("as Python does: it ended (exit status: 0)"), "{found:?}");
    }

    #[test]
    fn pythons_are_known_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["python", "python3.12", "python-config", "pythonw", "python3-config", "perl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("python3")).unwrap();
        let found = pythons(folder.path());
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["python", "python3.12"]);
        assert_eq!(pythons(Path::new("/no/such/folder")), [""; 0].map(PathBuf::from));
    }
}
