//! Bugs of barriers, warp operations, and waiting.

use crate::Case;
use cuda_std::emu::{Buffer, Kind, Options, Policy};
use cuda_std::prelude::*;

fn me() -> usize {
    (thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x()) as usize
}

#[test]
fn shared_race_for_want_of_a_barrier() {
    let case = Case {
        kind: Kind::Race,
        grid: 2,
        block: 96,
        shared_bytes: 384,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                let values = dynamic_shared::<u32>(0, 96);
                let t = thread::thread_idx_x() as usize;
                values.set(t, 1);
                thread::sync_threads();
                let next = values.get((t + 1) % 96);
                if !bug {
                    thread::sync_threads();
                }
                values.set(t, next);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn global_race_between_warps() {
    let case = Case {
        kind: Kind::Race,
        grid: 1,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            let data = Buffer::from_slice(&[0u32; 64]).named("data");
            let data = data.global();
            case.launch(options, || unsafe {
                data.set(me(), 1);
                if bug {
                    warp::sync_warp(warp::FULL);
                } else {
                    thread::sync_threads();
                }
                data.get(63 - me());
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn global_race_between_blocks() {
    let case = Case {
        kind: Kind::Race,
        grid: 3,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let bins = Buffer::from_slice(&[0u32; 32]).named("bins");
            let bins = bins.global();
            case.launch(options, || unsafe {
                let t = thread::thread_idx_x() as usize;
                if bug && t == 13 {
                    bins.set(t, bins.get(t) + 1);
                } else {
                    bins.fetch_add(t, 1, Ordering::Relaxed, Scope::Device);
                }
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn atomic_and_plain_in_one_block() {
    let case = Case {
        kind: Kind::Race,
        grid: 1,
        block: 64,
        shared_bytes: 16,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                let count = dynamic_shared::<u32>(0, 1);
                if thread::thread_idx_x() == 0 {
                    count.set(0, 0);
                }
                thread::sync_threads();
                count.add(0, 1);
                if !bug {
                    thread::sync_threads();
                }
                assert!(bug || count.get(0) == 64);
                count.get(0);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn block_scope_across_blocks() {
    let case = Case {
        kind: Kind::Race,
        grid: 2,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let count = Buffer::<u64>::zeroed(1);
            let count = count.global();
            let scope = if bug { Scope::Block } else { Scope::Device };
            case.launch(options, || unsafe {
                count.fetch_add(0, 1, Ordering::Relaxed, scope);
            })
        },
    };
    case.is_found(Options::random);
}

/// Neighbouring halves of a word are not one place; a word over both is.
#[test]
fn halves_of_a_word() {
    let case = Case {
        kind: Kind::Race,
        grid: 1,
        block: 64,
        shared_bytes: 128,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                let halves = dynamic_shared::<u16>(0, 64);
                let t = thread::thread_idx_x() as usize;
                halves.set(t, 0);
                warp::sync_warp(warp::FULL);
                halves.set(t, t as u16);
                if !bug {
                    warp::sync_warp(warp::FULL);
                }
                let pair = halves.cast::<u32>().get(t / 2);
                assert!(bug || pair >> 16 == (pair & 0xffff) + 1);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn barrier_in_two_branches() {
    let case = Case {
        kind: Kind::BarrierDivergence,
        grid: 1,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                if bug && thread::thread_idx_x() % 32 < 16 {
                    thread::sync_threads();
                } else {
                    // The same barrier to the eye, another instruction.
                    thread::sync_threads_or(false);
                }
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn barrier_after_an_early_return() {
    let case = Case {
        kind: Kind::BarrierDivergence,
        grid: 1,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                // A whole warp may leave; a part of one may not.
                if thread::thread_idx_x() >= if bug { 40 } else { 32 } {
                    return;
                }
                thread::sync_threads();
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn barrier_against_a_warp_operation() {
    let case = Case {
        kind: Kind::WarpMask,
        grid: 1,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                let t = thread::thread_idx_x();
                if bug && t == 3 {
                    thread::sync_threads();
                }
                warp::ballot(warp::FULL, true);
                if !bug || t != 3 {
                    thread::sync_threads();
                }
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn lane_missing_from_a_full_mask() {
    let case = Case {
        kind: Kind::WarpMask,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                if warp::lane_id() < 20 {
                    warp::shuffle_xor(if bug { warp::FULL } else { (1 << 20) - 1 }, 1, 0);
                }
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn caller_missing_from_its_mask() {
    let case = Case {
        kind: Kind::WarpMask,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                let odd = warp::lane_id() % 2 == 1;
                let mask = if odd == bug { 0x5555_5555 } else { 0xaaaa_aaaa };
                warp::any(mask, true);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn shuffle_from_outside_the_mask() {
    let case = Case {
        kind: Kind::WarpMask,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                if warp::lane_id() < 16 {
                    let got = warp::shuffle_idx(0xffff, warp::lane_id(), if bug { 16 } else { 15 });
                    assert_eq!(got, 15);
                }
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn different_operations_on_one_mask() {
    let case = Case {
        kind: Kind::WarpMask,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                if bug && warp::lane_id() == 0 {
                    warp::sync_warp(warp::FULL);
                } else {
                    warp::all(warp::FULL, true);
                }
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn half_a_warp_with_a_full_mask() {
    let case = Case {
        kind: Kind::WarpMask,
        grid: 1,
        block: 48,
        shared_bytes: 0,
        run: |case, options, bug| {
            case.launch(options, || {
                let members = if thread::thread_idx_x() < 32 {
                    warp::FULL
                } else {
                    0xffff
                };
                warp::sync_warp(if bug { warp::FULL } else { members });
            })
        },
    };
    case.is_found(Options::random);
}

/// A flag that nobody sets.
#[test]
fn deadlock_on_a_flag() {
    let case = Case {
        kind: Kind::Deadlock,
        grid: 2,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let options = Options {
                resident: 2,
                idle_limit: 5_000,
                ..options.clone()
            };
            let flag = Buffer::<u32>::zeroed(2).named("flag");
            let flag = flag.global();
            case.launch(&options, || unsafe {
                if thread::thread_idx_x() == 0 && thread::block_idx_x() == 0 {
                    flag.store(bug as usize, 1, Ordering::Release, Scope::Device);
                }
                while flag.load(0, Ordering::Acquire, Scope::Device) == 0 {}
            })
        },
    };
    case.is_found(Options::random);
    let finding = (case.run)(&case, &Options::random(0), true).expect_err("a finding");
    let waits = finding.waiting.join("\n");
    assert!(waits.contains("thread"), "{finding}");
    assert!(
        waits.contains("element 0 (4 bytes wide) of global memory `flag`"),
        "{finding}"
    );
}

/// Every block waits for the block before it. With a ticket that is sure to run;
/// with block numbers it is not, unless they wait with patience.
#[test]
fn look_back_without_forward_progress() {
    let case = Case {
        kind: Kind::Deadlock,
        grid: 16,
        block: 32,
        shared_bytes: 4,
        run: |case, options, bug| {
            let options = Options {
                shuffle_blocks: true,
                resident: 2,
                idle_limit: 5_000,
                ..options.clone()
            };
            let control = Buffer::<u32>::zeroed(1 + 16).named("control");
            let control = control.global();
            let flags = unsafe { control.offset(1) };
            case.launch(&options, || unsafe {
                let tile = dynamic_shared::<u32>(0, 1);
                if thread::thread_idx_x() == 0 {
                    let ticket = control.fetch_add(0, 1, Ordering::Relaxed, Scope::Device);
                    tile.set(0, if bug { thread::block_idx_x() } else { ticket });
                    let tile = tile.get(0) as usize;
                    while tile > 0 && flags.load(tile - 1, Ordering::Relaxed, Scope::Device) == 0 {}
                    flags.store(tile, 1, Ordering::Relaxed, Scope::Device);
                }
                thread::sync_threads();
            })
        },
    };
    case.is_found(Options::random);
}

/// Patience ends when the awaited block cannot run, and only delays otherwise.
#[test]
fn patience_lets_blocks_go_on() {
    let case = Case {
        kind: Kind::Deadlock,
        grid: 16,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let options = Options {
                shuffle_blocks: true,
                resident: 1,
                idle_limit: 5_000,
                ..options.clone()
            };
            let flags = Buffer::<u32>::zeroed(16);
            let flags = flags.global();
            case.launch(&options, || unsafe {
                let block = thread::block_idx_x() as usize;
                if thread::thread_idx_x() == 0 {
                    let mut patience = hint::Patience::new();
                    while block > 0 && flags.load(block - 1, Ordering::Relaxed, Scope::Device) == 0
                    {
                        if !bug && patience.ended() {
                            break;
                        }
                    }
                    flags.store(block, 1, Ordering::Relaxed, Scope::Device);
                }
            })
        },
    };
    case.is_found(Options::random);
}

/// A barrier across blocks needs all of them on the device.
#[test]
fn grid_barrier() {
    let run = |options: &Options| {
        let arrived = Buffer::<u32>::zeroed(1);
        let sums = Buffer::<u32>::uninitialised(8);
        let (arrived, sums) = (arrived.global(), sums.global());
        cuda_std::emu::launch(8, 64, 0, options, || unsafe {
            let block = thread::block_idx_x() as usize;
            if thread::thread_idx_x() == 5 {
                sums.set(block, 1);
            }
            thread::sync_threads();
            if thread::thread_idx_x() == 0 {
                arrived.fetch_add(0, 1, Ordering::Release, Scope::Device);
                while arrived.load(0, Ordering::Acquire, Scope::Device) < 8 {}
            }
            thread::sync_threads();
            sums.get(7 - block);
        })
    };
    for seed in 0..200 {
        let options = Options {
            resident: 8,
            idle_limit: 20_000,
            ..Options::any(seed, 8, 64)
        };
        if let Err(finding) = run(&options) {
            panic!("{finding}");
        }
        let options = Options {
            resident: 7,
            ..options
        };
        assert_eq!(run(&options).expect_err("a finding").kind, Kind::Deadlock);
    }
}

/// Two threads each wait for the other to move, and both do.
#[test]
fn livelock() {
    let case = Case {
        kind: Kind::Livelock,
        grid: 1,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            let options = Options {
                idle_limit: 5_000,
                ..options.clone()
            };
            let lock = Buffer::<u32>::from_slice(&[bug as u32]);
            let lock = lock.global();
            case.launch(&options, || unsafe {
                if warp::lane_id() == 0 {
                    // An addition of nothing is a look that never sleeps.
                    while lock.fetch_add(0, 0, Ordering::Relaxed, Scope::Device) != 0 {
                        warp::sync_warp(1);
                    }
                }
            })
        },
    };
    case.is_found(Options::random);
}

/// A spin on a plain load never lets go by itself.
#[test]
fn spin_on_a_plain_load() {
    let flag = Buffer::<u32>::zeroed(1);
    let flag = flag.global();
    let finding = cuda_std::emu::launch(1, 32, 0, &Options::unchecked(), || unsafe {
        while flag.get(0) == 0 {}
    });
    assert_eq!(finding.expect_err("a finding").kind, Kind::Livelock);
}

/// The same options and input give the same run, to the word.
#[test]
fn runs_are_reproducible() {
    let run = |options: &Options, bug: bool| {
        let sums = Buffer::<u32>::zeroed(40);
        let sums = sums.global();
        cuda_std::emu::launch(6, 64, 256, options, || unsafe {
            let values = dynamic_shared::<u32>(0, 64);
            let t = thread::thread_idx_x() as usize;
            values.set(t, 0);
            thread::sync_threads();
            values.set(t, 1);
            if !bug {
                thread::sync_threads();
            }
            let sum = values.get(t) + values.get((t + 32) % 64);
            sums.fetch_add(t / 2, sum, Ordering::Relaxed, Scope::Device);
        })
    };
    for seed in 0..200 {
        let options = Options::any(seed, 6, 64);
        assert_eq!(
            run(&options, false).expect("no finding"),
            run(&options, false).expect("no finding")
        );
        let finding = run(&options, true).expect_err("a finding");
        assert_eq!(finding.kind, Kind::Race);
        assert_eq!(
            finding.to_string(),
            run(&options, true).expect_err("a finding").to_string()
        );
        // And the text that it prints leads back to it.
        let again: Options = finding.launch.options.to_string().parse().expect("options");
        assert_eq!(finding, run(&again, true).expect_err("a finding"));
    }
}

#[test]
fn a_finding_names_both_lines() {
    let (mut write, mut read) = (0, 0);
    let finding = cuda_std::emu::launch(
        1,
        64,
        4,
        &Options::in_order().named("exchange"),
        || unsafe {
            let value = dynamic_shared::<u32>(0, 1);
            if thread::thread_idx_x() == 0 {
                value.set(0, 0);
            }
            thread::sync_threads();
            if thread::thread_idx_x() == 40 {
                value.set(0, 1);
            } else if thread::thread_idx_x() == 2 {
                value.get(0);
            }
        },
    )
    .expect_err("a finding");
    for (number, line) in include_str!("synchronisation.rs").lines().enumerate() {
        if line.contains("value.set(0, 1)") && write == 0 {
            write = number as u32 + 1;
        }
        if line.trim() == "value.get(0);" && read == 0 {
            read = number as u32 + 1;
        }
    }
    let (site, other) = (
        finding.site.expect("a site"),
        finding.other.expect("another site"),
    );
    assert_eq!((site.thread, site.location.line()), (40, write));
    assert_eq!((other.thread, other.location.line()), (2, read));
    let text = finding.to_string();
    for part in [
        "data race",
        "`exchange`",
        "block 0 thread 40",
        "block 0 thread 2",
        "seed=0",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn starved_blocks_and_warps_still_run() {
    for policy in [
        Policy::StarveBlock(0),
        Policy::LastWarp(1),
        Policy::Priorities(3),
        Policy::Reverse,
    ] {
        let count = Buffer::<u32>::zeroed(1);
        let target = count.global();
        let options = Options {
            policy,
            ..Options::random(3)
        };
        cuda_std::emu::launch(9, 96, 0, &options, || unsafe {
            target.fetch_add(0, 1, Ordering::Relaxed, Scope::Device);
        })
        .expect("no finding");
        assert_eq!(count.to_vec(), [9 * 96]);
    }
}
