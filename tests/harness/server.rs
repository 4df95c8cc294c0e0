//! The real binary as a child process: start, kill, terminate, restart on the same data.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::data::DataDir;
use crate::http::Api;
use crate::launch::Launch;

/// How long a server may take to listen, to be ready, or to stop: far more than it ever does on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ANNOUNCEMENT: &str = "siltstone listening on http://";

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
    launch: Launch,
    output: Output,
}

/// A server process that ended.
#[derive(Debug)]
pub struct Exit {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to stdout.
    pub stdout: String,
    /// Everything it wrote to stderr.
    pub stderr: String,
}

/// Threads that drain the process's output, so that it never blocks on a full pipe.
#[derive(Debug, Default)]
struct Output {
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get there, with what it wrote.
    pub fn start(launch: Launch) -> Self {
        match Self::try_start(launch) {
            Ok(server) => server,
            Err(exit) => panic!("the server did not start: {exit:#?}"),
        }
    }

    /// Starts a server and waits until it is ready, or gives how it ended.
    ///
    /// # Errors
    /// The end of a process that never listened.
    ///
    /// # Panics
    /// If it neither listens nor ends.
    pub fn try_start(launch: Launch) -> Result<Self, Exit> {
        let mut child = launch.command().spawn().expect("the binary can be executed");
        let (output, first_line) = Output::drain(&mut child);
        let line = match first_line.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Err(exit_of(wait(&mut child), output)),
            Err(RecvTimeoutError::Timeout) => {
                child.kill().expect("a child can be killed");
                panic!("the server says nothing: {:#?}", exit_of(wait(&mut child), output));
            }
        };
        let Some(address) = line.strip_prefix(ANNOUNCEMENT) else {
            child.kill().expect("a child can be killed");
            panic!("expected {ANNOUNCEMENT:?}, found {line:?}: {:#?}", exit_of(wait(&mut child), output));
        };
        let server = Self { child, address: address.to_owned(), launch, output };
        server.await_ready();
        Ok(server)
    }

    /// One server for all tests that run at this moment and need nothing special of it. The last one to let go of it ends it, so
    /// that none is left behind.
    pub fn shared(binary: &str) -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start(Launch::new(binary)));
        *shared = Arc::downgrade(&server);
        server
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its API, with the harness's credentials.
    pub fn api(&self) -> Api {
        Api::new(&self.address)
    }

    /// Its data directory.
    pub fn data(&self) -> &DataDir {
        self.launch.data_dir()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        text_of(&self.output.stderr)
    }

    /// Most memory it has had resident, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a live process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line for the peak");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of KiB");
        kib * 1024
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) -> Exit {
        self.child.kill().expect("a child can be killed");
        self.into_exit()
    }

    /// Ends it as `kill -9` does while others still use it.
    pub fn kill_now(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a live process");
    }

    /// Asks it to stop and waits until it has.
    pub fn terminate(self) -> Exit {
        self.signal_termination();
        self.into_exit()
    }

    /// Asks it to stop.
    pub fn signal_termination(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a live process");
    }

    /// Waits for its end.
    pub fn into_exit(mut self) -> Exit {
        let status = wait(&mut self.child);
        let output = std::mem::take(&mut self.output);
        exit_of(status, output)
    }

    /// Kills it and starts another one on the same data.
    pub fn kill_and_restart(self) -> Self {
        let launch = self.launch.clone();
        self.kill();
        Self::start(launch)
    }

    fn await_ready(&self) {
        let (api, started) = (self.api(), Instant::now());
        loop {
            let reply = api.get("/ready");
            if reply.status == 200 {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "not ready: {reply:?}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    /// Starts draining; the channel brings stdout's first line, or closes without one.
    fn drain(child: &mut Child) -> (Self, Receiver<String>) {
        let mut output = Self::default();
        let (first_line, receiver) = mpsc::channel();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let text = Arc::clone(&output.stdout);
        output.threads.push(std::thread::spawn(move || {
            let mut line = String::new();
            if stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
                push_text(&text, line.as_bytes());
                // Nobody listens any more once the wait was given up; the text is kept all the same.
                let _ = first_line.send(line.trim_end().to_owned());
            }
            drop(first_line);
            copy(stdout, &text);
        }));
        let stderr = child.stderr.take().expect("stderr is piped");
        let text = Arc::clone(&output.stderr);
        output.threads.push(std::thread::spawn(move || copy(stderr, &text)));
        (output, receiver)
    }
}

fn copy(mut from: impl Read, text: &Mutex<String>) {
    let mut bytes = [0; 8192];
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 {
            return;
        }
        push_text(text, &bytes[..read]);
    }
}

fn push_text(text: &Mutex<String>, bytes: &[u8]) {
    let mut text = text.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    text.push_str(&String::from_utf8_lossy(bytes));
}

fn text_of(text: &Mutex<String>) -> String {
    text.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

fn exit_of(status: ExitStatus, mut output: Output) -> Exit {
    for thread in output.threads.drain(..) {
        thread.join().expect("a draining thread does not panic");
    }
    Exit { code: status.code(), stdout: text_of(&output.stdout), stderr: text_of(&output.stderr) }
}

fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("the server does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
