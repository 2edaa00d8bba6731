//! The emulator: kernels run, and are checked, without a device.
//!
//! [`launch`] runs a kernel's own source, compiled for the host. Each device thread
//! is a coroutine; a seeded scheduler chooses the next one; and every access to
//! memory, barrier and warp operation is checked. A failed check is a [`Finding`] with
//! the kernel, the threads, their source lines, and the options that reproduce it.
//! `docs/EMULATOR.md` describes the model and its limits.
//!
//! ```
//! use cuda_std::emu::{Buffer, Options, launch};
//! use cuda_std::{ext::*, prelude::*};
//!
//! unsafe fn double(keys: Global<u32>, n: u32) {
//!     let i = thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x();
//!     if i < n {
//!         unsafe { keys.set(i as usize, 2 * keys.get(i as usize)) }
//!     }
//! }
//!
//! let keys = Buffer::from_slice(&[1, 2, 3]);
//! launch(1, 32, 0, &Options::in_order(), || unsafe { double(keys.global(), 3) })?;
//! assert_eq!(keys.to_vec(), [2, 4, 6]);
//!
//! let finding = launch(1, 32, 0, &Options::random(7), || unsafe { double(keys.global(), 4) });
//! assert!(finding.unwrap_err().to_string().contains("element 3"));
//! # Ok::<(), cuda_std::emu::Finding>(())
//! ```

mod access;
pub(crate) mod access_kind;
#[cfg(feature = "instrumented")]
mod addresses;
mod allocation;
pub(crate) mod atomics;
mod barrier;
mod buffer;
mod checks;
mod clock;
#[cfg(feature = "instrumented")]
mod code;
pub(crate) mod collective;
mod coroutine;
mod coroutine_threads;
mod dim3;
mod expectation;
mod finding;
mod history;
#[cfg(feature = "instrumented")]
mod instrumented;
pub(crate) mod launch;
pub(crate) mod location;
pub(crate) mod memory;
pub(crate) mod operation;
mod options;
mod parameter;
mod races;
pub(crate) mod raw_atomics;
mod raw_memory;
mod scheduler;
mod shadow;
mod shared_arrays;
mod state;
mod store_buffer;
mod thread;
mod wait;

pub use buffer::Buffer;
pub use dim3::Dim3;
pub use expectation::Expectation;
pub use finding::{Finding, Kind, Launched};
pub use launch::launch;
pub use location::{Line, Site};
pub use options::{Checks, MemoryModel, Options, ParseError, Policy, VARIABLE};
pub use parameter::Parameter;
#[doc(hidden)]
pub use raw_memory::{enter_kernel, shared_pointer};
pub use thread::Stats;
