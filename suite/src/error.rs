//! Errors of the suite, one variant a cause; each message is one line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An error of the suite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant shows its fields")]
pub enum Error {
    /// A sort on the GPU failed, or memory is short.
    #[error(transparent)]
    Host(#[from] host::Error),

    /// A concurrency level of zero was asked for.
    #[error("level 0: no thread or stream would do the work; give levels of 1 or more")]
    LevelZero,

    /// A level above what the engine can start.
    #[error("{engine}: level {level} is more than the {limit} it can run; choose a lower level")]
    LevelTooHigh { engine: &'static str, level: usize, limit: usize },

    /// A text that is not a level.
    #[error("`{text}` is not a whole number of 1 or more; write levels like 1,2,4")]
    Level { text: String },

    /// The engine exists, but cannot run on this machine.
    #[error("{}: not available on this machine: {}; choose another engine, or see `cudamark doctor`", .0.engine, .0.reason)]
    Unavailable(Unavailable),

    /// The threads of a level could not be started.
    #[error("{engine}: could not start {level} threads: {reason}; choose a lower level")]
    Threads { engine: &'static str, level: usize, reason: String },

    /// `sort` was handed more than `prepare` made room for.
    #[error(
        "{engine}: asked to sort {n} elements, prepared for {prepared}; call prepare({n}, level) first"
    )]
    NotPrepared { engine: &'static str, n: usize, prepared: usize },

    /// A result that is not the sorted input. Its timing must not be used.
    #[error("{engine}: wrong result at level {level}: {difference}")]
    WrongResult { engine: &'static str, level: usize, difference: Difference },

    /// An engine that does not run here, or does not sort such an input.
    #[error("{}", skip_line(engine, reason))]
    Skipped { engine: String, reason: String },

    /// A peer whose process could not be started.
    #[error("{peer}: cannot start `{program}`: {reason}")]
    Start { peer: String, program: String, reason: String },

    /// A peer whose process ended before it answered.
    #[error("{peer}: ended ({status}) at `{request}`; it last said: {said}")]
    Ended { peer: String, request: String, status: String, said: String },

    /// A peer that did not answer in time, and was stopped.
    #[error("{peer}: no answer to `{request}` in {} s; stopped", .limit.as_secs_f64())]
    TimedOut { peer: String, request: String, limit: Duration },

    /// An answer of a peer that the protocol does not allow.
    #[error("{peer}: answered `{request}` with `{answer}`: {reason}")]
    Protocol { peer: String, request: String, answer: String, reason: String },

    /// An error that a peer reports, and after which it goes on.
    #[error("{peer}: `{request}`: {reason}")]
    Refused { peer: String, request: String, reason: String },

    /// A peer on another GPU than ours.
    #[error("{peer}: runs on {theirs}, and ours on {ours}; set CUDA_VISIBLE_DEVICES to one GPU")]
    OtherDevice { peer: String, theirs: String, ours: String },

    /// A result of a peer that is not the sorted input. Its times must not be used.
    #[error("{peer}: wrong result: {difference}")]
    WrongPeer { peer: String, difference: String },

    /// A text that is not the name of a case.
    #[error(transparent)]
    Name(#[from] CaseError),

    /// An error in one case.
    #[error("{case}: {cause}")]
    Case { case: String, cause: Box<Error> },

    /// A word where one of a few was to be.
    #[error("{what} `{given}` is not known here; there are {known}")]
    Unknown { what: String, given: String, known: String },

    /// A setting that cannot be read.
    #[error("{setting}: `{given}`: {reason}")]
    Setting { setting: &'static str, given: String, reason: String },

    /// Results of another kind than keys that are wrong.
    #[error("wrong result: {0}")]
    Wrong(String),

    /// Launches that wait for the device, so that what the device takes cannot be timed
    /// apart from what the host does.
    #[error(
        "launches wait for the device, so that what is timed would be the host's launching: {remedy}"
    )]
    Gate { remedy: String },

    /// A finding of the emulator.
    #[error("the emulator found: {0}")]
    Finding(String),

    /// More than an engine is measured with, and why.
    #[error("{0}; choose a smaller n")]
    TooLarge(String),

    /// A file that cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },

    /// A records file with a line that is none.
    #[error("{}:{line}: {reason}; the file is damaged, of another version or of another kind: move it away, or name another", path.display())]
    Line { path: PathBuf, line: usize, reason: String },
}

impl Error {
    /// The error of one case.
    pub fn of(self, case: impl fmt::Display) -> Self {
        Self::Case { case: case.to_string(), cause: Box::new(self) }
    }

    /// The error without the case that it is of.
    pub fn into_cause(self) -> Self {
        match self {
            Self::Case { cause, .. } => cause.into_cause(),
            error => error,
        }
    }

    /// The reason why an engine or input is skipped, if the error says that.
    pub fn lacks(&self) -> Option<&str> {
        match self {
            Self::Unavailable(Unavailable { reason, .. })
            | Self::Skipped { reason, .. }
            | Self::TooLarge(reason) => Some(reason),
            Self::Case { cause, .. } => cause.lacks(),
            _ => None,
        }
    }

    /// Returns true if the error says that something is skipped, and nothing is wrong.
    pub fn is_unavailable(&self) -> bool {
        self.lacks().is_some()
    }

    /// Turns what the system says of a file into an error that names it.
    pub(crate) fn file(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path: path.clone(), reason: error.to_string() }
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// The error for a word that is none of `known`.
pub(crate) fn unknown(what: &str, given: &str, known: &[&str]) -> Error {
    Error::Unknown { what: what.to_owned(), given: given.to_owned(), known: known.join(", ") }
}

/// The line that stands for the results of what cannot run here.
pub fn skip_line(name: &str, reason: &str) -> String {
    format!("{name}: skipped: {reason}; see `cudamark doctor`")
}

/// An engine that cannot run on this machine, shown as its [`skip_line`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", skip_line(engine, reason))]
pub struct Unavailable {
    /// Name of the engine.
    pub engine: &'static str,
    /// Reason.
    pub reason: String,
}

/// The form of names in groups that ask for levels.
const LEVELS: &str = "group/type-distribution-n/engine/level";
/// The form of names in other groups.
const SIZES: &str = "group/type-distribution/engine/level/n";

/// A text that is not the name of a case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a case: {reason}; write {LEVELS}, like \
     classic/i32-classic-50000000/cpu-std/4, or {SIZES}, like cpu/u32-uniform/cpu-std/4/65536"
)]
pub struct CaseError {
    /// The text.
    pub text: String,
    /// Reason.
    pub reason: &'static str,
}

/// How a result differs from the sorted input. Keys are kept as text, so that one
/// type serves all keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant shows its fields")]
pub enum Difference {
    /// Keys were lost or invented.
    #[error("the input has {input} keys, the result {result}")]
    Count { input: u64, result: u64 },
    /// Two neighbours stand the wrong way round.
    #[error("out of order: key {key} at index {index}, then {next} at index {}", index + 1)]
    Order { index: usize, key: String, next: String },
    /// In order and of the right length, but not the keys of the input.
    #[error(
        "not the keys of the input: at index {index} the sorted input has {expected}, the result \
         {found}"
    )]
    Keys { index: usize, expected: String, found: String },
    /// The keys are right, and a value is not its key's, or equal keys have changed their order.
    #[error("not in stable order: at index {index} the value is {found}, and not {expected}")]
    Value { index: usize, expected: u32, found: u32 },
    /// As [`Keys`](Self::Keys), where there is too little memory to say at which index.
    #[error("not the keys of the input; there is too little memory to find where")]
    Foreign,
}
