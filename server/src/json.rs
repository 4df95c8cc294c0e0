//! Writing JSON by hand: small fixed answers and streamed rows need no tree of values.
//!
//! **Invariants**: what is written is valid JSON in one line, UTF-8 as it is, only what must be escaped is.

use std::fmt;

/// Where JSON text goes: bytes for streams, strings for small answers.
pub trait Sink {
    /// Appends text.
    fn text(&mut self, text: &str);
}

impl Sink for Vec<u8> {
    fn text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

impl Sink for String {
    fn text(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// Appends a JSON string.
pub fn push_string(out: &mut impl Sink, value: &str) {
    out.text("\"");
    let mut plain_from = 0;
    for (at, byte) in value.bytes().enumerate() {
        if ESCAPED[usize::from(byte)] {
            out.text(&value[plain_from..at]);
            push_escape(out, byte);
            plain_from = at + 1;
        }
    }
    out.text(&value[plain_from..]);
    out.text("\"");
}

/// Appends a JSON string or `null`.
pub fn push_optional(out: &mut impl Sink, value: Option<&str>) {
    match value {
        Some(text) => push_string(out, text),
        None => out.text("null"),
    }
}

/// Appends an integer.
pub fn push_integer(out: &mut impl Sink, value: impl itoa::Integer) {
    out.text(itoa::Buffer::new().format(value));
}

/// Appends a JSON array of strings.
pub fn push_strings<T: AsRef<str>>(out: &mut impl Sink, values: &[T]) {
    out.text("[");
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.text(",");
        }
        push_string(out, value.as_ref());
    }
    out.text("]");
}

/// Bytes that cannot stand for themselves: controls, the quote and the backslash. All are ASCII, so cutting there keeps UTF-8 whole.
static ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

fn push_escape(out: &mut impl Sink, byte: u8) {
    match byte {
        b'"' => out.text("\\\""),
        b'\\' => out.text("\\\\"),
        b'\n' => out.text("\\n"),
        b'\r' => out.text("\\r"),
        b'\t' => out.text("\\t"),
        _ => {
            const HEX: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
            out.text("\\u00");
            out.text(HEX[usize::from(byte >> 4)]);
            out.text(HEX[usize::from(byte & 15)]);
        }
    }
}

/// Lets formatted text become part of a JSON string that was opened by hand.
pub struct Escaped<'a, S>(pub &'a mut S);

impl<S: Sink> fmt::Write for Escaped<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, byte) in text.bytes().enumerate() {
            if ESCAPED[usize::from(byte)] {
                self.0.text(&text[plain_from..at]);
                push_escape(self.0, byte);
                plain_from = at + 1;
            }
        }
        self.0.text(&text[plain_from..]);
        Ok(())
    }
}
