//! What an engine is, and which there are.
//!
//! An engine sorts a slice at a concurrency level c: the slice is cut into c chunks
//! that are sorted at the same time (by c threads, or on c streams of a GPU) and then
//! brought together. How is the engine's own; that every result is verified is not.

use host::error::NoGpu;

use crate::cpu;
use crate::error::Error;
use crate::gpu_engine;
use crate::key::Key;
use crate::record::Gpu;

/// A way to sort keys of type `K`.
pub trait Engine<K: Key>: Send {
    /// Name by which it is chosen and recorded: `cpu-std`.
    fn name(&self) -> &'static str;

    /// Host memory that `prepare(n, level)` takes, in bytes: it is added to that of
    /// the keys themselves and compared with what there is before anything is
    /// allocated.
    fn scratch_bytes(&self, n: usize, level: usize) -> u64;

    /// Makes ready to sort up to `n` keys at concurrency `level`: starts threads,
    /// allocates memory, creates streams. Never timed. Replaces what an earlier call
    /// made ready. `n` may be 0, and `level` greater than `n`.
    ///
    /// # Errors
    /// A level of 0 or one beyond the engine, too little memory.
    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error>;

    /// Sorts `keys`, ascending, at the level prepared for. This is what is timed.
    ///
    /// # Errors
    /// More keys than prepared for; whatever a device reports. `keys` may then be in
    /// any state.
    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error>;

    /// The GPU it runs on, if it runs on one.
    fn gpu(&self) -> Option<Gpu> {
        None
    }
}

/// The line that stands for the results of what cannot run here.
pub fn skip_line(name: &str, reason: &str) -> String {
    format!("{name}: skipped: {reason}; see `cudamark doctor`")
}

/// An engine that cannot run on this machine, and why.
///
/// Shown as the [`skip_line`] that stands for its results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", skip_line(engine, reason))]
pub struct Unavailable {
    /// Name of the engine.
    pub engine: &'static str,
    /// What it lacks.
    pub reason: String,
}

impl From<NoGpu> for Unavailable {
    fn from(missing: NoGpu) -> Self {
        Self { engine: gpu_engine::NAME, reason: missing.0 }
    }
}

/// An engine for keys of type `K`, known by name and not yet opened: opening one may
/// load a driver and compile kernels, so it is left until the engine is wanted.
pub struct Candidate<K> {
    /// Name of the engine.
    pub name: &'static str,
    open: fn() -> Result<Box<dyn Engine<K>>, Unavailable>,
}

impl<K: Key> Candidate<K> {
    /// Opens the engine, or says why it is skipped.
    pub fn open(&self) -> Result<Box<dyn Engine<K>>, Unavailable> {
        (self.open)()
    }
}

/// Every engine for keys of type `K`, the one that `auto` prefers first.
pub fn candidates<K: Key>() -> Vec<Candidate<K>> {
    vec![
        Candidate { name: gpu_engine::NAME, open: gpu_engine::open::<K> },
        Candidate { name: cpu::RADIX, open: || Ok(Box::new(cpu::Radix::default())) },
        Candidate { name: cpu::RAYON, open: || Ok(Box::new(cpu::Rayon::default())) },
        Candidate { name: cpu::STD, open: || Ok(Box::new(cpu::Std::default())) },
    ]
}

/// The candidate called `name`.
///
/// # Errors
/// No engine has that name: the error lists those there are.
pub fn candidate<K: Key>(name: &str) -> Result<Candidate<K>, Error> {
    let candidates = candidates();
    let known: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
    let known = known.join(", ");
    let found = candidates.into_iter().find(|candidate| candidate.name == name);
    found.ok_or_else(|| Error::UnknownEngine { name: name.to_owned(), known })
}

/// Reads a list of levels such as `1,2,4`.
///
/// # Errors
/// An item that is not a whole number, or is 0; an empty list.
pub fn parse_levels(text: &str) -> Result<Vec<usize>, Error> {
    text.split(',')
        .map(|item| match item.trim().parse() {
            Ok(0) => Err(Error::LevelZero),
            Ok(level) => Ok(level),
            Err(_) => Err(Error::Levels { text: text.to_owned(), item: item.to_owned() }),
        })
        .collect()
}
