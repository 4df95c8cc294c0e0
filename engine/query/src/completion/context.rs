//! What belongs at the end of a text, and what is in scope there.
//!
//! **Invariants**
//! 1. Only the last statement counts, and within it the parentheses that are open at the end and what surrounds them.
//! 2. A table counts wherever it stands in those: before or after the place that asks.

use siltstone_storage::same_name;

use super::lexer::{Word, WordKind, words};
use super::words::{ENDS_A_FROM, GOES_ON_IN_A_FROM};

/// What belongs at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A new statement.
    Start,
    /// The name of a table.
    Table,
    /// The name of a schema or a catalog.
    Schema,
    /// A type.
    Type,
    /// The name of a setting.
    Setting,
    /// A value.
    Expression,
    /// What follows a whole value or table: another clause, an operator, an alias.
    Clause,
}

/// A table in scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableInScope {
    pub(super) path: Vec<String>,
    alias: Option<String>,
}

impl TableInScope {
    /// What columns are qualified by.
    pub(super) fn name(&self) -> &str {
        let last = self.path.last().map(String::as_str);
        self.alias.as_deref().or(last).unwrap_or_default()
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        same_name(self.name(), name)
    }
}

/// The end of a text.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) place: Place,
    /// The names before the last dot.
    pub(super) qualifiers: Vec<String>,
    /// The beginning of the name or keyword that is being typed; perhaps nothing.
    pub(super) typed: String,
    /// Where that starts.
    pub(super) start: usize,
    /// Whether a blank must come first: there was one, but the text is taken without it.
    pub(super) needs_blank: bool,
    pub(super) tables: Vec<TableInScope>,
    /// Names that `WITH` defines.
    pub(super) ctes: Vec<String>,
}

impl Context {
    /// Looks at a text; `None` if it ends within a string, a number or a comment, where nothing is completed.
    pub(super) fn of(given: &str) -> Option<Self> {
        let text = given.trim();
        let needs_blank = !text.is_empty() && given.ends_with(char::is_whitespace);
        // With what follows: the end of a line ends a comment.
        let all = words(given.trim_start());
        let from = all.iter().rposition(|word| word.is_symbol(";")).map_or(0, |at| at + 1);
        let statement = &all[from..];
        if statement.last().is_some_and(|word| word.kind == WordKind::Open) {
            return None;
        }
        let mut before = statement.len();
        let (mut typed, mut start) = (String::new(), text.len());
        if !needs_blank && let Some(last) = statement.last() {
            match last.kind {
                WordKind::Bare | WordKind::Quoted => {
                    (typed, start, before) = (last.text.clone(), last.start, before - 1);
                }
                WordKind::Number | WordKind::Text => return None,
                _ => {}
            }
        }
        let mut qualifiers = Vec::new();
        while before >= 2 && statement[before - 1].is_symbol(".") && statement[before - 2].is_name() {
            qualifiers.insert(0, statement[before - 2].text.clone());
            before -= 2;
        }
        let scope = enclosing(statement);
        Some(Self {
            place: place(&statement[..before]),
            needs_blank: needs_blank && !statement.last().is_some_and(|word| word.is_symbol(";")),
            qualifiers,
            typed,
            start,
            tables: tables(&scope),
            ctes: ctes(statement),
        })
    }
}

/// The words that are not within parentheses that were closed again.
fn enclosing(statement: &[Word]) -> Vec<&Word> {
    let (mut kept, mut open) = (Vec::new(), Vec::new());
    for word in statement {
        if word.is_symbol("(") {
            open.push(kept.len());
        } else if word.is_symbol(")")
            && let Some(at) = open.pop()
        {
            kept.truncate(at);
            // What it was stays visible as a value.
            kept.push(word);
            continue;
        }
        kept.push(word);
    }
    kept
}

/// What belongs after these words.
fn place(before: &[Word]) -> Place {
    let Some(last) = before.last() else {
        return Place::Start;
    };
    if last.is_symbol("::") {
        return Place::Type;
    }
    if last.is_one_of(&["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "DESCRIBE", "DESC", "SUMMARIZE", "TRUNCATE"]) {
        return Place::Table;
    }
    if last.is("USE") || last.is("SCHEMA") || last.is("DATABASE") {
        return Place::Schema;
    }
    if last.is("USING") && before.first().is_some_and(|first| first.is("MERGE")) {
        return Place::Table;
    }
    let first_is = |keyword: &str| before.first().is_some_and(|first| first.is(keyword));
    if (last.is("SET") && before.len() == 1) || last.is_one_of(&["PRAGMA", "RESET"]) {
        return Place::Setting;
    }
    if last.is("AS") && casts(before) {
        return Place::Type;
    }
    if last.is("EXISTS") && (first_is("DROP") || first_is("CREATE") || first_is("ALTER")) {
        return Place::Table;
    }
    if last.is_one_of(&["EXPLAIN", "ANALYZE"]) && before.len() <= 2 {
        return Place::Start;
    }
    if last.is_symbol(",") && in_from(before) {
        return Place::Table;
    }
    let ends_a_value = match last.kind {
        WordKind::Quoted | WordKind::Number | WordKind::Text => true,
        WordKind::Symbol => last.is_symbol(")") || last.is_symbol("*") || last.is_symbol("]"),
        WordKind::Bare => !super::words::expects_value(&last.text),
        WordKind::Open => false,
    };
    if ends_a_value { Place::Clause } else { Place::Expression }
}

/// Whether the last word, `AS`, is that of a `CAST(… AS`.
fn casts(before: &[Word]) -> bool {
    let mut depth = 0;
    for (i, word) in before.iter().enumerate().rev() {
        if word.is_symbol(")") {
            depth += 1;
        } else if word.is_symbol("(") {
            if depth == 0 {
                return i > 0 && before[i - 1].is_one_of(&["CAST", "TRY_CAST"]);
            }
            depth -= 1;
        }
    }
    false
}

/// Whether a comma at the end separates tables.
fn in_from(before: &[Word]) -> bool {
    let mut depth = 0;
    for word in before.iter().rev() {
        if word.is_symbol(")") {
            depth += 1;
        } else if word.is_symbol("(") {
            if depth == 0 {
                return false;
            }
            depth -= 1;
        } else if depth == 0 && word.is("FROM") {
            return true;
        } else if depth == 0 && (word.is_one_of(ENDS_A_FROM) || word.is("SELECT")) {
            return false;
        }
    }
    false
}

/// Tables named after FROM, JOIN, UPDATE and INTO.
fn tables(words: &[&Word]) -> Vec<TableInScope> {
    let mut tables: Vec<TableInScope> = Vec::new();
    let mut from = false;
    let mut at = 0;
    while at < words.len() {
        let word = words[at];
        at += 1;
        if word.is_one_of(ENDS_A_FROM) || word.is("SELECT") {
            from = false;
        }
        let starts = word.is_one_of(&["FROM", "JOIN", "UPDATE", "INTO"]) || (from && word.is_symbol(","));
        from |= word.is_one_of(&["FROM", "JOIN"]);
        if !starts {
            continue;
        }
        if let Some((table, next)) = table(words, at) {
            at = next;
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    tables
}

/// The table whose name starts at `at`, and what comes after it.
fn table(words: &[&Word], mut at: usize) -> Option<(TableInScope, usize)> {
    let mut path = Vec::new();
    loop {
        let word = words.get(at).filter(|word| word.is_name())?;
        path.push(word.text.clone());
        at += 1;
        if !words.get(at).is_some_and(|word| word.is_symbol(".")) {
            break;
        }
        at += 1;
    }
    if words.get(at).is_some_and(|word| word.is("AS")) {
        at += 1;
    }
    let keyword = |word: &Word| word.is_one_of(ENDS_A_FROM) || word.is_one_of(GOES_ON_IN_A_FROM);
    let alias = words.get(at).filter(|word| word.is_name() && !keyword(word));
    let alias = alias.map(|word| word.text.clone());
    at += usize::from(alias.is_some());
    Some((TableInScope { path, alias }, at))
}

/// `x` of `WITH x AS (` and `, x AS (`.
fn ctes(statement: &[Word]) -> Vec<String> {
    if !statement.first().is_some_and(|word| word.is("WITH")) {
        return Vec::new();
    }
    let defines = |three: &&[Word]| three[0].is_name() && three[1].is("AS") && three[2].is_symbol("(");
    statement.windows(3).filter(defines).map(|three| three[0].text.clone()).collect()
}
