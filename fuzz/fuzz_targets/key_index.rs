//! See the check of the same name in the storage crate's `fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| siltstone_storage::fuzzing::key_index(bytes));
