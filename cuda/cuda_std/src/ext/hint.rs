//! Hints to the compiler and bounds of waits, which change no result.

#[cfg(target_os = "cuda")]
use core::arch::asm;
#[cfg(not(target_os = "cuda"))]
use {crate::emu::launch::current, crate::emu::location::Line};

twins! {
    /// `x`, as a value the compiler knows nothing about: values that depend on it are
    /// rematerialized instead of being kept in registers from an earlier use.
    fn opaque(x: u32) -> u32 {
        {
            let mut y = x;
            // SAFETY: a comment.
            unsafe { asm!("// {0}", inout(reg32) y, options(nomem, nostack, preserves_flags)) };
            y
        };
        x
    }

    /// First in the body of a loop: tells the assembler not to unroll it.
    fn keep_loop() {
        // SAFETY: a directive.
        unsafe {
            asm!(".pragma \"nounroll\";", options(nomem, nostack, preserves_flags))
        };
        ()
    }
}

/// Bounds a wait for another block, so that the waiting thread can do something else
/// when that block may not be running.
///
/// On the device it counts turns of polling. In the emulator it ends when no other
/// thread can go on, and sometimes at random (`Options::impatience`), so that the
/// alternative to waiting runs as well.
#[derive(Clone, Copy)]
pub struct Patience(#[cfg_attr(not(target_os = "cuda"), expect(dead_code))] u32);

impl Default for Patience {
    #[inline(always)]
    fn default() -> Self {
        Self::new()
    }
}

impl Patience {
    /// About a tenth of a second of polling.
    const TURNS: u32 = 1 << 18;

    /// Patience for one wait.
    #[inline(always)]
    pub fn new() -> Self {
        Self(Self::TURNS)
    }

    twins! {
        /// Takes one turn of the wait; returns true when the caller should stop waiting.
        fn ended(&mut self) -> bool {
            {
                self.0 -= 1;
                self.0 == 0
            };
            {
                let at = Line::of_kernel();
                current(|launch| launch.patience_ended(at))
            }
        }
    }
}
