//! One device thread's stack as an OS thread that waits for its turn.
//!
//! For Miri, which knows no inline assembly and so no coroutines, and for debuggers, which
//! do not see a suspended coroutine. Turns, and panics with them, go over channels: the
//! same behaviour, three thousand times slower.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

enum Turn {
    Suspended,
    Ended,
    Panicked(Box<dyn Any + Send>),
}

/// The means by which a device thread suspends itself.
pub(super) struct Yielder {
    turns: Receiver<()>,
    answers: Sender<Turn>,
}

/// Suspends the running device thread, whose yielder this is.
pub(super) fn suspend(yielder: &Yielder) {
    // The other end is gone if the coroutine was recycled: there is no going on.
    let resumed = yielder.answers.send(Turn::Suspended).is_ok() && yielder.turns.recv().is_ok();
    if !resumed {
        resume_unwind(Box::new(Recycled));
    }
}

/// Unwinds a thread that is not to go on.
struct Recycled;

pub(super) struct Coroutine {
    turns: Sender<()>,
    answers: Receiver<Turn>,
    thread: JoinHandle<()>,
}

/// A value that may go to another thread, because only one of them ever runs.
struct Carried<T>(T);

// SAFETY: the two threads take turns, so nothing is used by both at once.
unsafe impl<T> Send for Carried<T> {}

impl<T> Carried<T> {
    fn into_inner(self) -> T {
        self.0
    }
}

impl Coroutine {
    /// A coroutine that will run `body`.
    ///
    /// # Safety
    /// Everything that `body` borrows lives until the coroutine is recycled.
    pub(super) unsafe fn new(bytes: usize, body: impl FnOnce(&Yielder)) -> Self {
        let (turns, own_turns) = channel();
        let (own_answers, answers) = channel();
        let yielder = Yielder { turns: own_turns, answers: own_answers };
        let carried = Carried(move || {
            if yielder.turns.recv().is_err() {
                return;
            }
            let answer = match catch_unwind(AssertUnwindSafe(|| body(&yielder))) {
                Ok(()) => Turn::Ended,
                Err(panic) => Turn::Panicked(panic),
            };
            // The other end is gone if the coroutine was recycled.
            let _ = yielder.answers.send(answer);
        });
        let builder = std::thread::Builder::new().stack_size(bytes);
        // SAFETY: `recycle` waits for the thread, and the caller for `recycle`.
        let thread = unsafe { builder.spawn_unchecked(move || carried.into_inner()()) };
        Self { turns, answers, thread: thread.expect("a thread for each resident device thread") }
    }

    /// As [`Coroutine::resume`](super::coroutine::Coroutine::resume).
    pub(super) fn resume(&mut self) -> bool {
        let sent = self.turns.send(()).is_ok();
        match self.answers.recv() {
            Ok(Turn::Suspended) if sent => false,
            Ok(Turn::Panicked(panic)) => resume_unwind(panic),
            _ => true,
        }
    }

    /// Ends the thread, by unwinding it if its body is not at its end.
    pub(super) fn recycle(self) {
        drop(self.turns);
        // A panic has been handed over; the one of a recycled thread is meant.
        let _ = self.thread.join();
    }
}
