//! A sort in the emulator, and the cost of each check.
//!
//! Group `emulator`: the whole radix sort of uniform u32 keys, a histogram and four
//! passes in a shape that large inputs take on the GPU, on one core, as in
//! `emulator/u32-uniform/races/1/100000`. In place of engines there are levels of
//! checking: `bounds` (which are always checked), `written` (and reads of what
//! nobody wrote), `races` (and the order of all accesses), and `random` (and a random
//! schedule with stale reads). Every sort is verified outside the timed interval.
//!
//! How to read it: the keys a second decide how many schedules a test can afford, and
//! the ratios to `bounds` what a check costs. The time is linear in the number of keys,
//! so one size says all; `CUDAMARK_N` chooses others, up to 4,194,304.

harness::benchmark!(Emulator);
