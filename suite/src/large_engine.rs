//! Arrays that the memory of GPUs does not hold: an engine from and to host memory, and
//! [`LargeSort`] in its place where it has no room.

use std::sync::Arc;

use host::gpu::Device;
use host::gpu::large::LargeSort;

use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;

/// Most lanes of a GPU. More copy no faster, as the link to the host is full, and make more runs.
const LANES_MAX: usize = 16;

/// The engine, which takes any array that host memory holds twice.
pub(crate) struct Larger<K: Key> {
    engine: Box<dyn Engine<K>>,
    /// The GPUs that the engine works on.
    devices: Vec<Arc<Device>>,
    level: usize,
    /// Ready to sort more than the engine has room for.
    large: Option<LargeSort<K>>,
}

impl<K: Key> Larger<K> {
    /// `engine`, which works on `devices`.
    pub(crate) fn of(engine: Box<dyn Engine<K>>, devices: Vec<Arc<Device>>) -> Box<dyn Engine<K>> {
        Box::new(Larger { engine, devices, level: 0, large: None })
    }

    /// Lanes of each GPU at a level.
    fn lanes(&self, level: usize) -> usize {
        level.div_ceil(self.devices.len().max(1)).min(LANES_MAX)
    }
}

impl<K: Key> Engine<K> for Larger<K> {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        self.engine.scratch_bytes(n, level)
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        // The buffers of an earlier level go first: their memory may be needed.
        self.large = None;
        self.level = level;
        match self.engine.prepare(n, level) {
            Err(Error::Host(error)) if error.is_too_large_for_gpu() => {
                self.large = Some(LargeSort::new(&self.devices, n, self.lanes(level))?);
                Ok(())
            }
            prepared => prepared,
        }
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        // The runs of fewer keys are others.
        if self.large.as_ref().is_some_and(|large| keys.len() < large.len()) {
            self.prepare(keys.len(), self.level)?;
        }
        match &mut self.large {
            Some(large) if keys.len() > large.len() => Err(Error::NotPrepared {
                engine: self.engine.name(),
                n: keys.len(),
                prepared: large.len(),
            }),
            Some(large) => Ok(large.sort(keys)?),
            None => self.engine.sort(keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine that has no room, for this reason.
    struct Full(fn() -> host::Error);

    impl Engine<u32> for Full {
        fn name(&self) -> &'static str {
            "full"
        }

        fn prepare(&mut self, _: usize, _: usize) -> Result<(), Error> {
            Err(self.0().into())
        }

        fn sort(&mut self, _: &mut [u32]) -> Result<(), Error> {
            unreachable!("it is never prepared")
        }
    }

    #[test]
    fn more_than_host_memory_holds_twice_is_refused_with_both_figures() {
        let full = Full(|| host::Error::TooManyToMerge { n: 1 << 50, limit: 1 << 32 });
        let mut engine = Larger::of(Box::new(full), Vec::new());
        let error = engine.prepare(1 << 50, 0).unwrap_err().to_string();
        assert!(error.starts_with("n = 1125899906842624 needs 4.5 PB of "), "{error}");
        assert!(error.contains(" is available; choose a smaller n"), "{error}");
    }

    #[test]
    fn other_errors_are_the_engines() {
        let failed = Full(|| host::Error::gpu("creating a stream", "it is lost"));
        let error = Larger::of(Box::new(failed), Vec::new()).prepare(7, 1).unwrap_err();
        assert_eq!(error.to_string(), "GPU: creating a stream: it is lost");
    }
}
