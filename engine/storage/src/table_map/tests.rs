use super::*;

fn map_of(tables: u64) -> TableMap {
    let mut map = TableMap::default();
    (0..tables).for_each(|table| map.get_mut(TableId(table)).next_row = table);
    map
}

fn rows_of(map: &TableMap) -> Vec<(u64, u64)> {
    map.iter().map(|(table, rows)| (table.0, rows.next_row)).collect()
}

/// Proves invariant 1: a change after a copy leaves the copy as it was, and every other table shared.
#[test]
fn a_change_copies_one_table() {
    let before = map_of(1000);
    let mut after = before.clone();
    after.get_mut(TableId(500)).next_row = 7;
    assert_eq!((before.get(&TableId(500)).unwrap().next_row, after.get(&TableId(500)).unwrap().next_row), (500, 7));
    let shared = before.values().zip(after.values()).filter(|(before, after)| Arc::ptr_eq(before, after)).count();
    assert_eq!(shared, 999);
    let groups = before.groups.values().zip(after.groups.values());
    assert_eq!(groups.filter(|(before, after)| !Arc::ptr_eq(before, after)).count(), 1);
}

/// Proves that an update reaches the tables that are wanted, and copies no others.
#[test]
fn an_update_copies_what_it_changes() {
    let before = map_of(300);
    let mut after = before.clone();
    after.update(|rows| rows.next_row % 100 == 99, |rows| rows.next_row += 1000);
    let changed: Vec<u64> = after.iter().map(|(_, rows)| rows.next_row).filter(|row| *row >= 1000).collect();
    assert_eq!(changed, [1099, 1199, 1299]);
    let shared = before.values().zip(after.values()).filter(|(before, after)| Arc::ptr_eq(before, after)).count();
    assert_eq!(shared, 297);
}

/// Proves invariant 2 after tables went, whole groups among them.
#[test]
fn tables_stay_in_order_and_no_group_is_empty() {
    let before = map_of(300);
    let mut after = before.clone();
    after.retain(|table, _| table.0 < 3 || table.0 == 299);
    after.get_mut(TableId(70)).next_row = 70;
    assert_eq!(rows_of(&after), [(0, 0), (1, 1), (2, 2), (70, 70), (299, 299)]);
    assert!(after.groups.values().all(|group| !group.is_empty()));
    assert!(after.contains_key(&TableId(299)) && !after.contains_key(&TableId(298)));
    assert_eq!(rows_of(&before).len(), 300);
}
