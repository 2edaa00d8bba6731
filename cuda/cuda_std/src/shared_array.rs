//! Static shared memory.

/// An array in the block's shared memory whose size the source states, as
/// [`Shared<T>`](crate::ext::memory::Shared): `shared_words![T; LEN]`.
///
/// It stands in the body of a [`kernel`](crate::kernel), which declares it: each occurrence in the
/// source is one array, the same one for all threads of a block, uninitialised in every block. `T`
/// is a [`Word`](crate::ext::Word); both `T` and `LEN` are looked up where the kernel stands, not
/// in its body, and arrays of one launch take at most 48 KiB. It adds to the launch's dynamic
/// shared memory. A function that kernels share takes the array as an argument.
///
/// ```
/// use cuda_std::emu::{Buffer, Options, launch};
/// use cuda_std::{ext::*, prelude::*};
///
/// /// Reverses 64 words.
/// #[kernel]
/// pub unsafe fn reverse(words: Global<u32>) {
///     let tile = shared_words![u32; 64];
///     let t = thread::thread_idx_x() as usize;
///     unsafe { tile.set(t, words.get(t)) };
///     thread::sync_threads();
///     unsafe { words.set(t, tile.get(63 - t)) };
/// }
///
/// let words = Buffer::from_slice(&(0..64).collect::<Vec<u32>>());
/// launch(1, 64, 0, &Options::random(7), || unsafe { reverse(words.global()) })?;
/// assert_eq!(words.read(0), 63);
/// # Ok::<(), cuda_std::emu::Finding>(())
/// ```
///
/// Anywhere else it does not compile:
///
/// ```compile_fail
/// use cuda_std::{ext::*, prelude::*};
///
/// fn no_kernel() {
///     let tile = shared_words![u32; 64];
/// }
/// ```
#[macro_export]
macro_rules! shared_words {
    // As the kernel's attribute writes it.
    [$symbol:literal; $element:ty; $len:expr] => {{
        const { assert!($len > 0, "a shared array has at least one element") };
        #[cfg(target_os = "cuda")]
        #[allow(unused_unsafe)]
        let array = {
            let address: u32;
            // SAFETY: the symbol is declared beside the kernel, as an array of this
            // type and length.
            unsafe {
                ::core::arch::asm!(
                    concat!("mov.u32 {}, ", $symbol, ";"), out(reg32) address,
                    options(pure, nomem, nostack, preserves_flags)
                )
            };
            $crate::ext::memory::Shared::<$element>::from_address(address)
        };
        #[cfg(not(target_os = "cuda"))]
        let array = $crate::ext::memory::Shared::<$element>::from_symbol($symbol, $len);
        array
    }};
    [$($other:tt)*] => {
        ::core::compile_error!("shared_words![T; LEN] stands in the body of a #[kernel] function")
    };
}

/// An array in the block's shared memory whose size the source states, as a raw pointer
/// `*mut T`: `shared_array![T; LEN]`, of any plain type.
///
/// It stands in the body of a [`kernel`](crate::kernel), which makes it: each occurrence in the
/// source is one array, the same one for all threads of a block, uninitialised in every block.
#[macro_export]
macro_rules! shared_array {
    // The kernel's attribute leaves this of it.
    [@] => {};
    [$($other:tt)*] => {
        ::core::compile_error!("shared_array![T; LEN] stands in the body of a #[kernel] function")
    };
}
