//! How much host memory there is, asked before any is taken: an allocation that
//! does not fit ends a process by the kernel's hand, with no message at all.

use std::fmt;

use sysinfo::System;

use crate::error::Error;

/// A number of bytes, shown with a decimal unit: `600.0 MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1000 {
            return write!(f, "{} bytes", self.0);
        }
        let mut value = self.0 as f64 / 1000.0;
        let mut unit = 0;
        while value >= 1000.0 && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// Bytes of host memory that can be had without swapping, within the limits of
/// the control group where there is one (containers). `None` on a system that does
/// not say.
pub fn available() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let machine = system.available_memory();
    Some(match system.cgroup_limits() {
        Some(limits) => machine.min(limits.free_memory),
        None => machine,
    })
}

/// Bytes of `n` elements of type `T`, saturating: what does not fit into 64 bits
/// does not fit into memory either.
pub fn bytes_of<T>(n: usize) -> u64 {
    (n as u64).saturating_mul(size_of::<T>() as u64)
}

/// An error if `needed` bytes for `n` elements are more than what is [`available`].
pub fn require(n: usize, needed: u64) -> Result<(), Error> {
    match available() {
        Some(available) if needed > available => Err(Error::Memory {
            n,
            what: "memory",
            needed,
            available,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_a_decimal_unit() {
        assert_eq!(Bytes(0).to_string(), "0 bytes");
        assert_eq!(Bytes(999).to_string(), "999 bytes");
        assert_eq!(Bytes(1000).to_string(), "1.0 kB");
        assert_eq!(Bytes(600_000_000).to_string(), "600.0 MB");
        assert_eq!(Bytes(u64::MAX).to_string(), "18.4 EB");
    }

    #[test]
    fn more_than_there_is_names_the_figures() {
        let message = require(7, u64::MAX).unwrap_err().to_string();
        assert!(
            message.starts_with("n = 7 needs 18.4 EB of memory and "),
            "{message}"
        );
        assert!(message.ends_with("choose a smaller n"), "{message}");
    }

    #[test]
    fn nothing_always_fits() {
        require(0, 0).unwrap();
        assert!(available().is_none_or(|bytes| bytes > 0));
    }
}
