//! Memory that the emulator cannot check: kernels that take raw pointers or slices.
//!
//! `#[kernel]` reports the types of a kernel's parameters. A pointer or a reference
//! among them ends the launch before the kernel touches memory. A launch without one
//! checked access is refused at its end, since a closure or a structure may hide a
//! pointer, unless all its kernels take accessors and numbers only.

use super::finding::{Finding, Kind};
use super::launch::{Launch, current_or_none};
use super::location::SourceLocation;
use std::cell::Cell;
use std::panic::Location;

const REMEDY: &str = "take cuda_std::memory::Global, or accept that nothing is checked by \
                      Options::allow_raw_memory";

/// The kernels that a launch has entered.
#[derive(Default)]
pub(crate) struct Entered {
    /// The name of the last one.
    pub last: Cell<&'static str>,
    /// Set if some kernel's parameters may hide a pointer.
    hides_pointers: Cell<bool>,
}

/// Begins a kernel with parameters of these names and types.
/// [`kernel`](macro@crate::kernel) has each thread call it.
#[doc(hidden)]
#[track_caller]
pub fn enter_kernel(kernel: &'static str, parameters: &[(&str, &str)]) {
    let at = Location::caller();
    if let Some(launch) = current_or_none() {
        launch.enter_kernel(kernel, parameters, at);
    }
}

impl Launch {
    fn enter_kernel(&self, kernel: &'static str, parameters: &[(&str, &str)], at: SourceLocation) {
        if std::ptr::eq(self.entered.last.replace(kernel), kernel) {
            return;
        }
        for (name, of_type) in parameters {
            if of_type.starts_with(['*', '&']) && !self.launched.options.allow_raw_memory {
                let name = name.trim_start_matches("mut ");
                let message = format!(
                    "`{kernel}` takes `{name}: {of_type}`, of which no access is checked; {REMEDY}"
                );
                self.fail(Kind::RawMemory, at, None, message);
            }
            if !is_accessor_or_number(of_type) {
                self.entered.hides_pointers.set(true);
            }
        }
    }

    /// Refuses a launch that may have reached memory without one checked access.
    pub(crate) fn require_checked(&self, accesses: u64) -> Result<(), Finding> {
        let launched = &self.launched;
        let is_clear = !self.entered.last.get().is_empty() && !self.entered.hides_pointers.get();
        if accesses > 0 || is_clear || launched.grid == 0 || launched.options.allow_raw_memory {
            return Ok(());
        }
        let message = format!(
            "0 accesses were checked: the kernel touches no memory, or reaches it by raw pointers \
             or slices, which are not checked; {REMEDY}"
        );
        Err(launched.finding(Kind::RawMemory, message))
    }
}

fn is_accessor_or_number(of_type: &str) -> bool {
    let accessor = concat!(env!("CARGO_CRATE_NAME"), "::memory::");
    let numbers = "bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64";
    of_type.starts_with(accessor) || numbers.split(' ').any(|number| number == of_type)
}
