//! The end of a run before its time, and the exit code that tells why.

use std::io::{self, Write};
use std::panic;
use std::process;

use cudamark::tell;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Exit code where nobody reads on: that of a process which the system ended for it.
const UNREAD: i32 = 141;

/// Why a run ends, in one line.
#[derive(Debug)]
pub(crate) struct Stop {
    pub code: u8,
    pub message: String,
}

impl Stop {
    /// A command line that is wrong.
    pub(crate) fn usage(message: String) -> Self {
        Self { code: 2, message }
    }

    /// Ctrl-C.
    pub(crate) fn interrupted(message: String) -> Self {
        let code = INTERRUPTED;
        Self { code, message }
    }

    /// True after Ctrl-C.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.code == INTERRUPTED
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self { code: 1, message }
    }
}

impl From<suite::Error> for Stop {
    fn from(error: suite::Error) -> Self {
        error.to_string().into()
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        format!("{error:#}").into()
    }
}

/// Has a panic of Criterion's over an output that cannot be written end the process in
/// one line. Samples are in their file by then.
pub(crate) fn where_nobody_reads(bench: &str) {
    let bench = bench.to_owned();
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        let Some(failed) = message.strip_prefix("failed printing to ") else {
            return others(info);
        };
        tell!("{bench}: cannot write to {failed}; the run has ended");
        process::exit(match failed.contains("Broken pipe") {
            true => UNREAD,
            false => 1,
        });
    }));
}

/// Prints a result. Where nobody reads it, nothing is lost that is not in a file.
pub(crate) fn print(text: &str) -> Result<(), Stop> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ => Ok(()),
    }
}
