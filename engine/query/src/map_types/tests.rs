//! Where brackets go, and where they do not.

use datafusion::sql::sqlparser::dialect::DuckDbDialect;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::*;

fn bracketed(sql: &str) -> String {
    let mut tokens = Tokenizer::new(&DuckDbDialect {}, sql).tokenize_with_location().unwrap();
    bracket(&mut tokens);
    tokens.iter().map(|token| token.token.to_string()).collect()
}

/// Proves that types get brackets, wherever they stand and however they are nested.
#[test]
fn types_are_bracketed() {
    for (sql, expected) in [
        ("CREATE TABLE t (m MAP(VARCHAR, INTEGER))", "CREATE TABLE t (m MAP<VARCHAR, INTEGER>)"),
        ("(\"M\" map (INT, DECIMAL(10,2)) NOT NULL, n INT)", "(\"M\" map <INT, DECIMAL(10,2)> NOT NULL, n INT)"),
        ("x::MAP(INT, MAP(INT, STRUCT(a MAP(INT, INT)))[])", "x::MAP<INT, MAP<INT, STRUCT(a MAP<INT, INT>)>[]>"),
        ("CAST(map(a, b) AS MAP(INT, INT))", "CAST(map(a, b) AS MAP<INT, INT>)"),
        ("ALTER TABLE t ALTER c TYPE MAP(INT, INT)", "ALTER TABLE t ALTER c TYPE MAP<INT, INT>"),
        ("(key MAP(INT, INT), value MAP(INT, INT))", "(key MAP<INT, INT>, value MAP<INT, INT>)"),
    ] {
        assert_eq!(bracketed(sql), expected);
    }
}

/// Proves that calls of the function keep their parentheses.
#[test]
fn calls_stay_calls() {
    for sql in [
        "SELECT map(a, b), map(c, d) FROM t WHERE map(a, b)['x'] = 1 AND map(['a'], [1]) IS NOT NULL",
        "SELECT f(map(a, b)), CASE WHEN x THEN map(a, b) ELSE map(c, d) END ORDER BY map(a, b)",
        "SELECT DISTINCT map(a, b) FROM t AS map(a, b)",
        "INSERT INTO t VALUES (map([1], [2]), (map([1], [2])))",
        "SELECT 1 + map(a, b)",
    ] {
        assert_eq!(bracketed(sql), sql);
    }
}
