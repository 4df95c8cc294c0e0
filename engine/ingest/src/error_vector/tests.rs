use super::{ErrorCode, ErrorVectors, KEPT_MAX, RowError, VECTORS_MAX};

fn words(row: usize) -> Option<RowError> {
    Some(RowError { row, field: None, code: ErrorCode::InvalidCast, message: "m".to_owned(), value: None })
}

#[test]
fn totals_are_exact_and_words_bounded() {
    // Proves that every fault counts, that a row counts once, and that only the first words are kept.
    let mut errors = ErrorVectors::default();
    for row in 0..2_000 {
        errors.insert(row, Some("a"), ErrorCode::InvalidCast, words(row as usize));
        errors.insert(row, Some("b"), ErrorCode::OutOfRange, words(row as usize));
    }
    errors.insert(5_000, None, ErrorCode::NotAnObject, words(5_000));
    assert_eq!((errors.rejected_rows(), errors.rejected().max()), (2_001, Some(5_000)));
    let (first, total) = errors.first(usize::MAX);
    assert_eq!((first.len(), total, first[KEPT_MAX - 1].row), (KEPT_MAX, 4_001, KEPT_MAX / 2 - 1));
    assert_eq!(errors.first(3).0.len(), 3);
    let vectors: Vec<_> = errors.vectors().map(|(field, code, rows)| (field, code, rows.len())).collect();
    assert_eq!(
        vectors,
        [
            (None, ErrorCode::NotAnObject, 1),
            (Some("a"), ErrorCode::InvalidCast, 2_000),
            (Some("b"), ErrorCode::OutOfRange, 2_000)
        ]
    );
}

#[test]
fn rows_refused_later_take_their_place() {
    // Proves that faults found after decoding stand among the others in row order, and count.
    let mut errors = ErrorVectors::default();
    errors.insert(3, None, ErrorCode::InvalidCast, words(3));
    errors.refuse(ErrorCode::DuplicateKey, &[1, 5], |row| format!("row {row}"));
    let (first, total) = errors.first(10);
    let told: Vec<_> = first.iter().map(|error| (error.row, error.code, error.message.as_str())).collect();
    let duplicate = ErrorCode::DuplicateKey;
    assert_eq!(
        (told, total),
        (vec![(1, duplicate, "row 1"), (3, ErrorCode::InvalidCast, "m"), (5, duplicate, "row 5")], 3)
    );
    assert_eq!(errors.rejected().iter().collect::<Vec<_>>(), [1, 3, 5]);
}

#[test]
fn endless_field_names_share_one_vector() {
    // Proves that names from outside cannot grow the number of vectors without end.
    let mut errors = ErrorVectors::default();
    for row in 0..VECTORS_MAX as u32 + 10 {
        errors.insert(row, Some(&row.to_string()), ErrorCode::InvalidFieldName, None);
    }
    assert_eq!(errors.vectors().count(), VECTORS_MAX + 1);
    assert_eq!(errors.vectors().next().map(|(field, _, rows)| (field, rows.len())), Some((None, 10)));
    assert_eq!(errors.first(1).1, VECTORS_MAX + 10);
}
