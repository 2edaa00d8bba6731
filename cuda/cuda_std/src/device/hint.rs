//! What steers the compiler, or bounds a wait, and changes no result.

use core::arch::asm;

/// `x`, as a value the compiler knows nothing about: what is computed from it is
/// computed anew instead of being kept in registers from an earlier use.
#[inline(always)]
pub fn opaque(x: u32) -> u32 {
    let mut y = x;
    unsafe { asm!("// {0}", inout(reg32) y, options(nomem, nostack, preserves_flags)) };
    y
}

/// First in the body of a loop: the assembler is to leave it a loop.
#[inline(always)]
pub fn keep_loop() {
    unsafe {
        asm!(
            ".pragma \"nounroll\";",
            options(nomem, nostack, preserves_flags)
        )
    };
}

/// Counts the turns of a loop that waits for another block, so that it can do
/// something else when that block may not be running.
#[derive(Clone, Copy)]
pub struct Patience(u32);

impl Patience {
    /// Turns before patience ends: about a tenth of a second of polling.
    const TURNS: u32 = 1 << 18;

    #[inline(always)]
    pub fn new() -> Self {
        Self(Self::TURNS)
    }

    /// One turn of the wait. True when the caller should stop waiting.
    #[inline(always)]
    pub fn ended(&mut self) -> bool {
        self.0 -= 1;
        self.0 == 0
    }
}
