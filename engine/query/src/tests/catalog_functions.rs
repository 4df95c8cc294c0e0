//! `duckdb_tables()` and its siblings, SHOW, SUMMARIZE, PRAGMA and SET.

use super::*;

async fn lake() -> Lake {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id BIGINT PRIMARY KEY, v DECIMAL(10,2) DEFAULT 1.5, s VARCHAR NOT NULL)").await;
    lake.run("INSERT INTO t VALUES (1, 10, 'a'), (2, NULL, 'b'), (3, 30, 'b'), (4, 40, 'c')").await;
    lake.run("COMMENT ON TABLE t IS 'things'; COMMENT ON COLUMN t.v IS 'value'; CREATE VIEW w AS SELECT id FROM t")
        .await;
    lake
}

#[tokio::test]
async fn duckdbs_catalog_functions_answer() {
    // Their columns under DuckDB's names; tables, views and databases as they are.
    let lake = lake().await;
    let tables = "SELECT database_name, schema_name, table_name, comment, internal, temporary, has_primary_key, \
                  estimated_size, column_count, sql FROM duckdb_tables() WHERE table_name = 't'";
    assert_eq!(
        lake.rows(tables).await,
        ["LAKE|main|t|things|false|false|true|4|3|CREATE TABLE t(id BIGINT NOT NULL, v DECIMAL(10,2) DEFAULT 1.50, \
          s VARCHAR NOT NULL, PRIMARY KEY (id));"]
    );
    let columns = "SELECT c.table_name, column_name, column_index, comment, is_nullable, data_type, numeric_precision \
                   FROM duckdb_columns() AS c WHERE database_name = 'LAKE' ORDER BY 1, 3";
    assert_eq!(
        lake.rows(columns).await,
        [
            "t|id|1|NULL|false|BIGINT|64",
            "t|v|2|value|true|DECIMAL(10,2)|10",
            "t|s|3|NULL|false|VARCHAR|NULL",
            "w|id|1|NULL|true|BIGINT|NULL"
        ]
    );
    let views = "SELECT view_name, column_count, internal, temporary, sql FROM duckdb_views()";
    assert_eq!(lake.rows(views).await, ["w|1|false|false|CREATE VIEW w AS SELECT id FROM t;"]);
    let databases = "SELECT database_name, internal, readonly, type FROM duckdb_databases() ORDER BY 1";
    assert_eq!(lake.rows(databases).await, ["LAKE|false|false|ducklake", "system|true|true|ducklake"]);
    let schemas = "SELECT database_name, schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL";
    assert_eq!(lake.rows(schemas).await, ["LAKE|main", "system|main"]);
    assert!(lake.error("FROM duckdb_tables(1)").await.message.starts_with("Binder Error"));
}

#[tokio::test]
async fn pragmas_are_an_allow_list() {
    // table_info as a statement and as a table function; anything else is refused.
    let lake = lake().await;
    let info = ["0|id|BIGINT|true|NULL|true", "1|v|DECIMAL(10,2)|false|1.50|false", "2|s|VARCHAR|true|NULL|false"];
    assert_eq!(lake.rows("PRAGMA table_info('T')").await, info);
    assert_eq!(lake.rows("SELECT * FROM pragma_table_info('lake.main.t')").await, info);
    assert_eq!(lake.rows("PRAGMA table_info('w')").await, ["0|id|BIGINT|false|NULL|false"]);
    assert_eq!(lake.rows("PRAGMA show_tables").await, ["t", "w"]);
    assert!(lake.error("PRAGMA table_info('\"x''y\"')").await.message.contains("does not exist"));
    assert!(lake.error("PRAGMA disable_checkpoint_on_shutdown").await.message.starts_with("Catalog Error"));
    assert!(lake.run("PRAGMA database_list").await.rows()[0].starts_with("1|LAKE|"));
}

#[tokio::test]
async fn show_lists_what_there_is() {
    // ALL TABLES, TABLES FROM a schema or a database, and a table's columns.
    let lake = lake().await;
    lake.run("CREATE SCHEMA other; CREATE TABLE other.x (a INTEGER)").await;
    assert_eq!(
        lake.rows("SHOW ALL TABLES").await,
        [
            "LAKE|main|t|[id, v, s]|[BIGINT, DECIMAL(10,2), VARCHAR]|false",
            "LAKE|main|w|[id]|[BIGINT]|false",
            "LAKE|other|x|[a]|[INTEGER]|false"
        ]
    );
    assert_eq!(lake.rows("SHOW TABLES FROM other").await, ["x"]);
    assert_eq!(lake.rows("SHOW TABLES FROM lake.main").await, ["t", "w"]);
    assert_eq!(lake.rows("SHOW TABLES FROM system").await, Vec::<String>::new());
    assert!(lake.error("SHOW TABLES FROM nowhere").await.message.contains("does not exist"));
    assert_eq!(lake.rows("SHOW w").await, ["id|BIGINT|YES|NULL|NULL|NULL"]);
    assert!(lake.error("SHOW nothing").await.message.contains("Table with name nothing does not exist!"));
}

#[tokio::test]
async fn summarize_reads_once_and_tells_each_column() {
    // Numbers, texts, nested values, NULLs, no rows at all; of tables, views and queries.
    let lake = lake().await;
    let answer = lake.run("SUMMARIZE t").await;
    assert_eq!(
        answer.names(),
        [
            "column_name",
            "column_type",
            "min",
            "max",
            "approx_unique",
            "avg",
            "std",
            "q25",
            "q50",
            "q75",
            "count",
            "null_percentage"
        ]
    );
    let rows = answer.rows();
    assert!(rows[0].starts_with("id|BIGINT|1|4|4|2.5|1.29099"), "{}", rows[0]);
    assert!(rows[1].starts_with("v|DECIMAL(10,2)|10.00|40.00|3|26.66"), "{}", rows[1]);
    assert!(rows[1].ends_with("|4|25.00"), "{}", rows[1]);
    assert_eq!(rows[2], "s|VARCHAR|a|c|3|NULL|NULL|NULL|NULL|NULL|4|0.00");
    assert_eq!(lake.rows("SUMMARIZE SELECT [1] AS l, id, id FROM w WHERE id < 2").await.len(), 3);
    let empty = lake.rows("SUMMARIZE FROM t WHERE false").await;
    assert_eq!(empty[2], "s|VARCHAR|NULL|NULL|0|NULL|NULL|NULL|NULL|NULL|0|NULL");
    assert!(lake.error("SUMMARIZE nothing").await.message.contains("does not exist"));
}

#[tokio::test]
async fn settings_of_how_to_work_are_taken() {
    // Without effect; unknown ones are refused; RESET brings the defaults back.
    let lake = lake().await;
    lake.run("SET threads = 4; SET memory_limit = '1GB'; SET GLOBAL enable_progress_bar = false; RESET threads").await;
    assert!(lake.error("SET no_such_thing = 1").await.message.contains("unrecognized configuration parameter"));
    assert_eq!(lake.rows("SET TimeZone = 'Asia/Tokyo'; RESET TimeZone; SHOW timezone").await, ["UTC"]);
}
