use super::*;

fn sample() -> Vec<(TableId, LoggedDeletions)> {
    let first = LoggedDeletions {
        segments: vec![(SegmentId(3), vec![0, 7, 8, u32::MAX]), (SegmentId(9), (0..2000).collect())],
        memory: vec![1 << 40, (1 << 40) + 5],
    };
    let second = LoggedDeletions { segments: Vec::new(), memory: vec![4] };
    vec![(TableId(1), first), (TableId(7), second)]
}

fn decoded(bytes: &[u8]) -> Result<Vec<(TableId, LoggedDeletions)>> {
    let mut reader = ByteReader::new("log", 0, bytes);
    let tables = decode(&mut reader)?;
    reader.finish().map(|()| tables)
}

/// What is written is what is read; a commit without deletions writes nothing.
#[test]
fn deletions_survive_the_log() {
    let mut bytes = Vec::new();
    encode(&sample(), &mut bytes);
    assert_eq!(decoded(&bytes).unwrap(), sample());
    let mut none = Vec::new();
    encode(&[], &mut none);
    assert!(none.is_empty());
}

/// A cut is always noticed, and a flipped bit never panics.
#[test]
fn damage_does_not_panic() {
    let mut bytes = Vec::new();
    encode(&sample(), &mut bytes);
    for end in 0..bytes.len() {
        assert!(decoded(&bytes[..end]).is_err(), "cut at {end}");
    }
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x81;
        refused += usize::from(decoded(&damaged).is_err());
    }
    assert!(
        refused > bytes.len() / 4,
        "{refused} of {} noticed; the record's checksum is there for the rest",
        bytes.len()
    );
}
