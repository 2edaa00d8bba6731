//! Each kernel by many schedules: right without its bug, and the bug is found.

use cuda_std::emu::{Buffer, Finding, Kind, Options, Stats, launch};
use raw_kernels::{Body, Step};

type Launched = Result<Stats, Finding>;

/// Runs a kernel without its bug by 40 schedules, and with the bug by ten, of which each has to
/// find it.
#[track_caller]
fn check(kind: Kind, words: &str, run: impl Fn(&Options, bool) -> Launched) {
    for seed in 0..40 {
        run(&Options::any(seed, 4, 256), false).unwrap_or_else(|finding| panic!("{finding}"));
    }
    for seed in 0..10 {
        let finding = run(&Options::random(seed), true).expect_err("a finding");
        assert_eq!(finding.kind, kind, "{finding}");
        let text = finding.to_string();
        assert!(text.contains(words) && text.contains("src/lib.rs:"), "{text}");
    }
}

/// Numbers that look drawn.
fn drawn(n: usize) -> impl Iterator<Item = u32> {
    (1..=n as u32).map(|i| i.wrapping_mul(0x9e37_79b9) >> 7)
}

fn floats(n: usize) -> Vec<f32> {
    drawn(n).map(|v| (v % 64) as f32 / 4.0).collect()
}

#[test]
fn vecadd() {
    let n = 1000;
    let (a, b) = (floats(n), floats(n).into_iter().rev().collect::<Vec<_>>());
    check(Kind::OutOfBounds, "element 1000 (4 bytes wide) of global memory `c`", |options, bug| {
        let [of_a, of_b] = [&a, &b].map(|v| Buffer::from_slice(v));
        let c = Buffer::uninitialised(n).named("c");
        let stats = launch(4, 256, 0, options, || unsafe {
            raw_kernels::vecadd(of_a.slice(), of_b.slice(), c.as_mut_ptr(), bug)
        })?;
        assert_eq!(stats.accesses, 3 * n as u64);
        let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        assert_eq!(c.to_vec(), expected);
        Ok(stats)
    });
}

type Gemm = unsafe fn(&[f32], &[f32], *mut f32, usize, usize, usize, f32, f32, bool);

fn gemm(kernel: Gemm, options: &Options, bug: bool) -> Launched {
    let (m, n, k) = (20, 35, 18);
    let (a, b, c) = (floats(m * k), floats(k * n), floats(m * n));
    let [of_a, of_b, of_c] = [&a, &b, &c].map(|v| Buffer::from_slice(v));
    let stats = launch((3, 2), (16, 16), 0, options, || unsafe {
        kernel(of_a.slice(), of_b.slice(), of_c.as_mut_ptr(), m, n, k, 2.0, 0.5, bug)
    })?;
    for row in 0..m {
        for column in 0..n {
            let sum: f32 = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
            let expected = 2.0 * sum + 0.5 * c[row * n + column];
            assert_eq!(of_c.read(row * n + column), expected, "{row} {column}");
        }
    }
    Ok(stats)
}

#[test]
fn gemm_naive() {
    check(Kind::Race, "data race in kernel `gemm_naive`", |options, bug| {
        gemm(raw_kernels::gemm_naive, options, bug)
    });
}

#[test]
fn gemm_tiled() {
    for seed in 0..40 {
        gemm(raw_kernels::gemm_tiled, &Options::any(seed, 6, 256), false).unwrap();
    }
    for seed in 0..10 {
        let finding = gemm(raw_kernels::gemm_tiled, &Options::random(seed), true).unwrap_err();
        assert!(matches!(finding.kind, Kind::Race | Kind::Uninitialised), "{finding}");
        assert!(finding.to_string().contains("shared memory `gemm_tiled_shared_"), "{finding}");
    }
}

#[test]
fn reduce() {
    let input: Vec<u32> = drawn(1000).collect();
    for bug in [false, true] {
        for seed in 0..40 {
            let (of_input, total) = (Buffer::from_slice(&input), Buffer::from_slice(&[5]));
            let result = launch(4, 256, 0, &Options::any(seed, 4, 256), || unsafe {
                raw_kernels::reduce(of_input.slice(), total.as_mut_ptr(), bug)
            });
            let Err(finding) = result else {
                assert!(!bug);
                assert_eq!(total.read(0), input.iter().fold(5u32, |a, &b| a.wrapping_add(b)));
                continue;
            };
            assert!(bug, "{finding}");
            assert!(matches!(finding.kind, Kind::Race | Kind::Uninitialised), "{finding}");
        }
    }
}

#[test]
fn histogram() {
    let input: Vec<u8> = drawn(900).map(|v| v as u8).collect();
    check(Kind::Race, "shared memory `histogram_shared_0`", |options, bug| {
        let (of_input, bins) = (Buffer::from_slice(&input), Buffer::<u32>::zeroed(64));
        let stats = launch(4, 256, 0, options, || unsafe {
            raw_kernels::histogram(of_input.slice(), bins.as_mut_ptr(), bug)
        })?;
        for bin in 0..64 {
            let count = input.iter().filter(|&&byte| byte as usize >> 2 == bin).count();
            assert_eq!(bins.read(bin), count as u32);
        }
        Ok(stats)
    });
}

#[test]
fn n_body() {
    let n = 70;
    let places = floats(4 * n);
    let step = Step { seconds: 0.25, softening: 0.5 };
    check(Kind::Race, "data race in kernel `n_body`", |options, bug| {
        let (bodies, moved) = (Buffer::from_slice(&places), Buffer::<f32>::uninitialised(4 * n));
        let stats = launch(3, 32, 0, options, || unsafe {
            let bodies = std::slice::from_raw_parts(bodies.as_mut_ptr() as *const Body, n);
            raw_kernels::n_body(bodies, moved.as_mut_ptr().cast(), step, bug)
        })?;
        let pull = |of: usize, axis: usize| -> f32 {
            let away = |other: usize, axis: usize| places[4 * other + axis] - places[4 * of + axis];
            let others = (0..n).map(|other| {
                let square: f32 = (0..3).map(|axis| away(other, axis).powi(2)).sum::<f32>() + 0.5;
                away(other, axis) * places[4 * other + 3] / (square * square.sqrt())
            });
            others.sum()
        };
        for i in 0..n {
            for axis in 0..3 {
                let expected = places[4 * i + axis] + 0.25 * pull(i, axis);
                let found = moved.read(4 * i + axis);
                assert!((found - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{i} {axis}");
            }
        }
        Ok(stats)
    });
}

#[test]
fn blur() {
    let (width, height) = (37u32, 21u32);
    let pixels: Vec<u8> = drawn((width * height) as usize).map(|v| v as u8).collect();
    check(Kind::OutOfBounds, "of global memory `image`", |options, bug| {
        let image = Buffer::from_slice(&pixels).named("image");
        let blurred = Buffer::<u8>::uninitialised(pixels.len());
        let stats = launch((3, 3), (16, 8), 0, options, || unsafe {
            raw_kernels::blur(image.as_mut_ptr(), blurred.as_mut_ptr(), width, height, bug)
        })?;
        for (i, found) in blurred.to_vec().into_iter().enumerate() {
            let (x, y) = (i as u32 % width, i as u32 / width);
            let near = pixels.iter().enumerate().filter(|(j, _)| {
                let (column, row) = (*j as u32 % width, *j as u32 / width);
                column.abs_diff(x) <= 1 && row.abs_diff(y) <= 1
            });
            let near: Vec<u32> = near.map(|(_, &pixel)| pixel as u32).collect();
            assert_eq!(found as u32, near.iter().sum::<u32>() / near.len() as u32, "{x} {y}");
        }
        Ok(stats)
    });
}

#[test]
fn wide() {
    let n = 100;
    let a: Vec<u128> = drawn(n).map(|v| (v as u128) << 90 | (v as u128) << 40 | 7).collect();
    let mut b: Vec<u128> = drawn(n).map(|v| (v as u128 % 50) << 60).collect();
    b[70] = 0;
    check(Kind::Panic, "divide by zero", |options, bug| {
        let [of_a, of_b] = [&a, &b].map(|v| Buffer::from_slice(v));
        let [product, quotient] = [0; 2].map(|_| Buffer::<u128>::uninitialised(n));
        let remainder = Buffer::<i128>::uninitialised(n);
        let stats = launch(4, 32, 0, options, || unsafe {
            let outputs = (product.as_mut_ptr(), quotient.as_mut_ptr(), remainder.as_mut_ptr());
            raw_kernels::wide(of_a.slice(), of_b.slice(), outputs.0, outputs.1, outputs.2, bug)
        })?;
        for i in 0..n {
            let divisor = b[i].max(1);
            assert_eq!(product.read(i), a[i].wrapping_mul(b[i]));
            assert_eq!(quotient.read(i), a[i] / divisor);
            assert_eq!(remainder.read(i), a[i] as i128 % divisor as i128);
        }
        Ok(stats)
    });
}

#[test]
fn locked() {
    check(Kind::Race, "data race in kernel `locked`", |options, bug| {
        let (lock, counter) = (Buffer::<u32>::zeroed(1), Buffer::<u32>::zeroed(1));
        let stats = launch(3, 64, 0, options, || unsafe {
            raw_kernels::locked(lock.as_mut_ptr(), counter.as_mut_ptr(), bug)
        })?;
        assert_eq!(counter.read(0), 6);
        Ok(stats)
    });
}
