//! Who goes on.
//!
//! Resident blocks stand in slots, their warps and lanes at fixed numbers in them.
//! A warp keeps the set of its ready lanes in a word, and the ready warps are sets
//! of bits, so that choosing costs a few instructions. Two such sets: warps that
//! the policy puts last are chosen only when the other set is empty.
//!
//! A thread leaves the ready set when it waits: at a barrier, in a warp operation,
//! or for a word to change (see [`wait`](super::wait)). When nobody is ready, those
//! who only wait as long as others can go on get another turn; if that changes
//! nothing for long enough, the launch hangs.

use super::access::Access;
use super::clock::{BLOCK, Knowledge, View};
use super::collective::Group;
use super::finding::{Finding, Kind, Site};
use super::history::Release;
use super::launch::{Me, Shape, Stats};
use super::location::Numbers;
use super::options::{Checks, Options, Policy};
use super::shadow::Conflict;
use super::store_buffer::Buffers;
use super::wait::{Polled, Sleepers};
use fastrand::Rng;
use std::panic::Location;
use std::rc::Rc;

pub(crate) type Place = &'static Location<'static>;

/// What a thread does when it does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    Ready,
    Barrier,
    Collective,
    /// For one of the words it polled to change; if patient, for as long as
    /// anybody else can go on.
    Poll {
        patient: bool,
    },
    Exited,
}

pub(crate) struct Lane {
    pub me: Me,
    pub wait: Wait,
    /// Where it last suspended itself.
    pub at: Option<Place>,
    /// The words it loaded since it last did anything else.
    pub polled: Vec<Polled>,
    /// Words of which its next load reads the newest store.
    pub fresh: Vec<usize>,
    /// Tells its sleep from earlier ones.
    pub sleep: u32,
    /// Whether it was woken because nobody else could go on.
    pub gave_up: bool,
    /// What its last release fences published.
    pub released: Vec<Release>,
    /// What its loads met, for an acquire fence to learn.
    pub met: Vec<Release>,
}

pub(crate) struct Warp {
    /// The lanes that exist.
    pub members: u32,
    pub ready: u32,
    pub exited: u32,
    /// 0 to be chosen first, 1 to be chosen last.
    tier: usize,
    priority: u32,
    /// Unfinished warp operations.
    pub groups: Vec<Group>,
    /// What each lane brings to one, and then what it gets out of it.
    pub values: [u32; 32],
    pub arguments: [u32; 32],
}

pub(crate) struct Block {
    /// Threads that have not exited; 0: the slot is free.
    pub live: u32,
    pub arrived: u32,
    /// Whether a predicate held in a thread that has arrived.
    pub any: bool,
    /// The same, at the last barrier passed.
    pub result: bool,
}

/// A set of warps.
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, i: usize, value: bool) {
        let bit = 1 << (i % 64);
        if value {
            self.0[i / 64] |= bit;
        } else {
            self.0[i / 64] &= !bit;
        }
    }

    fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 != 0
    }

    fn first(&self) -> Option<usize> {
        self.next(0)
    }

    fn last(&self) -> Option<usize> {
        let word = self.0.iter().rposition(|&word| word != 0)?;
        Some(word * 64 + 63 - self.0[word].leading_zeros() as usize)
    }

    /// The first member from `from` on.
    fn next(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut rest = self.0.get(word)? >> (from % 64) << (from % 64);
        while rest == 0 {
            word += 1;
            rest = *self.0.get(word)?;
        }
        Some(word * 64 + rest.trailing_zeros() as usize)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.first(), |&i| self.next(i + 1))
    }
}

/// What the scheduler says.
pub(crate) enum Next {
    Thread(Me),
    /// All threads have exited.
    Done,
    Hangs(Kind),
}

/// A fault that no running thread met.
pub(crate) struct Fault {
    pub kind: Kind,
    pub site: Option<Site>,
    pub other: Option<Site>,
    pub message: String,
}

pub(crate) struct State {
    shape: Shape,
    warps_a_block: usize,
    policy: Policy,
    pub impatience: u32,
    pub checks: Checks,
    pub keeps_clocks: bool,
    pub memory: super::options::MemoryModel,
    idle_limit: u64,
    pub rng: Rng,
    pub lanes: Vec<Lane>,
    /// What each lane knows, by the lane's number.
    pub knowledge: Vec<Knowledge>,
    pub warps: Vec<Warp>,
    pub blocks: Vec<Block>,
    /// Blocks that have not started, the next one last.
    unstarted: Vec<u32>,
    ready: [Bits; 2],
    current: usize,
    /// Moments, in turns, at which a priority changes; the next one last.
    changes: Vec<u64>,
    lowest_priority: u32,
    pub sleepers: Sleepers,
    pub buffers: Buffers,
    /// Stores that have left a buffer.
    pub commits: u64,
    pub numbers: Numbers,
    nothing: Rc<View>,
    /// Progress when the scheduler last looked, and turns since it changed.
    progress: u64,
    idle: u64,
    /// Whether everybody has had to be woken since.
    stuck: bool,
    pub finding: Option<Finding>,
    pub stats: Stats,
}

impl State {
    /// Turns in which the priorities of [`Policy::Priorities`] change.
    const CHANGES_WITHIN: u64 = 20_000;

    pub fn new(shape: Shape, options: &Options) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let warps_a_block = shape.block.div_ceil(32) as usize;
        let slots = options.resident.min(shape.grid) as usize;
        let mut unstarted: Vec<u32> = (0..shape.grid).rev().collect();
        if options.shuffle_blocks {
            rng.shuffle(&mut unstarted);
        }
        let mut changes = Vec::new();
        if let Policy::Priorities(count) = options.policy {
            changes = (0..count)
                .map(|_| rng.u64(0..Self::CHANGES_WITHIN))
                .collect();
            changes.sort_by(|a, b| b.cmp(a));
        }
        let words = (slots * warps_a_block).div_ceil(64);
        let nothing = Rc::new(View::default());
        let lanes = slots * warps_a_block * 32;
        Self {
            shape,
            warps_a_block,
            policy: options.policy,
            impatience: options.impatience,
            checks: options.checks,
            keeps_clocks: options.keeps_clocks(),
            memory: options.memory,
            idle_limit: options.idle_limit,
            rng,
            lanes: (0..lanes).map(|_| Lane::vacant()).collect(),
            knowledge: vec![Knowledge::new(0, &nothing); lanes],
            warps: (0..slots * warps_a_block).map(|_| Warp::vacant()).collect(),
            blocks: (0..slots).map(|_| Block::vacant()).collect(),
            unstarted,
            ready: [Bits(vec![0; words]), Bits(vec![0; words])],
            current: 0,
            changes,
            lowest_priority: 1 << 16,
            sleepers: Sleepers::default(),
            buffers: Buffers::new(lanes, slots),
            commits: 0,
            numbers: Numbers::new(),
            nothing,
            progress: 0,
            idle: 0,
            stuck: false,
            finding: None,
            stats: Stats::default(),
        }
    }

    pub fn slots(&self) -> usize {
        self.blocks.len()
    }

    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The numbers of the lanes of a slot that exist.
    pub fn lanes_of(&self, slot: usize) -> std::ops::Range<usize> {
        let first = slot * self.warps_a_block * 32;
        first..first + self.shape.block as usize
    }

    pub fn warps_of(&self, slot: usize) -> std::ops::Range<usize> {
        slot * self.warps_a_block..(slot + 1) * self.warps_a_block
    }

    pub fn lane_site(&self, lane: usize, location: Place) -> Site {
        let me = self.lanes[lane].me;
        Site {
            block: me.block,
            thread: me.thread,
            location,
        }
    }

    /// Where a thread last suspended itself, if it has.
    pub fn last_site(&self, lane: usize) -> Option<Site> {
        self.lanes[lane].at.map(|at| self.lane_site(lane, at))
    }

    /// Starts the next block, if there is one and room for it: its slot, and the
    /// number of its first lane.
    pub fn start_block(&mut self) -> Option<(usize, usize)> {
        let slot = self.blocks.iter().position(|block| block.live == 0)?;
        let number = self.unstarted.pop()?;
        self.orphan_stores(slot);
        self.blocks[slot] = Block {
            live: self.shape.block,
            ..Block::vacant()
        };
        for (w, warp) in self.warps_of(slot).enumerate() {
            let lanes = self.shape.block - 32 * w as u32;
            let members = if lanes >= 32 { !0 } else { (1 << lanes) - 1 };
            self.warps[warp] = Warp {
                members,
                tier: self.tier(number, w as u32),
                priority: self.rng.u32(1 << 16..),
                ..Warp::vacant()
            };
            self.set_ready(warp, members);
        }
        let lanes = self.lanes_of(slot);
        for (thread, lane) in lanes.clone().enumerate() {
            let thread = thread as u32;
            self.lanes[lane] = Lane {
                me: Me {
                    block: number,
                    thread,
                    lane,
                    slot,
                },
                wait: Wait::Ready,
                ..Lane::vacant()
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

    /// Makes lanes of a warp ready.
    pub fn set_ready(&mut self, warp: usize, lanes: u32) {
        let first = warp * 32;
        let mut rest = lanes;
        while rest != 0 {
            self.lanes[first + rest.trailing_zeros() as usize].wait = Wait::Ready;
            rest &= rest - 1;
        }
        self.warps[warp].ready |= lanes;
        if self.warps[warp].ready != 0 {
            self.ready[self.warps[warp].tier].set(warp, true);
        }
    }

    /// The running thread will suspend itself, ready to go on.
    pub fn make_ready(&mut self, lane: usize, at: Place) {
        self.lanes[lane].at = Some(at);
        self.set_ready(lane / 32, 1 << (lane % 32));
    }

    /// The running thread will suspend itself and wait.
    pub fn make_wait(&mut self, lane: usize, wait: Wait, at: Place) {
        self.lanes[lane].wait = wait;
        self.lanes[lane].at = Some(at);
    }

    /// Whether the running thread should let the scheduler choose, at a point where
    /// others could see what it does.
    pub fn preempts(&mut self) -> bool {
        match self.policy {
            Policy::InOrder | Policy::Reverse => false,
            Policy::Priorities(_) => true,
            _ => self.rng.u8(0..4) == 0,
        }
    }

    /// Chooses who goes on. `progress` counts what may let somebody go on.
    pub fn next(&mut self, progress: u64) -> Next {
        if progress + self.commits != self.progress {
            self.progress = progress + self.commits;
            self.idle = 0;
            self.stuck = false;
        }
        self.idle += 1;
        if self.idle > self.idle_limit {
            return Next::Hangs(if self.stuck {
                Kind::Deadlock
            } else {
                Kind::Livelock
            });
        }
        loop {
            if let Some(warp) = self.choose_warp() {
                return Next::Thread(self.choose_lane(warp));
            }
            if self.blocks.iter().all(|block| block.live == 0) {
                self.drain_all();
                return Next::Done;
            }
            if !self.wake_somebody() {
                return Next::Hangs(Kind::Deadlock);
            }
        }
    }

    /// Nobody is ready: lets those go on who wait for others only as long as these
    /// can. First a store that still waits in a buffer, then one patient thread, then
    /// all who poll. False if there is nobody.
    fn wake_somebody(&mut self) -> bool {
        if self.drain_one() {
            return true;
        }
        let patient = |lane: &&Lane| lane.wait == Wait::Poll { patient: true };
        let patients = self.lanes.iter().filter(patient).count();
        if patients > 0 {
            let chosen = self.rng.usize(0..patients);
            if let Some(lane) = self.lanes.iter().filter(patient).nth(chosen) {
                let lane = lane.me.lane;
                self.lanes[lane].gave_up = true;
                self.set_ready(lane / 32, 1 << (lane % 32));
            }
            return true;
        }
        let polls: Vec<usize> = (0..self.lanes.len())
            .filter(|&lane| matches!(self.lanes[lane].wait, Wait::Poll { .. }))
            .collect();
        for &lane in &polls {
            self.set_ready(lane / 32, 1 << (lane % 32));
        }
        self.sleepers.clear();
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
                if self
                    .changes
                    .last()
                    .is_some_and(|&at| at <= self.stats.turns)
                {
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

    /// Any set of live lanes of the warp, with this one.
    pub fn active_mask(&mut self, lane: usize) -> u32 {
        let warp = &self.warps[lane / 32];
        let live = warp.members & !warp.exited;
        (live & self.rng.u32(..)) | 1 << (lane % 32)
    }

    /// The checks of an access that options may leave out.
    pub fn check(&mut self, access: &Access, lane: usize) -> Result<(), Conflict> {
        let Access {
            memory,
            offset,
            size,
            kind,
            at,
        } = *access;
        let mut shadow = memory.shadow.borrow_mut();
        if self.checks == Checks::Races {
            let location = self.numbers.of(at);
            shadow.check_race((offset, size, kind), &self.knowledge[lane], location)?;
        }
        if self.checks >= Checks::Written {
            shadow.check_written(offset, size, kind)?;
        }
        if kind.writes() && !kind.is_atomic() {
            memory.words.borrow_mut().forget(offset, size);
        }
        Ok(())
    }

    /// A thread has come to its end.
    pub fn exit(&mut self, me: Me) -> Result<(), Box<Fault>> {
        let bit = 1 << (me.lane % 32);
        self.lanes[me.lane].wait = Wait::Exited;
        self.warps[me.lane / 32].exited |= bit;
        let warp = &self.warps[me.lane / 32];
        if let Some(group) = warp.groups.iter().find(|group| group.mask & bit != 0) {
            let waits = me.lane / 32 * 32 + group.arrived.trailing_zeros() as usize;
            return Err(Box::new(Fault {
                kind: Kind::WarpMask,
                site: self.last_site(waits),
                other: self.last_site(me.lane),
                message: format!(
                    "{} with mask {:#010x} waits for lane {}, which has exited",
                    group.operation.name(),
                    group.mask,
                    me.lane % 32
                ),
            }));
        }
        self.blocks[me.slot].live -= 1;
        self.release_barrier(me.slot)
    }
}

impl Lane {
    fn vacant() -> Self {
        Self {
            me: Me::default(),
            wait: Wait::Exited,
            at: None,
            polled: Vec::new(),
            fresh: Vec::new(),
            sleep: 0,
            gave_up: false,
            released: Vec::new(),
            met: Vec::new(),
        }
    }
}

impl Warp {
    fn vacant() -> Self {
        Self {
            members: 0,
            ready: 0,
            exited: 0,
            tier: 0,
            priority: 0,
            groups: Vec::new(),
            values: [0; 32],
            arguments: [0; 32],
        }
    }
}

impl Block {
    fn vacant() -> Self {
        Self {
            live: 0,
            arrived: 0,
            any: false,
            result: false,
        }
    }
}
