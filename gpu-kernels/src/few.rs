//! Counts few distinct keys, and writes each as many times as it occurs.
//!
//! The plan suggests this if every digit uses few of its bins, which does not bound the number of
//! distinct keys. Each block counts its keys in a hash table in shared memory, by open addressing.
//! A key owns a slot from the exchange that writes it there. A lookup reads two neighbouring slots
//! at once, because lanes that search longer diverge from their warp. Each slot has several copies
//! of its count, so that lanes with the same key do not collide. A block that finds no slot for a
//! key withdraws from the barrier that follows, and nothing is sorted.
//!
//! Each block leaves its keys and counts in a row in the scratch buffer. After the barrier, every
//! block adds up all rows and fills its part of the output. The input has been read by then, so it
//! may be the output.

use crate::control;
use crate::fused_barrier::{enter, withdraw};
use crate::grid::{grid, vectors};
use crate::key::Key;
use crate::layout::{Builder, Part};
use crate::tile::WholeSort;
use cuda_std::{ext::*, prelude::*};

/// Most distinct keys.
const MOST: usize = 256;
/// Slots of a table; one more is of the key that stands for none, with a neighbour.
const SLOTS: usize = 2 * MOST;
/// Copies of a slot's count, of which a lane shares one with another.
const COPIES: usize = 16;
/// Slots in which a key is looked for while keys are counted.
const TRIES: usize = SLOTS / 4;
/// Vectors of keys that a thread has on their way at once.
const IN_FLIGHT: usize = 4;
/// Words of a block's row: how many keys it has, these, and how often each comes.
pub const ROW: usize = 1 + 2 * MOST;

pub const fn shared_bytes<K: Key>() -> usize {
    Layout::<K>::new().bytes
}

struct Layout<K> {
    /// The key of each slot.
    slots: Part<K>,
    /// Copies of the count of each slot; of all rows there is one each.
    counts: Part<u32>,
    /// Distinct keys and their counts, and then these in order, with where each begins.
    found: Part<K>,
    found_counts: Part<u32>,
    sorted: Part<K>,
    begins: Part<u32>,
    /// How many have been found.
    number: Part<u32>,
    /// Not zero if a key has found no slot.
    full: Part<u32>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn new() -> Self {
        let mut all = Builder::new();
        let counts = all.part((SLOTS + 1) * COPIES);
        let (slots, found, sorted) = (all.part(SLOTS + 2), all.part(MOST), all.part(MOST));
        let (found_counts, begins) = (all.part(MOST), all.part(MOST + 1));
        let (number, full) = (all.part(1), all.part(1));
        let bytes = all.bytes();
        Layout { slots, counts, found, found_counts, sorted, begins, number, full, bytes }
    }
}

/// Sorts if few keys are distinct. Returns whether it does, the same in all threads of all blocks.
#[inline(always)]
pub(crate) unsafe fn count_and_fill<K: Key + AtomicWord>(arg: WholeSort<K>) -> bool {
    let block = Block { arg };
    block.clear(COPIES);
    block.count_share();
    thread::sync_threads();
    block.each_found(|slot| block.sum(slot), |index, key, count| block.publish(index, key, count));
    thread::sync_threads();
    let number = Block::<K>::LAYOUT.number.shared().get(0);
    if number > MOST as u32 || Block::<K>::LAYOUT.full.shared().get(0) != 0 {
        if thread::thread_idx_x() == 0 {
            withdraw(arg.control, control::SHORTCUT_ENTRY);
        }
        return false;
    }
    if thread::thread_idx_x() == 0 {
        block.row(thread::block_idx_x()).set(0, K::from_u64(number as u64));
    }
    if !enter(arg.control, control::SHORTCUT_ENTRY) {
        return false;
    }
    block.clear(1);
    block.add_rows();
    thread::sync_threads();
    let counts = Block::<K>::LAYOUT.counts.shared();
    block.each_found(|slot| counts.get(slot), |index, key, count| block.keep(index, key, count));
    thread::sync_threads();
    let number = Block::<K>::LAYOUT.number.shared().get(0) as usize;
    if number > MOST {
        return false;
    }
    block.order(number);
    thread::sync_threads();
    block.fill();
    true
}

#[derive(Clone, Copy)]
struct Block<K> {
    arg: WholeSort<K>,
}

impl<K: Key + AtomicWord> Block<K> {
    const LAYOUT: Layout<K> = Layout::new();

    /// The key that stands for none.
    #[inline(always)]
    fn none() -> K {
        K::from_u64(0x9e37_79b9_7f4a_7c15)
    }

    /// Clears the table, with so many counts of each slot. It ends in a barrier.
    #[inline(always)]
    unsafe fn clear(self, copies: usize) {
        let Layout { slots, counts, .. } = const { Self::LAYOUT };
        each(SLOTS + 2, |slot| slots.shared().set(slot, Self::none()));
        each((SLOTS + 1) * copies, |count| counts.shared().set(count, 0));
        each(1, |_| {
            Self::LAYOUT.number.shared().set(0, 0);
            Self::LAYOUT.full.shared().set(0, 0);
        });
        thread::sync_threads();
    }

    /// Counts this thread's share of the keys, in vectors.
    #[inline(always)]
    unsafe fn count_share(self) {
        let (input, n) = (self.arg.keys.input, self.arg.n as usize);
        let per_vector = 16 / size_of::<K>();
        let (head, vectors) = vectors(input, n);
        let body = input.offset(head);
        let full = Self::LAYOUT.full.shared();
        let (first, step) = grid();
        let mut vector = first;
        // Warps stay together, of which lanes may look longer than others for a slot.
        while lanes::any(lanes::FULL, vector < vectors && full.load(0) == 0) {
            let mut loaded = [0; IN_FLIGHT];
            for i in 0..IN_FLIGHT {
                if vector + i * step < vectors {
                    loaded[i] = body.get_vector((vector + i * step) * per_vector);
                }
            }
            for i in 0..IN_FLIGHT {
                self.count_vector(loaded[i], vector + i * step < vectors);
            }
            vector += IN_FLIGHT * step;
        }
        let single = if first < head { first } else { first + vectors * per_vector };
        if single < n {
            let key = input.get(single);
            self.count(key, Self::first_two(key));
        }
    }

    /// Counts the keys of a vector, if the lane has one. Their slots are loaded together, each
    /// once: most keys are found where they are looked for first.
    #[inline(always)]
    unsafe fn count_vector(self, vector: u128, has: bool) {
        let key = |i: usize| K::from_u128(vector >> (K::BITS * i as u32));
        let slot = |i: usize| Self::first_slot(key(i));
        let mut found = [[K::default(); 2]; 4];
        for i in 0..16 / size_of::<K>() {
            if has {
                found[i] = match (0..i).find(|&earlier| slot(earlier) == slot(i)) {
                    Some(earlier) => found[earlier],
                    None => Self::first_two(key(i)),
                };
            }
        }
        for i in 0..16 / size_of::<K>() {
            if has {
                self.count(key(i), found[i]);
            }
            warp::sync_warp(lanes::FULL);
        }
    }

    /// Counts a key, in whose first two slots these were found.
    #[inline(always)]
    unsafe fn count(self, key: K, found: [K; 2]) {
        match self.slot(key, found, TRIES) {
            Some(slot) => Self::add_one(slot),
            None => Self::LAYOUT.full.shared().add(0, 1),
        }
    }

    /// The first of the two slots in which a key is looked for first: of its own for that which
    /// stands for none.
    #[inline(always)]
    fn first_slot(key: K) -> usize {
        let word = key.to_u64();
        let word = word as u32 ^ ((word >> 32) as u32).wrapping_mul(0x85eb_ca6b);
        let pair = word.wrapping_mul(0x9e37_79b1) >> (33 - const { SLOTS.ilog2() });
        if key == Self::none() { SLOTS } else { 2 * pair as usize }
    }

    /// The keys of both.
    #[inline(always)]
    unsafe fn first_two(key: K) -> [K; 2] {
        let (slots, first) = (Self::LAYOUT.slots.shared(), Self::first_slot(key));
        [slots.load(first), slots.load(first + 1)]
    }

    /// The slot of a key, in whose first two these were found; which it takes if it has none,
    /// unless so many from the first one on are others'.
    #[inline(always)]
    unsafe fn slot(self, key: K, found: [K; 2], tries: usize) -> Option<usize> {
        let mut slot = Self::first_slot(key);
        if found[0] == key {
            return Some(slot);
        } else if found[1] == key {
            return Some(slot + 1);
        }
        // Opaque, or the compiler writes every turn out.
        let mut left = hint::opaque(tries as u32 - 1);
        let second = found[1];
        let mut found = self.taken(slot, found[0], key);
        if found != key {
            slot += 1;
            found = self.taken(slot, second, key);
        }
        while found != key && left > 1 {
            hint::keep_loop();
            slot = (slot + 1) % SLOTS;
            found = self.taken(slot, Self::LAYOUT.slots.shared().load(slot), key);
            left -= 1;
        }
        if found == key { Some(slot) } else { None }
    }

    /// The key that a slot has in which this one was found: the given one from here on if it had
    /// none.
    #[inline(always)]
    unsafe fn taken(self, slot: usize, found: K, key: K) -> K {
        if found != Self::none() || key == found {
            return found;
        }
        let before = Self::LAYOUT.slots.shared().compare_exchange(slot, found, key);
        if before == found { key } else { before }
    }

    /// Counts a key of a slot.
    #[inline(always)]
    unsafe fn add_one(slot: usize) {
        let copy = warp::lane_id() as usize % COPIES;
        Self::LAYOUT.counts.shared().add(COPIES * slot + copy, 1);
    }

    /// The keys of a slot.
    #[inline(always)]
    unsafe fn sum(self, slot: usize) -> u32 {
        let counts = Self::LAYOUT.counts.shared().offset(COPIES * slot);
        (0..COPIES).fold(0, |sum, copy| sum + counts.get((copy + slot / 2) % COPIES))
    }

    /// Tells `take` each distinct key with its count, and numbers them; no more than there may be.
    #[inline(always)]
    unsafe fn each_found(self, count: impl Fn(usize) -> u32, take: impl Fn(usize, K, u32)) {
        let Layout { slots, number, .. } = const { Self::LAYOUT };
        each(SLOTS + 1, |slot| {
            let count = count(slot);
            if count > 0 {
                let index = number.shared().fetch_add(0, 1) as usize;
                if index < MOST {
                    take(index, slots.shared().get(slot), count);
                }
            }
        });
    }

    #[inline(always)]
    unsafe fn row(self, block: u32) -> Global<K> {
        self.arg.keys.scratch.offset(block as usize * ROW)
    }

    #[inline(always)]
    unsafe fn publish(self, index: usize, key: K, count: u32) {
        let row = self.row(thread::block_idx_x()).offset(1);
        row.set(index, key);
        row.set(MOST + index, K::from_u64(count as u64));
    }

    /// Adds up all rows, a warp each. More distinct keys than there may be are still more, in
    /// whatever order they come.
    #[inline(always)]
    unsafe fn add_rows(self) {
        let (lane, warp) = (warp::lane_id(), thread::thread_idx_x() / 32);
        let (warps, blocks) = (thread::block_dim_x() / 32, thread::grid_dim_x());
        // The numbers of all rows of the warp, of which there are no more than lanes.
        let of_lane = warp + warps * lane;
        let numbers = if of_lane < blocks { self.row(of_lane).get(0).to_u64() as u32 } else { 0 };
        let mut turn = 0;
        while warp + warps * turn < blocks {
            let number = lanes::shuffle_idx(lanes::FULL, numbers, turn);
            let row = self.row(warp + warps * turn).offset(1);
            let mut index = lane;
            while index < number {
                let key = row.get(index as usize);
                let count = row.get(MOST + index as usize).to_u64() as u32;
                if let Some(slot) = self.slot(key, Self::first_two(key), SLOTS) {
                    Self::LAYOUT.counts.shared().add(slot, count);
                }
                index += 32;
            }
            turn += 1;
        }
    }

    #[inline(always)]
    unsafe fn keep(self, index: usize, key: K, count: u32) {
        Self::LAYOUT.found.shared().set(index, key);
        Self::LAYOUT.found_counts.shared().set(index, count);
    }

    /// Puts so many distinct keys in order: before each come those that are less.
    #[inline(always)]
    unsafe fn order(self, number: usize) {
        let Layout { found, found_counts, sorted, begins, .. } = const { Self::LAYOUT };
        let encode = self.arg.options & control::ENCODE != 0;
        let rank = |key: K| self.arg.order_mask ^ if encode { key.encode() } else { key };
        each(number, |index| {
            let key = found.shared().get(index);
            let (mut place, mut begin) = (0, 0);
            for other in 0..number {
                if rank(found.shared().get(other)) < rank(key) {
                    place += 1;
                    begin += found_counts.shared().get(other);
                }
            }
            sorted.shared().set(place, key);
            begins.shared().set(place, begin);
        });
        each(1, |_| begins.shared().set(number, self.arg.n));
    }

    /// Writes this block's part of the output.
    #[inline(always)]
    unsafe fn fill(self) {
        let (output, n) = (self.arg.keys.output, self.arg.n as usize);
        let per_vector = 16 / size_of::<K>();
        let (head, vectors) = vectors(output, n);
        let body = output.offset(head).cast::<u128>();
        let share = |block: u32| vectors * block as usize / thread::grid_dim_x() as usize;
        let block = thread::block_idx_x();
        let mut run = Run::<K>::first();
        let mut vector = share(block) + thread::thread_idx_x() as usize;
        while vector < share(block + 1) {
            let mut word = 0;
            for i in 0..per_vector {
                let key = run.key((head + vector * per_vector + i) as u32);
                word |= key.to_u128() << (K::BITS * i as u32);
            }
            body.set(vector, word);
            vector += thread::block_dim_x() as usize;
        }
        if block == 0 {
            let mut run = Run::first();
            let tail = head + vectors * per_vector;
            each(head + n - tail, |i| {
                let place = if i < head { i } else { tail + i - head };
                output.set(place, run.key(place as u32));
            });
        }
    }
}

/// The distinct key at a place of the output, for places that ascend.
struct Run<K> {
    number: usize,
    key: K,
    end: u32,
}

impl<K: Key + AtomicWord> Run<K> {
    #[inline(always)]
    unsafe fn first() -> Self {
        Run { number: 0, key: K::default(), end: 0 }
    }

    #[inline(always)]
    unsafe fn key(&mut self, place: u32) -> K {
        let Layout { sorted, begins, .. } = const { Block::<K>::LAYOUT };
        while place >= self.end {
            self.key = sorted.shared().get(self.number);
            self.number += 1;
            self.end = begins.shared().get(self.number);
        }
        self.key
    }
}

/// Shares so many numbers out among the block's threads.
#[inline(always)]
fn each(count: usize, mut act: impl FnMut(usize)) {
    let mut i = thread::thread_idx_x() as usize;
    while i < count {
        act(i);
        i += thread::block_dim_x() as usize;
    }
}
