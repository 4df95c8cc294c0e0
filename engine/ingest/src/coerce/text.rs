//! Types that are text, or are read from certain words.

use std::collections::HashSet;

use super::{Outcome, float_text};
use crate::error_vector::ErrorCode;
use crate::json::scanner::{Scanner, Token, compact};

/// VARCHAR takes everything. `scratch` holds what has to be put together.
#[inline]
pub(crate) fn varchar<'t>(token: &Token<'t>, scratch: &'t mut String) -> &'t str {
    match token {
        Token::Text(text) => text,
        Token::Number(number) if number.integral => number.text,
        Token::Bool(true) => "true",
        Token::Bool(false) => "false",
        Token::NonFinite(value) => text_of_non_finite(value.value()),
        Token::Null => "null",
        Token::Number(number) => {
            scratch.clear();
            float_text::push_literal(number, scratch);
            scratch
        }
        Token::Array(container) | Token::Object(container) => {
            scratch.clear();
            compact(container.text, scratch);
            scratch
        }
    }
}

/// JSON: compact text of the value; a string that is itself JSON is taken as that, any other becomes a JSON string.
pub(crate) fn json<'t>(token: &Token<'t>, scratch: &'t mut String) -> Outcome<&'t str> {
    scratch.clear();
    match token {
        Token::Null => return Ok("null"),
        Token::Bool(value) => return Ok(if *value { "true" } else { "false" }),
        Token::Number(number) => return Ok(number.text),
        Token::NonFinite(_) => return Err(ErrorCode::InvalidCast),
        Token::Array(container) | Token::Object(container) if container.non_finite => {
            return Err(ErrorCode::InvalidCast);
        }
        Token::Array(container) | Token::Object(container) => compact(container.text, scratch),
        Token::Text(text) if is_json(text) => compact(text, scratch),
        Token::Text(text) => push_quoted(text, scratch),
    }
    Ok(scratch)
}

/// Whether the text is one JSON value and nothing else.
fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text, false);
    scanner.skip_value(0).is_ok() && scanner.next_byte().is_none()
}

/// Appends a JSON string.
fn push_quoted(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'"' | b'\\' | 0..=0x1F)) {
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// UUID: 32 hex digits, dashes and braces optional, any case -> lower case with dashes.
pub(crate) fn uuid<'t>(token: &Token<'_>, scratch: &'t mut String) -> Outcome<&'t str> {
    let Token::Text(text) = token else {
        return Err(ErrorCode::InvalidCast);
    };
    let text =
        text.strip_prefix('{').map_or(Some(*text), |rest| rest.strip_suffix('}')).ok_or(ErrorCode::InvalidCast)?;
    scratch.clear();
    let mut digits = 0;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next_if(u8::is_ascii_hexdigit) {
        scratch.push(char::from(byte.to_ascii_lowercase()));
        digits += 1;
        if matches!(digits, 8 | 12 | 16 | 20) {
            scratch.push('-');
            bytes.next_if_eq(&b'-');
        }
    }
    if digits == 32 && bytes.next().is_none() { Ok(scratch) } else { Err(ErrorCode::InvalidCast) }
}

/// BIT: a text of 0 and 1.
pub(crate) fn bit<'t>(token: &Token<'t>) -> Outcome<&'t str> {
    match token {
        Token::Text(text) if !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0' | b'1')) => Ok(text),
        _ => Err(ErrorCode::InvalidCast),
    }
}

/// ENUM: one of these texts, exactly.
pub(crate) fn member<'t>(token: &Token<'t>, values: &HashSet<String>) -> Outcome<&'t str> {
    match token {
        Token::Text(text) if values.contains(*text) => Ok(text),
        _ => Err(ErrorCode::InvalidCast),
    }
}

/// BLOB: the text's bytes, `\xHH` decoded.
pub(crate) fn blob(token: &Token<'_>, out: &mut Vec<u8>) -> Outcome<()> {
    let Token::Text(text) = token else {
        return Err(ErrorCode::InvalidCast);
    };
    out.clear();
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let [b'\\', b'x', high, low, after @ ..] = &rest[at..] else {
            return Err(ErrorCode::InvalidCast);
        };
        let (high, low) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16));
        let (Some(high), Some(low)) = (high, low) else {
            return Err(ErrorCode::InvalidCast);
        };
        out.push((high << 4 | low) as u8);
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The words of a BOOLEAN.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is_one_of(["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// `nan`, `inf`, `infinity` with a sign, any case.
pub(crate) fn non_finite(text: &str) -> Option<f64> {
    let (sign, word) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if word.eq_ignore_ascii_case("nan") {
        Some(f64::NAN)
    } else if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity") {
        Some(sign * f64::INFINITY)
    } else {
        None
    }
}

fn text_of_non_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        _ => "nan",
    }
}
