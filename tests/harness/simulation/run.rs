//! One seed, from an empty disk to the last restart: what goes wrong when, and what is checked in between.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::damage::{self, Reported};
use super::driver::{Flow, Simulation};
use super::{Coverage, Fault};

/// How a seed's run ended.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong, if anything is.
    pub result: Result<(), Fault>,
    /// What happened, line by line, if that was asked for.
    pub text: String,
    /// What was exercised.
    pub coverage: Coverage,
    /// Equal for equal runs.
    pub fingerprint: u64,
}

/// What the disk does to an engine between two starts.
#[derive(Clone, Copy, Debug)]
enum Mischief {
    Nothing,
    /// The power goes off, or the process dies, in the middle of a call.
    Death,
    /// Some calls fail.
    Failures,
    /// Some calls fail, and then the power goes off.
    Both,
    /// The disk runs full, and has room again later.
    Full,
}

/// Runs a seed. A panic of the engine is a fault like any other.
pub fn run(seed: u64, readable: bool) -> Outcome {
    let mut simulation = Simulation::new(seed, readable);
    let result = catch_unwind(AssertUnwindSafe(|| run_to_the_end(&mut simulation))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("of unknown meaning")))
    });
    let trace = simulation.trace.clone();
    // After a panic the engine may not be fit to be closed.
    if result.is_err() {
        std::mem::forget(simulation);
    }
    Outcome { result, text: trace.text(), coverage: trace.coverage.clone(), fingerprint: trace.fingerprint }
}

fn run_to_the_end(simulation: &mut Simulation) -> Result<(), Fault> {
    let eras = simulation.random().usize(2..7);
    for era in 0..eras {
        run_era(simulation).map_err(|fault| format!("era {era}: {fault}"))?;
    }
    simulation.recover().map_err(|fault| format!("at last: {fault}"))
}

/// From one start of the engine to its end, good or bad.
fn run_era(simulation: &mut Simulation) -> Result<(), Fault> {
    use Mischief as M;
    let mischiefs = [M::Nothing, M::Death, M::Death, M::Death, M::Failures, M::Failures, M::Both, M::Full];
    let mischief = mischiefs[simulation.random().usize(..mischiefs.len())];
    simulation.trace.say(|| format!("--- {mischief:?}"));
    let early = simulation.random().u8(..4) == 0;
    if early {
        arm(simulation, mischief);
    }
    if !simulation.open()? {
        die(simulation);
        return Ok(());
    }
    if !early {
        arm(simulation, mischief);
    }
    let steps = simulation.random().usize(5..45);
    for step in 0..steps {
        if step == steps * 2 / 3 && matches!(mischief, Mischief::Full) {
            simulation.make_room()?;
        }
        if simulation.step()? == Flow::Stop {
            die(simulation);
            return Ok(());
        }
    }
    end(simulation)
}

/// Sets faults for calls to come: soon more often than late.
fn arm(simulation: &mut Simulation, mischief: Mischief) {
    let now = simulation.disk.counts().calls;
    let later = |simulation: &mut Simulation| {
        let reach = simulation.random().u32(1..10);
        now + 1 + simulation.random().u64(..1 << reach)
    };
    if matches!(mischief, Mischief::Failures | Mischief::Both) {
        for _ in 0..simulation.random().usize(1..4) {
            let call = later(simulation);
            simulation.trace.say(|| format!("call {call} will fail"));
            simulation.disk.fail_call(call);
        }
    }
    if matches!(mischief, Mischief::Death | Mischief::Both) {
        let call = later(simulation);
        simulation.trace.say(|| format!("call {call} will be the last"));
        simulation.disk.crash_at_call(call);
    }
    if matches!(mischief, Mischief::Full) {
        let room = simulation.random().u64(..100_000);
        simulation.set_room(Some(room));
    }
}

/// The engine is of no use any more: the machine or the process goes down.
fn die(simulation: &mut Simulation) {
    if simulation.random().u8(..4) == 0 {
        simulation.kill();
    } else {
        simulation.cut_power();
    }
}

/// A healthy engine's end: closed, or killed out of the blue.
fn end(simulation: &mut Simulation) -> Result<(), Fault> {
    simulation.disk.heal();
    if simulation.random().u8(..3) == 0 {
        die(simulation);
        return Ok(());
    }
    simulation.set_room(None);
    let probes = if simulation.close()? { 2 } else { 0 };
    for _ in 0..probes {
        let options = simulation.options().clone();
        let mut random = simulation.random().fork();
        let (what, reported) = damage::probe(&simulation.disk, &simulation.model, &options, &mut random)?;
        simulation.trace.say(|| format!("{what}: {reported:?}"));
        simulation.trace.count(match reported {
            Reported::AtOpen => "damage reported at open",
            Reported::AtRead => "damage reported at read",
            Reported::Harmless => "damage harmless",
        });
    }
    Ok(())
}
