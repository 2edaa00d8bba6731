//! Samples of one case: warmed up, then one after the other.
//!
//! The first sorts of a process carry start-up: pages that are touched for the first
//! time, kernels that are loaded, clocks that are low. They are made and verified like
//! all others and then dropped. They also tell how long a sort takes: one so short
//! that reading a clock would be what is measured is made many times for one sample,
//! each over its input restored, and the sample is the mean.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::devices_engine;
use crate::engines::needs_gpu;
use crate::environment::now;
use crate::error::Error;
use crate::group::Group;
use crate::lines::Sample;
use crate::nvml::{self, Monitor};
use crate::runner::{Clock, Runner, Times};

/// Time of all sorts of a sample, at least, where that takes more than one:
/// ten thousand times what a reading of the clock takes.
const SAMPLE: Duration = Duration::from_micros(500);
/// Most sorts of one sample.
const SORTS_MAX: f64 = 1000.0;

/// Takes samples of one case.
pub struct Sampler {
    name: Case,
    case: Box<dyn Runner>,
    clock: Clock,
    /// Id of the environment that samples refer to.
    pub environment: String,
    /// Says what the GPU did.
    pub monitor: Option<Rc<Monitor>>,
    sorts: u32,
    taken: u32,
}

impl Sampler {
    /// A sampler of the case `name` by its runner.
    pub fn new(name: &Case, case: Box<dyn Runner>) -> Self {
        let group: Option<Group> = name.group.parse().ok();
        Self {
            name: name.clone(),
            case,
            clock: group.map_or(Clock::Host, Group::clock),
            environment: String::new(),
            monitor: None,
            sorts: 1,
            taken: 0,
        }
    }

    /// Sorts for `duration`, once at least, and chooses how many sorts make a sample.
    pub fn warm_up(&mut self, duration: Duration) -> Result<(), Error> {
        let start = Instant::now();
        let mut shortest = f64::INFINITY;
        loop {
            shortest = shortest.min(self.drop_of(1)?);
            if start.elapsed() >= duration {
                break;
            }
        }
        let enough = (SAMPLE.as_secs_f64() / shortest.max(1e-9)).ceil();
        self.sorts = enough.clamp(1.0, SORTS_MAX) as u32;
        Ok(())
    }

    /// One sample.
    pub fn take(&mut self) -> Result<Sample, Error> {
        self.take_of(self.sorts)
    }

    /// Sorts `sorts` times as for a sample, and returns the mean seconds: part of a
    /// warm-up that the caller conducts.
    pub fn drop_of(&mut self, sorts: u32) -> Result<f64, Error> {
        let times = self.sample(sorts)?;
        Ok(self.figure(&times)?.1)
    }

    /// One sample of `sorts` sorts.
    pub fn take_of(&mut self, sorts: u32) -> Result<Sample, Error> {
        let (begin, before) = (Instant::now(), self.energy_j());
        let times = self.sample(sorts)?;
        let energy_j = before.zip(self.energy_j()).map(|(before, after)| after - before);
        let energy_s = energy_j.map(|_| begin.elapsed().as_secs_f64());
        Ok(Sample { energy_j, energy_s, ..self.keep(times, sorts)? })
    }

    /// The energy that the GPU has taken, of a case that is the GPU's.
    fn energy_j(&self) -> Option<f64> {
        let monitor = self.monitor.as_ref().filter(|_| needs_gpu(&self.name.engine));
        monitor?.energy_j(devices_engine::gpus(&self.name))
    }

    /// A turn: `count` samples of one sort each, after sorts that are dropped. They count
    /// once [`verify`](Self::verify) returns.
    pub fn turn(&mut self, count: usize) -> Result<Vec<Sample>, Error> {
        let times = self.case.turn(count);
        let times = times.map_err(|error| error.of(&self.name))?;
        times.into_iter().map(|times| self.keep(times, 1)).collect()
    }

    /// Verifies the result of one more sort.
    pub fn verify(&mut self) -> Result<(), Error> {
        self.case.verified_sort().map_err(|error| error.of(&self.name))
    }

    fn keep(&mut self, times: Times, sorts: u32) -> Result<Sample, Error> {
        let (clock, seconds) = self.figure(&times)?;
        let count = devices_engine::gpus(&self.name);
        let gpus = self.monitor.as_ref().map_or_else(Vec::new, |monitor| monitor.read(count));
        let slowdowns = nvml::reasons(gpus.iter());
        let reading = gpus.first().cloned().unwrap_or_default();
        let index = self.taken;
        self.taken += 1;
        let cycles = times.device_s.zip(reading.sm_clock_hz);
        Ok(Sample {
            sorts,
            clock,
            host_s: times.host_s,
            device_s: times.device_s,
            overlap: times.overlap,
            sm_clock_hz: reading.sm_clock_hz,
            sm_cycles: cycles.map(|(seconds, hertz)| seconds * hertz),
            power_w: reading.power_w,
            temperature_c: reading.temperature_c,
            slowdowns,
            gpus: if count > 1 { gpus } else { Vec::new() },
            unix_time_s: now(),
            ..Sample::by_host(&self.environment, self.name.clone(), index, seconds)
        })
    }

    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        let times = self.case.sample(sorts);
        times.map_err(|error| error.of(&self.name))
    }

    /// The time that counts, by the clock of the group where it saw the sort.
    fn figure(&self, times: &Times) -> Result<(Clock, f64), Error> {
        let by = |clock| match clock {
            Clock::Host => times.host_s.map(|seconds| (clock, seconds)),
            Clock::Device => times.device_s.map(|seconds| (clock, seconds)),
        };
        by(self.clock)
            .or_else(|| by(Clock::Host))
            .or_else(|| by(Clock::Device))
            .ok_or_else(|| Error::Wrong("no clock saw the sort".to_owned()).of(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, runner::Times};

    struct Fixed(Times);

    impl Runner for Fixed {
        fn once(&mut self) -> Result<Times, Error> {
            Ok(self.0)
        }
    }

    fn sampler(group: &str, times: Times) -> Sampler {
        let name = format!("{group}/gpu/u32-uniform-10/1").parse().unwrap();
        Sampler::new(&name, Box::new(Fixed(times)))
    }

    #[test]
    fn the_clock_is_the_groups_where_it_saw_the_sort() {
        let both = Times { device_s: Some(1.0), ..Times::of_host(2.0) };
        for (group, clock, seconds) in
            [("classic", Clock::Host, 2.0), ("device", Clock::Device, 1.0)]
        {
            let sample = sampler(group, both).take().unwrap();
            assert_eq!((sample.clock, sample.seconds), (clock, seconds));
            assert_eq!((sample.host_s, sample.device_s), (Some(2.0), Some(1.0)));
        }
        let host = sampler("device", Times::of_host(2.0)).take().unwrap();
        assert_eq!((host.clock, host.seconds), (Clock::Host, 2.0));
        assert!(sampler("device", Times::default()).take().is_err());
    }

    #[test]
    fn short_sorts_are_made_many_times_for_a_sample() {
        let mut long = sampler("cpu", Times::of_host(0.1));
        long.warm_up(Duration::ZERO).unwrap();
        assert_eq!(long.take().unwrap().sorts, 1);
        let mut short = sampler("cpu", Times::of_host(1e-5));
        short.warm_up(Duration::ZERO).unwrap();
        assert_eq!(short.take().unwrap().sorts, 50);
        let mut none = sampler("cpu", Times::of_host(0.0));
        none.warm_up(Duration::ZERO).unwrap();
        assert_eq!(none.take().unwrap().sorts, 1000);
    }

    #[test]
    fn samples_are_counted_and_name_their_cell_and_environment() {
        let name: Case = "cpu/u32-uniform/cpu-std/2/5000".parse().unwrap();
        let case = Registry::new(3).build(&name).unwrap();
        let mut sampler = Sampler::new(&name, case);
        sampler.environment = "abc".to_owned();
        sampler.warm_up(Duration::ZERO).unwrap();
        for index in 0..3 {
            let sample = sampler.take().unwrap();
            assert_eq!((sample.index, &sample.case), (index, &name));
            assert_eq!(sample.environment, "abc");
            assert!(sample.seconds > 0.0 && sample.unix_time_s > 1.7e9);
        }
    }
}
