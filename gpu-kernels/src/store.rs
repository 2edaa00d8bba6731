//! Writing a tile, sorted by digit in shared memory, to where its runs go.
//!
//! A run is what a tile has of one digit. Its elements stand together in shared memory and go to
//! consecutive offsets of the output; a digit's *offset* leads from the one to the other.
//!
//! # In a line
//! Thread `t` writes elements `t`, `t + THREADS` and so on, each to its digit's offset: 32 lanes
//! write 32 neighbours in shared memory, of one run or of several. Where a warp's part begins
//! within a run, it begins anywhere in a 32-byte sector, which two warps then write in part.
//!
//! How fast a warp goes about it matters in both directions (`docs/LAB.md`). Whole tiles ranked
//! as the plan says are stored by loops that have only what they need and are kept loops:
//! unrolled, all is read first and then written at once, and what other blocks read and write
//! meanwhile waits. The smaller tiles of blocks that rank by match alone are stored faster by
//! more instructions.
//!
//! # In windows
//! A run is split where sectors of the output begin, into windows of up to 32 elements, and a
//! warp writes a window at a time. Then a sector is written in part only where a run begins or
//! ends. Looking up a window's slot costs less than the digit and offset of each element, if more
//! than one element is written for it: keys with values gain, keys alone lose (`docs/LAB.md`).
//!
//! The lanes of a warp split a run each; where keys are few or skewed one of them would have
//! hundreds of windows and all others wait, so such a run the lanes split together.
//!
//! How many windows a run takes depends on where in a sector its first element goes, which is
//! known only after the look-back. The scan has to number them before, and counts the most that
//! there can be.
//!
//! # In one run
//! Keys with values whose tile is a single run stand in order already, and go from registers to
//! the output: one thread would have to split the run, and the others to wait for it.

use crate::buckets::BUCKET_BITS;
use crate::key::{Key, RADIX};
use crate::rank::unpack;
use crate::tile::{Buffers, LANES, SECTOR, Tile};
use cuda_std::{ext::*, prelude::*};

/// Rows that a warp stores in a turn, where it has turns.
const ROWS: usize = 3;
/// Windows whose descriptions a warp reads at once.
const TOGETHER: usize = 4;
/// Most windows of a run that a lane splits by itself.
const LONG: u32 = 8;

/// Where a run stands: what the scan says of its digit and of the next. The low halves are slots
/// in the tile, the high ones numbers of windows.
#[derive(Clone, Copy)]
pub struct Run {
    this: u32,
    next: u32,
}

impl Run {
    #[inline(always)]
    pub fn new(this: u32, next: u32) -> Self {
        Run { this, next }
    }

    /// Slot of its first element.
    #[inline(always)]
    pub fn begin(self) -> u32 {
        self.this & 0xffff
    }

    /// Slot after its last.
    #[inline(always)]
    pub fn end(self) -> u32 {
        self.next & 0xffff
    }

    #[inline(always)]
    fn first_window(self) -> u32 {
        self.this >> 16
    }

    #[inline(always)]
    fn windows(self) -> u32 {
        (self.next >> 16) - self.first_window()
    }
}

impl<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool, const LOOK: u32>
    Tile<K, THREADS, ITEMS, PAIRED, LOOK>
{
    /// Writes the tile's keys out.
    #[inline(always)]
    pub(crate) unsafe fn store_keys(&self) {
        let keys = Self::LAYOUT.keys.shared();
        let digit_of = self.digits_again();
        let put = self.scatter_fn(self.arg.keys);
        let decodes = self.encodes(self.step.last());
        for i in 0..ITEMS {
            let slot = self.thread + (i * THREADS) as u32;
            let key = keys.get(slot as usize);
            let decoded = if decodes { key.encode() } else { key };
            put(slot, digit_of(key), decoded);
        }
    }

    /// The same of keys that may have been ranked by atomics. Returns whether `check`, of a whole
    /// tile, found one greater than its right neighbour in the bits sorted so far.
    #[inline(always)]
    pub(crate) unsafe fn store_checked(&self, check: bool) -> bool {
        let whole = self.valid() == Self::SIZE;
        let decodes = self.encodes(self.step.last());
        match (whole, check, decodes) {
            (false, _, _) => self.store_some(decodes),
            (true, false, false) => self.store_turns(false, false),
            (true, false, true) => self.store_turns(false, true),
            (true, true, false) => self.store_turns(true, false),
            (true, true, true) => self.store_turns(true, true),
        }
    }

    /// Of a tile that the input ends in.
    #[inline(always)]
    unsafe fn store_some(&self, decodes: bool) -> bool {
        let keys = Self::LAYOUT.keys.shared();
        let digit_of = self.digits_again();
        let put = self.scatter_fn(self.arg.keys);
        let mut slot = self.thread;
        while slot < Self::SIZE {
            let key = keys.get(slot as usize);
            let decoded = if decodes { key.encode() } else { key };
            put(slot, digit_of(key), decoded);
            slot = hint::opaque(slot + THREADS as u32);
        }
        false
    }

    /// Of a whole tile, a few rows in each turn of a loop.
    #[inline(always)]
    unsafe fn store_turns(&self, check: bool, decodes: bool) -> bool {
        // By a shuffle the assembler cannot tell that it knows the thread, and does not keep what
        // it has computed from it.
        let thread = lanes::shuffle_idx(lanes::FULL, self.thread, warp::lane_id());
        let keys = Self::LAYOUT.keys.shared().offset(thread as usize);
        let digit_of = self.digits_again();
        let target = self.arg.keys.choose(self.step.target());
        let target = target.offset(thread as usize);
        let greater = self.greater(check);
        let mut disordered = false;
        let mut store = |done: u32, row: usize, last: bool| {
            let keys = keys.offset(done as usize);
            let key = keys.get(row * THREADS);
            if check {
                // The last key has no right neighbour.
                let last = last && thread == THREADS as u32 - 1;
                disordered |= greater(key, keys.get(row * THREADS + if last { 0 } else { 1 }));
            }
            target
                .displaced(self.displacement(digit_of(key), done))
                .set(row * THREADS, if decodes { key.encode() } else { key });
        };
        let turns = const { (ITEMS - 1) / ROWS };
        let mut done = 0;
        while done < (turns * ROWS * THREADS) as u32 {
            hint::keep_loop();
            for row in 0..ROWS {
                store(done, row, false);
            }
            done = hint::opaque(done + (ROWS * THREADS) as u32);
        }
        let rest = ITEMS - turns * ROWS;
        for row in 0..rest {
            store(done, row, row == rest - 1);
        }
        disordered
    }

    /// Returns a function that tells, of a pass that is `checked`, whether a key is greater than
    /// its right neighbour in the bits sorted so far: those are whole digits.
    #[inline(always)]
    fn greater(
        &self,
        checked: bool,
    ) -> impl Fn(K, K) -> bool + use<K, THREADS, ITEMS, PAIRED, LOOK> {
        let above = if checked { K::BITS - 8 - self.arg.shift } else { 0 };
        let order_mask = self.arg.order_mask << above;
        let unsorted = self.unsorted() << above;
        move |key, next| (key << above) ^ order_mask > ((next << above) ^ order_mask) | unsorted
    }

    /// The way from a digit's elements in the tile to the output, `done` further on.
    #[inline(always)]
    unsafe fn displacement(&self, digit: u32, done: u32) -> isize {
        if Self::WIDE {
            let offset = self.offsets().cast::<u64>().get(digit as usize);
            offset.wrapping_add(done as u64) as isize
        } else {
            // One portion has less than 2^30 elements.
            self.offsets().get(digit as usize).wrapping_add(done) as i32 as isize
        }
    }

    /// The bits below the digit that are not sorted by yet: in a key's right neighbour they count
    /// as ones, and so decide nothing.
    #[inline(always)]
    fn unsorted(&self) -> K {
        let all = !K::from_u64(0);
        if self.step.is_upper() { all >> BUCKET_BITS } else { !all }
    }

    #[inline(always)]
    unsafe fn is_all(&self, run: Run) -> bool {
        self.valid() == Self::SIZE && run.end() - run.begin() == Self::SIZE
    }

    /// Returns true if the tile is one run, of which all threads are told the same. After the scan.
    #[inline(always)]
    pub(crate) unsafe fn is_one_run(&self, keys: &[K; ITEMS], ranks: &[u32; ITEMS]) -> bool {
        // If it is, the warp has as many keys of that digit before this thread's last one as it
        // has keys; hardly ever if not, and that is soon seen.
        let last = 32 * (ITEMS as u32 - 1) + self.thread % 32;
        if unpack(ranks, ITEMS - 1) != last {
            return false;
        }
        let (begins, digit) = (Self::LAYOUT.begins.shared(), self.digits_again()(keys[0]) as usize);
        self.is_all(Run::new(begins.get(digit), begins.get(digit + 1)))
    }

    /// Writes out a tile that is one run of keys with values, of which the first half has been
    /// loaded.
    #[inline(always)]
    pub(crate) unsafe fn store_one_run(&self, keys: &[K; ITEMS], mut values: [u32; ITEMS]) {
        self.rematerialize().load_values_between(&mut values, ITEMS / 2, ITEMS);
        let offset = if Self::WINDOWED {
            Self::window_parts(self.windows().get(0)).2
        } else {
            let digit = self.digits_again()(keys[0]) as usize;
            if Self::WIDE {
                self.offsets().cast::<u64>().get(digit)
            } else {
                self.offsets().get(digit) as u64
            }
        };
        let begin = offset as usize + self.first_item() as usize;
        let target = self.arg.keys.choose(self.step.target()).offset(begin);
        let decodes = self.encodes(self.step.last());
        for i in 0..ITEMS {
            target.set(32 * i, if decodes { keys[i].encode() } else { keys[i] });
        }
        let target = self.arg.values.choose(self.step.target()).offset(begin);
        for i in 0..ITEMS {
            target.set(32 * i, values[i]);
        }
    }

    #[inline(always)]
    pub(crate) unsafe fn store_pairs(&self) {
        let (keys, values) = (Self::LAYOUT.keys.shared(), Self::LAYOUT.values.shared());
        let decodes = self.encodes(self.step.last());
        if Self::WINDOWED {
            let to_keys = self.arg.keys.choose(self.step.target());
            let to_values = self.arg.values.choose(self.step.target());
            // Loops of their own, as of keys alone.
            if decodes {
                self.each_in_windows(|slot, index| {
                    to_keys.set(index, keys.get(slot).encode());
                    to_values.set(index, values.get(slot));
                });
            } else {
                self.each_in_windows(|slot, index| {
                    to_keys.set(index, keys.get(slot));
                    to_values.set(index, values.get(slot));
                });
            }
            return;
        }
        let decoded = |key: K| if decodes { key.encode() } else { key };
        let digit_of = self.digits_again();
        let put_key = self.scatter_fn(self.arg.keys);
        let put_value = self.scatter_fn(self.arg.values);
        for i in 0..ITEMS {
            let slot = self.thread + (i * THREADS) as u32;
            let key = keys.get(slot as usize);
            let digit = digit_of(key);
            put_key(slot, digit, decoded(key));
            put_value(slot, digit, values.get(slot as usize));
        }
    }

    /// Splits the run of each lane's digit, whose elements go to their slot in the tile plus
    /// `offset`, into its windows; a long one all lanes together. Those that it does not need
    /// stay empty. All lanes call.
    #[inline(always)]
    pub(crate) unsafe fn split(&self, run: Run, offset: u64) {
        // Of a tile that is one run only the offset is asked for.
        let count = if self.is_all(run) { 1 } else { run.windows() };
        // Opaque, or the compiler makes a ballot for each of the two.
        let count = hint::opaque(count);
        let lane = self.thread % LANES;
        let mut long = lanes::ballot(lanes::FULL, count > LONG);
        if count <= LONG {
            let mut window = 0;
            while window < count {
                self.set_window(run, offset, window);
                window += 1;
            }
        }
        while long != 0 {
            let of = |word: u32| lanes::shuffle_idx(lanes::FULL, word, long.trailing_zeros());
            let run = Run::new(of(run.this), of(run.next));
            let high = if Self::WIDE { of((offset >> 32) as u32) } else { 0 };
            let offset = of(offset as u32) as u64 | (high as u64) << 32;
            let mut window = lane;
            while window < run.windows() {
                self.set_window(run, offset, window);
                window += LANES;
            }
            long &= long - 1;
        }
    }

    /// Describes window number `window` of a run.
    #[inline(always)]
    unsafe fn set_window(&self, run: Run, offset: u64, window: u32) {
        // The first window ends where a sector does.
        let room = LANES - (offset as u32).wrapping_add(run.begin()) % SECTOR;
        let end = run.end().min(self.valid());
        let (first, room) = if window == 0 {
            (run.begin(), room)
        } else {
            (run.begin() + room + LANES * (window - 1), LANES)
        };
        let len = room.min(end.saturating_sub(first));
        let number = run.first_window() + window;
        self.windows().set(number as usize, Self::window(first, len, offset));
    }

    /// The word of a window: its first slot in the tile, how many elements it has, and the offset
    /// of its digit. That has 32 bits, or in a sort in portions as many as a tile leaves.
    #[inline(always)]
    fn window(first: u32, len: u32, offset: u64) -> u64 {
        const { assert!(!Self::WINDOWED || THREADS * ITEMS <= 1 << 14) };
        if Self::WIDE {
            (first | len << 14) as u64 | offset << 20
        } else {
            (first | len << 16) as u64 | (offset as u32 as u64) << 32
        }
    }

    /// The parts that [`window`](Self::window) has made a word of.
    #[inline(always)]
    fn window_parts(word: u64) -> (u32, u32, u64) {
        let at = word as u32;
        if Self::WIDE {
            let offset = (word as i64 >> 20) as u64;
            (at & 0x3fff, at >> 14 & 0x3f, offset)
        } else {
            (at & 0xffff, at >> 16, word >> 32)
        }
    }

    /// Calls `put` with the slot in the tile and the index in the output of each element of this
    /// thread's lane in its warp's windows.
    #[inline(always)]
    unsafe fn each_in_windows(&self, put: impl Fn(usize, usize)) {
        let windows = self.windows();
        let count = Self::LAYOUT.begins.shared().get(RADIX) >> 16;
        let lane = self.thread % LANES;
        let warps = THREADS as u32 / LANES;
        let mut first = self.thread / LANES;
        while first < count {
            let mut words = [0; TOGETHER];
            for j in 0..TOGETHER {
                let window = first + j as u32 * warps;
                if window < count {
                    words[j] = windows.get(window as usize);
                }
            }
            for j in 0..TOGETHER {
                let (at, len, offset) = Self::window_parts(words[j]);
                if lane < len {
                    let slot = at + lane;
                    let index = if Self::WIDE {
                        offset.wrapping_add(slot as u64)
                    } else {
                        (offset as u32).wrapping_add(slot) as u64
                    };
                    put(slot as usize, index as usize);
                }
            }
            first += TOGETHER as u32 * warps;
        }
    }

    /// Returns a function that writes the element at a slot of the tile, of a digit, to the output.
    #[inline(always)]
    unsafe fn scatter_fn<T: Word>(&self, buffers: Buffers<T>) -> impl Fn(u32, u32, T) {
        let target = buffers.choose(self.step.target());
        let valid = self.valid();
        move |slot, digit, element| {
            let target = target.displaced(self.displacement(digit, 0));
            if slot < valid {
                target.set(slot as usize, element);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::look;

    #[test]
    fn windows_of_portions_lead_anywhere() {
        type Wide = Tile<u32, 512, 23, true, { look::BACK_IN_PORTION }>;
        let below = |slots: u64| slots.wrapping_neg();
        for offset in [0, 7, below(1), below(11_776), 1 << 33, (1 << 42) + 5] {
            for (first, len) in [(0, 32), (11_775, 1), (9, 0)] {
                let word = Wide::window(first, len, offset);
                assert_eq!(Wide::window_parts(word), (first, len, offset));
            }
        }
    }
}
