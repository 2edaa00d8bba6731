//! Peers: sorts of other libraries, on the same GPU and the same bytes.
//!
//! A peer is a program of its own, for it is written in another language and brings
//! its own libraries; it is told what to do over a pipe. So that its times and ours
//! compare:
//!
//! - every engine sorts the same input, read from one file, from device memory to
//!   other device memory, and is timed by events around the sort alone;
//! - one engine has work on the GPU at a time, and they go [by turns](crate::turns);
//! - a result of each is verified, on the host, and one that is wrong has no time;
//! - a library that can be called in several ways is timed in each, and its fastest is
//!   what ours is compared with.

pub mod folder;
pub mod input;
pub mod process;
pub mod programs;
pub mod protocol;
pub mod python;
pub mod report;

pub use input::Input;
pub use process::Peer;
pub use protocol::Variant;
