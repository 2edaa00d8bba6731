//! Lines that kernels print, and assertions that say both values.
//!
//! On the device a text is put together on the thread's stack, and handed to the driver, which
//! prints it on the host's standard output when the host waits for the device (CUDA Programming
//! Guide, "Formatted Output" and "Assertion"). The texts of two threads do not mix, up to 255
//! bytes; a longer one comes in parts. Formatting calls functions by address, so ptxas cannot tell
//! the stack that a kernel needs: integers and strings get by with the 1,024 bytes that a thread
//! has, floating-point numbers want 8 KiB
//! (`CurrentContext::set_resource_limit(ResourceLimit::StackSize, 8192)` in `cust`).
//!
//! In the emulator the macros are Rust's own: a text is printed at once, and a failed assertion is a
//! finding. `print!` and `println!` come with the [prelude](crate::prelude) on the device.
//! `assert_eq!` and `assert_ne!` are imported by name, because `core` has macros of these names on
//! the device as well, which end a kernel without a message.

#[cfg(target_os = "cuda")]
pub use crate::{assert_eq, assert_ne, print, println};
#[cfg(not(target_os = "cuda"))]
pub use std::{assert_eq, assert_ne, print, println};

#[cfg(target_os = "cuda")]
#[doc(hidden)]
pub mod device {
    use core::fmt::{Arguments, Result, Write};

    unsafe extern "C" {
        // System calls of the driver's.
        fn vprintf(format: *const u8, arguments: *const *const u8) -> i32;
        fn __assertfail(
            message: *const u8,
            file: *const u8,
            line: u32,
            function: *const u8,
            bytes_of_a_character: usize,
        );
    }

    const LONGEST: usize = 255;

    /// A text, and the zero that ends it.
    struct Text {
        bytes: [u8; LONGEST + 1],
        len: usize,
    }

    impl Text {
        fn new() -> Self {
            Self { bytes: [0; LONGEST + 1], len: 0 }
        }

        fn end(&mut self) -> *const u8 {
            self.bytes[self.len] = 0;
            self.len = 0;
            self.bytes.as_ptr()
        }

        fn print(&mut self) {
            let text = self.end();
            // SAFETY: the format has one argument, a text that a zero ends.
            unsafe { vprintf(c"%s".as_ptr().cast(), &raw const text) };
        }
    }

    impl Write for Text {
        fn write_str(&mut self, text: &str) -> Result {
            for &byte in text.as_bytes() {
                if self.len == LONGEST {
                    self.print();
                }
                self.bytes[self.len] = byte;
                self.len += 1;
            }
            Ok(())
        }
    }

    #[inline(never)]
    pub fn print(arguments: Arguments) {
        let mut text = Text::new();
        _ = text.write_fmt(arguments);
        text.print();
    }

    /// Ends the launch with an error that has this message. `file` and `function` end with a zero.
    #[inline(never)]
    pub fn fail_assertion(arguments: Arguments, file: &str, line: u32, function: &str) {
        let mut text = Text::new();
        _ = text.write_fmt(arguments);
        // SAFETY: each is a text that a zero ends.
        unsafe { __assertfail(text.end(), file.as_ptr(), line, function.as_ptr(), 1) };
    }

    /// Prints, as `std`'s macro; see [`io`](crate::io).
    #[macro_export]
    macro_rules! print {
        ($($argument:tt)*) => { $crate::io::device::print(::core::format_args!($($argument)*)) };
    }

    /// Prints a line, as `std`'s macro; see [`io`](crate::io).
    #[macro_export]
    macro_rules! println {
        () => { $crate::print!("\n") };
        ($($argument:tt)*) => { $crate::print!("{}\n", ::core::format_args!($($argument)*)) };
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! assert_operands {
        ($left:expr, $operator:tt, $right:expr, $($message:tt)*) => {
            match (&$left, &$right) {
                (left, right) => if !(*left $operator *right) {
                    $crate::io::device::fail_assertion(
                        ::core::format_args!(
                            "left {} right{}; left: {:?}, right: {:?}",
                            ::core::stringify!($operator),
                            ::core::format_args!($($message)*),
                            left,
                            right
                        ),
                        ::core::concat!(::core::file!(), "\0"),
                        ::core::line!(),
                        ::core::concat!(::core::module_path!(), "\0"),
                    )
                }
            }
        };
    }

    /// Ends the launch with `AssertionFailed` if two values differ, and has them printed on the
    /// host's standard error; see [`io`](crate::io).
    #[macro_export]
    macro_rules! assert_eq {
        ($left:expr, $right:expr $(,)?) => { $crate::assert_operands!($left, ==, $right, "") };
        ($left:expr, $right:expr, $($message:tt)+) => {
            $crate::assert_operands!($left, ==, $right, ": {}", ::core::format_args!($($message)+))
        };
    }

    /// The same if two values are equal.
    #[macro_export]
    macro_rules! assert_ne {
        ($left:expr, $right:expr $(,)?) => { $crate::assert_operands!($left, !=, $right, "") };
        ($left:expr, $right:expr, $($message:tt)+) => {
            $crate::assert_operands!($left, !=, $right, ": {}", ::core::format_args!($($message)+))
        };
    }
}
