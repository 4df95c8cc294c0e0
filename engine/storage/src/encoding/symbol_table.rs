//! Which byte strings get a code: a table of up to 255 symbols of one to eight bytes, made from a sample, and the search for the longest
//! symbol that the next bytes start with.
//!
//! **Invariants**
//! 1. Symbols are distinct and ordered by their first two bytes, longer ones first; those of one byte come last.
//! 2. Making a table depends on the sample alone.
//!
//! It does not know how codes lie in a body.

use std::collections::HashMap;

use ahash::RandomState;

/// The code that says: the next byte stands for itself.
pub(crate) const ESCAPE: u8 = 255;
/// Most symbols of a table.
pub(crate) const SYMBOLS_MAX: usize = 255;
/// Longest symbol.
pub(crate) const SYMBOL_BYTES: usize = 8;

/// Rounds of making a table: symbols can double their length in each.
const ROUNDS: usize = 5;
/// What a symbol of one byte counts for, compared with its bytes: without it, a byte costs two.
const SINGLE_WEIGHT: u64 = 4;
/// Symbols and the 256 bytes that stand for themselves, as they are counted.
const COUNTED: usize = 512;

/// One to eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Symbol {
    /// The bytes from the lowest, zeros above.
    pub(crate) word: u64,
    pub(crate) length: u8,
}

impl Symbol {
    fn byte(byte: u8) -> Self {
        Self { word: u64::from(byte), length: 1 }
    }

    /// This one, then the other, if that is short enough.
    fn then(self, other: Self) -> Option<Self> {
        let length = self.length + other.length;
        (usize::from(length) <= SYMBOL_BYTES)
            .then(|| Self { word: self.word | (other.word << (8 * u32::from(self.length))), length })
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * u32::from(self.length))
    }
}

/// A table and the way into it.
#[derive(Clone, Debug)]
pub(crate) struct SymbolTable {
    symbols: Vec<Symbol>,
    masks: Vec<u64>,
    /// First symbol of several bytes with these first two; [`ESCAPE`] if there is none.
    first: Vec<u8>,
    /// The symbol that is this byte alone, else [`ESCAPE`].
    single: [u8; 256],
}

impl Default for SymbolTable {
    fn default() -> Self {
        Self { symbols: Vec::new(), masks: Vec::new(), first: vec![ESCAPE; 1 << 16], single: [ESCAPE; 256] }
    }
}

/// Counts of a round, kept between rounds for their memory.
struct Counts {
    singles: [u32; COUNTED],
    pairs: Vec<u16>,
    /// Pairs that were seen.
    touched: Vec<u32>,
}

impl SymbolTable {
    /// A table for values like these: ranges of `padded`, which goes on for eight bytes after the last.
    pub(crate) fn train(padded: &[u8], values: &[std::ops::Range<usize>]) -> Self {
        let mut table = Self::default();
        let mut counts = Counts { singles: [0; COUNTED], pairs: vec![0; COUNTED * COUNTED], touched: Vec::new() };
        for _ in 0..ROUNDS {
            table.count(padded, values, &mut counts);
            table.replace(table.best(&mut counts));
        }
        table.count(padded, values, &mut counts);
        let used = table.symbols.iter().zip(&counts.singles[256..]);
        let used = used.filter(|(_, count)| **count > 1).map(|(symbol, _)| *symbol).collect();
        table.replace(used);
        table
    }

    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Bytes that the table itself takes in a body.
    pub(crate) fn bytes(&self) -> usize {
        self.symbols.iter().map(|symbol| 1 + usize::from(symbol.length)).sum()
    }

    fn symbol(&self, counted: usize) -> Symbol {
        match counted.checked_sub(256) {
            None => Symbol::byte(counted as u8),
            Some(code) => self.symbols[code],
        }
    }

    fn count(&self, padded: &[u8], values: &[std::ops::Range<usize>], counts: &mut Counts) {
        for value in values {
            let (mut at, mut last) = (value.start, None::<usize>);
            while at < value.end {
                let word = word_at(padded, at);
                let code = self.longest(word, value.end - at);
                let counted = if code == ESCAPE { word as usize & 0xff } else { 256 + usize::from(code) };
                at += if code == ESCAPE { 1 } else { usize::from(self.symbols[usize::from(code)].length) };
                counts.singles[counted] += 1;
                if let Some(last) = last {
                    let pair = &mut counts.pairs[last * COUNTED + counted];
                    if *pair == 0 {
                        counts.touched.push((last * COUNTED + counted) as u32);
                    }
                    *pair = pair.saturating_add(1);
                }
                last = Some(counted);
            }
        }
    }

    /// The symbols that cover the most bytes; the counts are used up.
    fn best(&self, counts: &mut Counts) -> Vec<Symbol> {
        let mut gains: HashMap<Symbol, u64, RandomState> = HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        for (counted, count) in counts.singles.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            let symbol = self.symbol(counted);
            let weight = if symbol.length == 1 { SINGLE_WEIGHT } else { u64::from(symbol.length) };
            *gains.entry(symbol).or_default() += u64::from(std::mem::take(count)) * weight;
        }
        for place in counts.touched.drain(..) {
            let count = u64::from(std::mem::take(&mut counts.pairs[place as usize]));
            let (a, b) = (self.symbol(place as usize / COUNTED), self.symbol(place as usize % COUNTED));
            if let Some(symbol) = a.then(b).filter(|_| count > 1) {
                *gains.entry(symbol).or_default() += count * u64::from(symbol.length);
            }
        }
        let mut ranked: Vec<_> = gains.into_iter().map(|(symbol, gain)| (gain, symbol)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        ranked.truncate(SYMBOLS_MAX);
        ranked.into_iter().map(|(_, symbol)| symbol).collect()
    }

    fn replace(&mut self, mut symbols: Vec<Symbol>) {
        for symbol in self.symbols.drain(..) {
            self.first[symbol.word as usize & 0xffff] = ESCAPE;
        }
        symbols.sort_unstable_by_key(|symbol| {
            (symbol.length == 1, symbol.word as u16, std::cmp::Reverse(symbol.length), symbol.word)
        });
        self.single.fill(ESCAPE);
        for (code, symbol) in symbols.iter().enumerate().rev() {
            match symbol.length {
                1 => self.single[symbol.word as usize & 0xff] = code as u8,
                _ => self.first[symbol.word as usize & 0xffff] = code as u8,
            }
        }
        self.masks = symbols.iter().map(|symbol| symbol.mask()).collect();
        self.symbols = symbols;
    }

    /// The longest symbol that the bytes of `word` start with, of which `left` are there.
    #[inline]
    fn longest(&self, word: u64, left: usize) -> u8 {
        let mut code = self.first[word as usize & 0xffff];
        while let Some(symbol) = self.symbols.get(usize::from(code)) {
            if symbol.word as u16 != word as u16 || symbol.length == 1 {
                break;
            }
            if symbol.word == word & self.masks[usize::from(code)] && usize::from(symbol.length) <= left {
                return code;
            }
            code += 1;
        }
        self.single[word as usize & 0xff]
    }

    /// Appends the codes of the bytes from `start` to `end`; `padded` goes on for eight more.
    pub(crate) fn encode(&self, padded: &[u8], start: usize, end: usize, codes: &mut Vec<u8>) {
        codes.reserve(2 * (end - start));
        let mut at = start;
        while at < end {
            let word = word_at(padded, at);
            let code = self.longest(word, end - at);
            codes.push(code);
            if code == ESCAPE {
                codes.push(word as u8);
                at += 1;
            } else {
                at += usize::from(self.symbols[usize::from(code)].length);
            }
        }
    }
}

#[inline]
fn word_at(padded: &[u8], at: usize) -> u64 {
    padded[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
