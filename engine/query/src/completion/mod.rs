//! Completion of SQL text that somebody is still typing: what could stand where the text ends, best first.
//!
//! `lexer` cuts the text into words, `context` says what belongs at its end and which tables are in scope, `words` holds the
//! keywords. What exists comes from a [`Vocabulary`].
//!
//! **Invariants**
//! 1. Any text is fine, however broken; the work is linear in its length, plus the names that are looked at, which are bounded.
//! 2. A suggestion replaces the text from its start to the end and may follow what is before it.
//! 3. The same text and vocabulary give the same list.
//!
//! It knows no HTTP and no DataFusion.

mod context;
mod lexer;
mod words;

use siltstone_storage::{folded_name, quoted_if_needed};

use context::{Context, Place};

/// Names of one kind that are looked at for one list.
const NAMES_MAX: usize = 20_000;

/// What a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the things of the same name")]
pub enum SuggestionKind {
    Keyword,
    Catalog,
    Schema,
    Table,
    Column,
    Type,
    ScalarFunction,
    TableFunction,
    Setting,
}

/// Something that could stand at the end of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What to write, quoted where it must be. A keyword ends in a blank.
    pub text: String,
    /// Byte in the trimmed text from which it replaces all that follows.
    pub start: usize,
    /// What it is.
    pub kind: SuggestionKind,
    /// 0 is best.
    pub score: u32,
    /// What usually comes next: `.` after a catalog or schema, `(` after a function.
    pub next: Option<char>,
}

/// What exists.
pub(crate) trait Vocabulary {
    /// Catalog and schema of unqualified names.
    fn defaults(&self) -> (&str, &str);
    fn catalogs(&self) -> Vec<String>;
    fn schemas(&self, catalog: &str) -> Vec<String>;
    fn tables(&self, catalog: &str, schema: &str) -> Vec<String>;
    /// Columns of a table; none if there is no such table.
    fn columns(&self, catalog: &str, schema: &str, table: &str) -> Vec<String>;
    fn scalar_functions(&self) -> Vec<String>;
    fn table_functions(&self) -> Vec<String>;
}

/// The best `max` suggestions for the end of `text`, best first.
pub(crate) fn complete(text: &str, max: usize, vocabulary: &impl Vocabulary) -> Vec<Suggestion> {
    let Some(context) = Context::of(text) else {
        return Vec::new();
    };
    let mut list = List::new(&context);
    if context.qualifiers.is_empty() {
        unqualified(&context, vocabulary, &mut list);
    } else {
        qualified(&context, vocabulary, &mut list);
    }
    list.best(max)
}

/// What `a.`, `a.b.` or `a.b.c.` holds.
fn qualified(context: &Context, vocabulary: &impl Vocabulary, list: &mut List<'_>) {
    let (catalog, schema) = vocabulary.defaults();
    let qualifiers: Vec<&str> = context.qualifiers.iter().map(String::as_str).collect();
    if matches!(context.place, Place::Expression) {
        if let [name] = qualifiers[..]
            && let Some(table) = context.tables.iter().find(|table| table.is_called(name))
        {
            let columns = columns_of(&table.path, vocabulary);
            return list.add_all(columns, SuggestionKind::Column, 0);
        }
        list.add_all(columns_of(&qualifiers, vocabulary), SuggestionKind::Column, 0);
    }
    match qualifiers[..] {
        [name] => {
            list.add_all(vocabulary.tables(catalog, name), SuggestionKind::Table, 10);
            list.add_all(vocabulary.schemas(name), SuggestionKind::Schema, 20);
            // A catalog's default schema needs no name.
            list.add_all(vocabulary.tables(name, schema), SuggestionKind::Table, 30);
        }
        [catalog, schema] => list.add_all(vocabulary.tables(catalog, schema), SuggestionKind::Table, 10),
        _ => {}
    }
}

fn unqualified(context: &Context, vocabulary: &impl Vocabulary, list: &mut List<'_>) {
    let (catalog, schema) = vocabulary.defaults();
    match context.place {
        Place::Start => list.add_words(words::STATEMENTS, SuggestionKind::Keyword, 0),
        Place::Table => {
            list.add_all(context.ctes.iter().cloned(), SuggestionKind::Table, 0);
            list.add_all(vocabulary.tables(catalog, schema), SuggestionKind::Table, 0);
            list.add_all(vocabulary.schemas(catalog), SuggestionKind::Schema, 20);
            list.add_all(vocabulary.catalogs(), SuggestionKind::Catalog, 30);
            list.add_all(vocabulary.table_functions(), SuggestionKind::TableFunction, 40);
            list.add_words(words::BEFORE_TABLES, SuggestionKind::Keyword, 50);
        }
        Place::Schema => {
            list.add_all(vocabulary.schemas(catalog), SuggestionKind::Schema, 0);
            list.add_all(vocabulary.catalogs(), SuggestionKind::Catalog, 10);
        }
        Place::Type => list.add_words(words::TYPES, SuggestionKind::Type, 0),
        Place::Setting => list.add_words(words::SETTINGS, SuggestionKind::Setting, 0),
        Place::Expression => expression(context, vocabulary, list),
        Place::Clause => {
            list.add_words(words::CLAUSES, SuggestionKind::Keyword, 0);
            expression(context, vocabulary, list);
        }
    }
}

/// Columns of the tables in scope come first; without any, those of the default schema are a guess, and come last.
fn expression(context: &Context, vocabulary: &impl Vocabulary, list: &mut List<'_>) {
    let (catalog, schema) = vocabulary.defaults();
    for table in &context.tables {
        list.add_all(columns_of(&table.path, vocabulary), SuggestionKind::Column, 10);
        list.add_all([table.name().to_owned()], SuggestionKind::Table, 20);
    }
    list.add_all(vocabulary.scalar_functions(), SuggestionKind::ScalarFunction, 40);
    list.add_words(words::IN_EXPRESSIONS, SuggestionKind::Keyword, 30);
    if context.tables.is_empty() {
        let tables = vocabulary.tables(catalog, schema);
        let columns = tables.iter().flat_map(|table| vocabulary.columns(catalog, schema, table));
        list.add_all(columns, SuggestionKind::Column, 50);
        list.add_all(tables.iter().cloned(), SuggestionKind::Table, 60);
    }
}

fn columns_of<T: AsRef<str>>(path: &[T], vocabulary: &impl Vocabulary) -> Vec<String> {
    let (catalog, schema) = vocabulary.defaults();
    match path.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
        [table] => vocabulary.columns(catalog, schema, table),
        [first, table] => {
            let columns = vocabulary.columns(catalog, first, table);
            if columns.is_empty() { vocabulary.columns(first, schema, table) } else { columns }
        }
        [catalog, schema, table] => vocabulary.columns(catalog, schema, table),
        _ => Vec::new(),
    }
}

/// Suggestions that fit what was typed.
struct List<'a> {
    context: &'a Context,
    typed: String,
    found: Vec<Suggestion>,
}

impl<'a> List<'a> {
    fn new(context: &'a Context) -> Self {
        Self { typed: folded_name(&context.typed), context, found: Vec::new() }
    }

    fn add_all(&mut self, names: impl IntoIterator<Item = String>, kind: SuggestionKind, score: u32) {
        for name in names.into_iter().take(NAMES_MAX) {
            if let Some(distance) = self.distance(&name) {
                let text = if is_function(kind) { name } else { written(&name) };
                self.push(text, kind, score + distance);
            }
        }
    }

    fn add_words(&mut self, words: &[&str], kind: SuggestionKind, score: u32) {
        for word in words {
            if let Some(distance) = self.distance(word) {
                let text = if kind == SuggestionKind::Keyword { format!("{word} ") } else { (*word).to_owned() };
                self.push(text, kind, score + distance);
            }
        }
    }

    fn push(&mut self, text: String, kind: SuggestionKind, score: u32) {
        let next = match kind {
            SuggestionKind::Catalog | SuggestionKind::Schema => Some('.'),
            SuggestionKind::ScalarFunction | SuggestionKind::TableFunction => Some('('),
            _ => None,
        };
        let text = if self.context.needs_blank { format!(" {text}") } else { text };
        self.found.push(Suggestion { text, start: self.context.start, kind, score, next });
    }

    /// How far a name is from what was typed: 0 if it starts with it, more if it holds it after a `_`; `None` if it does not fit.
    fn distance(&self, name: &str) -> Option<u32> {
        let folded = folded_name(name);
        if folded.starts_with(&self.typed) {
            return Some(0);
        }
        let within = self.typed.len() > 1 && folded.split('_').skip(1).any(|part| part.starts_with(&self.typed));
        within.then_some(100)
    }

    fn best(mut self, max: usize) -> Vec<Suggestion> {
        self.found.sort_by(|a, b| (a.score, &a.text, a.kind).cmp(&(b.score, &b.text, b.kind)));
        let mut seen = std::collections::HashSet::new();
        self.found.retain(|suggestion| seen.insert((suggestion.text.clone(), suggestion.kind)));
        self.found.truncate(max);
        self.found
    }
}

fn is_function(kind: SuggestionKind) -> bool {
    matches!(kind, SuggestionKind::ScalarFunction | SuggestionKind::TableFunction)
}

/// A name as it must be written: in quotes if it is no plain word, or means something else as one.
fn written(name: &str) -> String {
    if words::is_reserved(name) { format!("\"{name}\"") } else { quoted_if_needed(name) }
}

#[cfg(test)]
mod tests;
