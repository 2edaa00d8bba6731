//! Panics in kernels, as text.
//!
//! A panic hook of the process keeps the message of a panic in a kernel, for the
//! finding; any other panic goes on to the hook that was there before.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// The panics of one launch.
#[derive(Default)]
pub(crate) struct Panics {
    /// Set while a device thread runs.
    in_kernel: Cell<bool>,
    message: Cell<String>,
}

impl Panics {
    /// Runs a part of a kernel; an error is the message and location of its panic.
    #[inline]
    pub(super) fn catch<R>(&self, f: impl FnOnce() -> R) -> Result<R, String> {
        self.in_kernel.set(true);
        let result = catch_unwind(AssertUnwindSafe(f));
        self.in_kernel.set(false);
        result.map_err(|_| self.message.take())
    }
}

/// Calls a function with the running launch's panics, if there is a launch.
type WithCurrent = fn(&dyn Fn(&Panics));

/// Installs the hook.
pub(crate) fn install_hook(with_current: WithCurrent) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let is_kept = Cell::new(false);
            with_current(&|panics| {
                if panics.in_kernel.get() {
                    let text = info.payload_as_str().unwrap_or("no message");
                    let at = info.location().map(|at| format!(", at {at}"));
                    panics.message.set(format!("{text}{}", at.unwrap_or_default()));
                    is_kept.set(true);
                }
            });
            if !is_kept.get() {
                before(info);
            }
        }));
    });
}
