//! Exponentials and logarithms that are quick and the same on every machine.
//!
//! The system's `expf` and `logf` differ between platforms in their last bits, and a model that
//! can be reproduced bit for bit needs features that can. Both functions here are a polynomial on
//! the mantissa (minimax fits), good to about 10⁻⁴ relative: far below what a feature means.

/// 2 to the power `x`, for `x` ≤ 0; 0 below −126.
#[inline]
#[must_use]
pub(crate) fn exp2_neg(x: f32) -> f32 {
    let x = x.clamp(-126.0, 0.0);
    // Rounded towards zero and one below: `floor` is a call where the CPU is an old one.
    #[allow(clippy::cast_possible_truncation)]
    let below = x as i32 - 1;
    #[allow(clippy::cast_precision_loss)]
    let part = x - below as f32;
    let mantissa = 1.0 + part * (0.695_976 + part * (0.224_940_4 + part * 0.079_083_6));
    #[allow(clippy::cast_sign_loss)]
    let exponent = f32::from_bits(((below + 127) as u32) << 23);
    if x <= -126.0 { 0.0 } else { mantissa * exponent }
}

/// The share of a decaying count that is left after `seconds`, with time constant `tau` seconds:
/// e^(−seconds/τ).
#[inline]
#[must_use]
pub(crate) fn decay(seconds: f32, tau: f32) -> f32 {
    exp2_neg(seconds * (-std::f32::consts::LOG2_E / tau))
}

/// The binary logarithm of `x`; of anything below the smallest normal number, −126.
#[inline]
#[must_use]
pub(crate) fn log2(x: f32) -> f32 {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)]
    let exponent = ((bits >> 23) as i32 - 127) as f32;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    // log2(1 + m) on [0, 1), exact at both ends so that the function is continuous.
    let poly = m
        * (1.441_814
            + m * (-0.708_440_8 + m * (0.413_978_7 + m * (-0.192_429_5 + m * 0.045_077_7))));
    exponent + poly
}

/// ln(1 + x) for `x` ≥ 0.
#[inline]
#[must_use]
pub(crate) fn ln_1p(x: f32) -> f32 {
    log2(1.0 + x.max(0.0)) * std::f32::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn close_to_the_library(x in 0.0f32..100.0, y in 1.0f32..2.0, power in -20..30i32) {
            let y = y * 2f32.powi(power);
            prop_assert!((exp2_neg(-x) - (-x).exp2()).abs() <= 3e-4 * (-x).exp2());
            prop_assert!((log2(y) - y.log2()).abs() <= 4e-4, "{y}: {} {}", log2(y), y.log2());
        }

        #[test]
        fn monotone_and_finite(x in any::<f32>(), y in any::<f32>()) {
            prop_assert!(exp2_neg(x).is_finite() || x.is_nan());
            prop_assert!(log2(x).is_finite() || x.is_nan() || x.is_infinite());
            if x < y { prop_assert!(exp2_neg(x) <= exp2_neg(y) + 1e-6); }
        }
    }

    #[test]
    fn ends() {
        assert_eq!(exp2_neg(0.0), 1.0);
        assert_eq!(exp2_neg(-1000.0), 0.0);
        assert!((log2(1.0)).abs() < 1e-6);
        assert!((log2(8.0) - 3.0).abs() < 1e-4);
        assert!((decay(60.0, 60.0) - (-1.0f32).exp()).abs() < 1e-4);
    }
}
