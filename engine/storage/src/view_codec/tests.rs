use super::*;
use crate::error::ErrorKind;

#[test]
fn a_text_that_is_not_there_has_no_bytes() {
    // Proves that an optional text has one form: bytes after a flag that says there are none are damage, not dropped. Found by fuzzing.
    for text in [None, Some(""), Some("why")] {
        let mut bytes = Vec::new();
        encode_optional_text(text, &mut bytes);
        let mut reader = ByteReader::new("f", 0, &bytes);
        assert_eq!(decode_optional_text(&mut reader).unwrap().as_deref(), text);
        reader.finish().unwrap();
    }
    let mut bytes = Vec::new();
    encode_optional_text(Some("why"), &mut bytes);
    bytes[0] = 0;
    let error = decode_optional_text(&mut ByteReader::new("f", 0, &bytes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
