//! Cases by turns, so that ratios stay fair when clocks drift.
//!
//! All cases are of one input, and turns go round: A B C A B C. A turn is a few sorts that
//! are dropped and a few that count. Those that are dropped are at least
//! [`WARM_UP_SORTS`](crate::runner::WARM_UP_SORTS), and as many more as it takes to keep the engine busy for
//! [`WARM_UP_S`](crate::runner::WARM_UP_S): a GPU lowers its clocks when idle, as it was while another case had its
//! turn, and a few small sorts do not raise them again. After the last turn each case
//! sorts once more, over a result overwritten before; that is verified, and only then it
//! has samples.

use crate::case::Case;
use crate::cycles::Cycles;
use crate::engines::{engine_and_variant, is_peer};
use crate::error::Error;
use crate::group::Group;
use crate::lines::Sample;
use crate::peers::Variant;
use crate::sampler::Sampler;
use crate::session::Session;
use crate::statistics::{interval, median};

/// Turns of each case, where there are samples enough.
const ROUNDS: usize = 5;
/// Name of the way in which an engine sorts that has one.
const ONLY: &str = "only";

/// Number of turns, and of samples in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Turns of each case.
    pub rounds: usize,
    /// Samples of a turn.
    pub samples: usize,
}

impl Turns {
    /// At least `samples` of each case: as many turns as that divides into, five at most,
    /// all alike.
    pub fn of(samples: usize) -> Self {
        let rounds = samples.clamp(1, ROUNDS);
        Self { rounds, samples: samples.div_ceil(rounds).max(1) }
    }

    /// Samples all cases by turns; returns for each, in their order, its samples or why it
    /// has none. One that fails is out of the later turns.
    pub fn take(self, samplers: Vec<Result<Sampler, Error>>) -> Vec<Result<Vec<Sample>, Error>> {
        let running = |sampler: Result<Sampler, Error>| Ok((sampler?, Vec::new()));
        let mut running: Vec<Result<_, Error>> = samplers.into_iter().map(running).collect();
        for _ in 0..self.rounds {
            for entry in &mut running {
                if let Ok((sampler, taken)) = entry {
                    match sampler.turn(self.samples) {
                        Ok(samples) => taken.extend(samples),
                        Err(error) => *entry = Err(error),
                    }
                }
            }
        }
        let verified = |entry: Result<(Sampler, Vec<Sample>), Error>| {
            let (mut sampler, taken) = entry?;
            sampler.verify()?;
            Ok(taken)
        };
        running.into_iter().map(verified).collect()
    }
}

/// The samples of one variant of an engine for one input. Its result was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// How it sorted.
    pub variant: Variant,
    /// Milliseconds of each sort, in the order made, turn after turn.
    pub times_ms: Vec<f64>,
    /// Cycles of the GPU's multiprocessors for an element.
    pub cycles: Option<Cycles>,
}

impl Times {
    /// The median, and the interval for it.
    pub fn summary(&self) -> (f64, [f64; 2]) {
        let of = interval(&self.times_ms);
        (median(&self.times_ms), [of.low, of.high])
    }
}

/// The result of one engine for one input.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the engine.
    pub name: String,
    /// Version of a peer's library; none for ours.
    pub version: Option<String>,
    /// Its times by each of its variants, one at least, the least median first; or why it has
    /// none.
    pub times: Result<Vec<Times>, Error>,
}

impl Outcome {
    /// Returns true of another library.
    pub fn is_peer(&self) -> bool {
        is_peer(&self.name)
    }

    /// The times of its fastest variant, if it has any.
    pub fn best(&self) -> Option<&Times> {
        self.times.as_ref().ok()?.first()
    }
}

/// Puts the least median first.
pub fn by_median(mut times: Vec<Times>) -> Vec<Times> {
    times.sort_by(|a, b| a.summary().0.total_cmp(&b.summary().0));
    times
}

impl Session {
    /// Samples the input of `case` on each of `engines` by turns, in each way in which an
    /// engine can sort it, and writes the samples. Engines that do not sort such an input
    /// are left out.
    pub fn by_turns(
        &mut self,
        case: &Case,
        engines: &[&str],
        turns: Turns,
    ) -> Result<Vec<Outcome>, Error> {
        let group: Group = case.group.parse()?;
        let of_group = group.engines();
        let engines = engines.iter().filter(|name| of_group.contains(&engine_and_variant(name).0));
        let mut engines: Vec<(&str, Result<Vec<Variant>, Error>)> =
            engines.map(|engine| (*engine, self.ways(&case.of_engine(engine)))).collect();
        let is_left_out = |error: &Error| error.is_unavailable();
        engines.retain(|(_, ways)| !ways.as_ref().is_err_and(is_left_out));
        let mut variants = Vec::new();
        let mut samplers = Vec::new();
        for (engine, ways) in &engines {
            for variant in ways.iter().flatten() {
                let name = match variant.name.as_str() {
                    ONLY => case.of_engine(engine),
                    variant => case.of_engine(&format!("{engine}@{variant}")),
                };
                let opened = self.registry.build(&name);
                let bytes = opened.as_ref().ok().and_then(|case| case.temporary_bytes());
                variants.push(Variant {
                    temporary_bytes: variant.temporary_bytes.or(bytes),
                    ..variant.clone()
                });
                samplers.push(opened.map(|case| self.sampler(&name, case)));
            }
        }
        let mut taken = turns.take(samplers).into_iter().zip(variants);
        let mut outcomes = Vec::new();
        for (engine, ways) in engines {
            let times = match ways {
                Ok(ways) => self.times(taken.by_ref().take(ways.len()).collect())?,
                Err(error) => Err(error),
            };
            outcomes.push(Outcome {
                name: engine.to_owned(),
                version: self.version(engine).map(str::to_owned),
                times,
            });
        }
        Ok(outcomes)
    }

    /// Ways in which an engine can sort the input of a case: one at least.
    fn ways(&self, case: &Case) -> Result<Vec<Variant>, Error> {
        let mut ways = self.registry.variants(case)?;
        if ways.is_empty() {
            ways.push(Variant { name: ONLY.to_owned(), temporary_bytes: None });
        }
        Ok(ways)
    }

    /// The times of one engine, whose samples are written; the first error if any of its
    /// variants has none.
    fn times(
        &mut self,
        taken: Vec<(Result<Vec<Sample>, Error>, Variant)>,
    ) -> Result<Result<Vec<Times>, Error>, Error> {
        let mut all = Vec::new();
        for (samples, variant) in taken {
            let samples = match samples {
                Ok(samples) => samples,
                Err(error) => return Ok(Err(error)),
            };
            let gpu = self.environment.environment.gpu.as_ref();
            let elements = samples.first().map_or(0.0, |sample| sample.case.n as f64);
            all.push(Times {
                variant,
                cycles: Cycles::of(gpu, elements, &samples),
                times_ms: samples.iter().map(|sample| sample.seconds * 1e3).collect(),
            });
            samples.into_iter().try_for_each(|sample| self.keep(sample))?;
        }
        Ok(Ok(by_median(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{Runner, Times};

    /// Sorts that take longer and longer, in seconds, and a result that may be wrong.
    struct Counted {
        sorts: u32,
        wrong: bool,
    }

    impl Runner for Counted {
        fn once(&mut self) -> Result<Times, Error> {
            self.sorts += 1;
            Ok(Times::of_host(f64::from(self.sorts)))
        }

        fn verified_sort(&mut self) -> Result<(), Error> {
            match self.wrong {
                true => Err(Error::Wrong("planted".to_owned())),
                false => Ok(()),
            }
        }
    }

    fn sampler(wrong: bool) -> Result<Sampler, Error> {
        let name = "cpu/u32-uniform/cpu-std/1/10".parse().unwrap();
        Ok(Sampler::new(&name, Box::new(Counted { sorts: 0, wrong })))
    }

    #[test]
    fn engines_that_the_group_does_not_have_are_left_out() {
        let mut session = Session::new(1, "quick", false, Box::new(|_| Ok(())));
        let case = "cpu/u32-uniform/cpu-std/1/10".parse().unwrap();
        let outcomes = session.by_turns(&case, &["cpu-std", "torch"], Turns::of(1)).unwrap();
        let names: Vec<_> = outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
        assert_eq!(names, ["cpu-std"]);
    }

    #[test]
    fn turns_have_as_many_samples_as_asked_or_a_few_more() {
        for (asked, rounds, samples) in [(1, 1, 1), (4, 4, 1), (20, 5, 4), (21, 5, 5), (100, 5, 20)]
        {
            assert_eq!(Turns::of(asked), Turns { rounds, samples }, "{asked}");
        }
    }

    #[test]
    fn a_wrong_result_has_no_samples_and_leaves_the_others_theirs() {
        let samplers = vec![sampler(false), sampler(true), Err(Error::LevelZero)];
        let mut taken = Turns::of(6).take(samplers).into_iter();
        let seconds: Vec<f64> = taken.next().unwrap().unwrap().iter().map(|s| s.seconds).collect();
        assert_eq!(seconds, (1..=10).map(f64::from).collect::<Vec<_>>());
        let wrong = taken.next().unwrap().unwrap_err().to_string();
        assert_eq!(wrong, "cpu/u32-uniform/cpu-std/1/10: wrong result: planted");
        assert!(matches!(taken.next(), Some(Err(Error::LevelZero))));
    }
}
