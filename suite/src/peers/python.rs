//! The Pythons of a machine, and the libraries that peers import there.
//!
//! An interpreter is another's code: it may be no Python, or none of version 3, and an
//! import may raise anything, end the process or hang. Each of these is a reason in words,
//! and comes with what to type.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::process;
use crate::error::Error;

/// Environment variable that names the Python interpreter.
pub const PYTHON_VARIABLE: &str = "CUDAMARK_PYTHON";

pub(super) const SERVE: &str = include_str!("../../../peers/common/serve.py");

/// Time for an interpreter to say its version.
pub const ASK_LIMIT: Duration = Duration::from_secs(20);

/// Says which Python runs it, in any version.
const WHICH: &str = "import json, sys
print(json.dumps({'protocol': 2, 'version': '%d.%d.%d' % sys.version_info[:3], 'prefix': sys.prefix}))
";

/// A library that a peer imports.
#[derive(Debug)]
pub struct Library {
    /// Name of the peer, and of the module: `cupy`.
    pub name: &'static str,
    /// Its name in prose: `CuPy`.
    pub title: &'static str,
    /// Minor versions of Python 3 that its present release takes.
    minors: [u32; 2],
    /// Which release takes which Python.
    fits: &'static str,
    /// Arguments of `pip install`.
    packages: &'static str,
    /// Which driver the packages need.
    driver: &'static str,
}

/// The libraries there are.
pub const LIBRARIES: [Library; 2] = [
    Library {
        name: "cupy",
        title: "CuPy",
        minors: [10, 14],
        fits: "CuPy 14 takes Python 3.10 to 3.14, and CuPy 13.6 Python 3.9 to 3.13",
        packages: "cupy-cuda13x",
        driver: " (cupy-cuda12x for a driver before 580)",
    },
    Library {
        name: "torch",
        title: "PyTorch",
        minors: [10, 14],
        fits: "PyTorch 2.9 takes Python 3.10 to 3.14",
        packages: "torch numpy",
        driver: "",
    },
];

/// Identity of an interpreter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Interpreter {
    /// Its version: `3.11.7`.
    pub version: String,
    /// Folder of its installation, or of the virtual environment.
    pub prefix: String,
}

#[derive(Deserialize)]
struct Imported {
    library_version: String,
}

/// The version of the interpreter at `python`.
pub fn ask(python: &Path, limit: Duration) -> Result<Interpreter, String> {
    say(python, WHICH, &[], limit)
}

/// Imports the module `library` as a peer does; returns the library's version.
pub fn import(python: &Path, library: &str, limit: Duration) -> Result<String, String> {
    let imported: Imported = say(python, SERVE, &[library], limit)?;
    Ok(imported.library_version)
}

/// The first words of a script.
fn say<T: DeserializeOwned>(
    python: &Path,
    script: &str,
    arguments: &[&str],
    limit: Duration,
) -> Result<T, String> {
    // In a folder of its own: Python looks for modules beside a script first.
    let cannot = |error: std::io::Error| format!("{}: {error}", env::temp_dir().display());
    let folder = tempfile::tempdir().map_err(cannot)?;
    let path = folder.path().join("script.py");
    fs::write(&path, script).map_err(cannot)?;
    let mut command = Command::new(python);
    command.arg(path).args(arguments);
    match process::greet("python", command, limit) {
        Ok((_, words)) => Ok(words),
        Err(Error::Skipped { reason, .. }) => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}

impl Library {
    /// The library that the peer called `name` imports.
    pub fn of(name: &str) -> Option<&'static Self> {
        LIBRARIES.iter().find(|library| library.name == name)
    }

    /// The remedy where `python`, of this version, does not import it.
    pub fn remedy(&self, python: &Path, version: Option<&str>) -> String {
        let Self { fits, .. } = self;
        match version.is_some_and(|version| self.takes(version)) {
            true => format!(
                "{fits}: `{} -m pip install -U {}`{}, or {PYTHON_VARIABLE}=PATH of a Python that has it",
                python.display(),
                self.packages,
                self.driver
            ),
            false => format!(
                "{fits}: `PATH -m pip install -U {}`{} and {PYTHON_VARIABLE}=PATH, for the PATH of one of these",
                self.packages, self.driver
            ),
        }
    }

    fn takes(&self, version: &str) -> bool {
        let minor = version.strip_prefix("3.").and_then(|rest| {
            let digits = rest.split('.').next()?;
            digits.parse::<u32>().ok()
        });
        let [least, most] = self.minors;
        minor.is_some_and(|minor| (least..=most).contains(&minor))
    }

    /// The reason of a peer that `python` could not start, with the remedy.
    pub fn explain(&self, python: &Path, reason: &str) -> String {
        let asked = ask(python, ASK_LIMIT);
        let version = asked.as_ref().map(|found| found.version.as_str());
        let named = python.display();
        let reason = match version {
            Ok(version) if version.starts_with("3.") => {
                format!("{reason} (Python {version}, {named})")
            }
            Ok(version) => format!("{named} is Python {version}, and peers need Python 3"),
            Err(_) => format!("{reason} ({named}, which does not answer as Python does)"),
        };
        format!("{reason}; {}", self.remedy(python, version.ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_installs_only_into_a_python_that_fits() {
        let cupy = Library::of("cupy").unwrap();
        let remedy = |version| cupy.remedy(Path::new("/usr/bin/python3"), version);
        let fits = remedy(Some("3.13.0"));
        assert_eq!(
            fits,
            "CuPy 14 takes Python 3.10 to 3.14, and CuPy 13.6 Python 3.9 to 3.13: \
             `/usr/bin/python3 -m pip install -U cupy-cuda13x` (cupy-cuda12x for a driver before \
             580), or CUDAMARK_PYTHON=PATH of a Python that has it"
        );
        for version in [Some("3.9.18"), Some("3.15.0"), Some("2.7.18"), None] {
            let other = remedy(version);
            assert!(!other.contains("/usr/bin/python3"), "{other}");
            assert!(other.contains("CUDAMARK_PYTHON=PATH"), "{other}");
        }
    }
}
