use super::lexer::{WordKind, words};
use super::*;

/// LAKE.main: users(id, name, "First Name"), user_events(id, at); LAKE.side: t(a); OTHER.main: remote(r).
struct Small;

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Vocabulary for Small {
    fn defaults(&self) -> (&str, &str) {
        ("LAKE", "main")
    }

    fn catalogs(&self) -> Vec<String> {
        texts(&["LAKE", "OTHER"])
    }

    fn schemas(&self, catalog: &str) -> Vec<String> {
        if catalog.eq_ignore_ascii_case("LAKE") { texts(&["main", "side"]) } else { Vec::new() }
    }

    fn tables(&self, catalog: &str, schema: &str) -> Vec<String> {
        match (catalog.to_ascii_uppercase().as_str(), schema) {
            ("LAKE", "main") => texts(&["user_events", "users"]),
            ("LAKE", "side") => texts(&["t"]),
            ("OTHER", "main") => texts(&["remote"]),
            _ => Vec::new(),
        }
    }

    fn columns(&self, catalog: &str, schema: &str, table: &str) -> Vec<String> {
        match (catalog.to_ascii_uppercase().as_str(), schema, table.to_ascii_lowercase().as_str()) {
            ("LAKE", "main", "users") => texts(&["id", "name", "First Name", "order"]),
            ("LAKE", "main", "user_events") => texts(&["id", "at"]),
            ("LAKE", "side", "t") => texts(&["a"]),
            ("OTHER", "main", "remote") => texts(&["r"]),
            _ => Vec::new(),
        }
    }

    fn scalar_functions(&self) -> Vec<String> {
        texts(&["abs", "max", "min", "upper"])
    }

    fn table_functions(&self) -> Vec<String> {
        texts(&["range"])
    }
}

fn suggest(text: &str) -> Vec<Suggestion> {
    complete(text, 20, &Small)
}

fn firsts(text: &str, count: usize) -> Vec<String> {
    suggest(text).into_iter().take(count).map(|suggestion| suggestion.text).collect()
}

#[test]
fn keywords_complete_statements() {
    // Proves that a statement's first word is completed, that it replaces what was typed, and that scores ascend.
    let list = suggest("SEL");
    assert_eq!((list[0].text.as_str(), list[0].start, list[0].kind), ("SELECT ", 0, SuggestionKind::Keyword));
    assert_eq!(list[0].score, 0);
    assert!(suggest("").len() == 20 && suggest("SELECT 1; ins")[0].text == "INSERT INTO ");
    assert_eq!(suggest("SELECT 1; ins")[0].start, 10);
    assert!(suggest("SELECT a FROM users u W").windows(2).all(|two| two[0].score <= two[1].score));
    assert_eq!(firsts("SELECT a FROM users WHER", 1), ["WHERE "]);
    assert_eq!(firsts("EXPLAIN sel", 1), ["SELECT "]);
}

#[test]
fn columns_of_the_tables_in_scope_come_first() {
    // Proves FROM before and after, aliases, joins, UPDATE and INSERT, quotes where they are needed.
    assert_eq!(firsts("SELECT * FROM users WHERE na", 1), ["name"]);
    assert_eq!(firsts("FROM users SELECT na", 1), ["name"]);
    assert_eq!(firsts("SELECT * FROM users WHERE Fir", 1), ["\"First Name\""]);
    assert_eq!(firsts("SELECT * FROM users WHERE ord", 1), ["\"order\""]);
    assert_eq!(firsts("SELECT * FROM side.t WHERE a", 1), ["a"]);
    assert_eq!(firsts("SELECT * FROM other.main.remote WHERE r", 1), ["r"]);
    assert_eq!(firsts("UPDATE users SET na", 1), ["name"]);
    assert_eq!(firsts("SELECT * FROM users u JOIN user_events e ON u.id = e.a", 2), ["at"]);
    assert_eq!(firsts("FROM users AS u SELECT u.", 4), ["\"First Name\"", "\"order\"", "id", "name"]);
    assert_eq!(firsts("FROM users AS u SELECT u.n", 4), ["name"]);
    assert_eq!(firsts("FROM user_events SELECT nam", 1), Vec::<String>::new());
}

#[test]
fn scopes_end_with_their_parentheses() {
    // Proves that a closed subquery's table is gone and an enclosing query's is there.
    assert_eq!(firsts("SELECT (SELECT max(at) FROM user_events) FROM users WHERE at", 1), Vec::<String>::new());
    assert_eq!(firsts("FROM users WHERE id IN (SELECT id FROM user_events WHERE nam", 1), ["name"]);
}

#[test]
fn tables_stand_where_tables_stand() {
    // Proves tables before schemas and catalogs with their dots, common table expressions, lists, qualified names.
    assert_eq!(firsts("SELECT * FROM us", 2), ["user_events", "users"]);
    let list = suggest("SELECT * FROM ");
    assert_eq!((list[0].text.as_str(), list[0].start), (" user_events", 13));
    let next = |text: &str, kind| suggest(text).into_iter().find(|s| s.kind == kind).map(|s| (s.text, s.next));
    assert_eq!(next("SELECT * FROM si", SuggestionKind::Schema), Some(("side".to_owned(), Some('.'))));
    assert_eq!(next("SELECT * FROM oth", SuggestionKind::Catalog), Some(("OTHER".to_owned(), Some('.'))));
    assert_eq!(next("SELECT * FROM ran", SuggestionKind::TableFunction), Some(("range".to_owned(), Some('('))));
    assert_eq!(firsts("SELECT * FROM users, user_", 1), ["user_events"]);
    assert_eq!(firsts("WITH recent AS (SELECT 1) SELECT * FROM rec", 1), ["recent"]);
    assert_eq!(firsts("SELECT * FROM side.", 5), ["t"]);
    assert_eq!(firsts("SELECT * FROM lake.s", 5), ["side"]);
    assert_eq!(firsts("SELECT * FROM other.main.re", 5), ["remote"]);
    assert_eq!(firsts("DROP TABLE IF EXISTS users", 1), ["users"]);
}

#[test]
fn functions_types_and_settings_have_their_places() {
    // Proves values, casts in both forms, USE and SET.
    let list = suggest("SELECT ma");
    assert_eq!((list[0].text.as_str(), list[0].kind), ("max", SuggestionKind::ScalarFunction));
    assert_eq!(firsts("SELECT 1::BIG", 1), ["BIGINT"]);
    assert_eq!(firsts("SELECT CAST(a AS varc", 1), ["VARCHAR"]);
    assert_eq!(firsts("SET Time", 1), ["TimeZone"]);
    assert_eq!(firsts("USE s", 1), ["side"]);
    assert_eq!(firsts("SELECT na", 1), ["name"]);
}

#[test]
fn nothing_is_completed_within_texts() {
    // Proves that an open string or comment and a finished literal have no suggestions.
    for text in ["SELECT 'us", "SELECT * FROM users -- us", "SELECT /* us", "SELECT 12", "SELECT 'x'"] {
        assert_eq!(suggest(text), [], "{text}");
    }
    assert!(!suggest("SELECT * FROM users -- us\n").is_empty());
}

#[test]
fn any_text_is_fine() {
    // Proves that broken and foreign text neither panics nor hangs, and that starts lie within it, between characters.
    let samples = [
        "é",
        "SELECT \"é",
        "((((",
        "))))",
        "....",
        "a.b.c.d.e.",
        "\u{0}",
        "SELECT 😀",
        "-",
        "/",
        ":",
        "::",
        "\"",
        "\"\"\"",
        ";;;",
    ];
    for text in samples {
        for suggestion in suggest(text) {
            assert!(text.trim().is_char_boundary(suggestion.start), "{text}");
        }
    }
    let long = "(".repeat(100_000) + &"SELECT a, ".repeat(10_000);
    assert!(suggest(&long).len() <= 20);
}

#[test]
fn words_know_where_they_are() {
    // Proves kinds and positions, doubled quotes, comments.
    let found = words("a \"b\"\"c\" 'd''e' 1.5 -- x\n ::");
    let seen: Vec<(WordKind, &str, usize)> =
        found.iter().map(|word| (word.kind, word.text.as_str(), word.start)).collect();
    let expected = [
        (WordKind::Bare, "a", 0),
        (WordKind::Quoted, "b\"c", 2),
        (WordKind::Text, "'d''e'", 9),
        (WordKind::Number, "1.5", 16),
        (WordKind::Symbol, "::", 26),
    ];
    assert_eq!(seen, expected);
}
