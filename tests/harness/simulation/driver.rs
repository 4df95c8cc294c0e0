//! The engine, its clients and the model side by side: every step is done by both and compared.

use std::sync::Arc;

use fastrand::Rng;
use siltstone_storage::io::sim::{SimDisk, set_clock_us};
use siltstone_storage::{Engine, Error, ErrorKind, Options, Snapshot, verify};

use super::generate::Generator;
use super::model::Model;
use super::read::chain;
use super::trace::Trace;
use super::transactions::Open;
use super::world::World;
use super::{Fault, check};

/// Most snapshots held at once.
const PINS_MAX: usize = 6;
const CLIENTS: i64 = 3;

/// Whether a simulation can go on with the engine it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It can.
    Go,
    /// The power is off, or writes are refused until restart.
    Stop,
}

/// A snapshot that is held, and what it must go on to show.
pub(super) struct Pin {
    pub(super) snapshot: Snapshot,
    pub(super) world: Arc<World>,
}

/// A client: its own random numbers, and what it last saw of the database.
pub(super) struct Client {
    pub(super) generator: Generator,
    pub(super) seen: Option<Pin>,
}

/// A simulation under way.
pub struct Simulation {
    /// The disk as it is now; a crash replaces it.
    pub disk: SimDisk,
    /// What must be there.
    pub model: Model,
    /// What happened so far.
    pub trace: Trace,
    pub(super) random: Rng,
    options: Options,
    pub(super) engine: Option<Engine>,
    pub(super) clients: Vec<Client>,
    pins: Vec<Pin>,
    pub(super) open: Vec<Open>,
    pub(super) now_us: i64,
    /// Faults of this disk that had struck when the engine was opened.
    faults_before: u64,
    /// The disk has had a capacity since the engine was opened.
    full: bool,
}

/// Everything runs on the caller's thread; files and row groups are small, so that a short run rolls and splits them.
fn options(random: &mut Rng) -> Options {
    Options {
        key_secret: Some([5; 16]),
        background: false,
        log_file_bytes: 1 << random.u32(13..16),
        log_spare_files_max: random.usize(..3),
        row_group_rows: random.usize(4..64),
        segment_rows_max: random.usize(8..400),
        compaction_fanout: random.u64(2..9),
        compaction_dead_percent: random.u64(1..60),
        compaction_bytes_per_second: 0,
        disk_reserve_bytes: 0,
        ..Options::default()
    }
}

impl Simulation {
    /// The simulation of a seed on an empty disk, nothing of it done.
    pub fn new(seed: u64, readable: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        let client = |number| Client { generator: Generator::new(random.fork(), number), seen: None };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            disk: SimDisk::new(seed),
            model: Model::default(),
            trace: Trace::new(readable),
            options: options(&mut random),
            random,
            engine: None,
            clients,
            pins: Vec::new(),
            open: Vec::new(),
            now_us: 1_700_000_000_000_000,
            faults_before: 0,
            full: false,
        }
    }

    /// The open engine.
    ///
    /// # Panics
    /// If there is none.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the engine is open")
    }

    /// Opens the disk and compares what is there with the model, which settles what was in doubt. `false` if a fault prevented it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn open(&mut self) -> Result<bool, Fault> {
        set_clock_us(Some(self.now_us));
        // The retention is a setting: it may change from start to start.
        self.options.retention_ms = [0, 60_000, 3_600_000, 604_800_000][self.random.usize(..4)];
        self.faults_before = self.disk.counts().faults;
        let opened = Engine::open(Arc::new(self.disk.clone()), self.options.clone());
        self.trace.mark(self.disk.counts().calls);
        match opened {
            Err(error) => {
                self.trace.say(|| format!("open: {}", chain(&error)));
                self.trace.count("open failed");
                self.excuse(&error).map_err(|fault| format!("cannot open: {fault}"))?;
                Ok(false)
            }
            Ok(engine) => {
                self.compare_opened(&engine)?;
                self.engine = Some(engine);
                Ok(true)
            }
        }
    }

    fn compare_opened(&mut self, engine: &Engine) -> Result<(), Fault> {
        let (snapshot, doubted) = (engine.snapshot(), self.model.doubt.len());
        let survived = check::recovered(&snapshot, self.model.newest(), &self.model.doubt)
            .map_err(|unread| format!("after restart: {}", unread.fault()))?;
        self.trace.say(|| format!("open: snapshot {}, {survived} of {doubted} in doubt survived", snapshot.id()));
        if doubted > 0 {
            self.trace.count(if survived > 0 { "doubt survived" } else { "doubt lost" });
        }
        self.model.settle(survived);
        self.advance_horizon(&snapshot, self.model.newest().id)?;
        self.look_back(&snapshot)
    }

    /// Does one thing that the random numbers choose.
    ///
    /// # Errors
    /// What is wrong.
    pub fn step(&mut self) -> Result<Flow, Fault> {
        self.pass_time();
        match self.random.u8(..100) {
            0..43 => self.commit()?,
            43..57 => self.transact()?,
            57..60 => self.load()?,
            60..66 => self.flush()?,
            66..69 => self.compact()?,
            69..71 => self.prepare_spare()?,
            71..75 => self.look_back(&self.engine().snapshot())?,
            75..77 => self.check_feeds()?,
            77..83 => self.pin(),
            83..90 => self.check_pins()?,
            90..92 => self.release_pin(),
            92..97 => self.check_now()?,
            97 => self.check_files()?,
            98 => self.back_up()?,
            _ => return self.reopen(),
        }
        self.flow()
    }

    /// Whether the engine can go on; if writes are refused, it must say so and go on to show what was acknowledged.
    ///
    /// # Errors
    /// What is wrong.
    pub fn flow(&mut self) -> Result<Flow, Fault> {
        self.trace.mark(self.disk.counts().calls);
        if self.disk.is_off() {
            self.trace.say(|| "the power is off".to_owned());
            return Ok(Flow::Stop);
        }
        if !self.is_latched() {
            return Ok(Flow::Go);
        }
        self.trace.count("latched");
        self.check_now().map_err(|fault| format!("latched: {fault}"))?;
        let refused = self.write_one()?;
        match refused {
            Err(error) if error.kind() == ErrorKind::Latched => Ok(Flow::Stop),
            other => Err(format!("latched, and a write is answered {other:?}")),
        }
    }

    fn pass_time(&mut self) {
        self.now_us += match self.random.u8(..40) {
            0 => -60_000_000,
            1 => 86_400_000_000,
            2..6 => 0,
            _ => self.random.i64(0..5_000_000),
        };
        set_clock_us(Some(self.now_us));
    }

    pub(super) fn is_latched(&self) -> bool {
        self.engine().health().is_err_and(|error| error.kind() == ErrorKind::Latched)
    }

    /// Whether an injected fault explains an error. Damage is never an excuse here: none was done.
    pub(super) fn excuse(&self, error: &Error) -> Result<(), Fault> {
        let struck = self.disk.counts().faults > self.faults_before;
        let excused = match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Conflict | ErrorKind::Invalid => false,
            ErrorKind::Exhausted => self.full || struck,
            _ => struck,
        };
        if excused { Ok(()) } else { Err(format!("unexpected {}", chain(error))) }
    }

    fn excused(&mut self, what: &str, outcome: Result<(), Error>) -> Result<(), Fault> {
        self.trace.say(|| format!("{what}: {}", outcome.as_ref().err().map_or("done".to_owned(), chain)));
        match outcome {
            Ok(()) => {
                self.trace.count(what);
                Ok(())
            }
            Err(error) => {
                self.trace.count(&format!("{what} failed"));
                self.excuse(&error).map_err(|fault| format!("{what}: {fault}"))
            }
        }
    }

    /// Rows leave memory.
    ///
    /// # Errors
    /// If it fails without reason.
    pub fn flush(&mut self) -> Result<(), Fault> {
        let outcome = self.engine().flush();
        self.excused("flush", outcome)
    }

    /// Some steps of compaction; the horizon follows the clock.
    ///
    /// # Errors
    /// If one fails without reason, or gives up what is still to be kept.
    pub fn compact(&mut self) -> Result<(), Fault> {
        for _ in 0..self.random.usize(1..5) {
            let retention_us = self.options.retention_ms as i64 * 1000;
            let reachable = self.model.newest_at(self.now_us - retention_us);
            let outcome = self.engine().compact();
            let done = matches!(outcome, Ok(true));
            self.excused(if done { "compaction" } else { "no compaction" }, outcome.map(|_| ()))?;
            self.advance_horizon(&self.engine().snapshot(), reachable)?;
            if !done {
                break;
            }
        }
        Ok(())
    }

    /// The horizon never goes back, nor past what is still to be kept.
    fn advance_horizon(&mut self, now: &Snapshot, reachable: u64) -> Result<(), Fault> {
        let (before, found) = (self.model.horizon, now.horizon().0);
        if found < before || found > before.max(reachable) {
            return Err(format!("the horizon moved from {before} to {found}, reachable {reachable}"));
        }
        self.model.horizon = found;
        Ok(())
    }

    fn prepare_spare(&mut self) -> Result<(), Fault> {
        let outcome = self.engine().prepare_spare();
        self.excused("spare", outcome)
    }

    /// Compares some tables as of some earlier snapshots.
    fn look_back(&mut self, now: &Snapshot) -> Result<(), Fault> {
        let newest = self.model.newest().id;
        for _ in 0..3 {
            let then = Arc::clone(self.model.at(self.random.u64(..=newest)));
            for table in Arc::clone(self.model.newest()).tables() {
                if self.random.bool() {
                    check::past(now, &then, table.id).map_err(|unread| format!("past: {}", unread.fault()))?;
                    self.trace.count("look back");
                }
            }
        }
        Ok(())
    }

    /// Compares the list of commits and the changes of some tables between some snapshots.
    ///
    /// # Errors
    /// What differs.
    pub fn check_feeds(&mut self) -> Result<(), Fault> {
        self.trace.count("feeds checked");
        let now = self.engine().snapshot();
        check::history(&now, &self.model).map_err(|unread| unread.fault())?;
        let newest = Arc::clone(self.model.newest());
        for table in newest.tables() {
            let to = self.random.u64(..=newest.id);
            let from = self.random.u64(..=to);
            check::changes(&now, &self.model, table.id, from, to).map_err(|unread| unread.fault())?;
        }
        Ok(())
    }

    fn pin(&mut self) {
        self.trace.count("pin");
        let (snapshot, world) = (self.engine().snapshot(), Arc::clone(self.model.newest()));
        self.trace.say(|| format!("pin snapshot {}", world.id));
        self.hold(snapshot, world);
    }

    /// Holds a snapshot that must go on to show this world; the oldest one is let go of if there are too many.
    pub fn hold(&mut self, snapshot: Snapshot, world: Arc<World>) {
        self.pins.push(Pin { snapshot, world });
        if self.pins.len() > PINS_MAX {
            self.pins.remove(0);
        }
    }

    fn release_pin(&mut self) {
        if !self.pins.is_empty() {
            self.pins.swap_remove(self.random.usize(..self.pins.len()));
        }
    }

    /// Held snapshots show what they showed when they were taken.
    ///
    /// # Errors
    /// What differs.
    pub fn check_pins(&mut self) -> Result<(), Fault> {
        for pin in &self.pins {
            let checked = check::snapshot(&pin.snapshot, &pin.world);
            checked.map_err(|unread| format!("held snapshot {}: {}", pin.world.id, unread.fault()))?;
        }
        self.trace.count("pins checked");
        Ok(())
    }

    /// The newest snapshot shows the newest world.
    ///
    /// # Errors
    /// What differs.
    pub fn check_now(&mut self) -> Result<(), Fault> {
        check::snapshot(&self.engine().snapshot(), self.model.newest()).map_err(|unread| unread.fault())
    }

    /// All files are whole, as a process that is killed now would leave them.
    ///
    /// # Errors
    /// What is damaged.
    pub fn check_files(&mut self) -> Result<(), Fault> {
        self.trace.count("verify");
        verify(&self.disk.fork()).map(|_| ()).map_err(|error| format!("verify: {}", chain(&error)))
    }

    fn reopen(&mut self) -> Result<Flow, Fault> {
        self.check_pins()?;
        self.close()?;
        if self.disk.is_off() || !self.open()? {
            return Ok(Flow::Stop);
        }
        self.flow()
    }

    /// Closes the engine. Held snapshots outlive it, but are let go of here. `true` if its log got its closing mark: without one, damage to
    /// the last group of commits cannot be told from a torn write.
    ///
    /// # Errors
    /// If that fails without reason, or the held snapshots change by it.
    pub fn close(&mut self) -> Result<bool, Fault> {
        let outcome = self.engine().close();
        let marked = outcome.is_ok();
        self.excused("close", outcome)?;
        self.check_pins().map_err(|fault| format!("after close: {fault}"))?;
        self.let_go();
        Ok(marked)
    }

    fn let_go(&mut self) {
        self.pins.clear();
        self.open.clear();
        for client in &mut self.clients {
            client.seen = None;
        }
        self.engine = None;
    }

    /// Cuts the power: what was not synced is lost, torn or kept.
    pub fn cut_power(&mut self) {
        self.trace.say(|| "power cut".to_owned());
        self.trace.count("power cut");
        let next = self.disk.crash();
        self.boot(next);
    }

    /// Kills the process: all that was written is there.
    pub fn kill(&mut self) {
        self.trace.say(|| "killed".to_owned());
        self.trace.count("killed");
        let next = self.disk.restart();
        self.boot(next);
    }

    fn boot(&mut self, disk: SimDisk) {
        // The old disk is dead by now: closing the engine on it writes nothing.
        self.let_go();
        self.disk = disk;
        self.full = false;
        self.disk.set_capacity(None);
    }

    /// Leaves so many bytes free on the disk, or as many as one wants again.
    pub fn set_room(&mut self, bytes: Option<u64>) {
        self.trace.say(|| format!("room: {bytes:?}"));
        let used: u64 = self.disk.files().iter().map(|(_, length)| length).sum();
        self.disk.set_capacity(bytes.map(|bytes| used + bytes));
        self.full = self.full || bytes.is_some();
    }

    /// As much room as one wants: writing goes on by itself.
    ///
    /// # Errors
    /// If it does not.
    pub fn make_room(&mut self) -> Result<(), Fault> {
        self.set_room(None);
        let before = self.model.newest().id;
        for _ in 0..20 {
            self.commit_group(1)?;
            if self.model.newest().id > before {
                self.trace.count("room again");
                return Ok(());
            }
        }
        Err("there is room again, and no commit gets through".to_owned())
    }

    /// The random numbers of the simulation.
    pub fn random(&mut self) -> &mut Rng {
        &mut self.random
    }

    /// The random numbers of some client.
    pub(super) fn generator(&mut self) -> &mut Generator {
        let place = self.random.usize(..self.clients.len());
        &mut self.clients[place].generator
    }

    /// How the engine is opened.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// On a disk without faults: everything is there, life goes on, a clean close leaves whole files, and it is all there again.
    ///
    /// # Errors
    /// What is wrong.
    pub fn recover(&mut self) -> Result<(), Fault> {
        for steps in [3, 0] {
            self.disk.heal();
            if !self.open()? {
                return Err("cannot open a healthy disk".to_owned());
            }
            for _ in 0..steps {
                self.pass_time();
                self.commit_group(1).map_err(|fault| format!("life does not go on: {fault}"))?;
                self.flush()?;
                self.compact()?;
            }
            self.check_now()?;
            self.check_feeds()?;
            self.close()?;
            verify(&self.disk).map_err(|error| format!("verify: {}", chain(&error)))?;
        }
        Ok(())
    }
}
