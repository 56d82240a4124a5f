//! The availability probe at work: on a thread of its own, so that it sees the target whatever the
//! load is doing.
//!
//! Each probe is a user's step, as the load's are. In one of the two streams that user is a new one
//! each time, with no connection yet; in the other one it keeps its connection for a later probe.

use std::{cell::RefCell, collections::VecDeque, io, rc::Rc, sync::Arc, thread};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::watch,
    task::JoinSet,
};

use super::{
    clock::{Epoch, Timer},
    prepare::Prepared,
    sequence::unmeasured_on,
    user::{Ended, User},
    worker::Worker,
};
use crate::{
    measure::ErrorKind,
    plan::Flow,
    probe::{Observed, Order, Probed, Seen},
    schedule::{SECOND, nanos},
    summary::Second,
    template::{Shared, Vars},
};

/// A kept connection that no probe needed for so long is closed, unless it is the only one: those
/// of probes that waited together are not kept for good.
const NOT_NEEDED: u64 = SECOND;

/// A probe at work.
#[derive(Debug)]
pub(super) struct Probing {
    thread: thread::JoinHandle<io::Result<(Seen, Seen)>>,
    stop: watch::Sender<bool>,
    epoch: Epoch,
    every: u64,
}

impl Probing {
    /// Starts the probe of a plan, if there is one, on the clock of its run; it knows what is in
    /// `shared`.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(
        prepared: &Arc<Prepared>,
        shared: &Shared,
        epoch: Epoch,
    ) -> io::Result<Option<Self>> {
        let Some(plan) = &prepared.plan.probe else { return Ok(None) };
        let every = nanos(plan.every).max(1);
        let flow = Flow::single(plan.step.clone());
        let (stop, stopped) = watch::channel(false);
        let (prepared, shared) = (Arc::clone(prepared), shared.clone());
        let body = move || {
            let runtime =
                Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
            runtime.block_on(async {
                let worker = unmeasured_on(epoch, &prepared, &shared)?;
                // Half an interval apart, so that together they look twice as often.
                let fresh = Stream::new(&worker, &flow, every, 0, None);
                let pooled = Stream::new(&worker, &flow, every, every / 2, Some(Idle::default()));
                Ok(tokio::join!(fresh.run(stopped.clone()), pooled.run(stopped)))
            })
        };
        let thread = thread::Builder::new().name("probe".into()).spawn(body)?;
        Ok(Some(Self { thread, stop, epoch, every }))
    }

    /// Ends it, waits for the last answers, and notes in each row of the timeline what was seen.
    pub fn finish(self, timeline: &mut [Second]) -> Option<Observed> {
        let end = self.epoch.now();
        self.stop.send_replace(true);
        // It has nothing that could panic; if it does, there is no probe in the results.
        let (fresh, pooled) = self.thread.join().ok()?.ok()?;
        let observed = Observed::new(fresh, pooled, self.every, end);
        observed.note_in(timeline);
        Some(observed)
    }
}

/// Users with connections that no probe needs right now, each with the time since when; the last
/// one is the next one's.
type Idle = RefCell<VecDeque<(User, u64)>>;

/// What the probes of one stream share.
struct Stream {
    worker: Rc<Worker>,
    flow: Flow,
    every: u64,
    /// When its first probe is due.
    first: u64,
    /// If connections are kept.
    idle: Option<Idle>,
    order: RefCell<Order>,
}

impl Stream {
    fn new(
        worker: &Rc<Worker>,
        flow: &Flow,
        every: u64,
        first: u64,
        idle: Option<Idle>,
    ) -> Rc<Self> {
        let order = RefCell::new(Order::new(first));
        Rc::new(Self { worker: Rc::clone(worker), flow: flow.clone(), every, first, idle, order })
    }

    /// Asks until it is stopped, and waits for the last answers.
    async fn run(self: Rc<Self>, mut stop: watch::Receiver<bool>) -> Seen {
        let timer = Rc::new(Timer::default());
        let mut probes = JoinSet::new();
        let mut number = 0;
        loop {
            let due = self.first + number * self.every;
            tokio::select! {
                () = self.worker.clock.sleep(&timer, due) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let stream = Rc::clone(&self);
            probes.spawn_local(async move { stream.probe(number, due).await });
            while probes.try_join_next().is_some() {}
            number += 1;
        }
        while probes.join_next().await.is_some() {}
        self.order.replace(Order::new(self.first)).into_seen()
    }

    async fn probe(&self, number: u64, due: u64) {
        let mut user = self.user(number);
        let ended = user.steps(&self.flow, &self.worker.prepared.probe, due).await;
        let end = self.worker.clock.now();
        let failure = match ended {
            Ended::Completed => None,
            _ => Some(user.last_failure.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        self.order.borrow_mut().ended(number, Probed { due, end, failure });
        self.keep(user, end);
    }

    /// Somebody to ask: with a connection, where one was kept.
    fn user(&self, number: u64) -> User {
        let kept = self.idle.as_ref().and_then(|idle| idle.borrow_mut().pop_back());
        if let Some((user, _)) = kept {
            return user;
        }
        let worker = &self.worker;
        // What it draws is not what the load's user of that number draws.
        let seed = !worker.prepared.plan.seed;
        let vars = Vars::with_shared(number, seed, worker.shared.clone());
        User::new(Rc::clone(worker), vars, false)
    }

    /// Keeps the connection of `user` for later probes, if any are kept.
    fn keep(&self, user: User, now: u64) {
        let Some(idle) = &self.idle else { return };
        // What nothing came back on is not asked again. With HTTP/2 it would still be open.
        if user.last_failure.as_ref().is_some_and(|f| f.kind == ErrorKind::Timeout) {
            return;
        }
        let mut idle = idle.borrow_mut();
        idle.push_back((user, now));
        while idle.len() > 1 && idle.front().is_some_and(|(_, since)| since + NOT_NEEDED < now) {
            idle.pop_front();
        }
    }
}
