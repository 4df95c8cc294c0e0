//! How one value is written into a text: width, alignment, sign, grouping, precision and kind, as `format` and `printf` share them.
//!
//! **Invariants**: what does not fit the value's type is refused, not ignored; a width or precision is bounded.

use crate::QueryError;

/// Largest width and precision.
const LENGTH_MAX: usize = 10_000;

/// A value to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Given<'a> {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
}

impl Given<'_> {
    fn type_name(self) -> &'static str {
        match self {
            Self::Bool(_) | Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "string",
        }
    }
}

/// Where a shorter value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Middle,
}

/// What a placeholder says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    pub(super) fill: char,
    /// `None`: numbers to the right, texts to the left.
    pub(super) align: Option<Align>,
    /// Before numbers that are not negative.
    pub(super) sign: Option<char>,
    /// `0x` and the like before numbers of another base.
    pub(super) alternate: bool,
    /// Zeros between the sign and the digits.
    pub(super) zeros: bool,
    pub(super) width: usize,
    /// Between groups of three digits.
    pub(super) group: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            fill: ' ',
            align: None,
            sign: None,
            alternate: false,
            zeros: false,
            width: 0,
            group: None,
            precision: None,
            kind: None,
        }
    }
}

/// A width or precision in a template.
///
/// # Errors
/// `Invalid Input Error` if it is too large.
pub(super) fn length(digits: &str) -> Result<usize, QueryError> {
    match digits.parse() {
        Ok(length) if length <= LENGTH_MAX => Ok(length),
        _ => Err(QueryError::invalid_input(format_args!("a width or precision is at most {LENGTH_MAX}: {digits}"))),
    }
}

impl Spec {
    /// Appends a value.
    ///
    /// # Errors
    /// `Invalid Input Error` if the kind is none of the value's type.
    pub(super) fn write(&self, value: Given<'_>, out: &mut String) -> Result<(), QueryError> {
        let wrong = |kind: char| {
            QueryError::invalid_input(format_args!(
                "Invalid type specifier \"{kind}\" for formatting a value of type {}",
                value.type_name()
            ))
        };
        let (negative, digits) = match (value, self.kind) {
            (Given::Text(text), None | Some('s')) => {
                let shown: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
                self.pad(&shown, Align::Left, out);
                return Ok(());
            }
            (Given::Bool(value), None | Some('s')) => {
                self.pad(if value { "true" } else { "false" }, Align::Left, out);
                return Ok(());
            }
            (Given::Int(code), Some('c')) => {
                let c = u32::try_from(code).ok().and_then(char::from_u32);
                let c = c.ok_or_else(|| QueryError::invalid_input(format_args!("{code} is no character")))?;
                self.pad(c.encode_utf8(&mut [0; 4]), Align::Left, out);
                return Ok(());
            }
            (Given::Bool(_) | Given::Int(_), _) if self.precision.is_some() => {
                return Err(QueryError::invalid_input("precision not allowed for this argument type"));
            }
            (Given::Bool(value), Some(kind)) => {
                (false, self.whole(u128::from(value), kind).ok_or_else(|| wrong(kind))?)
            }
            (Given::Int(value), kind) => {
                let kind = kind.unwrap_or('d');
                (value < 0, self.whole(value.unsigned_abs(), kind).ok_or_else(|| wrong(kind))?)
            }
            (Given::Float(value), kind) => {
                let digits = self.float(value.abs(), kind).ok_or_else(|| wrong(kind.unwrap_or('g')))?;
                (value.is_sign_negative() && !value.is_nan(), digits)
            }
            (Given::Text(_), Some(kind)) => return Err(wrong(kind)),
        };
        let digits = self.group.map_or_else(|| digits.clone(), |separator| grouped(&digits, separator));
        let sign = if negative { Some('-') } else { self.sign };
        let mut number = String::with_capacity(digits.len() + 1);
        number.extend(sign);
        if self.zeros {
            let missing = self.width.saturating_sub(digits.chars().count() + number.len());
            number.extend(std::iter::repeat_n('0', missing));
        }
        number.push_str(&digits);
        self.pad(&number, Align::Right, out);
        Ok(())
    }

    fn pad(&self, text: &str, default: Align, out: &mut String) {
        let missing = self.width.saturating_sub(text.chars().count());
        let before = match self.align.unwrap_or(default) {
            Align::Left => 0,
            Align::Right => missing,
            Align::Middle => missing / 2,
        };
        out.extend(std::iter::repeat_n(self.fill, before));
        out.push_str(text);
        out.extend(std::iter::repeat_n(self.fill, missing - before));
    }

    /// Digits of a whole number; `None` if the kind is none of whole numbers.
    fn whole(&self, value: u128, kind: char) -> Option<String> {
        let prefixed = |prefix: &str, digits: String| if self.alternate { format!("{prefix}{digits}") } else { digits };
        Some(match kind {
            'd' => value.to_string(),
            'x' => prefixed("0x", format!("{value:x}")),
            'X' => prefixed("0X", format!("{value:X}")),
            'o' => prefixed("0", format!("{value:o}")),
            'b' => prefixed("0b", format!("{value:b}")),
            'B' => prefixed("0B", format!("{value:b}")),
            _ => return None,
        })
    }

    /// Digits of a number that is not negative; `None` if the kind is none of such numbers.
    fn float(&self, value: f64, kind: Option<char>) -> Option<String> {
        let lower = kind.map(|kind| kind.to_ascii_lowercase());
        let is_upper = kind.is_some_and(|kind| kind.is_ascii_uppercase());
        if !matches!(lower, None | Some('f' | 'e' | 'g')) {
            return None;
        }
        let precision = self.precision.unwrap_or(6);
        let digits = if value.is_nan() {
            "nan".to_owned()
        } else if value.is_infinite() {
            "inf".to_owned()
        } else {
            match (lower, self.precision) {
                (Some('f'), _) => format!("{value:.precision$}"),
                (Some('e'), _) => c_exponent(&format!("{value:.precision$e}")),
                (None, None) => c_exponent(&format!("{value:?}")),
                _ => general(value, precision.max(1), self.alternate),
            }
        };
        Some(if is_upper { digits.to_ascii_uppercase() } else { digits })
    }
}

/// As many significant digits as told, with an exponent where that is shorter.
fn general(value: f64, significant: usize, keep_zeros: bool) -> String {
    let scientific = format!("{value:.*e}", significant - 1);
    let exponent: i64 = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let trimmed = |digits: &str| {
        if keep_zeros || !digits.contains('.') {
            return digits.to_owned();
        }
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= significant as i64 {
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return c_exponent(&format!("{}e{exponent}", trimmed(digits)));
    }
    let decimals = usize::try_from(significant as i64 - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

/// `1e20` as `1e+20`: a sign, and at least two digits.
fn c_exponent(digits: &str) -> String {
    match digits.split_once('e') {
        None => digits.to_owned(),
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}

/// Digits with a separator between groups of three before the point.
fn grouped(digits: &str, separator: char) -> String {
    let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(whole);
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text + rest
}
