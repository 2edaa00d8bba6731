//! Functions of `f64` for the device, where there is no library of them.
//!
//! Each reduces its argument to a short interval and sums a series there, whose rest is below the
//! last bit. The tests compare them with the host's own, over the ranges that
//! [`GpuFloat`](crate::float::GpuFloat) states.

use core::f64::consts::{FRAC_PI_2, LN_2, LN_10, LOG2_E};

#[cfg(not(target_os = "cuda"))]
fn round(x: f64) -> f64 {
    x.round()
}
#[cfg(not(target_os = "cuda"))]
fn sqrt(x: f64) -> f64 {
    x.sqrt()
}
#[cfg(not(target_os = "cuda"))]
fn fma(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}
#[cfg(target_os = "cuda")]
use crate::float::GpuFloat;
#[cfg(target_os = "cuda")]
fn round(x: f64) -> f64 {
    GpuFloat::round(x)
}
#[cfg(target_os = "cuda")]
fn sqrt(x: f64) -> f64 {
    GpuFloat::sqrt(x)
}
#[cfg(target_os = "cuda")]
fn fma(a: f64, b: f64, c: f64) -> f64 {
    GpuFloat::mul_add(a, b, c)
}

/// `ln 2` in two parts, of which the first has zeros at its end.
const LN_2_PARTS: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
/// Half of pi in three parts.
const FRAC_PI_2_PARTS: [f64; 3] =
    [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_795_950_6e-21];

/// `x * 2^k`, for results beyond the normal numbers too.
fn scaled(x: f64, k: i32) -> f64 {
    let power = |k: i32| f64::from_bits(((1023 + k) as u64) << 52);
    let half = k / 2;
    x * power(half) * power(k - half)
}

/// The series of `exp(r) - 1` for `|r|` up to `ln(2) / 2`.
fn exp_m1_series(r: f64) -> f64 {
    let mut sum = 0.0;
    for n in (1..=14).rev() {
        sum = (sum + 1.0) * r / n as f64;
    }
    sum
}

/// `k` and `r` of `x = k ln 2 + r`.
fn by_ln_2(x: f64) -> (i32, f64) {
    let k = round(x * LOG2_E);
    (k as i32, fma(-k, LN_2_PARTS[1], fma(-k, LN_2_PARTS[0], x)))
}

pub(crate) fn exp(x: f64) -> f64 {
    if x > 709.8 {
        return f64::INFINITY;
    }
    if x < -745.2 {
        return 0.0;
    }
    let (k, r) = by_ln_2(x);
    scaled(1.0 + exp_m1_series(r), k)
}

pub(crate) fn exp_m1(x: f64) -> f64 {
    if x.abs() < 0.3 { exp_m1_series(x) } else { exp(x) - 1.0 }
}

pub(crate) fn exp2(x: f64) -> f64 {
    if x > 1024.0 {
        return f64::INFINITY;
    }
    if x < -1076.0 {
        return 0.0;
    }
    let k = round(x);
    scaled(1.0 + exp_m1_series((x - k) * LN_2), k as i32)
}

/// `ln((1 + s) / (1 - s))`, for `|s|` up to 0.172.
fn ln_series(s: f64) -> f64 {
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..13).rev() {
        sum = sum * square + 1.0 / (2 * n + 1) as f64;
    }
    2.0 * s * sum
}

/// The exponent of a positive number, and its mantissa between the roots of 1/2 and 2.
fn by_two(x: f64) -> (f64, f64) {
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    let (x, subnormal) = if x < f64::MIN_POSITIVE { (x * 18014398509481984.0, 54) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = (bits.wrapping_sub(ROOT) as i64 >> 52) as i32;
    let mantissa = f64::from_bits(bits.wrapping_sub((exponent as u64) << 52));
    ((exponent - subnormal) as f64, mantissa)
}

/// Calls `log` with a number's exponent and the logarithm of its mantissa, where it has one.
fn logarithm(x: f64, log: impl FnOnce(f64, f64) -> f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let (exponent, mantissa) = by_two(x);
    log(exponent, ln_series((mantissa - 1.0) / (mantissa + 1.0)))
}

pub(crate) fn ln(x: f64) -> f64 {
    logarithm(x, |k, ln| fma(k, LN_2_PARTS[0], fma(k, LN_2_PARTS[1], ln)))
}

pub(crate) fn log2(x: f64) -> f64 {
    logarithm(x, |k, ln| fma(ln, LOG2_E, k))
}

pub(crate) fn log10(x: f64) -> f64 {
    ln(x) / LN_10
}

pub(crate) fn ln_1p(x: f64) -> f64 {
    if x.abs() < 0.3 { ln_series(x / (2.0 + x)) } else { ln(1.0 + x) }
}

pub(crate) fn powi(x: f64, n: i32) -> f64 {
    let (mut result, mut power, mut left) = (1.0, x, n.unsigned_abs());
    while left > 0 {
        if left & 1 != 0 {
            result *= power;
        }
        power *= power;
        left >>= 1;
    }
    if n < 0 { 1.0 / result } else { result }
}

pub(crate) fn powf(x: f64, n: f64) -> f64 {
    if n == 0.0 || x == 1.0 {
        return 1.0;
    }
    let whole = round(n);
    if whole == n && n.abs() < 1024.0 {
        return powi(x, n as i32);
    }
    if x >= 0.0 {
        return exp(n * ln(x));
    }
    if whole != n {
        return f64::NAN;
    }
    // Every number of this size is even.
    let is_odd = n.abs() < 9007199254740992.0 && whole as i64 & 1 != 0;
    let power = exp(n * ln(-x));
    if is_odd { -power } else { power }
}

pub(crate) fn cbrt(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let guess = exp(ln(x.abs()) / 3.0);
    // One step of Newton's makes up for the logarithm's error.
    let root = guess - (guess - x.abs() / (guess * guess)) / 3.0;
    root.copysign(x)
}

pub(crate) fn hypot(x: f64, y: f64) -> f64 {
    let (x, y) = (x.abs(), y.abs());
    let (long, short) = if x > y { (x, y) } else { (y, x) };
    if long == 0.0 || long == f64::INFINITY {
        return long;
    }
    let ratio = short / long;
    long * sqrt(fma(ratio, ratio, 1.0))
}

pub(crate) fn sin_cos(x: f64) -> (f64, f64) {
    let k = round(x / FRAC_PI_2);
    let parts = FRAC_PI_2_PARTS;
    let r = fma(-k, parts[2], fma(-k, parts[1], fma(-k, parts[0], x)));
    let square = r * r;
    let (mut sin, mut cos) = (0.0, 0.0);
    for n in (0..10).rev() {
        let next = ((2 * n + 2) * (2 * n + 3)) as f64;
        sin = 1.0 - square / next * sin;
        cos = 1.0 - square / ((2 * n + 1) * (2 * n + 2)) as f64 * cos;
    }
    let (sin, cos) = (r * sin, cos);
    match k as i64 & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

pub(crate) fn tan(x: f64) -> f64 {
    let (sin, cos) = sin_cos(x);
    sin / cos
}

pub(crate) fn atan(x: f64) -> f64 {
    const ATAN_HALF: f64 = 0.463_647_609_000_806_1;
    let size = x.abs();
    let inverted = size > 1.0;
    let z = if inverted { 1.0 / size } else { size };
    // The angle of a point nearby, and the tangent of the rest.
    let (near, rest) = if z < 0.25 {
        (0.0, z)
    } else if z < 0.75 {
        (ATAN_HALF, (z - 0.5) / (1.0 + 0.5 * z))
    } else {
        (FRAC_PI_2 / 2.0, (z - 1.0) / (1.0 + z))
    };
    let square = rest * rest;
    let mut sum = 0.0;
    for n in (0..14).rev() {
        sum = 1.0 / (2 * n + 1) as f64 - square * sum;
    }
    let angle = near + rest * sum;
    let angle = if inverted { FRAC_PI_2 - angle } else { angle };
    angle.copysign(x)
}

pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    if x == 0.0 && y == 0.0 {
        let angle = if x.is_sign_negative() { 2.0 * FRAC_PI_2 } else { 0.0 };
        return angle.copysign(y);
    }
    let both_infinite = x.is_infinite() && y.is_infinite();
    let slope = if both_infinite { 1.0 } else { (y / x).abs() };
    let angle = atan(slope);
    let angle = if x.is_sign_negative() { 2.0 * FRAC_PI_2 - angle } else { angle };
    angle.copysign(y)
}

pub(crate) fn asin(x: f64) -> f64 {
    atan2(x, sqrt((1.0 - x) * (1.0 + x)))
}

pub(crate) fn acos(x: f64) -> f64 {
    atan2(sqrt((1.0 - x) * (1.0 + x)), x)
}

pub(crate) fn sinh(x: f64) -> f64 {
    let less = exp_m1(x.abs());
    let sinh = if x.abs() < 20.0 {
        0.5 * (less + less / (less + 1.0))
    } else {
        0.5 * exp(x.abs() - 1.0) * core::f64::consts::E
    };
    sinh.copysign(x)
}

pub(crate) fn cosh(x: f64) -> f64 {
    let half = 0.5 * exp(x.abs() - 1.0) * core::f64::consts::E;
    half + 0.25 / half
}

pub(crate) fn tanh(x: f64) -> f64 {
    if x.abs() > 20.0 {
        return 1.0f64.copysign(x);
    }
    let less = exp_m1(2.0 * x.abs());
    (less / (less + 2.0)).copysign(x)
}

pub(crate) fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let angle = if size > 1e150 {
        ln(size) + LN_2
    } else {
        ln_1p(size + size * size / (1.0 + sqrt(size * size + 1.0)))
    };
    angle.copysign(x)
}

pub(crate) fn acosh(x: f64) -> f64 {
    let above = x - 1.0;
    if x > 1e150 { ln(x) + LN_2 } else { ln_1p(above + sqrt(above * (x + 1.0))) }
}

pub(crate) fn atanh(x: f64) -> f64 {
    0.5 * ln_1p(2.0 * x / (1.0 - x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares `own` with `host` for 20,001 arguments of a range.
    #[track_caller]
    fn compare(range: std::ops::Range<f64>, own: fn(f64) -> f64, host: fn(f64) -> f64) {
        for i in 0..=20_000 {
            let x = range.start + (range.end - range.start) * i as f64 / 20_000.0;
            close(x, own(x), host(x));
        }
    }

    #[track_caller]
    fn close(x: f64, found: f64, expected: f64) {
        let is_same = found == expected || found.is_nan() && expected.is_nan();
        let error = (found - expected).abs();
        assert!(
            is_same || error <= 1e-14 * expected.abs().max(1e-2),
            "{x}: {found}, not {expected}"
        );
    }

    #[test]
    fn functions_are_the_hosts_within_the_stated_error() {
        compare(-40.0..40.0, exp, f64::exp);
        compare(-1.0..1.0, exp_m1, f64::exp_m1);
        compare(-100.0..100.0, exp2, f64::exp2);
        compare(1e-3..1e4, ln, f64::ln);
        compare(1e-3..1e4, log2, f64::log2);
        compare(1e-3..1e4, log10, f64::log10);
        compare(-0.9..10.0, ln_1p, f64::ln_1p);
        compare(-1e3..1e3, cbrt, f64::cbrt);
        compare(-1e5..1e5, |x| sin_cos(x).0, f64::sin);
        compare(-1e5..1e5, |x| sin_cos(x).1, f64::cos);
        compare(-1.5..1.5, tan, f64::tan);
        compare(-1.0..1.0, asin, f64::asin);
        compare(-1.0..1.0, acos, f64::acos);
        compare(-50.0..50.0, atan, f64::atan);
        compare(-30.0..30.0, sinh, f64::sinh);
        compare(-30.0..30.0, cosh, f64::cosh);
        compare(-30.0..30.0, tanh, f64::tanh);
        compare(-1e3..1e3, asinh, f64::asinh);
        compare(1.0..1e3, acosh, f64::acosh);
        compare(-0.99..0.99, atanh, f64::atanh);
        for x in [0.1, 0.7, 1.0, 2.5, 30.0, -2.0] {
            for y in [-20.0, -1.5, -1.0, 0.0, 0.3, 2.0, 19.0] {
                close(y, powf(x, y), x.powf(y));
                close(y, hypot(x, y), x.hypot(y));
                close(y, atan2(y, x), y.atan2(x));
                close(y, powi(x, y as i32), x.powi(y as i32));
            }
        }
    }

    #[test]
    fn ends_of_the_range_are_the_hosts() {
        let ends = [0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, 1e308];
        type Function = fn(f64) -> f64;
        let functions: [(Function, Function); 8] = [
            (exp, f64::exp),
            (exp2, f64::exp2),
            (ln, f64::ln),
            (log2, f64::log2),
            (cbrt, f64::cbrt),
            (atan, f64::atan),
            (tanh, f64::tanh),
            (exp_m1, f64::exp_m1),
        ];
        for (own, host) in functions {
            ends.iter().for_each(|&x| close(x, own(x), host(x)));
        }
    }
}
