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
///
/// Behind the last word stand greater ones, which are never exchanged, so that warps without
/// words have nothing to do but to come to barriers.
#[inline(always)]
pub(crate) unsafe fn sort_block<K: Key, const THREADS: usize, const KEYS: usize>(
    count: u32,
    word: impl Fn(u32) -> K,
    sorted: Shared<K>,
) {
    let first = thread::thread_idx_x() * KEYS as u32;
    let has_words = |thread: u32| thread / 32 * 32 * (KEYS as u32) < count;
    let is_active = has_words(thread::thread_idx_x());
    let mut words = [!K::default(); KEYS];
    for i in 0..KEYS {
        if first + (i as u32) < count {
            words[i] = word(first + i as u32);
        }
    }
    if is_active {
        sort_lane(&mut words);
        let mut run = 2;
        while run <= 32 {
            hint::keep_loop();
            merge_lanes(&mut words, run);
            run *= 2;
        }
    }
    // Runs of neighbouring warps, over so many threads: a single loop, which is not unrolled.
    let (mut run, mut distance) = (64, 32);
    while run / 2 * (KEYS as u32) < count {
        hint::keep_loop();
        let mirrored = 2 * distance == run;
        let other = thread::thread_idx_x() ^ if mirrored { run - 1 } else { distance };
        if is_active {
            for i in 0..KEYS {
                sorted.set(i * THREADS + thread::thread_idx_x() as usize, words[i]);
            }
        }
        thread::sync_threads();
        if is_active && has_words(other) {
            let mirror = if mirrored { KEYS - 1 } else { 0 };
            let keeps_less = thread::thread_idx_x() & distance == 0;
            for i in 0..KEYS {
                let other = sorted.get((i ^ mirror) * THREADS + other as usize);
                words[i] = kept(words[i], other, keeps_less);
            }
        }
        thread::sync_threads();
        distance /= 2;
        if distance < 32 {
            if is_active {
                halve_lanes(&mut words, distance);
            }
            run *= 2;
            distance = run / 2;
        }
    }
    for i in 0..KEYS {
        if first + (i as u32) < count {
            sorted.set(first as usize + i, words[i]);
        }
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
