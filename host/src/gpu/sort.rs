//! A prepared sort: its keys, order and kernels, and its memory.

use std::sync::Arc;

use gpu_kernels::block::Block;
use gpu_kernels::fused::{self, Fused};
use gpu_kernels::gather::NumericCodes;
use gpu_kernels::key::Bits;
use gpu_kernels::policy::partition::RANGE;
use gpu_kernels::{buckets, control, partition};
pub use sort_cases::Payload;

use super::Device;
use super::dispatch::{self, Kind, Passes, RangeSort, Wanted};
use super::key::{GpuKey, Order};
use super::launch::Gatherer;
use super::module::Kernel;
use super::workspace::{Cleared, Layout, Parts, Workspace};
use crate::error::Error;

/// A prepared sort of up to so many keys, which can run any number of times.
///
/// Every order is stable. A run is asynchronous: it puts launches on the caller's stream and
/// returns. It may be captured in a CUDA graph; [`Workspace`] says what that costs. Until the
/// stream has run, no other work may read, write or free a slice of the run, and no run on another
/// stream may use its workspace. A run allocates nothing: the [`Workspace`] holds everything beside
/// its arguments.
///
/// The most keys are as many as the GPU's memory holds, more than 2^32; but 2^32 - 1 in numeric
/// order, with indices, and with values that are not 4 bytes wide.
///
/// A sort reads the keys once to count digits. Then each byte of the sorted bits takes one pass,
/// which reads and writes keys and values once; digits in which all keys agree are skipped. These
/// sorts take less:
///
/// - At most one tile per multiprocessor: nothing is counted beforehand.
/// - 2^10 to 2^17 keys of 4 bytes alone, to 2^19 of 8, and 2^12 to 2^16 pairs with keys of 4: one
///   launch without a second buffer. It splits keys into ranges by a digit, or by splitters if that
///   is uneven, and sorts each range within a multiprocessor.
/// - From there to 2^24 evenly spread keys of 4 or 8 bytes, and 2^19 to 2^22 pairs with keys of 4:
///   two reads and two writes, in two launches, or with one more read that counts top bits.
/// - Very many keys: four reads and three writes. Keys with the same upper 16 bits form a bucket,
///   which is sorted within a multiprocessor.
///
/// Passes follow Onesweep (Adinets and Merrill 2022), buckets Stehle and Jacobsen (2017).
pub struct Sort<K: GpuKey> {
    pub(super) device: Arc<Device>,
    pub(super) capacity: u64,
    pub(super) payload: Payload,
    pub(super) order: Order,
    pub(super) bits: Bits,
    pub(super) kernels: Kernels<K::Word>,
}

/// The kernels of a sort, loaded.
pub(super) struct Kernels<W> {
    pub(super) block: Option<Kernel<Block<W>>>,
    /// One launch of many blocks, which leaves nothing to a block or to passes.
    pub(super) fused: Option<Kernel<Fused<W>>>,
    /// Two launches, which leave nothing to passes.
    pub(super) ranges: Option<RangeSort<W>>,
    pub(super) passes: Passes<W>,
    /// Numeric order's codes, and the gather of the keys by which they are decoded.
    pub(super) coder: Option<Kernel<NumericCodes<W>>>,
    pub(super) gather_keys: Option<Gatherer>,
    /// The gather of values that do not pass along with the keys.
    pub(super) gather_values: Option<Gatherer>,
}

impl<K: GpuKey> Sort<K> {
    /// Prepares a sort of up to `capacity` keys on `device`: checks that it is possible, and loads
    /// its kernels.
    ///
    /// # Errors
    /// Bits that the keys do not have; values of another width than 4, 8 or 16 bytes; more keys
    /// than indices can count; kernels that do not load.
    pub fn new(
        device: Arc<Device>,
        capacity: usize,
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let bits = order.sorted_bits(K::TYPE)?;
        let numeric = order.is_numeric(K::TYPE);
        let passes_along = matches!(payload, Payload::None | Payload::Value(4));
        let limit = u64::from(u32::MAX);
        if (numeric || !passes_along) && capacity as u64 > limit {
            return Err(Error::TooMany { n: capacity, limit });
        }
        device.enter()?;
        let paired = numeric || payload != Payload::None;
        let gather_values = match payload {
            Payload::Value(width) if numeric || width != 4 => {
                Some(Gatherer::of_values(&device, width)?)
            }
            _ => None,
        };
        let kind = match (paired, order.allows_atomics()) {
            (true, _) => Kind::Pairs,
            (false, true) => Kind::Keys,
            (false, false) => Kind::MatchedKeys,
        };
        let capacity = capacity as u64;
        let whole = bits.begin == 0 && bits.end == K::TYPE.bits;
        let wanted = Wanted { kind, whole, n: capacity };
        let fused = dispatch::fused(&device, wanted)?;
        let kernels = Kernels {
            block: match fused {
                Some(_) => None,
                None => dispatch::block(&device, paired, capacity)?,
            },
            fused,
            ranges: RangeSort::of(&device, wanted)?,
            passes: Passes::of(&device, wanted)?,
            coder: numeric.then(|| dispatch::coder(&device)).transpose()?,
            gather_keys: numeric.then(|| Gatherer::of::<K::Word>(&device)).transpose()?,
            gather_values,
        };
        Ok(Sort { device, capacity, payload, order, bits, kernels })
    }

    /// Most keys of a run.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Returns true if `n` keys are sorted by bucket, should they be evenly spread.
    pub(super) fn is_by_bucket(&self, n: usize) -> bool {
        self.kernels.passes.buckets.as_ref().is_some_and(|buckets| n as u64 >= buckets.from)
    }

    pub(super) fn numeric(&self) -> bool {
        self.kernels.coder.is_some()
    }

    /// Returns true if 4-byte values or indices pass along with the keys.
    pub(super) fn paired(&self) -> bool {
        self.numeric() || self.payload != Payload::None
    }

    pub(super) fn layout(&self) -> Layout {
        let (n, width) = (self.capacity, size_of::<K>() as u64);
        let Kernels { block, fused, passes, gather_values, .. } = &self.kernels;
        let part = |wanted: bool, width: u64| if wanted { n * width } else { 0 };
        let has_passes = block.is_none() && fused.is_none();
        let makes_index =
            gather_values.is_some() || self.numeric() && self.payload == Payload::None;
        let control = if block.is_none() { 4 * self.control_words() as u64 } else { 0 };
        Layout::of(
            control,
            Parts {
                buckets: passes.buckets.as_ref().map_or(0, |_| 4 * (buckets::BUCKETS as u64 + 1)),
                index: part(makes_index, 4),
                codes: part(self.numeric(), width),
                gathered: gather_values.map_or(0, |gatherer| n * gatherer.width),
                values: part(self.paired() && block.is_none(), 4),
                keys: part(has_passes, width),
            },
        )
    }

    fn control_words(&self) -> usize {
        match self.to_be_clear() {
            Cleared::Claims { blocks } => fused::words(blocks),
            Cleared::Ranges { tiles } => partition::words(RANGE.threads, tiles),
            Cleared::Rows { tiles } => control::words_of_single_wave(tiles),
            _ => control::words(size_of::<K>(), self.tiles()),
        }
    }

    /// Tiles of a pass over all keys.
    fn tiles(&self) -> usize {
        self.kernels.passes.pass.blocks(self.capacity) as usize
    }

    /// The state of the control words that a sort needs.
    pub(super) fn to_be_clear(&self) -> Cleared {
        if let Some(kernel) = &self.kernels.fused {
            let blocks = fused::blocks(self.capacity(), kernel.shape().threads);
            Cleared::Claims { blocks }
        } else if let Some(sort) = &self.kernels.ranges {
            Cleared::Ranges { tiles: sort.partition.blocks(self.capacity) as usize }
        } else if self.kernels.passes.single_wave {
            Cleared::Rows { tiles: self.tiles() }
        } else {
            Cleared::Bins { width: size_of::<K>() }
        }
    }

    /// Bytes of GPU memory that a run needs beside its arguments. It is 0 if one block sorts all
    /// keys, with values of 4 bytes, indices or nothing, and not in numeric order.
    pub fn workspace_bytes(&self) -> u64 {
        self.layout().end
    }

    /// The same if the caller provides second buffers ([`keys_ping_pong`](Self::keys_ping_pong),
    /// [`pairs_ping_pong`](Self::pairs_ping_pong)). They save nothing in numeric order, or with
    /// values that are not 4 bytes wide, because passes do not move those.
    pub fn ping_pong_bytes(&self) -> u64 {
        let layout = self.layout();
        if self.takes_second() { layout.at.values } else { layout.end }
    }

    /// Returns true if second buffers of the caller's are used.
    pub(super) fn takes_second(&self) -> bool {
        !self.numeric() && self.kernels.gather_values.is_none()
    }

    /// Allocates the workspace of a run.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn workspace(&self) -> Result<Workspace, Error> {
        Workspace::allocate(self.capacity(), self.workspace_bytes(), self.device.memory()?.0)
    }

    /// Allocates the workspace of a run with the caller's second buffers.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn ping_pong_workspace(&self) -> Result<Workspace, Error> {
        Workspace::allocate(self.capacity(), self.ping_pong_bytes(), self.device.memory()?.0)
    }
}
