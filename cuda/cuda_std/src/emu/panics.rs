//! Panics in kernels, as text.
//!
//! A panic hook of the process keeps the message of a panic in a kernel, for the
//! finding; any other panic goes on to the hook that was there before.

use super::launch::{Launch, current, is_in_kernel};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !is_in_kernel() {
                return before(info);
            }
            let text = info.payload_as_str().unwrap_or("no message");
            let place = info
                .location()
                .map(|at| format!(", at {at}"))
                .unwrap_or_default();
            current(|launch| launch.panic.set(format!("{text}{place}")));
        }));
    });
}

/// Runs a part of a kernel; an error is the message and place of its panic.
#[inline]
pub(crate) fn catch<R>(launch: &Launch, f: impl FnOnce() -> R) -> Result<R, String> {
    launch.in_kernel.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    launch.in_kernel.set(false);
    result.map_err(|_| launch.panic.take())
}
