use super::*;

fn keys(plain_bits: u32, packed_bits: u32, delta_bits: u32) -> Encoding {
    for_keys(KeySample { plain_bits, packed_bits, delta_bits })
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

/// Proves that a dictionary is tried from two rows per value on.
#[test]
fn texts_that_repeat_get_a_dictionary() {
    assert_eq!(for_texts(TextSample { rows: 1000, distinct: 500 }), Encoding::Dictionary);
    assert_eq!(for_texts(TextSample { rows: 1000, distinct: 501 }), Encoding::Plain);
}

/// Proves that compression has to save a fifth.
#[test]
fn compression_has_to_pay() {
    assert!(pays(1000, 800));
    assert!(!pays(1000, 801));
    assert!(!pays(0, 1));
}
