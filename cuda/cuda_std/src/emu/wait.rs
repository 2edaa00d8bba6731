//! Waiting on memory, and what to say when everybody waits.
//!
//! A thread that loads a word again, and sees what it saw, spins. It sleeps until
//! one of the words it polled changes. That makes spinning cheap, and shows when
//! nobody is left to change anything. Since a load may return an old value, a
//! thread that would sleep although a polled word has changed goes on instead, and
//! reads the newest: stale reads delay what a thread sees, but not for ever.

use super::access::Access;
use super::allocation::Allocation;
use super::finding::{Finding, Kind};
use super::history::FixedState;
use super::launch::{Launch, Me};
use super::scheduler::{Fault, Place, State, Wait};
use std::collections::HashMap;

/// A word that a thread loaded, and what it saw.
#[derive(Clone, Copy)]
pub(crate) struct Polled {
    memory: *const Allocation,
    offset: usize,
    size: usize,
    value: u64,
}

impl Polled {
    fn new(access: &Access, value: u64) -> Self {
        Self {
            memory: access.memory,
            offset: access.offset,
            size: access.size,
            value,
        }
    }

    fn with_access<R>(&self, f: impl FnOnce(&Access) -> R) -> R {
        f(&Access {
            // SAFETY: buffers outlive the launches that use them.
            memory: unsafe { &*self.memory },
            offset: self.offset,
            size: self.size,
            kind: super::access::Kind::READ,
            at: std::panic::Location::caller(),
        })
    }

    fn address(&self) -> usize {
        self.with_access(|access| access.pointer() as usize)
    }

    fn has_changed(&self) -> bool {
        self.with_access(|access| access.value() != self.value)
    }
}

/// Who sleeps until which word changes. Words are grouped by eight bytes; a thread
/// woken for its neighbour's sake goes to sleep again.
#[derive(Default)]
pub(crate) struct Sleepers {
    /// Lane, and the number of its sleep: it may have been woken by another word.
    by_address: HashMap<usize, Vec<(usize, u32)>, FixedState>,
    sleeps: u32,
}

impl Sleepers {
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Everybody has been woken.
    pub fn clear(&mut self) {
        self.by_address.clear();
    }
}

impl State {
    /// Notes what a thread loaded. True if it saw the same before and did nothing
    /// else since: it spins.
    pub fn note_load(&mut self, lane: usize, access: &Access, value: u64) -> bool {
        /// A spin over more words than this is only found by counting turns.
        const POLLED_MAX: usize = 16;
        let polled = &mut self.lanes[lane].polled;
        let seen = Polled::new(access, value);
        let same = |p: &&mut Polled| std::ptr::eq(p.memory, seen.memory) && p.offset == seen.offset;
        if let Some(before) = polled.iter_mut().find(same) {
            let spins = before.value == value;
            *before = seen;
            return spins;
        }
        if polled.len() == POLLED_MAX {
            polled.remove(0);
        }
        polled.push(seen);
        false
    }

    /// Puts a thread to sleep until a word it polled changes. False if one has.
    /// Either way its next loads of them read the newest.
    pub fn sleep(&mut self, lane: usize, patient: bool, at: Place) -> bool {
        let polled = std::mem::take(&mut self.lanes[lane].polled);
        self.lanes[lane].fresh = polled.iter().map(Polled::address).collect();
        if polled.iter().any(Polled::has_changed) {
            return false;
        }
        self.sleepers.sleeps += 1;
        let sleep = self.sleepers.sleeps;
        self.lanes[lane].sleep = sleep;
        for word in &polled {
            let sleepers = self
                .sleepers
                .by_address
                .entry(word.address() / 8)
                .or_default();
            sleepers.push((lane, sleep));
        }
        // For the report; cleared when it wakes.
        self.lanes[lane].polled = polled;
        self.make_wait(lane, Wait::Poll { patient }, at);
        true
    }

    /// Some bytes have changed.
    pub fn wake(&mut self, address: usize, size: usize) {
        for word in address / 8..(address + size).div_ceil(8) {
            let Some(sleepers) = self.sleepers.by_address.remove(&word) else {
                continue;
            };
            for (lane, sleep) in sleepers {
                let sleeps = matches!(self.lanes[lane].wait, Wait::Poll { .. });
                if sleeps && self.lanes[lane].sleep == sleep {
                    self.set_ready(lane / 32, 1 << (lane % 32));
                }
            }
        }
    }

    fn describe_wait(&self, lane: usize) -> Option<String> {
        let Some(at) = self.lanes[lane].at else {
            return Some("has not run".to_owned());
        };
        let what = match self.lanes[lane].wait {
            Wait::Exited => return None,
            Wait::Ready => "is ready to go on".to_owned(),
            Wait::Barrier => "waits at the block barrier".to_owned(),
            Wait::Collective => self.describe_collective(lane),
            Wait::Poll { .. } => {
                let words = self.lanes[lane].polled.iter().map(|word| {
                    let place = word.with_access(|access| access.place());
                    format!("{place}, which is {:#x}", word.value)
                });
                let words: Vec<_> = words.collect();
                match words.as_slice() {
                    [] => "waits for others".to_owned(),
                    words => format!("waits for a change of {}", words.join(" or ")),
                }
            }
        };
        Some(format!("{what}, at {at}"))
    }

    fn describe_collective(&self, lane: usize) -> String {
        let warp = &self.warps[lane / 32];
        match warp
            .groups
            .iter()
            .find(|group| group.arrived >> (lane % 32) & 1 != 0)
        {
            Some(group) => format!(
                "waits in {} with mask {:#010x}, of which {:#010x} came",
                group.operation.name(),
                group.mask,
                group.arrived
            ),
            None => "waits in a warp operation".to_owned(),
        }
    }

    /// What each thread waits for, threads in the same state together.
    fn describe_waits(&self) -> Vec<String> {
        const LINES_MAX: usize = 40;
        let mut waits: Vec<(Me, u32, String)> = Vec::new();
        for lane in &self.lanes {
            let Some(wait) = self.describe_wait(lane.me.lane) else {
                continue;
            };
            match waits.last_mut() {
                Some((first, last, same))
                    if *same == wait
                        && first.block == lane.me.block
                        && *last + 1 == lane.me.thread =>
                {
                    *last += 1;
                }
                _ => waits.push((lane.me, lane.me.thread, wait)),
            }
        }
        let more = waits.len().saturating_sub(LINES_MAX);
        waits.truncate(LINES_MAX);
        let mut lines: Vec<_> = waits
            .into_iter()
            .map(|(first, last, wait)| {
                if last == first.thread {
                    format!("block {} thread {last} {wait}", first.block)
                } else {
                    format!(
                        "block {} threads {}..={last}: each {wait}",
                        first.block, first.thread
                    )
                }
            })
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more groups of threads"));
        }
        lines
    }

    /// If lanes wait in a warp operation for lanes that wait elsewhere: who for whom.
    fn missing_lanes(&self) -> Option<Fault> {
        self.warps.iter().enumerate().find_map(|(index, warp)| {
            let group = warp.groups.first()?;
            let missing = (group.mask & !group.arrived).trailing_zeros() as usize;
            let is_elsewhere =
                |lane: usize| matches!(self.lanes[lane].wait, Wait::Barrier | Wait::Collective);
            let waiting = index * 32 + group.arrived.trailing_zeros() as usize;
            is_elsewhere(index * 32 + missing).then(|| Fault {
                kind: Kind::WarpMask,
                site: self.last_site(waiting),
                other: self.last_site(index * 32 + missing),
                message: format!(
                    "{} with mask {:#010x} waits for lane {missing}, which waits elsewhere",
                    group.operation.name(),
                    group.mask
                ),
            })
        })
    }
}

impl Launch {
    /// One turn of a wait that has something else to do: whether to do it.
    pub fn patience_ended(&self, at: Place) -> bool {
        let me = self.me();
        let mut state = self.state.borrow_mut();
        let impatience = state.impatience;
        if impatience > 0 && state.rng.u32(0..impatience) == 0 {
            state.stats.impatient += 1;
            state.lanes[me.lane].polled.clear();
            return true;
        }
        if !state.sleep(me.lane, true, at) {
            state.make_ready(me.lane, at);
        }
        self.has_sleepers.set(true);
        drop(state);
        self.suspend();
        let mut state = self.state.borrow_mut();
        let lane = &mut state.lanes[me.lane];
        lane.polled.clear();
        let gave_up = std::mem::take(&mut lane.gave_up);
        state.stats.impatient += gave_up as u64;
        gave_up
    }

    /// Sleeps until a word that the running thread polled changes.
    pub fn sleep(&self, at: Place) {
        let lane = self.me().lane;
        if self.state.borrow_mut().sleep(lane, false, at) {
            self.has_sleepers.set(true);
            self.suspend();
            self.state.borrow_mut().lanes[lane].polled.clear();
        }
    }

    pub fn finding_of(&self, fault: Fault) -> Finding {
        let mut finding = self.launched().finding(fault.kind, fault.message);
        finding.site = fault.site;
        finding.other = fault.other;
        finding
    }

    /// The finding when nothing goes on.
    pub fn hang(&self, kind: Kind) -> Finding {
        let state = self.state.borrow();
        let fault = match kind {
            Kind::Deadlock => state.missing_lanes(),
            _ => None,
        };
        let mut finding = match fault {
            Some(fault) => self.finding_of(fault),
            None => {
                let message = match kind {
                    Kind::Livelock => "threads run and nothing changes",
                    _ => "every thread waits",
                };
                self.launched().finding(kind, message.to_owned())
            }
        };
        finding.waiting = state.describe_waits();
        finding
    }
}
