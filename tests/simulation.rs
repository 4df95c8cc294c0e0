//! The whole engine on a simulated disk, one seed after the other. `docs/testing.md` says how to run more of them and replay one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use siltstone_tests::simulation::{Coverage, run};

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 300;

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
        Err(_) => otherwise,
    }
}

/// Runs the seeds on all cores; every failure is reported with the command that replays it.
fn run_seeds(start: u64, seeds: u64, readable: bool) -> Coverage {
    let (next, failures, total) = (AtomicU64::new(start), Mutex::new(Vec::new()), Mutex::new(Coverage::default()));
    let began = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= start + seeds {
                return;
            }
            let outcome = run(seed, readable);
            total.lock().expect("no panic").add(&outcome.coverage);
            if readable {
                println!("{}", outcome.text);
            }
            if let Err(fault) = outcome.result {
                println!("seed {seed}: {fault}\n  to replay it: {}", replay(seed));
                failures.lock().expect("no panic").push(seed);
            }
            let done = seed + 1 - start;
            if done.is_multiple_of(500) {
                println!("{done} seeds in {:.0} s", began.elapsed().as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{} of {seeds} seeds failed: {failures:?}", failures.len());
    total.into_inner().expect("no panic")
}

fn replay(seed: u64) -> String {
    format!(
        "SILTSTONE_SIM_START={seed} SILTSTONE_SIM_SEEDS=1 SILTSTONE_SIM_TRACE=1 \
         cargo test -p siltstone-tests --no-default-features --test simulation seeds -- --nocapture"
    )
}

#[test]
fn seeds_keep_every_promise() {
    // Whatever the disk does, the model agrees after every restart and in between.
    let (start, seeds) = (number("SILTSTONE_SIM_START", 0), number("SILTSTONE_SIM_SEEDS", SEEDS));
    let coverage = run_seeds(start, seeds, number("SILTSTONE_SIM_TRACE", 0) > 0);
    println!("{coverage:#?}");
    if seeds < SEEDS {
        return;
    }
    for what in
        ["commit", "refused", "doubt survived", "doubt lost", "latched", "room again", "damage reported at open"]
    {
        assert!(coverage.of(what) > 0, "never happened: {what}");
    }
}

#[test]
fn one_seed_one_trace() {
    // A failing seed is worth something only if it fails again.
    for seed in 0..10 {
        let (first, second) = (run(seed, true), run(seed, true));
        assert_eq!(first.text, second.text, "seed {seed}");
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
    }
}
