//! Memory that the emulator cannot check: kernels that take raw pointers or slices.
//!
//! `#[kernel]` reports the types of a kernel's parameters. A pointer or a reference
//! among them ends the launch before the kernel touches memory. A launch without one
//! checked access is refused at its end, since a closure or a structure may hide a
//! pointer, unless all its kernels take accessors and numbers only. In a crate that is compiled
//! with a call of the emulator before each access, every kernel is checked.

use super::finding::{Finding, Kind};
use super::launch::{Launch, current, current_or_none};
use super::location::{Line, SourceLocation};

const REMEDY: &str = "take cuda_std::ext::Global, compile the crate with a call before each \
                      access (docs/EMULATOR.md), or accept that nothing is checked by \
                      Options::allow_raw_memory";

/// Begins a kernel with parameters of these names and types, in a crate whose accesses call the
/// emulator or not.
/// [`kernel`](macro@crate::kernel) has each thread call it.
#[doc(hidden)]
#[track_caller]
pub fn enter_kernel(kernel: &'static str, parameters: &[(&str, &str)], is_instrumented: bool) {
    let at = Line::caller();
    if current_or_none().is_some() {
        current(|launch| launch.enter_kernel(kernel, parameters, is_instrumented, at));
    }
}

/// The running block's array called `symbol`. [`kernel`](macro@crate::kernel) makes the pointers of
/// its shared arrays by it.
#[doc(hidden)]
#[track_caller]
pub fn shared_pointer<T>(symbol: &'static str) -> *mut T {
    let at = Line::caller();
    current(|launch| {
        let granule = align_of::<T>().min(16);
        let memory = launch.static_shared(symbol, size_of::<T>(), granule, at);
        // SAFETY: it exists as long as the launch.
        unsafe { (*memory).base.cast() }
    })
}

impl Launch {
    fn enter_kernel(
        &self,
        kernel: &'static str,
        parameters: &[(&str, &str)],
        is_instrumented: bool,
        at: SourceLocation,
    ) {
        if std::ptr::eq(self.entered.replace(kernel), kernel) {
            return;
        }
        if is_instrumented && cfg!(feature = "instrumented") {
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
                self.hides_pointers.set(true);
            }
        }
    }

    /// Refuses a launch that may have reached memory without one checked access.
    pub(crate) fn require_checked(&self, accesses: u64) -> Result<(), Finding> {
        let launched = &self.launched;
        let is_clear = !self.entered.get().is_empty() && !self.hides_pointers.get();
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
    let accessor = concat!(env!("CARGO_CRATE_NAME"), "::ext::memory::");
    let numbers = "bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64";
    of_type.starts_with(accessor) || numbers.split(' ').any(|number| number == of_type)
}
