//! The classic workload on each engine, over the concurrency level.
//!
//! Group `classic`: `classic/i32-classic-2000000/cpu-std/4`. The keys are i32, uniform
//! over 0..=1,000,000, in ordinary host memory before and after the sort; times are the
//! host's. Where there is a GPU, the keys go there and come back within the time. CuPy
//! sorts the same, at its only level.
//!
//! How to read it: time falling from level to level means that the engine turns more
//! threads into speed: on the CPU they sort, for a GPU they copy keys to it and back. At
//! the knee the machine is used up. The table after the run has the knee, and
//! `classic.csv` the times as the scripts before this program gave them.
//!
//! `suite::plan` has the environment variables that choose tier, sizes, levels,
//! engines and seed, for this benchmark and all others.

harness::benchmark!(Classic);
