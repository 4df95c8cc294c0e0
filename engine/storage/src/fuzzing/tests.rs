use std::path::PathBuf;

use super::*;

/// Longest input that is made: the fuzzer is quick with small ones.
const SEED_BYTES_MAX: usize = 4096;

/// Where the inputs of a target are.
fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// Adds what the encoders of today write to every corpus; run it when a format has changed.
#[test]
#[ignore = "makes the golden inputs that fuzzing starts from"]
fn make_seeds() {
    let all = seeds::all();
    assert!(all.iter().map(|(name, _)| name).eq(CHECKS.iter().map(|(name, _)| name)), "every check has seeds");
    for (target, inputs) in all {
        let folder = corpus(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (index, input) in inputs.iter().filter(|input| input.len() <= SEED_BYTES_MAX).enumerate() {
            std::fs::write(folder.join(format!("seed-{index:03}")), input).unwrap();
        }
    }
}

/// Inputs of a target, by name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpus(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), std::fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "{} inputs in {}", inputs.len(), folder.display());
    inputs
}

/// Runs a check, and says which input it fails on.
fn run(check: Check, name: &str, input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| check(input)) {
        println!("the input that failed: {name}");
        std::panic::resume_unwind(panic);
    }
}

/// Proves that no input which the fuzzer found worth keeping, whole, cut or with a byte changed, makes a decoder break a promise.
#[test]
fn every_corpus_passes() {
    for (target, check) in CHECKS {
        for (name, input) in inputs(target) {
            run(check, &name, &input);
            let step = 1 + input.len() / 3;
            for at in (0..input.len()).step_by(step) {
                run(check, &format!("{name}, cut at {at}"), &input[..at]);
                let mut damaged = input.clone();
                for byte in [0, 0xFF, input[at] ^ 1] {
                    damaged[at] = byte;
                    run(check, &format!("{name}, byte {at} changed to {byte}"), &damaged);
                }
            }
        }
    }
}

/// Proves that the fuzzer knows every corpus that has a check, and no other of this crate.
#[test]
fn every_check_has_a_target() {
    let manifest = include_str!("../../../../fuzz/Cargo.toml");
    for (target, _) in CHECKS {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "no fuzz target {target}");
    }
}
