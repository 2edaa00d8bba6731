//! Sorts for Criterion's measurement, and the samples among them.
//!
//! Criterion asks for the time of a number of sorts, and does not say if that is part of
//! a warm-up or a sample. But it makes a number of the time of a sample alone, and asks
//! its measurement to: this is the measurement, and keeps a sample then.

use std::cell::RefCell;
use std::mem;
use std::panic;
use std::rc::Rc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use suite::{Sample, Sampler, Session};

use super::stop::Stop;

#[derive(Clone)]
pub(crate) struct Samples(Rc<RefCell<State>>);

struct State {
    session: Session,
    /// False where Criterion takes none.
    kept: bool,
    /// Last measurement, until it is a sample.
    last: Option<Sample>,
    /// Samples of this case, and of those before.
    of_case: u32,
    of_others: u32,
}

impl Samples {
    /// The samples of `session`, which are kept or dropped.
    pub(crate) fn new(session: Session, kept: bool) -> Self {
        Self(Rc::new(RefCell::new(State { session, kept, last: None, of_case: 0, of_others: 0 })))
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        act(&mut self.0.borrow_mut().session)
    }

    /// Sorts `iterations` times; returns how long that took.
    pub(crate) fn take(&self, sampler: &mut Sampler, iterations: u64) -> Result<Duration, Stop> {
        let sorts = u32::try_from(iterations).unwrap_or(u32::MAX);
        let sample = sampler.take_of(sorts)?;
        let seconds = sample.seconds;
        self.0.borrow_mut().last = Some(sample);
        Ok(Duration::from_secs_f64(seconds * iterations as f64))
    }

    fn keep_last(&self) -> Result<(), Stop> {
        let state = &mut *self.0.borrow_mut();
        if let Some(sample) = state.last.take().filter(|_| state.kept) {
            let index = state.of_case;
            state.session.keep(Sample { index, ..sample })?;
            state.of_case += 1;
        }
        Ok(())
    }

    /// Ends a case; returns how many samples were kept of it.
    pub(crate) fn end_case(&self) -> u32 {
        let state = &mut *self.0.borrow_mut();
        state.last = None;
        state.of_others += state.of_case;
        mem::take(&mut state.of_case)
    }

    /// How many samples were kept of all cases.
    pub(crate) fn count(&self) -> u32 {
        let state = self.0.borrow();
        state.of_others + state.of_case
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
        if let Err(stop) = self.keep_last() {
            panic::resume_unwind(Box::new(stop));
        }
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
