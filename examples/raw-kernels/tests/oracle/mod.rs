//! Inputs of the kernels, and what comes out of them: for the emulator here, and for a device in
//! `suite/tests/device/raw_kernels.rs`.

/// Numbers that look drawn.
pub(crate) fn drawn(n: usize) -> impl Iterator<Item = u32> {
    (1..=n as u32).map(|i| i.wrapping_mul(0x9e37_79b9) >> 7)
}

/// Small multiples of a quarter, whose products and sums are exact.
pub(crate) fn floats(n: usize) -> Vec<f32> {
    drawn(n).map(|v| (v % 64) as f32 / 4.0).collect()
}

/// Rows of the first matrix, columns of the second, and what they have in common.
pub(crate) const GEMM: (usize, usize, usize) = (20, 35, 18);

/// `2 a b + c / 2`.
pub(crate) fn gemm(a: &[f32], b: &[f32], c: &[f32]) -> Vec<f32> {
    let (m, n, k) = GEMM;
    let element = |(row, column): (usize, usize)| {
        let sum: f32 = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
        2.0 * sum + 0.5 * c[row * n + column]
    };
    (0..m * n).map(|i| element((i / n, i % n))).collect()
}

/// How often each upper six bits come.
pub(crate) fn histogram(bytes: &[u8]) -> Vec<u32> {
    let count = |bin| bytes.iter().filter(|&&byte| byte as usize >> 2 == bin).count() as u32;
    (0..64).map(count).collect()
}

/// Seconds of a step, and its softening.
pub(crate) const STEP: (f32, f32) = (0.25, 0.5);

/// Asserts that bodies of four numbers each have moved as gravity has it.
#[track_caller]
pub(crate) fn assert_moved(bodies: &[f32], moved: &[f32]) {
    let n = bodies.len() / 4;
    let away =
        |i: usize, other: usize, axis: usize| bodies[4 * other + axis] - bodies[4 * i + axis];
    let pull = |i: usize, axis: usize| -> f32 {
        let others = (0..n).map(|other| {
            let square = (0..3).map(|axis| away(i, other, axis).powi(2)).sum::<f32>() + STEP.1;
            away(i, other, axis) * bodies[4 * other + 3] / (square * square.sqrt())
        });
        others.sum()
    };
    for i in 0..n {
        for axis in 0..3 {
            let expected = bodies[4 * i + axis] + STEP.0 * pull(i, axis);
            let found = moved[4 * i + axis];
            assert!((found - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{i} {axis}");
        }
        assert_eq!(moved[4 * i + 3], bodies[4 * i + 3], "{i}");
    }
}

/// Width and height of the image.
pub(crate) const IMAGE: (u32, u32) = (37, 21);

/// The means of the pixels' neighbours.
pub(crate) fn blurred(pixels: &[u8]) -> Vec<u8> {
    let width = IMAGE.0 as usize;
    let mean = |i: usize| {
        let near =
            |j: usize| (i % width).abs_diff(j % width) <= 1 && (i / width).abs_diff(j / width) <= 1;
        let near = (0..pixels.len()).filter(|&j| near(j));
        let near: Vec<u32> = near.map(|j| pixels[j] as u32).collect();
        (near.iter().sum::<u32>() / near.len() as u32) as u8
    };
    (0..pixels.len()).map(mean).collect()
}

/// Two arrays of wide numbers, of which the second has a zero.
pub(crate) fn wide_inputs(n: usize) -> (Vec<u128>, Vec<u128>) {
    let a = drawn(n).map(|v| (v as u128) << 90 | (v as u128) << 40 | 7).collect();
    let mut b: Vec<u128> = drawn(n).map(|v| (v as u128 % 50) << 60).collect();
    b[70] = 0;
    (a, b)
}

/// Products, quotients and remainders.
pub(crate) fn wide(a: &[u128], b: &[u128]) -> [Vec<u128>; 3] {
    let each = |f: fn(u128, u128) -> u128| a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect();
    [
        each(u128::wrapping_mul),
        each(|a, b| a / b.max(1)),
        each(|a, b| (a as i128 % b.max(1) as i128) as u128),
    ]
}

/// The limit of `outliers`.
pub(crate) const LIMIT: f32 = 15.125;

/// The lines that `outliers` prints, in the order of their bytes.
pub(crate) fn outliers(input: &[f32]) -> Vec<String> {
    let above = input.iter().enumerate().filter(|(_, element)| **element > LIMIT);
    let line = |(i, element): (usize, &f32)| {
        format!("element {i} is {element:?}, {:.1} over the limit", element - LIMIT)
    };
    let mut lines: Vec<String> = above.map(line).collect();
    lines.sort_unstable();
    lines
}

/// Where functions are compared: numbers that `f32` has too.
pub(crate) const POINTS: [f64; 8] = [0.125, 0.4375, 0.75, 1.25, 1.875, 2.5, 4.75, 9.0];

/// The results of a kernel `functions` for each point.
pub(crate) const FUNCTIONS: usize = 30;

/// The value at `x` of a function that `std` does not have: from a table that is not computed by
/// what is tested.
fn known(function: &str, x: f64) -> f64 {
    let lines = include_str!("../../../../cuda/cuda_std/tests/known.txt").lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(&format!("{function} {x:?} ")));
    values.next().unwrap_or_else(|| panic!("no {function} of {x:?}")).parse().unwrap()
}

/// Asserts that the results of a kernel `functions` are within `16 * epsilon` of the exact values
/// at [`POINTS`], relative, and absolute near a zero.
#[track_caller]
pub(crate) fn assert_functions(results: &[f64], epsilon: f64) {
    let exponent = |x: f64| (x.to_bits() >> 52) as i32 - 1023;
    for (i, &x) in POINTS.iter().enumerate() {
        let fraction = x / 2f64.powi(exponent(x) + 1);
        let (sin, cos) = x.sin_cos();
        let expected: [(&str, f64); FUNCTIONS] = [
            ("sqrt", x.sqrt()),
            ("round", x.round()),
            ("exp", x.exp()),
            ("ln", x.ln()),
            ("sin", sin),
            ("cos", cos),
            ("cbrt", x.cbrt()),
            ("tanh", x.tanh()),
            ("powf", x.powf(2.5)),
            ("powi", x.powi(-3)),
            ("hypot", x.hypot(3.0)),
            ("atan2", x.atan2(2.0)),
            ("sinpi", known("sinpi", x)),
            ("cospi", known("cospi", x)),
            ("erf", known("error_function", x)),
            ("erfc", known("complementary_error_function", x)),
            ("erfcx", known("scaled_complementary_error_function", x)),
            ("erfcinv", known("inv_complementary_error_function", x / 8.0)),
            ("norm_cdf", known("norm_cdf", x)),
            ("inv_norm_cdf", known("inv_norm_cdf", x / 16.0)),
            ("gamma", known("gamma", x)),
            ("log_gamma", known("log_gamma", x)),
            ("j0", known("j0", x)),
            ("jn", known("jn(2)", x)),
            ("y1", known("y1", x)),
            ("rcbrt", known("rcbrt", x)),
            ("fraction", fraction),
            ("exponent", exponent(x) as f64 + 1.0),
            ("unbiased_exp", exponent(x) as f64),
            ("saturate", 32.0 * x.min(1.0)),
        ];
        let found = &results[expected.len() * i..][..expected.len()];
        for ((name, exact), found) in expected.into_iter().zip(found) {
            let has_zeros = ["log_gamma", "j0", "jn", "y1"].contains(&name);
            let size = if has_zeros { exact.abs().max(1.0) } else { exact.abs() };
            let bound = 16.0 * epsilon * size;
            assert!((found - exact).abs() <= bound, "{name}({x}) is {found:e}, not {exact:e}");
        }
    }
}

/// Bits of 16-bit numbers to add: 1 and 2, 1 and the half of its last place, which is rounded to
/// even, the largest number and itself, the least number and itself, 1/3 and -1/3.
#[allow(dead_code)] // Of the feature `half` alone.
pub(crate) const HALVES: ([u16; 5], [u16; 5]) =
    ([0x3c00, 0x3c00, 0x7bff, 0x0001, 0x3555], [0x4000, 0x1000, 0x7bff, 0x0001, 0xb555]);

/// The sums 3, 1, infinity, twice the least number, and 0, and the same as `bf16`.
#[allow(dead_code)] // Of the feature `half` alone.
pub(crate) const HALVES_ADDED: [u16; 10] =
    [0x4200, 0x3c00, 0x7c00, 0x0002, 0x0000, 0x4040, 0x3f80, 0x7f80, 0x3400, 0x0000];
