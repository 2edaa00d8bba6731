//! Peers in Python whose library does not import: whatever it does instead, the peer is
//! skipped with the reason and the remedy. Modules are faked by folders that an interpreter
//! is told to look in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use suite::Error;
use suite::peers::programs::Tools;
use suite::peers::python;

use super::LIMIT;

/// True if there is a `python3` to run these with.
pub(crate) fn is_here() -> bool {
    let status = Command::new("python3").arg("-V").output();
    status.is_ok_and(|output| output.status.success())
}

/// A folder with an interpreter that is this script, and its path.
fn interpreter(script: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("python");
    fs::write(&path, script.replace("HERE", folder.path().to_str().unwrap())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

/// `python3` with a module `cupy` of this source, and an empty numpy.
fn with_cupy(source: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = interpreter("#!/bin/sh\nPYTHONPATH=HERE exec python3 \"$@\"\n");
    fs::write(folder.path().join("cupy.py"), source).unwrap();
    fs::write(folder.path().join("numpy.py"), "").unwrap();
    (folder, path)
}

/// The error of the peer `cupy` under an interpreter.
fn start(python: Result<&Path, String>, limit: Duration) -> Error {
    let tools = Tools {
        nvcc: Err("nvcc not found".to_owned()),
        python: python.map(Path::to_owned),
        cache: None,
        folder: tempfile::tempdir().unwrap(),
    };
    tools.start("cupy", (9, 0), limit).unwrap_err()
}

/// The text between `cupy: skipped: ` and the remedy.
fn reason(python: &Path, limit: Duration) -> String {
    let error = start(Ok(python), limit);
    assert!(matches!(error, Error::Skipped { .. }), "{error:?}");
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    let rest = line.strip_prefix("cupy: skipped: ").unwrap_or_else(|| panic!("{line}"));
    let (reason, remedy) = rest.split_once("; CuPy 14 takes Python ").unwrap();
    for part in ["pip install -U cupy-cuda13x", "CUDAMARK_PYTHON=PATH", "; see `cudamark doctor`"] {
        assert!(remedy.contains(part), "{line}");
    }
    reason.to_owned()
}

pub(crate) fn whatever_an_import_raises_is_the_reason() {
    for (source, expected) in [
        (
            "raise AttributeError(\"attribute '__name__' of 'builtin_function_or_method' objects \
             is not writable\")",
            "AttributeError: attribute '__name__' of 'builtin_function_or_method' objects is not \
             writable (Python 3.",
        ),
        ("import no_such_module", "No module named 'no_such_module' (Python 3."),
        (
            "raise OSError('libcublas.so.12: cannot open shared object file')",
            "OSError: libcublas.so.12: cannot open shared object file (Python 3.",
        ),
        (
            // As CuPy words it, in a paragraph around the cause.
            "try:\n  raise ImportError('libnvrtc.so.13: no such file')\nexcept ImportError as e:\n  \
             raise ImportError('====\\nFailed to import CuPy.\\n\\n====') from e",
            "ImportError: libnvrtc.so.13: no such file (Python 3.",
        ),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines (Python 3."),
        ("import sys; sys.exit(3)", "SystemExit: 3 (Python 3."),
        ("class E(BaseException): pass\nraise E()", "E (Python 3."),
        ("class E(Exception):\n  def __str__(self): raise self\nraise E()", "E (Python 3."),
        ("def broken(:", "SyntaxError: "),
        ("", "AttributeError: module 'cupy' has no attribute '__version__' (Python 3."),
        ("print('{\"protocol\": 2}'); raise ValueError('late')", "ValueError: late (Python 3."),
    ] {
        let (_folder, python) = with_cupy(source);
        let reason = reason(&python, LIMIT);
        assert!(reason.starts_with(expected), "{source}: {reason}");
    }
}

pub(crate) fn an_interpreter_that_dies_or_hangs_is_a_reason() {
    let ended = |how: &str| format!("it ended ({how}) before it was ready, and last said: ");
    for (source, expected) in [
        ("import os; os._exit(0)", ended("exit status: 0") + "nothing"),
        ("import os; os._exit(3)", ended("exit status: 3") + "nothing"),
        ("import os; os.kill(os.getpid(), 11)", ended("signal: 11 (SIGSEGV)") + "nothing"),
        (
            "import os; os.write(2, b'undefined symbol: x\\n'); os._exit(127)",
            ended("exit status: 127") + "undefined symbol: x",
        ),
    ] {
        let (_folder, python) = with_cupy(source);
        let reason = reason(&python, LIMIT);
        assert!(reason.starts_with(&expected), "{source}: {reason}");
    }
    for source in ["import time; time.sleep(1000)", "while True: print('loading')"] {
        let (_folder, python) = with_cupy(source);
        let reason = reason(&python, Duration::from_secs(2));
        assert!(reason.starts_with("it was not ready in 2 s (Python 3."), "{reason}");
    }
}

pub(crate) fn an_interpreter_that_is_no_python_3_is_a_reason() {
    // Python 2 knows not all of our syntax; it says which it is.
    let two = "#!/bin/sh\ngrep -q version_info \"$1\" && exec echo \
               '{\"protocol\": 2, \"version\": \"2.7.18\", \"prefix\": \"/usr\"}'\n\
               echo 'SyntaxError: invalid syntax' >&2; exit 1\n";
    for (script, expected) in [
        (two, " is Python 2.7.18, and peers need Python 3"),
        ("#!/bin/sh\necho hello\n", "last said: hello (/"),
        ("#!/bin/sh\nwhile :; do echo y; done\n", "it was not ready in 1 s (/"),
        ("#!/no/such/interpreter\n", "cannot start `/"),
        ("\u{1}\u{2}", "which does not answer as Python does"),
    ] {
        let (_folder, python) = interpreter(script);
        let reason = reason(&python, Duration::from_secs(1));
        assert!(reason.contains(expected), "{script:?}: {reason}");
    }
    let none = start(Err("python3 not found".to_owned()), LIMIT).to_string();
    assert_eq!(none, "cupy: skipped: python3 not found; see `cudamark doctor`");
}

pub(crate) fn an_interrupted_import_is_no_reason_to_go_on() {
    let (_folder, python) = with_cupy("raise KeyboardInterrupt");
    let error = start(Ok(&python), LIMIT);
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
}

pub(crate) fn what_an_import_prints_does_not_hide_the_library() {
    let (folder, python) = with_cupy(
        "import os, sys\nprint('hello')\nos.write(1, b'from C')\nsys.stdout.flush()\n\
         __version__ = '13.6.0'",
    );
    // Printed before our script begins, as by a wrapper.
    let talks = fs::read_to_string(&python).unwrap().replace("exec", "&& echo welcome; exec");
    fs::write(&python, talks.replace("PYTHONPATH=", "export PYTHONPATH=")).unwrap();
    assert_eq!(python::import(&python, "cupy", LIMIT), Ok("13.6.0".to_owned()));
    let found = python::ask(&python, LIMIT).unwrap();
    assert!(found.version.starts_with("3."), "{found:?}");
    fs::write(folder.path().join("cupy.py"), "").unwrap();
    let reason = python::import(&python, "cupy", LIMIT).unwrap_err();
    assert!(reason.contains("has no attribute '__version__'"), "{reason}");
}
