//! Sorts what fits one block, in one launch.
//!
//! The passes are those of [`onesweep`](crate::onesweep) without its first and its last part:
//! there is no other tile to look back to, and the keys never leave the multiprocessor between
//! two digits. A launch costs a few microseconds and each of these passes one or two, so up to a
//! few thousand keys nothing is faster.
//!
//! Keys alone may be ranked by atomics, as there; but they are checked once, at the end. All
//! their bits are sorted by, so equal ones cannot be told apart, and the result is right exactly
//! if it never decreases. If it does, all is done again by match ranking: the input is untouched
//! until then.

use crate::control;
use crate::key::{Bits, Key, RADIX};
use crate::layout::{Builder, Part};
use crate::policy::Shape;
use crate::rank::{Counters, PAIRS, is_contended, unpack};
use cuda_std::{ext::*, prelude::*};

#[derive(Clone, Copy)]
pub struct Block<K> {
    /// Keys; input and output may be one.
    pub input: Global<K>,
    pub output: Global<K>,
    pub input_values: Global<u32>,
    pub output_values: Global<u32>,
    /// Keys, no more than the block has items.
    pub n: u32,
    pub order_mask: K,
    pub bits: Bits,
    pub options: u32,
}

pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    Layout::of::<K>(shape.threads, shape.items).bytes
}

struct Layout {
    /// Keys, then values.
    items: Part<u32>,
    counters: Part<u32>,
    begins: Part<u32>,
    sums: Part<u32>,
    bytes: usize,
}

impl Layout {
    const fn of<K: Key>(threads: usize, items: usize) -> Self {
        let words = size_of::<K>().div_ceil(4);
        let mut all = Builder::new();
        Layout {
            items: all.part(threads * items * words),
            counters: all.part(threads / 32 * PAIRS),
            begins: all.part(RADIX + 8),
            sums: all.part(16),
            bytes: all.bytes(),
        }
    }
}

/// The kernel: one block of `THREADS` threads, a multiple of 32 and at least 128.
#[inline(always)]
pub unsafe fn sort_block<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool>(
    arg: Block<K>,
) {
    let layout = const { Layout::of::<K>(THREADS, ITEMS) };
    let thread = thread::thread_idx_x();
    let buffer = layout.items.shared().cast::<K>();
    let words = layout.counters.shared();
    let counters = Counters { words };
    let (begins, sums) = (layout.begins.shared(), layout.sums.shared());
    let first = thread / 32 * (32 * ITEMS as u32) + thread % 32;

    let mut again = 0;
    loop {
        // Opaque and a vote for the reasons that `onesweep` has.
        let allowed = hint::opaque(again) == 0 && arg.options & control::ALLOW_ATOMICS != 0;
        let atomics = !PAIRED && lanes::any(lanes::FULL, allowed);
        let mut keys = load_keys::<K, ITEMS>(arg, first);
        let mut values = [0; ITEMS];
        if PAIRED {
            values = load_values::<K, ITEMS>(arg, first);
        }
        let mut position = 0;
        while position < arg.bits.digits() {
            let (shift, mask) = arg.bits.digit(position);
            let order_mask = arg.order_mask.digit(shift, mask, 0);
            let digit_of = |key: K| key.digit(shift, mask, order_mask);
            counters.clear(thread);
            let ranks: [u32; ITEMS] = if atomics && !is_contended(digit_of(keys[0])) {
                counters.rank_by_atomics(thread, |i| digit_of(keys[i]))
            } else {
                counters.rank_by_match(thread, |i| digit_of(keys[i]))
            };
            thread::sync_threads();
            counters.scan(THREADS / 32, thread, sums, begins, |_| 0, |_, _| ());
            let own = counters.own(thread).cast::<u16>();
            let mut slots = [0; ITEMS];
            for i in 0..ITEMS {
                let begin = own.get(digit_of(keys[i]) as usize) as u32;
                slots[i] = begin + unpack(&ranks, i);
            }
            keys = exchange(buffer, first, &slots, &keys);
            if PAIRED {
                thread::sync_threads();
                values = exchange(layout.items.shared(), first, &slots, &values);
            }
            position += 1;
        }
        let last = THREADS * ITEMS - 1;
        if !atomics
            || !thread::sync_threads_or(decreases(buffer, last, first, arg.order_mask, &keys))
        {
            return store::<K, ITEMS, PAIRED>(arg, first, &keys, &values);
        }
        again = 1;
    }
}

/// Leaves each of a thread's items at its slot of the buffer, and returns those that come to
/// stand where the items stood: `first` and every 32nd after it.
#[inline(always)]
unsafe fn exchange<T: Word, const ITEMS: usize>(
    buffer: Shared<T>,
    first: u32,
    slots: &[u32; ITEMS],
    items: &[T; ITEMS],
) -> [T; ITEMS] {
    let mut exchanged = *items;
    for i in 0..ITEMS {
        buffer.set(slots[i] as usize, items[i]);
    }
    thread::sync_threads();
    for i in 0..ITEMS {
        exchanged[i] = buffer.get(first as usize + 32 * i);
    }
    exchanged
}

/// Returns true if one of these keys of the buffer, which ends with slot `last`, has a right
/// neighbour that ranks before it.
#[inline(always)]
unsafe fn decreases<K: Key, const ITEMS: usize>(
    buffer: Shared<K>,
    last: usize,
    first: u32,
    order_mask: K,
    keys: &[K; ITEMS],
) -> bool {
    (0..ITEMS).fold(false, |decreases, i| {
        let right = (first as usize + 32 * i + 1).min(last);
        decreases | (keys[i] ^ order_mask > buffer.get(right) ^ order_mask)
    })
}

/// Items beyond the input get keys that rank last, and so end behind all others.
#[inline(always)]
unsafe fn load_keys<K: Key, const ITEMS: usize>(arg: Block<K>, first: u32) -> [K; ITEMS] {
    let mut keys = [K::last(arg.order_mask); ITEMS];
    for i in 0..ITEMS {
        let index = first + 32 * i as u32;
        if index < arg.n {
            let key = arg.input.get(index as usize);
            keys[i] = if arg.options & control::ENCODE != 0 { key.encode() } else { key };
        }
    }
    keys
}

#[inline(always)]
unsafe fn load_values<K: Key, const ITEMS: usize>(arg: Block<K>, first: u32) -> [u32; ITEMS] {
    let mut values = [0; ITEMS];
    for i in 0..ITEMS {
        let index = first + 32 * i as u32;
        if arg.options & control::INDEX != 0 {
            values[i] = index;
        } else if index < arg.n {
            values[i] = arg.input_values.get(index as usize);
        }
    }
    values
}

#[inline(always)]
unsafe fn store<K: Key, const ITEMS: usize, const PAIRED: bool>(
    arg: Block<K>,
    first: u32,
    keys: &[K; ITEMS],
    values: &[u32; ITEMS],
) {
    for i in 0..ITEMS {
        let index = first + 32 * i as u32;
        if index < arg.n {
            let key = if arg.options & control::ENCODE != 0 { keys[i].encode() } else { keys[i] };
            arg.output.set(index as usize, key);
            if PAIRED {
                arg.output_values.set(index as usize, values[i]);
            }
        }
    }
}
