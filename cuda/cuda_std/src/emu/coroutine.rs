//! A device thread's stack: that of a corosensei coroutine, or of an OS thread.
//!
//! A stack's first use ever costs page faults, fifty times as much as using it again,
//! so the stacks of coroutines outlive launches, in a pool of the OS thread.

use super::coroutine_threads::{self, Coroutine as Thread, Yielder as ThreadYielder};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine as StackCoroutine, CoroutineResult, Yielder as StackYielder};
use std::cell::RefCell;

/// The means by which a device thread suspends itself, on that thread's own stack.
#[derive(Clone, Copy)]
pub(crate) enum Yielder {
    Stack(*const StackYielder<(), ()>),
    Thread(*const ThreadYielder),
}

/// Suspends the running device thread.
///
/// # Safety
/// The yielder is that thread's.
#[inline(always)]
pub(crate) unsafe fn suspend(yielder: Yielder) {
    match yielder {
        // SAFETY: a running thread's stack is there.
        Yielder::Stack(yielder) => unsafe { &*yielder }.suspend(()),
        // SAFETY: the same.
        Yielder::Thread(yielder) => coroutine_threads::suspend(unsafe { &*yielder }),
    }
}

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

pub(crate) enum Coroutine {
    Stack(StackCoroutine<(), (), (), DefaultStack>),
    Thread(Thread),
}

impl Coroutine {
    /// A coroutine that will run `body`, on a stack of `bytes`, as an OS thread or not.
    ///
    /// # Safety
    /// Everything that `body` borrows lives until the coroutine is recycled.
    pub(crate) unsafe fn new(as_thread: bool, bytes: usize, body: impl FnOnce(Yielder)) -> Self {
        // SAFETY: the caller's promise is the one asked for.
        unsafe {
            if as_thread || cfg!(miri) {
                let body = |own: &ThreadYielder| body(Yielder::Thread(own));
                Self::Thread(Thread::new(bytes, body))
            } else {
                let body = move |own: &StackYielder<(), ()>, ()| body(Yielder::Stack(own));
                Self::Stack(StackCoroutine::with_stack_unchecked(stack(bytes), body))
            }
        }
    }

    /// Runs until the body suspends itself. Returns true if it ended instead. A panic of
    /// the body comes out here.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> bool {
        match self {
            Self::Stack(coroutine) => matches!(coroutine.resume(()), CoroutineResult::Return(())),
            Self::Thread(coroutine) => coroutine.resume(),
        }
    }

    /// Gives the stack back. A body that is not at its end is forgotten where it stands.
    ///
    /// # Safety
    /// Nothing on the stack needs to be dropped.
    pub(crate) unsafe fn recycle(self) {
        match self {
            Self::Stack(mut coroutine) => {
                if !coroutine.done() {
                    // SAFETY: the caller's promise is the one asked for.
                    unsafe { coroutine.force_reset() };
                }
                let stack = coroutine.into_stack();
                POOL.with_borrow_mut(|pool| pool.stacks.push(stack));
            }
            Self::Thread(coroutine) => coroutine.recycle(),
        }
    }
}
