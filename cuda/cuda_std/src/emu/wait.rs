//! Waits on memory, and the report when every thread waits.
//!
//! A thread that loads a word again and sees the same value spins. It sleeps until one of the words
//! it polled changes. That makes spinning cheap, and shows when no thread is left to change
//! anything. Since a load may return an old value, a thread that would sleep although a polled word
//! has changed goes on instead and reads the newest: stale reads delay a value, but not for ever.

use super::access::Access;
use super::finding::{Finding, Kind};
use super::launch::Launch;
use super::location::SourceLocation;
use super::state::{Polled, State, Wait};
use super::thread::Me;

impl State {
    /// Notes the value that a thread loaded. Returns true if it saw the same before and
    /// did nothing else since: it spins.
    pub(super) fn note_load(&mut self, lane: usize, access: &Access, value: u64) -> bool {
        /// A spin over more words than this is only found by counting turns.
        const POLLED_MAX: usize = 16;
        let polled = &mut self.lanes[lane].polled;
        let seen = Polled { access: access.outliving(), value };
        let same = |p: &&mut Polled| p.access.pointer() == access.pointer();
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

    /// Puts a thread to sleep until a word it polled changes. Returns false if one has.
    /// Either way its next loads of them read the newest.
    pub(super) fn sleep(&mut self, lane: usize, wait: Wait, at: SourceLocation) -> bool {
        let polled = std::mem::take(&mut self.lanes[lane].polled);
        self.lanes[lane].fresh = polled.iter().map(|p| p.access.pointer() as usize).collect();
        if polled.iter().any(|p| p.access.value() as u64 != p.value) {
            return false;
        }
        self.sleepers.sleeps += 1;
        let sleep = self.sleepers.sleeps;
        self.lanes[lane].sleep = sleep;
        for word in &polled {
            let address = word.access.pointer() as usize / 8;
            let sleepers = self.sleepers.by_address.entry(address).or_default();
            sleepers.push((lane, sleep));
        }
        // For the report; cleared when it wakes.
        self.lanes[lane].polled = polled;
        self.make_wait(lane, wait, at);
        true
    }

    /// Some bytes have changed.
    pub(super) fn wake(&mut self, address: usize, size: usize) {
        for word in address / 8..(address + size).div_ceil(8) {
            let Some(sleepers) = self.sleepers.by_address.remove(&word) else {
                continue;
            };
            for (lane, sleep) in sleepers {
                if self.lanes[lane].wait.is_poll() && self.lanes[lane].sleep == sleep {
                    self.set_ready(lane / 32, 1 << (lane % 32));
                }
            }
        }
    }

    fn describe_wait(&self, lane: usize) -> Option<String> {
        let Some(at) = self.lanes[lane].at else {
            return Some("has not run".to_owned());
        };
        let wait = match self.lanes[lane].wait {
            Wait::Exited => return None,
            Wait::Ready => "is ready to go on".to_owned(),
            Wait::Barrier => "waits at the block barrier".to_owned(),
            Wait::Collective => self.describe_collective(lane),
            Wait::Poll | Wait::PatientPoll => {
                let describe = |word: &Polled| {
                    format!("{}, which is {:#x}", word.access.describe(), word.value)
                };
                let words: Vec<_> = self.lanes[lane].polled.iter().map(describe).collect();
                match words.as_slice() {
                    [] => "waits for others".to_owned(),
                    words => format!("waits for a change of {}", words.join(" or ")),
                }
            }
        };
        Some(format!("{wait}, at {at}"))
    }

    fn describe_collective(&self, lane: usize) -> String {
        let mut groups = self.warps[lane / 32].groups.iter();
        match groups.find(|group| group.arrived >> (lane % 32) & 1 != 0) {
            Some(group) => format!("waits in {group}, of which {:#010x} came", group.arrived),
            None => "waits in a warp operation".to_owned(),
        }
    }

    /// The wait of each thread, threads in the same state together.
    fn describe_waits(&self) -> Vec<String> {
        const LINES_MAX: usize = 40;
        let waits = self.lanes.iter();
        let waits = waits.filter_map(|lane| Some((lane.me, self.describe_wait(lane.me.lane)?)));
        let waits: Vec<(Me, String)> = waits.collect();
        let is_next = |(a, wait): &(Me, String), (b, other): &(Me, String)| {
            (a.block, a.thread + 1, wait) == (b.block, b.thread, other)
        };
        let describe = |group: &[(Me, String)]| {
            let (Me { block, thread, .. }, wait) = &group[0];
            match group.len() as u32 {
                1 => format!("block {block} thread {thread} {wait}"),
                n => format!("block {block} threads {thread}..={}: each {wait}", thread + n - 1),
            }
        };
        let mut lines: Vec<String> = waits.chunk_by(is_next).map(describe).collect();
        let more = lines.len().saturating_sub(LINES_MAX);
        if more > 0 {
            lines.truncate(LINES_MAX);
            lines.push(format!("and {more} more groups of threads"));
        }
        lines
    }

    /// The finding about lanes that wait in a warp operation for lanes that wait
    /// elsewhere, if there are such.
    fn missing_lanes(&self) -> Option<Box<Finding>> {
        self.warps.iter().enumerate().find_map(|(index, warp)| {
            let group = warp.groups.first()?;
            let missing = (group.mask & !group.arrived).trailing_zeros() as usize;
            let [waiting, other] =
                [group.arrived.trailing_zeros() as usize, missing].map(|lane| index * 32 + lane);
            let is_elsewhere = matches!(self.lanes[other].wait, Wait::Barrier | Wait::Collective);
            let message = format!("{group} waits for lane {missing}, which waits elsewhere");
            is_elsewhere.then(|| self.fault(Kind::WarpMask, waiting, Some(other), message))
        })
    }

    /// The finding about a launch that hangs.
    pub(super) fn hang(&self, kind: Kind) -> Finding {
        let missing = match kind {
            Kind::Deadlock => self.missing_lanes(),
            _ => None,
        };
        let message = match kind {
            Kind::Livelock => "threads run and nothing changes",
            _ => "every thread waits",
        };
        let mut finding = match missing {
            Some(finding) => *finding,
            None => self.launched.finding(kind, message.to_owned()),
        };
        finding.waiting = self.describe_waits().into();
        finding
    }
}

impl Launch {
    /// Takes one turn of a patient wait. Returns true if the thread should go on without.
    pub(crate) fn patience_ended(&self, at: SourceLocation) -> bool {
        let me = self.me();
        let mut state = self.state.borrow_mut();
        let impatience = state.launched.options.impatience;
        if impatience > 0 && state.rng.u32(0..impatience) == 0 {
            state.stats.impatient += 1;
            state.lanes[me.lane].polled.clear();
            return true;
        }
        if !state.sleep(me.lane, Wait::PatientPoll, at) {
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
    pub(crate) fn sleep(&self, at: SourceLocation) {
        let lane = self.me().lane;
        if self.state.borrow_mut().sleep(lane, Wait::Poll, at) {
            self.has_sleepers.set(true);
            self.suspend();
            self.state.borrow_mut().lanes[lane].polled.clear();
        }
    }
}
