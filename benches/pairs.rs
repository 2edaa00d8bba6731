//! Cost of moving a 4-byte value with each key, stably.
//!
//! Group `pairs`: engine `gpu` and CUB on keys and values in GPU memory, `cpu-rayon`
//! (`par_sort_by_key`) and `cpu-std` (`sort_by_key`, one thread) on pairs in host
//! memory. A value is its key's index, which shows that a sort was stable. The indices of
//! `u32+index` are made by the sort, an argsort, beside CuPy's and PyTorch's.
//!
//! How to read it: compare with `device` (or `cpu`) of the same keys; twice the bytes a
//! pass make twice the time where memory is the limit.

harness::benchmark!(Pairs);
