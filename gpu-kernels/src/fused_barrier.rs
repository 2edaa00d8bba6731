//! The grid barriers of the sort in [one launch](crate::fused), and what becomes of blocks that
//! do not pass the first; that one by itself, for other launches.

use crate::fused::{CLAIMS, Sorter};
use crate::key::Key;
use cuda_std::{ext::*, prelude::*};

/// The word of the first barrier: how many blocks have arrived, and above that how many have
/// withdrawn.
pub(crate) const ENTRY: usize = 0;
/// How many blocks have left without having entered.
const LEFT: usize = 1;
/// The word of the other barriers, which reverses its sense.
const BARRIER: usize = 2;
/// One block that has withdrawn, in the first barrier's word.
const WITHDRAWN: u32 = 1 << 16;
/// The bit that is a barrier's sense.
const SENSE: u32 = 1 << 31;

/// A grid barrier that a block need not pass, in a word that is zero before. Returns true if all
/// blocks have come, in all of them or in none.
///
/// The order of the word's changes decides: if the last block arrived before one withdrew, the
/// latter is taken back; else whoever arrives later takes that back. Where both are to be seen,
/// one of them is about to be.
#[inline(always)]
pub(crate) unsafe fn enter(control: Global<u32>, word: usize) -> bool {
    let blocks = thread::grid_dim_x();
    thread::sync_threads();
    let mut closed = false;
    if thread::thread_idx_x() == 0 {
        let arrive = |added: u32, order| control.fetch_add(word, added, order, Scope::Device);
        closed = arrive(1, Ordering::Release) >= WITHDRAWN;
        if closed {
            arrive(1u32.wrapping_neg(), Ordering::Relaxed);
        }
        let mut patience = hint::Patience::new();
        while !closed {
            let seen = control.load(word, Ordering::Acquire, Scope::Device);
            if seen == blocks {
                break;
            }
            closed = seen >= WITHDRAWN && seen % WITHDRAWN != blocks;
            if !closed && patience.ended() {
                let seen = arrive(WITHDRAWN, Ordering::Relaxed);
                if seen % WITHDRAWN == blocks {
                    arrive(WITHDRAWN.wrapping_neg(), Ordering::Relaxed);
                }
            }
        }
    }
    !thread::sync_threads_or(closed)
}

/// Withdraws from such a barrier without having come to it, so that no block passes. By one
/// thread.
#[inline(always)]
pub(crate) unsafe fn withdraw(control: Global<u32>, word: usize) {
    control.fetch_add(word, WITHDRAWN, Ordering::Relaxed, Scope::Device);
}

impl<
    K: Key,
    W: Key,
    const THREADS: usize,
    const LOADED: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const RANGES: usize,
> Sorter<K, W, THREADS, LOADED, ITEMS, PAIRED, RANGES>
{
    /// The first grid barrier. Returns true if all blocks have come, in all of them or in none.
    #[inline(always)]
    pub(crate) unsafe fn enter(&self) -> bool {
        enter(self.arg.control, ENTRY)
    }

    /// A later grid barrier: all blocks are known to be on the device.
    #[inline(always)]
    pub(crate) unsafe fn grid_barrier(&self) {
        thread::sync_threads();
        if self.thread == 0 {
            // All arrivals add up to that bit, and leave the others as they were.
            let others = self.blocks() - 1;
            let first = thread::block_idx_x() == 0;
            let added = if first { SENSE - others } else { 1 };
            let control = self.arg.control;
            let before = control.fetch_add(BARRIER, added, Ordering::Release, Scope::Device);
            let reversed = |word: u32| (word ^ before) & SENSE != 0;
            while !reversed(control.load(BARRIER, Ordering::Acquire, Scope::Device)) {}
        }
        thread::sync_threads();
    }

    /// Clears what the next sort finds, by the first block, when nobody reads it any more.
    #[inline(always)]
    pub(crate) unsafe fn clear_behind(&self) {
        if thread::block_idx_x() == 0 {
            self.clear_claims(self.claims_end());
        }
    }

    #[inline(always)]
    unsafe fn clear_claims(&self, end: usize) {
        // Opaque, or it is kept through all that comes before.
        let mut word = CLAIMS + hint::opaque(self.thread) as usize;
        while word < end {
            self.arg.control.set(word, 0);
            word += THREADS;
        }
        if self.thread == 0 {
            self.arg.control.set(ENTRY, 0);
        }
    }

    /// Leaves without having entered; sorts everything if all others have left, and clears words
    /// up to the `end`.
    #[inline(always)]
    pub(crate) unsafe fn leave(&self, end: usize) {
        let mut last = false;
        if self.thread == 0 {
            let (order, scope) = (Ordering::AcqRel, Scope::Device);
            let left = self.arg.control.fetch_add(LEFT, 1, order, scope);
            last = left + 1 == self.blocks();
        }
        if !thread::sync_threads_or(last) {
            return;
        }
        self.clear_claims(end);
        if self.thread == 0 {
            self.arg.control.set(LEFT, 0);
        }
        let mut i = self.thread;
        while i < self.arg.n {
            self.store(i, self.word(self.arg.input.get(i as usize), i));
            i += THREADS as u32;
        }
        self.sort_in_memory(0, self.arg.n, true);
    }
}
