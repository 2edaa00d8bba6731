//! Sorts [segments](crate::segments) that suit a warp, by a bitonic [`network`](crate::network)
//! in its registers.
//!
//! A lane has 16 neighbouring keys of 4 bytes, or 8 words of 8 bytes; a segment of up to as many
//! keys is a lane's, of up to twice as many two lanes', and so on. A warp takes as many
//! neighbouring segments at once as it has lanes for, whose keys go through shared memory, so that
//! it reads and writes the array in rows; by 16 bytes a lane where all of the segments fill their
//! lanes.

use crate::control::{ENCODE, INDEX};
use crate::key::Key;
use crate::network::{merge_lanes, sort_lane};
use crate::policy::Shape;
use crate::policy::segments::WARP_MOST;
use crate::segments::{HEAD, Segments, WRONG};
use core::marker::PhantomData;
use cuda_std::{ext::*, prelude::*};

/// Bytes of shared memory of [`segments_in_warps`].
pub const fn shared_bytes<K: Key>(shape: Shape, paired: bool) -> usize {
    shape.threads / 32 * warp_bytes::<K>(shape.items, paired)
}

const fn warp_bytes<K: Key>(per_lane: usize, paired: bool) -> usize {
    stage_bytes::<K>(per_lane) + if paired { stage_bytes::<u32>(per_lane) } else { 0 }
}

/// Vectors of 16 bytes that a lane has of its elements.
const fn vectors<T>(per_lane: usize) -> usize {
    per_lane * size_of::<T>() / 16
}

/// Bytes of a [`Stage`]. A word is left free after each row of banks, or lanes whose segments are
/// as long as a row or half of one would meet in a bank; and for the same reason a vector after
/// eight.
const fn stage_bytes<T>(per_lane: usize) -> usize {
    let (words, vectors) = (33 * per_lane * size_of::<T>(), 36 * vectors::<T>(per_lane) * 16);
    if words > vectors { words } else { vectors }
}

/// The kernel: a thread for each segment, which its whole warp sorts by words `W`, with `KEYS` of
/// them in a lane. It reads segments while offsets are checked, and lets the next launch begin
/// when they are.
#[inline(always)]
pub unsafe fn segments_in_warps<
    K: Key,
    W: Key,
    const THREADS: usize,
    const KEYS: usize,
    const PAIRED: bool,
>(
    arg: Segments<K>,
) {
    let index = thread::block_idx_x() * THREADS as u32 + thread::thread_idx_x();
    // Behind the last segment there are empty ones. All is read at once.
    let mut begin = get_early(arg.offsets, index.min(arg.count) as usize);
    let end = get_early(arg.offsets, (index + 1).min(arg.count) as usize);
    let mut length = end.wrapping_sub(begin);
    if lanes::any(lanes::FULL, begin > end || end > arg.n) {
        (begin, length) = (0, 0);
    }
    let of_warp = const { warp_bytes::<K>(KEYS, PAIRED) / 16 };
    let all = dynamic_shared::<u128>(0, THREADS / 32 * of_warp);
    let memory = all.offset(thread::thread_idx_x() as usize / 32 * of_warp);
    let values = memory.offset(const { stage_bytes::<K>(KEYS) / 16 });
    let (keys, values) = (Stage::new(memory), Stage::new(values));
    let turn = Turn::<K, W, KEYS, PAIRED> { arg, keys, values, begin, length, word: PhantomData };
    let mut at = 0;
    while at < 32 {
        hint::keep_loop();
        at += turn.run(at);
    }
    // The next launch waits for this one, and so for the one before.
    sync_predecessor();
    trigger_dependents();
    if index < HEAD as u32 {
        arg.next.set(index as usize, 0);
    }
}

/// The segments that a warp sorts at once: neighbours, whose keys are one piece of the array.
#[derive(Clone, Copy)]
struct Turn<K, W, const KEYS: usize, const PAIRED: bool> {
    arg: Segments<K>,
    keys: Stage<K, KEYS>,
    values: Stage<u32, KEYS>,
    /// The lane's segment.
    begin: u32,
    length: u32,
    word: PhantomData<W>,
}

/// A lane's keys of a piece: where their segment begins in the piece, its first key there, and how
/// many it has.
#[derive(Clone, Copy)]
struct Part {
    segment: u32,
    begin: u32,
    count: u32,
}

/// A piece: its first key in the array, how many it has, and true if it is `32 * KEYS`, which
/// begin at vectors of 16 bytes.
#[derive(Clone, Copy)]
struct Piece {
    base: usize,
    count: u32,
    whole: bool,
}

impl<K: Key, W: Key, const KEYS: usize, const PAIRED: bool> Turn<K, W, KEYS, PAIRED> {
    /// Bits of a word below its key.
    const PLACE: u32 = if PAIRED { W::BITS - K::BITS } else { 0 };

    /// Sorts some segments from the one of lane `at` on. Returns how many it has seen to.
    #[inline(always)]
    unsafe fn run(&self, at: u32) -> u32 {
        // As few lanes for each segment as leave none of those idle that there are.
        let (mut lanes, mut count) = (1, self.fitting(at, 1));
        while lanes < WARP_MOST as u32 / KEYS as u32 && count < 32 / lanes {
            lanes *= 2;
            count = self.fitting(at, lanes);
        }
        count = count.min(32 / lanes).min(32 - at);
        if count == 0 {
            // So many are too long for a warp.
            let fit = lanes::ballot(lanes::FULL, self.length <= WARP_MOST as u32);
            return (fit >> at).trailing_zeros().min(32 - at);
        }
        let base = lanes::shuffle_idx(lanes::FULL, self.begin, at);
        let end = lanes::shuffle_idx(lanes::FULL, self.begin + self.length, at + count - 1);
        if end != base {
            let part = self.part(at, lanes, count, base);
            self.sort(lanes, part, self.piece(base, end));
        }
        count
    }

    /// Segments from that of lane `at` on of which none is too long for so many lanes.
    #[inline(always)]
    unsafe fn fitting(&self, at: u32, lanes: u32) -> u32 {
        let fit = lanes::ballot(lanes::FULL, self.length <= KEYS as u32 * lanes);
        // Behind the last lane there are none that are long.
        (!((!fit) >> at)).trailing_ones()
    }

    /// The part of this lane in `count` segments from that of lane `at` on, each of so many lanes.
    #[inline(always)]
    unsafe fn part(&self, at: u32, lanes: u32, count: u32, base: u32) -> Part {
        let lane = warp::lane_id();
        let of = lane / lanes;
        let source = at + if of < count { of } else { 0 };
        let segment = lanes::shuffle_idx(lanes::FULL, self.begin, source) - base;
        let length = lanes::shuffle_idx(lanes::FULL, self.length, source);
        let first = lane % lanes * KEYS as u32;
        let left = if of < count { length.saturating_sub(first) } else { 0 };
        Part { segment, begin: segment + first, count: left.min(KEYS as u32) }
    }

    #[inline(always)]
    unsafe fn piece(&self, base: u32, end: u32) -> Piece {
        let (base, count) = (base as usize, end - base);
        let mut addresses = self.arg.keys.offset(base).address();
        addresses |= self.arg.output.offset(base).address();
        if PAIRED {
            addresses |= self.arg.values.offset(base).address();
            addresses |= self.arg.output_values.offset(base).address();
        }
        let whole = count == 32 * KEYS as u32 && addresses.is_multiple_of(16);
        Piece { base, count, whole }
    }

    /// Sorts a piece, each segment by so many lanes.
    #[inline(always)]
    unsafe fn sort(&self, lanes: u32, part: Part, piece: Piece) {
        let mut words = self.words(self.load(piece, part), part);
        sort_lane(&mut words);
        let mut run = 2;
        while run <= lanes {
            merge_lanes(&mut words, run);
            run *= 2;
        }
        let keys = self.sorted_keys(words);
        let values = self.sorted_values(words, part, piece.whole);
        sync_predecessor();
        trigger_dependents();
        if self.arg.head.get(WRONG) == 0 {
            self.store(piece, part, keys, values);
        }
        // The next turn's keys go where these were.
        warp::sync_warp(lanes::FULL);
    }

    /// True if values are moved, and false if keys are given their indices.
    #[inline(always)]
    fn moves_values(&self) -> bool {
        PAIRED && self.arg.options & INDEX == 0
    }

    /// A lane's keys. Values are left in shared memory.
    #[inline(always)]
    unsafe fn load(&self, piece: Piece, part: Part) -> [K; KEYS] {
        let Piece { base, count, whole } = piece;
        let (keys, values) = (self.arg.keys.offset(base), self.arg.values.offset(base));
        if whole {
            let rows = self.keys.read_vectors(keys);
            if self.moves_values() {
                self.values.put_vectors(self.values.read_vectors(values));
            }
            self.keys.put_vectors(rows);
            warp::sync_warp(lanes::FULL);
            self.keys.take_vectors()
        } else {
            let rows = self.keys.read(keys, count);
            if self.moves_values() {
                self.values.put_rows(self.values.read(values, count), count);
            }
            self.keys.put_rows(rows, count);
            warp::sync_warp(lanes::FULL);
            self.keys.take(part)
        }
    }

    /// The words of keys. Where a lane has fewer, words stand that end behind all others.
    #[inline(always)]
    fn words(&self, keys: [K; KEYS], part: Part) -> [W; KEYS] {
        let codes = if self.arg.options & ENCODE != 0 { keys.map(K::encode) } else { keys };
        let mut words = [!W::default(); KEYS];
        for i in 0..KEYS {
            if (i as u32) < part.count {
                words[i] = W::from_u64((codes[i] ^ self.arg.order_mask).to_u64());
                if PAIRED {
                    let place = part.begin + i as u32;
                    words[i] = words[i] << Self::PLACE | W::from_u64(place as u64);
                }
            }
        }
        words
    }

    #[inline(always)]
    fn sorted_keys(&self, words: [W; KEYS]) -> [K; KEYS] {
        let code = |word: W| K::from_u64((word >> Self::PLACE).to_u64()) ^ self.arg.order_mask;
        let codes = words.map(code);
        if self.arg.options & ENCODE != 0 { codes.map(K::encode) } else { codes }
    }

    /// The values of words, or their indices in their segments.
    #[inline(always)]
    unsafe fn sorted_values(&self, words: [W; KEYS], part: Part, whole: bool) -> [u32; KEYS] {
        let mut values = [0; KEYS];
        if !PAIRED {
            return values;
        }
        for i in 0..KEYS {
            let place = words[i].to_u64() as u32;
            if (i as u32) < part.count {
                values[i] = match self.moves_values() {
                    true => self.values.get(place, whole),
                    false => place - part.segment,
                };
            }
        }
        // Before they go where other lanes' are.
        warp::sync_warp(lanes::FULL);
        values
    }

    #[inline(always)]
    unsafe fn store(&self, piece: Piece, part: Part, keys: [K; KEYS], values: [u32; KEYS]) {
        let Piece { base, count, whole } = piece;
        let output = self.arg.output.offset(base);
        let output_values = self.arg.output_values.offset(base);
        if whole {
            self.keys.leave_vectors(keys);
            if PAIRED {
                self.values.leave_vectors(values);
            }
            warp::sync_warp(lanes::FULL);
            self.keys.write_vectors(output);
            if PAIRED {
                self.values.write_vectors(output_values);
            }
        } else {
            self.keys.leave(part, keys);
            if PAIRED {
                self.values.leave(part, values);
            }
            warp::sync_warp(lanes::FULL);
            self.keys.write_rows(output, count);
            if PAIRED {
                self.values.write_rows(output_values, count);
            }
        }
    }
}

/// Shared memory through which a warp's elements pass, between rows of the array and lanes.
#[derive(Clone, Copy)]
struct Stage<T, const KEYS: usize> {
    memory: Shared<u128>,
    element: PhantomData<T>,
}

impl<T: Key, const KEYS: usize> Stage<T, KEYS> {
    const VECTORS: usize = vectors::<T>(KEYS);
    const OF_VECTOR: usize = 16 / size_of::<T>();

    #[inline(always)]
    fn new(memory: Shared<u128>) -> Self {
        Stage { memory, element: PhantomData }
    }

    /// The slots of a lane's vectors: of row `j` at [`row_slot`](Self::row_slot), and its own
    /// from here on.
    #[inline(always)]
    fn own_slot() -> usize {
        let first = Self::VECTORS * hint::opaque(warp::lane_id()) as usize;
        first + first / 8
    }

    #[inline(always)]
    fn row_slot(j: usize) -> usize {
        let lane = hint::opaque(warp::lane_id()) as usize;
        36 * j + lane + lane / 8
    }

    /// Rows of a piece of `32 * KEYS`.
    #[inline(always)]
    unsafe fn read_vectors(self, piece: Global<T>) -> [u128; KEYS] {
        let mut rows = [0; KEYS];
        for j in 0..Self::VECTORS {
            rows[j] = get_early(piece.cast(), 32 * j + warp::lane_id() as usize);
        }
        rows
    }

    #[inline(always)]
    unsafe fn put_vectors(self, rows: [u128; KEYS]) {
        for j in 0..Self::VECTORS {
            self.memory.set(Self::row_slot(j), rows[j]);
        }
    }

    /// A lane's elements.
    #[inline(always)]
    unsafe fn take_vectors(self) -> [T; KEYS] {
        let own = self.memory.offset(Self::own_slot());
        let mut elements = [T::default(); KEYS];
        for j in 0..Self::VECTORS {
            let vector = own.get(j);
            for i in 0..Self::OF_VECTOR {
                let element = T::from_u64((vector >> (T::BITS * i as u32)) as u64);
                elements[Self::OF_VECTOR * j + i] = element;
            }
        }
        elements
    }

    #[inline(always)]
    unsafe fn leave_vectors(self, elements: [T; KEYS]) {
        let own = self.memory.offset(Self::own_slot());
        for j in 0..Self::VECTORS {
            let mut vector = 0;
            for i in 0..Self::OF_VECTOR {
                let element = elements[Self::OF_VECTOR * j + i].to_u64() as u128;
                vector |= element << (T::BITS * i as u32);
            }
            own.set(j, vector);
        }
    }

    #[inline(always)]
    unsafe fn write_vectors(self, piece: Global<T>) {
        for j in 0..Self::VECTORS {
            let row = self.memory.get(Self::row_slot(j));
            piece.cast().set(32 * j + warp::lane_id() as usize, row);
        }
    }

    /// Where element `index` of a piece is, unless it has come by vectors.
    #[inline(always)]
    unsafe fn at(self, index: u32) -> Shared<T> {
        self.memory.cast::<T>().offset((index + index / 32) as usize)
    }

    /// Element `index` of a piece; of 4 bytes, if it has come by vectors.
    #[inline(always)]
    unsafe fn get(self, index: u32, by_vectors: bool) -> T {
        let free = index / 32 * if by_vectors { 4 } else { 1 };
        self.memory.cast::<T>().get((index + free) as usize)
    }

    /// Rows of a piece of so many.
    #[inline(always)]
    unsafe fn read(self, piece: Global<T>, count: u32) -> [T; KEYS] {
        let lane = warp::lane_id();
        let rows = piece.offset(lane as usize);
        let mut read = [T::default(); KEYS];
        for i in 0..KEYS {
            if 32 * i as u32 + lane < count {
                read[i] = get_early(rows, 32 * i);
            }
        }
        read
    }

    #[inline(always)]
    unsafe fn put_rows(self, rows: [T; KEYS], count: u32) {
        let lane = warp::lane_id();
        let stage = self.at(lane);
        for i in 0..KEYS {
            if 32 * i as u32 + lane < count {
                stage.set(33 * i, rows[i]);
            }
        }
    }

    /// A lane's elements.
    #[inline(always)]
    unsafe fn take(self, part: Part) -> [T; KEYS] {
        let mut elements = [T::default(); KEYS];
        for i in 0..KEYS as u32 {
            if i < part.count {
                elements[i as usize] = self.at(part.begin + i).get(0);
            }
        }
        elements
    }

    #[inline(always)]
    unsafe fn leave(self, part: Part, elements: [T; KEYS]) {
        // Opaque, or all slots are kept since the keys were loaded.
        let begin = hint::opaque(part.begin);
        for i in 0..KEYS as u32 {
            if i < part.count {
                self.at(begin + i).set(0, elements[i as usize]);
            }
        }
    }

    #[inline(always)]
    unsafe fn write_rows(self, piece: Global<T>, count: u32) {
        let lane = warp::lane_id();
        let (rows, stage) = (piece.offset(lane as usize), self.at(lane));
        for i in 0..KEYS {
            if 32 * i as u32 + lane < count {
                rows.set(32 * i, stage.get(33 * i));
            }
        }
    }
}
