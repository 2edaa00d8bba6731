//! Bugs of single accesses, and of memory between launches.

use crate::{case, finds, finds_kernel, finds_with, me};
use cuda_std::emu::{Buffer, Kind, Options, launch};
use cuda_std::prelude::*;

#[test]
fn global_out_of_bounds() {
    let case = case(Kind::OutOfBounds, (2, 64, 0), |run| {
        let data = run.keep(Buffer::from_slice(&[7u32; 100]).named("data"));
        run.launch(|| unsafe {
            if run.bug || me() < 100 {
                data.set(me(), data.get(me()) + 1);
            }
        })
    });
    case.is_found(Options::random);
    case.is_found(|_| Options::unchecked());
}

#[test]
fn index_below_the_array() {
    finds(Kind::OutOfBounds, (1, 32, 0), |run| {
        let data = Buffer::from_slice(&[7u64; 32]);
        let row = data.global();
        run.launch(|| unsafe {
            // An accessor may point before the array as long as no access does.
            let before = row.offset(0usize.wrapping_sub(4));
            before.get(if run.bug { 3 } else { 4 });
        })
    });
}

#[test]
fn shared_out_of_bounds() {
    finds_kernel(Kind::OutOfBounds, (1, 64, 1024), |bug| unsafe {
        // The neighbouring array begins where this one ends.
        let counts = dynamic_shared::<u16>(0, 64);
        let keys = dynamic_shared::<u32>(128, 64);
        let t = thread::thread_idx_x() as usize;
        keys.set(t, 1);
        counts.set(t + bug as usize, 2);
    });
}

#[test]
fn too_little_shared_memory() {
    finds_kernel(Kind::OutOfBounds, (1, 32, 128), |bug| unsafe {
        dynamic_shared::<u32>(0, 32 + bug as usize).set(warp::lane_id() as usize, 0);
    });
}

#[test]
fn uninitialised_global() {
    let data = || Buffer::<u8>::uninitialised(64);
    finds_with(Kind::Uninitialised, (1, 32, 0), data, |data, bug| unsafe {
        if !bug || me() != 17 {
            data.set(2 * me(), 1);
        }
        data.set(2 * me() + 1, 1);
        // A wider read of two elements, one of them unwritten.
        data.cast::<u16>().get(me());
    });
}

#[test]
fn uninitialised_shared_of_the_next_block() {
    finds(Kind::Uninitialised, (4, 32, 128), |mut run| {
        run.options.resident = 1;
        run.launch(|| unsafe {
            let counts = dynamic_shared::<u32>(0, 32);
            let t = warp::lane_id() as usize;
            if !run.bug || thread::block_idx_x() == 0 {
                counts.set(t, 0);
            }
            counts.fetch_add(t, 1);
        })
    });
}

#[test]
fn misaligned_vector() {
    let case = case(Kind::Misaligned, (1, 32, 0), |run| {
        let data = run.keep(Buffer::from_slice(&[7u32; 132]));
        run.launch(|| unsafe {
            data.offset(run.bug as usize).get_vector(4 * me());
        })
    });
    case.is_found(Options::random);
    case.is_found(|_| Options::unchecked());
}

#[test]
fn misaligned_cast() {
    finds_kernel(Kind::Misaligned, (1, 32, 256), |bug| unsafe {
        let halves = dynamic_shared::<u16>(0, 66).offset(bug as usize);
        halves.cast::<u32>().set(warp::lane_id() as usize, 1);
    });
}

#[test]
fn streamed_read_of_what_the_launch_writes() {
    let data = || Buffer::from_slice(&[7u32; 32]);
    finds_with(Kind::StreamedRead, (1, 32, 0), data, |data, bug| unsafe {
        data.set(me(), 1);
        thread::sync_threads();
        let neighbour = (me() + 1) % 32;
        if bug {
            data.get_streamed(neighbour)
        } else {
            data.get(neighbour)
        };
    });
}

#[test]
fn access_before_the_launch_before_has_ended() {
    finds(Kind::EarlyAccess, (2, 64, 256), |mut run| {
        let data = run.keep(Buffer::from_slice(&[7u32; 128]));
        run.options.early = true;
        run.launch(|| unsafe {
            // Its own shared memory a thread may have before.
            dynamic_shared::<u32>(0, 64).set(me() % 64, 1);
            if !run.bug || me() != 77 {
                thread::sync_predecessor();
            }
            data.set(me(), data.get(me()) + 1);
        })
    });
}

/// A single-pass count that leaves its table as it is; the second launch takes the
/// states of the first for its own.
#[test]
fn states_left_between_launches() {
    finds(Kind::StaleState, (4, 32, 0), |run| {
        let states = run.keep(Buffer::<u32>::zeroed(4).named("states"));
        let pass = || {
            let options = run.options.clone().expect_zero(states, 0..4);
            run.launch_with(&options, || unsafe {
                if thread::thread_idx_x() == 0 {
                    let block = thread::block_idx_x() as usize;
                    states.store(block, 1, Ordering::Relaxed, Scope::Device);
                }
            })
        };
        pass()?;
        if !run.bug {
            run.launch(|| unsafe {
                if thread::thread_idx_x() == 0 {
                    states.set(thread::block_idx_x() as usize, 0);
                }
            })?;
        }
        pass()
    });
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
fn panic_in_a_kernel() {
    let case = case(Kind::Panic, (2, 32, 0), |mut run| {
        let digits = [1u32, 2, 3];
        run.options.allow_raw_memory = true;
        run.launch(|| {
            let i = if run.bug { me() % 4 } else { me() % 3 };
            std::hint::black_box(digits[i]);
        })
    });
    case.is_found(Options::random);
    let finding = case.run(Options::random(1), true).expect_err("a finding");
    assert!(finding.message.contains("index out of bounds"), "{finding}");
    assert!(finding.message.contains(file!()), "{finding}");
}

#[test]
fn impossible_launch() {
    for (grid, block, shared) in [(1, 0, 0), (1, 1025, 0), (1, 32, 1 << 20), (1 << 30, 32, 0)] {
        let launched = launch(grid, block, shared, &Options::in_order(), || ());
        assert_eq!(launched.expect_err("a finding").kind, Kind::Launch);
    }
}

/// With only bounds checked, an uninitialised read returns the value that leads out of
/// every array.
#[test]
fn unchecked_memory_is_poisoned() {
    let data = Buffer::<u32>::uninitialised(1);
    let (data, seen) = (data.global(), Buffer::<u32>::zeroed(1));
    let out = seen.global();
    launch(1, 1, 0, &Options::unchecked(), || unsafe { out.set(0, data.get(0)) })
        .expect("no finding");
    assert_eq!(seen.to_vec(), [0xa5a5a5a5]);
}
