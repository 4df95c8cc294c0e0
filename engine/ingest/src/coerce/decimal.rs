//! Decimal numbers as digits, for types that hold digits.
//!
//! **Invariants**: exact at any length; work is linear in the text, whatever its exponent says.

/// A number's text taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decimal<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    exponent: i64,
}

/// Beyond this an exponent's exact value no longer matters: no text is that long.
const EXPONENT_MAX: i64 = 1 << 40;

impl<'t> Decimal<'t> {
    /// `[+-] digits [. digits] [e [+-] digits]` with a digit on at least one side of the point.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, bytes),
        };
        let (whole, rest) = split_digits(bytes);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        let any_digit = !whole.is_empty() || !fraction.is_empty();
        any_digit.then_some(Self { negative, whole, fraction, exponent })
    }

    /// The number times `10^scale`, rounded half away from zero, and whether that was exact; `None` if it does not fit.
    pub(crate) fn scaled(&self, scale: u32) -> Option<(i128, bool)> {
        let kept = self.whole.len() as i64 + self.exponent + i64::from(scale);
        let mut digits = self.whole.iter().chain(self.fraction).map(|digit| digit - b'0');
        let mut value = 0i128;
        for _ in 0..kept.max(0) {
            let Some(digit) = digits.next() else {
                return self.shifted(value, kept);
            };
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        }
        // With `kept < 0` the first digit stands further right than the rounding place: the number is below a half.
        let next = if kept < 0 { 0 } else { digits.next().unwrap_or(0) };
        let exact = next == 0 && digits.all(|digit| digit == 0);
        if next >= 5 {
            value = value.checked_add(1)?;
        }
        Some((if self.negative { -value } else { value }, exact))
    }

    /// All digits are in `value`; zeros follow up to `kept` digits.
    fn shifted(&self, value: i128, kept: i64) -> Option<(i128, bool)> {
        if value == 0 {
            return Some((0, true));
        }
        let zeros = kept - (self.whole.len() + self.fraction.len()) as i64;
        let shifted = value.checked_mul(10i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
        Some((if self.negative { -shifted } else { shifted }, true))
    }

    /// Whether both are the same number.
    pub(crate) fn same_value(&self, other: &Self) -> bool {
        let (mine, my_exponent) = self.significant();
        let (theirs, their_exponent) = other.significant();
        let mine_zero = mine.clone().next().is_none();
        mine.clone().eq(theirs) && (mine_zero || my_exponent == their_exponent && self.negative == other.negative)
    }

    /// The digits without zeros at either end, and the exponent of the first of them.
    fn significant(&self) -> (impl Iterator<Item = u8> + Clone + 't, i64) {
        let all = self.whole.len() + self.fraction.len();
        let digits = self.whole.iter().chain(self.fraction).copied();
        let leading = digits.clone().take_while(|digit| *digit == b'0').count();
        let trailing = digits.clone().rev().take_while(|digit| *digit == b'0').count();
        let significant = all.saturating_sub(leading + trailing);
        (digits.skip(leading).take(significant), self.whole.len() as i64 - leading as i64 + self.exponent)
    }
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn exponent(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0, |value: i64, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(if negative { -size } else { size })
}
