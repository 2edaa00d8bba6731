//! Bugs of single accesses, and of memory between launches.

use crate::{buffer_bug, bug, check_all, kernel_bug, me, t};
use cuda_std::emu::{Buffer, Kind, Options, launch};
use cuda_std::{ext::*, prelude::*};

#[test]
fn bugs_of_addresses_are_found() {
    check_all([
        bug("global out of bounds", Kind::OutOfBounds, (2, 64, 0), |run| {
            let data = run.keep(Buffer::from_slice(&[7u32; 100]).named("data"));
            run.launch(|| unsafe {
                if run.bug || me() < 100 {
                    data.set(me(), data.get(me()) + 1);
                }
            })
        })
        .also(|_| Options::unchecked()),
        bug("index below the array", Kind::OutOfBounds, (1, 32, 0), |run| {
            let row = run.keep(Buffer::from_slice(&[7u64; 32]));
            run.launch(|| unsafe {
                // An accessor may point before the array as long as no access does.
                row.offset(0usize.wrapping_sub(4)).get(if run.bug { 3 } else { 4 });
            })
        }),
        kernel_bug("shared out of bounds", Kind::OutOfBounds, (1, 64, 1024), |bug| unsafe {
            // The neighbouring array begins where this one ends.
            let counts = dynamic_shared::<u16>(0, 64);
            dynamic_shared::<u32>(128, 64).set(t(), 1);
            counts.set(t() + bug as usize, 2);
        }),
        kernel_bug("too little shared memory", Kind::OutOfBounds, (1, 32, 128), |bug| unsafe {
            dynamic_shared::<u32>(0, 32 + bug as usize).set(t(), 0);
        }),
        bug("misaligned vector", Kind::Misaligned, (1, 32, 0), |run| {
            let data = run.keep(Buffer::from_slice(&[7u32; 132]));
            run.launch(|| unsafe {
                data.offset(run.bug as usize).get_vector(4 * me());
            })
        })
        .also(|_| Options::unchecked()),
        kernel_bug("misaligned cast", Kind::Misaligned, (1, 32, 256), |bug| unsafe {
            let halves = dynamic_shared::<u16>(0, 66).offset(bug as usize);
            halves.cast::<u32>().set(t(), 1);
        }),
    ]);
}

#[test]
fn reads_of_unwritten_or_foreign_memory_are_found() {
    let unwritten = || Buffer::<u8>::uninitialised(64);
    let written = || Buffer::from_slice(&[7u32; 32]);
    check_all([
        buffer_bug("global", Kind::Uninitialised, (1, 32, 0), unwritten, |data, bug| unsafe {
            if !bug || me() != 17 {
                data.set(2 * me(), 1);
            }
            data.set(2 * me() + 1, 1);
            // A wider read of two elements, one of them unwritten.
            data.cast::<u16>().get(me());
        }),
        bug("shared, of the next block", Kind::Uninitialised, (4, 32, 128), |mut run| {
            run.options.resident = 1;
            run.launch(|| unsafe {
                let counts = dynamic_shared::<u32>(0, 32);
                if !run.bug || thread::block_idx_x() == 0 {
                    counts.set(t(), 0);
                }
                counts.fetch_add(t(), 1);
            })
        }),
        buffer_bug("streamed", Kind::StreamedRead, (1, 32, 0), written, |data, bug| unsafe {
            data.set(me(), 1);
            thread::sync_threads();
            let neighbour = (me() + 1) % 32;
            if bug {
                data.get_streamed(neighbour)
            } else {
                data.get(neighbour)
            };
        }),
        bug("before the launch before has ended", Kind::EarlyAccess, (2, 64, 256), |mut run| {
            let data = run.keep(Buffer::from_slice(&[7u32; 128]));
            run.options.early = true;
            run.launch(|| unsafe {
                // A thread may touch its own shared memory before.
                dynamic_shared::<u32>(0, 64).set(t(), 1);
                if !run.bug || me() != 77 {
                    sync_predecessor();
                }
                data.set(me(), data.get(me()) + 1);
            })
        }),
        // A single-pass count that leaves its table as it is; the second launch takes the
        // states of the first for its own.
        bug("states left between launches", Kind::StaleState, (4, 32, 0), |run| {
            let states = run.keep(Buffer::<u32>::zeroed(4).named("states"));
            let pass = || {
                let options = run.options.clone().expect_zero(states, 0..4);
                run.launch_with(&options, || unsafe {
                    if t() == 0 {
                        states.store(me() / 32, 1, Ordering::Relaxed, Scope::Device);
                    }
                })
            };
            pass()?;
            if !run.bug {
                run.launch(|| unsafe {
                    if t() == 0 {
                        states.set(me() / 32, 0);
                    }
                })?;
            }
            pass()
        }),
    ]);
}

#[test]
fn an_early_read_of_shared_memory_names_the_later_write() {
    let line = line!() + 3;
    let launched = launch(1, 64, 256, &Options::in_order(), || unsafe {
        let words = dynamic_shared::<u32>(0, 64);
        words.set(t(), 1);
        words.get(t() ^ 32);
    });
    let finding = launched.expect_err("a finding");
    assert_eq!(finding.kind, Kind::Uninitialised);
    let sites = [finding.site, finding.other].map(|site| site.expect("a site"));
    assert_eq!(sites.map(|site| (site.thread, site.location.line())), [(0, line + 1), (32, line)]);
    assert!(finding.message.contains("a barrier may be missing"), "{finding}");
}

#[test]
fn stale_states_name_their_writer() {
    let states = Buffer::<u32>::zeroed(4).named("states");
    let states = states.global();
    let line = line!() + 3;
    launch(2, 64, 0, &Options::in_order(), || unsafe {
        if me() == 70 {
            states.store(2, 1, Ordering::Relaxed, Scope::Device);
        }
    })
    .expect("no finding");
    let options = Options::in_order().expect_zero(unsafe { states.offset(1) }, 0..3);
    let finding = launch(1, 32, 0, &options, || ()).expect_err("a finding");
    let site = finding.site.expect("a site");
    assert_eq!((site.block, site.thread, site.location.line()), (1, 6, line));
    assert!(finding.message.starts_with("element 2 "), "{finding}");
}

#[test]
fn panics_in_a_kernel_are_findings() {
    let panics = bug("panic", Kind::Panic, (2, 32, 0), |mut run| {
        let digits = [1u32, 2, 3];
        run.options.allow_raw_memory = true;
        run.launch(|| {
            let i = if run.bug { me() % 4 } else { me() % 3 };
            std::hint::black_box(digits[i]);
        })
    });
    panics.check();
    let finding = panics.finding(Options::random(1));
    assert!(finding.message.contains("index out of bounds"), "{finding}");
    let site = finding.site.expect("a site");
    assert_eq!((site.thread % 4, site.location.file()), (3, file!()), "{finding}");
}

#[test]
fn impossible_launches_are_findings() {
    for (grid, block, shared) in [(1, 0, 0), (1, 1025, 0), (1, 32, 1 << 20), (1 << 30, 32, 0)] {
        let launched = launch(grid, block, shared, &Options::in_order(), || ());
        assert_eq!(launched.expect_err("a finding").kind, Kind::Launch);
    }
}

/// With only bounds checked, an uninitialised read returns the value that leads out of every array.
#[test]
fn unwritten_memory_is_poisoned() {
    let data = Buffer::<u32>::uninitialised(1);
    let (data, seen) = (data.global(), Buffer::<u32>::zeroed(1));
    let out = seen.global();
    launch(1, 1, 0, &Options::unchecked(), || unsafe { out.set(0, data.get(0)) })
        .expect("no finding");
    assert_eq!(seen.to_vec(), [0xa5a5a5a5]);
}
