//! Independent arrays of one size, c at a time: how many are sorted in a second.
//!
//! Group `batch`: engine `gpu` with a stream an array, and `cpu-std` and `cpu-radix`
//! with a thread an array. `n` in a name is the size of one array; level c sorts c of
//! them, each from a seed of its own, each verified.
//!
//! How to read it: throughput counts the keys of all arrays. Arrays too small to fill
//! the machine alone gain with the level, up to the knee; large ones do not.

mod harness;

use std::process::ExitCode;

use suite::Group;

fn main() -> ExitCode {
    harness::main("batch", &[Group::Batch])
}
