//! The device memory that a sort works in beside its arguments.

use cust::memory::DeviceBuffer;
use cust::stream::Stream;
use gpu_kernels::{buckets, control, fused};

use super::device::failed;
use super::{GpuKey, Payload, Sort, launch};
use crate::error::Error;

/// Alignment of the parts of a workspace.
const ALIGNMENT: u64 = 256;

/// Device memory for the runs of a sort, one at a time.
pub struct Workspace {
    pub(super) memory: DeviceBuffer<u8>,
    pub(super) cleared: Cleared,
}

/// What sorts have left of the control words as others need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cleared {
    /// Nothing.
    Nothing,
    /// Counters and bins of keys of a width.
    Bins { width: usize },
    /// The rows of a single wave.
    Rows { tiles: usize },
    /// What the blocks of one launch claim.
    Claims,
}

impl Cleared {
    /// Whether what is left so does for a sort that needs `needed`.
    pub(super) fn covers(self, needed: Self) -> bool {
        match (self, needed) {
            (Cleared::Rows { tiles }, Cleared::Rows { tiles: needed }) => tiles >= needed,
            _ => self == needed,
        }
    }

    /// Words to clear for it, from the first on.
    pub(super) fn words(self) -> usize {
        match self {
            Cleared::Nothing => 0,
            Cleared::Bins { width } => control::table(width),
            Cleared::Rows { tiles } => control::words_of_single_wave(tiles),
            Cleared::Claims => fused::ZERO,
        }
    }
}

impl Workspace {
    /// A workspace in the caller's memory.
    pub fn over(memory: DeviceBuffer<u8>) -> Self {
        Workspace { memory, cleared: Cleared::Nothing }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Clears the control words as `needed`, unless the sort before has left them so;
    /// `leaves` says whether the one to come will.
    ///
    /// # Safety
    /// There are as many words; nothing else uses them until the stream has run.
    pub(super) unsafe fn clear(
        &mut self,
        needed: Cleared,
        leaves: bool,
        stream: &Stream,
    ) -> Result<(), Error> {
        let covered = leaves && self.cleared.covers(needed);
        self.cleared = if leaves { needed } else { Cleared::Nothing };
        if covered {
            return Ok(());
        }
        if launch::is_captured(stream)? {
            // The graph clears them when it runs; a sort before that has to do so, too.
            self.cleared = Cleared::Nothing;
        }
        let control = self.memory.as_device_ptr().as_raw();
        // SAFETY: the caller's contract.
        unsafe { launch::fill(control, 0, 4 * needed.words() as u64, stream) }
    }
}

/// Where the parts of a workspace begin, from its first byte.
pub(super) struct Layout {
    /// Where buckets begin, if they are counted.
    pub(super) buckets: u64,
    /// Indices that stand for values, sorted.
    pub(super) index: u64,
    /// Codes of numeric order.
    pub(super) codes: u64,
    /// What is gathered in place.
    pub(super) gathered: u64,
    /// Values' second buffer, or that of the indices that stand for them.
    pub(super) values: u64,
    /// Keys' second buffer; in numeric order, the codes'.
    pub(super) keys: u64,
    pub(super) end: u64,
}

/// What a sort needs parts for.
pub(super) struct Parts {
    /// Keys, and bytes of one.
    pub(super) n: u64,
    pub(super) width: usize,
    /// Control words; none where one block sorts all.
    pub(super) words: Option<usize>,
    /// Whether passes move keys and values between two buffers.
    pub(super) passes: bool,
    /// Whether passes may go by buckets.
    pub(super) bucket_sort: bool,
    /// Whether 4-byte values pass along with the keys.
    pub(super) paired: bool,
    /// Whether codes are sorted in place of the keys.
    pub(super) numeric: bool,
    /// Bytes of a value that is gathered at the end, 0 if none is.
    pub(super) gathered_width: u64,
    /// Whether indices are sorted that the caller does not ask for.
    pub(super) indexed: bool,
}

impl Layout {
    /// The control words, then what of the rest is needed, each part aligned.
    pub(super) fn of(parts: &Parts) -> Self {
        let n = parts.n;
        let width = parts.width as u64;
        let mut at = parts.words.map_or(0, |words| 4 * words as u64);
        let passes = parts.passes;
        let mut part = |wanted: bool, bytes: u64| {
            let begin = at.next_multiple_of(ALIGNMENT);
            if wanted {
                at = begin + bytes;
            }
            begin
        };
        let buckets = part(parts.bucket_sort, 4 * (buckets::BUCKETS as u64 + 1));
        let index = part(parts.indexed, n * 4);
        let codes = part(parts.numeric, n * width);
        let gathered = part(parts.gathered_width > 0, n * parts.gathered_width);
        // Last, because the caller may have them.
        let values = part(parts.paired && passes, n * 4);
        let keys = part(passes, n * width);
        Layout { buckets, keys, values, index, codes, gathered, end: at }
    }
}

impl<K: GpuKey> Sort<K> {
    pub(super) fn layout(&self) -> Layout {
        let words = || self.control_words(self.capacity);
        Layout::of(&Parts {
            n: self.capacity,
            width: K::LAYOUT.width,
            words: self.kernels.block.is_none().then(words),
            passes: self.kernels.block.is_none() && self.kernels.fused.is_none(),
            bucket_sort: self.kernels.passes.buckets.is_some(),
            paired: self.paired(),
            numeric: self.numeric(),
            gathered_width: self.gathered_width(),
            indexed: self.gathered_width() > 0 || self.numeric() && self.payload == Payload::None,
        })
    }

    /// Tiles of a pass over `n` keys.
    fn tiles(&self, n: u64) -> usize {
        self.kernels.passes.pass.blocks(n) as usize
    }

    fn control_words(&self, n: u64) -> usize {
        if let Some(kernel) = &self.kernels.fused {
            fused::words::<K::Word>(fused::blocks(n as usize, kernel.shape().threads))
        } else if self.kernels.passes.single_wave {
            control::words_of_single_wave(self.tiles(n))
        } else {
            control::words(K::LAYOUT.width, self.tiles(n))
        }
    }

    /// Bytes of GPU memory that a run needs beside its arguments: none where one block
    /// sorts all keys, with values of 4 bytes, indices or nothing, and not in numeric
    /// order.
    pub fn workspace_bytes(&self) -> u64 {
        self.layout().end
    }

    /// The same when the caller gives second buffers
    /// ([`keys_ping_pong`](Self::keys_ping_pong),
    /// [`pairs_ping_pong`](Self::pairs_ping_pong)). No less in numeric order, and with
    /// values that are not of 4 bytes: those are not moved by each pass.
    pub fn ping_pong_bytes(&self) -> u64 {
        let layout = self.layout();
        if self.takes_second() { layout.values } else { layout.end }
    }

    /// Whether second buffers of the caller's are used.
    pub(super) fn takes_second(&self) -> bool {
        !self.numeric() && self.gathered_width() == 0
    }

    /// Allocates what a run needs.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn workspace(&self) -> Result<Workspace, Error> {
        self.allocate(self.workspace_bytes())
    }

    /// Allocates what a run with the caller's second buffers needs.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn ping_pong_workspace(&self) -> Result<Workspace, Error> {
        self.allocate(self.ping_pong_bytes())
    }

    fn allocate(&self, needed: u64) -> Result<Workspace, Error> {
        let (available, _) = self.device.memory()?;
        if needed > available {
            return Err(Error::Memory {
                n: self.capacity(),
                what: "GPU memory".to_owned(),
                needed,
                available,
            });
        }
        // SAFETY: what a run reads of a workspace, it has written.
        let memory = unsafe { DeviceBuffer::uninitialized(needed as usize) };
        Ok(Workspace::over(memory.map_err(failed("allocating a workspace"))?))
    }

    /// What control words have to be before a sort.
    pub(super) fn to_be_clear(&self) -> Cleared {
        if self.kernels.fused.is_some() {
            Cleared::Claims
        } else if self.kernels.passes.single_wave {
            let tiles = self.tiles(self.capacity);
            Cleared::Rows { tiles }
        } else {
            let width = K::LAYOUT.width;
            Cleared::Bins { width }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys alone.
    fn keys(n: u64, width: usize, words: Option<usize>) -> Parts {
        Parts {
            n,
            width,
            words,
            passes: words.is_some(),
            bucket_sort: false,
            paired: false,
            numeric: false,
            gathered_width: 0,
            indexed: false,
        }
    }

    #[test]
    fn what_one_block_sorts_takes_nothing() {
        let alone = keys(4096, 4, None);
        let pairs = Parts { paired: true, ..keys(4096, 8, None) };
        for parts in [alone, pairs] {
            let layout = Layout::of(&parts);
            assert_eq!((layout.end, layout.keys), (0, 0));
        }
    }

    #[test]
    fn what_one_block_sorts_by_index_takes_what_is_gathered() {
        let layout = Layout::of(&Parts {
            paired: true,
            gathered_width: 16,
            indexed: true,
            ..keys(1000, 4, None)
        });
        assert_eq!((layout.index, layout.gathered), (0, 4096));
        assert_eq!(layout.end, 4096 + 16 * 1000);
    }

    /// The figures of an H200, for the shapes of so few keys, beside those of CUB 3.0.1
    /// called out of place, whose own are in `records/2026-11-26-h200/peers.json`.
    #[test]
    fn few_tiles_take_the_keys_once_more_and_less_than_cub_beside() {
        for (exponent, tile, beside, cub) in [
            (14, 256 * 8, 5_376, 7_679),
            (16, 512 * 8, 9_472, 13_823),
            (18, 512 * 8, 34_048, 40_447),
            (20, 512 * 16, 66_816, 126_463),
        ] {
            let n = 1u64 << exponent;
            let words = control::words_of_single_wave(n.div_ceil(tile) as usize);
            let layout = Layout::of(&keys(n, 4, Some(words)));
            assert_eq!(layout.end - n * 4, beside, "2^{exponent} keys");
            assert_eq!(layout.keys, beside, "2^{exponent} keys");
            assert!(beside <= cub, "2^{exponent} keys");
        }
    }

    /// The same, which move keys within the output.
    #[test]
    fn one_launch_of_many_blocks_takes_less_than_cub() {
        for (exponent, blocks, cub) in [(14, 64, 7_679), (16, 128, 13_823), (18, 128, 40_447)] {
            let n = 1u64 << exponent;
            for (width, words) in
                [(4, fused::words::<u32>(blocks)), (8, fused::words::<u64>(blocks))]
            {
                let layout = Layout::of(&Parts { passes: false, ..keys(n, width, Some(words)) });
                assert_eq!(layout.end, 4 * words as u64);
                assert!(layout.end <= n * width as u64 + cub, "2^{exponent} keys");
            }
        }
    }

    #[test]
    fn what_is_cleared_for_many_tiles_is_so_for_fewer() {
        let rows = |tiles| Cleared::Rows { tiles };
        let bins = |width| Cleared::Bins { width };
        assert!(rows(8).covers(rows(8)) && rows(8).covers(rows(3)));
        assert!(bins(4).covers(bins(4)));
        assert!(!rows(8).covers(rows(9)) && !bins(4).covers(bins(8)));
        assert!(!rows(8).covers(bins(4)) && !bins(4).covers(rows(1)));
        assert!(!Cleared::Nothing.covers(rows(1)));
        assert!(Cleared::Claims.covers(Cleared::Claims) && !rows(8).covers(Cleared::Claims));
    }

    #[test]
    fn parts_are_aligned_and_apart() {
        let parts = Parts {
            bucket_sort: true,
            paired: true,
            numeric: true,
            gathered_width: 8,
            indexed: true,
            ..keys(1001, 2, Some(control::words(2, 3)))
        };
        let layout = Layout::of(&parts);
        let begins = [
            layout.buckets,
            layout.index,
            layout.codes,
            layout.gathered,
            layout.values,
            layout.keys,
        ];
        let mut bytes = [0, 4, 2, 8, 4, 2].map(|width| width * parts.n);
        bytes[0] = 4 * (buckets::BUCKETS as u64 + 1);
        assert!(begins[0] >= 4 * control::words(2, 3) as u64);
        for (index, begin) in begins.into_iter().enumerate() {
            let next = begins.get(index + 1).copied().unwrap_or(layout.end);
            assert!(begin % ALIGNMENT == 0 && begin + bytes[index] <= next);
        }
        assert_eq!(layout.end, layout.keys + 2 * parts.n);
    }
}
