//! Peers without a GPU: they speak the protocol, well or badly.
//!
//! This program starts itself: with a variable that names a fault, it is a peer that has
//! it.

mod fake;
mod python;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use suite::peers::Peer;
use suite::turns::{Outcome, Turns};
use suite::{Case, Error, Session};

/// Says what is wrong with the peer that this process is to be.
const ACT_AS: &str = "CUDAMARK_TEST_ACT_AS";

fn main() -> ExitCode {
    if let Ok(fault) = env::var(ACT_AS) {
        return fake::run(&fault);
    }
    macro_rules! trials {
        ($($test:path,)*) => {
            vec![$(Trial::test(stringify!($test), || {
                $test();
                Ok(())
            })),*]
        };
    }
    let mut trials = trials![
        a_good_peer_has_its_times,
        a_peer_is_asked_for_what_it_sorts_and_while_it_lives,
        a_peer_is_asked_for_orders_that_it_greets_with,
        a_peer_can_be_left_to_choose_its_fastest_variant,
        a_peer_on_another_gpu_is_refused,
        wrong_results_are_found,
        a_peer_that_cannot_run_is_skipped,
        a_peer_that_crashes_says_what_it_said,
        a_dead_peer_stays_dead_and_says_so,
        a_peer_that_hangs_is_stopped,
        a_peer_that_talks_nonsense_is_told_so,
        a_peer_without_room_goes_on_with_the_next_input,
        a_program_that_is_not_there_cannot_be_started,
    ];
    let in_python = trials![
        python::whatever_an_import_raises_is_the_reason,
        python::an_interpreter_that_dies_or_hangs_is_a_reason,
        python::an_interpreter_that_is_no_python_3_is_a_reason,
        python::an_interrupted_import_is_no_reason_to_go_on,
        python::what_an_import_prints_does_not_hide_the_library,
    ];
    let missing = !python::is_here();
    trials.extend(in_python.into_iter().map(|trial| trial.with_ignored_flag(missing)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Time enough for a process to start on a busy machine, and none for it to hang.
const LIMIT: Duration = Duration::from_secs(20);

fn peer(fault: &str, limit: Duration) -> Result<Peer, Error> {
    started("fake", fault, limit)
}

fn started(name: &str, fault: &str, limit: Duration) -> Result<Peer, Error> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(ACT_AS, fault);
    Peer::start(name, command, limit)
}

/// The outcomes for the CPU's sort and a peer, which is called cub, on a thousand keys.
fn outcomes(peer: Peer, samples: usize, case: &str) -> Vec<Outcome> {
    let mut session = session(peer);
    let case: Case = case.parse().unwrap();
    session.by_turns(&case, &["cub"], Turns::of(samples)).unwrap()
}

fn session(peer: Peer) -> Session {
    let session = Session::new(3, "test", false, Box::new(|_| Ok(())));
    session.registry.adopt("cub", peer);
    session
}

const CELL: &str = "device/u32-uniform/cub/1/1000";

fn failure(fault: &str) -> String {
    let mut outcomes = outcomes(started("cub", fault, LIMIT).unwrap(), 6, CELL);
    assert_eq!(outcomes.len(), 1, "{fault}");
    outcomes.remove(0).times.unwrap_err().to_string()
}

fn a_good_peer_has_its_times() {
    let peer = started("cub", "none", LIMIT).unwrap();
    assert_eq!(peer.greeting.peer_version, "1.2.3");
    let mut session = session(peer);
    assert!(session.can_run("cub", &mut |_| panic!()).unwrap());
    for _ in 0..2 {
        let case: Case = CELL.parse().unwrap();
        let outcomes = session.by_turns(&case, &["cub"], Turns::of(20)).unwrap();
        assert_eq!(outcomes[0].version.as_deref(), Some("1.2.3"));
        let times = outcomes[0].times.as_ref().unwrap();
        let all: Vec<(&str, f64, usize)> = (times.iter())
            .map(|times| (&*times.variant.name, times.times_ms[0], times.times_ms.len()))
            .collect();
        assert_eq!(all, [("fast", 3.0, 20), ("slow", 4.0, 20)]);
        assert_eq!(times[0].variant.temporary_bytes, Some(4000));
    }
}

fn a_peer_is_asked_for_what_it_sorts_and_while_it_lives() {
    let met = |fault: &str, case: &str| -> Vec<bool> {
        let outcomes = outcomes(started("cub", fault, LIMIT).unwrap(), 1, case);
        outcomes.iter().map(|outcome| outcome.times.is_ok()).collect()
    };
    assert_eq!(met("none", CELL), [true]);
    assert_eq!(met("other type", CELL), [] as [bool; 0]);
    assert_eq!(met("other type", "device/i32-uniform/cub/1/1000"), [true]);
    assert_eq!(met("crashes", CELL), [false]);
}

fn a_peer_is_asked_for_orders_that_it_greets_with() {
    let outcome = |fault: &str, case: &str| {
        let mut outcomes = outcomes(started("cub", fault, LIMIT).unwrap(), 6, case);
        outcomes.pop().map(|outcome| outcome.times.map(drop).map_err(|error| error.to_string()))
    };
    let descending = "device/u32@descending-uniform/cub/1/1000";
    assert_eq!(outcome("none", descending), Some(Ok(())));
    let wrong = outcome("ascends always", descending).unwrap().unwrap_err();
    assert!(wrong.contains("cub: wrong result: out of order: key "), "{wrong}");
    for other in ["u32@0..8", "u32@0..8@descending", "u32+index", "u8"] {
        let group = if other.contains('+') { "pairs" } else { "device" };
        assert_eq!(outcome("none", &format!("{group}/{other}-uniform/cub/1/1000")), None);
    }
}

fn a_peer_can_be_left_to_choose_its_fastest_variant() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("keys"), [0; 8]).unwrap();
    let mut peer = peer("none", LIMIT).unwrap();
    peer.load("u32", 2, folder.path()).unwrap();
    assert_eq!(peer.run("slow", 1).unwrap(), [4.0]);
    let fastest = peer.fastest(2).unwrap();
    assert_eq!(peer.run(&fastest.name, 1).unwrap(), [3.0]);
}

fn a_peer_on_another_gpu_is_refused() {
    let error = peer("none", LIMIT).unwrap().on("NVIDIA H200").unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake: runs on none, and ours on NVIDIA H200; set CUDA_VISIBLE_DEVICES to one GPU"
    );
    assert!(peer("none", LIMIT).unwrap().on("none").is_ok());
}

fn wrong_results_are_found() {
    for (fault, message) in [
        ("loses a key", "cub: wrong result: not the keys of the input: at index 0 "),
        ("is wrong when slow", "cub: wrong result: not the keys of the input: at index 0 "),
        ("leaves two exchanged", "cub: wrong result: out of order: key "),
        ("writes half", "cub: wrong result: the input has 1000 keys, the result 500"),
    ] {
        let error = failure(fault);
        assert!(error.contains(&format!(": {message}")), "{error}");
    }
    let error = failure("writes nothing");
    assert!(error.contains("result/keys: No such file"), "{error}");
}

fn a_peer_that_cannot_run_is_skipped() {
    let error = peer("skips", LIMIT).unwrap_err();
    assert!(matches!(error, Error::Skipped { .. }), "{error:?}");
    assert_eq!(error.to_string(), "fake: skipped: No module named 'cupy'; see `cudamark doctor`");
}

fn a_peer_that_crashes_says_what_it_said() {
    let error = peer("dies at once", LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake: skipped: it ended (exit status: 1) before it was ready, and last said: Traceback: \
         it is broken; see `cudamark doctor`"
    );
    assert_eq!(
        failure("crashes"),
        "device/u32-uniform/cub@slow/1/1000: cub: ended (exit status: 1) at `run slow 3`; it last \
         said: illegal memory access"
    );
}

fn a_dead_peer_stays_dead_and_says_so() {
    let mut peer = peer("crashes", LIMIT).unwrap();
    peer.run("slow", 1).unwrap_err();
    let error = peer.load("u32", 0, Path::new("/")).unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
}

fn a_peer_that_hangs_is_stopped() {
    let start = Instant::now();
    let limit = Duration::from_millis(200);
    let error = peer("hangs at once", limit).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake: skipped: it was not ready in 0.2 s; see `cudamark doctor`"
    );
    let mut peer = peer("hangs", Duration::from_secs(5)).unwrap();
    let error = peer.run("slow", 1).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    assert!(peer.has_ended());
    // It sleeps for a thousand.
    assert!(start.elapsed() < Duration::from_secs(500));
}

fn a_peer_that_talks_nonsense_is_told_so() {
    for (fault, wrong) in [
        ("knows no way", "it names no variant"),
        ("babbles", "answered `run slow 3` with `warming up ...`: "),
        ("gives one time too few", "asked for 3 times, given 2"),
        ("takes no time", "0 ms is no time that a sort takes"),
        ("loads another number", "asked for 1000 elements"),
    ] {
        let error = failure(fault);
        assert!(error.contains(wrong), "{error}");
    }
}

fn a_peer_without_room_goes_on_with_the_next_input() {
    let mut session = session(started("cub", "has no room", LIMIT).unwrap());
    let case: Case = CELL.parse().unwrap();
    for _ in 0..2 {
        let outcomes = session.by_turns(&case, &["cub"], Turns::of(1)).unwrap();
        let error = outcomes[0].times.as_ref().unwrap_err().to_string();
        assert!(error.ends_with("`: out of memory"), "{error}");
    }
}

fn a_program_that_is_not_there_cannot_be_started() {
    let error = Peer::start("fake", Command::new("/no/such/program"), LIMIT).unwrap_err();
    let start = "fake: skipped: cannot start `/no/such/program`: No such file";
    assert!(error.to_string().starts_with(start), "{error}");
}
