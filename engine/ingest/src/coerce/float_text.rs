//! Floats as text: the shortest that reads back as the same double, laid out as DuckDB does.
//!
//! **Invariants**: a literal that a double does not hold exactly in that text keeps its own digits.

use super::decimal::Decimal;
use crate::json::number::Number;

/// Appends the text under which a number literal with a point or an exponent is stored as VARCHAR.
pub(crate) fn push_literal(number: &Number<'_>, out: &mut String) {
    let start = out.len();
    let value: f64 = fast_float2::parse(number.text).unwrap_or(f64::INFINITY);
    if value.is_finite() {
        push_double(value, out);
        let same = match (Decimal::parse(&out[start..]), Decimal::parse(number.text)) {
            (Some(text), Some(literal)) => text.same_value(&literal),
            _ => false,
        };
        if same {
            return;
        }
        out.truncate(start);
    }
    out.push_str(number.text);
}

/// Appends a finite double: `21.5`, `1.0`, `1e+20`, `1e-05`.
fn push_double(value: f64, out: &mut String) {
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value);
    let (sign, shortest) = match shortest.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", shortest),
    };
    let (plain, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let joined: String = [whole, fraction].concat();
    let digits = joined.trim_start_matches('0');
    let leading_zeros = joined.len() - digits.len();
    let digits = digits.trim_end_matches('0');
    // Power of ten of the first digit.
    let power = whole.len() as i32 - 1 - leading_zeros as i32 + exponent.parse::<i32>().unwrap_or(0);
    out.push_str(sign);
    match power {
        _ if digits.is_empty() => out.push_str("0.0"),
        -4..=15 => push_plain(digits, power, out),
        _ => push_scientific(digits, power, out),
    }
}

fn push_plain(digits: &str, power: i32, out: &mut String) {
    if power < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-power - 1) as usize));
        out.push_str(digits);
        return;
    }
    let whole = power as usize + 1;
    if digits.len() <= whole {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
        out.push_str(".0");
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

fn push_scientific(digits: &str, power: i32, out: &mut String) {
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    out.push_str(if power < 0 { "e-" } else { "e+" });
    let power = power.unsigned_abs();
    if power < 10 {
        out.push('0');
    }
    out.push_str(itoa::Buffer::new().format(power));
}
