//! Upserts of files: every rule against a plain model.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use siltstone_tests::Api;

use crate::api;
use crate::upload::{refusal, upload};

/// A row of the model: `a`, `b` the key, then cursor columns and a value; `None` is NULL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    key: (i64, String),
    major: Option<i64>,
    minor: Option<i64>,
    value: Option<i64>,
    kept: Option<i64>,
}

/// What the rules of the contract's section 6.5 make of a table, row by row.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
}

impl Model {
    /// `with_kept`: whether the file has the column `kept`. NULL is less than any value, as `Option` has it.
    fn upsert(&mut self, file: &[Row], cursor: bool, with_kept: bool) {
        let mut winners: BTreeMap<(i64, String), &Row> = BTreeMap::new();
        for row in file {
            let loses =
                cursor && winners.get(&row.key).is_some_and(|best| (row.major, row.minor) < (best.major, best.minor));
            if !loses {
                winners.insert(row.key.clone(), row);
            }
        }
        for (key, new) in winners {
            let mut matched = false;
            for old in self.rows.iter_mut().filter(|old| old.key == key) {
                matched = true;
                if !cursor || (new.major, new.minor) > (old.major, old.minor) {
                    let kept = if with_kept { new.kept } else { old.kept };
                    *old = Row { kept, ..new.clone() };
                }
            }
            if !matched {
                self.rows.push(Row { kept: new.kept.filter(|_| with_kept), ..new.clone() });
            }
        }
    }

    fn sorted(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        rows.sort();
        rows
    }
}

fn stored(api: &Api, table: &str) -> Vec<Row> {
    let found = api.rows(&format!("SELECT a, b, major, minor, value, kept FROM {table}"));
    let row = |cells: &Vec<Value>| Row {
        key: (cells[0].as_i64().expect("a key"), cells[1].as_str().expect("a key").to_owned()),
        major: cells[2].as_i64(),
        minor: cells[3].as_i64(),
        value: cells[4].as_i64(),
        kept: cells[5].as_i64(),
    };
    let mut rows: Vec<Row> = found.iter().map(row).collect();
    rows.sort();
    rows
}

fn as_csv(rows: &[Row], with_kept: bool) -> String {
    let cell = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut text = format!("value,b,major,A,minor{}\n", if with_kept { ",kept" } else { "" });
    for row in rows {
        let (a, b) = &row.key;
        text.push_str(&format!("{},{b},{},{a},{}", cell(row.value), cell(row.major), cell(row.minor)));
        if with_kept {
            text.push_str(&format!(",{}", cell(row.kept)));
        }
        text.push('\n');
    }
    text
}

fn as_json(rows: &[Row], with_kept: bool) -> String {
    let object = |row: &Row| {
        let mut object =
            json!({"value": row.value, "b": row.key.1, "major": row.major, "a": row.key.0, "minor": row.minor});
        if with_kept {
            object["kept"] = json!(row.kept);
        }
        object.to_string()
    };
    rows.iter().map(object).collect::<Vec<_>>().join("\n")
}

#[test]
fn upserts_do_what_the_model_does() {
    // Contract 6.5: composite keys, last or greatest of duplicates, NULL cursors, columns left alone, several stored rows with one key.
    let api = api();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..4 {
        let table = format!("modelled_{round}");
        api.succeed(&format!(
            "CREATE TABLE {table} (a BIGINT, b VARCHAR, major BIGINT, minor BIGINT, value BIGINT, kept BIGINT)"
        ));
        let mut model = Model::default();
        let row = |random: &mut fastrand::Rng| {
            let some = |random: &mut fastrand::Rng, n: i64| (random.u8(..4) > 0).then(|| random.i64(0..n));
            Row {
                key: (random.i64(0..4), format!("k{}", random.u8(..3))),
                major: some(random, 3),
                minor: some(random, 3),
                value: some(random, 1000),
                kept: some(random, 1000),
            }
        };
        // Rows with equal keys to begin with: appends are not held to any.
        let first: Vec<Row> = (0..8).map(|_| row(&mut random)).collect();
        assert_eq!(upload(&api, &table, "&mode=append", as_csv(&first, true)).status, 200);
        model.rows = first;
        for step in 0..8 {
            let file: Vec<Row> = (0..random.usize(1..20)).map(|_| row(&mut random)).collect();
            let (cursor, with_kept) = (random.bool(), random.bool());
            let more =
                format!("&mode=upsert&primary_key=a,%20B,{}", if cursor { "&cursor_field=major,minor" } else { "" });
            let body = if random.bool() { as_csv(&file, with_kept) } else { as_json(&file, with_kept) };
            let reply = upload(&api, &table, &more, body);
            assert_eq!(reply.status, 200, "{}", reply.text());
            model.upsert(&file, cursor, with_kept);
            assert_eq!(stored(&api, &table), model.sorted(), "seed {seed}, round {round}, step {step}: {file:?}");
        }
    }
}

#[test]
fn keys_that_cannot_be_are_refused() {
    // Contract 6.5: NULL in a key names its rows; key and cursor columns must be in the file.
    let api = api();
    let refused = |more: &str, body: &str| {
        refusal(&upload(&api, "unkeyed", &format!("&mode=upsert{more}"), body.to_owned())).to_owned()
    };
    assert_eq!(refused("&primary_key=id", "id,v\n1,a\n,b\n2,c\n,d\n"), "NULL in the primary key (id): rows 1, 3");
    assert_eq!(
        refused("&primary_key=id,k", "{\"id\":1,\"k\":1}{\"id\":2,\"k\":null}{\"id\":3}"),
        "NULL in the primary key (id, k): rows 1, 2"
    );
    assert_eq!(refused("&primary_key=key", "id,v\n1,a\n"), "primary key column \"key\" is not in the file");
    assert_eq!(refused("&primary_key=id&cursor_field=at", "id,v\n1,a\n"), "cursor column \"at\" is not in the file");
    assert_eq!(refused("&primary_key=id,ID", "id,v\n1,a\n"), "primary key column \"ID\" is named twice");
    assert!(api.query_error("SELECT * FROM unkeyed").contains("does not exist"));
    api.succeed("CREATE TABLE unkeyed (id BIGINT, v VARCHAR)");
    assert_eq!(refused("&primary_key=id", "[{\"v\":\"x\"}]"), "primary key column \"id\" is not in the file");
}

#[test]
fn a_file_of_keys_alone_inserts_what_is_new() {
    // Contract 6.5: matched rows are left alone, new keys come in; the key may be another one the next time.
    let api = api();
    assert_eq!(upload(&api, "keys_only", "&mode=upsert&primary_key=id", "id,v\n1,a\n2,b\n").status, 200);
    assert_eq!(upload(&api, "keys_only", "&mode=upsert&primary_key=id", "id\n2\n3\n").status, 200);
    let rows = || api.rows("SELECT id, v FROM keys_only ORDER BY id");
    assert_eq!(rows(), [[json!(1), json!("a")], [json!(2), json!("b")], [json!(3), Value::Null]]);
    assert_eq!(upload(&api, "keys_only", "&mode=upsert&primary_key=v", "v,id\nb,20\nc,4\n").status, 200);
    assert_eq!(
        rows(),
        [[json!(1), json!("a")], [json!(3), Value::Null], [json!(4), json!("c")], [json!(20), json!("b")]]
    );
}

/// A server that looks up about 15,000 rows of [`long_file`] at a time.
fn server_of_small_pieces() -> siltstone_tests::Server {
    siltstone_tests::Server::start(crate::launch().arg("--upload-piece-bytes").arg("1MiB"))
}

/// Ids from 0, and below them the lines of `end`.
fn long_file(end: &str) -> String {
    let lines: String = (0..40_000).map(|i| format!("{i},1,{i:0>40}\n")).collect();
    format!("id,at,v\n{lines}{end}")
}

#[test]
fn a_long_upsert_counts_as_one() {
    // Whatever its size: of rows with one key the newest by the cursor counts, the last among equals, and a stored row only gives way to
    // a newer one, wherever in the file the rows are.
    let server = server_of_small_pieces();
    let api = server.api();
    assert_eq!(upload(&api, "merged", "&mode=create", "id,at,v\n1,1,stored\n2,0,stored\n50000,1,stored\n").status, 200);
    let before: Value = api.rows("SELECT count(*) FROM LAKE.snapshots()")[0][0].clone();
    let file = long_file("7,1,again\n8,0,older\n9,2,newer\n9,2,last\n1,1,no newer\n");
    let reply = upload(&api, "merged", "&mode=upsert&primary_key=id&cursor_field=at", file.clone());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let check = || {
        let picked = api.rows("SELECT id, v FROM merged WHERE id IN (1, 2, 7, 8, 9, 50000) ORDER BY id");
        let padded = |i: u32| format!("{i:0>40}");
        let expected = [(1, "stored".to_owned()), (2, padded(2)), (7, "again".to_owned()), (8, padded(8))];
        let expected = expected.into_iter().chain([(9, "last".to_owned()), (50_000, "stored".to_owned())]);
        let expected: Vec<Value> = expected.map(|(id, v)| json!([id, v])).collect();
        assert_eq!(json!(picked), json!(expected));
        assert_eq!(api.rows("SELECT count(*), count(DISTINCT id) FROM merged"), [[json!(40_001), json!(40_001)]]);
    };
    check();
    let commits = json!(before.as_i64().expect("a number") + 1);
    assert_eq!(api.rows("SELECT count(*) FROM LAKE.snapshots()")[0][0], commits, "one commit");
    // The same once more changes nothing.
    assert_eq!(upload(&api, "merged", "&mode=upsert&primary_key=id&cursor_field=at", file).status, 200);
    check();
}

#[test]
fn a_long_file_with_bad_keys_changes_nothing() {
    // Contract 6.5: NULL in the key is 400 naming the rows, of every piece of the file; so is a key that the table has already.
    let server = server_of_small_pieces();
    let api = server.api();
    let mut file = long_file(",1,no key\n7,1,again\n,2,no key\n");
    file = file.replacen("\n3,1,", "\n,1,", 1);
    let reply = upload(&api, "merged", "&mode=upsert&primary_key=id", file);
    assert_eq!((reply.status, reply.text().contains("rows 3, 40000, 40002")), (400, true), "{}", reply.text());
    assert!(api.query_error("SELECT * FROM merged").contains("does not exist"));

    api.rows("CREATE TABLE keyed (id BIGINT PRIMARY KEY, at BIGINT, v VARCHAR)");
    let reply = upload(&api, "keyed", "&mode=append", long_file("7,1,again\n"));
    assert_eq!((reply.status, reply.text().contains("rows 40000")), (400, true), "{}", reply.text());
    assert_eq!(api.rows("SELECT count(*) FROM keyed"), [[json!(0)]]);
    assert_eq!(upload(&api, "keyed", "&mode=append", long_file("40000,1,new\n")).status, 200);
    assert_eq!(upload(&api, "keyed", "&mode=upsert&primary_key=id", long_file("40001,1,new\n")).status, 200);
    assert_eq!(
        api.rows("SELECT count(*), count(DISTINCT id), max(id) FROM keyed"),
        [[json!(40_002), json!(40_002), json!(40_001)]]
    );
    assert!(api.query_error("INSERT INTO keyed VALUES (39999, 1, 'x')").contains("Duplicate key"));
}
