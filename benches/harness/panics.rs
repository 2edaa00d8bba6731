//! Panics: those of Criterion become errors of one line, and errors pass through Criterion
//! by unwinding, for its closures return times and nothing else.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::thread;

use anyhow::{Error, Result, anyhow};
use cudamark::tell;

/// Exit code where nobody reads on: that of a process which the system ended for it.
const UNREAD: i32 = 141;

/// Leaves the main thread's panics to [`catch`], and shows another's as one line.
/// One over an output that nobody reads ends the process: samples are in their file by
/// then.
pub(crate) fn keep_quiet(bench: &str) {
    let bench = bench.to_owned();
    let main = thread::current().id();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("it panicked");
        if message.starts_with("failed printing to ") && message.contains("Broken pipe") {
            process::exit(UNREAD);
        }
        if thread::current().id() != main {
            tell!("{bench}: {message}");
        }
    }));
}

/// Unwinds with an error, or returns the value.
pub(crate) fn pass<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic::resume_unwind(Box::new(error)))
}

/// Calls `work`. Its panic is the error that was [passed](pass), or else its message.
pub(crate) fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(error(cause)))
}

fn error(cause: Box<dyn Any + Send>) -> Error {
    cause.downcast().map_or_else(
        |cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
            let words: Vec<&str> = text.unwrap_or("it panicked").split_whitespace().collect();
            anyhow!(words.join(" "))
        },
        |error| *error,
    )
}
