//! Sorting at a concurrency level, measured and verified.
//!
//! | module | what it holds |
//! |---|---|
//! | [`key`] | the types that are sorted |
//! | [`workload`] | inputs, generated from a seed |
//! | [`engine`] | what an engine is, and which there are |
//! | [`cpu`] | engines on the CPU's threads |
//! | [`gpu`] | the engine on an NVIDIA GPU, and what it is made of |
//! | [`driver`] | the CUDA driver, opened at run time |
//! | [`measure`] | samples, each verified, and what they say of the median |
//! | [`verify`] | whether a result is the sorted input |
//! | [`record`] | results and the machine they were measured on |
//! | [`slowdown`] | a slowdown that is planted in an engine |
//! | [`suite`] | the benchmark suite: cells, their samples, and what those say |
//! | [`nvml`] | clocks, power and temperature of the GPU |
//! | [`cases`] | the inputs on which sorts go wrong |
//! | [`memory`] | how much memory there is, and allocations that are errors where there is none |
//! | [`threads`] | threads, of which there may be none |
//! | [`peers`] | sorts of other libraries, measured beside ours |
//! | [`error`] | what can go wrong |

pub mod cases;
pub mod cpu;
pub mod driver;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod key;
pub mod measure;
pub mod memory;
pub mod nvml;
pub mod peers;
pub mod record;
pub mod slowdown;
pub mod suite;
pub mod threads;
pub mod verify;
pub mod workload;

pub use error::Error;
