//! Sorts for Criterion's measurement, and the samples among them.
//!
//! Criterion asks for the time of a number of sorts, and does not say if that is part of
//! a warm-up or a sample. But it makes a number of the time of a sample alone, and asks
//! its measurement to: this is the measurement, and keeps a sample then.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use suite::{Case, Sample, Sampler, Session};

use super::panics;

/// The samples of a session.
#[derive(Clone)]
pub(crate) struct Samples {
    /// False where Criterion takes none.
    pub kept: bool,
    state: Rc<RefCell<State>>,
}

struct State {
    session: Session,
    /// Last measurement, until it is a sample.
    last: Option<Sample>,
    /// Samples of this case, and of all.
    of_case: u32,
    of_all: u32,
}

impl Samples {
    /// The samples of `session`, which are kept or dropped.
    pub(crate) fn new(session: Session, kept: bool) -> Self {
        let state = State { session, last: None, of_case: 0, of_all: 0 };
        Self { kept, state: Rc::new(RefCell::new(state)) }
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        act(&mut self.state.borrow_mut().session)
    }

    /// How many samples were kept of all cases.
    pub(crate) fn count(&self) -> u32 {
        self.state.borrow().of_all
    }

    /// Sorts `iterations` times; returns how long that took.
    pub(crate) fn take(&self, sampler: &mut Sampler, iterations: u64) -> Result<Duration> {
        let sorts = u32::try_from(iterations).unwrap_or(u32::MAX);
        let sample = sampler.take_of(sorts)?;
        let seconds = sample.seconds;
        self.state.borrow_mut().last = Some(sample);
        Ok(Duration::from_secs_f64(seconds * iterations as f64))
    }

    fn keep_last(&self) -> Result<()> {
        let state = &mut *self.state.borrow_mut();
        if let Some(sample) = state.last.take().filter(|_| self.kept) {
            state.session.keep(Sample { index: state.of_case, ..sample })?;
            state.of_case += 1;
            state.of_all += 1;
        }
        Ok(())
    }

    /// Ends a case, which has all its samples.
    pub(crate) fn finish(&self, case: &Case) -> Result<()> {
        let state = &mut *self.state.borrow_mut();
        state.last = None;
        match mem::take(&mut state.of_case) {
            0 => Ok(()),
            kept => Ok(state.session.finish(case, kept)?),
        }
    }
}

impl Measurement for Samples {
    type Intermediate = ();
    type Value = Duration;

    fn start(&self) {}

    fn end(&self, (): ()) -> Duration {
        Duration::ZERO
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        panics::pass(self.keep_last());
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
