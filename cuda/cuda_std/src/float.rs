//! Functions of floating-point numbers, which `core` does not have.

#[cfg(target_os = "cuda")]
use crate::math;
#[cfg(target_os = "cuda")]
use core::arch::asm;

/// The functions of `std`'s `f32` and `f64`, on the device as well.
///
/// In the emulator and on the host they are `std`'s. On the device `sqrt`, `mul_add` and the
/// roundings are the hardware's and exact to the last bit. The others are computed in `f64` by
/// this crate's own code, whose relative error is at most 1e-14, and absolute near a zero of the
/// result: `f32` results are rounded from that, `f64` results have it. `sin`, `cos` and `tan` keep
/// it for arguments up to 1e5; `powf`, `powi` and `log` up to results of 1e±30.
pub trait GpuFloat: Copy + PartialOrd + sealed::Sealed {
    /// The integer below.
    #[must_use]
    fn floor(self) -> Self;
    /// The integer above.
    #[must_use]
    fn ceil(self) -> Self;
    /// The nearest integer, halves away from zero.
    #[must_use]
    fn round(self) -> Self;
    /// The integer towards zero.
    #[must_use]
    fn trunc(self) -> Self;
    /// The part that `trunc` takes away.
    #[must_use]
    fn fract(self) -> Self;
    /// The magnitude.
    #[must_use]
    fn abs(self) -> Self;
    /// 1 or -1 by the sign.
    #[must_use]
    fn signum(self) -> Self;
    /// The magnitude with another's sign.
    #[must_use]
    fn copysign(self, sign: Self) -> Self;
    /// `self * a + b`, rounded once.
    #[must_use]
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The quotient whose remainder is not negative.
    #[must_use]
    fn div_euclid(self, rhs: Self) -> Self;
    /// The remainder that is not negative.
    #[must_use]
    fn rem_euclid(self, rhs: Self) -> Self;
    /// A power with an integer.
    #[must_use]
    fn powi(self, n: i32) -> Self;
    /// A power.
    #[must_use]
    fn powf(self, n: Self) -> Self;
    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// A power of e.
    #[must_use]
    fn exp(self) -> Self;
    /// A power of 2.
    #[must_use]
    fn exp2(self) -> Self;
    /// The logarithm to base e.
    #[must_use]
    fn ln(self) -> Self;
    /// The logarithm to a base.
    #[must_use]
    fn log(self, base: Self) -> Self;
    /// The logarithm to base 2.
    #[must_use]
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    #[must_use]
    fn log10(self) -> Self;
    /// The cubic root.
    #[must_use]
    fn cbrt(self) -> Self;
    /// The length of a vector of two.
    #[must_use]
    fn hypot(self, other: Self) -> Self;
    /// The sine.
    #[must_use]
    fn sin(self) -> Self;
    /// The cosine.
    #[must_use]
    fn cos(self) -> Self;
    /// The tangent.
    #[must_use]
    fn tan(self) -> Self;
    /// The angle of a sine.
    #[must_use]
    fn asin(self) -> Self;
    /// The angle of a cosine.
    #[must_use]
    fn acos(self) -> Self;
    /// The angle of a tangent.
    #[must_use]
    fn atan(self) -> Self;
    /// The angle of the vector `(other, self)`.
    #[must_use]
    fn atan2(self, other: Self) -> Self;
    /// Sine and cosine.
    #[must_use]
    fn sin_cos(self) -> (Self, Self);
    /// `exp - 1`, exact near 0.
    #[must_use]
    fn exp_m1(self) -> Self;
    /// `ln(1 + self)`, exact near 0.
    #[must_use]
    fn ln_1p(self) -> Self;
    /// The hyperbolic sine.
    #[must_use]
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    #[must_use]
    fn cosh(self) -> Self;
    /// The hyperbolic tangent.
    #[must_use]
    fn tanh(self) -> Self;
    /// The inverse of `sinh`.
    #[must_use]
    fn asinh(self) -> Self;
    /// The inverse of `cosh`.
    #[must_use]
    fn acosh(self) -> Self;
    /// The inverse of `tanh`.
    #[must_use]
    fn atanh(self) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// The methods of `$float`: on the host `std`'s, on the device what is given.
macro_rules! methods {
    ($float:ident: $($name:ident($self:ident $(, $argument:ident: $type:ty)*) -> $result:ty = $device:expr;)*) => {
        impl GpuFloat for $float { $(
            #[inline(always)]
            fn $name($self $(, $argument: $type)*) -> $result {
                #[cfg(target_os = "cuda")]
                {
                    $device
                }
                #[cfg(not(target_os = "cuda"))]
                $float::$name($self $(, $argument)*)
            }
        )* }
    };
}

/// One instruction on registers of `$class`.
#[cfg(target_os = "cuda")]
macro_rules! instruction {
    ($text:expr, $class:ident, $($operand:expr),*) => {{
        let result;
        // SAFETY: arithmetic.
        unsafe { asm!($text, out($class) result, $(in($class) $operand,)* options(pure, nomem, nostack, preserves_flags)) };
        result
    }};
}

macro_rules! floats {
    ($($float:ident: $class:ident, $type:literal;)*) => { $( methods! { $float:
        floor(self) -> Self = instruction!(concat!("cvt.rmi.", $type, ".", $type, " {}, {};"), $class, self);
        ceil(self) -> Self = instruction!(concat!("cvt.rpi.", $type, ".", $type, " {}, {};"), $class, self);
        trunc(self) -> Self = instruction!(concat!("cvt.rzi.", $type, ".", $type, " {}, {};"), $class, self);
        round(self) -> Self = {
            let whole = GpuFloat::trunc(self);
            whole + if (self - whole).abs() >= 0.5 { $float::copysign(1.0, self) } else { 0.0 }
        };
        fract(self) -> Self = self - GpuFloat::trunc(self);
        abs(self) -> Self = $float::abs(self);
        signum(self) -> Self = $float::signum(self);
        copysign(self, sign: Self) -> Self = $float::copysign(self, sign);
        mul_add(self, a: Self, b: Self) -> Self = instruction!(concat!("fma.rn.", $type, " {}, {}, {}, {};"), $class, self, a, b);
        div_euclid(self, rhs: Self) -> Self = {
            let quotient = GpuFloat::trunc(self / rhs);
            let is_negative = self - quotient * rhs < 0.0;
            quotient - if is_negative { $float::copysign(1.0, rhs) } else { 0.0 }
        };
        rem_euclid(self, rhs: Self) -> Self = self - GpuFloat::div_euclid(self, rhs) * rhs;
        sqrt(self) -> Self = instruction!(concat!("sqrt.rn.", $type, " {}, {};"), $class, self);
        powi(self, n: i32) -> Self = math::powi(self as f64, n) as $float;
        powf(self, n: Self) -> Self = math::powf(self as f64, n as f64) as $float;
        exp(self) -> Self = math::exp(self as f64) as $float;
        exp2(self) -> Self = math::exp2(self as f64) as $float;
        ln(self) -> Self = math::ln(self as f64) as $float;
        log(self, base: Self) -> Self = (math::ln(self as f64) / math::ln(base as f64)) as $float;
        log2(self) -> Self = math::log2(self as f64) as $float;
        log10(self) -> Self = math::log10(self as f64) as $float;
        cbrt(self) -> Self = math::cbrt(self as f64) as $float;
        hypot(self, other: Self) -> Self = math::hypot(self as f64, other as f64) as $float;
        sin(self) -> Self = math::sin_cos(self as f64).0 as $float;
        cos(self) -> Self = math::sin_cos(self as f64).1 as $float;
        sin_cos(self) -> (Self, Self) = {
            let (sin, cos) = math::sin_cos(self as f64);
            (sin as $float, cos as $float)
        };
        tan(self) -> Self = math::tan(self as f64) as $float;
        asin(self) -> Self = math::asin(self as f64) as $float;
        acos(self) -> Self = math::acos(self as f64) as $float;
        atan(self) -> Self = math::atan(self as f64) as $float;
        atan2(self, other: Self) -> Self = math::atan2(self as f64, other as f64) as $float;
        exp_m1(self) -> Self = math::exp_m1(self as f64) as $float;
        ln_1p(self) -> Self = math::ln_1p(self as f64) as $float;
        sinh(self) -> Self = math::sinh(self as f64) as $float;
        cosh(self) -> Self = math::cosh(self as f64) as $float;
        tanh(self) -> Self = math::tanh(self as f64) as $float;
        asinh(self) -> Self = math::asinh(self as f64) as $float;
        acosh(self) -> Self = math::acosh(self as f64) as $float;
        atanh(self) -> Self = math::atanh(self as f64) as $float;
    } )* };
}

floats! {
    f32: reg32, "f32";
    f64: reg64, "f64";
}
