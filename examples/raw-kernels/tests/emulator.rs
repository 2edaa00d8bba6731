//! Each kernel by many schedules: right without its bug, and the bug is found.

mod oracle;

use cuda_std::emu::{Buffer, Finding, Kind, Options, Stats, launch};
use oracle::{drawn, floats};
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
    let (m, n, k) = oracle::GEMM;
    let (a, b, c) = (floats(m * k), floats(k * n), floats(m * n));
    let [of_a, of_b, of_c] = [&a, &b, &c].map(|v| Buffer::from_slice(v));
    let stats = launch((3, 2), (16, 16), 0, options, || unsafe {
        kernel(of_a.slice(), of_b.slice(), of_c.as_mut_ptr(), m, n, k, 2.0, 0.5, bug)
    })?;
    assert_eq!(of_c.to_vec(), oracle::gemm(&a, &b, &c));
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
        // The line of the static, and not that of the kernel's attribute.
        let line = finding.site.as_ref().unwrap().location.line() as usize;
        let code = include_str!("../src/lib.rs").lines().nth(line - 1).unwrap();
        assert!(code.contains("TILE_") && finding.in_macro.is_none(), "{finding}");
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
        assert_eq!(bins.to_vec(), oracle::histogram(&input));
        Ok(stats)
    });
}

#[test]
fn n_body() {
    let n = 70;
    let places = floats(4 * n);
    let step = Step { seconds: oracle::STEP.0, softening: oracle::STEP.1 };
    check(Kind::Race, "data race in kernel `n_body`", |options, bug| {
        let (bodies, moved) = (Buffer::from_slice(&places), Buffer::<f32>::uninitialised(4 * n));
        let stats = launch(3, 32, 0, options, || unsafe {
            let bodies = std::slice::from_raw_parts(bodies.as_mut_ptr() as *const Body, n);
            raw_kernels::n_body(bodies, moved.as_mut_ptr().cast(), step, bug)
        })?;
        oracle::assert_moved(&places, &moved.to_vec());
        Ok(stats)
    });
}

#[test]
fn blur() {
    let (width, height) = oracle::IMAGE;
    let pixels: Vec<u8> = drawn((width * height) as usize).map(|v| v as u8).collect();
    check(Kind::OutOfBounds, "of global memory `image`", |options, bug| {
        let image = Buffer::from_slice(&pixels).named("image");
        let blurred = Buffer::<u8>::uninitialised(pixels.len());
        let stats = launch((3, 3), (16, 8), 0, options, || unsafe {
            raw_kernels::blur(image.as_mut_ptr(), blurred.as_mut_ptr(), width, height, bug)
        })?;
        assert_eq!(blurred.to_vec(), oracle::blurred(&pixels));
        Ok(stats)
    });
}

#[test]
fn wide() {
    let n = 100;
    let (a, b) = oracle::wide_inputs(n);
    check(Kind::Panic, "divide by zero", |options, bug| {
        let [of_a, of_b] = [&a, &b].map(|v| Buffer::from_slice(v));
        let [product, quotient] = [0; 2].map(|_| Buffer::<u128>::uninitialised(n));
        let remainder = Buffer::<i128>::uninitialised(n);
        let stats = launch(4, 32, 0, options, || unsafe {
            let outputs = (product.as_mut_ptr(), quotient.as_mut_ptr(), remainder.as_mut_ptr());
            raw_kernels::wide(of_a.slice(), of_b.slice(), outputs.0, outputs.1, outputs.2, bug)
        })?;
        let [products, quotients, remainders] = oracle::wide(&a, &b);
        assert_eq!((product.to_vec(), quotient.to_vec()), (products, quotients));
        let found = remainder.to_vec().into_iter().map(|value| value as u128);
        assert!(found.eq(remainders));
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

#[test]
fn mirrored() {
    let words: Vec<u32> = (0..64).map(|i| i * i).chain([0]).collect();
    let sums = (0..64).map(|i| words[i] + words[63 - i]);
    for (seed, bug) in (0..40).flat_map(|seed| [(seed, false), (seed, true)]) {
        let (of_words, greatest) = (Buffer::from_slice(&words), Buffer::<u32>::zeroed(1));
        let array = of_words.global();
        let launched = launch(1, 64, 0, &Options::any(seed, 1, 64), || unsafe {
            raw_kernels::mirrored(array, greatest.as_mut_ptr(), bug)
        });
        match launched {
            Ok(_) => assert!(!bug, "no finding by seed {seed}"),
            Err(finding) => {
                assert!(bug, "{finding}");
                assert!(matches!(finding.kind, Kind::Race | Kind::Uninitialised), "{finding}");
                continue;
            }
        }
        assert_eq!(of_words.read(64), sums.clone().sum::<u32>());
        assert_eq!(Some(greatest.read(0)), sums.clone().max());
    }
}

#[test]
fn last_block_adds() {
    let input: Vec<u32> = drawn(7).collect();
    check(Kind::Race, "data race in kernel `last_block_adds`", |options, bug| {
        let of_input = Buffer::from_slice(&input);
        let parts = Buffer::<u32>::uninitialised(7);
        let [arrived, total] = [0; 2].map(|_| Buffer::<u32>::zeroed(1));
        let stats = launch(7, 64, 0, options, || unsafe {
            let [arrived, total] = [arrived.as_mut_ptr(), total.as_mut_ptr()];
            raw_kernels::last_block_adds(of_input.slice(), parts.as_mut_ptr(), arrived, total, bug)
        })?;
        assert_eq!(total.read(0), input.iter().sum::<u32>());
        Ok(stats)
    });
}

#[test]
fn outliers() {
    let input = floats(1000);
    check(Kind::OutOfBounds, "element 1000", |options, bug| {
        let of_input = Buffer::from_slice(&input);
        launch(4, 256, 0, options, || unsafe {
            raw_kernels::outliers(of_input.slice(), oracle::LIMIT, bug)
        })
    });
}

#[test]
fn outliers_are_printed() {
    let own = std::env::current_exe().unwrap();
    let run = std::process::Command::new(own).args(["--exact", "outliers", "--nocapture"]).output();
    let output = String::from_utf8(run.unwrap().stdout).unwrap();
    let mut lines: Vec<&str> = output.lines().filter(|line| line.starts_with("element ")).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines, oracle::outliers(&floats(1000)));
}

#[test]
fn a_failed_assertion_says_both_values() {
    let (a, b) = (Buffer::from_slice(&[1, 2, 3]), Buffer::from_slice(&[1, 2, 4]));
    let finding = launch(1, 32, 0, &Options::in_order(), || unsafe {
        raw_kernels::compare(a.slice(), b.slice())
    });
    let finding = finding.unwrap_err();
    assert_eq!(finding.kind, Kind::Panic);
    assert_eq!(finding.site.map(|site| (site.block, site.thread)), Some((0, 2)));
    let text = finding.to_string();
    assert!(text.contains("left: 3") && text.contains("right: 4"), "{text}");
    assert!(text.contains("element 2"), "{text}");
}

#[test]
fn a_macros_kernel_has_the_lines_of_its_body() {
    let source = include_str!("../src/lib.rs");
    let line_of = |code| source.lines().position(|line| line.contains(code)).unwrap() as u32 + 1;
    let body = [line_of("words.get((t + 1) % n)"), line_of("words.set(t, next)")];
    for seed in 0..10 {
        let words = Buffer::from_slice(&[0u16; 96]);
        let array = words.global();
        let finding = launch(1, 96, 0, &Options::random(seed), || unsafe {
            raw_kernels::neighbours_u16(array, true)
        });
        let finding = finding.unwrap_err();
        assert_eq!(finding.kind, Kind::Race);
        let mut lines = [finding.site, finding.other].map(|site| site.unwrap().location.line());
        lines.sort_unstable();
        assert_eq!(lines, body, "{finding}");
    }
}

/// The results of a kernel `functions` on the oracle's points, and their number.
macro_rules! functions {
    ($kernel:ident, $float:ident) => {
        check(
            Kind::Race,
            concat!("data race in kernel `", stringify!($kernel), "`"),
            |options, bug| {
                let points = oracle::POINTS.map(|x| x as $float);
                let of_points = Buffer::from_slice(&points);
                let results = Buffer::uninitialised(oracle::FUNCTIONS * points.len());
                let stats = launch(2, 32, 0, options, || unsafe {
                    raw_kernels::$kernel(of_points.slice(), results.as_mut_ptr(), bug)
                })?;
                let results: Vec<f64> = results.to_vec().into_iter().map(f64::from).collect();
                oracle::assert_functions(&results, $float::EPSILON as f64);
                Ok(stats)
            },
        )
    };
}

#[test]
fn functions_f32() {
    functions!(functions_f32, f32);
}

#[test]
fn functions_f64() {
    functions!(functions_f64, f64);
}

#[cfg(feature = "half")]
#[test]
fn halves() {
    let (a, b) = oracle::HALVES;
    check(Kind::Panic, "index out of bounds", |options, bug| {
        let [of_a, of_b] = [a, b].map(|bits| Buffer::from_slice(&bits));
        let sums = Buffer::uninitialised(2 * a.len());
        let stats = launch(1, 32, 0, options, || unsafe {
            let half = |of: &Buffer<u16>| {
                std::slice::from_raw_parts(of.as_mut_ptr() as *const cuda_std::f16, of.len())
            };
            raw_kernels::halves(half(&of_a), half(&of_b), sums.as_mut_ptr(), bug)
        })?;
        assert_eq!(sums.to_vec(), oracle::HALVES_ADDED);
        Ok(stats)
    });
}
