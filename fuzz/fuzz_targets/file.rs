//! Files of any format: the check that the crate's own tests run on damaged ones.
#![no_main]

#[path = "../../engine/ingest/tests/suite/file_check.rs"]
mod file_check;

libfuzzer_sys::fuzz_target!(|file: &[u8]| file_check::check(file));
