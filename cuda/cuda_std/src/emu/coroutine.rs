//! One device thread's stack: that of a coroutine, or of an OS thread.

use super::{coroutine_stack, coroutine_threads};

/// The means by which a device thread suspends itself. It lives on that thread's own stack.
#[derive(Clone, Copy)]
pub(crate) enum Yielder {
    Stack(*const coroutine_stack::Yielder),
    Thread(*const coroutine_threads::Yielder),
}

/// Suspends the running device thread.
///
/// # Safety
/// The yielder is that thread's.
#[inline(always)]
pub(crate) unsafe fn suspend(yielder: Yielder) {
    match yielder {
        // SAFETY: a running thread's stack is there.
        Yielder::Stack(yielder) => coroutine_stack::suspend(unsafe { &*yielder }),
        // SAFETY: the same.
        Yielder::Thread(yielder) => coroutine_threads::suspend(unsafe { &*yielder }),
    }
}

pub(crate) enum Coroutine {
    Stack(coroutine_stack::Coroutine),
    Thread(coroutine_threads::Coroutine),
}

impl Coroutine {
    /// A coroutine that will run `body`, on a stack of `bytes`, as an OS thread or not.
    ///
    /// # Safety
    /// Everything that `body` borrows lives until the coroutine is recycled.
    pub(super) unsafe fn new(threads: bool, bytes: usize, body: impl FnOnce(Yielder)) -> Self {
        // SAFETY: the caller's promise is the one asked for.
        unsafe {
            if threads || cfg!(miri) {
                let body = |own: &coroutine_threads::Yielder| body(Yielder::Thread(own));
                Self::Thread(coroutine_threads::Coroutine::new(bytes, body))
            } else {
                let body = |own: &coroutine_stack::Yielder| body(Yielder::Stack(own));
                Self::Stack(coroutine_stack::Coroutine::new(bytes, body))
            }
        }
    }

    /// Runs until the body suspends itself, or ends: then true. A panic of the
    /// body comes out here.
    #[inline(always)]
    pub(super) fn resume(&mut self) -> bool {
        match self {
            Self::Stack(coroutine) => coroutine.resume(),
            Self::Thread(coroutine) => coroutine.resume(),
        }
    }

    /// Gives the stack back. A body that is not at its end never goes on.
    ///
    /// # Safety
    /// Nothing that stands on the stack then needs to be dropped.
    pub(super) unsafe fn recycle(self) {
        match self {
            // SAFETY: the caller's promise is the one asked for.
            Self::Stack(coroutine) => unsafe { coroutine.recycle() },
            Self::Thread(coroutine) => coroutine.recycle(),
        }
    }
}
