//! `POST /upload` and `/upsert`: five modes, three formats, tables that are there and tables that are not.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use reqwest::Method;
use serde_json::{Value, json};
use siltstone_tests::{Api, Reply};

use crate::{api, launch, server};

/// Sends a file to `LAKE.main.<table>`.
pub fn send(api: &Api, door: &str, table: &str, more: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let path = format!("{door}?catalog=LAKE&schema=main&table={table}{more}");
    let mut request = api.request(Method::POST, &path).header("authorization", api.basic());
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    Reply::from(request.body(body.into()))
}

/// Sends a file whose format is to be found out.
pub fn upload(api: &Api, table: &str, more: &str, body: impl Into<Vec<u8>>) -> Reply {
    send(api, "/upload", table, more, "", body)
}

/// The message of a refused file.
pub fn refusal(reply: &Reply) -> &str {
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    reply.text()
}

/// The columns as a Parquet file.
pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

/// Rows of `id BIGINT, name VARCHAR` in each format.
fn files(rows: &[(i64, &str)]) -> [(&'static str, Vec<u8>); 3] {
    let csv: String = rows.iter().map(|(id, name)| format!("{id},{name}\n")).collect();
    let json: Vec<Value> = rows.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    let ids: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
    let names: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>());
    [
        ("csv", format!("id,name\n{csv}").into_bytes()),
        ("json", Value::from(json).to_string().into_bytes()),
        ("parquet", parquet(vec![("id", ids), ("name", names)])),
    ]
}

fn content(api: &Api, table: &str) -> Vec<Vec<Value>> {
    api.rows(&format!("SELECT id, name FROM {table} ORDER BY id, name"))
}

#[test]
fn five_modes_in_three_formats_do_what_the_table_says() {
    // Contract 6.3, a table that is missing and one that is there, each in its own schema of the answer.
    let api = api();
    let old = [(1, "old"), (2, "old")];
    let new = [(2, "new"), (3, "new")];
    let row = |id: i64, name: &str| vec![json!(id), json!(name)];
    let added = vec![row(1, "old"), row(2, "new"), row(2, "old"), row(3, "new")];
    let only_new = vec![row(2, "new"), row(3, "new")];
    let merged = vec![row(1, "old"), row(2, "new"), row(3, "new")];
    let modes = [
        ("create", Some(&only_new), None),
        ("append", None, Some(&added)),
        ("create_append", Some(&only_new), Some(&added)),
        ("overwrite", Some(&only_new), Some(&only_new)),
        ("upsert&primary_key=id", Some(&only_new), Some(&merged)),
    ];
    for (format, file) in files(&new) {
        for (mode, missing, existing) in &modes {
            let name = mode.split('&').next().expect("a mode");
            for (table, expected) in
                [(format!("up_{format}_{name}_new"), missing), (format!("up_{format}_{name}"), existing)]
            {
                let there = !table.ends_with("_new");
                if there {
                    assert_eq!(upload(&api, &table, "&mode=create", files(&old)[0].1.clone()).status, 200);
                }
                let reply = upload(&api, &table, &format!("&mode={mode}"), file.clone());
                match expected {
                    Some(rows) => {
                        assert_eq!(reply.status, 200, "{table}: {}", reply.text());
                        assert_eq!(content(&api, &table), **rows, "{table}");
                    }
                    None if there => {
                        assert_eq!(refusal(&reply), format!("Table \"main.{table}\" already exists"));
                        assert_eq!(content(&api, &table), [row(1, "old"), row(2, "old")]);
                    }
                    None => assert_eq!(refusal(&reply), format!("Table \"main.{table}\" does not exist")),
                }
            }
        }
    }
}

#[test]
fn a_file_that_landed_is_answered_in_full() {
    // Contract 6.2: the reply's keys, the commit's snapshot, and a task that is known; a schema that is missing is made.
    let api = api();
    let path = "/upload?catalog=lake&schema=Fresh.er&table=t.1&mode=create&surprise=1";
    let request = api.request(Method::POST, path).header("authorization", api.basic());
    let reply = Reply::from(request.body("a,b\n1,2\n3,4\n"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let task = body["task_id"].as_str().expect("a task id").to_owned();
    let expected = json!({"ok": true, "task_id": task, "status": "completed", "error_message": null, "error_code": null, "rows": 2});
    assert_eq!(body, expected);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(api.get(&format!("/tasks/{task}")).json(), json!({"task_id": task, "status": "completed"}));
    let snapshot: u64 = reply.header("x-snapshot-id").parse().expect("a snapshot id");
    assert_eq!(
        api.rows("SELECT * FROM LAKE.\"fresh.er\".\"T.1\" ORDER BY 1"),
        [[json!(1), json!(2)], [json!(3), json!(4)]]
    );
    let history = format!("SELECT author, commit_message FROM LAKE.snapshots() WHERE snapshot_id = {snapshot}");
    assert_eq!(api.rows(&history).len(), 1);
}

#[test]
fn the_doors_differ_in_the_default_mode_alone() {
    // Contract 6.1: /upsert merges unless told otherwise, /upload appends.
    let api = api();
    let csv = || b"id,name\n1,x\n".to_vec();
    let reply = send(&api, "/upsert", "doors", "", "", csv());
    assert!(refusal(&reply).contains("primary_key is required"));
    assert!(refusal(&upload(&api, "doors", "", csv())).contains("does not exist"));
    assert_eq!(send(&api, "/upsert", "doors", "&primary_key=id", "", csv()).status, 200);
    assert_eq!(send(&api, "/upsert", "doors", "&primary_key=id", "", csv()).status, 200);
    assert_eq!(api.count("doors"), 1);
    assert_eq!(upload(&api, "doors", "", csv()).status, 200);
    assert_eq!(api.count("doors"), 2);
    assert_eq!(send(&api, "/upsert", "doors", "&mode=overwrite", "", csv()).status, 200);
    assert_eq!(api.count("doors"), 1);
}

#[test]
fn bad_parameters_are_named() {
    // Contract 6.1; nothing is read, nothing is made.
    let api = api();
    let post = |query: &str| {
        let request = api.request(Method::POST, &format!("/upload?{query}")).header("authorization", api.basic());
        Reply::from(request.body("id\n1\n"))
    };
    for (query, expected) in [
        ("schema=main&table=t", "parameter catalog is required"),
        ("catalog=LAKE&schema=&table=t", "parameter schema is required"),
        ("catalog=LAKE&schema=main", "parameter table is required"),
        (
            "catalog=LAKE&schema=main&table=bad&mode=merge",
            "parameter mode must be one of create, append, create_append, upsert, overwrite",
        ),
        ("catalog=LAKE&schema=main&table=bad&format=xml", "parameter format must be csv, json or parquet"),
        (
            "catalog=LAKE&schema=main&table=bad&mode=upsert&primary_key=%20,,",
            "parameter primary_key is required to upsert, and names at least one column",
        ),
        (
            "catalog=LAKE&schema=main&table=bad&mode=upsert&primary_key=id&cursor_field=",
            "parameter cursor_field names no column",
        ),
        ("catalog=nowhere&schema=main&table=bad&mode=create", "Catalog \"nowhere\" does not exist"),
        ("catalog=system&schema=main&table=bad&mode=create", "Catalog \"system\" is read-only"),
        (
            "catalog=LAKE&schema=main&table=bad&mode=create&primary_key=nope",
            "primary key column \"nope\" is not in the file",
        ),
    ] {
        assert_eq!(refusal(&post(query)), expected, "{query}");
    }
    assert!(api.query_error("SELECT * FROM bad").contains("does not exist"));
    let anonymous = Reply::from(api.request(Method::POST, "/upsert?catalog=LAKE").body("id\n1\n"));
    assert_eq!(anonymous.status, 401);
}

#[test]
fn a_bad_last_row_leaves_nothing() {
    // Contract 6.2: wholly or not at all, the creation of the table and the schema included.
    let api = api();
    let long: String = (0..20_000).map(|i| format!("{i},x\n")).collect();
    assert_eq!(upload(&api, "whole", "&mode=create", "id,name\n1,x\n").status, 200);
    for mode in ["append", "create_append", "upsert&primary_key=id"] {
        let reply = upload(&api, "whole", &format!("&mode={mode}"), format!("id,name\n{long}oops,x\n"));
        assert_eq!(refusal(&reply), "line 20002, column \"id\": cannot convert string 'oops' to BIGINT", "{mode}");
    }
    let reply = upload(&api, "whole", "&mode=overwrite", format!("id,name\n{long}1\n"));
    assert_eq!(refusal(&reply), "line 20002: expected 2 fields as in the header, found 1");
    let text: String = (0..20_000).map(|i| format!("{{\"id\":{i}}}\n")).collect();
    let reply = upload(&api, "whole", "&mode=append", format!("{text}{{\"id\":[]}}"));
    assert!(refusal(&reply).starts_with("row 20000, column \"id\": "), "{}", reply.text());
    assert_eq!(content(&api, "whole"), [[json!(1), json!("x")]]);
    let path = "/upsert?catalog=LAKE&schema=half&table=half&primary_key=id";
    let request = api.request(Method::POST, path).header("authorization", api.basic());
    let reply = Reply::from(request.body(format!("id,name\n{long},x\n")));
    assert_eq!(refusal(&reply), "NULL in the primary key (id): rows 20000");
    assert!(api.query_error("SELECT * FROM half.half").contains("does not exist"));
    assert!(api.rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'half'").is_empty());
}

#[test]
fn overwriting_replaces_columns_in_one_commit() {
    // Contract 6.3: new columns and types from the file, and every reader sees the old table or the new one.
    let api = api();
    assert_eq!(upload(&api, "replaced", "&mode=create", "a,b\n1,x\n").status, 200);
    let reader = api.clone();
    let watching = std::thread::spawn(move || {
        (0..40).map(|_| reader.succeed("SELECT * FROM replaced").rows.len()).collect::<Vec<_>>()
    });
    for turn in 0..10 {
        let (header, row) = if turn % 2 == 0 { ("c", "2024-01-15") } else { ("a,b", "1,x") };
        assert_eq!(upload(&api, "replaced", "&mode=overwrite", format!("{header}\n{row}\n")).status, 200);
    }
    assert_eq!(watching.join().expect("every read succeeds"), vec![1; 40]);
    assert_eq!(upload(&api, "replaced", "&mode=overwrite", "c\n2024-01-15\n").status, 200);
    let found = api.succeed("SELECT * FROM replaced");
    assert_eq!(found.columns, [("c".to_owned(), "DATE".to_owned())]);
}

#[test]
fn curl_waits_for_the_go_ahead() {
    // `Expect: 100-continue`, which curl sends with large bodies; a body that is too large is refused without being read.
    let server = siltstone_tests::Server::start(launch().arg("--upload-file-bytes-max").arg("4MiB"));
    let folder = tempfile::tempdir().expect("a folder");
    let curl = |bytes: usize| {
        let path = folder.path().join("file.csv");
        std::fs::write(&path, format!("id,name\n1,{}\n", "x".repeat(bytes))).expect("a file");
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/stderr", "-w", "%{http_code} %{size_upload}", "-H", "Expect: 100-continue", "-H"])
            .arg(format!("authorization: {}", server.api().basic()))
            .arg("--data-binary")
            .arg(format!("@{}", path.display()))
            .arg(format!("{}/upload?catalog=LAKE&schema=main&table=curled&mode=create_append", server.url()))
            .output()
            .expect("curl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let taken = curl(2 << 20);
    assert!(taken.starts_with("200 2097"), "{taken}");
    let refused = curl(5 << 20);
    assert_eq!(refused, "413 0");
    assert_eq!(server.api().count("curled"), 1);
}

#[test]
fn nothing_stays_in_the_spool_folder() {
    // Spooled files have no names, so that a crash leaves none behind.
    let server = server();
    let api = server.api();
    assert_eq!(upload(&api, "spooled", "&mode=create", "id\n1\n").status, 200);
    let spool = server.data().path().join("spool");
    assert_eq!(std::fs::read_dir(spool).expect("the folder").count(), 0);
}
