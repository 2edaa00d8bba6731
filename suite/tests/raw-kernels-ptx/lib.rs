//! The PTX of the example raw-kernels, for the test of it on a device. A crate of its own, so that
//! what is no test does not wait for it.

/// The kernels, or nothing where no compiler for them was found.
pub const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/raw_kernels.ptx"));

/// Set if the kernel of 16-bit numbers is among them.
pub const HAS_HALF: bool = cfg!(feature = "half");
