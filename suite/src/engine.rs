//! The trait of engines.
//!
//! An engine sorts a slice at a concurrency level c: the slice is cut into c chunks
//! that are sorted at the same time (by c threads, or on c streams of a GPU) and then
//! brought together. How is the engine's own; that every result is verified is not.

use crate::error::Error;
use crate::key::Key;
use crate::memory;

/// A way to sort keys of type `K`.
pub trait Engine<K: Key>: Send {
    /// Name by which it is chosen and recorded: `cpu-std`.
    fn name(&self) -> &'static str;

    /// Host memory that `prepare(n, level)` takes, in bytes: it is added to that of
    /// the keys themselves and compared with what there is before anything is
    /// allocated. None, unless an engine says otherwise.
    fn scratch_bytes(&self, _n: usize, _level: usize) -> u64 {
        0
    }

    /// Makes ready to sort up to `n` keys at concurrency `level`: starts threads,
    /// allocates memory, creates streams. Never timed. Replaces what an earlier call
    /// made ready. `n` may be 0, and `level` greater than `n`.
    ///
    /// # Errors
    /// A level of 0 or one beyond the engine, too little memory.
    fn prepare(&mut self, _n: usize, _level: usize) -> Result<(), Error> {
        Ok(())
    }

    /// Sorts `keys`, ascending, at the level prepared for. This is what is timed.
    ///
    /// # Errors
    /// More keys than prepared for; whatever a device reports. `keys` may then be in
    /// any state.
    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error>;
}

/// Refuses a sort of `n` keys at `level` for which the host memory is too small: the input,
/// the work buffer and the engine's own.
///
/// # Errors
/// Too little memory.
pub fn require_memory<K: Key>(engine: &dyn Engine<K>, n: usize, level: usize) -> Result<(), Error> {
    let buffers = memory::bytes_of::<K>(n).saturating_mul(2);
    Ok(memory::require(n, buffers.saturating_add(engine.scratch_bytes(n, level)))?)
}

/// Reads a level.
///
/// # Errors
/// A text that is not a whole number, or is 0.
pub fn parse_level(text: &str) -> Result<usize, Error> {
    match text.trim().parse() {
        Ok(0) => Err(Error::LevelZero),
        Ok(level) => Ok(level),
        Err(_) => Err(Error::Level { text: text.to_owned() }),
    }
}
