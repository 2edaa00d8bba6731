//! Store buffers: the lighter model of weak memory.
//!
//! A store to global memory goes into its thread's buffer, from there into its
//! block's, and from there to memory. Buffers drain at random, in any order that
//! keeps the stores to one place in theirs. A barrier moves the buffers of those
//! who meet there into the block's buffer; a device fence or a device release
//! empties both. A thread sees its own stores and its block's. Loads are not
//! delayed or advanced, so a missing acquire is not found.

use super::access::{Access, Kind};
use super::allocation::Allocation;
use super::clock::Stamp;
use super::history::{Place, Release};
use super::scheduler::State;
use crate::atomic::Scope;

/// A store that has not reached memory.
pub(crate) struct Pending {
    memory: *const Allocation,
    offset: usize,
    size: usize,
    value: u128,
    /// For an atomic store: who stored it, and what it carries.
    atomic: Option<(Stamp, Vec<Release>)>,
}

impl Pending {
    pub fn plain(access: &Access, value: u128) -> Self {
        Self {
            memory: access.memory,
            offset: access.offset,
            size: access.size,
            value,
            atomic: None,
        }
    }

    pub fn atomic(access: &Access, value: u64, writer: Stamp, releases: Vec<Release>) -> Self {
        Self {
            atomic: Some((writer, releases)),
            ..Self::plain(access, value as u128)
        }
    }

    fn overlaps(&self, memory: *const Allocation, offset: usize, size: usize) -> bool {
        std::ptr::eq(self.memory, memory)
            && self.offset < offset + size
            && offset < self.offset + self.size
    }
}

/// All stores that have not reached memory, each buffer oldest first.
pub(crate) struct Buffers {
    lanes: Vec<Vec<Pending>>,
    blocks: Vec<Vec<Pending>>,
    /// Of blocks that have ended.
    orphans: Vec<Pending>,
}

impl Buffers {
    const LANE_MAX: usize = 8;
    const BLOCK_MAX: usize = 24;

    pub fn new(lanes: usize, slots: usize) -> Self {
        let buffers = |count| std::iter::repeat_with(Vec::new).take(count).collect();
        Self {
            lanes: buffers(lanes),
            blocks: buffers(slots),
            orphans: Vec::new(),
        }
    }
}

impl State {
    /// Takes a store in, and lets others out.
    pub fn buffer(&mut self, lane: usize, pending: Pending) {
        self.buffers.lanes[lane].push(pending);
        if self.buffers.lanes[lane].len() > Buffers::LANE_MAX {
            self.commit_from_lane(lane, 0);
        }
        if self.rng.u8(0..4) == 0 {
            let some = self.rng.usize(0..self.buffers.lanes[lane].len());
            self.commit_from_lane(lane, some);
        }
        let slot = self.lanes[lane].me.slot;
        let shared = self.buffers.blocks[slot].len();
        if shared > 0 && self.rng.u8(0..4) == 0 {
            let some = self.rng.usize(0..shared);
            self.commit_from_block(slot, some);
        }
        if !self.buffers.orphans.is_empty() && self.rng.u8(0..4) == 0 {
            // The oldest of its place, whichever it is.
            let oldest = self.buffers.orphans.remove(0);
            self.commit(oldest);
        }
    }

    fn commit(&mut self, pending: Pending) {
        // SAFETY: buffers outlive the launches that use them.
        let memory = unsafe { &*pending.memory };
        let access = Access {
            memory,
            offset: pending.offset,
            size: pending.size,
            kind: Kind::WRITE,
            at: std::panic::Location::caller(),
        };
        self.commits += 1;
        if let Some((writer, releases)) = pending.atomic {
            let place = Place {
                offset: access.offset,
                size: access.size,
                value: access.value(),
            };
            memory.words.borrow_mut().store(
                place,
                pending.value as u64,
                writer,
                &releases,
                false,
                1,
            );
        }
        // SAFETY: the access was found valid when it was made.
        unsafe {
            let bytes = pending.value.to_le_bytes();
            access
                .pointer()
                .copy_from_nonoverlapping(bytes.as_ptr(), access.size);
        }
        self.wake(access.pointer() as usize, access.size);
    }

    /// Commits store `i` of a thread, after older ones to the same place.
    fn commit_from_lane(&mut self, lane: usize, i: usize) {
        let slot = self.lanes[lane].me.slot;
        let Pending {
            memory,
            offset,
            size,
            ..
        } = self.buffers.lanes[lane][i];
        self.commit_matching_in_block(slot, memory, offset, size);
        let older = self.buffers.lanes[lane][..i].iter();
        let first = older
            .clone()
            .position(|p| p.overlaps(memory, offset, size))
            .unwrap_or(i);
        let pending = self.buffers.lanes[lane].remove(first);
        self.commit(pending);
    }

    fn commit_from_block(&mut self, slot: usize, i: usize) {
        let Pending {
            memory,
            offset,
            size,
            ..
        } = self.buffers.blocks[slot][i];
        let older = self.buffers.blocks[slot][..i].iter();
        let first = older
            .clone()
            .position(|p| p.overlaps(memory, offset, size))
            .unwrap_or(i);
        let pending = self.buffers.blocks[slot].remove(first);
        self.commit(pending);
    }

    fn commit_matching_in_block(
        &mut self,
        slot: usize,
        memory: *const Allocation,
        offset: usize,
        size: usize,
    ) {
        while let Some(i) = self.buffers.blocks[slot]
            .iter()
            .position(|p| p.overlaps(memory, offset, size))
        {
            let pending = self.buffers.blocks[slot].remove(i);
            self.commit(pending);
        }
    }

    /// Commits what a thread's read-modify-write has to see in memory.
    pub fn commit_overlapping(&mut self, lane: usize, access: &Access) {
        let slot = self.lanes[lane].me.slot;
        self.commit_matching_in_block(slot, access.memory, access.offset, access.size);
        while let Some(i) = self.buffers.lanes[lane]
            .iter()
            .position(|p| p.overlaps(access.memory, access.offset, access.size))
        {
            let pending = self.buffers.lanes[lane].remove(i);
            self.commit(pending);
        }
    }

    /// What a thread's own buffers hold for its load. Where they hold a part, that
    /// goes to memory first.
    pub fn forward(&mut self, lane: usize, access: &Access) -> Option<u128> {
        let slot = self.lanes[lane].me.slot;
        let newest_first = self.buffers.lanes[lane]
            .iter()
            .rev()
            .chain(self.buffers.blocks[slot].iter().rev());
        let mut overlapping =
            newest_first.filter(|p| p.overlaps(access.memory, access.offset, access.size));
        let newest = overlapping.next()?;
        if newest.offset == access.offset && newest.size == access.size {
            return Some(newest.value);
        }
        self.commit_overlapping(lane, access);
        None
    }

    pub fn buffered_read(&mut self, lane: usize, access: &Access) -> u128 {
        if let Some(own) = self.forward(lane, access) {
            return own;
        }
        let mut bytes = [0; 16];
        // SAFETY: the access was found to be valid.
        unsafe {
            access
                .pointer()
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), access.size)
        };
        u128::from_le_bytes(bytes)
    }

    /// A barrier: the block sees what this thread stored.
    pub fn share_stores(&mut self, lane: usize) {
        let slot = self.lanes[lane].me.slot;
        let stores = std::mem::take(&mut self.buffers.lanes[lane]);
        self.buffers.blocks[slot].extend(stores);
        while self.buffers.blocks[slot].len() > Buffers::BLOCK_MAX {
            self.commit_from_block(slot, 0);
        }
    }

    /// A fence or a release: all that the thread stored, and its block before it,
    /// is seen from `scope`.
    pub fn drain(&mut self, lane: usize, scope: Scope) {
        self.share_stores(lane);
        if scope == Scope::Device {
            let slot = self.lanes[lane].me.slot;
            let stores = std::mem::take(&mut self.buffers.blocks[slot]);
            stores.into_iter().for_each(|pending| self.commit(pending));
        }
    }

    /// A block has ended: what it stored still drains.
    pub fn orphan_stores(&mut self, slot: usize) {
        let stores = std::mem::take(&mut self.buffers.blocks[slot]);
        self.buffers.orphans.extend(stores);
        for lane in self.lanes_of(slot) {
            let stores = std::mem::take(&mut self.buffers.lanes[lane]);
            self.buffers.orphans.extend(stores);
        }
    }

    /// Commits one store of any buffer. Whether there was one.
    pub fn drain_one(&mut self) -> bool {
        let buffers = &self.buffers;
        let count = |buffers: &[Vec<Pending>]| buffers.iter().filter(|b| !b.is_empty()).count();
        let (lanes, blocks) = (count(&buffers.lanes), count(&buffers.blocks));
        let orphans = !buffers.orphans.is_empty() as usize;
        if lanes + blocks + orphans == 0 {
            return false;
        }
        let chosen = self.rng.usize(0..lanes + blocks + orphans);
        if chosen >= lanes + blocks {
            let oldest = self.buffers.orphans.remove(0);
            self.commit(oldest);
            return true;
        }
        let of_lanes = chosen < lanes;
        let buffers = if of_lanes {
            &self.buffers.lanes
        } else {
            &self.buffers.blocks
        };
        let mut filled = buffers.iter().enumerate().filter(|(_, b)| !b.is_empty());
        let Some((owner, buffer)) = filled.nth(if of_lanes { chosen } else { chosen - lanes })
        else {
            return false;
        };
        let some = self.rng.usize(0..buffer.len());
        if of_lanes {
            self.commit_from_lane(owner, some);
        } else {
            self.commit_from_block(owner, some);
        }
        true
    }

    /// Commits everything: the launch is at its end.
    pub fn drain_all(&mut self) {
        while self.drain_one() {}
    }
}
