//! The peers there are. Their sources are part of this program, so that it needs no
//! checkout: CUB is compiled by the machine's own nvcc, for the GPU at hand, and kept
//! in the user's cache folder under a name made from all that went into it; the others
//! are handed to the machine's own Python.

use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use which::which;

use super::process::Peer;
use super::python::{Library, PYTHON_VARIABLE, SERVE};
use crate::engines;
use crate::environment::short_hash;
use crate::error::Error;

/// Environment variable that names the CUDA compiler.
pub const NVCC_VARIABLE: &str = "NVCC";

const CUB: &str = include_str!("../../../peers/cub/peer.cu");
const CUPY: &str = include_str!("../../../peers/cupy/peer.py");
const TORCH: &str = include_str!("../../../peers/torch/peer.py");

/// Where a CUDA installation lies, if nothing says otherwise.
const CUDA: &str = "/usr/local/cuda";

/// Tools that peers are built and run with.
#[derive(Debug)]
pub struct Tools {
    /// The CUDA compiler, or why there is none.
    pub nvcc: Result<PathBuf, String>,
    /// The Python interpreter, or why there is none.
    pub python: Result<PathBuf, String>,
    /// Where what was compiled is kept; if nowhere, it is compiled for each run.
    pub cache: Option<PathBuf>,
    /// Where sources and scripts are put while peers are started.
    pub folder: TempDir,
}

impl Tools {
    /// Those of this machine.
    pub fn find() -> Result<Self, Error> {
        Ok(Self {
            nvcc: nvcc(),
            python: python(),
            cache: cache(),
            folder: tempfile::tempdir().map_err(Error::file(&env::temp_dir()))?,
        })
    }

    /// Starts the peer called `name` on a GPU of this compute capability, and waits for its
    /// greeting, as for every later answer, no longer than `limit`.
    pub fn start(
        &self,
        name: &str,
        capability: (u32, u32),
        limit: Duration,
    ) -> Result<Peer, Error> {
        let command = self.command(name, capability)?;
        let started = Peer::start(name, command, limit);
        started.map_err(|error| match (error, Library::of(name), &self.python) {
            (Error::Skipped { engine, reason }, Some(library), Ok(python)) => {
                let reason = library.explain(python, &reason);
                Error::Skipped { engine, reason }
            }
            (error, ..) => error,
        })
    }

    /// Command that starts the peer called `name`.
    fn command(&self, name: &str, capability: (u32, u32)) -> Result<Command, Error> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let skipped = |reason| Error::Skipped { engine: name.to_owned(), reason };
        let source = match name {
            "cub" => return Ok(Command::new(self.cub(capability, &folder, skipped)?)),
            "cupy" => CUPY,
            "torch" => TORCH,
            _ => {
                let peers = engines::peers().join(", ");
                return Err(skipped(format!("no such peer; there are {peers}")));
            }
        };
        // In Python: the source and the part that all share, side by side.
        let script = folder.join("peer.py");
        write(&script, source)?;
        write(&folder.join("serve.py"), SERVE)?;
        let mut command = Command::new(self.python.clone().map_err(skipped)?);
        command.arg(script);
        Ok(command)
    }

    /// The CUB peer's executable, compiled if it is not there yet.
    fn cub(
        &self,
        (major, minor): (u32, u32),
        folder: &Path,
        skipped: impl Fn(String) -> Error,
    ) -> Result<PathBuf, Error> {
        let nvcc = self.nvcc.as_ref().map_err(|missing| skipped(missing.clone()))?;
        let architecture = format!("-arch=sm_{major}{minor}");
        let flags = ["-O3", "-std=c++17", "-Xcompiler=-pthread", &architecture];
        let version = run(Command::new(nvcc).arg("--version")).map_err(&skipped)?;
        let kept = self.cache.as_deref().unwrap_or(folder);
        fs::create_dir_all(kept).map_err(Error::file(kept))?;
        let built = kept.join(format!("cub-{}", short_hash(&(CUB, version, flags))));
        if !built.exists() {
            let source = folder.join("peer.cu");
            write(&source, CUB)?;
            // Compiled beside its place and moved there, so that half a file is never run.
            let half = built.with_extension(std::process::id().to_string());
            let compiled = run(Command::new(nvcc).args(flags).arg("-o").arg(&half).arg(&source));
            compiled.map_err(&skipped)?;
            fs::rename(&half, &built).map_err(Error::file(&built))?;
        }
        Ok(built)
    }
}

/// Output of nvcc, or its first error with the remedy.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    let line = format!("{program} {}", arguments.join(" "));
    let failed = |reason: &str| {
        format!("`{line}` failed: {reason}; {NVCC_VARIABLE}=PATH names another nvcc, for this GPU")
    };
    let output = command.output().map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| line.contains("error"));
    let first = first.or_else(|| said.lines().find(|line| !line.trim().is_empty()));
    let status = output.status.to_string();
    Err(failed(first.map_or(&*status, str::trim)))
}

/// Where nvcc is: where the environment says, on the path, or where CUDA is installed.
fn nvcc() -> Result<PathBuf, String> {
    if let Ok(given) = env::var(NVCC_VARIABLE) {
        return named(NVCC_VARIABLE, &given);
    }
    let installed = ["CUDA_HOME", "CUDA_PATH"].map(|name| env::var(name).ok());
    let folders = installed.into_iter().flatten().chain([CUDA.to_owned()]);
    let places = folders.map(|folder| format!("{folder}/bin/nvcc"));
    let found = iter::once("nvcc".to_owned()).chain(places).find_map(|place| which(place).ok());
    found.ok_or_else(|| {
        format!(
            "nvcc not found (neither on the path nor in CUDA_HOME nor in {CUDA}; \
             {NVCC_VARIABLE} may name it)"
        )
    })
}

fn python() -> Result<PathBuf, String> {
    match env::var(PYTHON_VARIABLE) {
        Ok(given) => named(PYTHON_VARIABLE, &given),
        Err(_) => which("python3")
            .map_err(|_| format!("python3 not found (on the path; {PYTHON_VARIABLE} may name it)")),
    }
}

/// The program that an environment variable names, by a path or by its name alone.
fn named(variable: &str, given: &str) -> Result<PathBuf, String> {
    which(given).map_err(|_| format!("{variable} names `{given}`, which cannot be run"))
}

/// The user's cache folder for compiled peers; none without a home.
fn cache() -> Option<PathBuf> {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty());
    let folder = given("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| given("HOME").map(|home| Path::new(&home).join(".cache")))?;
    folder.is_absolute().then(|| folder.join("cudamark/peers"))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Tools with this script for an nvcc.
    fn tools(nvcc: &str) -> Tools {
        let folder = folder();
        let path = folder.path().join("nvcc");
        fs::write(&path, nvcc).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Tools {
            nvcc: Ok(path),
            python: Err("python3 not found".to_owned()),
            cache: Some(folder.path().join("cache")),
            folder,
        }
    }

    /// An nvcc that notes its calls and makes what it is asked to: the version, or a
    /// script.
    const NVCC: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "release 1.0"; exit; fi
echo "$@" >> "$0.calls"
while [ "$1" != -o ]; do shift; done
cp "$0" "$2"
"#;

    #[test]
    fn what_is_missing_is_skipped_with_the_reason() {
        let tools = Tools {
            nvcc: Err("nvcc not found".to_owned()),
            python: Err("python3 not found".to_owned()),
            cache: None,
            folder: folder(),
        };
        for (name, line) in [
            ("cub", "cub: skipped: nvcc not found"),
            ("cupy", "cupy: skipped: python3 not found"),
            ("torch", "torch: skipped: python3 not found"),
            ("cud", "cud: skipped: no such peer; there are cub, cupy, torch"),
        ] {
            let error = tools.command(name, (9, 0)).unwrap_err();
            assert!(matches!(error, Error::Skipped { .. }), "{error:?}");
            let pointer = "; see `cudamark doctor`";
            assert_eq!(error.to_string().strip_suffix(pointer), Some(line));
        }
    }

    #[test]
    fn cub_is_compiled_once_for_each_chip() {
        let tools = tools(NVCC);
        let folder = tools.folder.path();
        let build = |capability| {
            let command = tools.command("cub", capability).unwrap();
            PathBuf::from(command.get_program())
        };
        let first = build((9, 0));
        assert!(first.starts_with(folder.join("cache")), "{first:?}");
        assert_eq!(which(&first).unwrap(), first);
        assert_eq!(build((9, 0)), first);
        assert_ne!(build((12, 0)), first);
        let calls = fs::read_to_string(folder.join("nvcc.calls")).unwrap();
        let calls: Vec<&str> = calls.lines().collect();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(
            calls[0].contains("-O3 -std=c++17 -Xcompiler=-pthread -arch=sm_90 -o "),
            "{calls:?}"
        );
        assert!(calls[1].contains("-arch=sm_120"), "{calls:?}");
    }

    #[test]
    fn a_compiler_that_fails_is_a_reason_to_skip() {
        let nvcc = r#"#!/bin/sh
[ "$1" = --version ] && exit
echo "peer.cu(1): warning: something" >&2
echo "peer.cu(2): error: cub/cub.cuh: no such file" >&2
exit 2
"#;
        let error = tools(nvcc).command("cub", (9, 0)).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Skipped { .. }), "{message}");
        let reason = "failed: peer.cu(2): error: cub/cub.cuh: no such file; NVCC=PATH names";
        assert!(message.contains(reason), "{message}");
    }

    #[test]
    fn a_variable_that_names_no_program_says_so() {
        for given in ["/no/such/python", "no-such-python"] {
            let reason = named(PYTHON_VARIABLE, given).unwrap_err();
            assert_eq!(reason, format!("CUDAMARK_PYTHON names `{given}`, which cannot be run"));
        }
        assert!(named(PYTHON_VARIABLE, "sh").is_ok());
    }
}
