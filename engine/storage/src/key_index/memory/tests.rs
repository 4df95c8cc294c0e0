use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::key_index::{KeyHasher, duplicates};
use crate::logical_type::LogicalType;

/// Keys made of numbers: as they are, or as texts; `None` is NULL.
fn keys(form: KeyForm, values: &[Option<i64>]) -> Keys {
    let (ty, column): (_, ArrayRef) = match form {
        KeyForm::Exact => (LogicalType::BigInt, Arc::new(Int64Array::from_iter(values.iter().copied()))),
        KeyForm::Wide => {
            let texts = values.iter().map(|value| value.map(|value| format!("key {value}")));
            (LogicalType::Varchar, Arc::new(StringViewArray::from_iter(texts)))
        }
    };
    KeyHasher::new(&[ty], [3; 16]).unwrap().hash(&[column]).unwrap()
}

fn found(index: &MemoryKeyIndex, form: KeyForm, values: &[Option<i64>]) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    let wanted: Vec<u32> = (0..values.len() as u32).collect();
    index.find(&keys(form, values), &wanted, &mut found);
    found
}

/// Something done to an index.
#[derive(Clone, Debug)]
enum Step {
    /// Adds rows, of which every so many is kept, after so many row numbers that are left out.
    Insert { values: Vec<Option<i64>>, kept: usize, gap: u64 },
    /// Takes out the rows of this rank among those held.
    Remove(Vec<usize>),
    /// Takes back so many of the last row numbers.
    RemoveFrom(u64),
    /// Forgets this share of the row numbers, in percent of those held; more than 100 goes past the last.
    RemoveBelow(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![1 => Just(None), 5 => (0..6_i64).prop_map(Some), 8 => (0..4000_i64).prop_map(Some)];
    let values = prop_oneof![
        4 => prop::collection::vec(value.clone(), 0..300),
        1 => prop::collection::vec(value, 5000..9000)
    ];
    prop_oneof![
        6 => (values, 1..4_usize, prop_oneof![Just(0), Just(0), 0..50_u64])
            .prop_map(|(values, kept, gap)| Step::Insert { values, kept, gap }),
        2 => prop::collection::vec(0..100_000_usize, 0..30).prop_map(Step::Remove),
        1 => prop_oneof![0..400_u64, 0..20_000_u64].prop_map(Step::RemoveFrom),
        1 => (0..110_u64).prop_map(Step::RemoveBelow),
    ]
}

/// What the index should hold: the key of each row, by row number.
#[derive(Default)]
struct Model {
    rows: BTreeMap<u64, i64>,
    first: u64,
    next: u64,
}

impl Model {
    fn run(&mut self, index: &mut MemoryKeyIndex, form: KeyForm, step: Step) {
        match step {
            Step::Insert { values, kept, gap } => {
                let rows: Vec<u32> = (0..values.len() as u32).step_by(kept).collect();
                self.next += gap;
                index.insert(&keys(form, &values), rows.iter().copied(), self.next);
                for row in rows {
                    self.rows.extend(values[row as usize].map(|value| (self.next, value)));
                    self.next += 1;
                }
            }
            Step::Remove(ranks) => {
                let held: Vec<u64> = self.rows.keys().copied().collect();
                let gone: Vec<u64> =
                    ranks.iter().filter_map(|rank| held.get(rank % held.len().max(1)).copied()).collect();
                index.remove(gone.iter().copied().chain([self.next + 5]));
                self.rows.retain(|row, _| !gone.contains(row));
            }
            Step::RemoveFrom(count) => {
                let row = self.next.saturating_sub(count).max(self.first);
                index.remove_from(row);
                self.rows.retain(|held, _| *held < row);
                self.next = row;
            }
            Step::RemoveBelow(percent) => {
                let row = self.first + (self.next - self.first) * percent / 100;
                index.remove_below(row);
                self.rows.retain(|held, _| *held >= row);
                (self.first, self.next) = (row, self.next.max(row));
            }
        }
    }

    fn check(&self, index: &MemoryKeyIndex, form: KeyForm) -> Result<(), TestCaseError> {
        let mut asked: Vec<Option<i64>> = (0..4000).step_by(13).map(Some).collect();
        asked.extend([None, Some(-1), Some(1), Some(2), Some(3), Some(4), Some(5)]);
        let mut rows_of: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        self.rows.iter().rev().for_each(|(row, key)| rows_of.entry(*key).or_default().push(*row));
        let expected: Vec<(u32, u64)> = asked
            .iter()
            .enumerate()
            .filter_map(|(at, key)| Some((at as u32, rows_of.get(&(*key)?)?)))
            .flat_map(|(at, rows)| rows.iter().map(move |row| (at, *row)))
            .collect();
        prop_assert_eq!(found(index, form, &asked), expected);
        prop_assert_eq!(index.keys(), rows_of.len());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Proves that after any insertions and removals each key finds the rows that a map says have it, newest first; also where row numbers
    /// pass a multiple of 2^32.
    #[test]
    fn finds_what_a_map_finds(
        form in prop::sample::select(vec![KeyForm::Exact, KeyForm::Wide]),
        start in prop::sample::select(vec![0, (1 << 32) - 1000, u64::from(u32::MAX) * 7]),
        steps in prop::collection::vec(step(), 1..12),
    ) {
        let mut index = MemoryKeyIndex::new(form);
        let mut model = Model { first: start, next: start, ..Model::default() };
        for step in steps {
            model.run(&mut index, form, step);
            model.check(&index, form)?;
        }
    }
}

/// Proves that a key with very many rows is added, found and removed in time linear in them: 200,000 of one key would take minutes otherwise.
#[test]
fn a_key_of_all_rows_is_no_trap() {
    let mut index = MemoryKeyIndex::new(KeyForm::Exact);
    let values = vec![Some(7); 200_000];
    index.insert(&keys(KeyForm::Exact, &values), 0..200_000, 10);
    assert_eq!(index.keys(), 1);
    assert_eq!(found(&index, KeyForm::Exact, &[Some(8), Some(7)]).len(), 200_000);
    index.remove(10..200_010);
    assert_eq!((index.keys(), found(&index, KeyForm::Exact, &[Some(7)])), (0, vec![]));
}

/// Proves that memory per row is as documented, and given back with the rows.
#[test]
fn bytes_follow_the_rows() {
    for (form, row_bytes) in [(KeyForm::Exact, 24), (KeyForm::Wide, 32)] {
        let mut index = MemoryKeyIndex::new(form);
        let values: Vec<_> = (0..100_000).map(Some).collect();
        let keys = keys(form, &values);
        assert_eq!(duplicates(&keys), []);
        index.insert(&keys, 0..100_000, 0);
        let (least, most) = (100_000 * (row_bytes - 7), 100_000 * row_bytes + 300_000);
        assert!((least..most).contains(&index.bytes()), "{} bytes", index.bytes());
        index.remove_below(99_000);
        assert!(index.bytes() < 500_000, "{} bytes", index.bytes());
        assert_eq!(index.keys(), 1000);
        index.remove_below(1 << 40);
        assert_eq!((index.bytes(), index.keys()), (0, 0));
    }
}

/// Proves that of a gap in the row numbers nothing is found, and that a row that was left out is not held.
#[test]
fn gaps_and_left_out_rows_are_not_found() {
    let mut index = MemoryKeyIndex::new(KeyForm::Wide);
    let values = [Some(1), Some(2), Some(3)];
    index.insert(&keys(KeyForm::Wide, &values), [0, 2], 5);
    index.insert(&keys(KeyForm::Wide, &values), [2], 20);
    let rows: BTreeSet<(u32, u64)> = found(&index, KeyForm::Wide, &values).into_iter().collect();
    assert_eq!(rows, BTreeSet::from([(0, 5), (2, 6), (2, 20)]));
}

/// Proves that taking rows back from below the first one held gives their numbers free again. Found by the property above.
#[test]
fn numbers_below_the_first_row_are_given_again() {
    let mut index = MemoryKeyIndex::new(KeyForm::Exact);
    let values = [Some(1), Some(2)];
    index.insert(&keys(KeyForm::Exact, &values), 0..2, 10);
    index.remove_from(7);
    assert_eq!((index.keys(), found(&index, KeyForm::Exact, &values)), (0, vec![]));
    index.insert(&keys(KeyForm::Exact, &values), 0..2, 7);
    assert_eq!(found(&index, KeyForm::Exact, &values), [(0, 7), (1, 8)]);
}
