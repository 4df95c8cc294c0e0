//! JSON numbers as written: the literal, and its digits when they fit a word.
//!
//! **Invariants**: a number is never forced through a float; the literal stays at hand for whoever needs its digits.

/// A number literal that follows the JSON grammar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number<'t> {
    /// As written.
    pub text: &'t str,
    /// Digits before and after the point as one integer; meaningless unless `fits`.
    pub mantissa: u64,
    /// Digits after the point.
    pub fraction_digits: u32,
    /// No point, no exponent.
    pub integral: bool,
    /// At most 19 digits and no exponent: `mantissa` and `fraction_digits` say it all.
    pub fits: bool,
}

impl Number<'_> {
    /// Whether it starts with a minus sign.
    #[inline]
    pub(crate) fn negative(&self) -> bool {
        self.text.as_bytes()[0] == b'-'
    }
}

/// A number that JSON cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonFinite {
    NaN,
    Infinity,
    NegativeInfinity,
}

impl NonFinite {
    /// As Python and JavaScript write it.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::NaN => "NaN",
            Self::Infinity => "Infinity",
            Self::NegativeInfinity => "-Infinity",
        }
    }

    pub(crate) fn value(self) -> f64 {
        match self {
            Self::NaN => f64::NAN,
            Self::Infinity => f64::INFINITY,
            Self::NegativeInfinity => f64::NEG_INFINITY,
        }
    }
}

/// Reads the number that starts at `start`; the number and where it ends, or where it goes wrong.
#[inline]
pub(crate) fn number(text: &str, start: usize) -> Result<(Number<'_>, usize), usize> {
    let bytes = text.as_bytes();
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let mut mantissa = 0;
    let digits_start = at;
    at = digits(bytes, at, &mut mantissa);
    let leading_zero = bytes.get(digits_start) == Some(&b'0') && at > digits_start + 1;
    if at == digits_start || leading_zero {
        return Err(at);
    }
    let mut digit_count = at - digits_start;
    let mut fraction_digits = 0;
    let mut integral = true;
    let mut fits = true;
    if bytes.get(at) == Some(&b'.') {
        integral = false;
        let end = digits(bytes, at + 1, &mut mantissa);
        fraction_digits = end - at - 1;
        if fraction_digits == 0 {
            return Err(end);
        }
        digit_count += fraction_digits;
        at = end;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        integral = false;
        fits = false;
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        let end = digits(bytes, at, &mut 0);
        if end == at {
            return Err(end);
        }
        at = end;
    }
    fits &= digit_count <= 19;
    let fraction_digits = fraction_digits.min(u32::MAX as usize) as u32;
    Ok((Number { text: &text[start..at], mantissa, fraction_digits, integral, fits }, at))
}

/// Reads digits into `value` (which wraps); where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, value: &mut u64) -> usize {
    while let Some(byte) = bytes.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}
