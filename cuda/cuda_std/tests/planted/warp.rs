//! Results of warp operations.

use cuda_std::emu::{Buffer, Options, launch};
use cuda_std::{ext::*, prelude::*};

/// An operation, and its expected result in a lane of a mask.
type Operation = (fn(u32, u32) -> u32, fn(u32, &[u32; 32], usize) -> u32);

fn fold(mask: u32, values: &[u32; 32], combine: fn(u32, u32) -> u32) -> u32 {
    let of_mask = (0..32).filter(|lane| mask >> lane & 1 != 0);
    of_mask.map(|lane| values[lane]).reduce(combine).unwrap()
}

fn lanes_where(mask: u32, holds: impl Fn(usize) -> bool) -> u32 {
    let lanes = (0..32).filter(|&lane| mask >> lane & 1 != 0 && holds(lane));
    lanes.fold(0, |set, lane| set | 1 << lane)
}

const OPERATIONS: [Operation; 11] = [
    (lanes::reduce_add, |m, v, _| fold(m, v, u32::wrapping_add)),
    (lanes::reduce_min, |m, v, _| fold(m, v, u32::min)),
    (lanes::reduce_max, |m, v, _| fold(m, v, u32::max)),
    (lanes::reduce_and, |m, v, _| fold(m, v, |a, b| a & b)),
    (lanes::reduce_or, |m, v, _| fold(m, v, |a, b| a | b)),
    (lanes::reduce_xor, |m, v, _| fold(m, v, |a, b| a ^ b)),
    (lanes::match_any, |m, v, lane| lanes_where(m, |other| v[other] == v[lane])),
    (
        |m, value| lanes::ballot(m, value % 3 == 0),
        |m, v, _| lanes_where(m, |lane| v[lane].is_multiple_of(3)),
    ),
    (
        |m, value| lanes::any(m, value % 3 == 0) as u32,
        |m, v, _| (lanes_where(m, |lane| v[lane].is_multiple_of(3)) != 0) as u32,
    ),
    (
        |m, value| lanes::all(m, value % 3 != 0) as u32,
        |m, v, _| (lanes_where(m, |lane| v[lane].is_multiple_of(3)) == 0) as u32,
    ),
    (
        |m, value| lanes::shuffle_idx(m, value, m.trailing_zeros()),
        |m, v, _| v[m.trailing_zeros() as usize],
    ),
];

#[test]
fn operations_return_the_expected_values() {
    for seed in 0..100u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Two groups of lanes, each with operations of its own order.
        let mask = rng.u32(1..u32::MAX);
        let values: [u32; 32] = std::array::from_fn(|_| rng.u32(..) >> rng.u32(0..32));
        let results = Buffer::<u32>::uninitialised(32 * OPERATIONS.len());
        let (input, output) = (Buffer::from_slice(&values), results.global());
        let from = input.global();
        launch(1, 32, 0, &Options::any(seed, 1, 32), || unsafe {
            let lane = warp::lane_id() as usize;
            let mine = mask >> lane & 1 != 0;
            for i in 0..OPERATIONS.len() {
                let i = if mine { i } else { OPERATIONS.len() - 1 - i };
                let (operation, _) = OPERATIONS[i];
                let result = operation(if mine { mask } else { !mask }, from.get(lane));
                output.set(32 * i + lane, result);
            }
        })
        .expect("no finding");
        for (i, (_, expected)) in OPERATIONS.iter().enumerate() {
            for lane in 0..32 {
                let mask = if mask >> lane & 1 != 0 { mask } else { !mask };
                let found = results.read(32 * i + lane);
                assert_eq!(found, expected(mask, &values, lane), "seed {seed}, operation {i}");
            }
        }
    }
}
