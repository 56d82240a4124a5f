//! Reading the ledger back: after the load, each write that was noted is asked for.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs::File,
    io,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::{Builder, LocalOptions},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use super::{
    clock::Timer,
    exchange::TOO_LONG,
    prepare::Prepared,
    sequence::unmeasured,
    user::{Ended, User},
    worker::Worker,
};
use crate::{
    extract::text_of,
    ledger::{Found, Note, Notes, Tally},
    measure::{ErrorKind, Failure, PhaseMark},
    plan::{LedgerPlan, ReadBack},
    schedule::nanos,
    summary::Ledger,
    template::{Name, Shared, Vars},
};

/// Before a further attempt: so long at first, twice as long each time, up to the second value.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Added to the time without an answer after which nobody asks any more.
const SLACK: u64 = 200_000_000;

/// What the load has noted.
#[derive(Debug)]
pub(super) struct Noted<'a> {
    /// The notes.
    pub file: &'a File,
    /// Notes that never came to the file.
    pub dropped: u64,
    /// Why not.
    pub why_dropped: String,
    /// Where phases began.
    pub marks: Vec<PhaseMark>,
}

/// Why there is no answer that says whether a write is there.
#[derive(Debug, PartialEq, Eq)]
struct Unread {
    why: String,
    /// Another attempt may tell.
    again: bool,
}

/// Reads everything back that was noted. SIGINT and SIGTERM end it early; what was not read by
/// then is reported as such.
///
/// # Errors
/// The notes cannot be read, or the event loop could not be set up.
pub(super) fn run(
    prepared: &Arc<Prepared>,
    plan: &LedgerPlan,
    shared: &Shared,
    noted: Noted<'_>,
) -> io::Result<Ledger> {
    let mut tally = Tally::new(noted.marks);
    for note in Notes::of(noted.file)? {
        tally.noted(&note?);
    }
    if noted.dropped > 0 {
        tally.why_unread(&format!("not all notes could be written down: {}", noted.why_dropped));
    }
    if tally.ledger.acknowledged + tally.ledger.unknown == 0 {
        return Ok(tally.settled(noted.dropped));
    }
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
    let tally = runtime.block_on(async {
        let worker = unmeasured(prepared, shared)?;
        let reading = Rc::new(Reading {
            plan: plan.clone(),
            notes: RefCell::new(Notes::of(noted.file)?),
            tally: RefCell::new(tally),
            worker: Rc::clone(&worker),
            broken: Cell::new(None),
            told_at: Cell::new(worker.clock.now()),
        });
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            read = reading.all(noted.file) => read?,
            () = reading.silence() => {
                reading.why_unread(&format!("nothing was answered for {:?}", plan.within));
            }
            _ = interrupt.recv() => reading.why_unread("interrupted"),
            _ = terminate.recv() => reading.why_unread("interrupted"),
        }
        io::Result::Ok(reading.tally.replace(Tally::new(Vec::new())))
    })?;
    Ok(tally.settled(noted.dropped))
}

/// What those who read share.
struct Reading {
    plan: LedgerPlan,
    notes: RefCell<Notes>,
    tally: RefCell<Tally>,
    worker: Rc<Worker>,
    /// The notes could not be read on.
    broken: Cell<Option<io::Error>>,
    /// When an answer last told something.
    told_at: Cell<u64>,
}

impl Reading {
    fn why_unread(&self, why: &str) {
        self.tally.borrow_mut().why_unread(why);
    }

    async fn all(self: &Rc<Self>, file: &File) -> io::Result<()> {
        let ReadBack::List { keys, .. } = &self.plan.read else {
            let mut readers = JoinSet::new();
            for number in 0..self.plan.parallel {
                readers.spawn_local(Rc::clone(self).reader(number as u64));
            }
            while readers.join_next().await.is_some() {}
            return self.broken.take().map_or(Ok(()), Err);
        };
        let mut user = self.user(0);
        let list = match self.until_told(&mut user, &Note::default(), keys_of(keys)).await {
            Ok(list) => list,
            Err(why) => {
                self.why_unread(&why);
                return Ok(());
            }
        };
        self.compare(file, list)
    }

    /// Ends when nothing was told for so long that nothing will be.
    async fn silence(&self) {
        let clock = &self.worker.clock;
        let timer = Rc::new(Timer::default());
        loop {
            // Those who give up a key at that time know better why.
            let until = self.told_at.get() + nanos(self.plan.within) + SLACK;
            if clock.now() >= until {
                return;
            }
            clock.sleep(&timer, until).await;
        }
    }

    fn user(&self, number: u64) -> User {
        let worker = Rc::clone(&self.worker);
        let vars = Vars::with_shared(number, worker.prepared.plan.seed, worker.shared.clone());
        User::new(worker, vars, false)
    }

    /// Takes one note after the other and asks for its key, until there is none.
    async fn reader(self: Rc<Self>, number: u64) {
        let mut user = self.user(number);
        loop {
            let note = match self.notes.borrow_mut().next() {
                Some(Ok(note)) => note,
                Some(Err(error)) => return self.broken.set(Some(error)),
                None => return,
            };
            if note.key.is_none() {
                self.why_unread("only the answer would have told the key");
                continue;
            }
            let ReadBack::Each { count, .. } = &self.plan.read else { return };
            match self.until_told(&mut user, &note, |user| times(user, count.as_ref())).await {
                Ok(found) => self.tally.borrow_mut().found(&note, &found),
                Err(why) if !note.unknown => self.why_unread(&why),
                Err(_) => {}
            }
        }
    }

    /// Goes through the steps until they say something that `told` understands, or the time is up.
    async fn until_told<T: Told>(
        &self,
        user: &mut User,
        note: &Note,
        told: impl Fn(&User) -> Result<T, Unread>,
    ) -> Result<T, String> {
        let flow = self.plan.flow();
        let steps = &self.worker.prepared.ledger;
        let mut pause = AGAIN.0;
        let clock = &self.worker.clock;
        let until = clock.now() + nanos(self.plan.within);
        loop {
            user.vars.clear();
            user.vars.set(&self.plan.key, note.key.as_deref().unwrap_or_default().as_bytes());
            user.vars.set(&self.plan.value, note.value.as_deref().unwrap_or_default().as_bytes());
            let ended = user.steps(flow, steps, clock.now()).await;
            let unread = match ended {
                Ended::Completed => told(user),
                _ => T::of_failure(user.last_failure.take().as_ref(), user.last_status),
            };
            let unread = match unread {
                Ok(told) => {
                    self.told_at.set(clock.now());
                    return Ok(told);
                }
                Err(unread) => unread,
            };
            let left = Duration::from_nanos(until.saturating_sub(clock.now()));
            if !unread.again || left.is_zero() {
                return Err(unread.why);
            }
            user.wait(pause.min(left)).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Compares the notes with what is there, key by key and as often as each is there.
    fn compare(&self, file: &File, mut list: HashMap<String, u64>) -> io::Result<()> {
        let mut tally = self.tally.borrow_mut();
        for unknown in [false, true] {
            for note in Notes::of(file)? {
                let note = note?;
                let (Some(key), true) = (&note.key, note.unknown == unknown) else { continue };
                let left = list.get_mut(key).filter(|left| **left > 0);
                let found = match left {
                    Some(left) => {
                        *left -= 1;
                        Found::Times(1)
                    }
                    None => Found::Nothing,
                };
                tally.found(&note, &found);
            }
        }
        // What is left of keys that are ours is there too often.
        for note in Notes::of(file)? {
            let Some(key) = note?.key else { continue };
            if let Some(left) = list.get_mut(&key).filter(|left| **left > 0) {
                tally.duplicated(&key, std::mem::take(left) + 1);
            }
        }
        Ok(())
    }
}

/// What reading back can tell.
trait Told: Sized {
    /// What a failure says.
    fn of_failure(failure: Option<&Failure>, status: u16) -> Result<Self, Unread>;
}

impl Told for Found {
    fn of_failure(failure: Option<&Failure>, status: u16) -> Result<Self, Unread> {
        match failure {
            Some(f) if f.kind == ErrorKind::Status && matches!(status, 404 | 410) => {
                Ok(Self::Nothing)
            }
            Some(f) if f.kind == ErrorKind::Check && f.detail != TOO_LONG => {
                Ok(Self::Different(f.detail.clone()))
            }
            failure => Err(unread(failure, status)),
        }
    }
}

impl Told for HashMap<String, u64> {
    fn of_failure(failure: Option<&Failure>, status: u16) -> Result<Self, Unread> {
        Err(unread(failure, status))
    }
}

/// Of a failure that says nothing about the write.
fn unread(failure: Option<&Failure>, status: u16) -> Unread {
    let Some(failure) = failure else {
        return Unread { why: "not all steps were done".into(), again: false };
    };
    let again = match failure.kind {
        ErrorKind::Status => status >= 500 || matches!(status, 408 | 425 | 429),
        ErrorKind::Check | ErrorKind::Extract | ErrorKind::Template => false,
        _ => true,
    };
    Unread { why: failure.to_string(), again }
}

/// How many there are, by the variable `count`; one, if there is no such variable.
fn times(user: &User, count: Option<&Name>) -> Result<Found, Unread> {
    let Some(count) = count else { return Ok(Found::Times(1)) };
    let text = String::from_utf8_lossy(user.vars.get(count).unwrap_or_default()).into_owned();
    match text.trim().parse() {
        Ok(0) => Ok(Found::Nothing),
        Ok(times) => Ok(Found::Times(times)),
        Err(_) => {
            Err(Unread { why: format!("`count` is to be a number, got {text:?}"), again: false })
        }
    }
}

/// All keys that are there, by the variable `keys`, and how often each is.
fn keys_of(keys: &Name) -> impl Fn(&User) -> Result<HashMap<String, u64>, Unread> {
    let keys = keys.clone();
    move |user| {
        let json = user.vars.get(&keys).unwrap_or_default();
        let list: Vec<serde_json::Value> = serde_json::from_slice(json)
            .map_err(|e| Unread { why: format!("the list of keys: {e}"), again: false })?;
        let mut found = HashMap::new();
        for key in list {
            let key = String::from_utf8_lossy(&text_of(key)).into_owned();
            *found.entry(key).or_insert(0) += 1;
        }
        Ok(found)
    }
}
