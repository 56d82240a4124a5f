//! One worker: a thread with an event loop, which carries its share of arrivals and users.

use std::{
    cell::{Cell, RefCell},
    fs, io,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use hdrhistogram::Histogram;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{Mutex, mpsc, watch},
    task::spawn_local,
};

use super::{
    arrivals,
    clock::{Clock, Epoch, Timer},
    closed,
    outlets::Outlets,
    prepare::Prepared,
};
use crate::{
    measure::{PhaseData, Phases, Recorder, Slice},
    protocol::http2,
    schedule::{Rates, SECOND, Users, nanos},
    template::Shared,
};

/// What a worker needs to begin.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub workers: usize,
    /// What to run.
    pub prepared: Arc<Prepared>,
    /// When arrivals are due.
    pub rates: Arc<Rates>,
    /// When users are at work.
    pub users: Arc<Users>,
    /// The zero of all clocks.
    pub epoch: Epoch,
    /// Phases so far.
    pub phases: Arc<Phases>,
    /// Variables that every user starts with.
    pub shared: Shared,
    /// Where notes of writes and raw samples go.
    pub outlets: Outlets,
    /// Whether to go on.
    pub stop: watch::Receiver<Stop>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It does.
    No,
    /// Nothing is begun any more; what is under way may end.
    Gracefully,
    /// At once.
    AtOnce,
}

/// What a worker did in one second, as it tells while it runs.
#[derive(Debug)]
pub struct Report {
    /// Which worker.
    pub worker: usize,
    /// Which second of the run.
    pub second: u64,
    /// What it did.
    pub slice: Slice,
}

/// All that a worker has recorded.
#[derive(Debug)]
pub struct Record {
    /// A set for each phase.
    pub phases: Vec<PhaseData>,
    /// How long after it was due it turned to each arrival.
    pub lag: Histogram<u64>,
    /// When nothing was begun any more, on the clock of the run.
    pub load_end: u64,
    /// When the last of its requests ended or was given up.
    pub end: u64,
}

/// What the tasks of a worker share.
#[derive(Debug)]
pub struct Worker {
    /// What it was given.
    pub index: usize,
    /// How many there are.
    pub workers: usize,
    /// What to run.
    pub prepared: Arc<Prepared>,
    /// When arrivals are due.
    pub rates: Arc<Rates>,
    /// When users are at work.
    pub users: Arc<Users>,
    /// Variables that every user starts with.
    pub shared: Shared,
    /// Its timers.
    pub clock: Clock,
    /// Its records.
    pub recorder: RefCell<Recorder>,
    /// Where notes of writes and raw samples go.
    pub outlets: RefCell<Outlets>,
    /// When nothing is begun any more.
    pub end: Cell<u64>,
    /// Requests under way.
    pub in_flight: Cell<u64>,
    /// Users at work.
    pub at_work: Cell<u32>,
    /// Connections that are open.
    pub connections: Rc<Cell<u64>>,
    /// Connections that several arrivals use at once, each with the number of its endpoint; held
    /// while one is opened, so that it is opened once.
    pub multiplexed: Mutex<Vec<(usize, Rc<http2::Connection>)>>,
}

impl Worker {
    /// Whether nothing is to be begun any more.
    pub fn is_over(&self) -> bool {
        self.clock.now() >= self.end.get()
    }
}

/// Runs a worker to its end, on this thread.
///
/// # Errors
/// The event loop could not be set up, or broke.
pub fn run(assignment: Assignment, reports: &mpsc::UnboundedSender<Report>) -> io::Result<Record> {
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
    let plan = &assignment.prepared.plan;
    let (end, grace) = (nanos(plan.duration()), plan.limits.grace);
    let Assignment { index, workers, prepared, rates, users, epoch, phases, shared, outlets, stop } =
        assignment;
    let shape = prepared.shape.clone();
    let worker = runtime.block_on(async {
        io::Result::Ok(Rc::new(Worker {
            index,
            workers,
            prepared,
            rates,
            users,
            shared,
            clock: Clock::new(epoch)?,
            recorder: RefCell::new(Recorder::new(shape.clone(), Arc::clone(&phases))),
            outlets: RefCell::new(outlets),
            end: Cell::new(end),
            in_flight: Cell::new(0),
            at_work: Cell::new(0),
            connections: Rc::default(),
            multiplexed: Mutex::default(),
        }))
    })?;
    runtime.block_on(serve(Rc::clone(&worker), stop, reports.clone(), grace));
    // Requests that are still under way record that they did not end when their tasks are dropped.
    drop(runtime);
    // And those tell, with this, that there is nothing more to write.
    drop(worker.outlets.take());
    let recorder = worker.recorder.replace(Recorder::new(shape, phases));
    let (load_end, end) = (worker.end.get(), recorder.last_end());
    let (phases, lag) = recorder.into_parts();
    Ok(Record { phases, lag, load_end, end })
}

async fn serve(
    worker: Rc<Worker>,
    mut stop: watch::Receiver<Stop>,
    reports: mpsc::UnboundedSender<Report>,
    grace: Duration,
) {
    let running = Rc::clone(&worker);
    spawn_local(async move { running.clock.run().await });
    let mut ticker = Ticker::new(Rc::clone(&worker), reports);
    let arriving = spawn_local(arrivals::run(Rc::clone(&worker)));
    let coming = spawn_local(closed::run(Rc::clone(&worker)));
    let watcher = Rc::clone(&worker);
    let mut stopped = stop.clone();
    spawn_local(async move {
        if stopped.wait_for(|stop| *stop != Stop::No).await.is_ok() {
            watcher.end.set(watcher.clock.now().min(watcher.end.get()));
            watcher.clock.interrupt();
        }
    });
    let load = async {
        // Only a panic would end these otherwise, and that is reported by whoever joins the thread.
        let _ended = (arriving.await, coming.await);
        // What comes after the last arrival (a pause in which only the probe asks) is load too.
        let pause = Rc::new(Timer::interruptible());
        worker.clock.sleep(&pause, worker.end.get()).await;
        let timer = Rc::new(Timer::default());
        while worker.in_flight.get() > 0 {
            worker.clock.sleep(&timer, worker.clock.now() + 2_000_000).await;
        }
    };
    // What is under way when this is over is interrupted.
    let grace_over = async {
        let (end, over) = (Rc::new(Timer::interruptible()), Rc::new(Timer::default()));
        worker.clock.sleep(&end, worker.end.get()).await;
        worker.clock.sleep(&over, worker.end.get().saturating_add(nanos(grace))).await;
    };
    tokio::select! {
        () = load => {}
        () = grace_over => {}
        _ = stop.wait_for(|stop| *stop == Stop::AtOnce) => {}
        () = ticker.run() => {}
    }
    ticker.flush();
}

/// Tells once a second what was done in it.
struct Ticker {
    worker: Rc<Worker>,
    reports: mpsc::UnboundedSender<Report>,
    second: u64,
    /// Processor time used, and time kept waiting for a processor, so far.
    used: (u64, u64),
}

impl Ticker {
    fn new(worker: Rc<Worker>, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self { worker, reports, second: 0, used: thread_times() }
    }

    async fn run(&mut self) {
        let timer = Rc::new(Timer::default());
        loop {
            self.worker.clock.sleep(&timer, (self.second + 1) * SECOND).await;
            self.flush();
        }
    }

    fn flush(&mut self) {
        let worker = &self.worker;
        let mut slice = worker.recorder.borrow_mut().take_second();
        slice.users = worker.at_work.get();
        slice.in_flight = worker.in_flight.get();
        slice.connections = worker.connections.get();
        let used = thread_times();
        slice.cpu = used.0.saturating_sub(self.used.0);
        slice.kept_waiting = used.1.saturating_sub(self.used.1);
        self.used = used;
        let report = Report { worker: worker.index, second: self.second, slice };
        // Nobody listens any more when the run was given up.
        let _heard = self.reports.send(report);
        self.second += 1;
    }
}

/// Nanoseconds that this thread has run, and has waited to run; zeros where the kernel does not
/// say (CONFIG_SCHED_INFO).
fn thread_times() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut numbers = text.split_ascii_whitespace().map_while(|word| word.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
