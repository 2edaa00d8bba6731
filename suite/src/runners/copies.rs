//! Copies alone: what lies under every sort whose keys have to come from somewhere.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use cust::event::Event;
use cust::memory::{AsyncCopyDestination, DeviceBuffer, LockedBuffer};
use cust::stream::Stream;
use rayon::ThreadPool;

use crate::engines::{DEVICE_COPY, PINNED_IN, PINNED_OUT, STAGED_IN, STAGED_OUT};
use crate::error::Error;
use crate::key::Key;
use crate::memory;
use crate::runner::{Runner, Times};
use crate::runners::gpu::{download, poison, sorter, timed};
use crate::threads;
use crate::verify::{Keys, check_copy};
use host::error::failed;
use host::gpu::Device;
use host::gpu::stream::{stream, timer};
use host::gpu::transfer::{Staging, upload};

/// The runner of a copy on the GPU.
pub fn build<K: Key>(
    engine: &str,
    input: Rc<Keys<K>>,
    level: usize,
) -> Result<Box<dyn Runner>, Error> {
    let device = Arc::clone(sorter()?.device());
    device.enter()?;
    Ok(match engine {
        STAGED_IN => Box::new(Staged::new(device, STAGED_IN, input, level)?),
        STAGED_OUT => Box::new(Staged::new(device, STAGED_OUT, input, level)?),
        PINNED_IN => Box::new(Plain::new(device, PINNED_IN, input)?),
        PINNED_OUT => Box::new(Plain::new(device, PINNED_OUT, input)?),
        _ => Box::new(Plain::new(device, DEVICE_COPY, input)?),
    })
}

/// One copy on one stream, timed by events.
struct Plain<K: Key> {
    device: Arc<Device>,
    engine: &'static str,
    input: Rc<Keys<K>>,
    pinned: LockedBuffer<K>,
    source: DeviceBuffer<K>,
    there: DeviceBuffer<K>,
    stream: Stream,
    events: (Event, Event),
}

impl<K: Key> Plain<K> {
    fn new(device: Arc<Device>, engine: &'static str, input: Rc<Keys<K>>) -> Result<Self, Error> {
        let pinned = LockedBuffer::from_slice(input.keys());
        Ok(Self {
            device,
            engine,
            pinned: pinned.map_err(failed("allocating pinned memory"))?,
            source: upload(input.keys())?,
            there: upload(input.keys())?,
            input,
            stream: stream()?,
            events: (timer()?, timer()?),
        })
    }
}

impl<K: Key> Runner for Plain<K> {
    fn once(&mut self) -> Result<Times, Error> {
        self.device.enter()?;
        match self.engine {
            PINNED_OUT => memory::poison(self.pinned.as_mut_slice()),
            PINNED_IN => memory::copy(self.pinned.as_mut_slice(), self.input.keys()),
            _ => {}
        }
        poison(&self.there, &self.stream)?;
        let pinned = self.pinned.as_mut_slice();
        let copy = || {
            // SAFETY: the buffers are this value's own, and `timed` waits for the end.
            let copied = unsafe {
                match self.engine {
                    PINNED_IN => self.there.async_copy_from(&*pinned, &self.stream),
                    PINNED_OUT => self.source.async_copy_to(pinned, &self.stream),
                    _ => self.there.async_copy_from(&self.source, &self.stream),
                }
            };
            copied.map_err(failed("copying"))
        };
        let times = timed(&self.events, &self.stream, "copying", copy)?;
        match self.engine {
            PINNED_OUT => check_copy(self.input.keys(), self.pinned.as_slice())?,
            _ => check_copy(self.input.keys(), &download(&self.there)?)?,
        }
        Ok(times)
    }
}

/// A copy from or to ordinary memory in chunks, each staged by a thread of its own as
/// the GPU engine does it, timed by the host's clock.
struct Staged<K: Key> {
    device: Arc<Device>,
    inwards: bool,
    input: Rc<Keys<K>>,
    host: Vec<K>,
    there: DeviceBuffer<K>,
    lanes: Vec<(Staging<K>, Stream)>,
    pool: ThreadPool,
    chunk: usize,
}

impl<K: Key> Staged<K> {
    fn new(
        device: Arc<Device>,
        engine: &'static str,
        input: Rc<Keys<K>>,
        level: usize,
    ) -> Result<Self, Error> {
        let chunk = input.keys().len().div_ceil(level).max(1);
        let count = input.keys().len().div_ceil(chunk).max(1);
        let lane = |_| Ok((Staging::new(chunk)?, stream()?));
        Ok(Self {
            device,
            inwards: engine == STAGED_IN,
            host: memory::copied(input.keys())?,
            there: upload(input.keys())?,
            lanes: (0..count).map(lane).collect::<Result<_, crate::Error>>()?,
            pool: threads::pool(engine, count)?,
            chunk,
            input,
        })
    }
}

impl<K: Key> Runner for Staged<K> {
    fn once(&mut self) -> Result<Times, Error> {
        self.device.enter()?;
        if self.inwards {
            poison(&self.there, &self.lanes[0].1)?;
            let idle = self.lanes[0].1.synchronize();
            idle.map_err(failed("overwriting the last copy"))?;
        } else {
            memory::poison(&mut self.host);
        }
        let (device, there, chunk) = (&self.device, &self.there, self.chunk);
        let (host, lanes, inwards) = (&mut self.host, &mut self.lanes, self.inwards);
        let begun = Instant::now();
        let mut done = Ok(());
        threads::install(&self.pool, &mut || {
            let chunks = host.chunks_mut(chunk).zip(&mut *lanes).enumerate();
            done = threads::try_each(chunks, |(index, (keys, (staging, stream)))| {
                device.enter()?;
                let there = there.index(index * chunk..index * chunk + keys.len());
                if inwards {
                    staging.upload(keys, &there, stream)?;
                    stream.synchronize().map_err(failed("copying keys to the GPU"))
                } else {
                    staging.download(&there, keys, stream)
                }
            });
        });
        let elapsed = begun.elapsed();
        done?;
        match self.inwards {
            true => check_copy(self.input.keys(), &download(&self.there)?)?,
            false => check_copy(self.input.keys(), &self.host)?,
        }
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}
