//! Sorts of keys that lie in GPU memory, over sizes, types, orders and distributions, beside CUB,
//! CuPy and PyTorch.
//!
//! - `device`: one sort between two events on an idle stream, launches included, as the
//!   peers are timed. The cache holds what fits of input and output.
//! - `device-cold`: the same after something twice as large as the cache was written.
//! - `device-graph`: few keys, many sorts launched at once as a CUDA graph: what the
//!   device needs without the host. Time is that of one sort.
//!
//! How to read it: below 2^18 keys `device` is launches; what `device-graph` takes less
//! is what a caller with a graph saves. Above 2^24 time grows with n, and the share of
//! peak says how near the memory's limit that is. A ratio above 1 is a peer that takes
//! longer. An order other than the ascending one stands behind the type: `u32@descending`,
//! `u64@0..32` by these bits, `f32@numeric`. Without a GPU there is nothing to measure, and the
//! reason is said.

harness::benchmark!(Device, DeviceCold, DeviceGraph);
