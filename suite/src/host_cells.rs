//! Cells on the CPU, and of any engine that sorts from and to host memory.

use std::rc::Rc;
use std::time::Instant;

use rayon::ThreadPool;
use rayon::prelude::*;
use rdst::RadixSort;

use crate::cell::{Cell, Times};
use crate::cpu;
use crate::engine::Engine;
use crate::error::Error;
use crate::inputs::Keys;
use crate::key::Key;
use crate::measure;
use crate::memory;
use crate::threads;

/// One array, sorted by an engine at a level.
pub struct Sorted<K: Key> {
    engine: Box<dyn Engine<K>>,
    input: Rc<Keys<K>>,
    work: Vec<K>,
    level: usize,
}

impl<K: Key> Sorted<K> {
    /// Makes `engine` ready to sort `input` at `level`.
    ///
    /// # Errors
    /// Too little memory; those of [`Engine::prepare`].
    pub fn new(
        mut engine: Box<dyn Engine<K>>,
        input: Rc<Keys<K>>,
        level: usize,
    ) -> Result<Self, Error> {
        let n = input.keys().len();
        let needed = memory::bytes_of::<K>(n).saturating_add(engine.scratch_bytes(n, level));
        memory::require(n, needed)?;
        let work = memory::filled(K::least(), n)?;
        engine.prepare(n, level)?;
        Ok(Self { engine, work, input, level })
    }
}

impl<K: Key> Cell for Sorted<K> {
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        let verifier = self.input.verifier();
        Times::mean_of(sorts, || {
            let sorted =
                measure::verified_sort(&mut *self.engine, &verifier, &mut self.work, self.level)?;
            Ok(Times::of_host(sorted.as_secs_f64()))
        })
    }
}

/// As many arrays as threads, each sorted by one thread, all at the same time.
pub struct Batch<K: Key> {
    engine: &'static str,
    pool: ThreadPool,
    inputs: Rc<Vec<Keys<K>>>,
    work: Vec<Vec<K>>,
    sort: fn(&mut [K]),
}

impl<K: Key> Batch<K> {
    /// `inputs` sorted by the standard library, or with `radix` by the crate rdst.
    ///
    /// # Errors
    /// Too little memory for another copy of the inputs; threads that do not start.
    pub fn new(inputs: Rc<Vec<Keys<K>>>, radix: bool) -> Result<Self, Error> {
        let n = inputs.iter().map(|input| input.keys().len()).sum();
        memory::require(n, memory::bytes_of::<K>(n).saturating_mul(2))?;
        let (engine, sort): (_, fn(&mut [K])) = match radix {
            true => (cpu::RADIX, |keys| {
                keys.radix_sort_builder().with_parallel(false).sort();
            }),
            false => (cpu::STD, |keys| keys.sort_unstable()),
        };
        Ok(Self {
            engine,
            pool: threads::pool(engine, inputs.len())?,
            work: (inputs.iter())
                .map(|input| memory::collect(input.keys().par_iter().copied()))
                .collect::<Result<_, _>>()?,
            inputs,
            sort,
        })
    }

    fn once(&mut self) -> Result<Times, Error> {
        let fresh = self.work.par_iter_mut().zip(&*self.inputs);
        fresh.for_each(|(work, input)| work.copy_from_slice(input.keys()));
        let (work, sort) = (&mut self.work, self.sort);
        let start = Instant::now();
        self.pool.install(|| {
            let each = work.par_iter_mut().with_max_len(1);
            each.for_each(|keys| sort(keys));
        });
        let elapsed = start.elapsed();
        for (work, input) in self.work.iter().zip(&*self.inputs) {
            let checked = input.verifier().check(work);
            checked.map_err(|difference| Error::WrongResult {
                engine: self.engine,
                level: self.inputs.len(),
                difference,
            })?;
        }
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}

impl<K: Key> Cell for Batch<K> {
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        Times::mean_of(sorts, || self.once())
    }
}

/// Keys, each with its index as its value, sorted stably by threads.
pub struct Pairs<K: Key> {
    pool: ThreadPool,
    input: Rc<Keys<K>>,
    work: Vec<(K, u32)>,
    sort: fn(&mut [(K, u32)]),
}

impl<K: Key> Pairs<K> {
    /// `input` sorted by rayon's threads, or by the standard library on one.
    ///
    /// # Errors
    /// Too little memory; threads that do not start.
    pub fn new(input: Rc<Keys<K>>, level: usize, engine: &'static str) -> Result<Self, Error> {
        let n = input.keys().len();
        // The pairs, and as much again that the stable sorts allocate at most.
        memory::require(n, memory::bytes_of::<(K, u32)>(n).saturating_mul(2))?;
        let sort: fn(&mut [(K, u32)]) = match engine == cpu::RAYON {
            true => |pairs| pairs.par_sort_by_key(|pair| pair.0),
            false => |pairs| pairs.sort_by_key(|pair| pair.0),
        };
        Ok(Self {
            pool: threads::pool(engine, level)?,
            work: memory::filled((K::least(), 0), n)?,
            input,
            sort,
        })
    }

    fn once(&mut self) -> Result<Times, Error> {
        let fresh = self.work.par_iter_mut().zip(self.input.keys()).enumerate();
        fresh.for_each(|(index, (pair, key))| *pair = (*key, index as u32));
        let (work, sort) = (&mut self.work, self.sort);
        let start = Instant::now();
        self.pool.install(|| sort(work));
        let elapsed = start.elapsed();
        check_pairs(self.input.keys(), &self.work).map_err(Error::Wrong)?;
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}

impl<K: Key> Cell for Pairs<K> {
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        Times::mean_of(sorts, || self.once())
    }
}

/// Whether `result` is `input`, each key with its index, sorted stably. Where key and
/// index ascend strictly no index comes twice, and one beside a key that is not its
/// own is found; so all of the input is there.
fn check_pairs<K: Key>(input: &[K], result: &[(K, u32)]) -> Result<(), String> {
    let fault = result.par_iter().enumerate().find_map_first(|(at, &(key, index))| {
        if input.get(index as usize) != Some(&key) {
            return Some(format!("at {at} stands key {key} with the index {index} of another"));
        }
        let before = at.checked_sub(1).map(|before| result[before]);
        let before = before.filter(|before| *before >= (key, index))?;
        Some(match before.0 == key {
            true => format!("equal keys at {} and {at} have changed places", at - 1),
            false => format!("out of order: key {} at {}, then {key} at {at}", before.0, at - 1),
        })
    });
    fault.map_or(Ok(()), Err)
}

/// A copy of keys in host memory, by threads.
pub struct Copy<K: Key> {
    pool: ThreadPool,
    input: Rc<Keys<K>>,
    output: Vec<K>,
    level: usize,
}

impl<K: Key> Copy<K> {
    /// A copy of `input` by `level` threads.
    ///
    /// # Errors
    /// Too little memory; threads that do not start.
    pub fn new(input: Rc<Keys<K>>, level: usize) -> Result<Self, Error> {
        let n = input.keys().len();
        memory::require(n, memory::bytes_of::<K>(n))?;
        Ok(Self {
            pool: threads::pool(crate::group::CPU_COPY, level)?,
            output: memory::filled(K::least(), n)?,
            input,
            level,
        })
    }

    fn once(&mut self) -> Result<Times, Error> {
        let spoilt = K::from_bits(0xA5A5_A5A5_A5A5_A5A5);
        self.output.par_iter_mut().for_each(|key| *key = spoilt);
        let (input, output) = (self.input.keys(), &mut self.output);
        let chunk = input.len().div_ceil(self.level).max(1);
        let start = Instant::now();
        self.pool.install(|| {
            let chunks = output.par_chunks_mut(chunk).zip(input.par_chunks(chunk));
            chunks.with_max_len(1).for_each(|(to, from)| to.copy_from_slice(from));
        });
        let elapsed = start.elapsed();
        if self.output != self.input.keys() {
            return Err(Error::Wrong("the copy is not what was copied".to_owned()));
        }
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}

impl<K: Key> Cell for Copy<K> {
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        Times::mean_of(sorts, || self.once())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(keys: &[u32]) -> Rc<Keys<u32>> {
        Rc::new(Keys::new(keys.to_vec()))
    }

    #[test]
    fn pairs_that_are_wrong_are_found() {
        let keys = [7u32, 5, 7];
        assert_eq!(check_pairs(&keys, &[(5, 1), (7, 0), (7, 2)]), Ok(()));
        for (result, fault) in [
            ([(5, 1), (7, 2), (7, 0)], "changed places"),
            ([(7, 0), (5, 1), (7, 2)], "out of order: key 7 at 0, then 5 at 1"),
            ([(5, 1), (7, 0), (7, 1)], "index 1 of another"),
            ([(5, 1), (7, 0), (7, 0)], "changed places"),
            ([(5, 1), (7, 0), (7, 9)], "index 9 of another"),
        ] {
            let said = check_pairs(&keys, &result).unwrap_err();
            assert!(said.contains(fault), "{said}");
        }
    }

    #[test]
    fn a_batch_with_one_wrong_array_fails() {
        let inputs = Rc::new(vec![
            Keys::new(vec![3u32, 1, 2]),
            Keys::new(vec![9, 8, 7]),
            Keys::new(vec![1, 1, 0]),
        ]);
        let mut batch = Batch::new(inputs.clone(), false).unwrap();
        assert!(batch.sample(2).unwrap().host_s.unwrap() > 0.0);
        let mut radix = Batch::new(inputs, true).unwrap();
        radix.sample(1).unwrap();
        batch.sort = |keys| {
            if keys[0] != 9 {
                keys.sort_unstable();
            }
        };
        let error = batch.sample(1).unwrap_err().to_string();
        assert!(error.contains("level 3: out of order: key 9"), "{error}");
    }

    #[test]
    fn pairs_are_sorted_and_an_unstable_sort_is_found() {
        let keys: Vec<u32> = (0..10_000).map(|i| i * 7919 % 10).collect();
        for engine in [cpu::STD, cpu::RAYON] {
            let mut pairs = Pairs::new(input(&keys), 2, engine).unwrap();
            assert!(pairs.sample(1).unwrap().host_s.is_some());
        }
        let mut unstable = Pairs::new(input(&keys), 1, cpu::STD).unwrap();
        unstable.sort = |pairs| {
            pairs.sort_by_key(|pair| pair.0);
            pairs.swap(0, 1);
        };
        let error = unstable.sample(1).unwrap_err().to_string();
        assert!(error.contains("changed places"), "{error}");
    }

    #[test]
    fn a_copy_is_by_as_many_threads_as_the_level() {
        let keys: Vec<u32> = (0..1001).collect();
        for level in [1, 3, 200] {
            let mut copy = Copy::new(input(&keys), level).unwrap();
            copy.sample(1).unwrap();
            assert_eq!(copy.output, keys);
        }
        Copy::new(input(&[]), 4).unwrap().sample(1).unwrap();
    }
}
