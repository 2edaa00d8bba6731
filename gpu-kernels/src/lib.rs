//! Sort kernels for NVIDIA GPUs, written once, generic over the key.
//!
//! | module | what it does |
//! |---|---|
//! | [`histogram`] | counts every digit of every key in one read, and plans the passes |
//! | [`buckets`] | counts buckets, or digits where the keys are not for it |
//! | [`shortcut`] | sorts in one launch what the plan suggests it for |
//! | `ordered` | copies keys that are in order or reversed |
//! | [`few`] | counts few distinct keys, and writes each as often as it comes |
//! | [`bucket_starts`] | where buckets begin, and whether they are sorted locally |
//! | [`onesweep`] | one stable pass of the radix sort: reads and writes each key once |
//! | [`tile`] | what the steps of a pass share |
//! | `look_back` | where in the output a tile's digits begin |
//! | `all_gather` | the same of a single wave, which needs no histogram |
//! | `plan` | which digits are passed over |
//! | [`store`] | writing a tile's runs out |
//! | [`rank`] | where in its tile a key belongs |
//! | [`local_sort`] | sorts each bucket of keys by itself |
//! | [`digit_sort`] | the same of keys with one top digit |
//! | `places` | where the keys of a bucket stand |
//! | [`gathered_sort`] | the same, of buckets of which several devices have keys |
//! | [`block`] | sorts what fits one block, in one launch |
//! | [`fused`] | sorts more keys in one launch, of blocks that wait for each other |
//! | `fused_barrier`, `fused_select`, `fused_splitters`, `fused_range` | its parts |
//! | `bins` | puts a block's words in order by one round of many bins |
//! | [`segments`] | sorts each of many segments of an array by itself |
//! | [`gather`] | fetches elements by index; codes of numeric order |
//! | [`merge`] | merges two sorted runs along merge path |
//! | [`ranks`] | counts the sorted keys below candidates for a border |
//! | [`verify`] | checks order, and hashes the multiset of keys |
//! | [`control`] | the words in device memory through which the launches of one sort agree |
//! | [`key`] | what a key is to these kernels, and how its digits are taken |
//! | `grid` | how its threads share an array out |
//! | `layout` | where things stand in shared memory |
//! | [`policy`] | the tuning parameters, in one place |
//! | [`synchronisation`] | how many votes and barriers each kernel has |
//! | `entry_list`, [`entries`] | the entry points: their list, and what makes each of a kind |
//! | `entry_macro` | makes one |
//! | `entry` | what a host launches them by |
//! | [`sweep`] | further entry points, for `cudamark tune` |
//!
//! The crate compiles for the device, and for the host against the emulator; the host also reads
//! [`policy`] and [`control`] to launch what it has compiled.
#![cfg_attr(
    target_os = "cuda",
    no_std,
    feature(abi_ptx, asm_experimental_arch),
    allow(unused_features)
)]
// Indices name lanes, items and digits: the loops over them are unrolled.
#![allow(clippy::needless_range_loop)]
// Every kernel function has one contract, stated where the accessors are:
// `cuda_std::ext::memory::Global`. Blocks inside of them would say it again.
#![allow(clippy::missing_safety_doc, unsafe_op_in_unsafe_fn)]

mod all_gather;
mod bins;
pub mod block;
pub mod bucket_starts;
pub mod buckets;
pub mod control;
pub mod digit_sort;
#[macro_use]
mod entry_macro;
#[macro_use]
mod entry_list;
// Its macros make the entry points of `sweep` too.
#[macro_use]
pub mod entries;
#[cfg(not(target_os = "cuda"))]
pub mod entry;
pub mod few;
pub mod fused;
mod fused_barrier;
mod fused_range;
mod fused_select;
mod fused_splitters;
pub mod gather;
pub mod gathered_sort;
mod grid;
pub mod histogram;
pub mod key;
mod layout;
pub mod local_bins;
pub mod local_sort;
mod look_back;
pub mod merge;
mod network;
pub mod onesweep;
mod ordered;
pub mod partition;
mod places;
mod plan;
pub mod policy;
pub mod rank;
pub mod ranks;
mod scale;
mod scan;
pub mod segment_warps;
pub mod segments;
pub mod shortcut;
pub mod store;
pub mod sweep;
pub mod synchronisation;
pub mod tile;
pub mod top_counts;
pub mod top_pass;
pub mod verify;
