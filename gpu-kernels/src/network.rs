//! Bitonic networks in registers (Batcher 1968).
//!
//! A thread has some neighbouring words, a power of two, so that most steps exchange registers.
//! Steps between lanes are shuffles, and those between warps go through shared memory. All runs
//! ascend: the first step of a merge compares a run's first word with the other's last, its
//! second with the second last, and so on. Time does not depend on the words.

use crate::key::Key;
use cuda_std::{ext::*, prelude::*};

/// Sorts a thread's words.
#[inline(always)]
pub(crate) fn sort_lane<K: Key, const KEYS: usize>(words: &mut [K; KEYS]) {
    let mut run = 2;
    while run <= KEYS {
        for i in 0..KEYS {
            exchange(words, i, i ^ (run - 1));
        }
        halve(words, run / 4);
        run *= 2;
    }
}

/// Merges the runs of neighbouring lanes to runs of `run` lanes each, at most a warp. All lanes
/// call.
#[inline(always)]
pub(crate) fn merge_lanes<K: Key, const KEYS: usize>(words: &mut [K; KEYS], run: u32) {
    let before = *words;
    let keeps_less = warp::lane_id() & (run / 2) == 0;
    for i in 0..KEYS {
        let other = shuffle_xor(before[KEYS - 1 - i], run - 1);
        words[i] = kept(words[i], other, keeps_less);
    }
    halve_lanes(words, run / 4);
}

/// Sorts up to `THREADS * KEYS` words of a block and leaves them in `sorted`, which is as large.
/// All threads call. It ends with a barrier, and none may read `sorted` after the one before.
#[inline(always)]
pub(crate) unsafe fn sort_block<K: Key, const THREADS: usize, const KEYS: usize>(
    count: u32,
    word: impl Fn(u32) -> K,
    sorted: Shared<K>,
) {
    let thread = thread::thread_idx_x();
    // So many threads have words, and where each has one, they begin to be neighbours.
    let threads = count.next_power_of_two().div_ceil(KEYS as u32);
    let mut words = [!K::default(); KEYS];
    for i in 0..KEYS as u32 {
        let index = i * threads + thread;
        if thread < threads && index < count {
            words[i as usize] = word(index);
        }
    }
    sort_lane(&mut words);
    let mut run = 2;
    while run <= threads.min(32) {
        hint::keep_loop();
        merge_lanes(&mut words, run);
        run *= 2;
    }
    // Runs of neighbouring warps, over so many threads: a single loop, which is not unrolled.
    let mut distance = run / 2;
    while run <= threads {
        hint::keep_loop();
        exchange_warps::<K, THREADS, KEYS>(&mut words, run, distance, sorted);
        distance /= 2;
        if distance < 32 {
            halve_lanes(&mut words, distance);
            run *= 2;
            distance = run / 2;
        }
    }
    for i in 0..KEYS {
        sorted.set(thread as usize * KEYS + i, words[i]);
    }
    thread::sync_threads();
}

/// A step of a merge to runs of `run` threads, over `distance` of them, which is its first if
/// that is half a run.
#[inline(always)]
unsafe fn exchange_warps<K: Key, const THREADS: usize, const KEYS: usize>(
    words: &mut [K; KEYS],
    run: u32,
    distance: u32,
    shared: Shared<K>,
) {
    let thread = thread::thread_idx_x();
    for i in 0..KEYS {
        shared.set(i * THREADS + thread as usize, words[i]);
    }
    thread::sync_threads();
    let mirrored = 2 * distance == run;
    let mirror = if mirrored { KEYS - 1 } else { 0 };
    let other = thread ^ if mirrored { run - 1 } else { distance };
    let keeps_less = thread & distance == 0;
    for i in 0..KEYS {
        let other = shared.get((i ^ mirror) * THREADS + other as usize);
        words[i] = kept(words[i], other, keeps_less);
    }
    thread::sync_threads();
}

/// The last steps of a merge: over `distance` lanes, half of them, and so on, and then within a
/// lane.
#[inline(always)]
fn halve_lanes<K: Key, const KEYS: usize>(words: &mut [K; KEYS], mut distance: u32) {
    while distance > 0 {
        hint::keep_loop();
        let keeps_less = warp::lane_id() & distance == 0;
        for word in words.iter_mut() {
            let other = shuffle_xor(*word, distance);
            *word = kept(*word, other, keeps_less);
        }
        distance /= 2;
    }
    halve(words, KEYS / 2);
}

/// The same over `distance` words of a lane, and then half of it at a time.
#[inline(always)]
fn halve<K: Key, const KEYS: usize>(words: &mut [K; KEYS], mut distance: usize) {
    while distance > 0 {
        for i in 0..KEYS {
            exchange(words, i, i ^ distance);
        }
        distance /= 2;
    }
}

#[inline(always)]
fn exchange<K: Key, const KEYS: usize>(words: &mut [K; KEYS], i: usize, j: usize) {
    if i < j {
        (words[i], words[j]) = (words[i].min(words[j]), words[i].max(words[j]));
    }
}

#[inline(always)]
fn kept<K: Key>(word: K, other: K, less: bool) -> K {
    if size_of::<K>() <= 4 {
        return if less { word.min(other) } else { word.max(other) };
    }
    if (other < word) == less { other } else { word }
}

/// The word of the lane whose number differs by `lane_mask`.
#[inline(always)]
fn shuffle_xor<K: Key>(word: K, lane_mask: u32) -> K {
    let word = word.to_u64();
    let low = lanes::shuffle_xor(lanes::FULL, word as u32, lane_mask) as u64;
    if size_of::<K>() <= 4 {
        return K::from_u64(low);
    }
    let high = lanes::shuffle_xor(lanes::FULL, (word >> 32) as u32, lane_mask) as u64;
    K::from_u64(high << 32 | low)
}
