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

/// The classic shape: a chunk a thread, then pairwise merges.
#[derive(Debug)]
pub struct Std<K> {
    prepared: Option<Classic<K>>,
}

impl<K> Default for Std<K> {
    fn default() -> Self {
        Self { prepared: None }
    }
}

/// State of the classic shape.
#[derive(Debug)]
struct Classic<K> {
    pool: ThreadPool,
    level: usize,
    /// Where every other round of merges writes.
    scratch: Vec<K>,
}

impl<K: Key> Engine<K> for Std<K> {
    fn name(&self) -> &'static str {
        CPU_STD
    }

    fn scratch_bytes(&self, n: usize, _level: usize) -> u64 {
        memory::bytes_of::<K>(n)
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        self.prepared = None;
        self.prepared = Some(Classic {
            pool: threads::pool(CPU_STD, level)?,
            level,
            scratch: memory::buffer(n)?,
        });
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        match &mut self.prepared {
            Some(classic) if n <= classic.scratch.len() => classic.sort(keys),
            other => {
                return Err(Error::NotPrepared {
                    engine: CPU_STD,
                    n,
                    prepared: other.as_ref().map_or(0, |classic| classic.scratch.len()),
                });
            }
        }
        Ok(())
    }
}

impl<K: Key> Classic<K> {
    fn sort(&mut self, keys: &mut [K]) {
        let n = keys.len();
        let chunk = n.div_ceil(self.level).max(1);
        each(&self.pool, keys.chunks_mut(chunk), |chunk| chunk.sort_unstable());

        let (mut from, mut to) = (keys, &mut self.scratch[..n]);
        let mut run = chunk;
        let mut in_scratch = false;
        while run < n {
            let pairs = from.chunks(2 * run).zip(to.chunks_mut(2 * run));
            each(&self.pool, pairs, |(runs, merged)| {
                let (left, right) = runs.split_at(run.min(runs.len()));
                merge(left, right, merged);
            });
            (from, to) = (to, from);
            in_scratch = !in_scratch;
            run *= 2;
        }
        if in_scratch {
            let pairs = to.chunks_mut(chunk).zip(from.chunks(chunk));
            each(&self.pool, pairs, |(to, from)| to.copy_from_slice(from));
        }
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

/// A sort of a crate that takes the threads of the pool it is called in.
pub struct InPool<K> {
    name: &'static str,
    /// Copies of the keys that the crate allocates within the timed interval, at most.
    copies: u64,
    sort: fn(&mut [K]),
    pool: Option<ThreadPool>,
}

/// rayon's parallel quicksort, in place.
pub fn rayon<K: Key>() -> InPool<K> {
    InPool { name: CPU_RAYON, copies: 0, sort: |keys| keys.par_sort_unstable(), pool: None }
}

/// The radix sort of rdst, which has no way to be handed a buffer.
pub fn radix<K: Key>() -> InPool<K> {
    InPool { name: CPU_RADIX, copies: 1, sort: |keys| keys.radix_sort_unstable(), pool: None }
}

impl<K: Key> Engine<K> for InPool<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn scratch_bytes(&self, n: usize, _level: usize) -> u64 {
        self.copies.saturating_mul(memory::bytes_of::<K>(n))
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        self.pool = None;
        self.pool = Some(threads::pool(self.name, level)?);
        // After the threads, which take memory as well.
        memory::require(n, self.scratch_bytes(n, level))
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let Some(pool) = &self.pool else {
            return Err(Error::NotPrepared { engine: self.name, n: keys.len(), prepared: 0 });
        };
        threads::install(pool, &mut || (self.sort)(keys));
        Ok(())
    }
}
