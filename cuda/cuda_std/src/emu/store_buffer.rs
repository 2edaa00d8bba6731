//! Store buffers: the lighter model of weak memory.
//!
//! A store to global memory goes into its thread's buffer, from there into its block's, and from
//! there to memory. Buffers drain at random, in any order that keeps the stores to the same bytes
//! in theirs. A barrier moves the buffers of the threads that meet there into the block's buffer; a
//! device fence or a device release empties both. A thread sees its own stores and its block's.
//! Loads are not delayed or advanced, so a missing acquire is not found.

use super::access::Access;
use super::clock::Stamp;
use super::history::Release;
use super::state::{Pending, State};
use crate::ext::Scope;

/// Stores that a thread's buffer holds, and a block's.
const LANE_MAX: usize = 8;
const BLOCK_MAX: usize = 24;

impl Pending {
    pub(super) fn plain(access: &Access, value: u128) -> Self {
        Self { access: access.outliving(), value, atomic: None }
    }

    pub(super) fn atomic(access: &Access, value: u64, from: (Stamp, Vec<Release>)) -> Self {
        Self { atomic: Some(from), ..Self::plain(access, value as u128) }
    }
}

impl State {
    /// Takes a store in, and lets others out.
    pub(super) fn buffer(&mut self, lane: usize, pending: Pending) {
        self.buffers[lane].push(pending);
        if self.buffers[lane].len() > LANE_MAX {
            self.commit_from(lane, 0);
        }
        for buffer in [lane, self.block_buffer(lane), self.orphans()] {
            if !self.buffers[buffer].is_empty() && self.rng.u8(0..4) == 0 {
                self.commit_any(buffer);
            }
        }
    }

    /// The number of the buffer of a thread's block. A lane's buffer has the lane's number.
    fn block_buffer(&self, lane: usize) -> usize {
        self.lanes.len() + self.lanes[lane].me.slot
    }

    /// The number of the buffer of blocks that have ended.
    fn orphans(&self) -> usize {
        self.buffers.len() - 1
    }

    fn commit(&mut self, Pending { access, value, atomic }: Pending) {
        self.commits += 1;
        if let Some((writer, releases)) = atomic {
            let mut words = access.memory.words.borrow_mut();
            words.store(access.atomic_bytes(), value as u64, (writer, &releases), false, 1);
        }
        access.put(value);
        self.wake(access.pointer() as usize, access.size);
    }

    /// Commits any store of a buffer; of blocks that have ended, the oldest.
    fn commit_any(&mut self, buffer: usize) {
        let stores = self.buffers[buffer].len();
        let any = if buffer == self.orphans() { 0 } else { self.rng.usize(0..stores) };
        self.commit_from(buffer, any);
    }

    /// Commits store `i` of a thread's or a block's buffer, or an older one to the same
    /// bytes; before a thread's, those of its block.
    fn commit_from(&mut self, buffer: usize, i: usize) {
        let access = self.buffers[buffer][i].access;
        if buffer < self.lanes.len() {
            self.commit_overlapping_in(self.block_buffer(buffer), &access);
        }
        let first = self.buffers[buffer].iter().position(|p| p.access.overlaps(&access));
        let pending = self.buffers[buffer].remove(first.unwrap_or(i));
        self.commit(pending);
    }

    fn commit_overlapping_in(&mut self, buffer: usize, access: &Access) {
        while let Some(i) = self.buffers[buffer].iter().position(|p| p.access.overlaps(access)) {
            let pending = self.buffers[buffer].remove(i);
            self.commit(pending);
        }
    }

    /// Commits the stores that a thread's read-modify-write has to see in memory.
    pub(super) fn commit_overlapping(&mut self, lane: usize, access: &Access) {
        self.commit_overlapping_in(self.block_buffer(lane), access);
        self.commit_overlapping_in(lane, access);
    }

    /// The value that a thread's own buffers have for its load. If they have a part of it,
    /// that goes to memory first.
    pub(super) fn forward(&mut self, lane: usize, access: &Access) -> Option<u128> {
        let newest_first = [lane, self.block_buffer(lane)].into_iter();
        let mut newest_first = newest_first.flat_map(|buffer| self.buffers[buffer].iter().rev());
        let newest = newest_first.find(|p| p.access.overlaps(access))?;
        if newest.access.offset == access.offset && newest.access.size == access.size {
            return Some(newest.value);
        }
        self.commit_overlapping(lane, access);
        None
    }

    pub(super) fn buffered_read(&mut self, lane: usize, access: &Access) -> u128 {
        self.forward(lane, access).unwrap_or_else(|| access.value())
    }

    fn move_stores(&mut self, from: usize, to: usize) {
        let stores = std::mem::take(&mut self.buffers[from]);
        self.buffers[to].extend(stores);
    }

    /// A barrier: the block sees what this thread stored.
    pub(super) fn share_stores(&mut self, lane: usize) {
        let block = self.block_buffer(lane);
        self.move_stores(lane, block);
        while self.buffers[block].len() > BLOCK_MAX {
            self.commit_from(block, 0);
        }
    }

    /// A fence or a release: all stores of the thread, and of its block before it, are
    /// seen from `scope`.
    pub(super) fn drain(&mut self, lane: usize, scope: Scope) {
        self.share_stores(lane);
        if scope == Scope::Device {
            let block = self.block_buffer(lane);
            let stores = std::mem::take(&mut self.buffers[block]);
            stores.into_iter().for_each(|pending| self.commit(pending));
        }
    }

    /// A block has ended: its stores still drain.
    pub(super) fn orphan_stores(&mut self, slot: usize) {
        let orphans = self.orphans();
        self.move_stores(self.lanes.len() + slot, orphans);
        self.lanes_of(slot).for_each(|lane| self.move_stores(lane, orphans));
    }

    /// Commits one store of any buffer. Returns false if there was none.
    pub(super) fn drain_one(&mut self) -> bool {
        let filled = (0..self.buffers.len()).filter(|&buffer| !self.buffers[buffer].is_empty());
        let filled: Vec<usize> = filled.collect();
        if filled.is_empty() {
            return false;
        }
        let buffer = filled[self.rng.usize(0..filled.len())];
        self.commit_any(buffer);
        true
    }

    /// Commits everything: the launch is at its end.
    pub(super) fn drain_all(&mut self) {
        while self.drain_one() {}
    }
}
