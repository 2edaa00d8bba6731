//! The state of a launch: its resident blocks, warps and lanes.
//!
//! Resident blocks have slots, and their warps and lanes fixed numbers in them. A warp
//! keeps the set of its ready lanes in a word, and the ready warps are sets of bits, so
//! that choosing costs a few instructions.

use super::access::Access;
use super::clock::{Knowledge, Stamp, View};
use super::finding::{Finding, Kind, Launched};
use super::history::Release;
use super::location::{Site, SourceLocation};
use super::operation::{Group, lanes as bits};
use super::options::{Checks, MemoryModel, Policy};
use super::thread::{Me, Stats};
use fastrand::Rng;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::rc::Rc;

/// The state of a thread that does not run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Wait {
    Ready,
    Barrier,
    Collective,
    /// For one of the words it polled to change.
    Poll,
    /// The same, for as long as any other thread can go on.
    PatientPoll,
    #[default]
    Exited,
}

impl Wait {
    pub(super) fn is_poll(self) -> bool {
        matches!(self, Wait::Poll | Wait::PatientPoll)
    }
}

#[derive(Default)]
pub(crate) struct Lane {
    pub me: Me,
    pub wait: Wait,
    /// The line at which it last suspended itself.
    pub at: Option<SourceLocation>,
    /// The words it loaded since it last did anything else.
    pub polled: Vec<Polled>,
    /// Words of which its next load reads the newest store.
    pub fresh: Vec<usize>,
    /// Tells its sleep from earlier ones.
    pub sleep: u32,
    /// Set if it was woken because no other thread could go on.
    pub gave_up: bool,
    /// The releases of its last fences.
    pub released: Vec<Release>,
    /// The releases that its loads met, for an acquire fence.
    pub met: Vec<Release>,
}

#[derive(Default)]
pub(crate) struct Warp {
    /// The lanes that exist.
    pub members: u32,
    pub ready: u32,
    pub exited: u32,
    /// 0 to be chosen first, 1 to be chosen last.
    pub tier: usize,
    pub priority: u32,
    /// Unfinished warp operations.
    pub groups: Vec<Group>,
    /// The argument of each lane to one, and then the result.
    pub values: [u32; 32],
    pub arguments: [u32; 32],
}

#[derive(Default)]
pub(crate) struct Block {
    /// Threads that have not exited; 0: the slot is free.
    pub live: u32,
    pub arrived: u32,
    /// The threads that have arrived in which a predicate held.
    pub holding: u32,
    /// The same, at the last barrier passed.
    pub result: u32,
}

/// A set of warps.
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn set(&mut self, i: usize, value: bool) {
        let bit = 1 << (i % 64);
        if value {
            self.0[i / 64] |= bit;
        } else {
            self.0[i / 64] &= !bit;
        }
    }

    pub(super) fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 != 0
    }

    pub(super) fn first(&self) -> Option<usize> {
        self.next(0)
    }

    pub(super) fn last(&self) -> Option<usize> {
        let word = self.0.iter().rposition(|&word| word != 0)?;
        Some(word * 64 + 63 - self.0[word].leading_zeros() as usize)
    }

    /// The first member from `from` on.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut rest = self.0.get(word)? >> (from % 64) << (from % 64);
        while rest == 0 {
            word += 1;
            rest = *self.0.get(word)?;
        }
        Some(word * 64 + rest.trailing_zeros() as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.first(), |&i| self.next(i + 1))
    }
}

/// A word that a thread loaded, and the value it saw.
#[derive(Clone, Copy)]
pub(crate) struct Polled {
    pub access: Access<'static>,
    pub value: u64,
}

/// The threads that sleep until a word changes. Words are grouped by eight bytes; a
/// thread woken by a change of the neighbour goes to sleep again.
#[derive(Default)]
pub(crate) struct Sleepers {
    /// Lane, and the number of its sleep: it may have been woken by another word.
    pub by_address: FxHashMap<usize, Vec<(usize, u32)>>,
    pub sleeps: u32,
}

/// A store that has not reached memory.
pub(crate) struct Pending {
    pub access: Access<'static>,
    pub value: u128,
    /// Of an atomic store: its time, and the releases it carries.
    pub atomic: Option<(Stamp, Vec<Release>)>,
}

pub(crate) struct State {
    pub launched: Launched,
    pub warps_a_block: usize,
    pub policy: Policy,
    pub checks: Checks,
    pub memory: MemoryModel,
    /// Set if happens-before has to be known.
    pub keeps_clocks: bool,
    pub rng: Rng,
    pub lanes: Vec<Lane>,
    /// The knowledge of each lane, by the lane's number.
    pub knowledge: Vec<Knowledge>,
    pub warps: Vec<Warp>,
    pub blocks: Vec<Block>,
    /// Blocks that have not started, the next one last.
    pub unstarted: Vec<u32>,
    pub ready: [Bits; 2],
    pub current: usize,
    /// Moments, in turns, at which a priority changes; the next one last.
    pub changes: Vec<u64>,
    pub lowest_priority: u32,
    pub sleepers: Sleepers,
    /// Stores that have not reached memory, each buffer oldest first: of each lane, of
    /// each slot's block, and of blocks that have ended.
    pub buffers: Vec<Vec<Pending>>,
    /// Stores that have left a buffer.
    pub commits: u64,
    pub nothing: Rc<View>,
    /// Progress when the scheduler last looked, and turns since it changed.
    pub progress: u64,
    pub idle: u64,
    /// Set if all threads have had to be woken since.
    pub stuck: bool,
    pub finding: Option<Finding>,
    /// The finding about the first read of unwritten shared memory, and the read.
    pub unwritten: Option<(Finding, Access<'static>)>,
    pub stats: Stats,
}

impl State {
    pub(super) fn new(launched: &Launched) -> Self {
        let options = &launched.options;
        /// Turns in which the priorities of [`Policy::Priorities`] change.
        const CHANGES_WITHIN: u64 = 20_000;
        let mut rng = Rng::with_seed(options.seed);
        let warps_a_block = launched.block.div_ceil(32) as usize;
        let slots = options.resident.min(launched.grid) as usize;
        let mut unstarted: Vec<u32> = (0..launched.grid).rev().collect();
        if options.shuffle_blocks {
            rng.shuffle(&mut unstarted);
        }
        let mut changes = Vec::new();
        if let Policy::Priorities(count) = options.policy {
            changes = (0..count).map(|_| rng.u64(0..CHANGES_WITHIN)).collect();
            changes.sort_by(|a, b| b.cmp(a));
        }
        let words = (slots * warps_a_block).div_ceil(64);
        let nothing = Rc::new(View::default());
        let lanes = slots * warps_a_block * 32;
        Self {
            launched: launched.clone(),
            warps_a_block,
            policy: options.policy,
            checks: options.checks,
            memory: options.memory,
            keeps_clocks: options.checks == Checks::Races
                || options.memory == MemoryModel::StaleReads,
            rng,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            knowledge: vec![Knowledge::new(0, &nothing); lanes],
            warps: (0..slots * warps_a_block).map(|_| Warp::default()).collect(),
            blocks: (0..slots).map(|_| Block::default()).collect(),
            unstarted,
            ready: [Bits(vec![0; words]), Bits(vec![0; words])],
            current: 0,
            changes,
            lowest_priority: 1 << 16,
            sleepers: Sleepers::default(),
            buffers: (0..lanes + slots + 1).map(|_| Vec::new()).collect(),
            commits: 0,
            nothing,
            progress: 0,
            idle: 0,
            stuck: false,
            finding: None,
            unwritten: None,
            stats: Stats::default(),
        }
    }

    /// The numbers of the lanes of a slot that exist.
    pub(super) fn lanes_of(&self, slot: usize) -> Range<usize> {
        let first = slot * self.warps_a_block * 32;
        first..first + self.launched.block as usize
    }

    pub(super) fn warps_of(&self, slot: usize) -> Range<usize> {
        slot * self.warps_a_block..(slot + 1) * self.warps_a_block
    }

    /// The line at which a thread last suspended itself, if it has.
    pub(super) fn last_site(&self, lane: usize) -> Option<Site> {
        let Lane { me, at, .. } = &self.lanes[lane];
        at.map(|at| me.site(at))
    }

    /// A finding about a thread that waits, and another one.
    pub(super) fn fault(
        &self,
        kind: Kind,
        lane: usize,
        other: Option<usize>,
        message: String,
    ) -> Box<Finding> {
        let (site, other) = (self.last_site(lane), other.and_then(|other| self.last_site(other)));
        Box::new(Finding { site, other, ..self.launched.finding(kind, message) })
    }

    /// Makes lanes of a warp ready.
    pub(super) fn set_ready(&mut self, warp: usize, lanes: u32) {
        let first = warp * 32;
        for lane in bits(lanes) {
            self.lanes[first + lane as usize].wait = Wait::Ready;
        }
        self.warps[warp].ready |= lanes;
        if self.warps[warp].ready != 0 {
            self.ready[self.warps[warp].tier].set(warp, true);
        }
    }

    /// The running thread will suspend itself, ready to go on.
    pub(super) fn make_ready(&mut self, lane: usize, at: SourceLocation) {
        self.lanes[lane].at = Some(at);
        self.set_ready(lane / 32, 1 << (lane % 32));
    }

    /// The running thread will suspend itself and wait.
    pub(super) fn make_wait(&mut self, lane: usize, wait: Wait, at: SourceLocation) {
        self.lanes[lane].wait = wait;
        self.lanes[lane].at = Some(at);
    }
}
