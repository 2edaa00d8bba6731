//! A run over cases: what all of them have in common. It knows which engines can run
//! here, takes samples in one environment, and hands every line that is to be kept to
//! a sink.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::Runner;
use crate::case::Case;
use crate::engines::{self, DEVICE_COPY};
use crate::environment::{self, Environment, Gpu};
use crate::error::{Error, skip_line};
use crate::lines::{EnvironmentLine, Line, Sample};
use crate::memory;
use crate::nvml::Monitor;
use crate::registry::Registry;
use crate::runners::copies;
use crate::runners::host::copy as host_copy;
use crate::sampler::Sampler;
use crate::slowdown::Slowdown;
use crate::verify::Keys;
use host::gpu::Device;

/// Takes the lines of a run.
pub type Sink = Box<dyn FnMut(&Line) -> Result<(), Error>>;

/// Keys of the copies by which bandwidth is measured: more than any cache holds.
const COPIED: usize = 1 << 26;
/// Copies made for that; the fastest counts.
const COPIES: usize = 5;

/// A run over cases.
pub struct Session {
    /// Builds its cases.
    pub registry: Registry,
    /// Where it measures.
    pub environment: EnvironmentLine,
    monitor: Option<Rc<Monitor>>,
    sink: Sink,
    /// Engines that were looked for, and whether they can run.
    engines: BTreeMap<String, bool>,
    /// Versions of those that are other libraries'.
    versions: BTreeMap<String, String>,
}

impl Session {
    /// A run whose inputs are drawn from `seed`; `gpu` says whether any of its cases
    /// may need one. Nothing is written yet.
    pub fn new(seed: u64, tier: &str, gpu: bool, sink: Sink) -> Self {
        let device = if gpu { Device::open().ok() } else { None };
        let gpu = device.and_then(|device| Gpu::of(&device).ok());
        let monitor = gpu.as_ref().and_then(|_| Monitor::open().ok()).map(Rc::new);
        Self {
            registry: Registry::new(seed),
            monitor,
            environment: EnvironmentLine::new(Environment::here(gpu), seed, tier),
            sink,
            engines: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    /// Plants a slowdown in an engine; to be called before [`begin`](Self::begin), which
    /// writes it down.
    pub fn slow_down(&mut self, slowdown: Slowdown) {
        self.environment.slowdown = Some(slowdown.clone());
        self.registry.slow_down(slowdown);
    }

    /// Measures what plain copies move, and writes the environment.
    pub fn begin(&mut self, with_bandwidth: bool) -> Result<(), Error> {
        if with_bandwidth {
            self.environment.host_copy_bytes_per_s =
                bandwidth(|keys| Ok(Box::new(host_copy(keys, environment::cores())?)))?;
            if self.environment.environment.gpu.is_some() {
                self.environment.device_copy_bytes_per_s =
                    bandwidth(|keys| copies::build(DEVICE_COPY, keys, 1))?;
            }
        }
        let line = Line::Environment(Box::new(self.environment.clone()));
        (self.sink)(&line)
    }

    /// Returns true if `engine` can run. The first time that it cannot, `say` is handed the
    /// reason, which is written down.
    pub fn can_run(&mut self, engine: &str, say: &mut dyn FnMut(&str)) -> Result<bool, Error> {
        if let Some(&known) = self.engines.get(engine) {
            return Ok(known);
        }
        let runs = match self.registry.look_for(engine) {
            Ok(None) => true,
            Ok(Some(engine_version)) => {
                self.versions.insert(engine.to_owned(), engine_version.clone());
                (self.sink)(&Line::Engine { engine: engine.to_owned(), engine_version })?;
                true
            }
            Err(error) => {
                let Some(reason) = error.lacks() else {
                    return Err(error);
                };
                say(&skip_line(engine, reason));
                self.write_skipped(engine, reason.to_owned())?;
                false
            }
        };
        self.engines.insert(engine.to_owned(), runs);
        Ok(runs)
    }

    /// Version of an engine of another library that [can run](Self::can_run).
    pub fn version(&self, engine: &str) -> Option<&str> {
        self.versions.get(engine).map(String::as_str)
    }

    /// Writes why an engine that runs is not measured with the input of this case.
    pub fn skip(&mut self, case: &Case, reason: &str) -> Result<(), Error> {
        self.write_skipped(&case.engine, format!("{}: {reason}", case.input()))
    }

    fn write_skipped(&mut self, engine: &str, reason: String) -> Result<(), Error> {
        (self.sink)(&Line::Skipped { engine: engine.to_owned(), reason })
    }

    /// A sampler of a case of this run.
    pub fn sampler(&self, name: &Case, case: Box<dyn Runner>) -> Sampler {
        let mut sampler = Sampler::new(name, case);
        sampler.environment.clone_from(&self.environment.id);
        sampler.monitor.clone_from(&self.monitor);
        sampler
    }

    /// Writes a sample.
    pub fn keep(&mut self, sample: Sample) -> Result<(), Error> {
        self.write(&Line::Sample(Box::new(sample)))
    }

    /// Writes a line.
    pub fn write(&mut self, line: &Line) -> Result<(), Error> {
        (self.sink)(line)
    }

    /// Writes that a case has all its samples.
    pub fn finish(&mut self, case: &Case, samples: u32) -> Result<(), Error> {
        (self.sink)(&Line::Finished { case: case.clone(), samples })
    }
}

/// Bytes a second, read and written, that the copy moves whose input `build` is given; none where
/// memory is short. Equal bytes take as long to copy as drawn keys do, which take longer to draw.
fn bandwidth(
    build: impl FnOnce(Rc<Keys<u32>>) -> Result<Box<dyn Runner>, Error>,
) -> Result<Option<f64>, Error> {
    let bytes = memory::bytes_of::<u32>(COPIED);
    if memory::require(COPIED, bytes.saturating_mul(4)).is_err() {
        return Ok(None);
    }
    let mut copy = build(Rc::new(Keys::new(memory::filled(!memory::POISON, COPIED)?)))?;
    let mut shortest = f64::INFINITY;
    for _ in 0..COPIES {
        let times = copy.sample(1)?;
        let seconds = times.device_s.or(times.host_s);
        shortest = shortest.min(seconds.unwrap_or(f64::INFINITY));
    }
    Ok(Some(2.0 * bytes as f64 / shortest))
}

/// Returns true if any of `cases` needs a GPU.
pub fn any_needs_gpu(cases: &[Case]) -> bool {
    cases.iter().any(|case| engines::needs_gpu(&case.engine))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn what_happens_is_handed_to_the_sink_and_a_missing_engine_is_said_once() {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&lines);
        let sink: Sink = Box::new(move |line| {
            kept.borrow_mut().push(line.clone());
            Ok(())
        });
        let mut session = Session::new(1, "quick", false, sink);
        session.begin(false).unwrap();
        let name: Case = "cpu/u32-uniform/cpu-std/1/1000".parse().unwrap();
        let mut said = Vec::new();
        assert!(session.can_run(&name.engine, &mut |_| panic!()).unwrap());
        if Device::open().is_err() {
            for _ in 0..2 {
                let mut say = |line: &str| said.push(line.to_owned());
                assert!(!session.can_run("gpu", &mut say).unwrap());
            }
            assert_eq!(said.len(), 1);
        }
        let case = session.registry.build(&name).unwrap();
        let sample = session.sampler(&name, case).take().unwrap();
        assert_eq!(sample.environment, session.environment.id);
        session.keep(sample).unwrap();
        session.finish(&name, 1).unwrap();
        let lines = lines.borrow();
        assert!(matches!(lines[0], Line::Environment(_)), "{lines:?}");
        assert!(matches!(lines.last(), Some(Line::Finished { .. })), "{lines:?}");
    }
}
