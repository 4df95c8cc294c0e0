//! A cursor over JSON text: one token at a time, nothing built but unescaped strings.
//!
//! **Invariants**
//! 1. The text is valid UTF-8; every slice handed out starts and ends at an ASCII byte of the grammar.
//! 2. No recursion: nesting lives in one 128-bit word, so depth costs no stack.
//! 3. What is skipped is checked as strictly as what is read: a text that was scanned once scans again without an error.
//!
//! It does not know rows, columns or types.

use super::number::{NonFinite, Number, number};
use crate::BODY_DEPTH_MAX;

/// Why scanning cannot go on. Both refuse the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not JSON.
    Syntax { at: usize, reason: &'static str },
    /// Deeper than [`BODY_DEPTH_MAX`].
    Depth { at: usize },
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'t> {
    Null,
    Bool(bool),
    Number(Number<'t>),
    /// `NaN`, `Infinity` or `-Infinity`, where the policy takes them.
    NonFinite(NonFinite),
    /// Unescaped.
    Text(&'t str),
    Array(Container<'t>),
    Object(Container<'t>),
}

/// An array or object, checked but not taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Container<'t> {
    /// Its text as written.
    pub text: &'t str,
    /// Containers on its deepest path, itself being 1.
    pub depth: usize,
    /// Whether a token in it is not a JSON number.
    pub non_finite: bool,
}

/// The text of a string between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawString<'a> {
    pub text: &'a str,
    pub escaped: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nan_tokens: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, nan_tokens: bool) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, nan_tokens }
    }

    /// A scanner of the same text that stands elsewhere.
    pub(crate) fn moved_to(&self, at: usize) -> Self {
        Self { at, ..*self }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The bytes not yet read.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Moves over `count` bytes that the caller has looked at.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// The byte at the cursor.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips whitespace; the byte it stops at.
    #[inline]
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' {
                return Some(byte);
            }
            if !is_whitespace(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    pub(crate) fn syntax(&self, reason: &'static str) -> Stop {
        Stop::Syntax { at: self.at, reason }
    }

    /// Skips whitespace and the byte expected next.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), Stop> {
        if self.next_byte() != Some(byte) {
            return Err(self.syntax(reason));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the value at the cursor (which may be whitespace). `depth` containers are open around it.
    #[inline]
    pub(crate) fn value<'t>(&mut self, depth: usize, scratch: &'t mut String) -> Result<Token<'t>, Stop>
    where
        'a: 't,
    {
        match self.next_byte() {
            Some(b'"') => {
                let raw = self.string()?;
                if !raw.escaped {
                    return Ok(Token::Text(raw.text));
                }
                scratch.clear();
                unescape(raw.text, scratch);
                Ok(Token::Text(scratch))
            }
            Some(b'0'..=b'9') => self.number(),
            Some(open @ (b'{' | b'[')) => {
                let container = self.container(depth)?;
                Ok(if open == b'{' { Token::Object(container) } else { Token::Array(container) })
            }
            _ => self.word(),
        }
    }

    /// Skips the value at the cursor, checking it.
    pub(crate) fn skip_value(&mut self, depth: usize) -> Result<(), Stop> {
        match self.next_byte() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => self.container(depth).map(drop),
            Some(b'0'..=b'9') => self.number().map(drop),
            _ => self.word().map(drop),
        }
    }

    /// Reads a string whose opening quote is at the cursor.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawString<'a>, Stop> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = find_special(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(RawString { text: &self.text[start..at], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    at = check_escape(self.bytes, at)?;
                }
                Some(_) => return Err(Stop::Syntax { at, reason: "a control character inside a string" }),
                None => return Err(Stop::Syntax { at, reason: "a string without its closing quote" }),
            }
        }
    }

    #[inline]
    fn number(&mut self) -> Result<Token<'a>, Stop> {
        let (number, end) =
            number(self.text, self.at).map_err(|at| Stop::Syntax { at, reason: "a malformed number" })?;
        self.at = end;
        Ok(Token::Number(number))
    }

    /// `null`, `true`, `false`, a negative number, or a token that is not JSON.
    fn word(&mut self) -> Result<Token<'a>, Stop> {
        let rest = self.rest();
        let words = [("null", Token::Null), ("true", Token::Bool(true)), ("false", Token::Bool(false))];
        if let Some((word, token)) = words.into_iter().find(|(word, _)| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(token);
        }
        if self.nan_tokens {
            let words = [NonFinite::NaN, NonFinite::Infinity, NonFinite::NegativeInfinity];
            if let Some(value) = words.into_iter().find(|value| rest.starts_with(value.token().as_bytes())) {
                self.at += value.token().len();
                return Ok(Token::NonFinite(value));
            }
        }
        match rest.first() {
            Some(b'-') => self.number(),
            Some(_) => Err(self.syntax("expected a JSON value")),
            None => Err(self.syntax("the body ends where a value is expected")),
        }
    }

    /// Skips the container at the cursor. One turn of the outer loop per value; the inner one closes what ends there.
    pub(crate) fn container(&mut self, depth: usize) -> Result<Container<'a>, Stop> {
        let start = self.at;
        let mut open = Open::default();
        let mut non_finite = false;
        loop {
            match self.next_byte() {
                Some(byte @ (b'{' | b'[')) => {
                    if depth + open.depth >= BODY_DEPTH_MAX {
                        return Err(Stop::Depth { at: self.at });
                    }
                    self.at += 1;
                    open.push(byte == b'{');
                    let next = self.next_byte();
                    if next != Some(if byte == b'{' { b'}' } else { b']' }) {
                        if byte == b'{' {
                            self.member_name()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.string()?),
                Some(b'0'..=b'9') => drop(self.number()?),
                _ => non_finite |= matches!(self.word()?, Token::NonFinite(_)),
            }
            while open.depth > 0 {
                let object = open.top_is_object();
                match self.next_byte() {
                    Some(b',') => {
                        self.at += 1;
                        if object {
                            self.member_name()?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.at += 1,
                    Some(b']') if !object => self.at += 1,
                    _ if object => return Err(self.syntax("expected ',' or '}'")),
                    _ => return Err(self.syntax("expected ',' or ']'")),
                }
                open.pop();
            }
            if open.depth == 0 {
                return Ok(Container { text: &self.text[start..self.at], depth: open.deepest, non_finite });
            }
        }
    }

    /// Skips a member's name and its colon.
    fn member_name(&mut self) -> Result<(), Stop> {
        self.name().map(drop)
    }

    /// Reads a member's name and its colon.
    pub(crate) fn name(&mut self) -> Result<RawString<'a>, Stop> {
        if self.next_byte() != Some(b'"') {
            return Err(self.syntax("expected a member name in quotes"));
        }
        let name = self.string()?;
        self.expect(b':', "expected ':' after a member name")?;
        Ok(name)
    }
}

/// The containers that are open, as bits: 1 for an object.
#[derive(Default)]
struct Open {
    bits: u128,
    depth: usize,
    deepest: usize,
}

const _: () = assert!(BODY_DEPTH_MAX <= u128::BITS as usize);

impl Open {
    fn push(&mut self, object: bool) {
        self.bits = self.bits << 1 | u128::from(object);
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
    }

    fn top_is_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

#[inline]
pub(crate) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks (with its high bit) the first byte that is a quote, a backslash or a control character. Marks above the first
/// may be wrong: a subtraction that borrows disturbs only what lies above it.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word;
    (is_quote | is_backslash | is_control) & HIGH
}

/// The first byte from `at` on that ends or interrupts a string; the length of `bytes` if there is none.
#[inline]
pub(crate) fn find_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = special_bytes(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < bytes.len() && !(bytes[at] == b'"' || bytes[at] == b'\\' || bytes[at] < 0x20) {
        at += 1;
    }
    at
}

/// Checks the escape at `at`; where it ends. A surrogate must come as a pair: half of one is no character, and to put
/// another in its place would change what was sent.
fn check_escape(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let unit = hex4(bytes, at + 2).ok_or(Stop::Syntax { at, reason: "a malformed \\u escape" })?;
            let lone = Stop::Syntax { at, reason: "half of a surrogate pair" };
            match unit {
                0xDC00..=0xDFFF => Err(lone),
                0xD800..=0xDBFF => match hex4(bytes, at + 8) {
                    Some(0xDC00..=0xDFFF) if bytes[at + 6] == b'\\' && bytes[at + 7] == b'u' => Ok(at + 12),
                    _ => Err(lone),
                },
                _ => Ok(at + 6),
            }
        }
        _ => Err(Stop::Syntax { at, reason: "an unknown escape in a string" }),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | (*digit as char).to_digit(16)?))
}

/// Appends the text that a checked raw string stands for.
pub(crate) fn unescape(raw: &str, out: &mut String) {
    let bytes = raw.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[from..]) {
        let at = from + found;
        out.push_str(&raw[from..at]);
        let (character, length) = escaped_char(bytes, at);
        out.push(character);
        from = at + length;
    }
    out.push_str(&raw[from..]);
}

/// The character of a checked escape, and the escape's length.
fn escaped_char(bytes: &[u8], at: usize) -> (char, usize) {
    match bytes.get(at + 1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => {
            let high = hex4(bytes, at + 2).unwrap_or_default();
            if !(0xD800..=0xDBFF).contains(&high) {
                return (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
            }
            let low = hex4(bytes, at + 8).unwrap_or(0xDC00);
            let code = 0x10000 + ((high - 0xD800) << 10) + (low & 0x3FF);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        Some(byte) => (char::from(*byte), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// Hands on the runs of a checked value's text that lie between whitespace outside strings.
fn compact_runs<'t>(text: &'t str, mut run: impl FnMut(&'t str)) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            byte if is_whitespace(byte) => {
                run(&text[from..at]);
                at += 1;
                from = at;
            }
            _ => at += 1,
        }
    }
    run(&text[from..]);
}

/// Where the checked string that starts at `at` ends.
pub(crate) fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = find_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// Appends a checked value's text without whitespace outside strings.
pub(crate) fn compact(text: &str, out: &mut String) {
    compact_runs(text, |run| out.push_str(run));
}

/// Length of [`compact`]'s result.
pub(crate) fn compact_len(text: &str) -> usize {
    let mut length = 0;
    compact_runs(text, |run| length += run.len());
    length
}
