//! Signals that end long work: Ctrl-C, a job's end, a terminal that closes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The last signal that came, 0 before there is one.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Exit code of a process that a signal ended early, as a shell would give it.
pub fn exit_code() -> Option<u8> {
    let signal = SIGNAL.get()?.load(Ordering::Relaxed);
    (signal > 0).then_some(128 + signal as u8)
}

/// A flag that SIGINT (Ctrl-C), SIGTERM and SIGHUP set, for the work to end when it next
/// can. The second signal ends the process at once. To be called once a process.
pub fn flag() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let came = SIGNAL.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Under `nohup` a terminal that closes ends nothing.
        if signal == SIGHUP && is_ignored(signal) {
            continue;
        }
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&interrupted))
            .and_then(|_| flag::register_usize(signal, Arc::clone(came), signal as usize))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .context("cannot listen for signals")?;
    }
    Ok(interrupted)
}

/// True if this process was started with the signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign >> (signal - 1) & 1 == 1)
}
