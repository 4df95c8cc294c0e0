//! The engine on a simulated disk that crashes at every call, tears writes, fails syncs, fills up, and lies.
//!
//! Each case is a seed and a number of a disk call; a failure prints both. To repeat one, put them into [`crash_at`].

use std::sync::Arc;

use siltstone_storage::io::sim::SimDisk;
use siltstone_storage::{Engine, ErrorKind};
use siltstone_tests::simulation::{Fault, Workload, contents, options};

const STEPS: usize = 40;
const SEEDS: std::ops::Range<u64> = 1..5;

/// Disk calls of a workload that nothing disturbs.
fn calls(seed: u64) -> u64 {
    let disk = SimDisk::new(seed);
    Workload::seeded(seed).run(&disk, STEPS).expect("a healthy disk");
    disk.counts().calls
}

/// Runs the workload, cuts the power in the middle of one call, and checks what the next boot finds.
fn crash_at(seed: u64, call: u64) -> Result<(), Fault> {
    let disk = SimDisk::new(seed);
    disk.crash_at_call(call);
    let mut workload = Workload::seeded(seed);
    // The power may go off in a call whose failure does not matter, such as a lock's release.
    let _ = workload.run(&disk, STEPS);
    workload.check(&disk.crash())
}

#[test]
fn a_healthy_disk_keeps_everything() {
    // The checker itself: without any fault it finds none, after a clean close and after a crash that follows it.
    for seed in SEEDS {
        let disk = SimDisk::new(seed);
        let mut workload = Workload::seeded(seed);
        workload.run(&disk, STEPS).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(workload.model.acknowledged.len() > STEPS / 2, "the workload commits");
        workload.check(&disk).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        workload.check(&disk.crash()).unwrap_or_else(|fault| panic!("seed {seed}, crashed: {fault}"));
    }
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    // Every call of the workload is a place to crash.
    for seed in SEEDS {
        let calls = calls(seed);
        println!("seed {seed}: {calls} calls");
        assert!(calls > 100, "the workload touches the disk");
        for call in 1..=calls {
            crash_at(seed, call).unwrap_or_else(|fault| panic!("seed {seed}, call {call}: {fault}"));
        }
    }
}

#[test]
fn a_crash_during_recovery_loses_nothing_either() {
    // Crash in the workload, then crash again at calls of the recovery, then recover.
    for seed in SEEDS {
        let calls = calls(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        for round in 0..60 {
            let call = random.u64(1..=calls);
            let disk = SimDisk::new(seed);
            disk.crash_at_call(call);
            let mut workload = Workload::seeded(seed);
            let _ = workload.run(&disk, STEPS);
            let mut rebooted = disk.crash();
            let mut again = Vec::new();
            for _ in 0..random.usize(1..4) {
                let second = random.u64(1..40);
                again.push(second);
                rebooted.crash_at_call(second);
                drop(Engine::open(Arc::new(rebooted.clone()), options()));
                rebooted = rebooted.crash();
            }
            workload
                .check(&rebooted)
                .unwrap_or_else(|fault| panic!("seed {seed}, round {round}, call {call}, then {again:?}: {fault}"));
        }
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    // The process dies and the machine lives: what was written and not synced is still there, and must do no harm.
    for seed in SEEDS {
        let calls = calls(seed);
        for call in (1..=calls).step_by(7) {
            let disk = SimDisk::new(seed);
            disk.crash_at_call(call);
            let mut workload = Workload::seeded(seed);
            let _ = workload.run(&disk, STEPS);
            workload.check(&disk.restart()).unwrap_or_else(|fault| panic!("seed {seed}, call {call}: {fault}"));
        }
    }
}

/// A fault to inject into the disk, by number of the call it strikes.
type Inject = fn(&SimDisk, u64);

/// Runs until the fault strikes, then: what was acknowledged is readable, writes are refused or hold, and a restart heals.
fn fail_at(seed: u64, call: u64, inject: Inject) -> Result<bool, Fault> {
    let disk = SimDisk::new(seed);
    let mut workload = Workload::seeded(seed);
    workload.run(&disk, STEPS / 2).map_err(|error| format!("before the fault: {error}"))?;
    let engine =
        Engine::open(Arc::new(disk.clone()), options()).map_err(|error| format!("before the fault: {error}"))?;
    inject(&disk, call);
    let mut struck = None;
    for step in 0..STEPS {
        let outcome = if step % 8 == 7 { engine.flush() } else { workload.commit(&engine).map(|_| ()) };
        if let Err(error) = outcome {
            struck = Some(error);
            break;
        }
    }
    let Some(error) = struck else { return workload.check(&disk.crash()).map(|()| false) };
    let found = contents(&engine.snapshot()).map_err(|fault| format!("reads must go on: {fault}"))?;
    if found != workload.model.contents() {
        return Err(format!("readers see what was never acknowledged, after {error}"));
    }
    let in_doubt = workload.in_doubt.take();
    match workload.commit(&engine) {
        // What failed was not the log: writing may go on, and then it must hold.
        Ok(_) => {}
        Err(refusal) if refusal.kind() == ErrorKind::Latched => {
            workload.in_doubt = in_doubt;
            if engine.health().map_err(|error| error.kind()) != Err(ErrorKind::Latched) {
                return Err("latched, and healthy all the same".to_owned());
            }
        }
        Err(refusal) => return Err(format!("after {error}, a write is refused as {:?}: {refusal}", refusal.kind())),
    }
    drop(engine);
    // Once as a crash leaves the disk, once as the killed process does.
    workload.clone().check(&disk.crash()).map_err(|fault| format!("crashed after {error}: {fault}"))?;
    workload.check(&disk.restart()).map_err(|fault| format!("killed after {error}: {fault}"))?;
    Ok(true)
}

/// Injects a fault at each of the first calls of its kind until it does not strike any more.
fn fail_everywhere(inject: Inject, counted: fn(&SimDisk) -> u64) {
    let mut strikes = 0;
    for seed in SEEDS {
        let disk = SimDisk::new(seed);
        let mut workload = Workload::seeded(seed);
        workload.run(&disk, STEPS / 2).expect("a healthy disk");
        drop(Engine::open(Arc::new(disk.clone()), options()).expect("a healthy disk"));
        let before = counted(&disk);
        for call in before + 1..before + 60 {
            let struck =
                fail_at(seed, call, inject).unwrap_or_else(|fault| panic!("seed {seed}, call {call}: {fault}"));
            strikes += u32::from(struck);
        }
    }
    assert!(strikes > 40, "the fault struck {strikes} times only");
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
fn a_failed_read_is_reported_and_harms_nothing() {
    // An unreadable file at open is an error, never the end of the data: the next attempt finds everything.
    for seed in SEEDS {
        let disk = SimDisk::new(seed);
        let mut workload = Workload::seeded(seed);
        workload.run(&disk, STEPS).expect("a healthy disk");
        let mut failures = 0;
        for call in 1..60 {
            let copy = disk.crash();
            copy.fail_read(call);
            let opened = Engine::open(Arc::new(copy.clone()), options());
            let found = opened.as_ref().map_err(|error| error.to_string()).map(|engine| contents(&engine.snapshot()));
            match found {
                Ok(Ok(found)) => assert_eq!(found, workload.model.contents(), "seed {seed}, read {call}"),
                Ok(Err(fault)) => failures += usize::from(!fault.is_empty()),
                Err(error) => failures += usize::from(!error.is_empty()),
            }
            drop(opened);
            workload.clone().check(&copy.crash()).unwrap_or_else(|fault| panic!("seed {seed}, read {call}: {fault}"));
        }
        assert!(failures > 0, "seed {seed}: no read failed");
    }
}

#[test]
fn a_full_disk_refuses_cleanly_and_recovers() {
    // Exhausted, nothing written, reads go on; with space again, writing resumes by itself.
    let mut refusals = 0;
    for seed in SEEDS {
        for spare in [0, 100, 1000, 10_000, 70_000, 140_000] {
            let context = format!("seed {seed}, spare {spare}");
            let disk = SimDisk::new(seed);
            let mut workload = Workload::seeded(seed);
            workload.run(&disk, STEPS / 2).unwrap_or_else(|error| panic!("{context}: {error}"));
            let engine =
                Engine::open(Arc::new(disk.clone()), options()).unwrap_or_else(|error| panic!("{context}: {error}"));
            let used = used_bytes(&disk);
            disk.set_capacity(Some(used + spare));
            for step in 0..400 {
                let outcome = if step % 50 == 49 { engine.flush() } else { workload.commit(&engine).map(|_| ()) };
                let Err(error) = outcome else { continue };
                assert_eq!(error.kind(), ErrorKind::Exhausted, "{context}: {error}");
                refusals += 1;
                workload.discard_doubt();
                workload.check_engine(&engine).unwrap_or_else(|fault| panic!("{context}, full: {fault}"));
                disk.set_capacity(None);
            }
            drop(engine);
            workload.check(&disk.crash()).unwrap_or_else(|fault| panic!("{context}: {fault}"));
        }
    }
    assert!(refusals > 10, "the disk filled up {refusals} times only");
}

fn used_bytes(disk: &SimDisk) -> u64 {
    use siltstone_storage::io::Disk as _;
    disk.set_capacity(Some(u64::MAX / 2));
    u64::MAX / 2 - disk.free_bytes().expect("a healthy disk")
}

#[test]
fn the_checker_catches_a_disk_that_lies() {
    // The canary: a disk whose syncs do nothing must be found out, or all of the above proves nothing.
    for seed in SEEDS {
        let mut caught = 0;
        let calls = calls(seed);
        for call in (1..=calls).step_by(5) {
            let disk = SimDisk::new(seed);
            disk.lie_about_sync(true);
            disk.crash_at_call(call);
            let mut workload = Workload::seeded(seed);
            let _ = workload.run(&disk, STEPS);
            caught += u32::from(workload.check(&disk.crash()).is_err());
        }
        assert!(caught > 5, "seed {seed}: lost data was noticed {caught} times only");
    }
}
