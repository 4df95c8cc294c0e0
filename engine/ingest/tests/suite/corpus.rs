use std::path::Path;

use super::check::check;

#[test]
fn every_body_of_the_corpus_and_its_damaged_copies() {
    // Proves that interesting bodies, cut anywhere and with bytes flipped, never panic and never give broken columns.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/json");
    let mut bodies = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        let body = std::fs::read(&path).expect("a body");
        bodies += 1;
        check(&body);
        // Bodies without an extension are the fuzzer's, many and damaged enough.
        if path.extension().is_none() {
            continue;
        }
        for end in 0..body.len() {
            check(&body[..end]);
        }
        let mut damaged = body.clone();
        for at in 0..body.len() {
            for byte in [b'"', b'\\', b'{', b']', b',', b'9', 0, 0xFF, body[at] ^ 1] {
                damaged[at] = byte;
                check(&damaged);
            }
            damaged[at] = body[at];
        }
    }
    assert!(bodies >= 10, "{bodies} bodies in the corpus");
}
