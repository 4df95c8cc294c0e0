use arrow_array::cast::AsArray;

use super::*;

fn text_views(lengths: &[usize], data: &str) -> Result<ArrayRef, ViewsError> {
    Ok(Views::new(lengths.iter().copied(), Data::Borrowed(data.as_bytes()), true)?.into_array(None))
}

/// Proves that values land in their views at every length around the inline limit, and that Arrow finds the result valid.
#[test]
fn lengths_around_the_inline_limit() {
    let data = "abcdefghijklmnopqrstuvwxyz".repeat(3);
    let lengths = [0, 1, 11, 12, 13, 16, 25];
    let array = text_views(&lengths, &data).unwrap();
    array.to_data().validate_full().unwrap();
    let mut start = 0;
    for (i, length) in lengths.into_iter().enumerate() {
        assert_eq!(array.as_string_view().value(i), &data[start..start + length]);
        start += length;
    }
}

/// Proves that the check of text covers the borders between values.
#[test]
fn borders_split_no_character() {
    assert_eq!(text_views(&[1, 1], "é").unwrap_err(), ViewsError::NotText);
    let array = text_views(&[2, 0, 3], "é产").unwrap();
    assert_eq!(array.as_string_view().iter().flatten().collect::<Vec<_>>(), ["é", "", "产"]);
}

/// Proves that lengths must cover the data exactly.
#[test]
fn lengths_cover_the_data() {
    for lengths in [&[1_usize][..], &[3], &[1, usize::MAX]] {
        assert_eq!(text_views(lengths, "ab").unwrap_err(), ViewsError::Lengths, "{lengths:?}");
    }
}

/// Proves that an array over shared memory holds that memory, and that one of short values holds none.
#[test]
fn shared_memory_is_kept_only_when_needed() {
    let data = Buffer::from(b"a value of twenty by".as_slice());
    let long = Views::new([20].into_iter(), Data::Shared(&data), false).unwrap().into_array(None);
    assert_eq!(long.as_binary_view().data_buffers()[0].as_ptr(), data.as_ptr());
    let short = Views::new([10, 10].into_iter(), Data::Shared(&data), false).unwrap().into_array(None);
    assert!(short.as_binary_view().data_buffers().is_empty());
}

/// Proves that gathering repeats values and refuses positions that do not exist.
#[test]
fn gather_checks_positions() {
    let array = text_views(&[1, 14], "athe second one").unwrap();
    let array = array.as_string_view();
    let gathered = gather(array, &[1, 0, 1], None).unwrap();
    gathered.to_data().validate_full().unwrap();
    assert_eq!(gathered.iter().flatten().collect::<Vec<_>>(), ["the second one", "a", "the second one"]);
    let nulls = Some(NullBuffer::from(vec![true, false]));
    assert_eq!(gather(array, &[0, 0], nulls).unwrap().iter().collect::<Vec<_>>(), [Some("a"), None]);
    assert!(gather(array, &[2], None).is_none());
    assert!(gather(array, &[], None).unwrap().is_empty());
}

/// Proves that data past the limit of one buffer is cut into several, at values, and refused if one value is longer.
#[test]
fn long_data_is_cut_into_buffers() {
    let data: String = ('a'..='z').cycle().take(200).collect();
    let lengths = [3, 30, 13, 0, 40, 14, 60, 40];
    let cut = |limit| Views::cut(lengths.into_iter(), Data::Borrowed(data.as_bytes()), true, limit);
    let array = cut(60).unwrap().into_array(None);
    array.to_data().validate_full().unwrap();
    let texts = array.as_string_view();
    assert_eq!(texts.data_buffers().len(), 4);
    assert!(texts.data_buffers().iter().all(|buffer| buffer.len() <= 60));
    assert_eq!(texts.iter().flatten().collect::<String>(), data);
    assert_eq!(cut(59).unwrap_err(), ViewsError::TooLong);
}
