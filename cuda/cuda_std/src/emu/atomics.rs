//! Atomic operations and fences.
//!
//! Each is a point at which the scheduler may let others run. A store carries what its release
//! published, and an acquire that reads the store learns it. A relaxed load keeps what it met for a
//! later acquire fence, and a release fence keeps what it published for later relaxed stores. None
//! of this is done unless an option asks for happens-before.

use super::access::Access;
use super::allocation::Space;
use super::clock::Stamp;
use super::history::Release;
use super::launch::Launch;
use super::options::MemoryModel;
use super::state::{Pending, State};
use crate::ext::{Ordering, Scope};

/// The ordering of an atomic operation and its scope.
#[derive(Clone, Copy)]
pub(crate) struct MemoryOrder(pub Ordering, pub Scope);

impl MemoryOrder {
    /// The scope of its acquire, if it is one.
    fn acquires(self) -> Option<Scope> {
        (!matches!(self.0, Ordering::Relaxed | Ordering::Release)).then_some(on_one_device(self.1))
    }

    /// The scope of its release, if it is one.
    fn releases(self) -> Option<Scope> {
        (!matches!(self.0, Ordering::Relaxed | Ordering::Acquire)).then_some(on_one_device(self.1))
    }
}

/// The scope that means the same where one device is all there is.
fn on_one_device(scope: Scope) -> Scope {
    match scope {
        Scope::System => Scope::Device,
        other => other,
    }
}

impl Launch {
    fn preempt(&self, access: &Access) {
        if self.state.borrow_mut().preempts() {
            self.yield_now(access.at);
        }
    }

    pub(crate) fn load(&self, access: &Access, order: MemoryOrder) -> u64 {
        self.preempt(access);
        loop {
            self.begin(access);
            let lane = self.me().lane;
            let mut state = self.state.borrow_mut();
            let value = state.load(lane, access, order);
            let spins = state.note_load(lane, access, value);
            drop(state);
            if !spins {
                return value;
            }
            self.sleep(access.at);
        }
    }

    pub(crate) fn store(&self, access: &Access, value: u64, order: MemoryOrder) {
        if self.change(access, |state, lane| state.store(lane, access, value, order)) {
            self.note_progress();
        }
    }

    pub(crate) fn fetch_add(&self, access: &Access, value: u64, order: MemoryOrder) -> u64 {
        let mask = !0 >> (64 - 8 * access.size);
        let add = |old: u64| Some(old.wrapping_add(value) & mask);
        let old = self.change(access, |state, lane| state.update(lane, access, order, add));
        if value != 0 {
            self.note_progress();
        }
        old
    }

    /// Replaces the value by what `new` makes of it, if it makes anything. Returns the value
    /// before. A thread that changes nothing, again and again, sleeps until others do.
    pub(crate) fn update(
        &self,
        access: &Access,
        order: MemoryOrder,
        new: impl Fn(u64) -> Option<u64>,
    ) -> u64 {
        self.preempt(access);
        loop {
            self.begin(access);
            let lane = self.me().lane;
            let mut state = self.state.borrow_mut();
            let old = state.update(lane, access, order, &new);
            if new(old).is_some_and(|new| new != old) {
                state.lanes[lane].polled.clear();
                drop(state);
                self.note_progress();
                return old;
            }
            let spins = state.note_load(lane, access, old);
            drop(state);
            if !spins {
                return old;
            }
            self.sleep(access.at);
        }
    }

    /// Lets the running thread change memory, at a point where others may run.
    fn change<R>(&self, access: &Access, change: impl FnOnce(&mut State, usize) -> R) -> R {
        self.preempt(access);
        self.begin(access);
        let lane = self.me().lane;
        let mut state = self.state.borrow_mut();
        state.lanes[lane].polled.clear();
        change(&mut state, lane)
    }

    pub(crate) fn fence(&self, scope: Scope) {
        self.state.borrow_mut().fence(self.me().lane, on_one_device(scope));
    }
}

impl State {
    /// The number of stores that a word remembers.
    fn kept(&self) -> usize {
        match self.memory {
            MemoryModel::StaleReads => 8,
            _ => 1,
        }
    }

    fn load(&mut self, lane: usize, access: &Access, order: MemoryOrder) -> u64 {
        if self.memory == MemoryModel::StoreBuffers
            && let Some(own) = self.forward(lane, access)
        {
            return own as u64;
        }
        let mut words = access.memory.words.borrow_mut();
        if !self.keeps_clocks || (self.kept() == 1 && !words.has(access.offset)) {
            return access.value() as u64;
        }
        let address = access.pointer() as usize;
        let fresh = &mut self.lanes[lane].fresh;
        let is_fresh = fresh.iter().position(|&word| word == address);
        let is_fresh = is_fresh.map(|i| fresh.swap_remove(i)).is_some();
        let reads_newest = is_fresh || self.memory != MemoryModel::StaleReads;
        let rng = &mut self.rng;
        let loaded = words.load(access.atomic_bytes(), &self.knowledge[lane], |depth| {
            if reads_newest || depth == 1 { 0 } else { rng.usize(0..depth) }
        });
        self.meet(lane, loaded.releases, order.acquires());
        loaded.value
    }

    /// Acquires from `scope` what stores carried; without a scope, or a release that does
    /// not reach it, keeps it for a fence.
    fn meet(&mut self, lane: usize, releases: Vec<Release>, scope: Option<Scope>) {
        let me = &mut self.knowledge[lane];
        for release in releases {
            if scope.is_some_and(|scope| release.reaches(scope, me.block())) {
                me.acquire(&release.view);
            } else {
                release.join_into(&mut self.lanes[lane].met);
            }
        }
    }

    /// The releases that a store carries, which is one itself if it has a scope.
    fn released(&mut self, lane: usize, scope: Option<Scope>) -> Vec<Release> {
        let me = &mut self.knowledge[lane];
        match scope {
            _ if !self.keeps_clocks => Vec::new(),
            Some(scope) => vec![Release { view: me.publish(), scope, block: Some(me.block()) }],
            None => self.lanes[lane].released.clone(),
        }
    }

    /// Stores. Returns true if the value differs from the one before.
    fn store(&mut self, lane: usize, access: &Access, value: u64, order: MemoryOrder) -> bool {
        let writer = self.knowledge[lane].now();
        let releases = self.released(lane, order.releases());
        if self.memory == MemoryModel::StoreBuffers && access.memory.space == Space::Global {
            if let Some(scope) = order.releases() {
                self.drain(lane, scope);
            }
            self.buffer(lane, Pending::atomic(access, value, (writer, releases)));
            return true;
        }
        if self.keeps_clocks {
            self.remember(access, value, (writer, &releases), false);
        }
        self.put(access, value)
    }

    /// Keeps a store, or an update, for loads and acquires to find.
    fn remember(&self, access: &Access, value: u64, from: (Stamp, &[Release]), update: bool) {
        let mut words = access.memory.words.borrow_mut();
        // Shared words are not loaded atomically, so no older value is kept.
        let needs_history = self.kept() > 1 && access.memory.space == Space::Global;
        if needs_history || !from.1.is_empty() || words.has(access.offset) {
            words.store(access.atomic_bytes(), value, from, update, self.kept());
        }
    }

    /// Writes to memory. Returns true if that changed it.
    fn put(&mut self, access: &Access, value: u64) -> bool {
        let changed = access.value() as u64 != value;
        access.put(value as u128);
        if changed {
            self.wake(access.pointer() as usize, access.size);
        }
        changed
    }

    fn update(
        &mut self,
        lane: usize,
        access: &Access,
        order: MemoryOrder,
        new: impl Fn(u64) -> Option<u64>,
    ) -> u64 {
        if self.memory == MemoryModel::StoreBuffers {
            self.commit_overlapping(lane, access);
            if let Some(scope) = order.releases() {
                self.drain(lane, scope);
            }
        }
        let old = access.value() as u64;
        let new = new(old);
        if self.keeps_clocks {
            let words = &access.memory.words;
            let needs_carried = order.acquires().is_some()
                || !self.lanes[lane].released.is_empty()
                || access.memory.space == Space::Global;
            let writer = self.knowledge[lane].now();
            if needs_carried && words.borrow().has(access.offset) {
                let carried = words.borrow_mut().newest_releases(access.atomic_bytes());
                self.meet(lane, carried, order.acquires());
            }
            if let Some(new) = new {
                let releases = self.released(lane, order.releases());
                self.remember(access, new, (writer, &releases), true);
            }
        }
        if let Some(new) = new {
            self.put(access, new);
        }
        old
    }

    fn fence(&mut self, lane: usize, scope: Scope) {
        if self.memory == MemoryModel::StoreBuffers {
            self.drain(lane, scope);
        }
        if !self.keeps_clocks {
            return;
        }
        let met = std::mem::take(&mut self.lanes[lane].met);
        self.meet(lane, met, Some(scope));
        let published = self.released(lane, Some(scope));
        let released = &mut self.lanes[lane].released;
        // This fence publishes a wider one's knowledge too, but only narrowly.
        released.retain(|old| old.scope == Scope::Device && scope == Scope::Block);
        released.extend(published);
    }
}
