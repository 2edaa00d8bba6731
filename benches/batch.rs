//! Independent arrays of one size: how many are sorted in a second.
//!
//! - `batch`: c arrays at a time. Engine `gpu` has a stream an array, `cpu-std` and `cpu-radix` a
//!   thread an array. `n` in a name is the size of one array; level c sorts c of them, each
//!   from a seed of its own, each verified. With `CUDAMARK_DEVICES` `gpu@N-devices` stands beside
//!   it, whose arrays go to N GPUs in turns.
//! - `segments`: one array of n keys in c segments of one length, sorted by one call; `ragged`:
//!   of drawn lengths. Without a GPU there is nothing to measure, and the reason is said.
//!
//! How to read it: throughput counts the keys of all arrays. Arrays too small to fill
//! the machine alone gain with the level, up to the knee; large ones do not.

harness::benchmark!(Batch, Segments, Ragged);
