//! Operations under Rust-CUDA's names: indices in three dimensions, barriers that count, values of
//! every width in a warp, floats.

use crate::t;
use cuda_std::atomic::{AtomicF32, mid};
use cuda_std::emu::{Buffer, Finding, Kind, Options, launch};
use cuda_std::warp::WarpReductionOp;
use cuda_std::{ext::*, prelude::*};

/// Runs `kernel` by 50 schedules.
#[track_caller]
fn run(
    grid: (u32, u32, u32),
    block: (u32, u32, u32),
    mut kernel: impl FnMut(&Options) -> Result<(), Finding>,
) {
    let (blocks, threads) = (grid.0 * grid.1 * grid.2, block.0 * block.1 * block.2);
    for seed in 0..50 {
        kernel(&Options::any(seed, blocks, threads)).unwrap_or_else(|finding| panic!("{finding}"));
    }
}

#[test]
fn indices_count_the_first_dimension_fastest() {
    let (grid, block) = ((3, 2, 2), (5, 3, 2));
    run(grid, block, |options| {
        let seen = Buffer::<u32>::zeroed(12 * 30);
        let firsts = Buffer::<u32>::zeroed(1);
        let (at, first) = (seen.global(), firsts.global());
        launch(grid, block, 0, options, || unsafe {
            let i = thread::index_3d();
            let size = [3 * 5, 2 * 3, 2 * 2];
            assert!(i.x < size[0] && i.y < size[1] && i.z < size[2]);
            assert_eq!(thread::index_2d(), thread::UVec2::new(i.x, i.y));
            assert_eq!(thread::index_1d(), i.x);
            assert_eq!(thread::block_dim(), thread::UVec3::new(5, 3, 2));
            assert_eq!(thread::grid_dim(), thread::UVec3::new(3, 2, 2));
            at.fetch_add(thread::index() as usize, 1, Ordering::Relaxed, Scope::Device);
            if thread::first() {
                first.fetch_add(0, 1, Ordering::Relaxed, Scope::Device);
            }
        })?;
        assert_eq!((seen.to_vec(), firsts.read(0)), (vec![1; 360], 1));
        Ok(())
    });
}

#[test]
fn barriers_count_the_threads_in_which_a_predicate_holds() {
    run((2, 1, 1), (70, 1, 1), |options| {
        let options = Options { allow_raw_memory: true, ..options.clone() };
        launch(2, 70, 0, &options, || {
            let t = t() as u32;
            assert_eq!(thread::sync_threads_count(t < 7), 7);
            assert_eq!(thread::sync_threads_count(t & 1), 35);
            assert!(thread::sync_threads_and(t < 70));
            assert_eq!(thread::sync_threads_and((t != 69) as u32), 0);
            assert_eq!(thread::sync_threads_or((t == 69) as u32), 1);
            assert!(!thread::sync_threads_or(t == 70));
        })
        .map(drop)
    });
}

#[test]
fn shuffles_stay_within_their_part_of_the_warp() {
    run((1, 1, 1), (64, 1, 1), |options| {
        let options = Options { allow_raw_memory: true, ..options.clone() };
        launch(1, 64, 0, &options, || unsafe {
            let lane = warp::lane_id();
            let wide = (lane as i128 - 5) << 70;
            let of = |lane: u32| (lane as i128 - 5) << 70;
            let (part, end) = (lane / 8 * 8, lane / 8 * 8 + 7);
            let down = (lane + 3 <= end, if lane + 3 <= end { lane + 3 } else { lane });
            let up = (lane >= part + 3, if lane >= part + 3 { lane - 3 } else { lane });
            assert_eq!(warp::warp_shuffle_down(!0, wide, 3, 8), (of(down.1), down.0));
            assert_eq!(warp::warp_shuffle_up(!0, wide, 3, 8), (of(up.1), up.0));
            assert_eq!(warp::warp_shuffle_xor(!0, lane as f64, 5, 8), ((lane ^ 5) as f64, true));
            assert_eq!(warp::warp_shuffle_xor(!0, lane as u8, 16, 8).1, lane ^ 16 <= end);
            assert_eq!(warp::warp_shuffle_idx(!0, lane as f32, 10, 8), ((part + 2) as f32, true));
        })
        .map(drop)
    });
}

#[test]
fn matches_and_reductions_take_values_of_their_type() {
    run((1, 1, 1), (32, 1, 1), |options| {
        let options = Options { allow_raw_memory: true, ..options.clone() };
        launch(1, 32, 0, &options, || unsafe {
            let lane = warp::lane_id();
            let value = (lane as u64 / 16) << 40 | 1;
            assert_eq!(warp::warp_match_any(!0, value), 0xffff << (lane / 16 * 16));
            assert_eq!(warp::warp_match_all(!0, value), None);
            assert_eq!(warp::warp_match_all(!0, 7u64 << 50), Some(!0));
            let signed = lane as i32 - 9;
            assert_eq!(warp::warp_reduce(!0, signed, WarpReductionOp::Min), -9);
            assert_eq!(warp::warp_reduce(!0, signed, WarpReductionOp::Max), 22);
            assert_eq!(warp::warp_reduce(!0, signed, WarpReductionOp::Add), 496 - 9 * 32);
            assert_eq!(warp::warp_reduce(!0, lane, WarpReductionOp::Or), 31);
            assert!(warp::warp_vote_any(!0, lane == 4) && warp::warp_vote_all(!0, lane < 32));
            assert!(warp::activemask() >> lane & 1 == 1);
        })
        .map(drop)
    });
}

#[test]
fn accessors_take_floats_and_signed_integers() {
    let (floats, signed) = (Buffer::from_slice(&[0.5f32, -2.0]), Buffer::from_slice(&[-3i64]));
    let (of_floats, of_signed) = (floats.global(), signed.global());
    launch(1, 1, 8, &Options::in_order(), || unsafe {
        let shared = dynamic_shared::<f64>(0, 1);
        shared.set(0, of_floats.get(1) as f64);
        of_floats.set(0, shared.get(0) as f32);
        of_signed.set(0, of_signed.get(0) - 1);
    })
    .unwrap();
    assert_eq!((floats.to_vec(), signed.to_vec()), (vec![-2.0, -2.0], vec![-4]));
}

#[test]
fn atomic_values_combine_on_raw_pointers() {
    let sum = AtomicF32::new(1.5);
    assert_eq!(sum.fetch_add(2.0, Ordering::AcqRel), 1.5);
    assert_eq!(sum.fetch_sub(1.0, Ordering::Relaxed), 3.5);
    assert_eq!(sum.swap(-1.0, Ordering::SeqCst), 2.5);
    assert_eq!(sum.into_inner(), -1.0);
    let (mut signed, mut float) = (-3i32, 0.25f64);
    unsafe {
        assert_eq!(mid::atomic_fetch_max_i32_device(&mut signed, Ordering::Release, 4), -3);
        assert_eq!(mid::atomic_fetch_min_i32_block(&mut signed, Ordering::Relaxed, -8), 4);
        assert_eq!(
            mid::atomic_compare_and_swap_i32_system(&mut signed, -8, 9, Ordering::AcqRel),
            -8
        );
        assert_eq!(mid::atomic_fetch_add_f64_device(&mut float, Ordering::Relaxed, 1.0), 0.25);
    }
    assert_eq!((signed, float), (9, 1.25));
}

#[kernel]
unsafe fn three_dimensions(words: Global<u32>) {
    unsafe { words.set(thread::index() as usize, 1) };
}

#[test]
fn a_finding_shows_the_launch_in_its_dimensions() {
    let words = Buffer::<u32>::zeroed(23);
    let words = words.global();
    let options = Options::in_order();
    let finding = launch((2, 3), (2, 1, 2), 0, &options, || unsafe { three_dimensions(words) });
    let finding = finding.expect_err("a finding");
    assert_eq!(finding.kind, Kind::OutOfBounds);
    assert!(finding.to_string().contains("<<<(2, 3), (2, 1, 2), 0>>>"), "{finding}");
}
