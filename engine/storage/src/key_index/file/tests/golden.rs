//! The golden files of format version 1, one per form: repeated keys, NULLs, several buckets.
//!
//! `tests/golden/key-index/v1/*.keys` are written once, by
//! `cargo test -p siltstone-storage --lib -- --ignored make_golden_key_index`, and never again once the version is released. The keys in
//! them are those of [`stored`].

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/key-index/v1");
const FORMS: [(KeyForm, &str); 2] = [(KeyForm::Exact, "exact.keys"), (KeyForm::Wide, "wide.keys")];

/// Keys 0 to 39, every fifth of them in three rows, every eleventh row without one.
fn stored() -> Vec<Option<i64>> {
    let keys = (0..40).flat_map(|key| std::iter::repeat_n(key, if key % 5 == 0 { 3 } else { 1 }));
    keys.enumerate().map(|(row, key)| (row % 11 > 0).then_some(key)).collect()
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{name}")).unwrap()
}

#[test]
#[ignore = "makes the golden files of a new format version"]
fn make_golden_key_index() {
    for (form, name) in FORMS {
        std::fs::write(format!("{FOLDER}/{name}"), built(form, &stored()).0.as_slice()).unwrap();
    }
}

/// Proves that the files written by version 1 find the rows that they were made of.
#[test]
fn version_1_is_read() {
    for (form, name) in FORMS {
        let (keys, layout) = keys(form, &stored());
        let subject = subject(stored().len(), layout);
        let index = open(&golden(name), &subject).unwrap();
        let wanted: Vec<u32> = (0..keys.rows() as u32).collect();
        let expected: Vec<(u32, u32)> = wanted
            .iter()
            .flat_map(|row| wanted.iter().map(move |position| (*row, *position)))
            .filter(|(row, position)| {
                stored()[*row as usize].is_some() && stored()[*row as usize] == stored()[*position as usize]
            })
            .collect();
        assert_eq!(found(&index, &keys, &wanted), expected, "{name}");
        assert_eq!((index.rows(), expected.len()), (50, 86), "{name}");
    }
}

/// Proves that truncated and bit-flipped copies of the golden files are reported.
#[test]
fn damaged_golden_copies_are_reported() {
    for (form, name) in FORMS {
        let (_, layout) = keys(form, &[]);
        let subject = subject(stored().len(), layout);
        let bytes = golden(name);
        for length in (0..bytes.len()).step_by(7) {
            assert_eq!(open(&bytes[..length], &subject).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert_eq!(open(&damaged, &subject).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
