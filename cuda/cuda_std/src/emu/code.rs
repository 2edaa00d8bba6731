//! Code of instrumented crates, by its address.

use rustc_hash::FxHashMap;
use std::arch::asm;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

/// An address in the code that this is inlined into, right behind the instruction that reads it.
#[inline(always)]
pub(super) fn code_address() -> usize {
    let address;
    // SAFETY: it only reads the address of the next instruction.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("lea {}, [rip]", out(reg) address, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        asm!("adr {}, 2f", "2:", out(reg) address, options(nomem, nostack, preserves_flags));
    }
    address
}

/// The source line of the code that returns to `address`: the innermost one outside of Rust's own
/// library and of this one.
pub(super) fn line_of_code(address: usize) -> (&'static str, u32, u32) {
    type Lines = Mutex<FxHashMap<usize, (&'static str, u32, u32)>>;
    const OWN: &str = "cuda_std/src/";
    static LINES: LazyLock<Lines> = LazyLock::new(Mutex::default);
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    *lines.entry(address).or_insert_with(|| {
        let (mut found, mut function) = (None, None);
        backtrace::resolve(std::ptr::without_provenance_mut::<c_void>(address), |symbol| {
            function = function.take().or_else(|| symbol.name().map(|name| name.to_string()));
            let Some((file, line)) = symbol.filename().zip(symbol.lineno()) else { return };
            let file = file.display().to_string();
            if found.is_none() && !file.contains("/library/") && !file.contains(OWN) {
                found = Some((file, line, symbol.colno().unwrap_or(1)));
            }
        });
        match found {
            Some((file, line, column)) => (file.leak(), line, column),
            // Without debug information.
            None => {
                let function = function.unwrap_or_else(|| format!("{address:#x}"));
                (format!("{function}, whose crate has no debug information").leak(), 0, 0)
            }
        }
    })
}
