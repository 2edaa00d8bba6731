//! The stale-read model of weak memory: the values that an atomic load may return.
//!
//! A word keeps its last few stores, oldest first. A load may return any of them that is not older
//! than one it has to know of: a store that happens before the load, or a store that another load
//! returned which happens before this one (coherence). One of those is drawn at random. A
//! read-modify-write reads the newest. So a thread may see one word new and another one old, in
//! whatever order they were written, unless it synchronised; and an acquire that reads a store
//! learns what its writer published.
//!
//! Words are 32 bits wide. A 64-bit access is one of two words, and as long as all
//! accesses of the two are 64 bits wide it reads both halves of one store. Where
//! widths are mixed, a 64-bit load reads the newest.

use super::clock::{Knowledge, Stamp, View};
use crate::ext::Scope;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// The knowledge that a writer published, and its audience.
#[derive(Clone)]
pub(crate) struct Release {
    pub view: Rc<View>,
    pub scope: Scope,
    /// The writer's block; none if several have come together.
    pub block: Option<u32>,
}

impl Release {
    /// Returns true if an acquire of `scope` by a thread of `block` synchronises with it.
    pub(crate) fn reaches(&self, scope: Scope, block: u32) -> bool {
        let same_block = self.block == Some(block);
        same_block || (self.scope == Scope::Device && scope == Scope::Device)
    }

    /// Adds a release to others that the same store carries.
    pub(crate) fn join_into(self, releases: &mut Vec<Release>) {
        let joins = |other: &&mut Release| {
            other.scope == self.scope && (self.scope == Scope::Device || other.block == self.block)
        };
        match releases.iter_mut().find(joins) {
            Some(other) if Rc::ptr_eq(&other.view, &self.view) => {}
            Some(other) => {
                Rc::make_mut(&mut other.view).join(&self.view);
                if other.block != self.block {
                    other.block = None;
                }
            }
            None => releases.push(self),
        }
    }
}

#[derive(Default)]
struct Store {
    value: u32,
    /// The same for both halves of a 64-bit store.
    serial: u64,
    /// None for the value before the first atomic access.
    writer: Option<Stamp>,
    readers: Vec<Stamp>,
    releases: Vec<Release>,
}

/// The words of an allocation that atomic operations have met in this launch.
#[derive(Default)]
pub(crate) struct Words {
    stores: FxHashMap<usize, Vec<Store>>,
    serial: u64,
}

/// The bytes of an atomic access, and their value.
#[derive(Clone, Copy)]
pub(crate) struct AtomicBytes {
    pub offset: usize,
    pub size: usize,
    pub value: u64,
}

impl AtomicBytes {
    fn words(self) -> impl Iterator<Item = (usize, u32)> {
        (0..self.size / 4)
            .map(move |half| (self.offset / 4 + half, (self.value >> (32 * half)) as u32))
    }
}

pub(crate) struct Loaded {
    pub value: u64,
    pub releases: Vec<Release>,
}

impl Words {
    pub(crate) fn clear(&mut self) {
        self.stores.clear();
    }

    fn word(&mut self, index: usize, value: u32) -> &mut Vec<Store> {
        let serial = &mut self.serial;
        self.stores.entry(index).or_insert_with(|| {
            *serial += 1;
            vec![Store { value, serial: *serial, ..Store::default() }]
        })
    }

    /// Returns true if these bytes have met an atomic store in this launch.
    pub(crate) fn has(&self, offset: usize) -> bool {
        self.stores.contains_key(&(offset / 4))
    }

    /// A plain write: it is ordered with all other accesses, or is a race, so there
    /// is nothing older left to return.
    pub(crate) fn forget(&mut self, offset: usize, size: usize) {
        if !self.stores.is_empty() {
            for index in offset / 4..(offset + size).div_ceil(4) {
                self.stores.remove(&index);
            }
        }
    }

    /// Reads; `choose(k)` picks how far back to look, below `k`.
    pub(crate) fn load(
        &mut self,
        bytes: AtomicBytes,
        me: &Knowledge,
        choose: impl FnOnce(usize) -> usize,
    ) -> Loaded {
        let words: Vec<_> = bytes.words().collect();
        let mut depth = usize::MAX;
        for &(index, value) in &words {
            depth = depth.min(visible(self.word(index, value), me));
        }
        if words.len() > 1 && !self.in_step(&words) {
            depth = 1;
        }
        let back = choose(depth);
        let mut loaded = Loaded { value: 0, releases: Vec::new() };
        for (half, &(index, value)) in words.iter().enumerate() {
            let stores = self.word(index, value);
            let newest = stores.len() - 1;
            let store = &mut stores[newest - back];
            if store.readers.iter().all(|reader| reader.thread != me.thread) {
                store.readers.push(me.now());
            }
            loaded.value |= (store.value as u64) << (32 * half);
            for release in &store.releases {
                release.clone().join_into(&mut loaded.releases);
            }
        }
        loaded
    }

    /// Returns true if the two halves have had the same stores.
    fn in_step(&mut self, words: &[(usize, u32)]) -> bool {
        let [low, high] = [0, 1].map(|half| {
            let (index, value) = words[half];
            let stores = self.word(index, value);
            // The value before the first atomic access has no serial in common.
            let serial = |store: &Store| store.writer.map(|_| store.serial);
            stores.iter().map(serial).collect::<Vec<_>>()
        });
        low == high
    }

    /// Writes. `keep` stores are remembered; an `update` carries on the releases of the
    /// store before it.
    pub(crate) fn store(
        &mut self,
        bytes: AtomicBytes,
        new: u64,
        (writer, releases): (Stamp, &[Release]),
        update: bool,
        keep: usize,
    ) {
        self.serial += 1;
        let serial = self.serial;
        for (half, (index, value)) in bytes.words().enumerate() {
            let stores = self.word(index, value);
            let before = stores.last().filter(|_| update);
            let mut carried = before.map(|last| last.releases.clone()).unwrap_or_default();
            for release in releases {
                release.clone().join_into(&mut carried);
            }
            stores.push(Store {
                value: (new >> (32 * half)) as u32,
                serial,
                writer: Some(writer),
                releases: carried,
                ..Store::default()
            });
            if stores.len() > keep {
                stores.remove(0);
            }
        }
    }

    /// The releases of a word's newest store, for a read-modify-write.
    pub(crate) fn newest_releases(&mut self, bytes: AtomicBytes) -> Vec<Release> {
        let mut releases = Vec::new();
        for (index, value) in bytes.words() {
            for release in self.word(index, value).last().into_iter().flat_map(|s| &s.releases) {
                release.clone().join_into(&mut releases);
            }
        }
        releases
    }
}

/// The number of newest stores that `me` may read: back to the first that it has to know of.
fn visible(stores: &[Store], me: &Knowledge) -> usize {
    let known = |store: &Store| {
        store.writer.is_none_or(|writer| me.is_after(writer))
            || store.readers.iter().any(|&reader| me.is_after(reader))
    };
    let back = stores.iter().rev().position(known);
    back.map_or(stores.len(), |back| back + 1)
}
