//! `docs/sql.md` against what runs.

use super::*;

/// The page.
const PAGE: &str = include_str!("../../../../docs/sql.md");

/// What makes the tables that the examples name.
const TABLES: &str = "CREATE TABLE t (a INTEGER, b INTEGER DEFAULT 5, at TIMESTAMP); INSERT INTO t (a) VALUES (1), (2); \
     CREATE TABLE k (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO k VALUES (1, 1); CREATE SCHEMA s; CREATE VIEW v AS FROM t";

/// How a row of the table of statements begins, and examples of all it lists.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "`SELECT`, `WITH [RECURSIVE]`",
        &[
            "SELECT a FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
            "VALUES (1)",
            "FROM t SELECT a",
            "FROM t WHERE a > 1",
            "SELECT * FROM t SEMI JOIN k ON t.a = k.id",
            "SELECT * FROM t ANTI JOIN k ON t.a = k.id",
            "SELECT a, count(*) FROM t GROUP BY ALL",
            "SELECT * EXCLUDE (a) FROM t",
            "SELECT * REPLACE (a + 1 AS a) FROM t",
            "SELECT * RENAME (a AS x) FROM t",
            "SELECT COLUMNS(* EXCLUDE (at)) + 1, COLUMNS(t.*), COLUMNS(['a']), COLUMNS('^a'), COLUMNS(c -> c = 'b') FROM t",
            "SELECT * FROM t PIVOT (sum(b) FOR a IN (1, 2 AS two)) AS p",
            "SELECT * FROM t UNPIVOT INCLUDE NULLS (v FOR n IN (a, b AS x))",
        ],
    ),
    (
        "`PIVOT t ON",
        &[
            "PIVOT t ON a, at IN (NULL) USING sum(b) AS x, max(b) GROUP BY b % 2 LIMIT 1",
            "PIVOT t ON a ORDER BY at",
            "UNPIVOT t ON a, b INTO NAME n VALUE v ORDER BY v LIMIT 1",
        ],
    ),
    ("`EXPLAIN", &["EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT a FROM t"]),
    ("`DESCRIBE t`", &["DESCRIBE t", "DESCRIBE SELECT 1", "DESCRIBE (SELECT 1)", "SHOW t"]),
    ("`SUMMARIZE t`", &["SUMMARIZE t", "SUMMARIZE SELECT a FROM t"]),
    (
        "`SHOW TABLES",
        &["SHOW TABLES", "SHOW TABLES FROM s", "SHOW ALL TABLES", "SHOW SCHEMAS", "SHOW DATABASES", "SHOW timezone"],
    ),
    (
        "`PRAGMA",
        &[
            "PRAGMA table_info('t')",
            "PRAGMA show_tables",
            "PRAGMA show_databases",
            "PRAGMA database_list",
            "PRAGMA version",
        ],
    ),
    ("`CREATE DATABASE", &["CREATE DATABASE d", "CREATE DATABASE IF NOT EXISTS lake"]),
    (
        "`ATTACH",
        &[
            "ATTACH ':memory:' AS m; CREATE TABLE m.main.t (a INTEGER); DETACH m",
            "ATTACH IF NOT EXISTS ':memory:' AS m; DROP DATABASE m",
            "DETACH IF EXISTS m",
        ],
    ),
    ("`CREATE SCHEMA", &["CREATE SCHEMA x", "CREATE SCHEMA IF NOT EXISTS lake.s"]),
    (
        "`CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t (…)`",
        &[
            "CREATE OR REPLACE TABLE t (a INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (a))",
            "CREATE TABLE IF NOT EXISTS lake.n.x (a DATE)",
        ],
    ),
    (
        "`CREATE [OR REPLACE] TEMP TABLE",
        &[
            "CREATE TEMP TABLE x (a INTEGER); INSERT INTO x VALUES (1); DROP TABLE x",
            "CREATE OR REPLACE TEMPORARY TABLE x AS SELECT 1 AS a; FROM temp.x",
            "CREATE TEMP TABLE IF NOT EXISTS temp.main.x (a INTEGER)",
        ],
    ),
    ("`CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t AS query`", &["CREATE OR REPLACE TABLE x AS SELECT 1 AS a"]),
    (
        "`CREATE [OR REPLACE] VIEW",
        &[
            "CREATE OR REPLACE VIEW v (x) AS SELECT 1",
            "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
            "ALTER VIEW v RENAME TO w",
        ],
    ),
    (
        "`DROP TABLE / VIEW / SCHEMA / DATABASE",
        &["DROP TABLE t", "DROP VIEW IF EXISTS v", "DROP SCHEMA s CASCADE", "CREATE DATABASE d; DROP DATABASE d"],
    ),
    (
        "`ALTER TABLE t ADD",
        &[
            "ALTER TABLE t ADD COLUMN IF NOT EXISTS c INTEGER",
            "ALTER TABLE t DROP COLUMN IF EXISTS b",
            "ALTER TABLE t RENAME COLUMN b TO c",
            "ALTER TABLE t RENAME TO u",
        ],
    ),
    (
        "`ALTER TABLE t ALTER [COLUMN] c [SET DATA] TYPE",
        &[
            "ALTER TABLE t ALTER COLUMN a SET DATA TYPE VARCHAR",
            "ALTER TABLE t ALTER a TYPE BIGINT USING a + 1",
            "ALTER TABLE t ALTER b SET DEFAULT 3",
            "ALTER TABLE t ALTER b DROP DEFAULT",
        ],
    ),
    (
        "`ALTER TABLE t ALTER [COLUMN] c SET / DROP NOT NULL`",
        &["ALTER TABLE t ALTER a SET NOT NULL; ALTER TABLE t ALTER a DROP NOT NULL"],
    ),
    (
        "`ALTER TABLE t SET PARTITIONED BY",
        &[
            "ALTER TABLE t SET PARTITIONED BY (a, year(at), month(at), day(at), hour(at), bucket(4, a))",
            "ALTER TABLE t SET SORTED BY (a DESC); ALTER TABLE t RESET SORTED BY; ALTER TABLE t RESET PARTITIONED BY",
        ],
    ),
    (
        "`CREATE INDEX",
        &[
            "CREATE INDEX i ON t (a, b DESC); DROP INDEX i",
            "CREATE INDEX IF NOT EXISTS i ON t (a); DROP INDEX IF EXISTS i",
        ],
    ),
    (
        "`COMMENT ON",
        &[
            "COMMENT ON TABLE t IS 'x'",
            "COMMENT ON VIEW v IS 'x'",
            "COMMENT ON COLUMN t.a IS 'x'",
            "COMMENT ON SCHEMA s IS NULL",
        ],
    ),
    (
        "`[WITH …] INSERT INTO t",
        &[
            "WITH x AS (SELECT 7 AS a) INSERT INTO t (a) SELECT a FROM x",
            "INSERT INTO t DEFAULT VALUES",
            "INSERT INTO t (a) VALUES (9)",
            "INSERT INTO t BY NAME SELECT 1 AS b",
        ],
    ),
    (
        "`INSERT … ON CONFLICT",
        &[
            "INSERT INTO k VALUES (1, 2) ON CONFLICT (id) DO NOTHING",
            "INSERT INTO k VALUES (1, 2) ON CONFLICT DO UPDATE SET v = excluded.v WHERE k.v < 9",
            "INSERT OR IGNORE INTO k VALUES (1, 2)",
            "INSERT OR REPLACE INTO k VALUES (1, 2)",
        ],
    ),
    ("`[WITH …] DELETE FROM t", &["DELETE FROM t AS x USING k WHERE x.a = k.id", "TRUNCATE t"]),
    ("`[WITH …] UPDATE t", &["UPDATE t AS x SET b = DEFAULT, (a, at) = (1, NULL) FROM k WHERE x.a = k.id"]),
    (
        "`MERGE INTO t",
        &["MERGE INTO k USING t ON k.id = t.a WHEN MATCHED THEN UPDATE SET v = t.b WHEN NOT MATCHED THEN DO NOTHING"],
    ),
    ("`BEGIN [TRANSACTION]`", &["BEGIN TRANSACTION; DELETE FROM t; ROLLBACK", "BEGIN; DELETE FROM t; COMMIT"]),
    (
        "`CALL set_commit_message",
        &["BEGIN; DELETE FROM t; CALL set_commit_message('me', 'why', extra_info => '{}'); COMMIT"],
    ),
    (
        "`SET TimeZone`",
        &[
            "SET TimeZone = 'UTC'",
            "SET schema = 'main'",
            "SET integer_division = false",
            "USE lake.s",
            "RESET TimeZone",
        ],
    ),
    (
        "`COPY t",
        &[
            "COPY t TO 'x.csv' (HEADER false, DELIMITER ';')",
            "COPY (SELECT 1 AS a) TO 'x.parquet' (FORMAT parquet)",
            "COPY k (id) TO 'x.csv'; CREATE TABLE n (id INTEGER); COPY n FROM 'x.csv'",
            "COPY t TO 'x.csv'; FROM 'x.csv'; SELECT * FROM read_csv('x.csv', filename = true)",
        ],
    ),
    ("`SET threads`", &["SET threads = 1; SET memory_limit = '1GB'", "SET preserve_insertion_order = true"]),
];

/// First cells of the page's table of statements.
fn listed() -> Vec<&'static str> {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| Statement")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_start_matches("| ").split(" | ").next().unwrap_or(line)).collect()
}

#[tokio::test]
async fn every_statement_of_the_page_runs() {
    // Each row of its table has examples here, each example a row there, and all of them run on fresh tables.
    let listed = listed();
    assert_eq!(listed.len(), EXAMPLES.len(), "{listed:?}");
    let lake = Lake::new();
    for (row, (begins, examples)) in listed.iter().zip(EXAMPLES) {
        assert!(row.starts_with(begins), "{row} has no examples, or they stand elsewhere than at {begins}");
        for sql in *examples {
            lake.run("DROP SCHEMA IF EXISTS main CASCADE; DROP SCHEMA IF EXISTS s CASCADE; DROP DATABASE IF EXISTS d; CREATE SCHEMA main").await;
            lake.run(TABLES).await;
            lake.run(sql).await;
        }
    }
}

#[tokio::test]
async fn what_the_page_says_is_missing_is_refused() {
    // By name, never taken for something else.
    let lake = Lake::new();
    lake.run(TABLES).await;
    for sql in [
        "DELETE FROM t RETURNING *",
        "CREATE TABLE x (a INTEGER UNIQUE)",
        "CREATE UNIQUE INDEX x ON t (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "SAVEPOINT x",
        "ATTACH 'x.db' AS x",
        "SELECT * FROM t POSITIONAL JOIN k",
    ] {
        let error = lake.error(sql).await;
        assert!(error.message.starts_with("Not implemented Error"), "{sql}: {error}");
    }
}
