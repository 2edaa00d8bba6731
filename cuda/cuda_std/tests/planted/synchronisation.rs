//! Bugs of barriers, warp operations, and waiting.

use crate::{block, buffer_bug, bug, check_all, kernel_bug, me, t};
use cuda_std::emu::{Buffer, Kind, Options, Policy, launch};
use cuda_std::{ext::*, prelude::*};

#[test]
fn races_are_found() {
    let zeros = || Buffer::from_slice(&[0u32; 64]).named("data");
    check_all([
        kernel_bug("shared, without a barrier", Kind::Race, (2, 96, 384), |bug| unsafe {
            let values = dynamic_shared::<u32>(0, 96);
            values.set(t(), 1);
            thread::sync_threads();
            let next = values.get((t() + 1) % 96);
            if !bug {
                thread::sync_threads();
            }
            values.set(t(), next);
        }),
        buffer_bug("global, between warps", Kind::Race, (1, 64, 0), zeros, |data, bug| unsafe {
            data.set(me(), 1);
            if bug {
                warp::sync_warp(lanes::FULL);
            } else {
                thread::sync_threads();
            }
            data.get(63 - me());
        }),
        buffer_bug("global, between blocks", Kind::Race, (3, 32, 0), zeros, |bins, bug| unsafe {
            if bug && t() == 13 {
                bins.set(t(), bins.get(t()) + 1);
            } else {
                bins.fetch_add(t(), 1, Ordering::Relaxed, Scope::Device);
            }
        }),
        kernel_bug("atomic and plain in one block", Kind::Race, (1, 64, 16), |bug| unsafe {
            let count = dynamic_shared::<u32>(0, 1);
            if t() == 0 {
                count.set(0, 0);
            }
            thread::sync_threads();
            count.add(0, 1);
            if !bug {
                thread::sync_threads();
            }
            assert!(bug || count.get(0) == 64);
            count.get(0);
        }),
        bug("block scope across blocks", Kind::Race, (2, 32, 0), |run| {
            let count = run.keep(Buffer::<u64>::zeroed(1));
            let scope = if run.bug { Scope::Block } else { Scope::Device };
            run.launch(|| unsafe {
                count.fetch_add(0, 1, Ordering::Relaxed, scope);
            })
        }),
        // Neighbouring halves of a word do not race; a word over both races with each.
        kernel_bug("halves of a word", Kind::Race, (1, 64, 128), |bug| unsafe {
            let halves = dynamic_shared::<u16>(0, 64);
            halves.set(t(), 0);
            warp::sync_warp(lanes::FULL);
            halves.set(t(), t() as u16);
            if !bug {
                warp::sync_warp(lanes::FULL);
            }
            let pair = halves.cast::<u32>().get(t() / 2);
            assert!(bug || pair >> 16 == (pair & 0xffff) + 1);
        }),
    ]);
}

#[test]
fn diverging_barriers_and_wrong_masks_are_found() {
    check_all([
        kernel_bug("barrier in two branches", Kind::BarrierDivergence, (1, 64, 0), |bug| {
            if bug && t() % 32 < 16 {
                thread::sync_threads();
            } else {
                // The same barrier to the eye, another instruction.
                thread::sync_threads_or(false);
            }
        }),
        kernel_bug("barrier after a return", Kind::BarrierDivergence, (1, 64, 0), |bug| {
            // A whole warp may leave; a part of one may not.
            if t() < if bug { 40 } else { 32 } {
                thread::sync_threads();
            }
        }),
        kernel_bug("barrier against a warp operation", Kind::WarpMask, (1, 64, 0), |bug| {
            let is_early = bug && t() == 3;
            if is_early {
                thread::sync_threads();
            }
            lanes::ballot(lanes::FULL, true);
            if !is_early {
                thread::sync_threads();
            }
        }),
        kernel_bug("lane missing from a full mask", Kind::WarpMask, (1, 32, 0), |bug| {
            if t() < 20 {
                lanes::shuffle_xor(if bug { lanes::FULL } else { (1 << 20) - 1 }, 1, 0);
            }
        }),
        kernel_bug("lane missing from a reduction", Kind::WarpMask, (1, 32, 0), |bug| {
            if t() < 20 {
                lanes::reduce_add(if bug { lanes::FULL } else { (1 << 20) - 1 }, 1);
            }
        }),
        kernel_bug("caller missing from its mask", Kind::WarpMask, (1, 32, 0), |bug| {
            let odd = t() % 2 == 1;
            lanes::any(if odd == bug { 0x5555_5555 } else { 0xaaaa_aaaa }, true);
        }),
        kernel_bug("shuffle from outside the mask", Kind::WarpMask, (1, 32, 0), |bug| {
            if t() < 16 {
                let got = lanes::shuffle_idx(0xffff, warp::lane_id(), if bug { 16 } else { 15 });
                assert_eq!(got, 15);
            }
        }),
        kernel_bug("different operations on one mask", Kind::WarpMask, (1, 32, 0), |bug| {
            if bug && t() == 0 {
                warp::sync_warp(lanes::FULL);
            } else {
                lanes::all(lanes::FULL, true);
            }
        }),
        kernel_bug("half a warp with a full mask", Kind::WarpMask, (1, 48, 0), |bug| {
            let members = if t() < 32 { lanes::FULL } else { 0xffff };
            warp::sync_warp(if bug { lanes::FULL } else { members });
        }),
    ]);
}

#[test]
fn waits_without_end_are_found() {
    let unset_flag = bug("flag that no thread sets", Kind::Deadlock, (2, 32, 0), |mut run| {
        run.options.resident = 2;
        run.options.idle_limit = 5_000;
        let flag = run.keep(Buffer::<u32>::zeroed(2).named("flag"));
        run.launch(|| unsafe {
            if me() == 0 {
                flag.store(run.bug as usize, 1, Ordering::Release, Scope::Device);
            }
            while flag.load(0, Ordering::Acquire, Scope::Device) == 0 {}
        })
    });
    let finding = unset_flag.finding(Options::random(0));
    let waits = finding.waiting.join("\n");
    assert!(waits.contains("thread"), "{finding}");
    assert!(waits.contains("element 0 (4 bytes wide) of global memory `flag`"), "{finding}");
    check_all([
        unset_flag,
        // Every block waits for the block before it. With a ticket that is sure to run;
        // with block numbers it is not, unless they wait with patience.
        bug("look-back without forward progress", Kind::Deadlock, (16, 32, 4), |mut run| {
            run.options.shuffle_blocks = true;
            run.options.resident = 2;
            run.options.idle_limit = 5_000;
            let control = run.keep(Buffer::<u32>::zeroed(1 + 16).named("control"));
            let flags = unsafe { control.offset(1) };
            run.launch(|| unsafe {
                let tile = dynamic_shared::<u32>(0, 1);
                if t() == 0 {
                    let ticket = control.fetch_add(0, 1, Ordering::Relaxed, Scope::Device);
                    tile.set(0, if run.bug { thread::block_idx_x() } else { ticket });
                    let tile = tile.get(0) as usize;
                    while tile > 0 && flags.load(tile - 1, Ordering::Relaxed, Scope::Device) == 0 {}
                    flags.store(tile, 1, Ordering::Relaxed, Scope::Device);
                }
                thread::sync_threads();
            })
        }),
        // Patience ends when the awaited block cannot run, and only delays otherwise.
        bug("wait without patience", Kind::Deadlock, (16, 32, 0), |mut run| {
            run.options.shuffle_blocks = true;
            run.options.resident = 1;
            run.options.idle_limit = 5_000;
            let flags = run.keep(Buffer::<u32>::zeroed(16));
            run.launch(|| unsafe {
                let block = block();
                if t() == 0 {
                    let mut patience = hint::Patience::new();
                    while block > 0 && flags.load(block - 1, Ordering::Relaxed, Scope::Device) == 0
                    {
                        if !run.bug && patience.ended() {
                            break;
                        }
                    }
                    flags.store(block, 1, Ordering::Relaxed, Scope::Device);
                }
            })
        }),
        // A barrier across blocks needs all of them on the device.
        bug("grid barrier", Kind::Deadlock, (8, 64, 0), |mut run| {
            run.options.resident = 8 - run.bug as u32;
            run.options.idle_limit = 20_000;
            let arrived = run.keep(Buffer::<u32>::zeroed(1));
            let sums = run.keep(Buffer::<u32>::uninitialised(8));
            run.launch(|| unsafe {
                if t() == 5 {
                    sums.set(block(), 1);
                }
                thread::sync_threads();
                if t() == 0 {
                    arrived.fetch_add(0, 1, Ordering::Release, Scope::Device);
                    while arrived.load(0, Ordering::Acquire, Scope::Device) < 8 {}
                }
                thread::sync_threads();
                sums.get(7 - block());
            })
        })
        .only(&[|seed| Options::any(seed, 8, 64)]),
        // Two threads each wait for the other to move, and both do.
        bug("livelock", Kind::Livelock, (1, 64, 0), |mut run| {
            run.options.idle_limit = 5_000;
            let lock = run.keep(Buffer::<u32>::from_slice(&[run.bug as u32]));
            run.launch(|| unsafe {
                // An addition of nothing is a look that never sleeps.
                while warp::lane_id() == 0
                    && lock.fetch_add(0, 0, Ordering::Relaxed, Scope::Device) != 0
                {
                    warp::sync_warp(1);
                }
            })
        }),
    ]);
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
            values.set(t(), 0);
            thread::sync_threads();
            values.set(t(), 1);
            if !bug {
                thread::sync_threads();
            }
            let sum = values.get(t()) + values.get((t() + 32) % 64);
            sums.fetch_add(t() / 2, sum, Ordering::Relaxed, Scope::Device);
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
