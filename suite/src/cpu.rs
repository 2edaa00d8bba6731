//! Sorting on the CPU: three engines, each on a thread pool of exactly c threads
//! that `prepare` starts.
//!
//! | name | what its c threads do |
//! |---|---|
//! | [`CPU_STD`] | the classic shape: c chunks of ceil(n/c) keys, each sorted by the standard library's `sort_unstable`, then neighbours merged pairwise until one run is left |
//! | [`CPU_RAYON`] | rayon's `par_sort_unstable`, a parallel quicksort |
//! | [`CPU_RADIX`] | the radix sort of the crate rdst; docs/PEERS.md says against which others it was chosen |
//!
//! In the classic shape the merges of one round run at the same time and each is one
//! thread's work, so the last round leaves all threads but one idle. That is a
//! property of the shape, which is why it is kept; the other two have no such round.

use rayon::ThreadPool;
use rayon::prelude::*;
use rdst::RadixSort;

use crate::engine::Engine;
use crate::engines::{CPU_RADIX, CPU_RAYON, CPU_STD};
use crate::error::Error;
use crate::key::Key;
use crate::memory;
use crate::threads;

/// A sort on the threads of a pool.
pub struct InPool<K> {
    name: &'static str,
    /// Where `prepare` makes room for a copy of the keys, or the sort does within the timed
    /// interval.
    scratch: Scratch,
    sort: fn(&ThreadPool, &mut [K], &mut [K]),
    prepared: Option<Prepared<K>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scratch {
    None,
    Prepared,
    OfSort,
}

struct Prepared<K> {
    pool: ThreadPool,
    n: usize,
    scratch: Vec<K>,
}

/// The classic shape: a chunk a thread, then pairwise merges.
pub fn standard<K: Key>() -> InPool<K> {
    InPool { name: CPU_STD, scratch: Scratch::Prepared, sort: classic, prepared: None }
}

/// rayon's parallel quicksort, in place.
pub fn rayon<K: Key>() -> InPool<K> {
    let sort = |pool: &ThreadPool, keys: &mut [K], _: &mut [K]| {
        threads::install(pool, &mut || keys.par_sort_unstable());
    };
    InPool { name: CPU_RAYON, scratch: Scratch::None, sort, prepared: None }
}

/// The radix sort of rdst, which has no way to be handed a buffer.
pub fn radix<K: Key>() -> InPool<K> {
    let sort = |pool: &ThreadPool, keys: &mut [K], _: &mut [K]| {
        threads::install(pool, &mut || keys.radix_sort_unstable());
    };
    InPool { name: CPU_RADIX, scratch: Scratch::OfSort, sort, prepared: None }
}

impl<K: Key> Engine<K> for InPool<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn scratch_bytes(&self, n: usize, _level: usize) -> u64 {
        if self.scratch == Scratch::None { 0 } else { memory::bytes_of::<K>(n) }
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        self.prepared = None;
        let pool = threads::pool(self.name, level)?;
        // After the threads, which take memory as well.
        memory::require(n, self.scratch_bytes(n, level))?;
        let held = if self.scratch == Scratch::Prepared { n } else { 0 };
        self.prepared = Some(Prepared { pool, n, scratch: memory::buffer(held)? });
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let (n, engine) = (keys.len(), self.name);
        match &mut self.prepared {
            Some(Prepared { pool, n: most, scratch }) if n <= *most => {
                (self.sort)(pool, keys, scratch);
                Ok(())
            }
            other => {
                let prepared = other.as_ref().map_or(0, |ready| ready.n);
                Err(Error::NotPrepared { engine, n, prepared })
            }
        }
    }
}

/// Sorts a chunk a thread, and merges neighbours by way of `scratch`.
fn classic<K: Key>(pool: &ThreadPool, keys: &mut [K], scratch: &mut [K]) {
    let n = keys.len();
    let chunk = n.div_ceil(pool.current_num_threads()).max(1);
    each(pool, keys.chunks_mut(chunk), |chunk| chunk.sort_unstable());

    let (mut from, mut to) = (keys, &mut scratch[..n]);
    let mut run = chunk;
    let mut in_scratch = false;
    while run < n {
        let pairs = from.chunks(2 * run).zip(to.chunks_mut(2 * run));
        each(pool, pairs, |(runs, merged)| {
            let (left, right) = runs.split_at(run.min(runs.len()));
            merge(left, right, merged);
        });
        (from, to) = (to, from);
        in_scratch = !in_scratch;
        run *= 2;
    }
    if in_scratch {
        let pairs = to.chunks_mut(chunk).zip(from.chunks(chunk));
        each(pool, pairs, |(to, from)| to.copy_from_slice(from));
    }
}

/// Does `work` on every item, on the threads of `pool`, and waits for all.
fn each<T: Send>(pool: &ThreadPool, items: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
    let work = &work;
    pool.in_place_scope(|scope| {
        for item in items {
            scope.spawn(move |_| work(item));
        }
    });
}

/// Merges two sorted runs into `merged`, which is as long as both.
fn merge<K: Key>(left: &[K], right: &[K], merged: &mut [K]) {
    let (mut l, mut r) = (0, 0);
    // No branch depends on a key: which run is next is as good as random.
    while l < left.len() && r < right.len() {
        let from_right = right[r] < left[l];
        merged[l + r] = if from_right { right[r] } else { left[l] };
        l += usize::from(!from_right);
        r += usize::from(from_right);
    }
    let rest = &mut merged[l + r..];
    let (left, right) = (&left[l..], &right[r..]);
    rest[..left.len()].copy_from_slice(left);
    rest[left.len()..].copy_from_slice(right);
}
