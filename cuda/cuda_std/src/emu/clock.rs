//! Happens-before between accesses, exactly, in little space.
//!
//! A vector clock with an entry for every thread, in every thread, does not fit into memory. This
//! one is as exact and small, because it follows how GPU code synchronises. A thread's accesses
//! carry its *clock*, which moves on whenever the thread publishes what it knows, and its block's
//! *epoch*, the number of block barriers so far. A thread knows
//!
//! - of its own block: everything of earlier epochs, by the barrier itself;
//! - of its warp: everything up to one clock, the *floor*, since a warp barrier of
//!   all lanes sets their clocks alike; after a barrier of some lanes, also a clock for
//!   each mate;
//! - of the rest of the device: a [`View`], shared among threads until one of them
//!   learns something new. It knows whole blocks up to an epoch, whole warps up to
//!   a clock and single threads up to a clock.
//!
//! Publishing turns all of it into a view; an acquire joins that view into the thread's
//! own. The entry of a warp or thread is dropped once its block is known that far, so
//! views stay small along a chain of look-backs.

use std::rc::Rc;

/// Threads in a block, at most; a thread's number is `block * BLOCK + index`.
pub(crate) const BLOCK: u32 = 1024;

/// The time of an access in its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// The thread's number in the grid.
    pub thread: u32,
    pub clock: u32,
    pub epoch: u32,
}

/// Everything with `key` (a warp's or a thread's number) up to `clock` is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: u32,
    clock: u32,
    /// The block's epoch at the time: to see when the block is known that far.
    epoch: u32,
}

/// Knowledge of the device outside of one's own block and warp.
#[derive(Clone, Default, Debug)]
pub(crate) struct View {
    /// Of each block, everything before this epoch.
    blocks: Vec<u32>,
    /// Sorted by key.
    warps: Vec<Known>,
    threads: Vec<Known>,
}

impl View {
    fn knows(&self, stamp: Stamp) -> bool {
        self.block(stamp.thread / BLOCK) > stamp.epoch
            || reaches(&self.warps, stamp.thread / 32, stamp.clock)
            || reaches(&self.threads, stamp.thread, stamp.clock)
    }

    fn block(&self, block: u32) -> u32 {
        self.blocks.get(block as usize).copied().unwrap_or(0)
    }

    fn add_block(&mut self, block: u32, epoch: u32) {
        let block = block as usize;
        if epoch > 0 {
            if self.blocks.len() <= block {
                self.blocks.resize(block + 1, 0);
            }
            self.blocks[block] = self.blocks[block].max(epoch);
        }
    }

    pub(crate) fn join(&mut self, other: &View) {
        for (block, &epoch) in other.blocks.iter().enumerate() {
            self.add_block(block as u32, epoch);
        }
        self.warps = self.merge(&self.warps, &other.warps, BLOCK / 32);
        self.threads = self.merge(&self.threads, &other.threads, BLOCK);
    }

    /// The union of two sorted lists, without those that `blocks` covers.
    fn merge(&self, a: &[Known], b: &[Known], keys_a_block: u32) -> Vec<Known> {
        let is_new = |known: &&Known| self.block(known.key / keys_a_block) <= known.epoch;
        let mut merged: Vec<Known> = a.iter().chain(b).filter(is_new).copied().collect();
        merged.sort_by_key(|known| known.key);
        merged.dedup_by(|later, known| {
            let is_same = later.key == known.key;
            if is_same && later.clock > known.clock {
                *known = *later;
            }
            is_same
        });
        merged
    }
}

fn reaches(list: &[Known], key: u32, clock: u32) -> bool {
    let found = list.binary_search_by_key(&key, |known| known.key);
    found.is_ok_and(|i| list[i].clock >= clock)
}

/// The knowledge of one thread.
#[derive(Clone)]
pub(crate) struct Knowledge {
    pub thread: u32,
    clock: u32,
    pub epoch: u32,
    /// Everything of the own warp up to this clock.
    floor: u32,
    /// And of each lane of it up to these, after a barrier of some lanes.
    mates: Option<Box<[u32; 32]>>,
    view: Rc<View>,
}

impl Knowledge {
    /// The knowledge of a thread that starts: all that happened before the launch.
    pub(crate) fn new(thread: u32, nothing: &Rc<View>) -> Self {
        Self { thread, clock: 1, epoch: 0, floor: 0, mates: None, view: nothing.clone() }
    }

    pub(crate) fn block(&self) -> u32 {
        self.thread / BLOCK
    }

    /// The stamp of an access made now.
    pub(crate) fn now(&self) -> Stamp {
        Stamp { thread: self.thread, clock: self.clock, epoch: self.epoch }
    }

    /// Returns true if the access of `stamp` happens before this thread's next one.
    #[inline]
    pub(crate) fn is_after(&self, stamp: Stamp) -> bool {
        if stamp.thread == self.thread || stamp.clock == 0 {
            return true;
        }
        if stamp.thread / BLOCK == self.thread / BLOCK {
            if stamp.epoch < self.epoch {
                return true;
            }
            if stamp.thread / 32 == self.thread / 32 && self.mate(stamp.thread) >= stamp.clock {
                return true;
            }
        }
        self.view.knows(stamp)
    }

    fn mate(&self, thread: u32) -> u32 {
        match &self.mates {
            Some(mates) => mates[thread as usize % 32].max(self.floor),
            None => self.floor,
        }
    }

    /// All that this thread knows, for others to acquire. Its later accesses have a new clock.
    pub(crate) fn publish(&mut self) -> Rc<View> {
        let mut own = View::default();
        own.add_block(self.block(), self.epoch);
        if self.floor > 0 {
            own.warps.push(self.known(self.thread / 32, self.floor));
        }
        let first = self.thread / 32 * 32;
        for lane in first..first + 32 {
            if lane == self.thread {
                own.threads.push(self.known(lane, self.clock));
            } else if self.mate(lane) > self.floor {
                own.threads.push(self.known(lane, self.mate(lane)));
            }
        }
        own.join(&self.view);
        self.clock += 1;
        Rc::new(own)
    }

    fn known(&self, key: u32, clock: u32) -> Known {
        Known { key, clock, epoch: self.epoch }
    }

    pub(crate) fn acquire(&mut self, view: &Rc<View>) {
        if !Rc::ptr_eq(&self.view, view) {
            Rc::make_mut(&mut self.view).join(view);
        }
    }

    pub(crate) fn block_barrier(threads: &mut [Knowledge]) {
        let block = threads[0].block();
        let epoch = threads[0].epoch + 1;
        let mut joined = Self::joined_view(threads.iter());
        if !joined.warps.is_empty() || !joined.threads.is_empty() {
            let view = Rc::make_mut(&mut joined);
            view.add_block(block, epoch);
            // Drops the warps and threads of the block, which is now known as a whole.
            view.join(&View::default());
        }
        for thread in threads {
            thread.epoch = epoch;
            thread.mates = None;
            thread.share(&joined);
        }
    }

    pub(crate) fn warp_barrier(lanes: &mut [Knowledge]) {
        let floor = lanes.iter().map(|lane| lane.clock).max().unwrap_or(0);
        let joined = Self::joined_view(lanes.iter());
        for lane in lanes {
            lane.floor = floor;
            lane.clock = floor + 1;
            lane.mates = None;
            lane.share(&joined);
        }
    }

    /// A barrier of the lanes of a warp that are in `mask`.
    pub(crate) fn partial_warp_barrier(lanes: &mut [Knowledge], mask: u32) {
        let mut mates = [0; 32];
        let first = lanes[0].thread / 32 * 32;
        let takes_part = |lane: &Knowledge| mask >> (lane.thread % 32) & 1 != 0;
        for lane in lanes.iter().filter(|lane| takes_part(lane)) {
            for (i, known) in mates.iter_mut().enumerate() {
                let thread = first + i as u32;
                let clock = if thread == lane.thread { lane.clock } else { lane.mate(thread) };
                *known = clock.max(*known);
            }
        }
        let joined = Self::joined_view(lanes.iter().filter(|lane| takes_part(lane)));
        for lane in lanes.iter_mut().filter(|lane| takes_part(lane)) {
            lane.clock += 1;
            lane.mates = Some(Box::new(mates));
            lane.share(&joined);
        }
    }

    fn share(&mut self, view: &Rc<View>) {
        if !Rc::ptr_eq(&self.view, view) {
            self.view = view.clone();
        }
    }

    /// The joined knowledge of `threads`.
    fn joined_view<'a>(mut threads: impl Iterator<Item = &'a Knowledge>) -> Rc<View> {
        let first = threads.next().map(|thread| &thread.view).cloned().unwrap_or_default();
        let mut joined = first.clone();
        for thread in threads {
            if !Rc::ptr_eq(&thread.view, &first) {
                Rc::make_mut(&mut joined).join(&thread.view);
            }
        }
        joined
    }
}
