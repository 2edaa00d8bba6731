//! Bugs of memory order, which only weak memory shows.

use crate::{Case, Launched, Run, case, finds, finds_kernel};
use cuda_std::emu::{Buffer, Checks, Kind, MemoryModel, Options};
use cuda_std::prelude::*;

const BLOCKS: u32 = 12;

fn options(seed: u64) -> Options {
    // All on the device, so that nobody waits for a block that cannot start.
    Options { resident: BLOCKS, ..Options::random(seed) }
}

/// The order of a relay's accesses.
struct Relay {
    /// The value is written and read plainly.
    plain: bool,
    flag_first: bool,
    store: Ordering,
    load: Ordering,
    release_fence: Option<Scope>,
    acquire_fence: Option<Scope>,
}

const ATOMIC: Relay = Relay {
    plain: false,
    flag_first: false,
    store: Ordering::Release,
    load: Ordering::Acquire,
    release_fence: None,
    acquire_fence: None,
};

/// Fences on both sides do what release and acquire do.
const FENCED: Relay = Relay {
    plain: true,
    store: Ordering::Relaxed,
    load: Ordering::Relaxed,
    release_fence: Some(Scope::Device),
    acquire_fence: Some(Scope::Device),
    ..ATOMIC
};

/// Hands values from block to block, as a look-back does: each waits for the flag of
/// the one before, adds one to its value, and passes it on.
fn relay(mut run: Run, order: Relay) -> Launched {
    run.options.resident = BLOCKS;
    let values = match order.plain {
        true => Buffer::<u32>::uninitialised(BLOCKS as usize),
        false => Buffer::zeroed(BLOCKS as usize),
    };
    let values = run.keep(values.named("values"));
    let flags = run.keep(Buffer::<u32>::zeroed(BLOCKS as usize).named("flags"));
    run.launch(|| unsafe {
        let block = thread::block_idx_x() as usize;
        if thread::thread_idx_x() != 0 {
            return;
        }
        let mut value = 0;
        if block > 0 {
            while flags.load(block - 1, order.load, Scope::Device) == 0 {}
            if let Some(order_acquire_fence) = order.acquire_fence {
                fence(order_acquire_fence)
            }
            value = match order.plain {
                true => values.get(block - 1),
                false => values.load(block - 1, Ordering::Relaxed, Scope::Device),
            };
        }
        assert_eq!(value, block as u32, "the relayed value");
        let set_flag = || flags.store(block, 1, order.store, Scope::Device);
        if order.flag_first {
            set_flag();
        }
        match order.plain {
            true => values.set(block, value + 1),
            false => values.store(block, value + 1, Ordering::Relaxed, Scope::Device),
        }
        if let Some(order_release_fence) = order.release_fence {
            fence(order_release_fence)
        }
        if !order.flag_first {
            set_flag();
        }
    })
}

/// `weak` with the bug, else `strong`.
fn weakened<T>(run: &Run, weak: T, strong: T) -> T {
    if run.bug { weak } else { strong }
}

/// Wrong values show in the kernel's own assertion.
const WRONG: Kind = Kind::Panic;

const RELAY: crate::Shape = (BLOCKS, 32, 0);

#[test]
fn flag_stored_before_the_value() {
    case(WRONG, RELAY, |run| {
        let flag_first = run.bug;
        relay(run, Relay { flag_first, ..ATOMIC })
    })
    .is_found(options);
}

#[test]
fn flag_stored_without_release() {
    let case = case(WRONG, RELAY, |run| {
        let store = weakened(&run, Ordering::Relaxed, Ordering::Release);
        relay(run, Relay { store, ..ATOMIC })
    });
    case.is_found(options);
    case.is_found(|seed| Options { memory: MemoryModel::StoreBuffers, ..options(seed) });
}

#[test]
fn flag_loaded_without_acquire() {
    case(WRONG, RELAY, |run| {
        let load = weakened(&run, Ordering::Relaxed, Ordering::Acquire);
        relay(run, Relay { load, ..ATOMIC })
    })
    .is_found(options);
}

#[test]
fn plain_value_with_a_relaxed_flag() {
    let case = case(Kind::Race, RELAY, |run| {
        let store = weakened(&run, Ordering::Relaxed, Ordering::Release);
        relay(run, Relay { plain: true, store, ..ATOMIC })
    });
    case.is_found(options);
    case.is_found(|seed| Options { memory: MemoryModel::Sequential, ..options(seed) });
    // Without the race check, the store buffers show the wrong value itself.
    Case { kind: WRONG, ..case }.is_found(|seed| Options {
        memory: MemoryModel::StoreBuffers,
        checks: Checks::Bounds,
        ..options(seed)
    });
}

#[test]
fn missing_fences() {
    let kernels: [fn(Run) -> Launched; 3] = [
        |run| {
            let release_fence = weakened(&run, None, FENCED.release_fence);
            relay(run, Relay { release_fence, ..FENCED })
        },
        |run| {
            let release_fence = weakened(&run, Some(Scope::Block), FENCED.release_fence);
            relay(run, Relay { release_fence, ..FENCED })
        },
        |run| {
            let acquire_fence = weakened(&run, None, FENCED.acquire_fence);
            relay(run, Relay { acquire_fence, ..FENCED })
        },
    ];
    for kernel in kernels {
        case(Kind::Race, RELAY, kernel).is_found(options);
    }
}

/// One block's threads write, a barrier, one thread of it publishes: that carries
/// all of them. Without the barrier it does not.
#[test]
fn release_carries_the_block_only_past_a_barrier() {
    let case = case(Kind::Race, (2, 64, 0), |mut run| {
        let values = run.keep(Buffer::<u32>::zeroed(64).named("values"));
        let flag = run.keep(Buffer::<u32>::zeroed(1).named("flag"));
        run.options.resident = 2;
        run.launch(|| unsafe {
            let t = thread::thread_idx_x() as usize;
            if thread::block_idx_x() == 0 {
                values.set(t, 1);
                if !run.bug {
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
    });
    case.is_found(options);
}

/// The last block to arrive reads what all others added; the arrival counter has to
/// acquire and release.
#[test]
fn last_block_without_acquire() {
    finds(Kind::Race, (6, 32, 4), |run| {
        let sums = run.keep(Buffer::<u32>::uninitialised(6).named("sums"));
        let arrived = run.keep(Buffer::<u32>::zeroed(1).named("arrived"));
        let order = weakened(&run, Ordering::Release, Ordering::AcqRel);
        run.launch(|| unsafe {
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
    });
}

/// Lanes with one digit share a counter: the leader of one row writes what the
/// leader of the next one reads, and only a warp barrier orders the two.
#[test]
fn missing_sync_warp_in_the_ranking_loop() {
    let case = case(Kind::Race, (1, 64, 2 * 16 * 4), |run| {
        run.launch(|| unsafe {
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
                if !run.bug {
                    warp::sync_warp(warp::FULL);
                }
            }
        })
    });
    case.is_found(Options::random);
    case.is_found(|_| Options::in_order());
}

/// A barrier of some lanes orders these and no others.
#[test]
fn partial_warp_barrier() {
    finds_kernel(Kind::Race, (1, 32, 128), |bug| unsafe {
        let values = dynamic_shared::<u32>(0, 32);
        let lane = warp::lane_id() as usize;
        values.set(lane, 0);
        warp::sync_warp(warp::FULL);
        values.set(lane, 1);
        let half = if lane < 16 { 0x0000_ffff } else { 0xffff_0000 };
        warp::sync_warp(half);
        values.get(if bug { 31 - lane } else { lane ^ 15 });
    });
}

/// Flag and value in one relaxed word need no order at all.
#[test]
fn packed_word() {
    case(Kind::Race, RELAY, |mut run| {
        run.options.resident = BLOCKS;
        let words = run.keep(Buffer::<u32>::zeroed(BLOCKS as usize).named("words"));
        run.launch(|| unsafe {
            let block = thread::block_idx_x() as usize;
            if thread::thread_idx_x() == 0 {
                let mut word = 0;
                while block > 0 && word == 0 {
                    word = words.load(block - 1, Ordering::Relaxed, Scope::Device);
                }
                let value = word & !(1 << 31);
                assert_eq!(value, block as u32, "the relayed value");
                let next = (value + 1) | 1 << 31;
                words.store(block, next, Ordering::Relaxed, Scope::Device);
            }
        })
    })
    .is_clean();
}

/// Coherence: who has seen the newer value of a word does not see the older again,
/// nor does anyone it has synchronised with; and a 64-bit word is never torn.
#[test]
fn coherence() {
    case(Kind::Panic, (3, 64, 8), |mut run| {
        let word = run.keep(Buffer::<u64>::zeroed(1));
        run.options.resident = 3;
        run.launch(|| unsafe {
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
    })
    .is_clean();
}
