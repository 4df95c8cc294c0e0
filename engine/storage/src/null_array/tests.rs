use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{Array, new_null_array};

use super::*;
use crate::fuzzing::seeds::types;

/// Notes the buffers below an array: where each lies, and its bytes.
fn note_buffers(array: &dyn Array, seen: &mut HashMap<usize, usize>) {
    let data = array.to_data();
    for buffer in data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer())) {
        seen.insert(buffer.data_ptr().as_ptr() as usize, buffer.capacity());
    }
    match array.data_type() {
        DataType::List(_) => note_buffers(array.as_list::<i32>().values(), seen),
        DataType::Map(..) => note_buffers(&(Arc::new(array.as_map().entries().clone()) as ArrayRef), seen),
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| note_buffers(column, seen)),
        _ => {}
    }
}

/// Proves invariant 2 for every kind of type.
#[test]
fn equals_what_arrow_makes() {
    for ty in types() {
        for rows in [0, 1, 7, 8, 9, 1000] {
            let array = null_array(&ty, rows);
            array.to_data().validate_full().unwrap();
            assert_eq!(&array, &new_null_array(&ty.arrow(), rows), "{ty}");
            assert_eq!(array.null_count(), rows, "{ty}");
        }
    }
}

/// Proves invariant 1: a thousand fields, some of them nested, take the memory of one.
#[test]
fn fields_share_their_zeros() {
    let kinds = types();
    let fields = (0..1000).map(|i| (format!("field {i}"), kinds[i % kinds.len()].clone()));
    let array = null_array(&LogicalType::Struct(fields.collect()), 1 << 16);
    let mut seen = HashMap::new();
    note_buffers(&array, &mut seen);
    let bytes: usize = seen.values().sum();
    assert!(bytes <= (1 << 16) * 17 + 4096, "{bytes} bytes");
}
