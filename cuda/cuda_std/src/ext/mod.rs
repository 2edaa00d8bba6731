//! Names of this project's own, which Rust-CUDA does not have. Kernels import them by
//! `use cuda_std::ext::*`.
//!
//! | name | contents |
//! |---|---|
//! | [`Global`], [`Shared`] | accessors of memory, checked by the emulator in every build ([`memory`]) |
//! | [`shared_words!`] | shared memory of a size that the source states, as a [`Shared`] |
//! | [`Word`], [`AtomicWord`] | the types that accessors read and write |
//! | [`Scope`], [`fence`] | scopes of atomic operations, and fences |
//! | [`lanes`] | operations of a warp on 32-bit values, and masks of its lanes |
//! | [`hint`] | hints to the compiler, which change no result |
//! | [`trigger_dependents`], [`sync_predecessor`], [`get_early`] | launches that overlap |
//! | [`with_name!`] | names of functions that macros put together |

pub mod hint;
pub mod lanes;
pub mod memory;
mod order;
mod overlap;
mod word;

pub use crate::shared_words;
pub use cuda_std_macros::with_name;
pub use memory::{Global, Shared, dynamic_shared};
pub use order::{Ordering, Scope, fence};
pub use overlap::{get_early, sync_predecessor, trigger_dependents};
pub use word::{AtomicWord, Word};
