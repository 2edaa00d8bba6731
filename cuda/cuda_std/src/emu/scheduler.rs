//! The choice of the thread that goes on.
//!
//! There are two sets of ready warps: those that the policy puts last are chosen only
//! when the other set is empty.
//!
//! A thread leaves the ready set when it waits: at a barrier, in a warp operation, or for a word to
//! change (see `wait.rs`). When no thread is ready, those that wait only as long as
//! others can go on get another turn; if that changes nothing for long enough, the launch hangs.

use super::access::Access;
use super::access_kind::{AccessKind, Conflict};
use super::clock::{BLOCK, Knowledge};
use super::finding::{Finding, Kind};
use super::location::number;
use super::options::{Checks, Policy};
use super::state::{Block, Lane, State, Wait, Warp};
use super::thread::Me;

pub(crate) enum Next {
    Thread(Me),
    /// All threads have exited.
    Done,
    Hangs(Kind),
}

impl State {
    /// Starts the next block, if there is one and room for it. Returns its slot, and the
    /// number of its first lane.
    pub(super) fn start_block(&mut self) -> Option<(usize, usize)> {
        let slot = self.blocks.iter().position(|block| block.live == 0)?;
        let number = self.unstarted.pop()?;
        self.orphan_stores(slot);
        self.blocks[slot] = Block { live: self.launched.block, ..Block::default() };
        for (w, warp) in self.warps_of(slot).enumerate() {
            let lanes = self.launched.block - 32 * w as u32;
            let members = if lanes >= 32 { !0 } else { (1 << lanes) - 1 };
            self.warps[warp] = Warp {
                members,
                tier: self.tier(number, w as u32),
                priority: self.rng.u32(1 << 16..),
                ..Warp::default()
            };
            self.set_ready(warp, members);
        }
        let lanes = self.lanes_of(slot);
        for (thread, lane) in lanes.clone().enumerate() {
            let thread = thread as u32;
            self.lanes[lane] = Lane {
                me: Me { block: number, thread, lane, slot },
                wait: Wait::Ready,
                ..Lane::default()
            };
            self.knowledge[lane] = Knowledge::new(number * BLOCK + thread, &self.nothing);
        }
        Some((slot, lanes.start))
    }

    fn tier(&self, block: u32, warp: u32) -> usize {
        match self.policy {
            Policy::StarveBlock(last) => (block == last) as usize,
            Policy::LastWarp(last) => (warp == last) as usize,
            _ => 0,
        }
    }

    /// Returns true if the running thread should let the scheduler choose, at a point
    /// where others could see its accesses.
    pub(super) fn preempts(&mut self) -> bool {
        match self.policy {
            Policy::InOrder | Policy::Reverse => false,
            Policy::Priorities(_) => true,
            _ => self.rng.u8(0..4) == 0,
        }
    }

    /// Chooses the next thread. `progress` counts the changes that may let others go on.
    pub(super) fn next(&mut self, progress: u64) -> Next {
        if progress + self.commits != self.progress {
            self.progress = progress + self.commits;
            self.idle = 0;
            self.stuck = false;
        }
        self.idle += 1;
        if self.idle > self.launched.options.idle_limit {
            return Next::Hangs(if self.stuck { Kind::Deadlock } else { Kind::Livelock });
        }
        loop {
            if let Some(warp) = self.choose_warp() {
                return Next::Thread(self.choose_lane(warp));
            }
            if self.blocks.iter().all(|block| block.live == 0) {
                self.drain_all();
                return Next::Done;
            }
            if !self.wake_some() {
                return Next::Hangs(Kind::Deadlock);
            }
        }
    }

    /// Lets those go on that wait only as long as others can: first a store that still waits in a
    /// buffer, then one patient thread, then all that poll. Returns false if there is none.
    fn wake_some(&mut self) -> bool {
        if self.drain_one() {
            return true;
        }
        let waiting = |state: &Self, waits: fn(Wait) -> bool| -> Vec<usize> {
            (0..state.lanes.len()).filter(|&lane| waits(state.lanes[lane].wait)).collect()
        };
        let patient = waiting(self, |wait| wait == Wait::PatientPoll);
        if !patient.is_empty() {
            let lane = patient[self.rng.usize(0..patient.len())];
            self.lanes[lane].gave_up = true;
            self.set_ready(lane / 32, 1 << (lane % 32));
            return true;
        }
        let polls = waiting(self, Wait::is_poll);
        for &lane in &polls {
            self.set_ready(lane / 32, 1 << (lane % 32));
        }
        self.sleepers.by_address.clear();
        self.stuck = true;
        !polls.is_empty()
    }

    fn choose_warp(&mut self) -> Option<usize> {
        let tier = self.ready.iter().position(|bits| bits.first().is_some())?;
        let bits = &self.ready[tier];
        match self.policy {
            Policy::InOrder => bits.first(),
            Policy::Reverse => bits.last(),
            Policy::Priorities(_) => {
                if self.changes.last().is_some_and(|&at| at <= self.stats.turns) {
                    self.changes.pop();
                    self.lowest_priority -= 1;
                    self.warps[self.current].priority = self.lowest_priority;
                }
                bits.iter().max_by_key(|&warp| self.warps[warp].priority)
            }
            _ => {
                if bits.has(self.current) && self.rng.u8(0..8) != 0 {
                    return Some(self.current);
                }
                let from = self.rng.usize(0..self.warps.len());
                bits.next(from).or_else(|| bits.first())
            }
        }
    }

    fn choose_lane(&mut self, warp: usize) -> Me {
        self.current = warp;
        self.stats.turns += 1;
        let ready = self.warps[warp].ready;
        let lane = match self.policy {
            Policy::InOrder => ready.trailing_zeros(),
            Policy::Reverse => 31 - ready.leading_zeros(),
            _ => {
                let turn = self.rng.u32(0..32);
                (ready.rotate_right(turn).trailing_zeros() + turn) % 32
            }
        };
        let left = ready & !(1 << lane);
        self.warps[warp].ready = left;
        if left == 0 {
            self.ready[self.warps[warp].tier].set(warp, false);
        }
        self.lanes[warp * 32 + lane as usize].me
    }

    /// The checks of an access that options may leave out.
    pub(super) fn check(&mut self, access: &Access, lane: usize) -> Result<(), Conflict> {
        let Access { memory, offset, size, kind, at } = *access;
        if let Some((_, read)) = &self.unwritten
            && kind.has(AccessKind::WRITE)
            && read.overlaps(access)
        {
            return Err(Conflict::WrittenLate);
        }
        let mut shadow = memory.shadow.borrow_mut();
        if self.checks == Checks::Races {
            shadow.check_race((offset, size, kind), &self.knowledge[lane], number(at))?;
        }
        if self.checks >= Checks::Written {
            shadow.check_written(offset, size, kind)?;
        }
        if kind.has(AccessKind::WRITE) && !kind.has(AccessKind::ATOMIC) {
            memory.words.borrow_mut().forget(offset, size);
        }
        Ok(())
    }

    pub(super) fn exit(&mut self, me: Me) -> Result<(), Box<Finding>> {
        let bit = 1 << (me.lane % 32);
        self.lanes[me.lane].wait = Wait::Exited;
        self.warps[me.lane / 32].exited |= bit;
        let warp = &self.warps[me.lane / 32];
        if let Some(group) = warp.groups.iter().find(|group| group.mask & bit != 0) {
            let waits = me.lane / 32 * 32 + group.arrived.trailing_zeros() as usize;
            let message = format!("{group} waits for lane {}, which has exited", me.lane % 32);
            return Err(self.fault(Kind::WarpMask, waits, Some(me.lane), message));
        }
        self.blocks[me.slot].live -= 1;
        self.release_barrier(me.slot)
    }
}
