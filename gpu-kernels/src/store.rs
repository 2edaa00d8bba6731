//! Writing a tile, sorted by digit in shared memory, to where its runs go.
//!
//! A run is what a tile has of one digit. Its elements stand together in shared
//! memory and go to consecutive places of the output; a digit's *offset* leads from
//! the one to the other.
//!
//! # In a line
//! Thread `t` writes elements `t`, `t + THREADS` and so on, each to its digit's
//! offset: 32 lanes write 32 neighbours in shared memory, of one run or of several.
//! Where a warp's part begins within a run, it begins anywhere in a 32-byte sector,
//! which two warps then write in part.
//!
//! # In windows
//! A run is cut where sectors of the output begin, into windows of up to 32
//! elements, and a warp writes a window at a time. Then a sector is written in part
//! only where a run begins or ends. Looking up a window's place costs less than the
//! digit and offset of each element, if more than one element is written for it:
//! keys with values gain, keys alone lose (`docs/KERNELS.md`).
//!
//! The lanes of a warp cut a run each; where keys are few or skewed one of them would have
//! hundreds of windows and all others wait, so such a run the lanes cut together.
//!
//! How many windows a run takes depends on where in a sector its first element
//! goes, which is known only after the look-back. The scan has to number them
//! before, and counts the most that there can be.
//!
//! # In one run
//! Keys with values whose tile is a single run stand in order already, and go from
//! registers to the output: one thread would have to cut the run, and the others to
//! wait for it.

use crate::key::{Key, RADIX};
use crate::rank::unpack;
use crate::tile::{Buffers, LANES, SECTOR, Tile};
use cuda_std::prelude::*;

/// Windows whose descriptions a warp reads at once.
const TOGETHER: usize = 4;
/// Most windows of a run that a lane cuts by itself.
const LONG: u32 = 8;

/// Where a run stands: what the scan says of its digit and of the next. The low
/// halves are places in the tile, the high ones numbers of windows.
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

    /// Place of its first element.
    #[inline(always)]
    pub fn begin(self) -> u32 {
        self.this & 0xffff
    }

    /// Place after its last.
    #[inline(always)]
    pub fn end(self) -> u32 {
        self.next & 0xffff
    }

    #[inline(always)]
    fn first_window(self) -> u32 {
        self.this >> 16
    }

    /// Windows set aside for it.
    #[inline(always)]
    fn windows(self) -> u32 {
        (self.next >> 16) - self.first_window()
    }
}

impl<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool, const LOOK: u32>
    Tile<K, THREADS, ITEMS, PAIRED, LOOK>
{
    /// Writes the tile's keys out. Returns whether `check` found one greater than
    /// its right neighbour in the bits sorted so far.
    #[inline(always)]
    pub(crate) unsafe fn store_keys(&self, check: bool) -> bool {
        unsafe {
            let keys = self.keys();
            let digit_of = self.digits_again();
            let put = self.putter(self.arg.keys);
            let decodes = self.encodes(self.step.last());
            let decoded = |key: K| if decodes { key.encode() } else { key };
            let mut disordered = false;
            if check {
                let high = K::BITS - 8 - self.arg.shift;
                let flip = self.arg.flip << high;
                let unsorted = self.unsorted() << high;
                for i in 0..ITEMS {
                    let place = self.thread + (i * THREADS) as u32;
                    let key = keys.get(place as usize);
                    // The last key has no right neighbour.
                    let last = i == ITEMS - 1 && place + 1 == Self::SIZE;
                    let next = keys.get(if last { place } else { place + 1 } as usize);
                    disordered |= (key << high) ^ flip > ((next << high) ^ flip) | unsorted;
                    put(place, digit_of(key), decoded(key));
                }
            } else {
                for i in 0..ITEMS {
                    let place = self.thread + (i * THREADS) as u32;
                    let key = keys.get(place as usize);
                    put(place, digit_of(key), decoded(key));
                }
            }
            disordered
        }
    }

    /// The bits below the digit that are not sorted by yet: in a key's right neighbour
    /// they count as ones, and so decide nothing.
    #[inline(always)]
    fn unsorted(&self) -> K {
        let all = !K::from_u64(0);
        if self.step.is_upper() {
            all >> (K::BITS / 2)
        } else {
            !all
        }
    }

    /// Whether the tile is whole, and this run all of it.
    #[inline(always)]
    unsafe fn is_all(&self, run: Run) -> bool {
        self.valid() == Self::SIZE && run.end() - run.begin() == Self::SIZE
    }

    /// Whether the tile is one run, of which all threads are told the same. After the
    /// scan.
    #[inline(always)]
    pub(crate) unsafe fn is_one_run(&self, keys: &[K; ITEMS], ranks: &[u32; ITEMS]) -> bool {
        // If it is, the warp has as many keys of that digit before this thread's last one
        // as it has keys; hardly ever if not, and that is soon seen.
        let last = 32 * (ITEMS as u32 - 1) + self.thread % 32;
        if unpack(ranks, ITEMS - 1) != last {
            return false;
        }
        unsafe {
            let (begins, digit) = (self.begins(), self.digits_again()(keys[0]) as usize);
            self.is_all(Run::new(begins.get(digit), begins.get(digit + 1)))
        }
    }

    /// Writes out a tile that is one run of keys with values, of which the first half
    /// has been loaded.
    #[inline(always)]
    pub(crate) unsafe fn store_one_run(&self, keys: &[K; ITEMS], mut values: [u32; ITEMS]) {
        unsafe {
            self.anew()
                .load_values_between(&mut values, ITEMS / 2, ITEMS);
            let offset = if Self::WINDOWED {
                self.windows().get(0) >> 32
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
    }

    /// Writes the tile's keys and values out.
    #[inline(always)]
    pub(crate) unsafe fn store_pairs(&self) {
        unsafe {
            let (keys, values) = (self.keys(), self.values());
            let decodes = self.encodes(self.step.last());
            let decoded = |key: K| if decodes { key.encode() } else { key };
            if Self::WINDOWED {
                let to_keys = self.arg.keys.choose(self.step.target());
                let to_values = self.arg.values.choose(self.step.target());
                self.each_in_windows(|place, index| {
                    to_keys.set(index, decoded(keys.get(place)));
                    to_values.set(index, values.get(place));
                });
                return;
            }
            let digit_of = self.digits_again();
            let put_key = self.putter(self.arg.keys);
            let put_value = self.putter(self.arg.values);
            for i in 0..ITEMS {
                let place = self.thread + (i * THREADS) as u32;
                let key = keys.get(place as usize);
                let digit = digit_of(key);
                put_key(place, digit, decoded(key));
                put_value(place, digit, values.get(place as usize));
            }
        }
    }

    /// Cuts the run of each lane's digit, whose elements go to their place in the tile
    /// plus `offset`, into its windows; a long one all lanes together. Those that it does
    /// not need stay empty. All lanes call.
    #[inline(always)]
    pub(crate) unsafe fn cut(&self, run: Run, offset: u32) {
        unsafe {
            // Of a tile that is one run only the offset is asked for.
            let count = if self.is_all(run) { 1 } else { run.windows() };
            // Opaque, or the compiler makes a ballot for each of the two.
            let count = hint::opaque(count);
            let lane = self.thread % LANES;
            let mut long = warp::ballot(warp::FULL, count > LONG);
            if count <= LONG {
                let mut window = 0;
                while window < count {
                    self.set_window(run, offset, window);
                    window += 1;
                }
            }
            while long != 0 {
                let of = |word: u32| warp::shuffle_idx(warp::FULL, word, long.trailing_zeros());
                let (run, offset) = (Run::new(of(run.this), of(run.next)), of(offset));
                let mut window = lane;
                while window < run.windows() {
                    self.set_window(run, offset, window);
                    window += LANES;
                }
                long &= long - 1;
            }
        }
    }

    /// Describes window number `window` of a run.
    #[inline(always)]
    unsafe fn set_window(&self, run: Run, offset: u32, window: u32) {
        // The first window ends where a sector does.
        let room = LANES - offset.wrapping_add(run.begin()) % SECTOR;
        let end = run.end().min(self.valid());
        let (first, room) = if window == 0 {
            (run.begin(), room)
        } else {
            (run.begin() + room + LANES * (window - 1), LANES)
        };
        let len = room.min(end.saturating_sub(first));
        let word = (first | len << 16) as u64 | (offset as u64) << 32;
        unsafe {
            let number = run.first_window() + window;
            self.windows().set(number as usize, word);
        }
    }

    /// Calls `put` with the place in the tile and the index in the output of each
    /// element of this thread's lane in its warp's windows.
    #[inline(always)]
    unsafe fn each_in_windows(&self, put: impl Fn(usize, usize)) {
        unsafe {
            let windows = self.windows();
            let count = self.begins().get(RADIX) >> 16;
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
                    let (at, offset) = (words[j] as u32, (words[j] >> 32) as u32);
                    if lane < at >> 16 {
                        let place = (at & 0xffff) + lane;
                        put(place as usize, offset.wrapping_add(place) as usize);
                    }
                }
                first += TOGETHER as u32 * warps;
            }
        }
    }

    /// What writes the element at a place of the tile, of a digit, to the output.
    #[inline(always)]
    unsafe fn putter<T: Word>(&self, buffers: Buffers<T>) -> impl Fn(u32, u32, T) {
        let target = unsafe { buffers.choose(self.step.target()) };
        let offsets = unsafe { self.offsets() };
        let valid = self.valid();
        move |place, digit, element| unsafe {
            let index = if Self::WIDE {
                let offset = offsets.cast::<u64>().get(digit as usize);
                offset.wrapping_add(place as u64) as usize
            } else {
                offsets.get(digit as usize).wrapping_add(place) as usize
            };
            if place < valid {
                target.set(index, element);
            }
        }
    }
}
