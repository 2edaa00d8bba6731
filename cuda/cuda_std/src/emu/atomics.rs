//! Atomic operations and fences.
//!
//! Each is a point at which the scheduler may let others run. What a release
//! publishes travels with the store; an acquire that reads the store learns it. A
//! relaxed load keeps what it met for a later acquire fence, and a release fence
//! keeps what it published for later relaxed stores. Nothing of this is done when
//! no option asks for happens-before.

use super::access::Access;
use super::allocation::Space;
use super::clock::Stamp;
use super::history::Release;
use super::launch::Launch;
use super::options::MemoryModel;
use super::state::{Pending, State};
use crate::order::{Ordering, Scope};

impl Launch {
    fn preempt(&self, access: &Access) {
        if self.state.borrow_mut().preempts() {
            self.yield_now(access.at);
        }
    }

    pub(crate) fn load(&self, access: &Access, order: Ordering, scope: Scope) -> u64 {
        self.preempt(access);
        loop {
            self.begin(access);
            let lane = self.me().lane;
            let mut state = self.state.borrow_mut();
            let value = state.load(lane, access, order, scope);
            let spins = state.note_load(lane, access, value);
            drop(state);
            if !spins {
                return value;
            }
            self.sleep(access.at);
        }
    }

    pub(crate) fn store(&self, access: &Access, value: u64, order: Ordering, scope: Scope) {
        let changed =
            self.change(access, |state, lane| state.store(lane, access, value, order, scope));
        if changed {
            self.note_progress();
        }
    }

    pub(crate) fn fetch_add(
        &self,
        access: &Access,
        value: u64,
        order: Ordering,
        scope: Scope,
    ) -> u64 {
        let old =
            self.change(access, |state, lane| state.fetch_add(lane, access, value, order, scope));
        if value != 0 {
            self.note_progress();
        }
        old
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
        self.state.borrow_mut().fence(self.me().lane, scope);
    }

    /// A plain read where stores are buffered.
    pub(crate) fn buffered_read(&self, access: &Access) -> u128 {
        self.state.borrow_mut().buffered_read(self.me().lane, access)
    }

    /// A plain write where stores are buffered.
    pub(crate) fn buffered_write(&self, access: &Access, value: u128) {
        let pending = Pending::plain(access, value);
        self.state.borrow_mut().buffer(self.me().lane, pending);
    }
}

impl State {
    /// Stores that a word remembers.
    fn kept(&self) -> usize {
        match self.memory {
            MemoryModel::StaleReads => 8,
            _ => 1,
        }
    }

    fn load(&mut self, lane: usize, access: &Access, order: Ordering, scope: Scope) -> u64 {
        if self.memory == MemoryModel::StoreBuffers
            && let Some(own) = self.forward(lane, access)
        {
            return own as u64;
        }
        let mut words = access.memory.words.borrow_mut();
        if !self.keeps_clocks || (self.kept() == 1 && !words.has(access.offset)) {
            return access.value();
        }
        let address = access.pointer() as usize;
        let fresh = &mut self.lanes[lane].fresh;
        let is_fresh = fresh.iter().position(|&word| word == address);
        let is_fresh = is_fresh.map(|i| fresh.swap_remove(i)).is_some();
        let reads_newest = is_fresh || self.memory != MemoryModel::StaleReads;
        let rng = &mut self.rng;
        let loaded = words.load(access.atomic_bytes(), &self.knowledge[lane], |depth| {
            match reads_newest || depth == 1 {
                true => 0,
                false => rng.usize(0..depth),
            }
        });
        self.meet(lane, loaded.releases, order == Ordering::Acquire, scope);
        loaded.value
    }

    /// Acquires what stores carried, or keeps it for a fence.
    fn meet(&mut self, lane: usize, releases: Vec<Release>, acquires: bool, scope: Scope) {
        let me = &mut self.knowledge[lane];
        for release in releases {
            if acquires && release.reaches(scope, me.block()) {
                me.acquire(&release.view);
            } else {
                release.join_into(&mut self.lanes[lane].met);
            }
        }
    }

    /// The releases that a store carries.
    fn released(&mut self, lane: usize, releases: bool, scope: Scope) -> Vec<Release> {
        if !self.keeps_clocks {
            return Vec::new();
        }
        let me = &mut self.knowledge[lane];
        if releases {
            let view = me.publish();
            return vec![Release { view, scope, block: Some(me.block()) }];
        }
        self.lanes[lane].released.clone()
    }

    /// Stores. Returns true if the value differs from the one before.
    fn store(
        &mut self,
        lane: usize,
        access: &Access,
        value: u64,
        order: Ordering,
        scope: Scope,
    ) -> bool {
        let writer = self.knowledge[lane].now();
        let releases = self.released(lane, order == Ordering::Release, scope);
        if self.memory == MemoryModel::StoreBuffers && access.memory.space() == Space::Global {
            if order == Ordering::Release {
                self.drain(lane, scope);
            }
            self.buffer(lane, Pending::atomic(access, value, writer, releases));
            return true;
        }
        if self.keeps_clocks {
            self.remember(access, value, writer, &releases, false);
        }
        self.put(access, value)
    }

    /// Keeps a store, or an update, for loads and acquires to find.
    fn remember(
        &self,
        access: &Access,
        value: u64,
        writer: Stamp,
        releases: &[Release],
        update: bool,
    ) {
        let mut words = access.memory.words.borrow_mut();
        // Nothing loads shared words atomically, so no older value is kept.
        let needs_history = self.kept() > 1 && access.memory.space() != Space::Shared;
        if needs_history || !releases.is_empty() || words.has(access.offset) {
            let bytes = access.atomic_bytes();
            words.store(bytes, value, writer, releases, update, self.kept());
        }
    }

    /// Writes to memory. Returns true if that changed it.
    pub(super) fn put(&mut self, access: &Access, value: u64) -> bool {
        let changed = access.value() != value;
        access.put(value as u128);
        if changed {
            self.wake(access.pointer() as usize, access.size);
        }
        changed
    }

    fn fetch_add(
        &mut self,
        lane: usize,
        access: &Access,
        value: u64,
        order: Ordering,
        scope: Scope,
    ) -> u64 {
        let acquires = !matches!(order, Ordering::Relaxed | Ordering::Release);
        let publishes = !matches!(order, Ordering::Relaxed | Ordering::Acquire);
        if self.memory == MemoryModel::StoreBuffers {
            self.commit_overlapping(lane, access);
            if publishes {
                self.drain(lane, scope);
            }
        }
        let old = access.value();
        let new = old.wrapping_add(value) & (!0 >> (64 - 8 * access.size));
        if self.keeps_clocks {
            let words = &access.memory.words;
            let is_shared = access.memory.space() == Space::Shared;
            let has = words.borrow().has(access.offset);
            let writer = self.knowledge[lane].now();
            if has && (acquires || !self.lanes[lane].released.is_empty() || !is_shared) {
                let carried = words.borrow_mut().newest_releases(access.atomic_bytes());
                self.meet(lane, carried, acquires, scope);
            }
            let releases = self.released(lane, publishes, scope);
            self.remember(access, new, writer, &releases, true);
        }
        self.put(access, new);
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
        self.meet(lane, met, true, scope);
        let published = self.released(lane, true, scope);
        let released = &mut self.lanes[lane].released;
        // This fence publishes a wider one's knowledge too, but only narrowly.
        released.retain(|old| old.scope == Scope::Device && scope == Scope::Block);
        released.extend(published);
    }
}
