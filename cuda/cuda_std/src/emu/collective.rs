//! Warp operations.
//!
//! A lane deposits its value and waits; the last lane of the mask to come computes the
//! results of all. Lanes may come from different source lines: the hardware asks for the
//! same operation and mask, no more. Only the warp barrier orders memory.

use super::clock::Knowledge;
use super::finding::{Finding, Kind};
use super::launch::{Launch, current};
use super::location::{Line, SourceLocation};
use super::operation::{Group, Operation, lanes};
use super::options::MemoryModel;
use super::state::{State, Wait, Warp};
use super::thread::Me;

/// Takes part in a warp operation of the running launch. Returns this lane's result.
#[cfg_attr(feature = "instrumented", inline(always))] // It reads the address of the kernel's code.
#[track_caller]
pub(crate) fn collective(operation: Operation, mask: u32, value: u32, argument: u32) -> u32 {
    let at = Line::of_kernel();
    current(|launch| launch.collective(operation, mask, value, argument, at))
}

impl Launch {
    /// The same, at a line of the kernel.
    pub(crate) fn collective(
        &self,
        operation: Operation,
        mask: u32,
        value: u32,
        argument: u32,
        at: SourceLocation,
    ) -> u32 {
        let me = self.me();
        let (warp, lane) = (me.lane / 32, me.lane % 32);
        let complete = {
            let mut state = self.state.borrow_mut();
            state.stats.collectives += 1;
            state.lanes[me.lane].at = Some(at);
            if operation == Operation::SyncWarp && state.memory == MemoryModel::StoreBuffers {
                state.share_stores(me.lane);
            }
            let members = &mut state.warps[warp];
            members.values[lane] = value;
            members.arguments[lane] = argument;
            let arrived = 1 << lane;
            state.join_group(me, Group { operation, mask, arrived })
        };
        match complete {
            Err(finding) => self.stop(*finding),
            Ok(true) => {}
            Ok(false) => self.suspend(),
        }
        self.state.borrow().warps[warp].values[lane]
    }
}

impl State {
    /// Adds the running lane to those that wait for the same operation. Returns true if
    /// it was the last: all are ready then.
    fn join_group(&mut self, me: Me, own: Group) -> Result<bool, Box<Finding>> {
        let index = me.lane / 32;
        let warp = &mut self.warps[index];
        let found =
            warp.groups.iter().position(|g| g.mask == own.mask && g.operation == own.operation);
        let mut group = own;
        if let Some(i) = found {
            warp.groups[i].arrived |= own.arrived;
            group = warp.groups[i];
        } else {
            self.check_mask(me, own)?;
        }
        if group.arrived != group.mask {
            if found.is_none() {
                self.warps[index].groups.push(group);
            }
            self.lanes[me.lane].wait = Wait::Collective;
            return Ok(false);
        }
        if let Some(i) = found {
            self.warps[index].groups.swap_remove(i);
        }
        self.complete(index, group)?;
        self.set_ready(index, group.mask & !own.arrived);
        Ok(true)
    }

    /// Finds faults that no later arrival can mend.
    fn check_mask(&self, me: Me, own: Group) -> Result<(), Box<Finding>> {
        let warp = &self.warps[me.lane / 32];
        let lane = me.lane % 32;
        let fault = |other: Option<u32>, message| {
            let other = other.map(|other| me.lane / 32 * 32 + other as usize);
            Err(self.fault(Kind::WarpMask, me.lane, other, message))
        };
        let absent = own.mask & !(warp.members & !warp.exited);
        if own.mask & own.arrived == 0 {
            return fault(None, format!("lane {lane} calls {own}, without itself"));
        }
        if absent != 0 {
            let missing = absent.trailing_zeros();
            let exists = warp.members >> missing & 1 != 0;
            let why = if exists { "has exited" } else { "does not exist" };
            return fault(Some(missing), format!("{own} names lane {missing}, which {why}"));
        }
        // They wait for this lane, and it waits for one of them, elsewhere.
        let crossed = |g: &&Group| g.mask & own.arrived != 0 && own.mask & g.arrived != 0;
        if let Some(group) = warp.groups.iter().find(crossed) {
            let other = (own.mask & group.arrived).trailing_zeros();
            return fault(Some(other), format!("lane {lane} calls {own}, lane {other} {group}"));
        }
        Ok(())
    }

    /// Computes the results of a group that is complete.
    fn complete(&mut self, index: usize, group: Group) -> Result<(), Box<Finding>> {
        if group.operation == Operation::SyncWarp {
            if self.keeps_clocks {
                self.warp_barrier(index, group.mask);
            }
            return Ok(());
        }
        if let Some(lane) = shuffle_from_outside(&self.warps[index], group) {
            let (name, mask) = (group.operation.name(), group.mask);
            let message =
                format!("lane {lane} asks {name} for a lane outside of its mask {mask:#010x}");
            return Err(self.fault(Kind::WarpMask, index * 32 + lane as usize, None, message));
        }
        let warp = &mut self.warps[index];
        warp.values = results(warp, group);
        Ok(())
    }

    fn warp_barrier(&mut self, index: usize, mask: u32) {
        let first = index * 32;
        let count = (32 - self.warps[index].members.leading_zeros()) as usize;
        let lanes = &mut self.knowledge[first..first + count];
        if mask == self.warps[index].members {
            Knowledge::warp_barrier(lanes);
        } else {
            Knowledge::partial_warp_barrier(lanes, mask);
        }
    }
}

fn shuffle_from_outside(warp: &Warp, group: Group) -> Option<u32> {
    group.operation.source(0, 0)?;
    lanes(group.mask).find(|&lane| {
        let source = group.operation.source(lane, warp.arguments[lane as usize]);
        source.is_some_and(|source| group.mask >> source & 1 == 0)
    })
}

/// The values of all lanes, after the operation.
fn results(warp: &Warp, group: Group) -> [u32; 32] {
    let mut results = warp.values;
    let true_lanes = || lanes_where(&warp.values, group.mask, |value| value != 0);
    match group.operation {
        Operation::SyncWarp => {}
        Operation::Ballot => set_all(&mut results, group.mask, true_lanes()),
        Operation::Any => set_all(&mut results, group.mask, (true_lanes() != 0) as u32),
        Operation::All => set_all(&mut results, group.mask, (true_lanes() == group.mask) as u32),
        Operation::Reduce(reduction) => {
            let values = lanes(group.mask).map(|lane| warp.values[lane as usize]);
            let reduced = values.reduce(|a, b| (reduction.combine)(a, b)).unwrap_or_default();
            set_all(&mut results, group.mask, reduced);
        }
        Operation::MatchAny | Operation::MatchDigit => {
            let mut rest = group.mask;
            while rest != 0 {
                let value = warp.values[rest.trailing_zeros() as usize];
                let same = lanes_where(&warp.values, rest, |other| other == value);
                set_all(&mut results, same, same);
                rest &= !same;
            }
        }
        shuffle => {
            for lane in lanes(group.mask) {
                let argument = warp.arguments[lane as usize];
                if let Some(source) = shuffle.source(lane, argument) {
                    results[lane as usize] = warp.values[source as usize];
                }
            }
        }
    }
    results
}

/// The lanes of `mask` with a value that `holds` accepts.
fn lanes_where(values: &[u32; 32], mask: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let accepted = |lane: usize| (holds(values[lane]) as u32) << lane;
    (0..32).fold(0, |set, lane| set | accepted(lane)) & mask
}

fn set_all(results: &mut [u32; 32], mask: u32, value: u32) {
    lanes(mask).for_each(|lane| results[lane as usize] = value);
}
