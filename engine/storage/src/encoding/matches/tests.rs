use arrow_array::ArrayRef;
use proptest::prelude::*;

use super::*;
use crate::encoding::Encoder;
use crate::encoding::tests::one_of_each;
use crate::error::ErrorKind;
use crate::test_arrays::{Numbers, any_array, any_predicate};

fn encoded(ty: &LogicalType, array: &ArrayRef) -> (ChunkForm, Buffer) {
    let mut bytes = Vec::new();
    let (form, _) = Encoder::default().encode(ty, array, &mut bytes);
    (form, Buffer::from_vec(bytes))
}

fn bits(matches: Matches, rows: usize) -> BooleanBuffer {
    match matches {
        Matches::None => BooleanBuffer::new_unset(rows),
        Matches::All => BooleanBuffer::new_set(rows),
        Matches::Some(bits) => bits,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Proves invariant 1 for every type, spread of values and kind of condition, through whichever encoding is chosen.
    #[test]
    fn encoded_values_say_what_decoded_ones_do(
        spec in any_array(6000).prop_filter("a chunk has rows", |spec| spec.rows > 0),
        seed: u64,
    ) {
        let array = spec.array();
        let (form, body) = encoded(&spec.ty, &array);
        let mut numbers = Numbers(seed);
        for _ in 0..10 {
            let Some(predicate) = any_predicate(&spec.ty, &array, &mut numbers) else { break };
            let condition = Condition::new(&predicate, &spec.ty).unwrap();
            let found = matches(&condition, &spec.ty, spec.rows, &form, &body, "test", 0).unwrap();
            prop_assert_eq!(bits(found, spec.rows), condition.test(&array), "{:?} {:?}", predicate, form.encoding);
        }
    }

    /// Proves invariant 2: cut or altered bodies, and forms that do not fit, end in an answer for every row or in `Corrupt`.
    #[test]
    fn damaged_chunks_are_refused_or_answered(
        spec in any_array(700).prop_filter("a chunk has rows", |spec| spec.rows > 0),
        seed: u64,
    ) {
        let array = spec.array();
        let (form, body) = encoded(&spec.ty, &array);
        let mut numbers = Numbers(seed);
        for _ in 0..20 {
            let Some(predicate) = any_predicate(&spec.ty, &array, &mut numbers) else { break };
            let condition = Condition::new(&predicate, &spec.ty).unwrap();
            let (mut form, mut bytes) = (form, body.to_vec());
            match numbers.below(4) {
                0 if !bytes.is_empty() => bytes.truncate(numbers.below(bytes.len() as u64) as usize),
                1 => form.encoding = Encoding::from_tag(1 + numbers.below(13) as u8).unwrap(),
                2 => form.value_bytes ^= 1 << numbers.below(64),
                _ if !bytes.is_empty() => {
                    let at = numbers.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << numbers.below(8);
                }
                _ => form.null_count = numbers.below(spec.rows as u64 + 1) as usize,
            }
            match matches(&condition, &spec.ty, spec.rows, &form, &Buffer::from_vec(bytes), "test", 0) {
                Ok(found) => prop_assert_eq!(bits(found, spec.rows).len(), spec.rows),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }
}

/// Proves invariant 1 for each encoding by name, so that none is left out by chance.
#[test]
fn every_encoding_is_asked() {
    let mut numbers = Numbers(8);
    for ((ty, array), encoding) in one_of_each() {
        let (form, body) = encoded(&ty, &array);
        assert_eq!(form.encoding, encoding, "{ty}");
        let mut some = 0;
        for _ in 0..40 {
            let Some(predicate) = any_predicate(&ty, &array, &mut numbers) else { break };
            let condition = Condition::new(&predicate, &ty).unwrap();
            let found = bits(matches(&condition, &ty, 3000, &form, &body, "test", 0).unwrap(), 3000);
            assert_eq!(found, condition.test(&array), "{ty} {encoding:?} {predicate:?}");
            some += usize::from(found.count_set_bits() > 0);
        }
        assert!(some > 0, "no condition on {ty} is ever met");
    }
}
