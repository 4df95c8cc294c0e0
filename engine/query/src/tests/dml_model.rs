//! Random changes of one table against a map: what it holds, held at every snapshot, and what the change feed tells.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

type Model = BTreeMap<i64, i64>;

/// One statement on `t (id BIGINT PRIMARY KEY, v BIGINT)`.
#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<(i64, i64)>),
    Keep(i64, i64),
    Upsert(i64, i64),
    Add {
        modulus: i64,
        amount: i64,
    },
    Move {
        from: i64,
        to: i64,
    },
    Delete {
        low: i64,
        high: i64,
    },
    /// Rows of the source: matched ones are deleted if `v` is odd, else updated; others are inserted.
    Merge(Vec<(i64, i64)>),
    Truncate,
}

#[derive(Clone, Debug)]
enum Step {
    One(Op),
    Transaction(Vec<Op>, bool),
    Flush,
}

impl Op {
    fn sql(&self) -> String {
        let rows =
            |rows: &[(i64, i64)]| rows.iter().map(|(id, v)| format!("({id}, {v})")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Insert(new) => format!("INSERT INTO t VALUES {}", rows(new)),
            Self::Keep(id, v) => format!("INSERT INTO t VALUES ({id}, {v}) ON CONFLICT DO NOTHING"),
            Self::Upsert(id, v) => format!("INSERT OR REPLACE INTO t VALUES ({id}, {v})"),
            Self::Add { modulus, amount } => format!("UPDATE t SET v = v + {amount} WHERE id % {modulus} = 0"),
            Self::Move { from, to } => format!("UPDATE t SET id = {to} WHERE id = {from}"),
            Self::Delete { low, high } => format!("DELETE FROM t WHERE id BETWEEN {low} AND {high}"),
            Self::Merge(source) => format!(
                "MERGE INTO t USING (VALUES {}) AS s(id, v) ON t.id = s.id WHEN MATCHED AND s.v % 2 = 1 THEN DELETE \
                 WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *",
                rows(source)
            ),
            Self::Truncate => "TRUNCATE t".to_owned(),
        }
    }

    /// Whether the statement succeeds, and then its effect.
    fn apply(&self, model: &mut Model) -> bool {
        match self {
            Self::Insert(new) => {
                let mut after = model.clone();
                if new.iter().any(|(id, v)| after.insert(*id, *v).is_some()) {
                    return false;
                }
                *model = after;
            }
            Self::Keep(id, v) => {
                model.entry(*id).or_insert(*v);
            }
            Self::Upsert(id, v) => {
                model.insert(*id, *v);
            }
            Self::Add { modulus, amount } => {
                model.iter_mut().filter(|(id, _)| *id % modulus == 0).for_each(|(_, v)| *v += amount);
            }
            Self::Move { from, to } if model.contains_key(from) && from != to && model.contains_key(to) => {
                return false;
            }
            Self::Move { from, to } => {
                if let Some(v) = model.remove(from) {
                    model.insert(*to, v);
                }
            }
            Self::Delete { low, high } => model.retain(|id, _| id < low || id > high),
            Self::Merge(source) => {
                for (id, v) in source {
                    match model.contains_key(id) {
                        true if v % 2 == 1 => drop(model.remove(id)),
                        _ => drop(model.insert(*id, *v)),
                    }
                }
            }
            Self::Truncate => model.clear(),
        }
        true
    }
}

fn ops() -> impl Strategy<Value = Op> {
    let id = || 0..12_i64;
    let distinct = || prop::collection::btree_map(id(), 0..100_i64, 1..5).prop_map(|rows| rows.into_iter().collect());
    prop_oneof![
        4 => prop::collection::vec((id(), 0..100_i64), 1..4).prop_map(Op::Insert),
        1 => (id(), 0..100_i64).prop_map(|(id, v)| Op::Keep(id, v)),
        2 => (id(), 0..100_i64).prop_map(|(id, v)| Op::Upsert(id, v)),
        2 => (1..4_i64, 1..9_i64).prop_map(|(modulus, amount)| Op::Add { modulus, amount }),
        1 => (id(), id()).prop_map(|(from, to)| Op::Move { from, to }),
        1 => (id(), 0..4_i64).prop_map(|(low, width)| Op::Delete { low, high: low + width }),
        3 => distinct().prop_map(Op::Merge),
        1 => Just(Op::Truncate),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => ops().prop_map(Step::One),
        2 => (prop::collection::vec(ops(), 1..5), any::<bool>()).prop_map(|(ops, commit)| Step::Transaction(ops, commit)),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 1..25)
}

/// Runs a script that is to succeed or to fail for a key that is there already.
async fn run_expecting(lake: &Lake, sql: &str, success: bool) {
    match lake.run_with(sql, SessionSettings::default()).await {
        Ok(_) => assert!(success, "{sql} succeeded"),
        Err(error) => {
            assert!(!success && error.message.starts_with("Constraint Error: Duplicate key"), "{sql}: {error}");
        }
    }
}

fn texts(model: &Model) -> Vec<String> {
    model.iter().map(|(id, v)| format!("{id}|{v}")).collect()
}

async fn check(steps: &[Step]) {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)").await;
    let mut model = Model::new();
    let mut past = vec![(lake.engine.snapshot().id(), model.clone())];
    for step in steps {
        match step {
            Step::Flush => lake.engine.flush().unwrap(),
            Step::One(op) => {
                let success = op.apply(&mut model);
                run_expecting(&lake, &op.sql(), success).await;
            }
            Step::Transaction(ops, commit) => {
                let mut after = model.clone();
                let success = ops.iter().all(|op| op.apply(&mut after));
                if success && *commit {
                    model = after;
                }
                let script: Vec<String> = ops.iter().map(Op::sql).collect();
                let end = if *commit { "COMMIT" } else { "ROLLBACK" };
                run_expecting(&lake, &format!("BEGIN; {}; {end}", script.join("; ")), success).await;
            }
        }
        assert_eq!(lake.rows("SELECT * FROM t ORDER BY id").await, texts(&model), "after {step:?}");
        past.push((lake.engine.snapshot().id(), model.clone()));
    }
    for (snapshot, model) in &past {
        let sql = format!("SELECT * FROM t AT (VERSION => {snapshot}) ORDER BY id");
        assert_eq!(lake.rows(&sql).await, texts(model), "as of {snapshot}");
    }
    check_feed(&lake, &past).await;
}

/// Replays the change feed: it leads from each snapshot to the last.
async fn check_feed(lake: &Lake, past: &[(siltstone_storage::SnapshotId, Model)]) {
    let (last, expected) = past.last().unwrap();
    for (from, model) in past.iter().step_by(4).filter(|(from, _)| from < last) {
        let sql = format!(
            "SELECT change_type IN ('insert', 'update_postimage') AS comes, id, v \
             FROM table_changes('t', {}, {last}) ORDER BY snapshot_id, 1",
            from.0 + 1
        );
        let mut replayed = model.clone();
        for row in lake.rows(&sql).await {
            let cells: Vec<&str> = row.split('|').collect();
            let (id, v) = (cells[1].parse().unwrap(), cells[2].parse().unwrap());
            match cells[0] {
                "true" => assert_eq!(replayed.insert(id, v), None, "{row} came twice"),
                _ => assert_eq!(replayed.remove(&id), Some(v), "{row} went but was not there"),
            }
        }
        assert_eq!(&replayed, expected, "from {from}");
    }
}

#[test]
fn random_changes_end_where_a_map_ends() {
    // INSERT, ON CONFLICT, UPDATE, DELETE, MERGE, TRUNCATE and transactions, with flushes between; the present, the past and the feed.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(check(&steps));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
