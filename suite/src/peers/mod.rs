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
//!
//! | module | what it holds |
//! |---|---|
//! | [`protocol`] | what is said over the pipe |
//! | [`process`] | a peer's process, which may crash, hang or talk nonsense |
//! | [`python`] | the machine's Pythons, and what they can import |
//! | [`programs`] | the peers there are: sources, compilers, interpreters |
//! | [`input`] | the input as a file; whether a result is its sorted form |
//! | [`pairs`] | pairs of key and value: as files, and whether a result is right |
//! | [`folder`] | the folder for these files |
//! | [`report`] | results as they are kept |

pub mod folder;
pub mod input;
pub mod pairs;
pub mod process;
pub mod programs;
pub mod protocol;
pub mod python;
pub mod report;

pub use input::Input;
pub use process::Peer;
pub use protocol::Variant;
