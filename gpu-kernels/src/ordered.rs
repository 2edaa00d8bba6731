//! Copies keys that are already in order, or in reverse order.
//!
//! The plan suggests this if keys from all over the input are in order. Each block compares
//! neighbours while it copies them, and withdraws from the barrier that follows if two are out of
//! order; then the passes overwrite the copies. In place, keys are only compared before the
//! barrier, and exchanged after it if they are reversed.
//!
//! Equal neighbours are in order. Reversing them is allowed only if they cannot be told apart:
//! with values, keys have to descend strictly.

use crate::control::{self, ASCENDING, DESCENDING};
use crate::fused_barrier::{enter, withdraw};
use crate::grid::{each, grid, vectors};
use crate::key::Key;
use crate::tile::WholeSort;
use cuda_std::{ext::*, prelude::*};

/// Vectors of 16 bytes that a thread has on their way at once.
const TOGETHER: usize = 4;

/// A thread's keys from all over the input: two, as far from each other as its neighbour's are.
#[derive(Clone, Copy)]
pub(crate) struct Glance<K> {
    pub(crate) keys: [K; 2],
}

impl<K: Key> Glance<K> {
    #[inline(always)]
    pub(crate) unsafe fn of(input: Global<K>, n: u64, options: u32) -> Self {
        let mut keys = [K::default(); 2];
        if options & control::SUGGEST != 0 {
            let apart = (n - 1) as usize / thread::block_dim_x() as usize;
            let from = input.offset(apart * thread::thread_idx_x() as usize);
            keys = [from.get(0), from.get(apart)];
        }
        Glance { keys }
    }

    /// The copy to suggest, if there is one: none of equal keys, of which one that is not equal
    /// would show only when most are copied. It has three barriers.
    #[inline(always)]
    pub(crate) unsafe fn suggestion(self, order_mask: K, options: u32) -> u32 {
        let [key, next] = self.keys;
        if !thread::sync_threads_or(key != next) {
            return 0;
        }
        let suggests = options & control::SUGGEST != 0;
        let all = |order| {
            let follows = follows(order_mask, options, order);
            if thread::sync_threads_or(!suggests || !follows(key, next)) { 0 } else { order }
        };
        all(ASCENDING) | all(DESCENDING)
    }
}

/// Returns a function that tells whether one key may follow another in an order. It has no branch,
/// of which the compiler would make loops for all cases.
#[inline(always)]
fn follows<K: Key>(order_mask: K, options: u32, order: u32) -> impl Fn(K, K) -> bool + Copy {
    let all = !K::default();
    let magnitude = if options & control::ENCODE != 0 { all >> 1 } else { !all };
    let order_mask = if order == DESCENDING { !order_mask } else { order_mask };
    let alike = order == ASCENDING || options & control::ALLOW_ATOMICS != 0;
    let rank = move |key: K| key ^ (key.sign() & magnitude) ^ order_mask;
    move |key, next| rank(key) < rank(next) || alike & (key == next)
}

/// Sorts if all keys are in this order. Returns whether it does, the same in all threads of all
/// blocks.
#[inline(always)]
pub(crate) unsafe fn copy<K: Key, const THREADS: usize, const PAIRED: bool>(
    arg: WholeSort<K>,
    order: u32,
) -> bool {
    let in_place = arg.options & control::IN_PLACE != 0;
    let reversed = order == DESCENDING;
    let way = Way::<THREADS> { n: arg.n as usize, reversed, stores: !in_place };
    let follows = follows(arg.order_mask, arg.options, order);
    let ordered = way.copy(arg.keys.input, arg.keys.output, follows);
    if thread::sync_threads_or(!ordered) {
        if thread::thread_idx_x() == 0 {
            withdraw(arg.control, control::SHORTCUT_ENTRY);
        }
        return false;
    }
    if !enter(arg.control, control::SHORTCUT_ENTRY) {
        return false;
    }
    if in_place && reversed {
        way.reverse(arg.keys.output);
    }
    if PAIRED && arg.options & control::INDEX != 0 {
        each(way.n as u64, |place| {
            arg.values.output.set(way.target(place, 1), place as u32);
        });
    } else if PAIRED && !in_place {
        way.copy(arg.values.input, arg.values.output, |_, _| true);
    } else if PAIRED && reversed {
        way.reverse(arg.values.output);
    }
    true
}

/// The way of `n` elements.
#[derive(Clone, Copy)]
struct Way<const THREADS: usize> {
    n: usize,
    reversed: bool,
    /// False to look at them only.
    stores: bool,
}

impl<const THREADS: usize> Way<THREADS> {
    /// The lowest place to which go so many elements from a place on. It wraps if they are not all
    /// there.
    #[inline(always)]
    fn target(self, place: usize, count: usize) -> usize {
        if self.reversed { self.n.wrapping_sub(place).wrapping_sub(count) } else { place }
    }

    /// Copies elements as long as each next one `follows`. Returns whether all do that this thread
    /// has seen.
    #[inline(always)]
    unsafe fn copy<T: Word>(
        self,
        from: Global<T>,
        to: Global<T>,
        follows: impl Fn(T, T) -> bool + Copy,
    ) -> bool {
        let count = 16 / size_of::<T>();
        let (head, vectors) = vectors(from, self.n);
        let aligned = to.displaced(self.target(head, count) as isize);
        let aligned = aligned.address().is_multiple_of(16);
        let (first, threads) = grid();
        let single = if first < head { first } else { first + vectors * count };
        let mut ordered = true;
        if single < self.n {
            let element = from.get(single);
            ordered = single + 1 == self.n || follows(element, from.get(single + 1));
            if self.stores {
                to.set(self.target(single, 1), element);
            }
        }
        // A block takes as many elements in a row as it has on their way.
        let apart = THREADS * count;
        let turn = TOGETHER * (first - thread::thread_idx_x() as usize);
        let mut place = head + (turn + thread::thread_idx_x() as usize) * count;
        while place < self.n && ordered {
            hint::keep_loop();
            let left = (self.n - place).min(TOGETHER * apart + 1);
            let mut elements = [(0, T::default()); TOGETHER];
            for i in 0..TOGETHER {
                let (vector, behind) = (i * apart, i * apart + count);
                if behind <= left {
                    elements[i].0 = from.offset(place).get_vector(vector);
                }
                if behind < left {
                    elements[i].1 = from.offset(place).get(behind);
                }
            }
            for i in 0..TOGETHER {
                let ((vector, behind), end) = (elements[i], i * apart + count);
                let element = |j: usize| T::from_u128(vector >> (8 * size_of::<T>() * j));
                if end <= left {
                    for j in 1..count {
                        ordered &= follows(element(j - 1), element(j));
                    }
                    ordered &= end == left || follows(element(count - 1), behind);
                    if self.stores {
                        self.store(to, place + i * apart, vector, aligned);
                    }
                }
            }
            place += TOGETHER * threads * count;
        }
        ordered
    }

    /// Stores the elements of a vector from this place on; as one if those are `aligned`.
    #[inline(always)]
    unsafe fn store<T: Word>(self, to: Global<T>, place: usize, vector: u128, aligned: bool) {
        let (count, bits) = (16 / size_of::<T>(), 8 * size_of::<T>());
        let mut turned = vector;
        if self.reversed {
            turned = 0;
            for j in 0..count {
                let element = T::from_u128(vector >> (bits * j)).to_u128();
                turned |= element << (bits * (count - 1 - j));
            }
        }
        let to = to.offset(self.target(place, count));
        if aligned {
            to.cast::<u128>().set(0, turned);
        } else {
            for j in 0..count {
                to.set(j, T::from_u128(turned >> (bits * j)));
            }
        }
    }

    /// Exchanges the first elements and the last.
    #[inline(always)]
    unsafe fn reverse<T: Word>(self, array: Global<T>) {
        each(self.n as u64 / 2, |place| {
            let (first, last) = (array.offset(place), array.offset(self.n - 1 - place));
            let element = first.get(0);
            first.set(0, last.get(0));
            last.set(0, element);
        });
    }
}
