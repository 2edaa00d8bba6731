//! The copies alone: the floor under every sort whose keys come from host memory.
//!
//! Group `transfer`, an engine a copy: `staged-in` and `staged-out` between ordinary
//! memory and the GPU by c threads, as `gpu-split` of `classic` does it; `pinned-in`
//! and `pinned-out` from and to pinned memory; `device-copy` within GPU memory;
//! `cpu-copy` within host memory by c threads.
//!
//! How to read it: `staged-in` and `staged-out` of a level together are what
//! `gpu-split` would take in `classic` if sorting were free. Throughput is elements copied.

harness::benchmark!(Transfer);
