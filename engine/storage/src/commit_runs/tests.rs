use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

/// Runs and, as the model, the commit of each row.
fn any_runs() -> impl Strategy<Value = (CommitRuns, Vec<u64>)> {
    let run = (0..40_u64, 0..30_usize);
    (prop::collection::vec(run, 0..60), any::<bool>()).prop_map(|(mut parts, ordered)| {
        if ordered {
            parts.sort_unstable();
        }
        let mut runs = CommitRuns::default();
        let mut rows = Vec::new();
        for (snapshot, count) in parts {
            runs.push(SnapshotId(snapshot), count);
            rows.extend(std::iter::repeat_n(snapshot, count));
        }
        (runs, rows)
    })
}

fn commits(runs: &CommitRuns) -> Vec<u64> {
    runs.iter().flat_map(|(snapshot, rows)| rows.map(move |_| snapshot.0)).collect()
}

proptest! {
    /// Proves that runs say of each row what one entry per row would, for whole, sliced and joined ones, ordered or not.
    #[test]
    fn runs_equal_a_list((runs, rows) in any_runs(), (more, more_rows) in any_runs(), at in 0..45_u64, a: prop::sample::Index, b: prop::sample::Index) {
        prop_assert_eq!(runs.rows(), rows.len());
        prop_assert_eq!(commits(&runs), rows.clone());
        prop_assert_eq!(runs.first().map(|id| id.0), rows.iter().min().copied());
        prop_assert_eq!(runs.last().map(|id| id.0), rows.iter().max().copied());

        let seen: Vec<usize> = (0..rows.len()).filter(|row| rows[*row] <= at).collect();
        let visible = runs.visible(SnapshotId(at));
        prop_assert!(visible.windows(2).all(|pair| pair[0].end < pair[1].start));
        prop_assert_eq!(runs.visible_rows(SnapshotId(at)), seen.len());
        prop_assert_eq!(visible.into_iter().flatten().collect::<Vec<_>>(), seen);

        let (a, b) = (a.index(rows.len() + 1), b.index(rows.len() + 1));
        let range = a.min(b)..a.max(b);
        prop_assert_eq!(commits(&runs.slice(range.clone())), rows[range].to_vec());

        let mut joined = runs.clone();
        joined.append(&more);
        prop_assert_eq!(commits(&joined), [rows, more_rows].concat());
    }

    /// Proves that runs come back from bytes, and that cut bytes are refused.
    #[test]
    fn runs_come_back((runs, rows) in any_runs()) {
        let mut bytes = Vec::new();
        runs.encode(&mut bytes);
        let mut reader = ByteReader::new("test", 0, &bytes);
        prop_assert_eq!(CommitRuns::decode(rows.len(), &mut reader).unwrap(), runs);
        reader.finish().unwrap();
        for end in 0..bytes.len() {
            let error = CommitRuns::decode(rows.len(), &mut ByteReader::new("test", 0, &bytes[..end])).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}

/// Proves that runs of another number of rows are refused.
#[test]
fn rows_must_match() {
    let mut bytes = Vec::new();
    CommitRuns::of(SnapshotId(1), 5).encode(&mut bytes);
    for rows in [0, 4, 6] {
        let error = CommitRuns::decode(rows, &mut ByteReader::new("test", 0, &bytes)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "rows={rows}");
    }
}

/// Proves that a thousand one-row commits in a row cost next to nothing on disk.
#[test]
fn consecutive_commits_are_small() {
    let mut runs = CommitRuns::default();
    (1..=1024).for_each(|id| runs.push(SnapshotId(id), 1));
    let mut bytes = Vec::new();
    runs.encode(&mut bytes);
    assert_eq!(bytes.len(), 4 + 8 + 2 * 9 + 2 * 9);
}
