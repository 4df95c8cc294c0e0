//! `POST /v2/stream`: the partitions that an answer names.

use serde_json::{Value, json};
use siltstone_tests::Api;

use super::stream::{push, table};
use crate::api;

fn partitioned(api: &Api, name: &str, columns: &str, by: &str) {
    table(api, name, columns);
    api.succeed(&format!("ALTER TABLE bronze.{name} SET PARTITIONED BY ({by})"));
}

#[test]
fn labels_follow_the_layout() {
    // Each granularity by its own form, in UTC; NULL by name; distinct and in order.
    let api = api();
    let rows = json!([
        {"at": "2024-02-01T09:30:00Z", "day": "2023-12-31", "region": "eu"},
        {"at": "2024-01-15T10:59:59+02:00", "day": "2024-01-01", "region": null},
        {"at": "2024-01-15T08:00:00Z", "day": "2024-01-01", "region": "eu"},
    ]);
    let columns = "at TIMESTAMPTZ, day DATE, region VARCHAR";
    for (n, (by, labels)) in [
        ("year(at)", json!(["2024"])),
        ("month(at)", json!(["2024-01", "2024-02"])),
        ("day(at)", json!(["2024-01-15", "2024-02-01"])),
        ("hour(at)", json!(["2024-01-15T08", "2024-02-01T09"])),
        ("month(day)", json!(["2023-12", "2024-01"])),
        ("day", json!(["2023-12-31", "2024-01-01"])),
        ("region", json!(["eu", "null"])),
        ("year(at), region", json!(["at=2024/region=eu", "at=2024/region=null"])),
        ("bucket(4, region), year(day)", json!(["2023", "2024"])),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("partitioned_{n}");
        partitioned(&api, &name, columns, by);
        assert_eq!(push(&api, &name, rows.clone())["partitions"], labels, "{by}");
    }
}

#[test]
fn only_written_rows_have_partitions() {
    // A rejected row has none, nor has a row that its key keeps out; a column that no row mentions has its default.
    let api = api();
    partitioned(&api, "parted", "id INTEGER PRIMARY KEY, region VARCHAR DEFAULT 'eu'", "region");
    let body = push(&api, "parted", json!([{"id": 1, "region": "us"}, {"id": "x", "region": "asia"}]));
    assert_eq!((&body["partitions"], &body["rejected_rows"]), (&json!(["us"]), &json!(1)), "{body}");
    assert_eq!(push(&api, "parted", json!([{"id": 2}]))["partitions"], json!(["eu"]));
    let body = push(&api, "parted", json!([{"id": 1, "region": "again"}, {"id": 3, "region": "us"}]));
    assert_eq!((&body["partitions"], &body["rejected_rows"]), (&json!(["us"]), &json!(1)), "{body}");
    assert_eq!(push(&api, "parted", json!([{"id": 1}]))["partitions"], json!([]));
}

#[test]
fn many_partitions_are_cut() {
    // A hundred are shown, and how many more there are.
    let api = api();
    partitioned(&api, "many_parts", "n INTEGER", "n");
    let rows: Vec<Value> = (1000..1250).map(|n| json!({ "n": n })).collect();
    let body = push(&api, "many_parts", json!(rows));
    let labels = body["partitions"].as_array().expect("a list");
    assert_eq!(
        (labels.len(), &labels[0], &labels[99], &labels[100]),
        (101, &json!("1000"), &json!("1099"), &json!("… (+150 more)"))
    );
}
