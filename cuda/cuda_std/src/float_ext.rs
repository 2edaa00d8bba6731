//! Functions of floating-point numbers beyond those of `std`.
//!
//! Most are the crate `libm`'s, on the device and off it. It lacks those with pi in their argument,
//! the scaled and the inverse error function and the normal distribution; these are below, each
//! with the source of its method.

use crate::float::{GpuFloat, sealed::Sealed};
use libm::Libm;

/// Functions of `f32` and `f64` that `std` does not have, under Rust-CUDA's names.
///
/// They are the same code on the device and in the emulator, each in the precision of its type.
/// Errors are relative, and in units of `EPSILON`: at most 4 unless a function says otherwise. Near
/// a zero that is not at 0, such as those of the Bessel functions, they are absolute;
/// orders of those up to 3 are measured.
pub trait FloatExt: Sized + Sealed {
    /// The cosine of `self * pi`.
    #[inline]
    fn cospi(self) -> Self {
        self.sincospi().1
    }
    /// The error function: the integral of `2 / sqrt(pi) * exp(-t * t)` from 0 to `self`.
    fn error_function(self) -> Self;
    /// `1 - error_function`, exact where that is near 1.
    fn complementary_error_function(self) -> Self;
    /// The number whose [`complementary_error_function`](Self::complementary_error_function) is
    /// `self`, from 0 to 2; NaN outside. The error is at most 6.
    fn inv_complementary_error_function(self) -> Self;
    /// `exp(self * self) * complementary_error_function`, which does not underflow.
    fn scaled_complementary_error_function(self) -> Self;
    /// The fraction, from 0.5 to 1 without sign, and the exponent of `self = fraction * 2^exponent`.
    /// The exponent of zero, of infinity and NaN is 0.
    fn frexp(self) -> (Self, i32);
    /// The exponent of `self = m * 2^exponent`, with `m` from 1 to 2 without sign: `i32::MIN` of
    /// zero and NaN, `i32::MAX` of infinity.
    fn unbiased_exp(self) -> i32;
    /// The Bessel function of the first kind and order 0.
    fn j0(self) -> Self;
    /// The Bessel function of the first kind and order 1.
    fn j1(self) -> Self;
    /// The Bessel function of the first kind and this order.
    fn jn(self, order: i32) -> Self;
    /// `self * 2^exp`.
    fn ldexp(self, exp: i32) -> Self;
    /// The logarithm of the magnitude of [`gamma`](Self::gamma).
    fn log_gamma(self) -> Self;
    /// `ln(1 + self)`, exact near 0.
    fn log1p(self) -> Self;
    /// The probability that a standard normal variable is at most `self`.
    fn norm_cdf(self) -> Self;
    /// The number whose [`norm_cdf`](Self::norm_cdf) is `self`, from 0 to 1; NaN outside. The error
    /// is at most 6.
    fn inv_norm_cdf(self) -> Self;
    /// `1 / cbrt(self)`.
    fn rcbrt(self) -> Self;
    /// The nearest number from 0 to 1; 0 for NaN.
    fn saturate(self) -> Self;
    /// `self * 2^exp`, as [`ldexp`](Self::ldexp).
    #[inline]
    fn scale_by_n(self, exp: i32) -> Self {
        self.ldexp(exp)
    }
    /// Sine and cosine of `self * pi`.
    fn sincospi(self) -> (Self, Self);
    /// The sine of `self * pi`.
    #[inline]
    fn sinpi(self) -> Self {
        self.sincospi().0
    }
    /// The gamma function. The error is at most 8.
    fn gamma(self) -> Self;
    /// The Bessel function of the second kind and order 0.
    fn y0(self) -> Self;
    /// The Bessel function of the second kind and order 1.
    fn y1(self) -> Self;
    /// The Bessel function of the second kind and this order.
    fn yn(self, order: i32) -> Self;
}

/// The coefficients of a numerator and a denominator, lowest power first.
type Quotient = [[f64; 8]; 2];

/// The inverse of the normal distribution: M. J. Wichura, "Algorithm AS 241: the percentage points
/// of the normal distribution", Applied Statistics 37 (1988), PPND16. One quotient is for the
/// middle, one for tails above `exp(-25)`, one for those below.
const PERCENTAGE_POINTS: [Quotient; 3] = [
    [
        [
            3.387_132_872_796_366_6,
            133.141_667_891_784_38,
            1_971.590_950_306_551_3,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ],
        [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_854,
        ],
    ],
    [
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            0.000_774_545_014_278_341_4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            0.000_547_593_808_499_534_5,
            1.050_750_071_644_416_9e-9,
        ],
    ],
    [
        [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ],
        [
            1.0,
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            0.000_786_869_131_145_613_3,
            1.846_318_317_510_054_8e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_7e-15,
        ],
    ],
];

/// Those that are libm's, by their names there.
macro_rules! of_libm {
    ($float:ident: $($function:ident = $libm:ident),*) => { $(
        #[inline]
        fn $function(self) -> Self {
            Libm::<$float>::$libm(self)
        }
    )* };
}

/// The functions of `$float`. Above `$far`, `erfc` underflows soon, and eight terms of its series
/// are exact. `$root_rest` is what `FRAC_1_SQRT_2` lacks.
macro_rules! functions {
    ($($float:ident, $far:literal, $root_rest:literal;)*) => { $( impl FloatExt for $float {
        of_libm! { $float:
            error_function = erf, complementary_error_function = erfc, log1p = log1p,
            log_gamma = lgamma, gamma = tgamma, j0 = j0, j1 = j1, y0 = y0, y1 = y1
        }
        #[inline]
        fn inv_complementary_error_function(self) -> Self {
            use core::$float::consts::{FRAC_1_SQRT_2, LN_2};
            let quotient = |[above, below]: &Quotient, x: $float| {
                let sum = |of: &[f64; 8]| of.iter().rev().fold(0.0, |sum, &c| sum * x + c as $float);
                sum(above) / sum(below)
            };
            // `self` is twice a probability, of which this is the distance from the middle.
            let middle = 0.5 - 0.5 * self;
            let point = if GpuFloat::abs(middle) <= 0.425 {
                middle * quotient(&PERCENTAGE_POINTS[0], 0.180625 - middle * middle)
            } else {
                let tail = if middle > 0.0 { self } else { 2.0 - self };
                if tail == 0.0 {
                    return $float::copysign($float::INFINITY, middle);
                }
                let root = GpuFloat::sqrt(LN_2 - Libm::<$float>::log(tail));
                let point = if root <= 5.0 {
                    quotient(&PERCENTAGE_POINTS[1], root - 1.6)
                } else {
                    quotient(&PERCENTAGE_POINTS[2], root - 5.0)
                };
                $float::copysign(point, middle)
            };
            point * FRAC_1_SQRT_2
        }
        #[inline]
        fn scaled_complementary_error_function(self) -> Self {
            use core::f64::consts::FRAC_2_SQRT_PI;
            if self > $far {
                // Abramowitz and Stegun, "Handbook of mathematical functions", 7.1.23.
                let step = -0.5 / (self * self);
                let series = (1..8).rev().fold(1.0, |sum, n| 1.0 + (2 * n - 1) as $float * step * sum);
                return 0.5 * FRAC_2_SQRT_PI as $float * (series / self);
            }
            // The square's rounding error would be that of its exponential many times over.
            let square = self * self;
            let error = GpuFloat::mul_add(self, self, -square);
            let exp = Libm::<$float>::exp(square);
            if exp == $float::INFINITY {
                return exp;
            }
            GpuFloat::mul_add(exp, error, exp) * self.complementary_error_function()
        }
        #[inline]
        fn frexp(self) -> (Self, i32) {
            // libm's calls itself, and a device's assembler cannot bound its stack.
            if self == 0.0 || !self.is_finite() {
                return (self, 0);
            }
            let exponent = self.unbiased_exp() + 1;
            (self.ldexp(-exponent), exponent)
        }
        #[inline]
        fn unbiased_exp(self) -> i32 {
            Libm::<$float>::ilogb(self)
        }
        #[inline]
        fn jn(self, order: i32) -> Self {
            Libm::<$float>::jn(order, self)
        }
        #[inline]
        fn ldexp(self, exp: i32) -> Self {
            Libm::<$float>::ldexp(self, exp)
        }
        #[inline]
        fn norm_cdf(self) -> Self {
            // Abramowitz and Stegun, 26.2.29: `erfc(-self / sqrt(2)) / 2`. Far out, the part that
            // rounding takes off that argument counts: erfc's derivative there is `-2 t erfc(t)`,
            // by 7.1.19 and 7.1.23.
            let root = core::$float::consts::FRAC_1_SQRT_2;
            let t = -self * root;
            let twice = t.complementary_error_function();
            if t > 1.0 && twice > 0.0 {
                let off = GpuFloat::mul_add(-self, root, -t) - self * $root_rest;
                return 0.5 * GpuFloat::mul_add(twice, -2.0 * t * off, twice);
            }
            0.5 * twice
        }
        #[inline]
        fn inv_norm_cdf(self) -> Self {
            -core::$float::consts::SQRT_2 * (2.0 * self).inv_complementary_error_function()
        }
        #[inline]
        fn rcbrt(self) -> Self {
            1.0 / Libm::<$float>::cbrt(self)
        }
        #[inline]
        fn saturate(self) -> Self {
            // False for NaN.
            if self > 0.0 { self.min(1.0) } else { 0.0 }
        }
        #[inline]
        fn sincospi(self) -> (Self, Self) {
            // The period is 2, which is taken off exactly, as are quarters of it: J.-M. Muller,
            // "Elementary functions: algorithms and implementation", on range reduction. Up to
            // pi / 4, the rests of Taylor's series are below the last bit.
            let x = self - 2.0 * GpuFloat::trunc(0.5 * self);
            let quarter = GpuFloat::round(2.0 * x);
            let angle = (x - 0.5 * quarter) * core::$float::consts::PI;
            let square = angle * angle;
            let (mut sin, mut cos) = (1.0, 1.0);
            for n in (1..9).rev() {
                sin = 1.0 - square * (1.0 / (2 * n * (2 * n + 1)) as $float) * sin;
                cos = 1.0 - square * (1.0 / (2 * n * (2 * n - 1)) as $float) * cos;
            }
            sin *= angle;
            let (sin, cos) = match quarter as i32 & 3 {
                0 => (sin, cos),
                1 => (cos, -sin),
                2 => (-sin, -cos),
                _ => (-cos, sin),
            };
            // As IEEE 754 has it, the sine's zeros have the sign of `self`, and the cosine's none.
            (if sin == 0.0 { $float::copysign(sin, self) } else { sin }, cos + 0.0)
        }
        #[inline]
        fn yn(self, order: i32) -> Self {
            Libm::<$float>::yn(order, self)
        }
    } )* };
}

functions! {
    f32, 9.0, 1.210_161_7e-8;
    f64, 26.0, -4.833_646_656_726_457e-17;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, arguments and values.
    fn known() -> impl Iterator<Item = (&'static str, f64, f64)> {
        let lines = include_str!("../tests/known.txt").lines();
        lines.filter(|line| !line.starts_with('#')).map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[0], words[1].parse().unwrap(), words[2].parse().unwrap())
        })
    }

    /// Fails unless `found` is within `bound` units of `epsilon`, relative, or absolute below 1 where
    /// `has_zeros`.
    #[track_caller]
    fn close(what: &str, x: f64, found: f64, value: f64, bound: f64, has_zeros: bool) {
        let size = if has_zeros { value.abs().max(1.0) } else { value.abs() };
        let is_close = found == value || (found - value).abs() <= bound * size;
        assert!(is_close, "{what} of {x:e}: {found:e}, not {value:e}");
    }

    /// The function of a name.
    macro_rules! named {
        ($name:ident: $($function:ident)*) => {
            match $name {
                "jn(2)" => |x| x.jn(2),
                "yn(2)" => |x| x.yn(2),
                $(stringify!($function) => FloatExt::$function,)*
                other => panic!("no function is called {other}"),
            }
        };
    }

    macro_rules! tests {
        ($($name:ident: $float:ident;)*) => { $( mod $name {
            use super::*;
            use core::$float::consts::SQRT_2;
            const EPSILON: f64 = $float::EPSILON as f64;

            fn function(name: &str) -> fn($float) -> $float {
                named! { name:
                    cospi sinpi error_function complementary_error_function
                    inv_complementary_error_function
                    scaled_complementary_error_function j0 j1 log_gamma log1p
                    norm_cdf inv_norm_cdf rcbrt gamma y0 y1
                }
            }

            #[test]
            fn functions_have_known_values_within_the_stated_error() {
                let mut compared = 0;
                for (name, x, value) in known() {
                    let (argument, nearest) = (x as $float, value as $float);
                    // The table is of `f64`: some is beyond the normal numbers of `f32`.
                    if argument as f64 == x && (nearest == 0.0 || nearest.is_normal()) {
                        let bound = match name {
                            "gamma" => 8.0,
                            _ if name.starts_with("inv_") => 6.0,
                            _ => 4.0,
                        };
                        let has_zeros = name == "log_gamma" || "jy".contains(&name[..1]);
                        let found = function(name)(argument) as f64;
                        close(name, x, found, nearest as f64, bound * EPSILON, has_zeros);
                        compared += 1;
                    }
                }
                assert!(compared >= 190, "{compared}");
            }

            #[test]
            fn inverses_undo_what_they_invert() {
                for i in -3000..=3000 {
                    let x = i as $float / 1000.0;
                    let value = x.complementary_error_function();
                    // An error of the value is this many of the argument.
                    let slope = (x * x).exp() * value;
                    let bound = (4.0 * slope as f64 + 6.0 * x.abs() as f64) * EPSILON;
                    let found = value.inv_complementary_error_function();
                    close("erfcinv", x as f64, found as f64, x as f64, bound / x.abs() as f64, false);

                    let y = x * SQRT_2;
                    let found = y.norm_cdf().inv_norm_cdf();
                    let slope = (x * x).exp() * (-x).complementary_error_function();
                    let bound = (8.0 * slope as f64 + 8.0 * y.abs() as f64) * EPSILON;
                    close("normcdfinv", y as f64, found as f64, y as f64, bound / y.abs() as f64, false);
                }
            }

            #[test]
            fn multiples_of_pi_are_exact() {
                for i in -1000..1000 {
                    let x = i as $float / 64.0;
                    let (sin, cos) = x.sincospi();
                    assert_eq!((sin, cos), (x.sinpi(), x.cospi()), "{x}");
                    assert_eq!((sin, cos), (x + x.signum() * 4096.0).sincospi(), "{x}");
                    assert_eq!((-sin, cos), (-x).sincospi(), "{x}");
                    close("sin² + cos²", x as f64, (sin * sin + cos * cos) as f64, 1.0, 4.0 * EPSILON, false);
                    assert_eq!(sin == 0.0, i % 64 == 0, "{x}");
                    assert_eq!(cos == 0.0, i % 64 != 0 && i % 32 == 0, "{x}");
                }
                assert!($float::INFINITY.sinpi().is_nan() && $float::NAN.cospi().is_nan());
                assert_eq!((-0.0 as $float).sinpi().to_bits(), (-0.0 as $float).to_bits());
                assert_eq!($float::MAX.sincospi(), (0.0, 1.0));
            }

            #[test]
            fn fractions_and_exponents_make_the_number() {
                let smallest = $float::from_bits(1);
                for x in [1.0, -0.75, 3.0, 1e30, $float::MAX, $float::MIN_POSITIVE, smallest, -7.0 * smallest] {
                    let (fraction, exponent) = x.frexp();
                    assert!((0.5..1.0).contains(&fraction.abs()), "{x:e}: {fraction}");
                    assert_eq!(fraction.ldexp(exponent), x);
                    assert_eq!(fraction.scale_by_n(exponent), x);
                    assert_eq!(x.unbiased_exp(), exponent - 1);
                }
                for x in [0.0, -0.0, $float::INFINITY] {
                    assert_eq!(x.frexp(), (x, 0));
                }
                assert_eq!((0.0 as $float).unbiased_exp(), i32::MIN);
                assert_eq!($float::NAN.unbiased_exp(), i32::MIN);
                assert_eq!($float::INFINITY.unbiased_exp(), i32::MAX);
            }

            #[test]
            fn ends_of_the_range_are_defined() {
                let (inf, nan) = ($float::INFINITY, $float::NAN);
                let ends: [(&str, $float, $float); 22] = [
                    ("complementary_error_function", inf, 0.0),
                    ("complementary_error_function", -inf, 2.0),
                    ("inv_complementary_error_function", 0.0, inf),
                    ("inv_complementary_error_function", 2.0, -inf),
                    ("inv_complementary_error_function", 2.5, nan),
                    ("inv_complementary_error_function", -0.5, nan),
                    ("inv_complementary_error_function", nan, nan),
                    ("scaled_complementary_error_function", inf, 0.0),
                    ("scaled_complementary_error_function", -27.0, inf),
                    ("scaled_complementary_error_function", -inf, inf),
                    ("scaled_complementary_error_function", nan, nan),
                    ("norm_cdf", inf, 1.0),
                    ("norm_cdf", -inf, 0.0),
                    ("norm_cdf", nan, nan),
                    ("inv_norm_cdf", 0.0, -inf),
                    ("inv_norm_cdf", 1.0, inf),
                    ("inv_norm_cdf", 1.5, nan),
                    ("inv_norm_cdf", -0.5, nan),
                    ("rcbrt", 0.0, inf),
                    ("rcbrt", -inf, -0.0),
                    ("y0", 0.0, -inf),
                    ("y1", -1.0, nan),
                ];
                for (name, x, end) in ends {
                    let found = function(name)(x);
                    let is_end = found == end || found.is_nan() && end.is_nan();
                    assert!(is_end, "{name} of {x}: {found}, not {end}");
                }
                let saturated = [-inf, -0.5, 0.25, 7.0, inf, nan].map($float::saturate);
                assert_eq!(saturated, [0.0, 0.0, 0.25, 1.0, 1.0, 0.0]);
            }
        } )* };
    }

    tests! { of_f32: f32; of_f64: f64; }
}
