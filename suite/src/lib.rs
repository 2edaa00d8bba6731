//! The benchmark suite: what is measured, how a sample of it is taken, and what the
//! samples say.
//!
//! A *cell* is one thing that is measured: who sorts which input at which concurrency
//! level, to answer which question. Its [`Name`] says all of that in one word, and a
//! cell is opened by it alone, so that any process (a benchmark, `cudamark sample`,
//! one that compares two builds) measures the same thing by the same name:
//!
//! ```
//! use std::time::Duration;
//!
//! use suite::{Opener, Sampler};
//!
//! # fn main() -> Result<(), suite::Error> {
//! let name = "cpu/u32-uniform/cpu-radix/2/10000".parse()?;
//! let opener = Opener::new(42);
//! let mut sampler = Sampler::new(&name, opener.open(&name)?);
//! sampler.warm_up(Duration::from_millis(10))?;
//! let sample = sampler.take()?;
//! println!("{name}: {} s by the {:?}'s clock", sample.seconds, sample.clock);
//! # Ok(())
//! # }
//! ```
//!
//! Each sample's results are verified before it is returned: one that is wrong is an
//! error, and there is no sample. What is written down is one line of JSON a sample
//! ([`lines`]), with a line for the machine and the build before them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`name`] | the names of cells |
//! | [`group`] | the questions: groups of cells, and who sorts in each |
//! | [`plan`] | which cells a run has: tiers and settings |
//! | [`tiers`] | what each tier has of each group |
//! | [`key`] | the types that are sorted |
//! | [`workload`] | inputs, generated from a seed |
//! | [`inputs`] | inputs by the names of types and distributions |
//! | [`cases`] | the inputs on which sorts go wrong |
//! | [`engine`] | what an engine is, and which there are |
//! | [`cpu`] | engines on the CPU's threads |
//! | [`gpu_engine`] | the engine on a GPU, from and to host memory |
//! | [`slowdown`] | a slowdown that is planted in an engine |
//! | [`peers`] | sorts of other libraries, measured beside ours |
//! | [`verify`] | whether a result is the sorted input |
//! | [`cell`] | what a cell is when it is open |
//! | [`opener`] | opens a cell by its name |
//! | [`host_cells`] | cells on the CPU, and of engines from and to host memory |
//! | [`gpu_cells`] | cells on the GPU, from and to its memory |
//! | [`streams`] | cells of many streams at once |
//! | [`copies`] | cells of copies alone |
//! | [`peer_cells`] | cells of other libraries |
//! | [`emulator_cells`] | cells of the kernels in the emulator |
//! | [`sampler`] | samples of an open cell |
//! | [`measure`] | samples of an engine, each verified, and what they say of the median |
//! | [`turns`] | cells sampled by turns |
//! | [`session`] | a run over cells: environment, engines that can run, a sink for lines |
//! | [`lines`] | the lines of a records file |
//! | [`records`] | records files: written, read, gone on with |
//! | [`record`] | the machine that results were measured on |
//! | [`tune`] | the record of `cudamark tune` |
//! | [`summary`] | what samples say: medians, speed-ups, shares, ratios |
//! | [`nvml`] | clocks, power and temperature of the GPU |
//! | [`memory`] | how much memory there is, and allocations that are errors where there is none |
//! | [`limits`] | limits of a process, which return errors |
//! | [`threads`] | threads, of which there may be none |
//! | [`error`] | what can go wrong |

pub mod cases;
pub mod cell;
pub mod copies;
pub mod cpu;
pub mod emulator_cells;
pub mod engine;
pub mod error;
pub mod gpu_cells;
pub mod gpu_engine;
pub mod group;
pub mod host_cells;
pub mod inputs;
pub mod key;
pub mod limits;
pub mod lines;
pub mod measure;
pub mod memory;
pub mod name;
pub mod nvml;
pub mod opener;
pub mod peer_cells;
pub mod peers;
pub mod plan;
pub mod record;
pub mod records;
pub mod sampler;
pub mod session;
pub mod slowdown;
pub mod streams;
pub mod summary;
pub mod threads;
pub mod tiers;
pub mod tune;
pub mod turns;
pub mod verify;
pub mod workload;

pub use cell::{Cell, Times};
pub use error::Error;
pub use group::Group;
pub use lines::{Clock, Line, Sample};
pub use name::Name;
pub use opener::Opener;
pub use plan::{Plan, Settings, Tier};
pub use records::Records;
pub use sampler::Sampler;
pub use session::Session;
pub use summary::Summary;
