//! What steers the compiler, or bounds a wait, and changes no result.

use super::launch::current;
use std::panic::Location;

/// `x`. On the device the compiler forgets what it knows about it.
pub fn opaque(x: u32) -> u32 {
    x
}

/// First in the body of a loop: the assembler is to leave it a loop.
pub fn keep_loop() {}

/// Bounds a wait for another block. On the device it counts turns; here it ends
/// when nobody else can go on, and now and then at random
/// ([`Options::impatience`](super::Options::impatience)), so that what a kernel
/// does instead of waiting is run as well.
#[derive(Clone, Copy, Default)]
pub struct Patience(());

impl Patience {
    pub fn new() -> Self {
        Self(())
    }

    /// One turn of the wait. True when the caller should stop waiting.
    #[track_caller]
    pub fn ended(&mut self) -> bool {
        let at = Location::caller();
        current(|launch| launch.patience_ended(at))
    }
}
