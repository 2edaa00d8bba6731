//! The device memory that a sort needs beside its arguments.

use cust::memory::DeviceBuffer;
use cust::stream::Stream;
use gpu_kernels::policy::partition::RANGE;
use gpu_kernels::{control, fused, partition, segments};

use super::stream;
use crate::error::{Error, failed};

/// Alignment of the parts of a workspace.
const ALIGNMENT: u64 = 256;

/// Device memory for the runs of sorts of any kind, one run at a time.
///
/// A sort needs clear control words. The sort before leaves them so if it is of the same kind; else
/// a fill on the stream clears them. From the first capture in a workspace on, every sort takes the
/// fill, because graphs may run between any two of them; but not a sort that follows another of
/// its kind in the same capture. The workspace must live as long as the graph, and no other run may
/// use it while the graph runs.
pub struct Workspace {
    pub(super) memory: DeviceBuffer<u8>,
    pub(super) known: Known,
}

/// The state of a workspace's control words, as far as the host knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    cleared: Cleared,
    /// The last capture of a sort in the workspace.
    capture: Option<u64>,
}

impl Known {
    pub(super) fn cleared(&self) -> Cleared {
        self.cleared
    }

    /// Returns true if the words are as `needed` for a sort that leaves them as `left`, in
    /// `capture` or outside of any.
    fn covers(&mut self, needed: Cleared, left: Cleared, capture: Option<u64>) -> bool {
        // Outside of captures, a graph may have run since.
        let is_known = capture == self.capture;
        let covered = is_known && self.cleared.covers(needed);
        self.cleared = if is_known || capture.is_some() { left } else { Cleared::Nothing };
        self.capture = capture.or(self.capture);
        covered
    }
}

/// The control words that a sort has left as another needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cleared {
    /// Nothing.
    #[default]
    Nothing,
    /// Counters and bins of keys of a width.
    Bins { width: usize },
    /// The rows of a single wave.
    Rows { tiles: usize },
    /// The claims of the blocks of one launch.
    Claims { blocks: usize },
    /// Those of ranges in two launches, and the rows of so many tiles.
    Ranges { tiles: usize },
    /// The head of this index for a sort of segments.
    Head { next: usize },
}

impl Cleared {
    /// Returns true if what is left so does for a sort that needs `needed`.
    pub(super) fn covers(self, needed: Self) -> bool {
        match (self, needed) {
            (Cleared::Rows { tiles }, Cleared::Rows { tiles: needed }) => tiles >= needed,
            (Cleared::Claims { blocks }, Cleared::Claims { blocks: needed }) => blocks >= needed,
            (Cleared::Ranges { tiles }, Cleared::Ranges { tiles: needed }) => tiles >= needed,
            _ => self == needed && self != Cleared::Nothing,
        }
    }

    /// Words to clear for it, from the first on.
    pub(super) fn words(self) -> usize {
        match self {
            Cleared::Nothing => 0,
            Cleared::Head { .. } => segments::HEAD,
            Cleared::Bins { width } => control::table(width),
            Cleared::Rows { tiles } => control::words_of_single_wave(tiles),
            Cleared::Claims { blocks } => fused::words(blocks),
            Cleared::Ranges { tiles } => partition::words(RANGE.threads, tiles),
        }
    }
}

impl Workspace {
    /// Allocates so many bytes for a sort of `n` keys, unless the GPU has fewer `available`.
    pub(super) fn allocate(n: usize, needed: u64, available: u64) -> Result<Self, Error> {
        if needed > available {
            return Err(Error::gpu_memory(n, needed, available));
        }
        // SAFETY: a run has written what it reads of a workspace.
        let memory = unsafe { DeviceBuffer::uninitialized(needed as usize) };
        Ok(Workspace::over(memory.map_err(failed("allocating a workspace"))?))
    }

    /// Makes a workspace of the caller's memory.
    pub fn over(memory: DeviceBuffer<u8>) -> Self {
        Workspace { memory, known: Known::default() }
    }

    pub fn bytes(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Returns true if the control words are as `needed` for the next sort on `stream`, which
    /// leaves them as `left`.
    pub(super) fn covers(
        &mut self,
        needed: Cleared,
        left: Cleared,
        stream: &Stream,
    ) -> Result<bool, Error> {
        Ok(self.known.covers(needed, left, stream::capture(stream)?))
    }

    /// Clears the control words as `needed`, unless the sort before has left them so; `leaves`
    /// says whether the one to come will.
    ///
    /// # Safety
    /// There are as many words; nothing else uses them until the stream has run.
    pub(super) unsafe fn clear(
        &mut self,
        needed: Cleared,
        leaves: bool,
        stream: &Stream,
    ) -> Result<(), Error> {
        let left = if leaves { needed } else { Cleared::Nothing };
        if self.covers(needed, left, stream)? && leaves {
            return Ok(());
        }
        let control = self.memory.as_device_ptr().as_raw();
        // SAFETY: the caller's contract.
        unsafe { stream::fill(control, 0, 4 * needed.words() as u64, stream) }
    }
}

/// The parts of a workspace behind the control words: the bytes of each, 0 of one that is not
/// needed, or where each begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    /// Where buckets begin, if they are counted.
    pub(super) buckets: u64,
    /// Indices that stand for values, sorted.
    pub(super) index: u64,
    /// Codes of numeric order.
    pub(super) codes: u64,
    /// Values that are gathered in place.
    pub(super) gathered: u64,
    /// Values' second buffer, or that of the indices that stand for them.
    pub(super) values: u64,
    /// Keys' second buffer; in numeric order, the codes'.
    pub(super) keys: u64,
}

/// Where the parts of a workspace begin, from its first byte, and where the last ends.
pub(super) struct Layout {
    pub(super) at: Parts,
    pub(super) end: u64,
}

impl Layout {
    /// So many bytes of control words, then the parts, each aligned.
    pub(super) fn of(control: u64, sizes: Parts) -> Self {
        let mut end = control;
        let mut part = |bytes: u64| {
            let begin = end.next_multiple_of(ALIGNMENT);
            if bytes > 0 {
                end = begin + bytes;
            }
            begin
        };
        let at = Parts {
            buckets: part(sizes.buckets),
            index: part(sizes.index),
            codes: part(sizes.codes),
            gathered: part(sizes.gathered),
            // Last, because the caller may have them.
            values: part(sizes.values),
            keys: part(sizes.keys),
        };
        Layout { at, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gpu_kernels::buckets;

    /// Of keys alone.
    fn of_keys(control_words: usize, bytes: u64) -> Layout {
        Layout::of(4 * control_words as u64, Parts { keys: bytes, ..Parts::default() })
    }

    #[test]
    fn one_block_takes_nothing_but_gathered_values_and_their_index() {
        assert_eq!(Layout::of(0, Parts::default()).end, 0);
        let sizes = Parts { index: 4 * 1000, gathered: 16 * 1000, ..Parts::default() };
        let layout = Layout::of(0, sizes);
        assert_eq!((layout.at.index, layout.at.gathered), (0, 4096));
        assert_eq!(layout.end, 4096 + 16 * 1000);
    }

    /// The figures of an H200, for the shapes of so few keys, beside those of CUB 3.0.1 called
    /// out of place, whose own are in `records/2026-11-26-h200/peers.json`.
    #[test]
    fn a_single_wave_takes_the_keys_once_more_and_less_than_cub_beside() {
        for (exponent, tile, beside, cub) in [
            (14, 256 * 8, 5_376, 7_679),
            (16, 512 * 8, 9_472, 13_823),
            (18, 512 * 8, 34_048, 40_447),
            (20, 512 * 16, 66_816, 126_463),
        ] {
            let n = 1u64 << exponent;
            let words = control::words_of_single_wave(n.div_ceil(tile) as usize);
            let layout = of_keys(words, 4 * n);
            assert_eq!(layout.end - n * 4, beside, "2^{exponent} keys");
            assert_eq!(layout.at.keys, beside, "2^{exponent} keys");
            assert!(beside <= cub, "2^{exponent} keys");
        }
    }

    /// The same, which move keys within the output.
    #[test]
    fn one_launch_of_many_blocks_takes_less_than_cub() {
        let of_cub = [(12, 16, 1023), (14, 64, 7_679), (16, 128, 13_823), (18, 128, 40_447)];
        for (exponent, blocks, cub) in of_cub {
            let layout = of_keys(fused::words(blocks), 0);
            assert_eq!(layout.end, 4 * fused::words(blocks) as u64);
            assert!(layout.end <= cub, "2^{exponent} keys");
        }
    }

    #[test]
    fn words_cleared_for_many_tiles_are_so_for_fewer() {
        let rows = |tiles| Cleared::Rows { tiles };
        let bins = |width| Cleared::Bins { width };
        assert!(rows(8).covers(rows(8)) && rows(8).covers(rows(3)));
        assert!(bins(4).covers(bins(4)));
        assert!(!rows(8).covers(rows(9)) && !bins(4).covers(bins(8)));
        assert!(!rows(8).covers(bins(4)) && !bins(4).covers(rows(1)));
        assert!(!Cleared::Nothing.covers(rows(1)) && !Cleared::Nothing.covers(Cleared::Nothing));
        let claims = |blocks| Cleared::Claims { blocks };
        assert!(claims(64).covers(claims(32)) && !claims(32).covers(claims(64)));
        assert!(!rows(8).covers(claims(1)));
    }

    #[test]
    fn words_are_known_to_be_clear_until_a_capture_and_within_one() {
        let (rows, bins) = (Cleared::Rows { tiles: 8 }, Cleared::Bins { width: 4 });
        let mut known = Known::default();
        for (turn, (kind, capture, covered)) in [
            (rows, None, false),
            (rows, None, true),
            // The graph may be launched after a sort of another kind.
            (rows, Some(1), false),
            (rows, Some(1), true),
            (bins, Some(1), false),
            // Graphs may be launched between any two of these.
            (bins, None, false),
            (bins, None, false),
            // Capture 1 goes on, behind sorts of which it is not to know.
            (bins, Some(1), false),
            (bins, Some(2), false),
            (bins, Some(2), true),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(known.covers(kind, kind, capture), covered, "turn {turn}");
        }
    }

    #[test]
    fn parts_are_aligned_and_apart() {
        let n = 1001;
        let control = 4 * control::words(2, 3) as u64;
        let sizes = Parts {
            buckets: 4 * (buckets::BUCKETS as u64 + 1),
            index: 4 * n,
            codes: 2 * n,
            gathered: 8 * n,
            values: 4 * n,
            keys: 2 * n,
        };
        let Layout { at, end } = Layout::of(control, sizes);
        let in_order = |p: Parts| [p.buckets, p.index, p.codes, p.gathered, p.values, p.keys];
        let (begins, bytes) = (in_order(at), in_order(sizes));
        assert!(begins[0] >= control);
        for (index, begin) in begins.into_iter().enumerate() {
            let next = begins.get(index + 1).copied().unwrap_or(end);
            assert!(begin % ALIGNMENT == 0 && begin + bytes[index] <= next);
        }
        assert_eq!(end, at.keys + 2 * n);
    }
}
