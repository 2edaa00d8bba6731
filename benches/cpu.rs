//! Engines of the CPU, over inputs.
//!
//! Group `cpu`: `cpu-radix`, `cpu-rayon` and `cpu-std` with a thread a core, over
//! types, sizes and distributions.
//!
//! How to read it: a radix sort takes the same time whatever the order of its input,
//! and more for wider keys; the others gain from input that is sorted already. The rank
//! after the table is the geometric mean over all inputs.

harness::benchmark!(Cpu);
