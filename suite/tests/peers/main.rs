//! Contests without a GPU: ours is the standard library's sort, and the peers speak the
//! protocol, well or badly.
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
use suite::peers::{
    AllTimes, Arena, Case, Cell, Contender, KINDS, Loaded, Outcome, Peer, PeerError, Plan, Shape,
    Variant, contest,
};
use suite::workload::{Distribution, Workload};

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
        a_peer_can_be_left_to_choose_its_fastest_variant,
        a_peer_on_another_gpu_is_refused,
        wrong_results_are_found,
        a_wrong_result_of_ours_leaves_the_peer_its_times,
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
    trials.extend(
        in_python
            .into_iter()
            .map(|trial| trial.with_ignored_flag(missing)),
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Time enough for a process to start on a busy machine, and none for it to hang.
const LIMIT: Duration = Duration::from_secs(20);

fn peer(fault: &str, limit: Duration) -> Result<Peer, PeerError> {
    started("fake", fault, limit)
}

fn started(name: &str, fault: &str, limit: Duration) -> Result<Peer, PeerError> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(ACT_AS, fault);
    Peer::start(name, command, limit)
}

/// The standard library's sort, for a sorter of ours: 2 ms each, by its own account.
struct Std {
    wrong: bool,
}

struct LoadedStd {
    sorts: usize,
    wrong: bool,
}

impl Contender for Std {
    fn name(&self) -> &str {
        "std"
    }

    fn sorts(&self, _case: &Case) -> bool {
        true
    }

    fn load<'a>(&'a mut self, _cell: &'a Cell<'a>) -> Result<Box<dyn Loaded + 'a>, PeerError> {
        Ok(Box::new(LoadedStd {
            sorts: 0,
            wrong: self.wrong,
        }))
    }
}

impl Loaded for LoadedStd {
    fn variants(&self) -> Vec<Variant> {
        vec![Variant {
            name: "only".to_owned(),
            temporary_bytes: None,
        }]
    }

    fn run(&mut self, _variant: usize, count: usize) -> Result<Vec<f64>, PeerError> {
        // Later sorts take longer, so that it shows which were kept.
        self.sorts += count;
        Ok((self.sorts - count..self.sorts)
            .map(|i| 2.0 + i as f64)
            .collect())
    }

    fn verify(&mut self, _variant: usize) -> Result<(), PeerError> {
        match self.wrong {
            false => Ok(()),
            true => Err(PeerError::Refused {
                peer: "std".to_owned(),
                request: "verify".to_owned(),
                reason: "wrong".to_owned(),
            }),
        }
    }
}

/// A thousand keys of a type.
fn case(shape: Shape, name: &str) -> Case {
    Case {
        shape,
        kind: *KINDS.iter().find(|kind| kind.name == name).unwrap(),
        workload: Workload {
            n: 1000,
            distribution: Distribution::Uniform,
            seed: 3,
        },
    }
}

/// The outcome for both contenders on a thousand keys.
fn outcomes(ours: &mut Std, peer: &mut Peer, samples: usize) -> [Result<AllTimes, PeerError>; 2] {
    // A folder whose name has a space, as a user's may.
    let folder = tempfile::Builder::new()
        .prefix("a cell ")
        .tempdir()
        .unwrap();
    let case = case(Shape::Resident, "u32");
    let input = (case.kind.input)(case.workload).unwrap();
    input.write(folder.path()).unwrap();
    let cell = Cell {
        case,
        input: &*input,
        folder: folder.path(),
    };
    let outcomes = contest(&mut [ours, peer], &cell, Plan::new(samples));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the input is left: {left:?}");
    outcomes
        .try_into()
        .unwrap_or_else(|_| panic!("two contenders, two outcomes"))
}

fn failure(fault: &str) -> PeerError {
    let mut peer = peer(fault, LIMIT).unwrap();
    let [ours, theirs] = outcomes(&mut Std { wrong: false }, &mut peer, 6);
    let ours = ours.unwrap();
    assert_eq!(ours.best().times_ms.len(), 10, "{fault}: ours goes on");
    theirs.unwrap_err()
}

fn a_good_peer_has_its_times() {
    let mut peer = peer("none", LIMIT).unwrap();
    assert_eq!(peer.greeting().peer_version, "1.2.3");
    assert!(peer.sorts(&case(Shape::Resident, "u32")));
    for _ in 0..2 {
        let [ours, theirs] = outcomes(&mut Std { wrong: false }, &mut peer, 20);
        let theirs = theirs.unwrap();
        let all: Vec<(&str, f64, usize)> = (theirs.iter())
            .map(|times| {
                (
                    &*times.variant.name,
                    times.times_ms[0],
                    times.times_ms.len(),
                )
            })
            .collect();
        assert_eq!(all, [("fast", 3.0, 20), ("slow", 4.0, 20)]);
        assert_eq!(theirs.best().variant.temporary_bytes, Some(4000));
        // Three sorts to see how long they take; then turns of three dropped, four kept.
        let ours = ours.unwrap();
        let ours = ours.best();
        assert_eq!(ours.warm_ups, 3);
        assert_eq!(ours.times_ms[..5], [8.0, 9.0, 10.0, 11.0, 15.0]);
        assert_eq!(ours.times_ms.len(), 20);
    }
}

fn a_peer_is_asked_for_what_it_sorts_and_while_it_lives() {
    let faults = ["none", "other type", "crashes", "end to end"];
    let peers = faults.map(|fault| started(fault, fault, LIMIT).unwrap());
    let mut ours = Std { wrong: false };
    let mut arena = Arena::new(vec![&mut ours], peers.into(), Plan::new(1));
    let mut met = |shape, name: &str| {
        let outcomes = arena.hold(case(shape, name)).unwrap();
        let name = |outcome: &Outcome| (outcome.name.clone(), outcome.times.is_ok());
        outcomes.iter().map(name).collect::<Vec<_>>()
    };
    let of = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names
            .iter()
            .map(|(name, ok)| (name.to_string(), *ok))
            .collect()
    };
    let [std, none, end_to_end] = [("std", true), ("none", true), ("end to end", true)];
    let first = of(&[std, none, ("crashes", false), end_to_end]);
    assert_eq!(met(Shape::Resident, "u32"), first);
    let later = of(&[std, none, end_to_end]);
    assert_eq!(met(Shape::Resident, "u32"), later);
    let other = of(&[std, ("other type", true)]);
    assert_eq!(met(Shape::Resident, "i32"), other);
    assert_eq!(met(Shape::EndToEnd, "u32"), of(&[std, end_to_end]));
}

fn a_peer_can_be_left_to_choose_its_fastest_variant() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("keys"), [0; 8]).unwrap();
    let mut peer = peer("none", LIMIT).unwrap();
    peer.load("u32", 2, folder.path()).unwrap();
    assert_eq!(peer.run(1).unwrap(), [4.0]);
    peer.choose_fastest(2).unwrap();
    assert_eq!(peer.run(1).unwrap(), [3.0]);
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
        (
            "loses a key",
            "fake: wrong result: not the keys of the input: at index 0 ",
        ),
        (
            "is wrong when slow",
            "fake: wrong result: not the keys of the input: at index 0 ",
        ),
        (
            "leaves two exchanged",
            "fake: wrong result: out of order: key ",
        ),
        (
            "writes half",
            "fake: wrong result: the input has 1000 keys, the result 500",
        ),
    ] {
        let error = failure(fault);
        assert!(matches!(error, PeerError::WrongResult { .. }), "{error:?}");
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(!error.ends_the_peer());
    }
    let error = failure("writes nothing");
    assert!(matches!(error, PeerError::File { .. }), "{error:?}");
    assert!(
        error.to_string().contains("result/keys: No such file"),
        "{error}"
    );
}

fn a_wrong_result_of_ours_leaves_the_peer_its_times() {
    let mut peer = peer("none", LIMIT).unwrap();
    let [ours, theirs] = outcomes(&mut Std { wrong: true }, &mut peer, 6);
    assert_eq!(ours.unwrap_err().to_string(), "std: `verify`: wrong");
    assert_eq!(theirs.unwrap().best().times_ms.len(), 10);
}

fn a_peer_that_cannot_run_is_skipped() {
    let error = peer("skips", LIMIT).unwrap_err();
    assert!(matches!(error, PeerError::Skipped { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "fake: skipped: No module named 'cupy'; see `cudamark doctor`"
    );
}

fn a_peer_that_crashes_says_what_it_said() {
    let error = peer("dies at once", LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake: skipped: it ended (exit status: 1) before it was ready, and last said: Traceback: \
         it is broken; see `cudamark doctor`"
    );
    let error = failure("crashes");
    assert!(error.ends_the_peer());
    assert_eq!(
        error.to_string(),
        "fake: ended (exit status: 1) at `run slow 3`; it last said: illegal memory access"
    );
}

fn a_dead_peer_stays_dead_and_says_so() {
    let mut peer = peer("crashes", LIMIT).unwrap();
    peer.run(1).unwrap_err();
    let error = peer.load("u32", 0, Path::new("/")).unwrap_err();
    assert!(matches!(error, PeerError::Ended { .. }), "{error:?}");
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
    let error = peer.run(1).unwrap_err();
    assert!(matches!(error, PeerError::TimedOut { .. }), "{error:?}");
    assert!(error.ends_the_peer());
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
        assert!(matches!(error, PeerError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

fn a_peer_without_room_goes_on_with_the_next_input() {
    let error = failure("has no room");
    assert!(!error.ends_the_peer());
    assert!(error.to_string().ends_with("`: out of memory"), "{error}");
}

fn a_program_that_is_not_there_cannot_be_started() {
    let error = Peer::start("fake", Command::new("/no/such/program"), LIMIT).unwrap_err();
    let start = "fake: skipped: cannot start `/no/such/program`: No such file";
    assert!(error.to_string().starts_with(start), "{error}");
}
