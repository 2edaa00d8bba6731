//! The crate of this name in which `cust` has its trait `DeviceCopy`, replaced by
//! `[patch.crates-io]` in the workspace's manifest.
//!
//! The published one implements the trait for the types of `vek`, `glam` and `mint` as well, and
//! `cust` cannot ask it not to: half a minute of compiling, on two cores, for types that nobody
//! here has.

#![no_std]

/// The name by which `cust` takes it.
#[doc(hidden)]
pub mod _hidden {
    /// Types whose bytes may be copied to and from a device.
    ///
    /// # Safety
    ///
    /// The type holds no references and no pointers to the host's memory.
    pub unsafe trait DeviceCopy: Copy {}

    macro_rules! impl_device_copy {
        ($($t:ty)*) => {
            // SAFETY: they are plain values.
            $(unsafe impl DeviceCopy for $t {})*
        };
    }

    impl_device_copy! {
        usize u8 u16 u32 u64 u128
        isize i8 i16 i32 i64 i128
        f32 f64 bool char
    }

    // SAFETY: the elements may be copied.
    unsafe impl<T: DeviceCopy, const N: usize> DeviceCopy for [T; N] {}
}
