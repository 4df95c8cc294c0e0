//! What holds for every body, valid or not. The fuzz target of the same name runs this too.

use arrow_array::Array;
use siltstone_ingest::{CaseTwins, Decoded, Fractions, Framing, Policy, UnknownFields, decode, members};
use siltstone_storage::{LogicalType, NewColumn, TableId, TableSchema};

/// Limits low enough for short bodies to meet them.
pub fn policy() -> Policy {
    Policy {
        fractions: Fractions::Round,
        unknown_fields: UnknownFields::Add,
        case_twins: CaseTwins::Reject,
        nan_tokens: true,
        rows_max: 64,
        field_bytes_max: 256,
        row_depth_max: 10,
        new_columns_max: 16,
    }
}

/// A table with a column of each type, from `a` on and past `z`.
pub fn table() -> TableSchema {
    let structure = LogicalType::Struct(vec![
        ("x".to_owned(), LogicalType::Integer),
        ("y".to_owned(), LogicalType::List(Box::new(LogicalType::Varchar))),
    ]);
    let types = [
        LogicalType::BigInt,
        LogicalType::Varchar,
        LogicalType::Double,
        LogicalType::Json,
        LogicalType::Timestamp,
        LogicalType::Boolean,
        LogicalType::Decimal { precision: 38, scale: 6 },
        LogicalType::List(Box::new(LogicalType::BigInt)),
        structure,
        LogicalType::Uuid,
        LogicalType::Blob,
        LogicalType::Date,
        LogicalType::Time,
        LogicalType::TimestampTz,
        LogicalType::TinyInt,
        LogicalType::SmallInt,
        LogicalType::Integer,
        LogicalType::UTinyInt,
        LogicalType::USmallInt,
        LogicalType::UInteger,
        LogicalType::UBigInt,
        LogicalType::Real,
        LogicalType::HugeInt,
        LogicalType::TimestampS,
        LogicalType::TimestampMs,
        LogicalType::TimestampNs,
        LogicalType::Interval,
        LogicalType::Bit,
        LogicalType::enumeration(vec!["a".to_owned(), "text".to_owned()]).expect("distinct values"),
        LogicalType::Array(Box::new(LogicalType::BigInt), 2),
        LogicalType::Map(Box::new((
            LogicalType::Double,
            LogicalType::Map(Box::new((LogicalType::Varchar, LogicalType::Json))),
        ))),
    ];
    let columns = types.into_iter().zip('a'..).map(|(ty, name)| NewColumn::new(name, ty)).collect();
    TableSchema::new(columns, &[]).expect("a valid schema")
}

/// Decodes a body in every way there is.
pub fn check(body: &[u8]) {
    let table = table();
    let lax = Policy {
        fractions: Fractions::Reject,
        unknown_fields: UnknownFields::Ignore,
        case_twins: CaseTwins::LastWins,
        nan_tokens: false,
        ..policy()
    };
    for framing in [Framing::Document, Framing::Sequence] {
        for policy in [&policy(), &lax] {
            for table in [None, Some(&table)] {
                if let Ok(decoded) = decode(body, framing, table, policy) {
                    check_decoded(&decoded, table, policy);
                }
            }
        }
    }
    if let Ok(members) = members(body) {
        assert!(members.iter().map(|member| member.value.len()).sum::<usize>() <= body.len());
    }
}

fn check_decoded(decoded: &Decoded, table: Option<&TableSchema>, policy: &Policy) {
    assert!(decoded.rows <= policy.rows_max);
    let schema = decoded.schema.as_ref().or(table);
    for (id, array) in &decoded.columns {
        let column = schema.and_then(|schema| schema.column_by_id(*id)).expect("a column of the schema");
        assert_eq!(array.len(), decoded.rows, "{}", column.name);
        assert_eq!(array.data_type(), &column.logical_type.arrow(), "{}", column.name);
        array.to_data().validate_full().expect("a valid array");
    }
    let rejected = decoded.errors.rejected();
    let (first, total) = decoded.errors.first(usize::MAX);
    assert_eq!(decoded.errors.is_empty(), rejected.is_empty());
    assert_eq!(decoded.errors.vectors().map(|(_, _, rows)| rows.len() as usize).sum::<usize>(), total);
    assert!(first.is_sorted_by_key(|error| error.row));
    assert!(first.iter().all(|error| rejected.contains(error.row as u32)));
    let accepted = decoded.rows - rejected.len() as usize;
    assert_eq!(decoded.batch(TableId(1)).map_or(0, |batch| batch.rows()), accepted);
}
