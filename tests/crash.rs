//! The engine on a simulated disk that crashes at every call, tears writes, fails syncs, fills up, and lies.
//!
//! `tests/simulation.rs` throws dice; here the calls of a short run are taken in turn. A case is a seed and the number of a disk call; a
//! failure prints both. To repeat one, put them into [`crash_at`].

use siltstone_storage::io::sim::SimDisk;
use siltstone_tests::simulation::{Fault, Flow, Simulation};

const STEPS: usize = 90;
const SEEDS: std::ops::Range<u64> = 1..4;
/// Places of a run that are tried. Each costs a run of its own, and with compactions and spilling transactions a run has thousands of calls.
const PLACES_MAX: u64 = 500;

/// Opens the engine and lets it work until it is done or the disk stops it.
fn work(simulation: &mut Simulation, steps: usize) -> Result<(), Fault> {
    if !simulation.open()? {
        return Ok(());
    }
    for _ in 0..steps {
        if simulation.step()? == Flow::Stop {
            return Ok(());
        }
    }
    Ok(())
}

/// Disk calls of a run that nothing disturbs.
fn calls(seed: u64) -> u64 {
    let mut simulation = Simulation::new(seed, false);
    work(&mut simulation, STEPS).unwrap_or_else(|fault| panic!("seed {seed}, undisturbed: {fault}"));
    assert!(simulation.model.newest().id > STEPS as u64 / 4, "seed {seed}: the clients commit");
    simulation.disk.counts().calls
}

/// Works, cuts the power in the middle of one call, and checks what the next boot finds.
fn crash_at(seed: u64, call: u64) -> Result<(), Fault> {
    let mut simulation = Simulation::new(seed, false);
    simulation.disk.crash_at_call(call);
    work(&mut simulation, STEPS)?;
    simulation.cut_power();
    simulation.recover()
}

/// The calls of a run from the first to the last; if they are too many, evenly spread ones that differ from seed to seed.
fn places(last: u64, seed: u64) -> impl Iterator<Item = u64> {
    let step = last.div_ceil(PLACES_MAX).max(1);
    (1 + seed % step..=last).step_by(step as usize)
}

/// Runs a case for every number, on all cores.
fn all(numbers: impl Iterator<Item = u64>, seed: u64, case: impl Fn(u64) -> Result<(), Fault> + Sync) {
    let numbers: Vec<u64> = numbers.collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let case = &case;
    std::thread::scope(|scope| {
        for share in numbers.chunks(numbers.len().div_ceil(threads).max(1)) {
            scope.spawn(move || {
                for number in share {
                    case(*number).unwrap_or_else(|fault| panic!("seed {seed}, {number}: {fault}"));
                }
            });
        }
    });
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    // The calls of the run are the places to crash.
    for seed in SEEDS {
        let calls = calls(seed);
        println!("seed {seed}: {calls} calls");
        assert!(calls > 100, "the run touches the disk");
        all(places(calls, seed), seed, |call| crash_at(seed, call));
    }
}

#[test]
fn a_crash_during_recovery_loses_nothing_either() {
    // Crash in the run, then again and again at calls of the recovery, then recover.
    for seed in SEEDS {
        let calls = calls(seed);
        all(0..80, seed, |round| {
            let mut random = fastrand::Rng::with_seed(seed << 32 | round);
            let mut simulation = Simulation::new(seed, false);
            simulation.disk.crash_at_call(random.u64(1..=calls));
            work(&mut simulation, STEPS)?;
            simulation.cut_power();
            for _ in 0..random.usize(1..4) {
                simulation.disk.crash_at_call(random.u64(1..60));
                work(&mut simulation, 0)?;
                simulation.cut_power();
            }
            simulation.recover()
        });
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    // The process dies and the machine lives: what was written and not synced is still there, and must do no harm.
    for seed in SEEDS {
        all(places(calls(seed), seed), seed, |call| {
            let mut simulation = Simulation::new(seed, false);
            simulation.disk.crash_at_call(call);
            work(&mut simulation, STEPS)?;
            simulation.kill();
            simulation.recover()
        });
    }
}

/// Lets every call of one kind fail in turn: reads go on, writes are refused or hold, and a restart heals.
fn fail_everywhere(inject: fn(&SimDisk, u64), counted: fn(&SimDisk) -> u64) {
    for seed in SEEDS {
        let mut undisturbed = Simulation::new(seed, false);
        work(&mut undisturbed, STEPS).unwrap_or_else(|fault| panic!("seed {seed}, undisturbed: {fault}"));
        let last = counted(&undisturbed.disk);
        assert!(last > 20, "seed {seed}: only {last} calls of this kind");
        all(places(last, seed), seed, |call| {
            for killed in [false, true] {
                let mut simulation = Simulation::new(seed, false);
                inject(&simulation.disk, call);
                work(&mut simulation, STEPS)?;
                if killed {
                    simulation.kill()
                } else {
                    simulation.cut_power()
                }
                simulation.recover()?;
            }
            Ok(())
        });
    }
}

#[test]
fn a_failed_sync_latches_and_a_restart_heals() {
    // The engine never takes a later sync for a success of the failed one.
    fail_everywhere(|disk, call| disk.fail_sync(call), |disk| disk.counts().syncs);
}

#[test]
fn a_failed_write_latches_and_a_restart_heals() {
    // Half of a write is on disk; nothing of it may be acknowledged or seen.
    fail_everywhere(|disk, call| disk.fail_write(call), |disk| disk.counts().writes);
}

#[test]
fn any_failed_call_is_reported_and_a_restart_heals() {
    // Opens, reads, renames, removals, lists: whatever fails, nothing that was acknowledged is lost or wrong.
    fail_everywhere(|disk, call| disk.fail_call(call), |disk| disk.counts().calls);
}

#[test]
fn a_full_disk_refuses_cleanly_and_recovers() {
    // Exhausted, nothing written, reads go on; with space again, writing resumes by itself.
    for seed in SEEDS {
        all((0..150_000).step_by(2500), seed, |room| {
            let mut simulation = Simulation::new(seed, false);
            work(&mut simulation, STEPS / 3)?;
            simulation.set_room(Some(room));
            for _ in 0..STEPS {
                if simulation.step()? == Flow::Stop {
                    return Err("a full disk stopped the engine".to_owned());
                }
            }
            simulation.check_now()?;
            simulation.make_room()?;
            simulation.cut_power();
            simulation.recover()
        });
    }
}
