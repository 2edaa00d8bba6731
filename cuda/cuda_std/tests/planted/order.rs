//! Bugs of memory order, which only weak memory shows.

use crate::{Bug, Launched, Run, block, bug, check_all, kernel_bug, t};
use cuda_std::emu::{Buffer, Checks, Kind, MemoryModel, Options};
use cuda_std::{ext::*, prelude::*};

const BLOCKS: u32 = 12;

fn options(seed: u64) -> Options {
    // All on the device, so that no block waits for one that cannot start.
    Options { resident: BLOCKS, ..Options::random(seed) }
}

/// The order of a relay's accesses.
#[derive(Clone, Copy)]
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
        let block = block();
        if t() != 0 {
            return;
        }
        let mut value = 0;
        if block > 0 {
            while flags.load(block - 1, order.load, Scope::Device) == 0 {}
            order.acquire_fence.into_iter().for_each(fence);
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
        order.release_fence.into_iter().for_each(fence);
        if !order.flag_first {
            set_flag();
        }
    })
}

/// Wrong values show in the kernel's own assertion.
const WRONG: Kind = Kind::Panic;

const RELAY: crate::Shape = (BLOCKS, 32, 0);

/// A relay with the order `strong`, and with `weak` as the bug.
fn relay_bug(name: &'static str, kind: Kind, strong: Relay, weak: Relay) -> Bug {
    bug(name, kind, RELAY, move |run| {
        let order = if run.bug { weak } else { strong };
        relay(run, order)
    })
    .only(&[options])
}

fn sequential(seed: u64) -> Options {
    Options { memory: MemoryModel::Sequential, ..options(seed) }
}

fn store_buffers(seed: u64) -> Options {
    Options { memory: MemoryModel::StoreBuffers, ..options(seed) }
}

/// Without the race check, the store buffers show the wrong value itself.
fn unchecked_store_buffers(seed: u64) -> Options {
    Options { checks: Checks::Bounds, ..store_buffers(seed) }
}

#[test]
fn weakened_relays_are_found() {
    let relaxed_store = Relay { store: Ordering::Relaxed, ..ATOMIC };
    let relaxed_load = Relay { load: Ordering::Relaxed, ..ATOMIC };
    let plain = Relay { plain: true, ..ATOMIC };
    let relaxed_plain = Relay { store: Ordering::Relaxed, ..plain };
    let no_release = Relay { release_fence: None, ..FENCED };
    let block_release = Relay { release_fence: Some(Scope::Block), ..FENCED };
    let no_acquire = Relay { acquire_fence: None, ..FENCED };
    let early_flag = Relay { flag_first: true, ..ATOMIC };
    check_all([
        relay_bug("flag stored before the value", WRONG, ATOMIC, early_flag),
        relay_bug("flag stored without release", WRONG, ATOMIC, relaxed_store).also(store_buffers),
        relay_bug("flag loaded without acquire", WRONG, ATOMIC, relaxed_load),
        relay_bug("relaxed flag of a plain value", Kind::Race, plain, relaxed_plain)
            .also(sequential),
        relay_bug("relaxed flag, unchecked", WRONG, plain, relaxed_plain)
            .only(&[unchecked_store_buffers]),
        relay_bug("no release fence", Kind::Race, FENCED, no_release),
        relay_bug("release fence of block scope", Kind::Race, FENCED, block_release),
        relay_bug("no acquire fence", Kind::Race, FENCED, no_acquire),
    ]);
}

#[test]
fn missing_order_among_threads_is_found() {
    check_all([
        // The threads of one block write, a barrier, one thread publishes: that carries
        // all of them. Without the barrier it does not.
        bug("release without a barrier before it", Kind::Race, (2, 64, 0), |mut run| {
            let values = run.keep(Buffer::<u32>::zeroed(64).named("values"));
            let flag = run.keep(Buffer::<u32>::zeroed(1).named("flag"));
            run.options.resident = 2;
            run.launch(|| unsafe {
                if block() == 0 {
                    values.set(t(), 1);
                    if !run.bug {
                        thread::sync_threads();
                    }
                    if t() == 0 {
                        flag.store(0, 1, Ordering::Release, Scope::Device);
                    }
                } else {
                    while t() == 0 && flag.load(0, Ordering::Acquire, Scope::Device) == 0 {}
                    thread::sync_threads();
                    values.get(63 - t());
                }
            })
        })
        .only(&[options]),
        // The last block to arrive reads the sums of all others: the arrival counter has
        // to acquire and release.
        bug("last block without acquire", Kind::Race, (6, 32, 4), |run| {
            let sums = run.keep(Buffer::<u32>::uninitialised(6).named("sums"));
            let arrived = run.keep(Buffer::<u32>::zeroed(1).named("arrived"));
            let order = if run.bug { Ordering::Release } else { Ordering::AcqRel };
            run.launch(|| unsafe {
                let last = dynamic_shared::<u32>(0, 1);
                if t() == 0 {
                    sums.set(block(), 1);
                    last.set(0, arrived.fetch_add(0, 1, order, Scope::Device));
                }
                thread::sync_threads();
                if last.get(0) == 5 && t() < 6 {
                    sums.get(t());
                }
            })
        }),
        // Lanes with one digit share a counter: the leader of one row writes the word that
        // the leader of the next one reads, and only a warp barrier orders the two.
        bug("no sync_warp in the ranking loop", Kind::Race, (1, 64, 2 * 16 * 4), |run| {
            run.launch(|| unsafe {
                let counters = dynamic_shared::<u32>(0, 32).offset(t() / 32 * 16);
                if warp::lane_id() < 16 {
                    counters.set(warp::lane_id() as usize, 0);
                }
                warp::sync_warp(lanes::FULL);
                for item in 0..4 {
                    let digit = (t() * 7 + item * 3) % 16;
                    let same = lanes::match_digit(digit as u32, lanes::all_ones());
                    let rank = counters.get(digit) + (same & lanes::lane_mask_lt()).count_ones();
                    warp::sync_warp(lanes::FULL);
                    if same & lanes::lane_mask_gt() == 0 {
                        counters.set(digit, rank + 1);
                    }
                    if !run.bug {
                        warp::sync_warp(lanes::FULL);
                    }
                }
            })
        })
        .also(|_| Options::in_order()),
        // A barrier of some lanes orders these and no others.
        kernel_bug("partial warp barrier", Kind::Race, (1, 32, 128), |bug| unsafe {
            let values = dynamic_shared::<u32>(0, 32);
            values.set(t(), 0);
            warp::sync_warp(lanes::FULL);
            values.set(t(), 1);
            warp::sync_warp(if t() < 16 { 0x0000_ffff } else { 0xffff_0000 });
            values.get(if bug { 31 - t() } else { t() ^ 15 });
        }),
    ]);
}

#[test]
fn correct_kernels_are_clean() {
    // Flag and value in one relaxed word need no order at all.
    let packed_word = bug("packed word", Kind::Race, RELAY, |mut run| {
        run.options.resident = BLOCKS;
        let words = run.keep(Buffer::<u32>::zeroed(BLOCKS as usize).named("words"));
        run.launch(|| unsafe {
            let block = block();
            if t() == 0 {
                let mut word = 0;
                while block > 0 && word == 0 {
                    word = words.load(block - 1, Ordering::Relaxed, Scope::Device);
                }
                let value = word & !(1 << 31);
                assert_eq!(value, block as u32, "the relayed value");
                words.store(block, (value + 1) | 1 << 31, Ordering::Relaxed, Scope::Device);
            }
        })
    });
    // A thread that has seen the newer value of a word does not see the older again, nor
    // does a thread it has synchronised with; and a 64-bit word is never torn.
    let coherence = bug("coherence", Kind::Panic, (3, 64, 8), |mut run| {
        let word = run.keep(Buffer::<u64>::zeroed(1));
        run.options.resident = 3;
        run.launch(|| unsafe {
            if block() == 0 {
                if t() == 0 {
                    (1..20)
                        .for_each(|i| word.store(0, i << 32 | i, Ordering::Relaxed, Scope::Device));
                }
                return;
            }
            let seen = dynamic_shared::<u64>(0, 1);
            let mut newest = 0;
            for round in 0..6 {
                if t() == round {
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
    });
    check_all([packed_word.only(&[]), coherence.only(&[])]);
}
