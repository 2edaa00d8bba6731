//! One array in c pieces that are sorted at the same time and then merged pairwise.
//!
//! Group `split`: engine `gpu` on c streams, of keys in GPU memory and timed by the
//! device over all streams, and `cpu-std` on c threads. No copies between memories.
//!
//! With `CUDAMARK_DEVICES` `gpu@N-devices` stands beside it: each of N GPUs has a part of the
//! array and its share of the streams, and parts are merged between them, timed by the host.
//!
//! Group `devices`: engine `gpu` on one array over c GPUs, a part in the memory of each, timed by
//! the host until the result's parts lie there in order. A level of more GPUs than there are is
//! skipped.
//!
//! How to read it: level 1 is the sort alone. The overlap says how many streams were
//! busy at a time: near 1, the device ran them one after the other, and what a level
//! adds is merging. Efficiency is speed-up over c.

harness::benchmark!(Split, Devices);
