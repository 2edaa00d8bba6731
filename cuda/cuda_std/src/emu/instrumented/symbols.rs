//! The symbols that instrumented code calls: each adds its return address to the arguments, which
//! only assembly can read, and goes on to a function of [`hooks`](super::hooks).

use std::arch::global_asm;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("instrumented kernels run on x86_64 and aarch64");

/// Symbols that call `$hook` with two constants behind an address: the size, and 1 for a read, 2
/// for a write, or 3.
macro_rules! plain {
    ($($symbol:literal, $size:literal, $kind:literal;)*) => { $(
        #[cfg(target_arch = "x86_64")]
        global_asm!(
            concat!(".globl ", $symbol), concat!($symbol, ":"),
            "mov rsi, [rsp]", concat!("mov edx, ", $size), concat!("mov ecx, ", $kind),
            "jmp {}", sym super::hooks::access
        );
        #[cfg(target_arch = "aarch64")]
        global_asm!(
            concat!(".globl ", $symbol), concat!($symbol, ":"),
            "mov x1, x30", concat!("mov x2, #", $size), concat!("mov w3, #", $kind),
            "b {}", sym super::hooks::access
        );
    )* };
}

/// Symbols that call a function with the return address behind so many arguments.
macro_rules! with_caller {
    (@ $symbol:expr, $hook:path, 1) => { with_caller!(@ $symbol, $hook, "rsi", "x1"); };
    (@ $symbol:expr, $hook:path, 2) => { with_caller!(@ $symbol, $hook, "rdx", "x2"); };
    (@ $symbol:expr, $hook:path, 3) => { with_caller!(@ $symbol, $hook, "rcx", "x3"); };
    (@ $symbol:expr, $hook:path, 5) => { with_caller!(@ $symbol, $hook, "r9", "x5"); };
    (@ $symbol:expr, $hook:path, $x86:literal, $arm:literal) => {
        #[cfg(target_arch = "x86_64")]
        global_asm!(
            concat!(".globl ", $symbol), concat!($symbol, ":"),
            concat!("mov ", $x86, ", [rsp]"), "jmp {}", sym $hook
        );
        #[cfg(target_arch = "aarch64")]
        global_asm!(
            concat!(".globl ", $symbol), concat!($symbol, ":"),
            concat!("mov ", $arm, ", x30"), "b {}", sym $hook
        );
    };
    ($($symbol:literal, $hook:path, $arguments:tt;)*) => {
        $(with_caller!(@ $symbol, $hook, $arguments);)*
    };
}

plain! {
    "__tsan_read1", 1, 1; "__tsan_read2", 2, 1; "__tsan_read4", 4, 1; "__tsan_read8", 8, 1;
    "__tsan_read16", 16, 1;
    "__tsan_write1", 1, 2; "__tsan_write2", 2, 2; "__tsan_write4", 4, 2; "__tsan_write8", 8, 2;
    "__tsan_write16", 16, 2;
    "__tsan_read_write1", 1, 3; "__tsan_read_write2", 2, 3; "__tsan_read_write4", 4, 3;
    "__tsan_read_write8", 8, 3; "__tsan_read_write16", 16, 3;
    "__tsan_unaligned_read2", 2, 1; "__tsan_unaligned_read4", 4, 1;
    "__tsan_unaligned_read8", 8, 1; "__tsan_unaligned_read16", 16, 1;
    "__tsan_unaligned_write2", 2, 2; "__tsan_unaligned_write4", 4, 2;
    "__tsan_unaligned_write8", 8, 2; "__tsan_unaligned_write16", 16, 2;
    "__tsan_unaligned_read_write2", 2, 3; "__tsan_unaligned_read_write4", 4, 3;
    "__tsan_unaligned_read_write8", 8, 3; "__tsan_unaligned_read_write16", 16, 3;
    "__tsan_vptr_read", 8, 1; "__tsan_vptr_update", 8, 2;
}

with_caller! {
    "__tsan_memcpy", super::hooks::copy, 3;
    "__tsan_memmove", super::hooks::copy, 3;
    "__tsan_memset", super::hooks::fill, 3;
    "__tsan_atomic_thread_fence", super::hooks::fence, 1;
}

/// The atomic operations of one width.
macro_rules! atomics {
    ($($bits:literal, $width:ident;)*) => { $( with_caller! {
        @ concat!("__tsan_atomic", $bits, "_load"), super::hooks::$width::load, 2
    }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_store"), super::hooks::$width::store, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_exchange"), super::hooks::$width::exchange, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_fetch_add"), super::hooks::$width::add, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_fetch_sub"), super::hooks::$width::sub, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_fetch_and"), super::hooks::$width::and, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_fetch_or"), super::hooks::$width::or, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_fetch_xor"), super::hooks::$width::xor, 3 }
    with_caller! { @ concat!("__tsan_atomic", $bits, "_fetch_nand"), super::hooks::$width::nand, 3 }
    with_caller! {
        @ concat!("__tsan_atomic", $bits, "_compare_exchange_val"),
        super::hooks::$width::compare_exchange, 5
    } )* };
}

atomics! {
    "8", bits8;
    "16", bits16;
    "32", bits32;
    "64", bits64;
}
