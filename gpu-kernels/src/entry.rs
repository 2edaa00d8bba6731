//! Entry points, as a host sees them.
//!
//! The macros of [`entries`](crate::entries) make an [`Entry`] beside each kernel, from the list
//! of parameters that the kernel has. A host finds it in the tables of a key type ([`Entries`])
//! and launches it with the structure of arguments that the kernel itself takes.

use crate::block::Block;
use crate::bucket_starts::BucketStarts;
use crate::buckets::BucketCounts;
use crate::fused::Fused;
use crate::gather::{Gather, NumericCodes};
use crate::gathered_sort::GatheredSort;
use crate::histogram::Histogram;
use crate::key::Key;
use crate::local_sort::LocalSort;
use crate::merge::Merge;
use crate::policy::Shape;
use crate::ranks::Ranks;
use crate::segments::Segments;
use crate::tile::{Pass, WholeSort};
use crate::top_pass::TopPass;
use crate::verify::{Verify, VerifyValues};
use core::ffi::c_void;
use cuda_std::emu::Parameter;

/// An entry point that takes `A`.
pub struct Entry<A> {
    pub name: &'static str,
    /// How it splits its input.
    pub shape: Shape,
    /// With values of 4 bytes.
    pub paired: bool,
    /// Ranks by atomics, where the plan says so if there is one.
    pub atomic: bool,
    /// Compiled from compute capability 9.0 on.
    pub recent: bool,
    pub shared_bytes: usize,
    /// How many parameters the kernel has.
    pub count: usize,
    /// Pointers to the parameters, in order.
    pub parameters: fn(&A) -> Vec<*mut c_void>,
}

impl<A> Clone for Entry<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Entry<A> {}

/// The address of an argument, whose type is the parameter's.
pub(crate) fn parameter<T: Parameter>(argument: &T) -> *mut c_void {
    argument.address().cast_mut()
}

/// Shapes of keys of a width that are not in use.
pub trait Swept: Key {
    const SWEPT_LOOK_BACK: &'static [Entry<Pass<Self>>];
    const SWEPT_SINGLE_WAVE: &'static [Entry<Pass<Self>>];
    const SWEPT_LOCAL: &'static [Entry<LocalSort<Self>>];
    const SWEPT_FUSED: &'static [Entry<Fused<Self>>];
}

/// The entry points of keys of a width. Where a GPU can use several of a table, the first is to
/// be preferred.
pub trait Entries: Swept {
    /// The histogram: in much shared memory, and in little.
    const HISTOGRAMS: [Entry<Histogram<Self>>; 2];
    const BUCKET_COUNTS: &'static [Entry<BucketCounts<Self>>];
    const BUCKET_STARTS: &'static [Entry<BucketStarts>];
    const LOOK_BACK: &'static [Entry<Pass<Self>>];
    /// The same of sorts in portions.
    const PORTIONED: &'static [Entry<Pass<Self>>];
    const SINGLE_WAVE: &'static [Entry<Pass<Self>>];
    const LOCAL: &'static [Entry<LocalSort<Self>>];
    /// Local sorts of buckets that stand in several places.
    const GATHERED: &'static [Entry<GatheredSort<Self>>];
    /// Local sorts of what has the top digit in common.
    const BY_DIGIT: &'static [Entry<LocalSort<Self>>];
    /// Shortcuts behind the plan.
    const SHORTCUTS: &'static [Entry<WholeSort<Self>>];
    /// The sort by top bits: counts, passes and local sorts.
    const TOP_COUNTS: &'static [Entry<Histogram<Self>>];
    const TOP_PASSES: &'static [Entry<TopPass<Self>>];
    const BY_TOP: &'static [Entry<LocalSort<Self>>];
    /// Sorts of keys alone in one launch of many blocks.
    const FUSED: &'static [Entry<Fused<Self>>];
    /// The first of two launches, and the second.
    const PARTITIONS: &'static [Entry<WholeSort<Self>>];
    const RANGE_SORTS: &'static [Entry<WholeSort<Self>>];
    const BLOCKS: &'static [Entry<Block<Self>>];
    /// Merges of keys, and of pairs.
    const MERGE: &'static [Entry<Merge<Self>>];
    const RANKS: &'static [Entry<Ranks<Self>>];
    const SEGMENTS_IN_WARPS: &'static [Entry<Segments<Self>>];
    const SHORT_SEGMENTS: &'static [Entry<Segments<Self>>];
    /// Sorts of longer segments, in order of size: one a list.
    const LONG_SEGMENTS: &'static [Entry<Segments<Self>>];
    const VERIFY: Entry<Verify<Self>>;
    const VERIFY_VALUES: Entry<VerifyValues<Self>>;
    const GATHER: &'static [Entry<Gather<Self>>];
    const NUMERIC_CODES: &'static [Entry<NumericCodes<Self>>];
}
