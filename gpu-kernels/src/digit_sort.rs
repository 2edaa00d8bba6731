//! Sorts what has the top digit in common, in a block for each of the 256: a
//! [local sort](crate::local_sort) of larger buckets.
//!
//! - **By rounds** of 8 bits: keys alone, and pairs where blocks have little shared memory.
//! - **By one round of many [bins]**: pairs with keys of 4 bytes. The bits behind the top digit are
//!   a key's bin. Only keys move, each with its *place*: where it stood, in 16 bits. Counting the
//!   keys that are less, or as great and stood before, puts those of one bin in order, so the sort
//!   is stable. Values are read into shared memory as they stand, and fetched by these places;
//!   words of key and place in one, as rounds have, would leave no room for them. If a bin is
//!   crowded, the pairs are read again and sorted by rounds.

use crate::bins::{self, Bins};
use crate::control;
use crate::key::{DIGIT_BITS, Key, RADIX};
use crate::layout::{Builder, Part};
use crate::local_bins::{AT_ONCE, InBins};
use crate::local_sort::{self, Bucket, LocalSort};
use crate::places::{Places, Together};
use crate::policy::Shape;
use cuda_std::{ext::*, prelude::*};

/// Bytes of shared memory of [`by_rounds`] by words `W`.
pub const fn shared_bytes<W: Key>(shape: Shape) -> usize {
    local_sort::Layout::<W>::of(shape.threads, shape.items, false).bytes
}

/// Bytes of shared memory of [`pairs_by_bins`].
pub const fn shared_bytes_of_bins<K: Key, W: Key>(shape: Shape) -> usize {
    Layout::<K>::of::<W>(shape).bytes
}

/// Shared memory of bins. Rounds by words `W` take the room of what stands before the sums.
struct Layout<K> {
    keys: Part<K>,
    places: Part<u16>,
    /// Bins, and where the last one ends.
    bins: Part<u32>,
    /// Values as they stand.
    values: Part<u32>,
    sums: Part<u32>,
    claimed: Part<u32>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of<W: Key>(shape: Shape) -> Self {
        let mut all = Builder::new();
        let (keys, places) = (all.part(shape.tile()), all.part(shape.tile()));
        // Vectors begin at multiples of their size.
        all.part::<u128>(0);
        let bins = all.part(shape.threads * bins::OF_VECTOR + 4);
        let values = all.part(shape.tile());
        assert!(all.bytes() >= shared_bytes::<W>(shape));
        let (sums, claimed) = (all.part(32), all.part(4));
        Layout { keys, places, bins, values, sums, claimed, bytes: all.bytes() }
    }
}

/// The kernel that sorts by rounds of words `W`: a block of `THREADS` threads, a multiple of 32
/// and at least 128, for each digit. No digit has more than `THREADS * ITEMS` keys.
#[inline(always)]
pub unsafe fn by_rounds<
    K: Key,
    W: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
>(
    arg: LocalSort<K>,
) {
    trigger_dependents();
    sync_predecessor();
    if arg.control.get(control::LOCALLY) == 0 {
        return;
    }
    let layout = const { local_sort::Layout::<W>::of(THREADS, ITEMS, false) };
    let claimed = layout.claimed.shared();
    claim(arg, claimed);
    if claimed.get(2) > 0 {
        Bucket::<K, W, DIGIT_BITS, THREADS, ITEMS, PAIRED, Together>::new(arg, claimed, Together)
            .sort();
    }
}

/// The kernel that sorts pairs by bins, in blocks as [`by_rounds`] has.
#[inline(always)]
pub unsafe fn pairs_by_bins<K: Key, W: Key, const THREADS: usize, const ITEMS: usize>(
    arg: LocalSort<K>,
) {
    trigger_dependents();
    Bucket::<K, W, DIGIT_BITS, THREADS, ITEMS, true, Together>::digit_bins().clear();
    sync_predecessor();
    if arg.control.get(control::LOCALLY) == 0 {
        return;
    }
    let claimed = const { Layout::<K>::of::<W>(Shape::new(THREADS, ITEMS, 1)).claimed }.shared();
    claim(arg, claimed);
    if claimed.get(2) > 0 {
        Bucket::<K, W, DIGIT_BITS, THREADS, ITEMS, true, Together>::new(arg, claimed, Together)
            .sort_pairs();
    }
}

/// Shows the block what its digit has, with a barrier.
#[inline(always)]
unsafe fn claim<K: Key>(arg: LocalSort<K>, claimed: Shared<u32>) {
    if thread::thread_idx_x() == 0 {
        let digit = thread::block_idx_x() as usize;
        let starts = arg.control.offset(control::starts(K::DIGITS, 0)).cast::<u64>();
        let starts = starts.offset((K::DIGITS - 1) * RADIX);
        let begin = starts.get(digit) as u32;
        let end = if digit + 1 < RADIX { starts.get(digit + 1) as u32 } else { arg.n };
        claimed.set(0, digit as u32);
        claimed.set(1, begin);
        claimed.set(2, end - begin);
    }
    thread::sync_threads();
}

impl<K: Key, W: Key, const THREADS: usize, const ITEMS: usize>
    Bucket<K, W, DIGIT_BITS, THREADS, ITEMS, true, Together>
{
    const IN_BINS: Layout<K> = Layout::of::<W>(Shape::new(THREADS, ITEMS, 1));

    #[inline(always)]
    unsafe fn digit_bins() -> InBins<K, THREADS> {
        Bins {
            words: Self::IN_BINS.keys.shared(),
            begins: Self::IN_BINS.bins.shared().cast(),
            sums: Self::IN_BINS.sums.shared(),
            thread: hint::opaque(thread::thread_idx_x()),
        }
    }

    #[inline(always)]
    fn digit_bin(key: K) -> u32 {
        let (count, end) = const { (InBins::<K, THREADS>::COUNT, K::BITS - DIGIT_BITS) };
        key.digit(end - count.ilog2(), count - 1, 0)
    }

    /// Sorts the bucket, whose bins are clear; by rounds, if one is crowded.
    #[inline(always)]
    unsafe fn sort_pairs(self) {
        let (share, bins) = (self.share(), Self::digit_bins());
        let keys: [K; ITEMS] = Together.load(self.arg.keys, self.begin(), share);
        let keys = keys.map(|key| key ^ self.arg.order_mask);
        // On their way while keys are counted.
        let values: [u32; ITEMS] = Together.load(self.arg.values, self.begin(), share);
        let Some(ranks) = bins.count(&keys, |i| share.has(i), Self::digit_bin) else {
            // Or the compiler prepares for rounds before that is known, in registers of the keys.
            thread::sync_threads();
            return self.sort();
        };
        let staged = Self::IN_BINS.values.shared();
        Self::keep_values(self.share(), values, staged);
        bins.scan(self.count());
        let (share, places) = (self.share(), Self::IN_BINS.places.shared());
        let place = |i: usize, slot| places.set_low(slot as usize, share.first + 32 * i as u32);
        bins.scatter(&keys, &ranks, |i| share.has(i), Self::digit_bin, place);
        thread::sync_threads();
        self.order_pairs();
    }

    /// Writes keys and values, each where it goes in its bin.
    #[inline(always)]
    unsafe fn order_pairs(&self) {
        let (begin, count) = (self.begin() as usize, self.count());
        let (output, values) =
            (self.arg.output.offset(begin), self.arg.output_values.offset(begin));
        let (order_mask, encode) = (self.arg.order_mask, self.arg.options & control::ENCODE != 0);
        let (places, staged) = (Self::IN_BINS.places.shared(), Self::IN_BINS.values.shared());
        let place = |slot: u32| places.get(slot as usize);
        let mut first = 0;
        // Opaque, or the compiler writes the loop out.
        while hint::opaque(first as u32) < ITEMS as u32 {
            hint::keep_loop();
            let bins = Self::digit_bins();
            let is_before = |slot, other| slot != other && place(slot) < place(other);
            let (keys, slots) =
                bins.in_order::<AT_ONCE>(first, AT_ONCE, count, Self::digit_bin, is_before);
            for i in 0..AT_ONCE {
                if slots[i] < count {
                    let slot = slots[i] as usize;
                    let key = keys[i] ^ order_mask;
                    output.set(slot, if encode { key.encode() } else { key });
                    let place = place(bins.thread + ((first + i) * THREADS) as u32);
                    values.set(slot, staged.get(place as usize));
                }
            }
            first += AT_ONCE;
        }
    }
}
