//! Bugs of memory order: what is only wrong because memory is weak.

use crate::Case;
use cuda_std::emu::{Buffer, Checks, Kind, MemoryModel, Options};
use cuda_std::prelude::*;

/// Hands values from block to block, as a look-back does: each waits for the flag
/// of the one before, adds one to its value, and passes it on. How a block publishes
/// and how it receives are what the cases differ in.
fn relay(block: usize, publish: impl Fn(usize, u32), receive: impl Fn(usize) -> u32) {
    if thread::thread_idx_x() == 0 {
        let value = if block == 0 { 0 } else { receive(block - 1) };
        assert_eq!(value, block as u32, "the relayed value");
        publish(block, value + 1);
    }
}

const BLOCKS: u32 = 12;

fn options(seed: u64) -> Options {
    // All on the device, so that nobody waits for a block that cannot start.
    Options {
        resident: BLOCKS,
        ..Options::random(seed)
    }
}

/// A relay with an atomic value and an atomic flag, in these orders.
fn relaxed_value(
    case: &Case,
    options: &Options,
    store: Ordering,
    load: Ordering,
    flag_first: bool,
) -> Result<cuda_std::emu::Stats, cuda_std::emu::Finding> {
    let values = Buffer::<u32>::zeroed(BLOCKS as usize).named("values");
    let flags = Buffer::<u32>::zeroed(BLOCKS as usize).named("flags");
    let (values, flags) = (values.global(), flags.global());
    let options = Options {
        resident: BLOCKS,
        ..options.clone()
    };
    case.launch(&options, || unsafe {
        let set_value = |i, value| values.store(i, value, Ordering::Relaxed, Scope::Device);
        let set_flag = |i| flags.store(i, 1, store, Scope::Device);
        relay(
            thread::block_idx_x() as usize,
            |i, value| {
                if flag_first {
                    set_flag(i);
                    set_value(i, value);
                } else {
                    set_value(i, value);
                    set_flag(i);
                }
            },
            |i| {
                while flags.load(i, load, Scope::Device) == 0 {}
                values.load(i, Ordering::Relaxed, Scope::Device)
            },
        )
    })
}

/// Wrong values show in the kernel's own assertion.
const WRONG: Kind = Kind::Panic;

#[test]
fn flag_stored_before_the_value() {
    let case = Case {
        kind: WRONG,
        grid: BLOCKS,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            relaxed_value(case, options, Ordering::Release, Ordering::Acquire, bug)
        },
    };
    case.is_found(options);
}

#[test]
fn flag_stored_without_release() {
    let case = Case {
        kind: WRONG,
        grid: BLOCKS,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let store = if bug {
                Ordering::Relaxed
            } else {
                Ordering::Release
            };
            relaxed_value(case, options, store, Ordering::Acquire, false)
        },
    };
    case.is_found(options);
    case.is_found(|seed| Options {
        memory: MemoryModel::StoreBuffers,
        ..options(seed)
    });
}

#[test]
fn flag_loaded_without_acquire() {
    let case = Case {
        kind: WRONG,
        grid: BLOCKS,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let load = if bug {
                Ordering::Relaxed
            } else {
                Ordering::Acquire
            };
            relaxed_value(case, options, Ordering::Release, load, false)
        },
    };
    case.is_found(options);
}

#[test]
fn plain_value_with_a_relaxed_flag() {
    let case = Case {
        kind: Kind::Race,
        grid: BLOCKS,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let values = Buffer::<u32>::uninitialised(BLOCKS as usize).named("values");
            let flags = Buffer::<u32>::zeroed(BLOCKS as usize).named("flags");
            let (values, flags) = (values.global(), flags.global());
            let options = Options {
                resident: BLOCKS,
                ..options.clone()
            };
            let store = if bug {
                Ordering::Relaxed
            } else {
                Ordering::Release
            };
            case.launch(&options, || unsafe {
                relay(
                    thread::block_idx_x() as usize,
                    |i, value| {
                        values.set(i, value);
                        flags.store(i, 1, store, Scope::Device);
                    },
                    |i| {
                        while flags.load(i, Ordering::Acquire, Scope::Device) == 0 {}
                        values.get(i)
                    },
                )
            })
        },
    };
    case.is_found(options);
    case.is_found(|seed| Options {
        memory: MemoryModel::Sequential,
        ..options(seed)
    });
    // Without the race check, the store buffers show the wrong value itself.
    let unchecked = |seed| Options {
        memory: MemoryModel::StoreBuffers,
        checks: Checks::Bounds,
        ..options(seed)
    };
    Case {
        kind: WRONG,
        ..case
    }
    .is_found(unchecked);
}

/// Fences on both sides do what release and acquire do.
fn fenced(
    case: &Case,
    options: &Options,
    publishes: Option<Scope>,
    receives: Option<Scope>,
) -> Result<cuda_std::emu::Stats, cuda_std::emu::Finding> {
    let values = Buffer::<u32>::uninitialised(BLOCKS as usize).named("values");
    let flags = Buffer::<u32>::zeroed(BLOCKS as usize).named("flags");
    let (values, flags) = (values.global(), flags.global());
    let options = Options {
        resident: BLOCKS,
        ..options.clone()
    };
    case.launch(&options, || unsafe {
        relay(
            thread::block_idx_x() as usize,
            |i, value| {
                values.set(i, value);
                if let Some(scope) = publishes {
                    fence(scope);
                }
                flags.store(i, 1, Ordering::Relaxed, Scope::Device);
            },
            |i| {
                while flags.load(i, Ordering::Relaxed, Scope::Device) == 0 {}
                if let Some(scope) = receives {
                    fence(scope);
                }
                values.get(i)
            },
        )
    })
}

#[test]
fn missing_fences() {
    let case = Case {
        kind: Kind::Race,
        grid: BLOCKS,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            fenced(
                case,
                options,
                (!bug).then_some(Scope::Device),
                Some(Scope::Device),
            )
        },
    };
    case.is_found(options);
    Case {
        run: |case, options, bug| {
            fenced(
                case,
                options,
                Some(Scope::Device),
                (!bug).then_some(Scope::Device),
            )
        },
        ..case
    }
    .is_found(options);
    Case {
        run: |case, options, bug| {
            let scope = if bug { Scope::Block } else { Scope::Device };
            fenced(case, options, Some(scope), Some(Scope::Device))
        },
        ..case
    }
    .is_found(options);
}

/// One block's threads write, a barrier, one thread of it publishes: that carries
/// all of them. Without the barrier it does not.
#[test]
fn release_carries_the_block_only_past_a_barrier() {
    let case = Case {
        kind: Kind::Race,
        grid: 2,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            let values = Buffer::<u32>::zeroed(64).named("values");
            let flag = Buffer::<u32>::zeroed(1).named("flag");
            let (values, flag) = (values.global(), flag.global());
            let options = Options {
                resident: 2,
                ..options.clone()
            };
            case.launch(&options, || unsafe {
                let t = thread::thread_idx_x() as usize;
                if thread::block_idx_x() == 0 {
                    values.set(t, 1);
                    if !bug {
                        thread::sync_threads();
                    }
                    if t == 0 {
                        flag.store(0, 1, Ordering::Release, Scope::Device);
                    }
                } else {
                    if t == 0 {
                        while flag.load(0, Ordering::Acquire, Scope::Device) == 0 {}
                    }
                    thread::sync_threads();
                    values.get(63 - t);
                }
            })
        },
    };
    case.is_found(options);
}

/// The last block to arrive reads what all others added; the arrival counter has to
/// acquire and release.
#[test]
fn last_block_without_acquire() {
    let case = Case {
        kind: Kind::Race,
        grid: 6,
        block: 32,
        shared_bytes: 4,
        run: |case, options, bug| {
            let sums = Buffer::<u32>::uninitialised(6).named("sums");
            let arrived = Buffer::<u32>::zeroed(1).named("arrived");
            let (sums, arrived) = (sums.global(), arrived.global());
            let order = if bug {
                Ordering::Release
            } else {
                Ordering::AcqRel
            };
            case.launch(options, || unsafe {
                let last = dynamic_shared::<u32>(0, 1);
                if thread::thread_idx_x() == 0 {
                    sums.set(thread::block_idx_x() as usize, 1);
                    last.set(0, arrived.fetch_add(0, 1, order, Scope::Device));
                }
                thread::sync_threads();
                if last.get(0) == 5 && thread::thread_idx_x() < 6 {
                    sums.get(thread::thread_idx_x() as usize);
                }
            })
        },
    };
    case.is_found(Options::random);
}

/// Lanes with one digit share a counter: the leader of one row writes what the
/// leader of the next one reads, and only a warp barrier orders the two.
#[test]
fn missing_sync_warp_in_the_ranking_loop() {
    let case = Case {
        kind: Kind::Race,
        grid: 1,
        block: 64,
        shared_bytes: 2 * 16 * 4,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                let t = thread::thread_idx_x();
                let counters = dynamic_shared::<u32>(0, 32).offset(t as usize / 32 * 16);
                if warp::lane_id() < 16 {
                    counters.set(warp::lane_id() as usize, 0);
                }
                warp::sync_warp(warp::FULL);
                for item in 0..4u32 {
                    let digit = (t * 7 + item * 3) % 16;
                    let same = warp::match_digit(digit, warp::all_ones());
                    let rank =
                        counters.get(digit as usize) + (same & warp::lane_mask_lt()).count_ones();
                    warp::sync_warp(warp::FULL);
                    if same & warp::lane_mask_gt() == 0 {
                        counters.set(digit as usize, rank + 1);
                    }
                    if !bug {
                        warp::sync_warp(warp::FULL);
                    }
                }
            })
        },
    };
    case.is_found(Options::random);
    case.is_found(|_| Options::in_order());
}

/// A barrier of some lanes orders these and no others.
#[test]
fn partial_warp_barrier() {
    let case = Case {
        kind: Kind::Race,
        grid: 1,
        block: 32,
        shared_bytes: 128,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                let values = dynamic_shared::<u32>(0, 32);
                let lane = warp::lane_id() as usize;
                values.set(lane, 0);
                warp::sync_warp(warp::FULL);
                values.set(lane, 1);
                let half = if lane < 16 { 0x0000_ffff } else { 0xffff_0000 };
                warp::sync_warp(half);
                values.get(if bug { 31 - lane } else { lane ^ 15 });
            })
        },
    };
    case.is_found(Options::random);
}

/// Flag and value in one relaxed word need no order at all.
#[test]
fn packed_word() {
    let case = Case {
        kind: Kind::Race,
        grid: BLOCKS,
        block: 32,
        shared_bytes: 0,
        run: |case, options, _| {
            let words = Buffer::<u32>::zeroed(BLOCKS as usize).named("words");
            let words = words.global();
            let options = Options {
                resident: BLOCKS,
                ..options.clone()
            };
            case.launch(&options, || unsafe {
                relay(
                    thread::block_idx_x() as usize,
                    |i, value| words.store(i, value | 1 << 31, Ordering::Relaxed, Scope::Device),
                    |i| loop {
                        let word = words.load(i, Ordering::Relaxed, Scope::Device);
                        if word != 0 {
                            return word & !(1 << 31);
                        }
                    },
                )
            })
        },
    };
    case.is_clean();
}

/// Coherence: who has seen the newer value of a word does not see the older again,
/// nor does anyone it has synchronised with; and a 64-bit word is never torn.
#[test]
fn coherence() {
    let case = Case {
        kind: Kind::Panic,
        grid: 3,
        block: 64,
        shared_bytes: 8,
        run: |case, options, _| {
            let word = Buffer::<u64>::zeroed(1);
            let word = word.global();
            let options = Options {
                resident: 3,
                ..options.clone()
            };
            case.launch(&options, || unsafe {
                let t = thread::thread_idx_x();
                if thread::block_idx_x() == 0 {
                    if t == 0 {
                        for i in 1..20u64 {
                            word.store(0, i << 32 | i, Ordering::Relaxed, Scope::Device);
                        }
                    }
                    return;
                }
                let seen = dynamic_shared::<u64>(0, 1);
                let mut newest = 0;
                for round in 0..6 {
                    if t == round {
                        let value = word.load(0, Ordering::Relaxed, Scope::Device);
                        assert_eq!(value >> 32, value & 0xffff_ffff, "torn");
                        assert!(value >= newest, "{value} after {newest}");
                        seen.set(0, value);
                    }
                    thread::sync_threads();
                    newest = seen.get(0);
                    thread::sync_threads();
                }
            })
        },
    };
    case.is_clean();
}
