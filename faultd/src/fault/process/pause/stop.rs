//! Pausing processes one by one: SIGSTOP, and SIGCONT at the end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use faultd_api::PlanStep;

use super::describe;
use crate::{
    engine::{
        clock,
        journal::{Journal, Ticket},
        plan::{Applied, ApplyCx, Observation, Step, StepError},
    },
    fault::process::{
        aim::Crowd,
        watch::{Stop, Watch},
    },
    host::{
        process::{Process, ProcessRef},
        undo::Undo,
    },
};

/// How often to look for processes that have come to belong to the target.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// One look in so many also finds those that were there before.
const THOROUGH: u32 = 10;
/// Looks before the fault counts as active: until nobody forks any more.
const FIRST_LOOKS: u32 = 4;
/// How long the start of the fault waits for everybody to stand still.
const SETTLING: Duration = Duration::from_millis(250);
/// One entry of the journal takes so many processes with room to spare.
const BATCH: usize = 2000;

/// The processes that faults of this daemon have stopped, each with how many
/// faults want it so; the last one that ends continues it.
#[derive(Default)]
pub struct Stops(Mutex<HashMap<ProcessRef, usize>>);

/// Processes that one fault has stopped at one time.
struct Batch {
    ticket: Ticket,
    processes: Vec<ProcessRef>,
}

impl Stops {
    /// Stops processes, but for those that somebody else had stopped before.
    /// Returns what this fault holds now, and how many it does not.
    fn hold(&self, processes: &[ProcessRef], cx: &Cx) -> anyhow::Result<(Option<Batch>, usize)> {
        let mut holders = self.holders();
        let is_ours = |p: &&ProcessRef| holders.contains_key(p) || p.state() != Some('T');
        let ours: Vec<ProcessRef> = processes.iter().filter(is_ours).copied().collect();
        let others = processes.len() - ours.len();
        if ours.is_empty() {
            return Ok((None, others));
        }
        let undo = Undo::Resume { processes: ours.clone() };
        let ticket = cx.journal.record(&cx.fault, cx.expires_boot_ns, undo)?;
        for process in &ours {
            if let Err(e) = process.signal(libc::SIGSTOP) {
                let e = anyhow::anyhow!("process {}: {e}", process.pid);
                return match take_back(&holders, ticket, &ours) {
                    Ok(()) => Err(e),
                    Err(left) => Err(e.context(format!("and then {left}"))),
                };
            }
        }
        for process in &ours {
            *holders.entry(*process).or_default() += 1;
        }
        Ok((Some(Batch { ticket, processes: ours }), others))
    }

    fn release(&self, batch: Batch) -> anyhow::Result<()> {
        let mut holders = self.holders();
        for process in &batch.processes {
            if let Some(count) = holders.get_mut(process) {
                *count -= 1;
            }
        }
        holders.retain(|_, count| *count > 0);
        take_back(&holders, batch.ticket, &batch.processes)
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<ProcessRef, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Continues those that no other fault holds. Theirs are in the journal a
/// second time.
fn take_back(
    holders: &HashMap<ProcessRef, usize>,
    ticket: Ticket,
    processes: &[ProcessRef],
) -> anyhow::Result<()> {
    let free: Vec<ProcessRef> =
        processes.iter().filter(|p| !holders.contains_key(p)).copied().collect();
    if free.len() == processes.len() {
        return Ok(ticket.undo()?);
    }
    // On an error the ticket is dropped, and stays pending.
    Undo::Resume { processes: free }.replay()?;
    Ok(ticket.close()?)
}

/// What stopping needs to know about its fault.
struct Cx {
    fault: String,
    expires_boot_ns: u64,
    journal: Journal,
}

/// Stops processes, and those that come later.
pub struct StopStep {
    stops: Arc<Stops>,
    processes: Vec<Process>,
    crowd: Crowd,
}

impl StopStep {
    /// For those that match, and those that will.
    pub fn new(stops: Arc<Stops>, processes: Vec<Process>, crowd: Crowd) -> Self {
        Self { stops, processes, crowd }
    }
}

impl Step for StopStep {
    fn describe(&self) -> PlanStep {
        let n = self.processes.len();
        let processes = if n == 1 { "process" } else { "processes" };
        describe(format!("stop {n} {processes} (SIGSTOP)"), "continued (SIGCONT)")
    }

    fn apply(self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        let what = self.describe().apply;
        let Self { stops, processes, crowd } = *self;
        let cx = Cx {
            fault: cx.fault.to_owned(),
            expires_boot_ns: cx.expires_boot_ns,
            journal: cx.journal.clone(),
        };
        let mut pause = Pausing { stops, crowd, cx, held: Arc::default() };
        let mut stopped =
            Stopped { held: Arc::clone(&pause.held), stops: Arc::clone(&pause.stops), watch: None };
        let watch = pause.begin(&processes).and_then(|()| {
            settle(&pause.held);
            Ok(Watch::start("fault-pause", move |stop| pause.run(stop))?)
        });
        match watch {
            Ok(watch) => {
                stopped.watch = Some(watch);
                Ok(Box::new(stopped))
            }
            Err(e) => {
                let left = stopped.take_back();
                let e = left.into_iter().fold(e, |e, l| e.context(format!("and then {l}")));
                Err(StepError::new(what, e))
            }
        }
    }
}

/// Everything that one fault has stopped.
#[derive(Default)]
struct Held {
    batches: Vec<Batch>,
    /// Those that somebody else had stopped before.
    others: usize,
}

type SharedHeld = Arc<Mutex<Held>>;

fn lock(held: &SharedHeld) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    fn processes(&self) -> impl Iterator<Item = &ProcessRef> {
        self.batches.iter().flat_map(|batch| &batch.processes)
    }
}

/// What stops processes as they come.
struct Pausing {
    stops: Arc<Stops>,
    crowd: Crowd,
    cx: Cx,
    held: SharedHeld,
}

impl Pausing {
    /// Stops who is there, parents first, and then who was just being born.
    fn begin(&mut self, processes: &[Process]) -> anyhow::Result<()> {
        let mut next = processes.to_vec();
        for _ in 0..FIRST_LOOKS {
            if next.is_empty() {
                break;
            }
            self.stop_all(next)?;
            next = self.crowd.newcomers(true);
        }
        Ok(())
    }

    fn stop_all(&self, mut processes: Vec<Process>) -> anyhow::Result<()> {
        processes.sort_unstable_by_key(|p| (p.start_time, p.pid));
        let references: Vec<ProcessRef> = processes.iter().map(Process::reference).collect();
        for chunk in references.chunks(BATCH) {
            let (batch, others) = self.stops.hold(chunk, &self.cx)?;
            let mut held = lock(&self.held);
            held.others += others;
            held.batches.extend(batch);
        }
        Ok(())
    }

    fn run(mut self, stop: &Stop) {
        let mut look = 0;
        while !stop.wait(LOOK_EVERY) {
            look += 1;
            // A daemon that was stopped itself wakes up here, perhaps after
            // the guardian has taken everything back.
            if clock::boot_ns() >= self.cx.expires_boot_ns {
                return;
            }
            let newcomers = self.crowd.newcomers(look % THOROUGH == 0);
            if newcomers.is_empty() {
                continue;
            }
            if let Err(e) = self.stop_all(newcomers) {
                tracing::error!("{}: a process that came later runs on: {e:#}", self.cx.fault);
            }
        }
    }
}

/// A process in an uninterruptible wait stops when that is over, which is no
/// error: the report tells.
fn settle(held: &SharedHeld) {
    let start = Instant::now();
    let moves = |p: &ProcessRef| p.state().is_some_and(|state| state != 'T');
    while lock(held).processes().any(moves) && start.elapsed() < SETTLING {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Processes that are stopped.
struct Stopped {
    held: SharedHeld,
    stops: Arc<Stops>,
    watch: Option<Watch>,
}

impl Stopped {
    /// Continues everybody; returns what could not be.
    fn take_back(&mut self) -> Vec<String> {
        // First nobody new.
        drop(self.watch.take());
        let batches = std::mem::take(&mut lock(&self.held).batches);
        let newest_first = batches.into_iter().rev();
        let left = newest_first.filter_map(|batch| self.stops.release(batch).err());
        left.map(|e| format!("{e:#}")).collect()
    }
}

impl Applied for Stopped {
    fn revert(&mut self) -> Result<(), StepError> {
        let left = self.take_back();
        if left.is_empty() {
            return Ok(());
        }
        Err(StepError::new("continuing stopped processes", anyhow::anyhow!(left.join("; "))))
    }

    fn observe(&mut self) -> Observation {
        let held = lock(&self.held);
        let states: Vec<char> = held.processes().filter_map(|p| p.state()).collect();
        let still = states.iter().filter(|state| **state == 'T').count();
        let mut seen = Observation::default();
        seen.counters.matched = (states.len() + held.others) as u64;
        seen.counters.affected = still as u64;
        if held.others > 0 {
            seen.counters.more.insert("already_stopped".to_owned(), held.others as u64);
        }
        if !states.is_empty() {
            let percent = 100.0 * still as f64 / states.len() as f64;
            seen.achieved.insert("percent".to_owned(), percent);
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::host::process::stat::Stat;

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            Self(Command::new("sleep").arg("60").spawn().unwrap())
        }

        fn reference(&self) -> ProcessRef {
            let pid = self.0.id();
            ProcessRef { pid, start_time: Stat::read(pid).unwrap().start_time }
        }

        fn comes_to(&self, stopped: bool) {
            let start = Instant::now();
            while (self.reference().state() == Some('T')) != stopped {
                assert!(start.elapsed() < Duration::from_secs(10), "stopped: {}", !stopped);
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_last_fault_continues_and_what_others_stopped_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let cx = |fault: &str| Cx {
            fault: fault.to_owned(),
            expires_boot_ns: u64::MAX,
            journal: journal.clone(),
        };
        let stops = Stops::default();
        let [a, b, theirs] = [Sleeper::start(), Sleeper::start(), Sleeper::start()];
        theirs.reference().signal(libc::SIGSTOP).unwrap();
        theirs.comes_to(true);

        let all = [&a, &b, &theirs].map(Sleeper::reference);
        let (first, others) = stops.hold(&all, &cx("f-1")).unwrap();
        assert_eq!(others, 1);
        a.comes_to(true);
        b.comes_to(true);
        let (second, others) = stops.hold(&[b.reference()], &cx("f-2")).unwrap();
        assert_eq!(others, 0, "what another fault stopped was taken for somebody else's");
        assert_eq!(journal.pending().0, 2);

        stops.release(first.unwrap()).unwrap();
        a.comes_to(false);
        b.comes_to(true);
        assert_eq!(journal.pending().0, 1);
        stops.release(second.unwrap()).unwrap();
        b.comes_to(false);
        theirs.comes_to(true);
        assert_eq!(journal.pending(), (0, 0));
    }

    #[test]
    fn what_has_ended_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let cx = Cx { fault: "f-1".into(), expires_boot_ns: u64::MAX, journal };
        let gone = ProcessRef { pid: std::process::id(), start_time: 1 };
        let (batch, others) = Stops::default().hold(&[gone], &cx).unwrap();
        assert_eq!((batch.map(|b| b.processes), others), (Some(vec![gone]), 0));
    }
}
