//! The block barrier.
//!
//! It counts the live threads of the block. When the last one arrives, or the last
//! one missing exits, the warps are looked at: the instruction is the aligned form,
//! so all lanes of a warp have to have come to the same one.

use super::clock::Knowledge;
use super::finding::Kind;
use super::launch::Launch;
use super::options::MemoryModel;
use super::scheduler::{Fault, Place, State, Wait, Warp};

impl Launch {
    /// Waits for the block. Whether `predicate` held in any of its threads.
    pub fn barrier(&self, predicate: bool, at: Place) -> bool {
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
            block.any |= predicate;
            state.release_barrier(me.slot)
        };
        if let Err(fault) = released {
            self.stop(self.finding_of(*fault));
        }
        self.suspend();
        self.state.borrow().blocks[me.slot].result
    }
}

impl State {
    /// Lets the block's threads pass, if all have come.
    pub fn release_barrier(&mut self, slot: usize) -> Result<(), Box<Fault>> {
        let block = &mut self.blocks[slot];
        if block.arrived == 0 || block.arrived < block.live {
            return Ok(());
        }
        block.arrived = 0;
        block.result = std::mem::take(&mut block.any);
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
    fn check_convergence(&self, warp: usize) -> Result<(), Box<Fault>> {
        let Warp {
            members, exited, ..
        } = self.warps[warp];
        if members & !exited == 0 {
            return Ok(());
        }
        let lanes = (0..32)
            .filter(|lane| members >> lane & 1 != 0)
            .map(|lane| warp * 32 + lane);
        let mut sites = lanes.filter_map(|lane| Some((lane, self.last_site(lane)?)));
        let gone = (members & exited != 0).then_some("; a lane of its warp has exited");
        let here = sites.find(|&(lane, _)| self.lanes[lane].wait == Wait::Barrier);
        let Some((_, here)) = here else { return Ok(()) };
        let mut others = (0..32)
            .map(|lane| warp * 32 + lane)
            .filter(|&lane| members >> (lane % 32) & 1 != 0)
            .filter_map(|lane| self.last_site(lane));
        let other = others.find(|site| site.location != here.location);
        if other.is_none() && gone.is_none() {
            return Ok(());
        }
        Err(Box::new(Fault {
            kind: Kind::BarrierDivergence,
            site: Some(here),
            other,
            message: format!(
                "the lanes of a warp have to come to the same block barrier{}",
                gone.unwrap_or("")
            ),
        }))
    }
}
