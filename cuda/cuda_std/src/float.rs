//! Functions of floating-point numbers, which `core` does not have.

#[cfg(target_os = "cuda")]
use core::arch::asm;
#[cfg(target_os = "cuda")]
use libm::Libm;

/// Declares the trait, whose functions are all of use for their result alone.
macro_rules! pure {
    ($(#[$docs:meta])* $name:ident: $($(#[$doc:meta])* fn $function:ident $arguments:tt -> $result:ty;)*) => {
        $(#[$docs])*
        pub trait $name: Copy + PartialOrd + sealed::Sealed {
            $($(#[$doc])* #[must_use] fn $function $arguments -> $result;)*
        }
    };
}

pure! {
    /// The functions of `std`'s `f32` and `f64`, on the device as well.
    ///
    /// In the emulator and on the host they are `std`'s. On the device `sqrt`, `mul_add` and the
    /// roundings are the hardware's and exact to the last bit. The others are those of the crate
    /// `libm`, each in the precision of its type, for all arguments; they are within a few units in
    /// the last place, as `std`'s are. `powi` multiplies and `log` divides, as in `std`.
    GpuFloat:
    /// The integer below.
    fn floor(self) -> Self;
    /// The integer above.
    fn ceil(self) -> Self;
    /// The nearest integer, halves away from zero.
    fn round(self) -> Self;
    /// The integer towards zero.
    fn trunc(self) -> Self;
    /// The part that `trunc` takes away.
    fn fract(self) -> Self;
    /// The magnitude.
    fn abs(self) -> Self;
    /// 1 or -1 by the sign.
    fn signum(self) -> Self;
    /// The magnitude with another's sign.
    fn copysign(self, sign: Self) -> Self;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The quotient whose remainder is not negative.
    fn div_euclid(self, rhs: Self) -> Self;
    /// The remainder that is not negative.
    fn rem_euclid(self, rhs: Self) -> Self;
    /// A power with an integer.
    fn powi(self, n: i32) -> Self;
    /// A power.
    fn powf(self, n: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// A power of e.
    fn exp(self) -> Self;
    /// A power of 2.
    fn exp2(self) -> Self;
    /// The logarithm to base e.
    fn ln(self) -> Self;
    /// The logarithm to a base.
    fn log(self, base: Self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    fn log10(self) -> Self;
    /// The cubic root.
    fn cbrt(self) -> Self;
    /// The length of a vector of two.
    fn hypot(self, other: Self) -> Self;
    /// The sine.
    fn sin(self) -> Self;
    /// The cosine.
    fn cos(self) -> Self;
    /// The tangent.
    fn tan(self) -> Self;
    /// The angle of a sine.
    fn asin(self) -> Self;
    /// The angle of a cosine.
    fn acos(self) -> Self;
    /// The angle of a tangent.
    fn atan(self) -> Self;
    /// The angle of the vector `(other, self)`.
    fn atan2(self, other: Self) -> Self;
    /// Sine and cosine.
    fn sin_cos(self) -> (Self, Self);
    /// `exp - 1`, exact near 0.
    fn exp_m1(self) -> Self;
    /// `ln(1 + self)`, exact near 0.
    fn ln_1p(self) -> Self;
    /// The hyperbolic sine.
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The inverse of `sinh`.
    fn asinh(self) -> Self;
    /// The inverse of `cosh`.
    fn acosh(self) -> Self;
    /// The inverse of `tanh`.
    fn atanh(self) -> Self;
}

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// The methods of `$float`: on the host `std`'s, on the device libm's by their names there,
/// which a test compares with `std`'s, and what is given.
macro_rules! methods {
    ($float:ident, $tests:ident:
        [$($function:ident = $libm:ident),*]
        $($name:ident($self:ident $(, $argument:ident: $type:ty)*) -> $result:ty = $device:expr;)*
    ) => {
        impl GpuFloat for $float {
            $(
                #[inline(always)]
                fn $name($self $(, $argument: $type)*) -> $result {
                    #[cfg(target_os = "cuda")]
                    {
                        $device
                    }
                    #[cfg(not(target_os = "cuda"))]
                    $float::$name($self $(, $argument)*)
                }
            )*
            $(
                #[inline(always)]
                fn $function(self) -> Self {
                    #[cfg(target_os = "cuda")]
                    {
                        Libm::<$float>::$libm(self)
                    }
                    #[cfg(not(target_os = "cuda"))]
                    $float::$function(self)
                }
            )*
        }

        #[cfg(test)]
        mod $tests {
            #[test]
            fn functions_of_libm_are_those_of_std() {
                for x in (-320..=320).map(|i| i as $float / 64.0) {
                    $(
                        let (found, expected) = (libm::Libm::<$float>::$libm(x), x.$function());
                        let error = (found - expected).abs();
                        let is_close = found == expected || found.is_nan() && expected.is_nan();
                        assert!(
                            is_close || error <= 4.0 * $float::EPSILON * expected.abs(),
                            "{} of {x}: {found:e}, not {expected:e}", stringify!($function)
                        );
                    )*
                }
            }
        }
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
    ($($float:ident, $tests:ident: $class:ident, $type:literal;)*) => { $( methods! { $float, $tests:
        [
            exp = exp, exp2 = exp2, exp_m1 = expm1, ln = log, ln_1p = log1p, log2 = log2,
            log10 = log10, cbrt = cbrt, sin = sin, cos = cos, tan = tan, asin = asin, acos = acos,
            atan = atan, sinh = sinh, cosh = cosh, tanh = tanh, asinh = asinh, acosh = acosh,
            atanh = atanh
        ]
        floor(self) -> Self = instruction!(concat!("cvt.rmi.", $type, ".", $type, " {}, {};"), $class, self);
        ceil(self) -> Self = instruction!(concat!("cvt.rpi.", $type, ".", $type, " {}, {};"), $class, self);
        trunc(self) -> Self = instruction!(concat!("cvt.rzi.", $type, ".", $type, " {}, {};"), $class, self);
        round(self) -> Self = {
            let whole = GpuFloat::trunc(self);
            whole + $float::copysign(if (self - whole).abs() >= 0.5 { 1.0 } else { 0.0 }, self)
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
        powi(self, n: i32) -> Self = {
            let (mut result, mut power, mut left) = (1.0, self, n.unsigned_abs());
            while left > 0 {
                if left & 1 != 0 {
                    result *= power;
                }
                power *= power;
                left >>= 1;
            }
            if n < 0 { 1.0 / result } else { result }
        };
        powf(self, n: Self) -> Self = Libm::<$float>::pow(self, n);
        log(self, base: Self) -> Self = GpuFloat::ln(self) / GpuFloat::ln(base);
        sin_cos(self) -> (Self, Self) = Libm::<$float>::sincos(self);
        hypot(self, other: Self) -> Self = Libm::<$float>::hypot(self, other);
        atan2(self, other: Self) -> Self = Libm::<$float>::atan2(self, other);
    } )* };
}

floats! {
    f32, of_f32: reg32, "f32";
    f64, of_f64: reg64, "f64";
}
