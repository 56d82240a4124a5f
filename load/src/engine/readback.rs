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
    prepare::Prepared,
    sequence::unmeasured,
    told::{Told, Unread, keys_of, times},
    user::{Ended, User},
    worker::Worker,
};
use crate::{
    ledger::{Found, Note, Notes, Tally},
    measure::PhaseMark,
    plan::{LedgerPlan, ReadBack},
    schedule::nanos,
    spool::Spooled,
    summary::Ledger,
    template::{Shared, Vars},
};

/// Before a further attempt: so long at first, twice as long each time, up to the second value.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Added to the time without an answer after which nobody asks any more.
const SLACK: u64 = 200_000_000;

/// What the load has noted.
#[derive(Debug)]
pub(super) struct Noted {
    /// The notes.
    pub spooled: Spooled,
    /// Where phases began.
    pub marks: Vec<PhaseMark>,
}

/// Reads everything back that was noted. SIGINT and SIGTERM end it early, which is told beside the
/// ledger; what was not read by then is reported as such.
///
/// # Errors
/// The notes cannot be read, or the event loop could not be set up.
pub(super) fn run(
    prepared: &Arc<Prepared>,
    plan: &LedgerPlan,
    shared: &Shared,
    noted: Noted,
) -> io::Result<(Ledger, bool)> {
    let Spooled { file, lines, dropped, error } = noted.spooled;
    let mut tally = Tally::new(noted.marks);
    for note in Notes::of(&file, lines)? {
        tally.noted(&note?);
    }
    if let Some(error) = error {
        tally.why_unread(&format!("not all notes could be written down: {error}"));
    }
    if tally.ledger.acknowledged + tally.ledger.unknown == 0 {
        return Ok((tally.settled(dropped), false));
    }
    let mut interrupted = false;
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
    let tally = runtime.block_on(async {
        let worker = unmeasured(prepared, shared)?;
        let reading = Rc::new(Reading {
            plan: plan.clone(),
            notes: RefCell::new(Notes::of(&file, lines)?),
            tally: RefCell::new(tally),
            worker: Rc::clone(&worker),
            broken: Cell::new(None),
            told_at: Cell::new(worker.clock.now()),
            last_failure: RefCell::default(),
        });
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            read = reading.all(&file, lines) => read?,
            () = reading.silence() => {
                let last = reading.last_failure.take();
                let why = format!("nothing was answered for {:?} ({last})", plan.within);
                reading.why_unread(&why);
            }
            _ = interrupt.recv() => interrupted = true,
            _ = terminate.recv() => interrupted = true,
        }
        if interrupted {
            reading.why_unread("interrupted");
        }
        io::Result::Ok(reading.tally.replace(Tally::new(Vec::new())))
    })?;
    Ok((tally.settled(dropped), interrupted))
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
    /// Why an answer last told nothing.
    last_failure: RefCell<String>,
}

impl Reading {
    fn why_unread(&self, why: &str) {
        self.tally.borrow_mut().why_unread(why);
    }

    async fn all(self: &Rc<Self>, file: &File, lines: u64) -> io::Result<()> {
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
        self.compare(list, || Notes::of(file, lines))
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
            self.last_failure.replace(unread.why);
            user.wait(pause.min(left)).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Compares the notes with what is there, key by key and as often as each is there.
    fn compare(
        &self,
        mut list: HashMap<String, u64>,
        notes: impl Fn() -> io::Result<Notes>,
    ) -> io::Result<()> {
        let mut tally = self.tally.borrow_mut();
        for unknown in [false, true] {
            for note in notes()? {
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
        for note in notes()? {
            let Some(key) = note?.key else { continue };
            if let Some(left) = list.get_mut(&key).filter(|left| **left > 0) {
                tally.duplicated(&key, std::mem::take(left) + 1);
            }
        }
        Ok(())
    }
}
