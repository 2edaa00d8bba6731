//! One pass of the radix sort: every key is read once and written once.
//!
//! A least-significant-digit radix sort moves all keys, place by place, to where
//! their digit belongs, keeping the order of equal digits. A block takes a tile of
//! consecutive keys. The place of a key is the sum of three numbers:
//!
//! - how many keys of all tiles have a smaller digit: the *start*, from the
//!   histogram;
//! - how many keys of earlier tiles have the same digit: from the *look-back*;
//! - how many keys of its own tile before it have the same digit: its *rank*.
//!
//! The steps of a tile, with the barriers between them:
//!
//! 1. **Load.** Warp `w` takes `32 * ITEMS` consecutive keys, lane `l` every 32nd
//!    of them, so that item `i` of all lanes is a row and rows are in order.
//! 2. **Rank.** A warp counts digits in 256 counters of its own, row by row, and
//!    a key's rank in its warp is what its counter showed ("late counts": the
//!    counts come out of the ranking instead of a sweep of their own before it;
//!    GPUSorting has the idea too). Two schemes, see below.
//! 3. **Scan.** Over warps for each digit, over digits for the tile. 128 threads
//!    take two digits each, whose 16-bit counters share a word. As soon as a
//!    digit's total is known, it is published for the tiles that follow.
//! 4. **Scatter** into shared memory, where the tile then stands sorted by digit.
//! 5. **Look-back**, a thread a digit: add up the published totals of the tiles
//!    before, back to one that has published its inclusive sum; publish our own
//!    (Merrill and Garland 2016, single-pass scan; Adinets and Merrill 2022).
//! 6. **Store**: neighbours in shared memory with one digit are neighbours in
//!    device memory, so the writes are runs.
//!
//! # Ranking by ballots, and by atomics
//! A row's keys with equal digits are found by eight ballots, or not at all: an
//! atomic addition to the counter returns each lane a different number. The first
//! is stable by construction; of the second nothing promises that lower lanes get
//! lower numbers, though every chip measured does so. Keys alone have no identity
//! beyond their bits, which makes the result checkable: as the input of a place is
//! sorted by all lower places, the tile is right exactly if, sorted by digit, it
//! never decreases in the bits up to and including the digit. Every key is
//! compared with its right neighbour while it is stored. A tile that fails is
//! ranked again by ballots and stored again to the same places: counts, starts and
//! look-back do not change.
//!
//! # Progress without an order of blocks
//! Tile numbers are block numbers; nothing says that the device starts block 0
//! before block 1. A look-back that waits therefore has patience, and when it ends
//! the thread counts the missing tile's digit itself, from the input, which no
//! pass overwrites. Slow, and never seen to happen on a device, but no block ever
//! depends on another one's being scheduled. A ticket drawn from a counter, the
//! usual way, costs every block a round trip to memory before its first load.

use crate::control::{self, Buffer, Ranking, Step};
use crate::key::{Key, RADIX};
use crate::scan;
use cuda_std::prelude::*;

/// What a pass is about.
#[derive(Clone, Copy)]
pub struct Pass<K> {
    pub input: Global<K>,
    pub output: Global<K>,
    pub scratch: Global<K>,
    /// The sort's control words; see [`control`](crate::control).
    pub control: Global<u32>,
    pub n: u32,
    /// Which digit, 0 the least significant.
    pub place: u32,
    /// What makes the order; see [`key`](crate::key).
    pub flip: K,
}

/// Bytes of dynamic shared memory of a block.
pub const fn shared_bytes<K: Key>(threads: usize, items: usize) -> usize {
    Layout::of::<K>(threads, items).end
}

/// Where things stand in shared memory, in bytes.
struct Layout {
    /// `warps x 256` counters of 16 bits.
    counters: usize,
    /// Where each digit begins in the tile; one more word ends the last.
    begins: usize,
    /// What leads from a place in the tile to its place in the output.
    offsets: usize,
    /// A sum a warp.
    sums: usize,
    end: usize,
}

impl Layout {
    const fn of<K: Key>(threads: usize, items: usize) -> Self {
        let counters = (threads * items * size_of::<K>()).next_multiple_of(16);
        let begins = counters + threads / 32 * RADIX * 2;
        let offsets = begins + (RADIX + 8) * 4;
        let sums = offsets + RADIX * 4;
        Layout {
            counters,
            begins,
            offsets,
            sums,
            end: sums + 32 * 4,
        }
    }
}

/// A block's view of its work. It holds little on purpose: what can be computed
/// from the launch's arguments is computed where it is needed, because a register
/// held from the load to the store is one that the keys do not have.
#[derive(Clone, Copy)]
struct Tile<K, const THREADS: usize, const ITEMS: usize> {
    arg: Pass<K>,
    step: Step,
    /// Index of this thread in the block.
    thread: u32,
}

/// The kernel: `ceil(n / (THREADS * ITEMS))` blocks of `THREADS` threads, which
/// are a multiple of 32 and at least 128.
#[inline(always)]
pub unsafe fn onesweep<K: Key, const THREADS: usize, const ITEMS: usize>(arg: Pass<K>) {
    unsafe {
        let step = Step::read(arg.control, arg.place as usize);
        if !step.runs() {
            return;
        }
        let thread = thread::thread_idx_x();
        let tile = Tile::<K, THREADS, ITEMS> { arg, step, thread };
        tile.keep_digits();
        let mut again = 0;
        loop {
            // Opaque, or the compiler makes a copy of the ranking for each turn.
            let first = hint::opaque(again) == 0;
            let tile = tile.anew();
            // Not the last tile: what fills it up has to stay behind the keys of its
            // digit, and the check after the fact cannot tell the two apart.
            let full = tile.valid() == Tile::<K, THREADS, ITEMS>::SIZE;
            let atomics = first && full && step.ranking() == Ranking::Atomics;
            let atomics = warp::any(warp::FULL, atomics);
            let keys = tile.load();
            let ranks = tile.anew().rank(&keys, atomics);
            thread::sync_threads();
            tile.anew().scan(first);
            tile.anew().scatter(&keys, &ranks);
            if first {
                tile.anew().look_back();
            }
            thread::sync_threads();
            let disordered = tile.anew().store(atomics);
            if !atomics || !thread::sync_threads_or(disordered) {
                return;
            }
            again = 1;
        }
    }
}

impl<K: Key, const THREADS: usize, const ITEMS: usize> Tile<K, THREADS, ITEMS> {
    /// Keys of a whole tile.
    const SIZE: u32 = (THREADS * ITEMS) as u32;
    const WARPS: usize = THREADS / 32;
    /// Words of a warp's counters: two digits in each.
    const PAIRS: usize = RADIX / 2;
    const LAYOUT: Layout = Layout::of::<K>(THREADS, ITEMS);

    /// The same tile with nothing known of it, so that what is computed from it is
    /// computed again and not kept.
    #[inline(always)]
    fn anew(self) -> Self {
        Tile {
            arg: Pass {
                place: hint::opaque(self.arg.place),
                ..self.arg
            },
            step: self.step.opaque(),
            thread: hint::opaque(self.thread),
        }
    }

    #[inline(always)]
    fn number(&self) -> u32 {
        thread::block_idx_x()
    }

    /// Keys of this tile that exist.
    #[inline(always)]
    fn valid(&self) -> u32 {
        (self.arg.n - self.number() * Self::SIZE).min(Self::SIZE)
    }

    #[inline(always)]
    unsafe fn buffer(&self, which: Buffer) -> Global<K> {
        let chosen = match which {
            Buffer::Input => self.arg.input,
            Buffer::Output => self.arg.output,
            Buffer::Scratch => self.arg.scratch,
        };
        unsafe { chosen.assume_global() }
    }

    #[inline(always)]
    unsafe fn table(&self) -> Global<u32> {
        unsafe { self.arg.control.offset(control::table(K::PLACES)) }
    }

    #[inline(always)]
    fn shift(&self) -> u32 {
        8 * self.arg.place
    }

    /// What takes the digit of this place from a key.
    #[inline(always)]
    fn digits(&self) -> impl Fn(K) -> u32 + Copy + use<K, THREADS, ITEMS> {
        let shift = self.shift();
        // Opaque, or the compiler flips the whole key first: one more instruction.
        let flip = hint::opaque(self.arg.flip.digit(shift, 0));
        move |key| key.digit(shift, flip)
    }

    /// Leaves what [`digits_again`](Self::digits_again) reads after a barrier.
    #[inline(always)]
    unsafe fn keep_digits(&self) {
        if self.thread == 0 {
            let shift = self.shift();
            unsafe {
                self.sums().set(16, shift);
                self.sums().set(17, self.arg.flip.digit(shift, 0));
            }
        }
    }

    /// [`digits`](Self::digits), by way of shared memory: the compiler and the
    /// assembler cannot tell that the digits are those taken before the barrier,
    /// and so do not keep them in registers that the keys need.
    #[inline(always)]
    unsafe fn digits_again(&self) -> impl Fn(K) -> u32 + Copy + use<K, THREADS, ITEMS> {
        let (shift, flip) = unsafe { (self.sums().get(16), self.sums().get(17)) };
        move |key| key.digit(shift, flip)
    }

    #[inline(always)]
    unsafe fn keys(&self) -> Shared<K> {
        unsafe { dynamic_shared(0, THREADS * ITEMS) }
    }

    #[inline(always)]
    unsafe fn counters(&self) -> Shared<u32> {
        unsafe { dynamic_shared(Self::LAYOUT.counters, Self::WARPS * Self::PAIRS) }
    }

    /// The counters of this thread's warp.
    #[inline(always)]
    unsafe fn own_counters(&self) -> Shared<u32> {
        let warp = self.thread as usize / 32;
        unsafe { self.counters().offset(warp * Self::PAIRS) }
    }

    #[inline(always)]
    unsafe fn begins(&self) -> Shared<u32> {
        unsafe { dynamic_shared(Self::LAYOUT.begins, RADIX + 8) }
    }

    #[inline(always)]
    unsafe fn offsets(&self) -> Shared<u32> {
        unsafe { dynamic_shared(Self::LAYOUT.offsets, RADIX) }
    }

    #[inline(always)]
    unsafe fn sums(&self) -> Shared<u32> {
        unsafe { dynamic_shared(Self::LAYOUT.sums, 32) }
    }

    /// Places beyond the input get keys that rank last, and so stay behind all
    /// others in the tile's last digit.
    #[inline(always)]
    unsafe fn load(&self) -> [K; ITEMS] {
        unsafe {
            let t = self.thread;
            let first = t / 32 * (32 * ITEMS as u32) + t % 32;
            let begin = (self.number() * Self::SIZE + first) as usize;
            let source = self.buffer(self.step.source()).offset(begin);
            let mut keys = [K::last(self.arg.flip); ITEMS];
            if self.valid() == Self::SIZE {
                for i in 0..ITEMS {
                    keys[i] = source.get_streamed(32 * i);
                }
            } else {
                for i in 0..ITEMS {
                    if first + 32 * (i as u32) < self.valid() {
                        keys[i] = source.get_streamed(32 * i);
                    }
                }
            }
            keys
        }
    }

    /// Ranks of the keys in their warp, two to a word; the counters are left with
    /// the warp's counts.
    #[inline(always)]
    unsafe fn rank(&self, keys: &[K; ITEMS], atomics: bool) -> [u32; ITEMS] {
        unsafe {
            let counters = self.own_counters();
            let lane = self.thread as usize % 32;
            for i in 0..Self::PAIRS / 32 {
                counters.set(32 * i + lane, 0);
            }
            warp::sync_warp(warp::FULL);
            if atomics {
                self.anew().rank_by_atomics(keys, counters)
            } else {
                self.anew().rank_by_ballots(keys, counters.cast())
            }
        }
    }

    /// The last lane of those with one digit moves their counter on: its own rank
    /// plus one is the new count, so one population count serves both.
    #[inline(always)]
    unsafe fn rank_by_ballots(&self, keys: &[K; ITEMS], counters: Shared<u16>) -> [u32; ITEMS] {
        unsafe {
            let (below, above) = (warp::lane_mask_lt(), warp::lane_mask_gt());
            let ones = warp::all_ones();
            let digit_of = self.digits();
            let mut ranks = [0; ITEMS];
            for i in 0..ITEMS {
                let digit = digit_of(keys[i]);
                let same = warp::match_digit(digit, ones);
                let rank = counters.get(digit as usize) as u32 + (same & below).count_ones();
                warp::sync_warp(warp::FULL);
                if same & above == 0 {
                    counters.set(digit as usize, (rank + 1) as u16);
                }
                warp::sync_warp(warp::FULL);
                pack(&mut ranks, i, rank);
            }
            ranks
        }
    }

    /// Two digits share a word; a tile has fewer than 65536 keys, so no count
    /// carries into its neighbour.
    #[inline(always)]
    unsafe fn rank_by_atomics(&self, keys: &[K; ITEMS], counters: Shared<u32>) -> [u32; ITEMS] {
        unsafe {
            let digit_of = self.digits();
            let mut ranks = [0; ITEMS];
            for i in 0..ITEMS {
                let digit = digit_of(keys[i]);
                let half = digit % 2 * 16;
                let before = counters.fetch_add(digit as usize / 2, 1 << half);
                pack(&mut ranks, i, before >> half);
            }
            ranks
        }
    }

    /// Turns the warps' counts into where each warp's first key with a digit goes
    /// in the tile, and publishes the tile's counts.
    #[inline(always)]
    unsafe fn scan(&self, publish: bool) {
        unsafe {
            let t = self.thread;
            let scans = t < Self::PAIRS as u32;
            let column = self.counters().offset(t as usize);
            let (mut counts, mut sum, mut inclusive) = (0, 0, 0);
            if scans {
                for warp in 0..Self::WARPS {
                    counts += column.get(warp * Self::PAIRS);
                }
                if publish {
                    self.publish(2 * t, counts & 0xffff, counts >> 16);
                }
                sum = (counts & 0xffff) + (counts >> 16);
                inclusive = scan::warp_inclusive(sum, t % 32);
                if t % 32 == 31 {
                    self.sums().set(t as usize / 32, inclusive);
                }
            }
            thread::sync_threads();
            if scans {
                let mut begin = inclusive - sum;
                for warp in 0..Self::PAIRS / 32 {
                    let earlier = self.sums().get(warp);
                    if (warp as u32) < t / 32 {
                        begin += earlier;
                    }
                }
                let second = begin + (counts & 0xffff);
                self.begins().set(2 * t as usize, begin);
                self.begins().set(2 * t as usize + 1, second);
                if t == Self::PAIRS as u32 - 1 {
                    self.begins().set(RADIX, Self::SIZE);
                }
                let mut running = begin | second << 16;
                for warp in 0..Self::WARPS {
                    let count = column.get(warp * Self::PAIRS);
                    column.set(warp * Self::PAIRS, running);
                    running += count;
                }
            }
            thread::sync_threads();
        }
    }

    /// Shows later tiles what this one holds of two digits. The first tile's
    /// counts are inclusive at once.
    #[inline(always)]
    unsafe fn publish(&self, digit: u32, first: u32, second: u32) {
        let state = if self.number() == 0 {
            control::INCLUSIVE
        } else {
            control::LOCAL
        };
        let state = state ^ self.step.toggle();
        let word = self.number() as usize * RADIX + digit as usize;
        unsafe {
            self.table()
                .store_pair(word, [first | state, second | state], Scope::Device)
        }
    }

    /// Sorts the tile by digit in shared memory.
    #[inline(always)]
    unsafe fn scatter(&self, keys: &[K; ITEMS], ranks: &[u32; ITEMS]) {
        unsafe {
            let begins = self.own_counters().cast::<u16>();
            let digit_of = self.digits_again();
            for i in 0..ITEMS {
                let digit = digit_of(keys[i]);
                let place = begins.get(digit as usize) as u32 + unpack(ranks, i);
                self.keys().set(place as usize, keys[i]);
            }
        }
    }

    /// Finds how many keys of earlier tiles have each digit, and from it what to
    /// add to a place in the tile to get the place in the output.
    #[inline(always)]
    unsafe fn look_back(&self) {
        unsafe {
            let mut digit = self.thread as usize;
            while digit < RADIX {
                let begin = self.begins().get(digit);
                let mut earlier = 0;
                if self.number() > 0 {
                    earlier = self.earlier(digit);
                    let inclusive = earlier + self.begins().get(digit + 1) - begin;
                    let word = (inclusive | control::INCLUSIVE) ^ self.step.toggle();
                    let row = self.number() as usize * RADIX;
                    self.table()
                        .store(row + digit, word, Ordering::Relaxed, Scope::Device);
                }
                let starts = control::starts(K::PLACES) + self.arg.place as usize * RADIX;
                let start = self.arg.control.get(starts + digit);
                self.offsets()
                    .set(digit, (start + earlier).wrapping_sub(begin));
                digit += THREADS;
            }
        }
    }

    /// The keys of all earlier tiles that have `digit`. Four rows are read at
    /// once; those before the first row are padding and never reached, because
    /// the first row is only ever EMPTY or INCLUSIVE.
    #[inline(always)]
    unsafe fn earlier(&self, digit: usize) -> u32 {
        unsafe {
            let mut sum = 0;
            let mut row = self.number();
            let mut patience = hint::Patience::new();
            loop {
                let mut words = [0; 4];
                for j in 0..4 {
                    let index = (row as usize * RADIX + digit).wrapping_sub((j + 1) * RADIX);
                    words[j] = self.table().load(index, Ordering::Relaxed, Scope::Device);
                }
                for j in 0..4 {
                    let word = words[j] ^ self.step.toggle();
                    if word & control::STATE == control::EMPTY {
                        break;
                    }
                    sum += word & control::COUNT;
                    if word & control::INCLUSIVE != 0 {
                        return sum;
                    }
                    row -= 1;
                }
                if patience.ended() {
                    row -= 1;
                    sum += self.count_tile(row, digit as u32);
                    if row == 0 {
                        return sum;
                    }
                    patience = hint::Patience::new();
                }
            }
        }
    }

    /// The keys of an earlier tile that have `digit`, counted from the input.
    #[inline(always)]
    unsafe fn count_tile(&self, tile: u32, digit: u32) -> u32 {
        let digit_of = self.digits();
        let mut count = 0;
        let mut i = 0;
        while i < Self::SIZE {
            let key = unsafe {
                self.buffer(self.step.source())
                    .get((tile * Self::SIZE + i) as usize)
            };
            count += (digit_of(key) == digit) as u32;
            i += 1;
        }
        count
    }

    /// Writes the tile out. Returns whether `check` found a key greater than its
    /// right neighbour in the bits sorted so far.
    #[inline(always)]
    unsafe fn store(&self, check: bool) -> bool {
        unsafe {
            let (keys, offsets) = (self.keys(), self.offsets());
            let target = self.buffer(self.step.target());
            let valid = self.valid();
            let digit_of = self.digits_again();
            let t = self.thread;
            let put = |place: u32, key: K| {
                let offset = offsets.get(digit_of(key) as usize);
                if place < valid {
                    target.set(offset.wrapping_add(place) as usize, key);
                }
            };
            let mut disordered = false;
            if check {
                let high = K::BITS - 8 - self.shift();
                let flip = self.arg.flip << high;
                for i in 0..ITEMS {
                    let place = t + (i * THREADS) as u32;
                    let key = keys.get(place as usize);
                    // The last key has no right neighbour.
                    let last = i == ITEMS - 1 && place + 1 == Self::SIZE;
                    let next = keys.get(if last { place } else { place + 1 } as usize);
                    disordered |= (key << high) ^ flip > (next << high) ^ flip;
                    put(place, key);
                }
            } else {
                for i in 0..ITEMS {
                    let place = t + (i * THREADS) as u32;
                    put(place, keys.get(place as usize));
                }
            }
            disordered
        }
    }
}

/// Keeps the low half of `value` as number `i`: two share a word. Filled in order.
#[inline(always)]
fn pack<const N: usize>(words: &mut [u32; N], i: usize, value: u32) {
    if i.is_multiple_of(2) {
        words[i / 2] = value;
    } else {
        words[i / 2] = warp::pack_halves(words[i / 2], value);
    }
}

/// Number `i` of what [`pack`] keeps.
#[inline(always)]
fn unpack<const N: usize>(words: &[u32; N], i: usize) -> u32 {
    if i.is_multiple_of(2) {
        words[i / 2] & 0xffff
    } else {
        words[i / 2] >> 16
    }
}
