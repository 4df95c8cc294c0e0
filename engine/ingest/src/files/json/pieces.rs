//! Cuts a JSON file into pieces of whole records.
//!
//! **Invariants**
//! 1. The pieces together say what the whole file says: what is cut away between two of them is one comma, or nothing.
//! 2. A piece has about [`PIECE_BYTES`], or as many as its longest record, which has at most [`RECORD_BYTES_MAX`].
//! 3. Cutting looks at strings and brackets alone; whether a piece is JSON is for its decoder to say.

use std::io::Read;
use std::sync::Arc;

use crate::Framing;
use crate::files::source::Cursor;
use crate::files::{FileBytes, FileError, Result};

/// Bytes after which a piece ends with the record at hand.
const PIECE_BYTES: usize = 8 << 20;
/// Most bytes of one record.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;
/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Some records.
pub(crate) struct Piece {
    /// A document or a sequence of its own.
    pub(crate) text: Vec<u8>,
    pub(crate) framing: Framing,
    /// Where the records start in the file.
    offset: usize,
}

impl Piece {
    /// The place in the file of a place in the text.
    pub(crate) fn place(&self, at: usize) -> usize {
        let added = usize::from(self.framing == Framing::Document);
        self.offset + at.saturating_sub(added)
    }
}

/// See the module.
pub(crate) struct Pieces {
    cursor: Cursor,
    /// What was read and not yet handed out.
    held: Vec<u8>,
    /// Where `held` starts in the file.
    offset: usize,
    /// Bytes of `held` that were looked at.
    seen: usize,
    /// The end in `held` of the last whole record.
    whole: usize,
    /// Where the array's closing bracket is in `held`.
    closing: Option<usize>,
    nesting: Nesting,
    phase: Phase,
    at_end: bool,
    /// A comma was cut away: another record must follow.
    expects_more: bool,
    piece_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Records(Framing),
    Ended,
}

/// Where in a record the look has come to.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Pieces {
    pub(crate) fn new(bytes: &Arc<dyn FileBytes>) -> Self {
        Self::of_size(bytes, PIECE_BYTES)
    }

    /// The same with pieces of another size.
    pub(crate) fn of_size(bytes: &Arc<dyn FileBytes>, piece_bytes: usize) -> Self {
        Self {
            cursor: Cursor::new(bytes, 0),
            held: Vec::new(),
            offset: 0,
            seen: 0,
            whole: 0,
            closing: None,
            nesting: Nesting::default(),
            phase: Phase::Start,
            at_end: false,
            expects_more: false,
            piece_bytes,
        }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// # Errors
    /// `Invalid` where the file is cut off, goes on after its array, or has too long a record; `Read`.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            match self.phase {
                Phase::Start => self.start()?,
                Phase::Records(framing) => {
                    if let Some(piece) = self.records(framing)? {
                        return Ok(Some(piece));
                    }
                }
                Phase::Ended => return self.check_rest().map(|()| None),
            }
        }
    }

    /// Finds out how records are laid out.
    fn start(&mut self) -> Result<()> {
        self.fill()?;
        let bom = if self.held.starts_with(BOM) { BOM.len() } else { 0 };
        if let Some(at) = first_not_blank(&self.held[bom..]) {
            let array = self.held[bom + at] == b'[';
            self.phase = Phase::Records(if array { Framing::Document } else { Framing::Sequence });
            self.consume(bom + at + usize::from(array));
        } else if self.at_end {
            self.phase = Phase::Ended;
        }
        Ok(())
    }

    /// A piece, if enough has come in for one.
    fn records(&mut self, framing: Framing) -> Result<Option<Piece>> {
        self.look(framing);
        if let Some(closing) = self.closing {
            let piece = self.rest(closing, framing)?;
            self.consume(1);
            return Ok(piece);
        }
        let is_long = self.held.len() >= 2 * self.piece_bytes;
        if self.whole >= self.piece_bytes || (self.whole > 0 && is_long) {
            let piece = self.piece(self.whole, framing);
            if framing == Framing::Document {
                self.cut_comma()?;
            }
            return Ok(Some(piece));
        }
        if self.at_end {
            return match framing {
                Framing::Document => Err(self.expected("',' or ']'", self.held.len())),
                Framing::Sequence => self.rest(self.held.len(), framing),
            };
        }
        if self.held.len() >= RECORD_BYTES_MAX {
            return Err(FileError::invalid(format!("a record is larger than {RECORD_BYTES_MAX} bytes")));
        }
        self.fill()?;
        Ok(None)
    }

    /// Looks at what has come in for ends of records, and for the end of the array.
    fn look(&mut self, framing: Framing) {
        while self.seen < self.held.len() && self.closing.is_none() && self.whole < self.piece_bytes {
            let byte = self.held[self.seen];
            let nesting = &mut self.nesting;
            if nesting.in_string {
                match byte {
                    _ if nesting.escaped => nesting.escaped = false,
                    b'\\' => nesting.escaped = true,
                    b'"' => nesting.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => nesting.in_string = true,
                    b'{' | b'[' => nesting.depth += 1,
                    b'}' | b']' if nesting.depth > 0 => {
                        nesting.depth -= 1;
                        if nesting.depth == 0 {
                            self.whole = self.seen + 1;
                        }
                    }
                    b']' if framing == Framing::Document => self.closing = Some(self.seen),
                    _ => {}
                }
            }
            self.seen += 1;
        }
    }

    /// The last piece, of so many bytes; `None` if they are blank.
    fn rest(&mut self, bytes: usize, framing: Framing) -> Result<Option<Piece>> {
        self.phase = Phase::Ended;
        if first_not_blank(&self.held[..bytes]).is_some() {
            return Ok(Some(self.piece(bytes, framing)));
        }
        if self.expects_more {
            return Err(self.expected("a JSON value", bytes));
        }
        self.consume(bytes);
        Ok(None)
    }

    fn piece(&mut self, bytes: usize, framing: Framing) -> Piece {
        let mut text = Vec::with_capacity(bytes + 2);
        let records = &self.held[..bytes];
        match framing {
            Framing::Document => {
                text.push(b'[');
                text.extend_from_slice(records);
                text.push(b']');
            }
            Framing::Sequence => text.extend_from_slice(records),
        }
        let piece = Piece { text, framing, offset: self.offset };
        self.consume(bytes);
        self.expects_more = false;
        piece
    }

    /// Takes away the comma behind a piece, unless the array ends there.
    fn cut_comma(&mut self) -> Result<()> {
        loop {
            match first_not_blank(&self.held) {
                Some(at) if self.held[at] == b',' => {
                    self.consume(at + 1);
                    self.expects_more = true;
                    return Ok(());
                }
                Some(at) if self.held[at] == b']' => return Ok(()),
                None if !self.at_end => self.fill()?,
                at => return Err(self.expected("',' or ']'", at.unwrap_or(self.held.len()))),
            }
        }
    }

    /// # Errors
    /// `Invalid` if anything follows the array.
    fn check_rest(&mut self) -> Result<()> {
        loop {
            if let Some(at) = first_not_blank(&self.held) {
                return Err(self.expected("nothing more after the array", at));
            }
            if self.at_end {
                return Ok(());
            }
            self.consume(self.held.len());
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let start = self.held.len();
        self.held.resize(start + BLOCK_BYTES, 0);
        let read = self.cursor.read(&mut self.held[start..])?;
        self.held.truncate(start + read);
        self.at_end = read == 0;
        Ok(())
    }

    fn consume(&mut self, bytes: usize) {
        self.held.drain(..bytes);
        self.offset += bytes;
        self.seen = self.seen.saturating_sub(bytes);
        self.whole = self.whole.saturating_sub(bytes);
    }

    fn expected(&self, what: &str, at: usize) -> FileError {
        FileError::invalid(format!("invalid JSON at byte {}: expected {what}", self.offset + at))
    }
}

fn first_not_blank(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}
