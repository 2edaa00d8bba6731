//! The benchmark suite: cases, the engines that run them, verified samples, and what the
//! samples say.
//!
//! A [`Case`] is one thing that is measured: a group (the question), an engine, an input and
//! a concurrency level. Its name is one word, and the [`Registry`] builds it by that alone,
//! so that any process (a benchmark, `cudamark sample`, one that compares two builds)
//! measures the same thing by the same name:
//!
//! ```
//! use std::time::Duration;
//!
//! use suite::{Registry, Sampler};
//!
//! # fn main() -> Result<(), suite::Error> {
//! let case = "cpu/u32-uniform/cpu-radix/2/10000".parse()?;
//! let registry = Registry::new(42);
//! let mut sampler = Sampler::new(&case, registry.build(&case)?);
//! sampler.warm_up(Duration::from_millis(10))?;
//! let sample = sampler.take()?;
//! println!("{case}: {} s by the {:?}'s clock", sample.seconds, sample.clock);
//! # Ok(())
//! # }
//! ```
//!
//! A sample is returned once its results are verified: a wrong one is an error, and there is
//! no sample. Samples are kept as lines of JSON ([`lines`]), after a line for the machine and
//! the build.
//!
//! | modules | content |
//! |---|---|
//! | [`case`](mod@case), [`group`], [`plan`], [`tiers`] | cases, their names, and which of them a run has |
//! | [`key`], [`kind`], [`workload`], [`inputs`] | types, orders and inputs |
//! | [`engine`], [`engines`], [`registry`] | the trait of engines, their table, and what builds them |
//! | [`cpu`], [`gpu_engine`], [`split_engine`], [`devices_engine`], `large_engine`, [`peers`], [`slowdown`] | engines |
//! | [`runner`], [`runners`] | engines made ready to run a case |
//! | [`sampler`], [`turns`], [`session`] | samples of one case, of cases by turns, of a run |
//! | [`verify`], [`statistics`], [`cycles`], [`summary`], [`classic`] | results, intervals, and what samples say |
//! | [`lines`], [`records`], [`environment`], [`nvml`] | records, and the machine they are of |
//! | [`memory`], [`threads`], [`limits`], [`error`] | what a process may take, and errors |

pub mod case;
pub mod classic;
pub mod cpu;
pub mod cycles;
pub mod devices_engine;
pub mod devices_report;
pub mod engine;
pub mod engines;
pub mod environment;
pub mod error;
pub mod gpu_engine;
pub mod group;
pub mod inputs;
pub mod key;
pub mod kind;
mod large_engine;
pub mod limits;
pub mod lines;
pub mod memory;
mod names;
pub mod nvml;
pub mod peers;
pub mod plan;
pub mod records;
pub mod registry;
pub mod runner;
pub mod runners;
pub mod sampler;
pub mod session;
pub mod slowdown;
pub mod split_engine;
pub mod statistics;
pub mod summary;
pub mod threads;
pub mod tiers;
pub mod turns;
pub mod variables;
pub mod verify;
pub mod workload;

pub use case::Case;
pub use error::{Error, Unavailable};
pub use group::Group;
pub use lines::{Line, Sample};
pub use plan::{Plan, Settings};
pub use records::Records;
pub use registry::Registry;
pub use runner::{Clock, Runner};
pub use sampler::Sampler;
pub use session::Session;
pub use summary::Summary;
pub use tiers::Tier;
