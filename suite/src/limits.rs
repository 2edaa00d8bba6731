//! Limits of a process that would end it without a word, settled so that an error is returned.

use crate::memory;

/// To be called first in `main`, before any thread is started.
pub fn return_errors() {
    // SAFETY: the signal is ignored, and no handler runs.
    #[cfg(unix)]
    unsafe {
        // A write beyond `ulimit -f` fails instead.
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    // By default glibc maps 64 MiB for each thread that allocates, up to eight times the cores,
    // and a thread that then finds no room ends the process. It settles this when a second
    // thread allocates.
    #[cfg(target_env = "gnu")]
    if memory::mappable().is_some() {
        // SAFETY: sets an option of the allocator, and takes no pointer.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}
