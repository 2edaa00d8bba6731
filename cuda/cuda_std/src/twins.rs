//! One declaration for an operation's two implementations.

/// Defines operations: documentation and signature once, then the body for the
/// device and the body for the emulator. The bodies of an `unsafe fn` stand in an
/// unsafe block, whose contract is the operation's own.
macro_rules! twins {
    () => {};
    (
        $(#[$meta:meta])*
        fn $name:ident $(<$generic:ident $(: $bound:path)?>)? ($($arguments:tt)*) $(-> $result:ty)? { $device:expr; $emulated:expr }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        pub fn $name $(<$generic $(: $bound)?>)? ($($arguments)*) $(-> $result)? {
            #[cfg(target_os = "cuda")]
            {
                $device
            }
            #[cfg(not(target_os = "cuda"))]
            {
                $emulated
            }
        }
        twins! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        unsafe fn $name:ident $(<$generic:ident: $bound:path>)? ($($arguments:tt)*) $(-> $result:ty)? {
            $device:expr; $emulated:expr
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        #[allow(unused_unsafe)]
        pub unsafe fn $name $(<$generic: $bound>)? ($($arguments)*) $(-> $result)? {
            #[cfg(target_os = "cuda")]
            // SAFETY: the caller keeps the accessor's contract.
            unsafe {
                $device
            }
            #[cfg(not(target_os = "cuda"))]
            // SAFETY: as above.
            unsafe {
                $emulated
            }
        }
        twins! { $($rest)* }
    };
}
