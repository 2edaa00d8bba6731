//! One device thread's stack: a corosensei coroutine on a pooled stack.
//!
//! A stack's first use ever costs page faults, fifty times what using it again
//! does, so stacks outlive launches, in a pool of the OS thread.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine as Inner, CoroutineResult, Yielder as InnerYielder};
use std::cell::RefCell;

/// The means by which a device thread suspends itself.
pub(super) type Yielder = InnerYielder<(), ()>;

/// Suspends the running device thread, whose yielder this is.
#[inline(always)]
pub(super) fn suspend(yielder: &Yielder) {
    yielder.suspend(());
}

pub(super) struct Coroutine(Inner<(), (), (), DefaultStack>);

struct Pool {
    bytes: usize,
    stacks: Vec<DefaultStack>,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: 0, stacks: Vec::new() }) };
}

fn stack(bytes: usize) -> DefaultStack {
    POOL.with_borrow_mut(|pool| {
        if pool.bytes != bytes {
            pool.bytes = bytes;
            pool.stacks.clear();
        }
        pool.stacks.pop().unwrap_or_else(|| {
            DefaultStack::new(bytes).unwrap_or_else(|error| {
                panic!(
                    "the system gives no further stack of {bytes} bytes ({error}): \
                     launch with a smaller Options::resident or Options::stack_bytes"
                )
            })
        })
    })
}

impl Coroutine {
    /// A coroutine that will run `body`, on a stack of `bytes`.
    ///
    /// # Safety
    /// Everything that `body` borrows lives until the coroutine is recycled.
    pub(super) unsafe fn new(bytes: usize, body: impl FnOnce(&Yielder)) -> Self {
        // SAFETY: the caller's promise is the one asked for.
        Self(unsafe { Inner::with_stack_unchecked(stack(bytes), move |yielder, ()| body(yielder)) })
    }

    /// Runs until the body suspends itself, or ends: then true. A panic of the
    /// body comes out here.
    pub(super) fn resume(&mut self) -> bool {
        matches!(self.0.resume(()), CoroutineResult::Return(()))
    }

    /// Gives the stack back. A body that is not at its end never goes on: it is
    /// forgotten where it stands.
    ///
    /// # Safety
    /// Nothing that stands on the stack then needs to be dropped.
    pub(super) unsafe fn recycle(mut self) {
        if !self.0.done() {
            // SAFETY: the caller's promise is the one asked for.
            unsafe { self.0.force_reset() };
        }
        let stack = self.0.into_stack();
        POOL.with_borrow_mut(|pool| pool.stacks.push(stack));
    }
}
