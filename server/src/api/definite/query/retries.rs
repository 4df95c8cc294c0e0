//! Requests that are sent again: some clients give up an attempt after seconds and post the same statement anew, under the same number.
//!
//! **Invariants**
//! 1. Of requests with the same sender, number and body one runs; the others get its answer, while it runs and for ten minutes after.
//! 2. A request nobody waits for any more is given up after a while, as any query whose client went away.
//! 3. Answers that are kept take a bounded number of bytes. Those that are dropped before their time are dropped oldest first; if running
//!    the request again could change something a second time, it is remembered that it ran.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::Answer;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// Bytes of all answers that are kept.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Bytes of one answer that is kept.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// What keeping an answer takes besides its bytes.
const ENTRY_BYTES: usize = 512;
/// How often it is looked whether anybody still waits, and after how many looks in vain a request is given up.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOKS_MAX: u32 = 6;

type Key = [u8; 32];

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Returned {
    /// Its answer.
    Answer(Answer),
    /// It ran, and its answer is not there any more.
    NotKept,
    /// It stopped without an answer.
    Lost,
}

#[derive(Debug)]
enum Entry {
    Running {
        outcome: watch::Receiver<Option<Answer>>,
        waiting: Arc<AtomicUsize>,
    },
    /// `None`: not kept.
    Finished {
        answer: Option<Answer>,
    },
}

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<Key, Entry>,
    /// Finished ones, oldest first.
    finished: VecDeque<(Instant, Key)>,
    kept_bytes: usize,
}

/// What one who asks finds.
enum Entered {
    /// It ran; `None`: the answer was not kept.
    Finished(Option<Answer>),
    /// It runs.
    Running { outcome: watch::Receiver<Option<Answer>>, waiting: Waiting },
    /// It is to be run.
    New { publish: watch::Sender<Option<Answer>>, waiting: Waiting },
}

/// Shared by all handlers.
#[derive(Clone, Debug, Default)]
pub struct Retries {
    known: Arc<Mutex<Known>>,
}

/// Counts one that waits, for as long as it does.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Forgets a request that runs, should it end in any other way than with an answer.
struct Forget {
    known: Arc<Mutex<Known>>,
    key: Key,
}

impl Drop for Forget {
    fn drop(&mut self) {
        let mut known = self.known.lock();
        if matches!(known.entries.get(&self.key), Some(Entry::Running { .. })) {
            known.entries.remove(&self.key);
        }
    }
}

impl Retries {
    /// Gets the answer to a request: of one like it that runs or ran, else of `run`, which then goes on if this caller goes away.
    pub async fn join(
        &self,
        sender: &str,
        request_id: &str,
        body: &[u8],
        run: impl Future<Output = Answer> + Send + 'static,
    ) -> Returned {
        let key = key(sender, request_id, body);
        let (mut outcome, _waits) = match self.enter(key) {
            Entered::Finished(answer) => return answer.map_or(Returned::NotKept, Returned::Answer),
            Entered::Running { outcome, waiting } => (outcome, waiting),
            Entered::New { publish, waiting } => {
                let (outcome, count) = (publish.subscribe(), Arc::clone(&waiting.0));
                tokio::spawn(self.clone().carry_out(key, run, publish, count));
                (outcome, waiting)
            }
        };
        match outcome.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().map_or(Returned::Lost, Returned::Answer),
            Err(_) => Returned::Lost,
        }
    }

    async fn carry_out(
        self,
        key: Key,
        run: impl Future<Output = Answer>,
        publish: watch::Sender<Option<Answer>>,
        waiting: Arc<AtomicUsize>,
    ) {
        let _forget = Forget { known: Arc::clone(&self.known), key };
        tokio::select! {
            answer = run => {
                self.known.lock().finish(key, &answer, Instant::now());
                publish.send_replace(Some(answer));
            }
            () = abandoned(&waiting) => tracing::debug!("query cancelled: nobody waits for it"),
        }
    }

    fn enter(&self, key: Key) -> Entered {
        let mut known = self.known.lock();
        known.expire(Instant::now());
        match known.entries.get(&key) {
            Some(Entry::Finished { answer }) => Entered::Finished(answer.clone()),
            Some(Entry::Running { outcome, waiting }) => {
                Entered::Running { outcome: outcome.clone(), waiting: Waiting::new(waiting) }
            }
            None => {
                let (publish, outcome) = watch::channel(None);
                let count = Arc::new(AtomicUsize::new(0));
                let waiting = Waiting::new(&count);
                known.entries.insert(key, Entry::Running { outcome, waiting: count });
                Entered::New { publish, waiting }
            }
        }
    }
}

impl Known {
    fn finish(&mut self, key: Key, answer: &Answer, now: Instant) {
        let fits = answer.body.len() <= ANSWER_BYTES_MAX;
        if answer.repeatable && (answer.is_passing() || !fits) {
            self.entries.remove(&key);
            return;
        }
        let kept = fits.then(|| answer.clone());
        self.kept_bytes += ENTRY_BYTES + kept.as_ref().map_or(0, |answer| answer.body.len());
        self.entries.insert(key, Entry::Finished { answer: kept });
        self.finished.push_back((now, key));
        self.shrink();
    }

    /// Forgets what finished long ago.
    fn expire(&mut self, now: Instant) {
        while let Some((at, key)) = self.finished.front().copied() {
            if now.duration_since(at) < KEPT_FOR {
                break;
            }
            self.finished.pop_front();
            if let Some(Entry::Finished { answer }) = self.entries.remove(&key) {
                self.kept_bytes -= ENTRY_BYTES + answer.map_or(0, |answer| answer.body.len());
            }
        }
    }

    /// Drops answers, oldest first, until the rest fits; then what is remembered of those that were dropped.
    fn shrink(&mut self) {
        let mut at = 0;
        while self.kept_bytes > KEPT_BYTES_MAX && at < self.finished.len() {
            let key = self.finished[at].1;
            let Some(Entry::Finished { answer: kept }) = self.entries.get_mut(&key) else {
                at += 1;
                continue;
            };
            let Some(answer) = kept.take() else {
                at += 1;
                continue;
            };
            self.kept_bytes -= answer.body.len();
            if answer.repeatable {
                self.entries.remove(&key);
                self.finished.remove(at);
                self.kept_bytes -= ENTRY_BYTES;
            } else {
                at += 1;
            }
        }
        while self.kept_bytes > KEPT_BYTES_MAX
            && let Some((_, key)) = self.finished.pop_front()
        {
            self.entries.remove(&key);
            self.kept_bytes -= ENTRY_BYTES;
        }
    }
}

impl Answer {
    /// Whether it says no more than that the server was busy or failed, so that the same request is to be tried again.
    fn is_passing(&self) -> bool {
        self.status.is_server_error() || self.status == http::StatusCode::TOO_MANY_REQUESTS
    }
}

async fn abandoned(waiting: &AtomicUsize) {
    let mut looks = 0;
    while looks < LOOKS_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
        looks = if waiting.load(Ordering::Relaxed) == 0 { looks + 1 } else { 0 };
    }
}

fn key(sender: &str, request_id: &str, body: &[u8]) -> Key {
    let mut hash = Sha256::new();
    for part in [sender.as_bytes(), request_id.as_bytes(), body] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
