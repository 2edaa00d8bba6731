//! The block barrier.
//!
//! It counts the live threads of the block. When the last one arrives, or the last one
//! missing exits, each warp is checked: all its lanes must be at the same barrier, as
//! the instruction's aligned form requires.

use super::clock::Knowledge;
use super::finding::{Finding, Kind};
use super::launch::Launch;
use super::location::SourceLocation;
use super::operation::lanes;
use super::options::MemoryModel;
use super::state::{State, Wait, Warp};

impl Launch {
    /// Waits for the block. Returns the number of its threads in which `predicate` held.
    pub(crate) fn barrier(&self, predicate: bool, at: SourceLocation) -> u32 {
        let me = self.me();
        let released = {
            let mut state = self.state.borrow_mut();
            state.make_wait(me.lane, Wait::Barrier, at);
            state.lanes[me.lane].polled.clear();
            if state.memory == MemoryModel::StoreBuffers {
                state.share_stores(me.lane);
            }
            let block = &mut state.blocks[me.slot];
            block.arrived += 1;
            block.holding += predicate as u32;
            state.release_barrier(me.slot)
        };
        if let Err(finding) = released {
            self.stop(*finding);
        }
        self.suspend();
        self.state.borrow().blocks[me.slot].result
    }
}

impl State {
    /// Lets the block's threads pass, if all have come.
    pub(super) fn release_barrier(&mut self, slot: usize) -> Result<(), Box<Finding>> {
        let block = &mut self.blocks[slot];
        if block.arrived == 0 || block.arrived < block.live {
            return Ok(());
        }
        block.arrived = 0;
        block.result = std::mem::take(&mut block.holding);
        self.stats.barriers += 1;
        for warp in self.warps_of(slot) {
            self.check_convergence(warp)?;
            let lanes = self.warps[warp].members & !self.warps[warp].exited;
            self.set_ready(warp, lanes);
        }
        if self.keeps_clocks {
            let lanes = self.lanes_of(slot);
            Knowledge::block_barrier(&mut self.knowledge[lanes]);
        }
        Ok(())
    }

    /// Finds lanes of one warp at different barriers, or gone before this one.
    fn check_convergence(&self, warp: usize) -> Result<(), Box<Finding>> {
        let Warp { members, exited, .. } = self.warps[warp];
        if members & !exited == 0 {
            return Ok(());
        }
        let gone = if members & exited != 0 { "; a lane of its warp has exited" } else { "" };
        let lanes = lanes(members).map(|lane| warp * 32 + lane as usize);
        let mut waiting = lanes.clone().filter(|&lane| self.lanes[lane].wait == Wait::Barrier);
        let Some(here) = waiting.find(|&lane| self.lanes[lane].at.is_some()) else {
            return Ok(());
        };
        let is_elsewhere =
            |&lane: &usize| self.lanes[lane].at.is_some_and(|at| Some(at) != self.lanes[here].at);
        let other = lanes.clone().find(is_elsewhere);
        if other.is_none() && gone.is_empty() {
            return Ok(());
        }
        let message = format!("the lanes of a warp have to come to the same block barrier{gone}");
        Err(self.fault(Kind::BarrierDivergence, here, other, message))
    }
}
