//! Runners on the CPU, and of any engine that sorts from and to host memory.
//!
//! One sample is: restore the work buffer; start the clock; work; stop the clock; verify.

use std::rc::Rc;
use std::time::Instant;

use rayon::ThreadPool;
use rayon::prelude::*;
use rdst::RadixSort;

use crate::engine::{Engine, require_memory};
use crate::engines::{CPU_COPY, CPU_RADIX, CPU_RAYON, CPU_STD};
use crate::error::Error;
use crate::key::{Key, bytes, bytes_mut};
use crate::memory;
use crate::runner::{Runner, Times};
use crate::slowdown;
use crate::threads::{self, BLOCK};
use crate::verify::{Keys, check_copy, check_pairs};

/// Most bytes of an input that is kept beside the array that is sorted. Of more, memory has no
/// room for another copy where an engine takes as much again.
pub const KEPT_MOST: u64 = 8 << 30;

type Draw<K> = Box<dyn Fn() -> Result<Vec<K>, Error>>;

/// One array, sorted by an engine at a level.
pub struct Sorted<K: Key> {
    engine: Box<dyn Engine<K>>,
    input: Rc<Keys<K>>,
    /// Makes the keys anew for each sort, where they are not kept.
    draw: Option<Draw<K>>,
    work: Vec<K>,
    level: usize,
    /// By how many percent each sort is made to take longer.
    slowed: Option<f64>,
}

impl<K: Key> Sorted<K> {
    /// Makes `engine` ready to sort `n` keys at `level`, which `input` then draws.
    pub fn new(
        mut engine: Box<dyn Engine<K>>,
        n: usize,
        level: usize,
        input: impl FnOnce() -> Result<Rc<Keys<K>>, Error>,
    ) -> Result<Self, Error> {
        require_memory(&*engine, n, level)?;
        let input = input()?;
        // Before the engine finds out whether there is room for what it takes itself.
        let work = memory::buffer(n)?;
        engine.prepare(n, level)?;
        Ok(Self { engine, work, input, draw: None, level, slowed: None })
    }

    /// The same for keys that are not kept: `draw` makes them for each sort.
    pub fn drawn(
        mut engine: Box<dyn Engine<K>>,
        n: usize,
        level: usize,
        draw: impl Fn() -> Result<Vec<K>, Error> + 'static,
    ) -> Result<Self, Error> {
        require_memory(&*engine, n, level)?;
        let work = draw()?;
        let input = Rc::new(Keys::forgotten(&work));
        engine.prepare(n, level)?;
        Ok(Self { engine, work, input, draw: Some(Box::new(draw)), level, slowed: None })
    }

    /// The same, with a slowdown planted.
    pub fn slowed(self, percent: Option<f64>) -> Self {
        Self { slowed: percent, ..self }
    }
}

impl<K: Key> Runner for Sorted<K> {
    fn once(&mut self) -> Result<Times, Error> {
        match &self.draw {
            None => memory::copy(&mut self.work, self.input.keys()),
            Some(draw) => {
                // The last result goes first: memory may not hold both.
                self.work = Vec::new();
                self.work = draw()?;
            }
        }
        let start = Instant::now();
        self.engine.sort(&mut self.work)?;
        if let Some(percent) = self.slowed {
            slowdown::spend(percent, start, &self.work);
        }
        let elapsed = start.elapsed();
        self.input.check(&self.work, self.engine.name(), self.level)?;
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}

/// Work on the threads of a pool, with what it works on.
struct Pooled<W, I> {
    pool: ThreadPool,
    input: Rc<I>,
    work: W,
    restore: fn(&mut W, &I),
    /// Timed work, at a level.
    run: fn(&mut W, &I, usize),
    verify: fn(&W, &I) -> Result<(), Error>,
}

impl<W: Send, I: Sync> Runner for Pooled<W, I> {
    fn once(&mut self) -> Result<Times, Error> {
        let Self { pool, input, work, run, .. } = self;
        (self.restore)(work, input);
        let (input, level) = (&**input, pool.current_num_threads());
        let start = Instant::now();
        threads::install(pool, &mut || run(work, input, level));
        let elapsed = start.elapsed();
        (self.verify)(work, input)?;
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}

type SortArrays<K> = fn(&mut Vec<Vec<K>>, &Vec<Keys<K>>, usize);

/// As many arrays as threads, all sorted at the same time, each by one thread of the
/// standard library or of the crate rdst.
pub fn batch<K: Key>(inputs: Rc<Vec<Keys<K>>>, engine: &'static str) -> Result<impl Runner, Error> {
    let n = inputs.iter().map(|input| input.keys().len()).sum();
    memory::require(n, memory::bytes_of::<K>(n).saturating_mul(2))?;
    let run: SortArrays<K> = match engine {
        CPU_RADIX => |work, _, _| {
            threads::each(work.iter_mut(), |keys| {
                keys.radix_sort_builder().with_parallel(false).sort();
            });
        },
        _ => |work, _, _| threads::each(work.iter_mut(), |keys| keys.sort_unstable()),
    };
    let arrays = inputs.iter().map(|input| memory::buffer(input.keys().len()));
    Ok(Pooled {
        pool: threads::pool(engine, inputs.len())?,
        work: arrays.collect::<Result<Vec<Vec<K>>, _>>()?,
        input: inputs,
        restore: |work, inputs| {
            let arrays = work.iter_mut().zip(inputs);
            arrays.for_each(|(work, input)| memory::copy(work, input.keys()));
        },
        run,
        verify: match engine {
            CPU_RADIX => |work, inputs| check_batch(work, inputs, CPU_RADIX),
            _ => |work, inputs| check_batch(work, inputs, CPU_STD),
        },
    })
}

fn check_batch<K: Key>(
    work: &[Vec<K>],
    inputs: &[Keys<K>],
    engine: &'static str,
) -> Result<(), Error> {
    let mut arrays = work.iter().zip(inputs);
    arrays.try_for_each(|(work, input)| input.check(work, engine, inputs.len()))
}

/// Keys, each with its index as its value.
type PairsOf<K> = Vec<(K, u32)>;

/// Keys with their indices, sorted stably by rayon's threads, or by the standard library on
/// one.
pub fn pairs<K: Key>(
    input: Rc<Keys<K>>,
    level: usize,
    engine: &'static str,
) -> Result<impl Runner, Error> {
    let n = input.keys().len();
    // The pairs, and as much again that the stable sorts allocate at most.
    memory::require(n, memory::bytes_of::<(K, u32)>(n).saturating_mul(2))?;
    let run: fn(&mut PairsOf<K>, &Keys<K>, usize) = match engine {
        CPU_RAYON => |pairs, _, _| pairs.par_sort_by_key(|pair| pair.0),
        _ => |pairs, _, _| pairs.sort_by_key(|pair| pair.0),
    };
    Ok(Pooled {
        pool: threads::pool(engine, level)?,
        work: memory::collect(n, |_| (K::least(), 0))?,
        input,
        restore: |pairs: &mut PairsOf<K>, input| {
            let blocks = pairs.chunks_mut(BLOCK).zip(input.keys().chunks(BLOCK)).enumerate();
            threads::each(blocks, |(block, (pairs, keys))| {
                let indexed = keys.iter().copied().zip((block * BLOCK) as u32..);
                pairs.iter_mut().zip(indexed).for_each(|(pair, fresh)| *pair = fresh);
            });
        },
        run,
        verify: |pairs, input| {
            check_pairs(input.keys(), pairs.len(), |index| pairs[index], |key| key)
        },
    })
}

/// A copy of keys in host memory by `level` threads.
pub fn copy<K: Key>(input: Rc<Keys<K>>, level: usize) -> Result<impl Runner, Error> {
    let n = input.keys().len();
    memory::require(n, memory::bytes_of::<K>(n))?;
    Ok(Pooled {
        pool: threads::pool(CPU_COPY, level)?,
        work: memory::buffer(n)?,
        input,
        restore: |output: &mut Vec<K>, _| memory::poison(output),
        run: |output, input: &Keys<K>, level| {
            let chunk = input.keys().len().div_ceil(level).max(1) * size_of::<K>();
            memory::copy_bytes(bytes_mut(output), bytes(input.keys()), chunk);
        },
        verify: |output, input| check_copy(input.keys(), output),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu;
    use crate::error::Difference;
    use crate::workload::Workload;

    fn input(keys: &[u32]) -> Rc<Keys<u32>> {
        Rc::new(Keys::new(keys.to_vec()))
    }

    /// An engine that sorts, and then tampers with the result of one call.
    struct Planted {
        calls: usize,
        tampered_call: usize,
        tamper: fn(&mut [u32]),
    }

    impl Engine<u32> for Planted {
        fn name(&self) -> &'static str {
            "planted"
        }

        fn sort(&mut self, keys: &mut [u32]) -> Result<(), Error> {
            keys.sort_unstable();
            if self.calls == self.tampered_call {
                (self.tamper)(keys);
            }
            self.calls += 1;
            Ok(())
        }
    }

    /// Four samples of the planted engine.
    fn planted(tampered_call: usize, tamper: fn(&mut [u32])) -> Result<Times, Error> {
        let keys: Vec<u32> = Workload::classic(10_000, 1).generate().unwrap();
        let engine = Box::new(Planted { calls: 0, tampered_call, tamper });
        Sorted::new(engine, keys.len(), 4, || Ok(input(&keys)))?.sample(4)
    }

    #[test]
    fn a_wrong_result_in_any_sample_fails_and_says_how() {
        for call in 0..4 {
            let message = planted(call, |keys| keys.swap(17, 9_000)).unwrap_err().to_string();
            let start = "planted: wrong result at level 4: out of order: key ";
            assert!(message.starts_with(start), "{message}");
            assert!(message.contains(" at index 17, then "), "{message}");
        }
        // The call after the last is never made.
        planted(4, |keys| keys.swap(17, 9_000)).unwrap();
    }

    #[test]
    fn lost_keys_and_unsorted_input_are_no_result() {
        let error = planted(2, |keys| keys[0] = keys[1]).unwrap_err();
        let Error::WrongResult { difference: Difference::Keys { index, .. }, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(index, 0);
        let untouched = |keys: &mut [u32]| {
            keys.copy_from_slice(&Workload::classic(10_000, 1).generate::<u32>().unwrap());
        };
        assert!(matches!(
            planted(0, untouched),
            Err(Error::WrongResult { difference: Difference::Order { .. }, .. })
        ));
    }

    #[test]
    fn each_sample_sorts_fresh_input_and_nothing_is_sorted_to_nothing() {
        let keys: Vec<u32> = Workload::classic(100_000, 1).generate().unwrap();
        let kept = input(&keys);
        let engine = Box::new(cpu::standard());
        let mut sorted = Sorted::new(engine, keys.len(), 2, || Ok(Rc::clone(&kept))).unwrap();
        for _ in 0..3 {
            assert!(sorted.sample(2).unwrap().host_s.unwrap() > 0.0);
        }
        assert_eq!(kept.keys(), keys);
        let engine = Box::new(cpu::standard());
        Sorted::new(engine, 0, 8, || Ok(input(&[]))).unwrap().sample(2).unwrap();
    }

    #[test]
    fn keys_that_are_not_kept_are_drawn_for_each_sort() {
        let draw = || Workload::classic(10_000, 1).generate::<u32>();
        let mut sorted = Sorted::drawn(Box::new(cpu::standard()), 10_000, 2, draw).unwrap();
        assert!(sorted.sample(3).unwrap().host_s.unwrap() > 0.0);
        let tamper = |keys: &mut [u32]| keys[0] = keys[1];
        let engine = Box::new(Planted { calls: 0, tampered_call: 1, tamper });
        let mut wrong = Sorted::drawn(engine, 10_000, 2, draw).unwrap();
        wrong.sample(1).unwrap();
        let error = wrong.sample(1).unwrap_err().to_string();
        assert!(error.contains("not the keys of the input"), "{error}");
    }

    #[test]
    fn memory_is_asked_for_before_it_is_taken() {
        let n = usize::MAX / 16;
        let none = || -> Result<Rc<Keys<u32>>, Error> { panic!("an input was drawn") };
        let error = Sorted::new(Box::new(cpu::standard()), n, 2, none).err().unwrap();
        let start = format!("n = {n} needs 13.8 EB of memory");
        assert!(error.to_string().starts_with(&start), "{error}");
    }

    #[test]
    fn a_batch_with_one_wrong_array_fails() {
        let arrays = [[3u32, 1, 2], [9, 8, 7], [1, 1, 0]];
        let inputs = Rc::new(Vec::from(arrays.map(|array| Keys::new(array.to_vec()))));
        for engine in [CPU_STD, CPU_RADIX] {
            let times = batch(Rc::clone(&inputs), engine).unwrap().sample(2).unwrap();
            assert!(times.host_s.unwrap() > 0.0);
        }
        let mut sorted: Vec<Vec<u32>> = arrays.map(|array| array.to_vec()).to_vec();
        sorted[0].sort_unstable();
        sorted[2].sort_unstable();
        let error = check_batch(&sorted, &inputs, CPU_STD).unwrap_err().to_string();
        assert!(error.contains("level 3: out of order: key 9"), "{error}");
    }

    #[test]
    fn pairs_are_sorted_by_every_engine() {
        let keys: Vec<u32> = (0..10_000).map(|i| i * 7919 % 10).collect();
        for engine in [CPU_STD, CPU_RAYON] {
            assert!(pairs(input(&keys), 2, engine).unwrap().sample(1).unwrap().host_s.is_some());
        }
    }

    #[test]
    fn a_pooled_runner_verifies_what_it_ran() {
        let mut pooled = Pooled {
            pool: threads::pool(CPU_STD, 1).unwrap(),
            input: Rc::new(()),
            work: 0,
            restore: |work, ()| *work = 1,
            run: |work, (), level| *work += level,
            verify: |work, ()| match work {
                2 => Ok(()),
                _ => Err(Error::Wrong("planted".to_owned())),
            },
        };
        pooled.sample(3).unwrap();
        pooled.run = |_, (), _| ();
        assert!(pooled.sample(1).is_err());
    }

    #[test]
    fn a_copy_is_by_as_many_threads_as_the_level() {
        let keys: Vec<u32> = (0..1001).collect();
        for level in [1, 3, 200] {
            copy(input(&keys), level).unwrap().sample(1).unwrap();
        }
        copy(input(&[]), 4).unwrap().sample(1).unwrap();
    }
}
