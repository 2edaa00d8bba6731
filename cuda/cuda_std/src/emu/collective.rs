//! What the lanes of a warp do together.
//!
//! A lane deposits what it brings and waits; the last lane of the mask to come
//! computes everybody's result. Lanes may come from different source lines: the
//! hardware asks for the same operation and mask, no more. Only the warp barrier
//! orders memory.

use super::clock::Knowledge;
use super::finding::Kind;
use super::launch::{Launch, Me};
use super::options::MemoryModel;
use super::scheduler::{Fault, Place, State, Wait, Warp};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    SyncWarp,
    ShuffleIdx,
    ShuffleUp,
    ShuffleDown,
    ShuffleXor,
    Ballot,
    Any,
    All,
    MatchAny,
    MatchDigit,
    Reduce(Reduction),
}

/// What two lanes' values become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reduction {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
}

impl Reduction {
    fn of(self, a: u32, b: u32) -> u32 {
        match self {
            Reduction::Add => a.wrapping_add(b),
            Reduction::Min => a.min(b),
            Reduction::Max => a.max(b),
            Reduction::And => a & b,
            Reduction::Or => a | b,
            Reduction::Xor => a ^ b,
        }
    }
}

impl Operation {
    /// As kernels write it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::SyncWarp => "sync_warp",
            Operation::ShuffleIdx => "shuffle_idx",
            Operation::ShuffleUp => "shuffle_up",
            Operation::ShuffleDown => "shuffle_down",
            Operation::ShuffleXor => "shuffle_xor",
            Operation::Ballot => "ballot",
            Operation::Any => "any",
            Operation::All => "all",
            Operation::MatchAny => "match_any",
            Operation::MatchDigit => "match_digit",
            Operation::Reduce(Reduction::Add) => "reduce_add",
            Operation::Reduce(Reduction::Min) => "reduce_min",
            Operation::Reduce(Reduction::Max) => "reduce_max",
            Operation::Reduce(Reduction::And) => "reduce_and",
            Operation::Reduce(Reduction::Or) => "reduce_or",
            Operation::Reduce(Reduction::Xor) => "reduce_xor",
        }
    }

    /// The lane that `lane` gets its value from, for a shuffle.
    fn source(self, lane: u32, argument: u32) -> Option<u32> {
        match self {
            Operation::ShuffleIdx => Some(argument % 32),
            Operation::ShuffleUp => Some(lane.checked_sub(argument).unwrap_or(lane)),
            Operation::ShuffleDown => Some(
                lane.checked_add(argument)
                    .filter(|&l| l < 32)
                    .unwrap_or(lane),
            ),
            // Beyond the warp, a lane keeps its own.
            Operation::ShuffleXor if argument < 32 => Some(lane ^ argument),
            Operation::ShuffleXor => Some(lane),
            _ => None,
        }
    }
}

/// Lanes on their way into one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub operation: Operation,
    pub mask: u32,
    pub arrived: u32,
}

impl Launch {
    /// Takes part in a warp operation: this lane's result.
    pub fn collective(
        &self,
        operation: Operation,
        mask: u32,
        value: u32,
        argument: u32,
        at: Place,
    ) -> u32 {
        let me = self.me();
        let bit = 1 << (me.lane % 32);
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
            state.join_group(
                me,
                Group {
                    operation,
                    mask,
                    arrived: bit,
                },
            )
        };
        match complete {
            Err(fault) => self.stop(self.finding_of(*fault)),
            Ok(true) => {}
            Ok(false) => self.suspend(),
        }
        self.state.borrow().warps[warp].values[lane]
    }

    pub fn active_mask(&self) -> u32 {
        self.state.borrow_mut().active_mask(self.me().lane)
    }
}

impl State {
    /// Adds the running lane to those who wait for the same operation. True if it
    /// was the last: all are ready then.
    fn join_group(&mut self, me: Me, own: Group) -> Result<bool, Box<Fault>> {
        let index = me.lane / 32;
        let warp = &mut self.warps[index];
        let found = warp
            .groups
            .iter()
            .position(|g| g.mask == own.mask && g.operation == own.operation);
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

    /// Finds what no later arrival can make good.
    fn check_mask(&self, me: Me, own: Group) -> Result<(), Box<Fault>> {
        let warp = &self.warps[me.lane / 32];
        let (lane, name) = (me.lane % 32, own.operation.name());
        let fault = |other: Option<usize>, message| {
            Err(Box::new(Fault {
                kind: Kind::WarpMask,
                site: self.last_site(me.lane),
                other: other.and_then(|other| self.last_site(me.lane / 32 * 32 + other)),
                message,
            }))
        };
        let absent = own.mask & !(warp.members & !warp.exited);
        if own.mask & own.arrived == 0 {
            let message = format!(
                "lane {lane} calls {name} with mask {:#010x}, without itself",
                own.mask
            );
            return fault(None, message);
        }
        if absent != 0 {
            let missing = absent.trailing_zeros();
            let why = if warp.members >> missing & 1 == 0 {
                "does not exist"
            } else {
                "has exited"
            };
            let message = format!(
                "{name} with mask {:#010x} names lane {missing}, which {why}",
                own.mask
            );
            return fault(Some(missing as usize), message);
        }
        // They wait for this lane, and it waits for one of them, elsewhere.
        let crossed = |g: &&Group| g.mask & own.arrived != 0 && own.mask & g.arrived != 0;
        if let Some(group) = warp.groups.iter().find(crossed) {
            let other = (own.mask & group.arrived).trailing_zeros();
            let message = format!(
                "lane {lane} calls {name} with mask {:#010x}, lane {other} {} with mask {:#010x}",
                own.mask,
                group.operation.name(),
                group.mask
            );
            return fault(Some(other as usize), message);
        }
        Ok(())
    }

    /// Computes the results of a group that is complete.
    fn complete(&mut self, index: usize, group: Group) -> Result<(), Box<Fault>> {
        if group.operation == Operation::SyncWarp {
            if self.keeps_clocks {
                self.warp_barrier(index, group.mask);
            }
            return Ok(());
        }
        if let Some(lane) = shuffle_from_outside(&self.warps[index], group) {
            return Err(Box::new(Fault {
                kind: Kind::WarpMask,
                site: self.last_site(index * 32 + lane as usize),
                other: None,
                message: format!(
                    "lane {lane} asks {} for a lane outside of its mask {:#010x}",
                    group.operation.name(),
                    group.mask
                ),
            }));
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

/// The lanes of a word, lowest first.
fn lanes(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |lane| mask >> lane & 1 != 0)
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
    let holds = lanes(group.mask)
        .filter(|&lane| warp.values[lane as usize] != 0)
        .fold(0, |set, lane| set | 1 << lane);
    match group.operation {
        Operation::SyncWarp => {}
        Operation::Ballot => set_all(&mut results, group.mask, holds),
        Operation::Any => set_all(&mut results, group.mask, (holds != 0) as u32),
        Operation::All => set_all(&mut results, group.mask, (holds == group.mask) as u32),
        Operation::Reduce(reduction) => {
            let values = lanes(group.mask).map(|lane| warp.values[lane as usize]);
            let reduced = values.reduce(|a, b| reduction.of(a, b)).unwrap_or_default();
            set_all(&mut results, group.mask, reduced);
        }
        Operation::MatchAny | Operation::MatchDigit => {
            let mut rest = group.mask;
            while rest != 0 {
                let value = warp.values[rest.trailing_zeros() as usize];
                let same = lanes(rest)
                    .filter(|&lane| warp.values[lane as usize] == value)
                    .fold(0, |set, lane| set | 1 << lane);
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

fn set_all(results: &mut [u32; 32], mask: u32, value: u32) {
    lanes(mask).for_each(|lane| results[lane as usize] = value);
}
