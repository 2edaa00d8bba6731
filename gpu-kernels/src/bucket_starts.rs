//! Where each bucket begins, and the decision whether buckets are sorted locally: they are if all
//! blocks have [counted buckets](crate::buckets) and no bucket is larger than what a block holds.
//!
//! A block has the buckets of two upper digits, a thread two buckets: it adds up what the bucket
//! counts say of them, and their starts follow from the starts of the upper digits, which the
//! count has made. The block that arrives last decides, and makes the plan.

use crate::buckets::{BUCKETS, COUNT_WORDS, UPPER_DIGITS};
use crate::control::{self, Step};
use crate::histogram;
use crate::key::{Key, RADIX};
use crate::policy::Shape;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

#[derive(Clone, Copy)]
pub struct BucketStarts {
    /// The blocks' bucket counts, and how many there are.
    pub bucket_counts: Global<u32>,
    pub count: u32,
    pub control: Global<u32>,
    /// Where each bucket begins, and the last ends: to be written.
    pub starts: Global<u32>,
    pub n: u32,
    /// Keys of the largest bucket that can be sorted locally.
    pub capacity: u32,
}

/// Blocks of [`bucket_starts`]: each has the buckets of two upper digits.
pub const BLOCKS: usize = RADIX / 2;
/// Bucket counts that a thread reads at once: a third of those of a large GPU, because each turn
/// takes as long as a read does.
const READ: usize = 44;
/// Threads of a block, each with two buckets.
const THREADS: usize = COUNT_WORDS / BLOCKS;
pub const SHAPE: Shape = Shape::new(THREADS, 0, 2);

pub const SHARED_BYTES: usize = THREADS / 32 * 4;

/// The kernel that adds bucket counts up: `BLOCKS` blocks of `THREADS` threads.
#[inline(always)]
pub unsafe fn bucket_starts<K: Key>(arg: BucketStarts) {
    trigger_dependents();
    sync_predecessor();
    let control = arg.control;
    let counted = control.get(control::LOCALLY) != 0;
    let shared = dynamic_shared::<u32>(0, THREADS / 32);
    if counted {
        write_starts::<K>(arg, shared);
    }
    if histogram::arrives_last(control, shared) && thread::thread_idx_x() == 0 {
        let overfull = control.load(control::OVERFULL, Ordering::Relaxed, Scope::Device);
        let locally = counted && overfull == 0;
        if locally {
            plan_locally::<K>(control);
            // Of the lower digits nothing is known.
            let suggestion = control.get(control::SHORTCUT);
            control.set(control::SHORTCUT, suggestion & !control::FEW);
        } else if counted {
            control.set(control::AGAIN, 1);
        }
        control.set(control::LOCALLY, locally as u32);
        control.set(control::NEXT_BUCKET, 0);
        let clear = |word| control.store(word, 0, Ordering::Relaxed, Scope::Device);
        clear(control::ARRIVALS);
        clear(control::OVERFULL);
    }
}

/// The starts of the block's buckets, and whether one of them is too large.
#[inline(always)]
unsafe fn write_starts<K: Key>(arg: BucketStarts, shared: Shared<u32>) {
    let thread = thread::thread_idx_x();
    let block = thread::block_idx_x() as usize;
    let word = block * THREADS + thread as usize;
    let (mut low, mut high, mut i) = (0, 0, 0);
    while i < arg.count as usize {
        let mut counts = [0; READ];
        for j in 0..READ {
            if i + j < arg.count as usize {
                counts[j] = arg.bucket_counts.get((i + j) * COUNT_WORDS + word);
            }
        }
        for j in 0..READ {
            low += counts[j] & 0xffff;
            high += counts[j] >> 16;
        }
        i += READ;
    }
    if low.max(high) > arg.capacity {
        arg.control.fetch_add(control::OVERFULL, 1, Ordering::Relaxed, Scope::Device);
    }
    let inclusive = scan::warp_inclusive(low + high, thread % 32);
    if thread % 32 == 31 {
        shared.set(thread as usize / 32, inclusive);
    }
    thread::sync_threads();
    let positions = arg.control.offset(control::starts(K::DIGITS, 0));
    let upper = positions.cast::<u64>().offset((K::DIGITS - 1) * RADIX);
    let mut begin = upper.get(2 * block) as u32 + inclusive - low - high;
    for warp in 0..THREADS / 32 {
        let earlier = shared.get(warp);
        if warp < thread as usize / 32 {
            begin += earlier;
        }
    }
    arg.starts.set(2 * word, begin);
    arg.starts.set(2 * word + 1, begin + low);
    if 2 * word + 2 == BUCKETS {
        arg.starts.set(BUCKETS, arg.n);
    }
}

/// The plan by which the upper digits run alone.
#[inline(always)]
unsafe fn plan_locally<K: Key>(control: Global<u32>) {
    let lower = K::DIGITS - UPPER_DIGITS;
    for position in 0..lower {
        Step::SKIPPED.write(control, position);
    }
    for index in 0..UPPER_DIGITS {
        let position = lower + index;
        let ranking = Step::read(control, position).ranking();
        let (index, count) = (index as u32, UPPER_DIGITS as u32);
        let step = Step::running(index, count, 8 * position as u32, ranking);
        step.upper().write(control, position);
    }
}
