//! Bugs of single accesses, and of memory between launches.

use crate::Case;
use cuda_std::emu::{Buffer, Checks, Kind, Options};
use cuda_std::prelude::*;

fn me() -> usize {
    (thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x()) as usize
}

#[test]
fn global_out_of_bounds() {
    let case = Case {
        kind: Kind::OutOfBounds,
        grid: 2,
        block: 64,
        shared_bytes: 0,
        run: |case, options, bug| {
            let data = Buffer::from_slice(&[7u32; 100]).named("data");
            let data = data.global();
            case.launch(options, || unsafe {
                if bug || me() < 100 {
                    data.set(me(), data.get(me()) + 1);
                }
            })
        },
    };
    case.is_found(Options::random);
    case.is_found(|_| Options::unchecked());
}

#[test]
fn index_below_the_array() {
    let case = Case {
        kind: Kind::OutOfBounds,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let data = Buffer::from_slice(&[7u64; 32]);
            let row = data.global();
            case.launch(options, || unsafe {
                // An accessor may point before the array as long as no access does.
                let before = row.offset(0usize.wrapping_sub(4));
                before.get(if bug { 3 } else { 4 });
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn shared_out_of_bounds() {
    let case = Case {
        kind: Kind::OutOfBounds,
        grid: 1,
        block: 64,
        shared_bytes: 1024,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                // The neighbouring array begins where this one ends.
                let counts = dynamic_shared::<u16>(0, 64);
                let keys = dynamic_shared::<u32>(128, 64);
                let t = thread::thread_idx_x() as usize;
                keys.set(t, 1);
                counts.set(t + bug as usize, 2);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn too_little_shared_memory() {
    let case = Case {
        kind: Kind::OutOfBounds,
        grid: 1,
        block: 32,
        shared_bytes: 128,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                dynamic_shared::<u32>(0, 32 + bug as usize).set(warp::lane_id() as usize, 0);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn uninitialised_global() {
    let case = Case {
        kind: Kind::Uninitialised,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let data = Buffer::<u8>::uninitialised(64);
            let data = data.global();
            case.launch(options, || unsafe {
                if !bug || me() != 17 {
                    data.set(2 * me(), 1);
                }
                data.set(2 * me() + 1, 1);
                // A wider read of two elements, one of them unwritten.
                data.cast::<u16>().get(me());
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn uninitialised_shared_of_the_next_block() {
    let case = Case {
        kind: Kind::Uninitialised,
        grid: 4,
        block: 32,
        shared_bytes: 128,
        run: |case, options, bug| {
            let options = Options {
                resident: 1,
                ..options.clone()
            };
            case.launch(&options, || unsafe {
                let counts = dynamic_shared::<u32>(0, 32);
                let t = warp::lane_id() as usize;
                if !bug || thread::block_idx_x() == 0 {
                    counts.set(t, 0);
                }
                counts.fetch_add(t, 1);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn misaligned_vector() {
    let case = Case {
        kind: Kind::Misaligned,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let data = Buffer::from_slice(&[7u32; 132]);
            let data = data.global();
            case.launch(options, || unsafe {
                data.offset(bug as usize).get_vector(4 * me());
            })
        },
    };
    case.is_found(Options::random);
    case.is_found(|_| Options::unchecked());
}

#[test]
fn misaligned_cast() {
    let case = Case {
        kind: Kind::Misaligned,
        grid: 1,
        block: 32,
        shared_bytes: 256,
        run: |case, options, bug| {
            case.launch(options, || unsafe {
                let halves = dynamic_shared::<u16>(0, 66).offset(bug as usize);
                halves.cast::<u32>().set(warp::lane_id() as usize, 1);
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn streamed_read_of_what_the_launch_writes() {
    let case = Case {
        kind: Kind::StreamedRead,
        grid: 1,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let data = Buffer::from_slice(&[7u32; 32]);
            let data = data.global();
            case.launch(options, || unsafe {
                data.set(me(), 1);
                thread::sync_threads();
                let neighbour = (me() + 1) % 32;
                if bug {
                    data.get_streamed(neighbour)
                } else {
                    data.get(neighbour)
                };
            })
        },
    };
    case.is_found(Options::random);
}

#[test]
fn access_before_the_launch_before_has_ended() {
    let case = Case {
        kind: Kind::EarlyAccess,
        grid: 2,
        block: 64,
        shared_bytes: 256,
        run: |case, options, bug| {
            let data = Buffer::from_slice(&[7u32; 128]);
            let data = data.global();
            let options = Options {
                early: true,
                ..options.clone()
            };
            case.launch(&options, || unsafe {
                // Its own shared memory a thread may have before.
                dynamic_shared::<u32>(0, 64).set(me() % 64, 1);
                if !bug || me() != 77 {
                    thread::sync_predecessor();
                }
                data.set(me(), data.get(me()) + 1);
            })
        },
    };
    case.is_found(Options::random);
}

/// A single-pass count that leaves its table as it is; the second launch takes the
/// states of the first for its own.
#[test]
fn states_left_between_launches() {
    let case = Case {
        kind: Kind::StaleState,
        grid: 4,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let states = Buffer::<u32>::zeroed(4).named("states");
            let states = states.global();
            let pass = || {
                let options = options.clone().expect_zero(states, 0..4);
                case.launch(&options, || unsafe {
                    if thread::thread_idx_x() == 0 {
                        let block = thread::block_idx_x() as usize;
                        states.store(block, 1, Ordering::Relaxed, Scope::Device);
                    }
                })
            };
            pass()?;
            if !bug {
                case.launch(options, || unsafe {
                    if thread::thread_idx_x() == 0 {
                        states.set(thread::block_idx_x() as usize, 0);
                    }
                })?;
            }
            pass()
        },
    };
    case.is_found(Options::random);
}

#[test]
fn states_left_are_laid_at_their_writers_door() {
    let states = Buffer::<u32>::zeroed(4).named("states");
    let states = states.global();
    let line = line!() + 3;
    cuda_std::emu::launch(2, 64, 0, &Options::in_order(), || unsafe {
        if me() == 70 {
            states.store(2, 1, Ordering::Relaxed, Scope::Device);
        }
    })
    .expect("no finding");
    let options = Options::in_order().expect_zero(unsafe { states.offset(1) }, 0..3);
    let finding = cuda_std::emu::launch(1, 32, 0, &options, || ()).expect_err("a finding");
    let site = finding.site.expect("a site");
    assert_eq!(
        (site.block, site.thread, site.location.line()),
        (1, 6, line)
    );
    assert!(finding.message.starts_with("element 2 "), "{finding}");
}

#[test]
fn panic_in_a_kernel() {
    let case = Case {
        kind: Kind::Panic,
        grid: 2,
        block: 32,
        shared_bytes: 0,
        run: |case, options, bug| {
            let digits = [1u32, 2, 3];
            case.launch(options, || {
                let i = if bug { me() % 4 } else { me() % 3 };
                std::hint::black_box(digits[i]);
            })
        },
    };
    case.is_found(Options::random);
    let finding = (case.run)(&case, &Options::random(1), true).expect_err("a finding");
    assert!(finding.message.contains("index out of bounds"), "{finding}");
    assert!(finding.message.contains(file!()), "{finding}");
}

#[test]
fn impossible_launch() {
    for (grid, block, shared) in [(1, 0, 0), (1, 1025, 0), (1, 32, 1 << 20), (1 << 30, 32, 0)] {
        let launched = cuda_std::emu::launch(grid, block, shared, &Options::in_order(), || ());
        assert_eq!(launched.expect_err("a finding").kind, Kind::Launch);
    }
}

/// What only bounds are checked for: an uninitialised read goes through, and gives
/// the value that leads out of every array.
#[test]
fn unchecked_memory_is_poisoned() {
    let data = Buffer::<u32>::uninitialised(1);
    let (data, seen) = (data.global(), Buffer::<u32>::zeroed(1));
    let out = seen.global();
    let options = Options {
        checks: Checks::Bounds,
        ..Options::in_order()
    };
    cuda_std::emu::launch(1, 1, 0, &options, || unsafe { out.set(0, data.get(0)) })
        .expect("no finding");
    assert_eq!(seen.to_vec(), [0xa5a5a5a5]);
}
