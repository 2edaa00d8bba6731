//! Ours against peers: sorts of other libraries, on the same GPU and the same bytes.
//!
//! A peer is a program of its own, for it is written in another language and brings
//! its own libraries; it is told what to do over a pipe. So that its figures and ours
//! can be held side by side:
//!
//! - every contender sorts the same input, read from one file, from device memory to
//!   other device memory, and is timed by events around the sort alone;
//! - one contender has work on the GPU at a time, a turn of a few sorts; turns go
//!   round, so that what drifts (clocks, heat) meets all alike, and the first sorts of
//!   a turn are dropped;
//! - after its last turn, a result of each contender is held against the input on the
//!   host, ours by [`Resident`](host::gpu::Resident), on the device; a contender whose
//!   result is wrong has no figure;
//! - a library that can be called in several ways is timed in each, and its fastest is
//!   what ours is held against.
//!
//! | module | what it holds |
//! |---|---|
//! | [`protocol`] | what is said over the pipe |
//! | [`process`] | a peer's process, which may crash, hang or talk nonsense |
//! | [`python`] | the machine's Pythons, and what they can import |
//! | [`programs`] | the peers there are: sources, compilers, interpreters |
//! | [`input`] | what is sorted, as a file for peers; whether a result is its sorted form |
//! | [`pairs`] | pairs of key and value: as files, and whether a result is right |
//! | [`ours`] | our sorter as a contender |
//! | [`contest`] | contenders by turns |
//! | [`arena`] | contests of one input after another, files and lost peers included |
//! | [`report`] | results as they are kept |
//! | [`error`] | what can go wrong |

pub mod arena;
pub mod contest;
pub mod error;
pub mod input;
pub mod ours;
pub mod pairs;
pub mod process;
pub mod programs;
pub mod protocol;
pub mod python;
pub mod report;

pub use arena::{Arena, Outcome, Outcomes};
pub use contest::{AllTimes, Case, Cell, Contender, Loaded, Plan, Shape, Times, contest};
pub use error::PeerError;
pub use input::{Input, KINDS, Kind};
pub use ours::{Ours, Scheme};
pub use process::Peer;
pub use protocol::Variant;
