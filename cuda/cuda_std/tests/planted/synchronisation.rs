//! Bugs of barriers, warp operations, and waiting.

use crate::{case, finds, finds_kernel, finds_with, me};
use cuda_std::emu::{Buffer, Kind, Options, Policy, launch};
use cuda_std::prelude::*;

#[test]
fn shared_race_for_want_of_a_barrier() {
    finds_kernel(Kind::Race, (2, 96, 384), |bug| unsafe {
        let values = dynamic_shared::<u32>(0, 96);
        let t = thread::thread_idx_x() as usize;
        values.set(t, 1);
        thread::sync_threads();
        let next = values.get((t + 1) % 96);
        if !bug {
            thread::sync_threads();
        }
        values.set(t, next);
    });
}

#[test]
fn global_race_between_warps() {
    let data = || Buffer::from_slice(&[0u32; 64]).named("data");
    finds_with(Kind::Race, (1, 64, 0), data, |data, bug| unsafe {
        data.set(me(), 1);
        if bug {
            warp::sync_warp(warp::FULL);
        } else {
            thread::sync_threads();
        }
        data.get(63 - me());
    });
}

#[test]
fn global_race_between_blocks() {
    let bins = || Buffer::from_slice(&[0u32; 32]).named("bins");
    finds_with(Kind::Race, (3, 32, 0), bins, |bins, bug| unsafe {
        let t = thread::thread_idx_x() as usize;
        if bug && t == 13 {
            bins.set(t, bins.get(t) + 1);
        } else {
            bins.fetch_add(t, 1, Ordering::Relaxed, Scope::Device);
        }
    });
}

#[test]
fn atomic_and_plain_in_one_block() {
    finds_kernel(Kind::Race, (1, 64, 16), |bug| unsafe {
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
    });
}

#[test]
fn block_scope_across_blocks() {
    finds(Kind::Race, (2, 32, 0), |run| {
        let count = run.keep(Buffer::<u64>::zeroed(1));
        let scope = if run.bug { Scope::Block } else { Scope::Device };
        run.launch(|| unsafe {
            count.fetch_add(0, 1, Ordering::Relaxed, scope);
        })
    });
}

/// Neighbouring halves of a word do not race; a word over both races with each.
#[test]
fn halves_of_a_word() {
    finds_kernel(Kind::Race, (1, 64, 128), |bug| unsafe {
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
    });
}

#[test]
fn barrier_in_two_branches() {
    finds_kernel(Kind::BarrierDivergence, (1, 64, 0), |bug| {
        if bug && thread::thread_idx_x() % 32 < 16 {
            thread::sync_threads();
        } else {
            // The same barrier to the eye, another instruction.
            thread::sync_threads_or(false);
        }
    });
}

#[test]
fn barrier_after_an_early_return() {
    finds_kernel(Kind::BarrierDivergence, (1, 64, 0), |bug| {
        // A whole warp may leave; a part of one may not.
        if thread::thread_idx_x() >= if bug { 40 } else { 32 } {
            return;
        }
        thread::sync_threads();
    });
}

#[test]
fn barrier_against_a_warp_operation() {
    finds_kernel(Kind::WarpMask, (1, 64, 0), |bug| {
        let t = thread::thread_idx_x();
        if bug && t == 3 {
            thread::sync_threads();
        }
        warp::ballot(warp::FULL, true);
        if !bug || t != 3 {
            thread::sync_threads();
        }
    });
}

#[test]
fn lane_missing_from_a_full_mask() {
    finds_kernel(Kind::WarpMask, (1, 32, 0), |bug| {
        if warp::lane_id() < 20 {
            warp::shuffle_xor(if bug { warp::FULL } else { (1 << 20) - 1 }, 1, 0);
        }
    });
}

#[test]
fn caller_missing_from_its_mask() {
    finds_kernel(Kind::WarpMask, (1, 32, 0), |bug| {
        let odd = warp::lane_id() % 2 == 1;
        let mask = if odd == bug { 0x5555_5555 } else { 0xaaaa_aaaa };
        warp::any(mask, true);
    });
}

#[test]
fn shuffle_from_outside_the_mask() {
    finds_kernel(Kind::WarpMask, (1, 32, 0), |bug| {
        if warp::lane_id() < 16 {
            let got = warp::shuffle_idx(0xffff, warp::lane_id(), if bug { 16 } else { 15 });
            assert_eq!(got, 15);
        }
    });
}

#[test]
fn different_operations_on_one_mask() {
    finds_kernel(Kind::WarpMask, (1, 32, 0), |bug| {
        if bug && warp::lane_id() == 0 {
            warp::sync_warp(warp::FULL);
        } else {
            warp::all(warp::FULL, true);
        }
    });
}

#[test]
fn half_a_warp_with_a_full_mask() {
    finds_kernel(Kind::WarpMask, (1, 48, 0), |bug| {
        let members = if thread::thread_idx_x() < 32 { warp::FULL } else { 0xffff };
        warp::sync_warp(if bug { warp::FULL } else { members });
    });
}

/// A flag that nobody sets.
#[test]
fn deadlock_on_a_flag() {
    let case = case(Kind::Deadlock, (2, 32, 0), |mut run| {
        run.options.resident = 2;
        run.options.idle_limit = 5_000;
        let flag = run.keep(Buffer::<u32>::zeroed(2).named("flag"));
        run.launch(|| unsafe {
            if thread::thread_idx_x() == 0 && thread::block_idx_x() == 0 {
                flag.store(run.bug as usize, 1, Ordering::Release, Scope::Device);
            }
            while flag.load(0, Ordering::Acquire, Scope::Device) == 0 {}
        })
    });
    case.is_found(Options::random);
    let finding = case.run(Options::random(0), true).expect_err("a finding");
    let waits = finding.waiting.join("\n");
    assert!(waits.contains("thread"), "{finding}");
    assert!(waits.contains("element 0 (4 bytes wide) of global memory `flag`"), "{finding}");
}

/// Every block waits for the block before it. With a ticket that is sure to run;
/// with block numbers it is not, unless they wait with patience.
#[test]
fn look_back_without_forward_progress() {
    finds(Kind::Deadlock, (16, 32, 4), |mut run| {
        run.options.shuffle_blocks = true;
        run.options.resident = 2;
        run.options.idle_limit = 5_000;
        let control = run.keep(Buffer::<u32>::zeroed(1 + 16).named("control"));
        let flags = unsafe { control.offset(1) };
        run.launch(|| unsafe {
            let tile = dynamic_shared::<u32>(0, 1);
            if thread::thread_idx_x() == 0 {
                let ticket = control.fetch_add(0, 1, Ordering::Relaxed, Scope::Device);
                tile.set(0, if run.bug { thread::block_idx_x() } else { ticket });
                let tile = tile.get(0) as usize;
                while tile > 0 && flags.load(tile - 1, Ordering::Relaxed, Scope::Device) == 0 {}
                flags.store(tile, 1, Ordering::Relaxed, Scope::Device);
            }
            thread::sync_threads();
        })
    });
}

/// Patience ends when the awaited block cannot run, and only delays otherwise.
#[test]
fn patience_lets_blocks_go_on() {
    finds(Kind::Deadlock, (16, 32, 0), |mut run| {
        run.options.shuffle_blocks = true;
        run.options.resident = 1;
        run.options.idle_limit = 5_000;
        let flags = run.keep(Buffer::<u32>::zeroed(16));
        run.launch(|| unsafe {
            let block = thread::block_idx_x() as usize;
            if thread::thread_idx_x() == 0 {
                let mut patience = hint::Patience::new();
                while block > 0 && flags.load(block - 1, Ordering::Relaxed, Scope::Device) == 0 {
                    if !run.bug && patience.ended() {
                        break;
                    }
                }
                flags.store(block, 1, Ordering::Relaxed, Scope::Device);
            }
        })
    });
}

/// A barrier across blocks needs all of them on the device.
#[test]
fn grid_barrier() {
    let case = case(Kind::Deadlock, (8, 64, 0), |mut run| {
        run.options.resident = 8 - run.bug as u32;
        run.options.idle_limit = 20_000;
        let arrived = run.keep(Buffer::<u32>::zeroed(1));
        let sums = run.keep(Buffer::<u32>::uninitialised(8));
        run.launch(|| unsafe {
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
    });
    case.is_found(|seed| Options::any(seed, 8, 64));
}

/// Two threads each wait for the other to move, and both do.
#[test]
fn livelock() {
    finds(Kind::Livelock, (1, 64, 0), |mut run| {
        run.options.idle_limit = 5_000;
        let lock = run.keep(Buffer::<u32>::from_slice(&[run.bug as u32]));
        run.launch(|| unsafe {
            if warp::lane_id() == 0 {
                // An addition of nothing is a look that never sleeps.
                while lock.fetch_add(0, 0, Ordering::Relaxed, Scope::Device) != 0 {
                    warp::sync_warp(1);
                }
            }
        })
    });
}

/// A spin on a plain load never lets go by itself.
#[test]
fn spin_on_a_plain_load() {
    let flag = Buffer::<u32>::zeroed(1);
    let flag = flag.global();
    let finding = launch(1, 32, 0, &Options::unchecked(), || unsafe { while flag.get(0) == 0 {} });
    assert_eq!(finding.expect_err("a finding").kind, Kind::Livelock);
}

/// The same options and input give the same run and finding.
#[test]
fn runs_are_reproducible() {
    let run = |options: &Options, bug: bool| {
        let sums = Buffer::<u32>::zeroed(40);
        let sums = sums.global();
        launch(6, 64, 256, options, || unsafe {
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
        let stats = || run(&options, false).expect("no finding");
        assert_eq!(stats(), stats());
        let finding = run(&options, true).expect_err("a finding");
        assert_eq!(finding.kind, Kind::Race);
        assert_eq!(finding, run(&options, true).expect_err("a finding"));
        // And the text that it prints leads back to it.
        let again: Options = finding.launch.options.to_string().parse().expect("options");
        assert_eq!(finding, run(&again, true).expect_err("a finding"));
    }
}

#[test]
fn a_finding_names_both_lines() {
    let options = Options::in_order().named("exchange");
    let line = line!();
    let launched = launch(1, 64, 4, &options, || unsafe {
        let value = dynamic_shared::<u32>(0, 1);
        match thread::thread_idx_x() {
            0 => value.set(0, 0),
            2 => assert!(value.get(0) == 0),
            _ => {}
        }
        thread::sync_threads();
    });
    let finding = launched.expect_err("a finding");
    let (site, other) = (finding.site.unwrap(), finding.other.unwrap());
    assert_eq!((site.thread, site.location.line()), (2, line + 5));
    assert_eq!((other.thread, other.location.line()), (0, line + 4));
    let text = finding.to_string();
    let names = ["block 0 thread 2", "block 0 thread 0"];
    for part in names.iter().chain(&["data race", "`exchange`", "seed=0"]) {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn starved_blocks_and_warps_still_run() {
    use Policy::{LastWarp, Priorities, Reverse, StarveBlock};
    for policy in [StarveBlock(0), LastWarp(1), Priorities(3), Reverse] {
        let count = Buffer::<u32>::zeroed(1);
        let target = count.global();
        let options = Options { policy, ..Options::random(3) };
        launch(9, 96, 0, &options, || unsafe {
            target.fetch_add(0, 1, Ordering::Relaxed, Scope::Device);
        })
        .expect("no finding");
        assert_eq!(count.to_vec(), [9 * 96]);
    }
}
