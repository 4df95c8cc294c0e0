//! JSON bodies: the check that the crate's own tests run on the corpus.
#![no_main]

#[path = "../../engine/ingest/tests/suite/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|body: &[u8]| check::check(body));
