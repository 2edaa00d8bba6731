//! The common parts of the steps of a pass: its arguments, a block's view of its tile, and where
//! that stands in shared memory.

use crate::control::{self, Buffer, Step};
use crate::key::{Bits, Key, RADIX};
use crate::layout::{Builder, Part};
use crate::policy::Shape;
use crate::rank::{Counters, PAIRS};
use cuda_std::{ext::*, prelude::*};

/// Which other tiles a tile looks at: the last parameter of a pass.
pub mod look {
    /// All: see `all_gather`.
    pub const ALL_GATHER: u32 = 0;
    /// Those before it: see `look_back`.
    pub const BACK: u32 = 1;
    /// Those before it in its portion; see [`control`](crate::control).
    pub const BACK_IN_PORTION: u32 = 2;
}

#[derive(Clone, Copy)]
pub struct Buffers<T> {
    pub input: Global<T>,
    pub output: Global<T>,
    pub scratch: Global<T>,
}

impl<T: Word> Buffers<T> {
    #[inline(always)]
    pub(crate) unsafe fn choose(&self, which: Buffer) -> Global<T> {
        let chosen = match which {
            Buffer::Input => self.input,
            Buffer::Output => self.output,
            Buffer::Scratch => self.scratch,
        };
        chosen.assume_global()
    }
}

/// The arguments of a pass.
#[derive(Clone, Copy)]
pub struct Pass<K> {
    pub keys: Buffers<K>,
    /// A value a key; untouched by a sort of keys alone.
    pub values: Buffers<u32>,
    /// The sort's control words; see [`control`].
    pub control: Global<u32>,
    /// Keys of the whole sort.
    pub n: u64,
    /// Which digit, 0 the least significant.
    pub position: u32,
    /// Its lowest bit and the mask of its bits.
    pub shift: u32,
    pub mask: u32,
    /// See [`key`](crate::key).
    pub order_mask: K,
    /// The bits of the whole sort, for tiles that gather from all others.
    pub bits: Bits,
    /// The portion this launch is, and its first tile.
    pub portion: u32,
    pub first_tile: u32,
    /// Options of the sort, from [`control`].
    pub options: u32,
}

/// The arguments of a launch that sorts all by itself, or with one more. The input may be the
/// output, of keys and of values. Values are not accessed where there are none.
#[derive(Clone, Copy)]
pub struct WholeSort<K> {
    /// The scratch buffer ends with any content.
    pub keys: Buffers<K>,
    pub values: Buffers<u32>,
    /// Words through which blocks agree.
    pub control: Global<u32>,
    pub n: u32,
    pub order_mask: K,
    pub options: u32,
}

pub const fn shared_bytes<K: Key>(shape: Shape, paired: bool, look: u32) -> usize {
    let layout = Layout::<K>::of(shape.threads, shape.items, paired);
    if look == look::ALL_GATHER { layout.gathered_bytes } else { layout.bytes }
}

pub(crate) struct Layout<K> {
    pub keys: Part<K>,
    pub values: Part<u32>,
    pub counters: Part<u32>,
    /// Where each digit begins in the tile, and where the last ends.
    pub begins: Part<u32>,
    /// The way from a slot of the tile to its offset in the output: 64 bits for each digit, of
    /// which a sort of few keys uses the half; or the windows.
    pub ways: Part<u64>,
    /// Sums of the scan, then what [`Tile::keep_digits`] leaves.
    pub sums: Part<u32>,
    bytes: usize,
    /// For tiles that gather from all others: sums over rows, of those before the tile, then of
    /// all; and a word a warp.
    pub gathered_sums: Part<u32>,
    pub words_of_warps: Part<u32>,
    gathered_bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of(threads: usize, items: usize, paired: bool) -> Self {
        let tile = threads * items;
        let ways = if windowed(tile, paired) { windows_max(tile) } else { RADIX };
        let mut all = Builder::new();
        let keys = all.part(tile);
        let values = all.part(if paired { tile } else { 0 });
        let counters = all.part(threads / 32 * PAIRS);
        let (begins, ways, sums) = (all.part(RADIX + 8), all.part(ways), all.part(16));
        let bytes = all.bytes();
        let (gathered_sums, words_of_warps) = (all.part(2 * RADIX), all.part(threads / 32));
        Layout {
            keys,
            values,
            counters,
            begins,
            ways,
            sums,
            bytes,
            gathered_sums,
            words_of_warps,
            gathered_bytes: all.bytes(),
        }
    }
}

/// Words after the scan's sums: the digit's shift, mask and order mask.
const DIGIT: usize = 8;
/// And the step, where it is not known from the start.
const STEP: usize = DIGIT + 3;

/// A block's view of its work. It holds little on purpose: what can be computed from the launch's
/// arguments is computed where it is needed, because a register held from the load to the store
/// is one that the keys do not have.
///
/// `LOOK` is one of [`look`].
#[derive(Clone, Copy)]
pub(crate) struct Tile<
    K,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const LOOK: u32,
> {
    pub(crate) arg: Pass<K>,
    pub(crate) step: Step,
    pub(crate) thread: u32,
}

/// Elements that a warp writes at once, one a lane.
pub(crate) const LANES: u32 = 32;
/// Elements of 4 bytes in a sector, the least that memory is written by.
pub(crate) const SECTOR: u32 = 8;

/// Returns true if tiles of this size are stored in windows: runs of 32 and more are worth it.
pub const fn windowed(tile: usize, paired: bool) -> bool {
    paired && tile > 32 * RADIX
}

/// Windows that a run of `count` elements may take.
#[inline(always)]
pub fn windows_for(count: u32) -> u32 {
    if count == 0 { 0 } else { (count + SECTOR - 1).div_ceil(LANES) }
}

/// The most that [`windows_for`] adds up to over a tile: a run rounds up by less than a sector
/// and a window.
pub const fn windows_max(tile: usize) -> usize {
    (tile + RADIX * (SECTOR + LANES - 2) as usize) / LANES as usize
}

impl<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool, const LOOK: u32>
    Tile<K, THREADS, ITEMS, PAIRED, LOOK>
{
    pub(crate) const SIZE: u32 = (THREADS * ITEMS) as u32;
    pub(crate) const WARPS: usize = THREADS / 32;
    pub(crate) const LAYOUT: Layout<K> = Layout::of(THREADS, ITEMS, PAIRED);

    /// True if this is a sort in portions: offsets take 64 bits, and the starts move on.
    pub(crate) const WIDE: bool = LOOK == look::BACK_IN_PORTION;
    /// True if tiles gather from all others, whose counts must add up in half a word.
    pub(crate) const ALL_GATHER: bool = {
        let all_gather = LOOK == look::ALL_GATHER;
        assert!(!all_gather || THREADS * ITEMS <= control::ROW_COUNT as usize);
        all_gather
    };
    /// The thread that makes the plan: one that has little else to do.
    pub(crate) const PLANNER: u32 = (THREADS - 32) as u32;

    /// True if this tile is stored in windows, which are split by the look-back.
    pub(crate) const WINDOWED: bool = {
        let windowed = windowed(THREADS * ITEMS, PAIRED);
        assert!(!(windowed && Self::ALL_GATHER));
        windowed
    };

    /// The same tile with nothing known of it, so that what is computed from it is computed again
    /// and not kept.
    #[inline(always)]
    pub(crate) fn rematerialize(self) -> Self {
        Tile {
            arg: Pass {
                position: hint::opaque(self.arg.position),
                shift: hint::opaque(self.arg.shift),
                ..self.arg
            },
            step: self.step.opaque(),
            thread: hint::opaque(self.thread),
        }
    }

    /// Number of this tile in its portion.
    #[inline(always)]
    pub(crate) fn number(&self) -> u32 {
        thread::block_idx_x()
    }

    /// Index of this tile's first key.
    #[inline(always)]
    pub(crate) fn begin(&self) -> u64 {
        (self.arg.first_tile + self.number()) as u64 * Self::SIZE as u64
    }

    /// Keys of this tile that exist.
    #[inline(always)]
    pub(crate) fn valid(&self) -> u32 {
        (self.arg.n - self.begin()).min(Self::SIZE as u64) as u32
    }

    /// The look-back table's row of `tile`, a number in the portion.
    #[inline(always)]
    pub(crate) unsafe fn row(&self, tile: u32) -> Global<u32> {
        // Opaque, or its address is kept, in registers that the keys need.
        let row = hint::opaque(self.arg.first_tile + tile) as usize * RADIX;
        self.arg.control.offset(control::table(K::DIGITS) + row)
    }

    /// The digit starts of this pass for `portion`.
    #[inline(always)]
    pub(crate) unsafe fn starts(&self, portion: u32) -> Global<u64> {
        let starts = self.arg.control.offset(control::starts(K::DIGITS, portion));
        starts.cast().offset(self.arg.position as usize * RADIX)
    }

    /// Returns a function that takes the digit of this pass from a key.
    #[inline(always)]
    pub(crate) fn digits(&self) -> impl Fn(K) -> u32 + Copy + use<K, THREADS, ITEMS, PAIRED, LOOK> {
        let (shift, mask) = (self.arg.shift, self.arg.mask);
        // Opaque, or the compiler masks the whole key first: one more instruction.
        let order_mask = hint::opaque(self.arg.order_mask.digit(shift, mask, 0));
        move |key| key.digit(shift, mask, order_mask)
    }

    /// Leaves what [`digits_again`](Self::digits_again) reads after a barrier.
    #[inline(always)]
    pub(crate) unsafe fn keep_digits(&self) {
        if self.thread == 0 {
            let (shift, mask) = (self.arg.shift, self.arg.mask);
            Self::LAYOUT.sums.shared().set(DIGIT, shift);
            Self::LAYOUT.sums.shared().set(DIGIT + 1, mask);
            Self::LAYOUT.sums.shared().set(DIGIT + 2, self.arg.order_mask.digit(shift, mask, 0));
            if Self::ALL_GATHER {
                self.keep_step(self.step);
            }
        }
    }

    /// Leaves what [`with_final_step`](Self::with_final_step) reads after a barrier.
    #[inline(always)]
    pub(crate) unsafe fn keep_step(&self, step: Step) {
        Self::LAYOUT.sums.shared().set(STEP, step.word());
    }

    /// The same tile with the step that has been made of it.
    #[inline(always)]
    pub(crate) unsafe fn with_final_step(self) -> Self {
        let step = if Self::ALL_GATHER {
            Step::from_word(Self::LAYOUT.sums.shared().get(STEP))
        } else {
            self.step
        };
        Tile { step, ..self }
    }

    /// [`digits`](Self::digits), by way of shared memory: the compiler and the
    /// assembler cannot tell that the digits are those taken before the barrier, and so do not
    /// keep them in registers that the keys need.
    #[inline(always)]
    pub(crate) unsafe fn digits_again(
        &self,
    ) -> impl Fn(K) -> u32 + Copy + use<K, THREADS, ITEMS, PAIRED, LOOK> {
        let digit = Self::LAYOUT.sums.shared().offset(DIGIT);
        let (shift, mask, order_mask) = (digit.get(0), digit.get(1), digit.get(2));
        move |key| key.digit(shift, mask, order_mask)
    }

    #[inline(always)]
    pub(crate) unsafe fn counters(&self) -> Counters {
        let words = Self::LAYOUT.counters.shared();
        Counters { words }
    }

    #[inline(always)]
    pub(crate) unsafe fn offsets(&self) -> Shared<u32> {
        Self::LAYOUT.ways.shared().cast()
    }

    /// The windows, in tiles that are stored in them.
    #[inline(always)]
    pub(crate) unsafe fn windows(&self) -> Shared<u64> {
        Self::LAYOUT.ways.shared()
    }

    /// Slot of this thread's first item; the next are 32 apart.
    #[inline(always)]
    pub(crate) fn first_item(&self) -> u32 {
        self.thread / 32 * (32 * ITEMS as u32) + self.thread % 32
    }

    /// Returns true if the pass has to encode or decode keys, at the end where it `acts`.
    #[inline(always)]
    pub(crate) fn encodes(&self, acts: bool) -> bool {
        acts && self.arg.options & control::ENCODE != 0
    }
}
