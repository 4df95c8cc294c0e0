//! SQL text as words, for completion: forgiving, and only as fine as completion needs.
//!
//! **Invariants**: every byte is looked at once; positions are bytes of the text and lie between characters.

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) kind: WordKind,
    /// What it says: an identifier without its quotes, anything else as written.
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    /// A bare word: an identifier or a keyword.
    Bare,
    /// A quoted identifier; it may lack its closing quote if it is the last word.
    Quoted,
    /// A number.
    Number,
    /// A string that is closed.
    Text,
    /// Punctuation: one character, or `::`.
    Symbol,
    /// A string or comment that is not closed: the end of the text is within it.
    Open,
}

impl Word {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == WordKind::Bare && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is one of these keywords.
    pub(super) fn is_one_of(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// Whether it is this punctuation.
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == WordKind::Symbol && self.text == symbol
    }

    /// Whether it may name something.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, WordKind::Bare | WordKind::Quoted)
    }
}

/// The words of a text; comments and blanks are left out.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, end) = next(text, at, first);
        if kind != Some(WordKind::Open) && end == at {
            break;
        }
        if let Some(kind) = kind {
            words.push(Word { kind, text: said(text, kind, at, end), start: at, end });
        }
        at = end;
    }
    words
}

/// What starts at `at`, and where it ends; no kind for a comment.
fn next(text: &str, at: usize, first: char) -> (Option<WordKind>, usize) {
    let rest = &text[at..];
    let until = |fits: fn(char) -> bool| at + rest.find(|c| !fits(c)).unwrap_or(rest.len());
    match first {
        '-' if rest.starts_with("--") => match rest.find('\n') {
            Some(length) => (None, at + length + 1),
            None => (Some(WordKind::Open), text.len()),
        },
        '/' if rest.starts_with("/*") => match rest[2..].find("*/") {
            Some(length) => (None, at + 2 + length + 2),
            None => (Some(WordKind::Open), text.len()),
        },
        '\'' => match closing(rest, '\'') {
            Some(length) => (Some(WordKind::Text), at + length),
            None => (Some(WordKind::Open), text.len()),
        },
        '"' => (Some(WordKind::Quoted), at + closing(rest, '"').unwrap_or(rest.len())),
        _ if first.is_alphabetic() || first == '_' => {
            (Some(WordKind::Bare), until(|c| c.is_alphanumeric() || c == '_'))
        }
        _ if first.is_ascii_digit() => (Some(WordKind::Number), until(|c| c.is_alphanumeric() || c == '.' || c == '_')),
        ':' if rest.starts_with("::") => (Some(WordKind::Symbol), at + 2),
        _ => (Some(WordKind::Symbol), at + first.len_utf8()),
    }
}

/// Length of what starts with a quote, up to its closing one; a doubled quote does not close.
fn closing(rest: &str, quote: char) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((i, c)) = characters.next() {
        if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(i + 1);
        }
    }
    None
}

fn said(text: &str, kind: WordKind, start: usize, end: usize) -> String {
    let written = &text[start..end];
    if kind != WordKind::Quoted {
        return written.to_owned();
    }
    let inner = &written[1..];
    let closed = closing(written, '"').is_some();
    let inner = if closed { &inner[..inner.len() - 1] } else { inner };
    inner.replace("\"\"", "\"")
}
