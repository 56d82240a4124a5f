//! One user: its variables, its connections, and how it goes through a flow.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use super::{
    clock::Timer,
    exchange::Attempt,
    prepare::{Action, PreparedStep},
    sessions::Session,
    worker::Worker,
};
use crate::{
    ledger::{Note, maybe_written},
    measure::{Attempted, ErrorKind, Failure, Sample},
    plan::{Flow, Step, Think},
    protocol::{http1, http2, wire::Moved},
    schedule::nanos,
    template::Vars,
};

/// A user, of either model: in the open one it is what carries an arrival through its flow.
#[derive(Debug)]
pub struct User {
    /// The worker it belongs to.
    pub worker: Rc<Worker>,
    /// What it knows.
    pub vars: Vars,
    /// Its connections, each with the number of its endpoint.
    pub connections: Vec<(usize, http1::Connection)>,
    /// Its connections over HTTP/2, unless it shares those of the worker.
    pub multiplexed: Vec<(usize, Rc<http2::Connection>)>,
    /// Its connections over other protocols.
    pub sessions: Vec<(usize, Session)>,
    /// Bytes that went over those and are not recorded yet.
    pub moved: Rc<Cell<Moved>>,
    /// Connections are kept from one run of the flow to the next.
    keeps_connections: bool,
    /// The bytes of requests that differ from time to time.
    pub scratch: (Vec<u8>, Vec<u8>),
    /// Fires when the answer has taken too long.
    deadline: Rc<Timer>,
    /// Fires when it goes on after a pause.
    pub pause: Rc<Timer>,
    /// Randomness for pauses.
    draws: u64,
    /// Its flows are arrivals of the schedule, which counts them when they are due.
    arrives: bool,
    /// Connections that it could not open since it last could.
    pub refused: u32,
    /// The pause after a step that ended its flow.
    owed: Option<Think>,
    /// What went wrong last.
    pub last_failure: Option<Failure>,
    /// Number of the last step that sent something.
    pub last_step: usize,
    /// The status of the last answer; 0: none.
    pub last_status: u16,
}

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With its last step.
    Completed,
    /// With a step that failed.
    Failed,
    /// Between two steps, with the run.
    Interrupted,
}

/// A request under way: if the run ends before it does, that is recorded.
struct Begun<'a> {
    worker: &'a Worker,
    step: usize,
    due: u64,
    user: u64,
    /// What it may have written, as far as that is known without an answer.
    note: RefCell<Option<Note>>,
    ended: Cell<bool>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.worker.in_flight.set(self.worker.in_flight.get() - 1);
        if !self.ended.get() {
            let (now, note) = (self.worker.clock.now(), self.note.take());
            self.worker.recorder.borrow_mut().unfinished(self.step, self.due, now);
            let mut outlets = self.worker.outlets.borrow_mut();
            outlets.interrupted(self.step, self.user, self.due, now, note);
        }
    }
}

impl User {
    /// A user who knows what `vars` holds; `arrives`: each of its flows is an arrival of the
    /// schedule.
    #[must_use]
    pub fn new(worker: Rc<Worker>, vars: Vars, arrives: bool) -> Self {
        let draws = vars.user ^ worker.prepared.plan.seed;
        Self {
            worker,
            vars,
            connections: Vec::new(),
            multiplexed: Vec::new(),
            sessions: Vec::new(),
            moved: Rc::default(),
            keeps_connections: true,
            scratch: Default::default(),
            deadline: Rc::default(),
            pause: Rc::new(Timer::interruptible()),
            draws,
            arrives,
            refused: 0,
            owed: None,
            last_failure: None,
            last_step: usize::MAX,
            last_status: 0,
        }
    }

    /// Goes through flow number `index`, which was due at `due`, and pauses after it.
    pub async fn flow(&mut self, index: usize, due: u64) -> Ended {
        let prepared = std::sync::Arc::clone(&self.worker.prepared);
        let flow = &prepared.plan.flows[index];
        let steps = &prepared.flows[index];
        self.worker.recorder.borrow_mut().flow_begun(index, due);
        let ended = self.steps(flow, steps, due).await;
        if ended != Ended::Interrupted {
            let (end, completed) = (self.worker.clock.now(), ended == Ended::Completed);
            self.worker.recorder.borrow_mut().flow_ended(index, due, end, completed);
            // Somebody who reads what went wrong takes as long; without it a server that fails
            // fast would be asked as often as the processor allows.
            let (owed, arrives) = (self.owed.take(), self.arrives);
            for think in [owed, flow.think].into_iter().flatten().filter(|_| !arrives) {
                self.think(think).await;
            }
        }
        ended
    }

    /// Goes through `steps` of `flow`.
    pub async fn steps(&mut self, flow: &Flow, steps: &[PreparedStep], mut due: u64) -> Ended {
        self.keeps_connections = flow.keep_connections;
        if !flow.keep_variables {
            self.vars.clear();
        }
        let mut ended = Ended::Completed;
        // What the schedule of arrivals has counted as due is the first request.
        let (mut first, mut counted) = (true, self.arrives);
        'steps: for prepared in steps {
            for _ in 0..prepared.step.repeat.max(1) {
                if !std::mem::take(&mut first) {
                    due = self.worker.clock.now();
                    if due >= self.worker.end.get() {
                        ended = Ended::Interrupted;
                        break 'steps;
                    }
                }
                let sends = !matches!(prepared.action, Action::None);
                if sends && !std::mem::take(&mut counted) {
                    self.worker.recorder.borrow_mut().due();
                }
                let passed = self.step(prepared, due).await;
                if !passed && !prepared.step.may_fail {
                    ended = Ended::Failed;
                    self.owed = prepared.step.think;
                    break 'steps;
                }
                if let Some(think) = prepared.step.think {
                    self.think(think).await;
                }
            }
        }
        self.vars.iteration += 1;
        self.sessions.retain(|(_, session)| session.is_clean());
        if !flow.keep_connections {
            self.leave();
        }
        ended
    }

    /// Closes its connections.
    pub fn leave(&mut self) {
        self.connections.clear();
        self.multiplexed.clear();
        self.sessions.clear();
    }

    /// Whether it uses connections over HTTP/2 together with others: arrivals do, as they would
    /// behind one client; users have one each.
    #[must_use]
    pub fn shares_connections(&self) -> bool {
        self.arrives && self.keeps_connections
    }

    async fn think(&mut self, think: Think) {
        self.draws = self.draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let unit = (self.draws >> 11) as f64 / (1_u64 << 53) as f64;
        let pause = think.min + think.max.saturating_sub(think.min).mul_f64(unit);
        self.wait(pause).await;
    }

    /// Waits, unless the run ends before.
    pub async fn wait(&mut self, pause: Duration) {
        let worker = Rc::clone(&self.worker);
        let until = worker.clock.now() + nanos(pause);
        worker.clock.sleep(&self.pause, until.min(worker.end.get())).await;
    }

    /// Does one step, with its further attempts; records what came of it.
    async fn step(&mut self, prepared: &PreparedStep, due: u64) -> bool {
        if matches!(prepared.action, Action::None) {
            return true;
        }
        let worker = Rc::clone(&self.worker);
        worker.in_flight.set(worker.in_flight.get() + 1);
        worker.recorder.borrow_mut().begun();
        let mut sample = Sample { due, ..Sample::default() };
        let unset = self.make_values(&prepared.step).err();
        let ledger = prepared.step.ledger.as_ref();
        let note = ledger.map(|plan| Note::before(plan, &mut self.vars));
        let begun = Begun {
            worker: &worker,
            step: prepared.id,
            due,
            user: self.vars.user,
            note: RefCell::new(note),
            ended: Cell::new(false),
        };
        let (mut attempt, mut maybe) = (1, false);
        let failure = loop {
            if let Some(failure) = unset {
                sample.end = worker.clock.now();
                break Some(failure);
            }
            let (before, sent) = (sample.traffic, sample.sent.take());
            let failure = self.attempt(prepared, &mut sample).await.err();
            let was_sent = sample.sent.is_some();
            maybe |= was_sent && failure.as_ref().is_some_and(|f| maybe_written(f, sample.status));
            let last = failure.is_none()
                || attempt > prepared.step.retry.attempts
                || worker.clock.now() >= worker.end.get();
            worker.outlets.borrow_mut().attempt(&Attempted {
                step: prepared.id,
                user: self.vars.user,
                attempt,
                last,
                sample: &sample,
                before: &before,
                error: failure.as_ref().map(|failure| failure.kind.name()),
            });
            sample.sent = sample.sent.or(sent);
            if last {
                break failure;
            }
            attempt += 1;
            sample.traffic.retries += 1;
            self.wait(prepared.step.retry.pause).await;
        };
        sample.end = sample.end.max(due);
        begun.ended.set(true);
        let note = begun.note.take();
        drop(begun);
        worker.recorder.borrow_mut().finished(prepared.id, &sample, failure.as_ref());
        if let (Some(plan), true) = (ledger, failure.is_none() || maybe) {
            let unknown = failure.is_some();
            let note = note.filter(|_| unknown).unwrap_or_else(|| Note::of(plan, &mut self.vars));
            worker.outlets.borrow_mut().note(&Note { at_ns: sample.end, unknown, ..note });
        }
        let passed = failure.is_none();
        self.last_failure = failure;
        self.last_status = sample.status;
        self.last_step = prepared.id;
        passed
    }

    /// Sets the variables that are made before a step's request.
    fn make_values(&mut self, step: &Step) -> Result<(), Failure> {
        for (name, template) in &step.sets {
            let mut value = Vec::new();
            let made = template.render(&mut value, &mut self.vars);
            made.map_err(|e| Failure::new(ErrorKind::Template, e.to_string()))?;
            self.vars.set(name, &value);
        }
        Ok(())
    }

    /// One attempt, within its time.
    async fn attempt(
        &mut self,
        prepared: &PreparedStep,
        sample: &mut Sample,
    ) -> Result<(), Failure> {
        let worker = Rc::clone(&self.worker);
        let deadline = Rc::clone(&self.deadline);
        let timeout = prepared.step.timeout;
        worker.clock.set(&deadline, worker.clock.now().saturating_add(nanos(timeout)));
        sample.first_byte = None;
        let mut attempt = Attempt { user: self, prepared, sample };
        let in_time = {
            let mut exchange = pin!(attempt.run());
            poll_fn(|cx| match exchange.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if deadline.poll(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        deadline.unset();
        let moved = self.moved.take();
        sample.traffic.sent += moved.sent;
        sample.traffic.received += moved.received;
        in_time.unwrap_or_else(|| {
            sample.end = worker.clock.now();
            Err(Failure::new(ErrorKind::Timeout, format!("no complete answer within {timeout:?}")))
        })
    }
}
