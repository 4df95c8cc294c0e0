use super::*;

fn keys(plain_bits: u32, packed_bits: u32, delta_bits: u32) -> Encoding {
    for_keys(KeySample { plain_bits, packed_bits, delta_bits, rows_per_run: 1 })
}

/// Proves that the smallest form wins, and that plain wins where packing saves next to nothing.
#[test]
fn keys_take_the_smallest_form() {
    assert_eq!(keys(64, 20, 30), Encoding::Packed);
    assert_eq!(keys(64, 20, 18), Encoding::Delta);
    assert_eq!(keys(64, 20, 19), Encoding::Packed, "a bit saved is not worth a serial decode");
    assert_eq!(keys(64, 62, 63), Encoding::Plain);
    assert_eq!(keys(64, 64, 60), Encoding::Plain);
    assert_eq!(keys(8, 7, 7), Encoding::Packed);
}

/// Proves that runs have to be long enough for what a key of theirs costs.
#[test]
fn long_runs_are_kept_as_runs() {
    let runs =
        |packed_bits, rows_per_run| for_keys(KeySample { plain_bits: 64, packed_bits, delta_bits: 64, rows_per_run });
    assert_eq!(runs(20, 1), Encoding::Packed);
    // 24 bits for every two rows, 20 for each by itself.
    assert_eq!(runs(20, 2), Encoding::RunLength);
    assert_eq!(runs(2, 3), Encoding::Packed);
    assert_eq!(runs(64, 100), Encoding::RunLength);
}

/// Proves that a dictionary is tried when the values seen twice tell of few enough in all.
#[test]
fn texts_that_repeat_get_a_dictionary() {
    let tried = |distinct| for_texts(TextSample { rows: 1024, distinct, entries_max: 32_768 });
    // 1024 of 32,768 values: 16 are expected twice.
    assert!(tried(1024 - 16));
    assert!(!tried(1024 - 15));
    assert!(tried(200));
    assert!(!for_texts(TextSample { rows: 1024, distinct: 1000, entries_max: 4 }));
}

/// Proves that a dictionary has to save a tenth.
#[test]
fn dictionaries_have_to_pay() {
    let pays =
        |entries, entry_bytes, bytes| dictionary_pays(DictionarySize { rows: 1000, entries, entry_bytes, bytes });
    assert!(pays(10, 100, 10_000));
    assert!(pays(400, 400 * 36, 36_000));
    assert!(!pays(500, 500, 1000), "texts of one byte are no longer than codes");
}

/// Proves that symbols are preferred to a little less compressed, and plain to a little saved by either.
#[test]
fn bytes_take_the_form_that_pays() {
    let form = |symbols, compressed| for_bytes(ByteSample { bytes: 1000, symbols, compressed });
    assert_eq!(form(500, 410), (Encoding::Symbols, Compression::None));
    assert_eq!(form(500, 400), (Encoding::Plain, Compression::Zstd));
    assert_eq!(form(900, 850), (Encoding::Plain, Compression::None));
}

/// Proves that NULLs are left out from an eighth on.
#[test]
fn many_nulls_are_left_out() {
    assert!(is_sparse(800, 100));
    assert!(!is_sparse(800, 99));
}

/// Proves that compression has to save a fifth.
#[test]
fn compression_has_to_pay() {
    assert!(pays(1000, 800));
    assert!(!pays(1000, 801));
    assert!(!pays(0, 1));
}
