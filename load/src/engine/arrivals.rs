//! The open model: arrivals that are due, whatever became of earlier ones.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use tokio::task::{spawn_local, yield_now};

use super::{clock::Timer, user::User, worker::Worker};
use crate::{schedule::pick, template::Vars};

/// So many arrivals that are overdue are handed out before answers get their turn.
const BURST: u32 = 64;

/// An arrival: a flow and when it was due.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    flow: usize,
    due: u64,
}

/// A user that carries arrivals, one at a time.
#[derive(Debug, Default)]
struct Carrier {
    next: Cell<Option<Arrival>>,
    waker: RefCell<Option<Waker>>,
}

/// Carriers without an arrival. The one that was used last comes first, so that connections are
/// as few as the load needs.
#[derive(Debug, Default)]
struct Pool {
    idle: RefCell<Vec<Rc<Carrier>>>,
    /// Waits for one.
    waiting: RefCell<Option<Waker>>,
    count: Cell<usize>,
    closed: Cell<bool>,
}

impl Pool {
    fn give_back(&self, carrier: Rc<Carrier>) {
        self.idle.borrow_mut().push(carrier);
        self.wake_waiting();
    }

    fn wake_waiting(&self) {
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Starts this worker's arrivals when they are due; ends with the last of them. Those that there
/// was no user or no time for are counted as skipped.
pub async fn run(worker: Rc<Worker>) {
    let pool = Rc::new(Pool::default());
    let plan = &worker.prepared.plan;
    let most = plan.limits.in_flight.div_ceil(worker.workers).max(1);
    let timer = Rc::new(Timer::interruptible());
    let end_timer = Rc::new(Timer::interruptible());
    let mut number = worker.index as u64;
    let mut handed_out = 0;
    // Waiting for a user is no lag of this worker's.
    let mut held_until = 0;
    while let Some((due, stage)) = worker.rates.due(number) {
        worker.clock.sleep(&timer, due).await;
        // What was due before the end is sent even if this worker turns to it a moment after.
        if due >= worker.end.get() {
            break;
        }
        let now = worker.clock.now();
        let lag = now.saturating_sub(due.max(held_until));
        if lag == 0 {
            handed_out = 0;
        }
        if pool.idle.borrow().is_empty() && pool.count.get() >= most {
            worker.clock.set(&end_timer, worker.end.get());
            let freed = poll_fn(|cx| {
                if !pool.idle.borrow().is_empty() {
                    return Poll::Ready(true);
                }
                *pool.waiting.borrow_mut() = Some(cx.waker().clone());
                if end_timer.poll(cx) { Poll::Ready(false) } else { Poll::Pending }
            });
            if !freed.await {
                break;
            }
            end_timer.unset();
            held_until = worker.clock.now();
        }
        worker.recorder.borrow_mut().lag(lag);
        let arrival = Arrival { flow: pick(&plan.stages[stage].mix, number, plan.seed), due };
        hand_out(&worker, &pool, arrival);
        number += worker.workers as u64;
        handed_out += 1;
        if handed_out >= BURST {
            handed_out = 0;
            yield_now().await;
        }
    }
    skip_the_rest(&worker, number);
    pool.closed.set(true);
    for carrier in pool.idle.take() {
        if let Some(waker) = carrier.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

fn hand_out(worker: &Rc<Worker>, pool: &Rc<Pool>, arrival: Arrival) {
    let idle = pool.idle.borrow_mut().pop();
    let carrier = idle.unwrap_or_else(|| {
        let carrier = Rc::new(Carrier::default());
        let number = pool.count.get() * worker.workers + worker.index;
        pool.count.set(pool.count.get() + 1);
        let seed = worker.prepared.plan.seed;
        let vars = Vars::with_shared(number as u64, seed, worker.shared.clone());
        let user = User::new(Rc::clone(worker), vars, true);
        spawn_local(carry(user, Rc::clone(&carrier), Rc::clone(pool)));
        carrier
    });
    carrier.next.set(Some(arrival));
    if let Some(waker) = carrier.waker.borrow_mut().take() {
        waker.wake();
    }
}

async fn carry(mut user: User, carrier: Rc<Carrier>, pool: Rc<Pool>) {
    loop {
        let next = poll_fn(|cx| match carrier.next.take() {
            Some(arrival) => Poll::Ready(Some(arrival)),
            None if pool.closed.get() => Poll::Ready(None),
            None => {
                *carrier.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        });
        let Some(arrival) = next.await else { return };
        user.flow(arrival.flow, arrival.due).await;
        pool.give_back(Rc::clone(&carrier));
    }
}

/// Counts the arrivals from `number` on that were due before the end.
fn skip_the_rest(worker: &Worker, mut number: u64) {
    let prepared = &worker.prepared;
    let end = worker.end.get();
    let mut recorder = worker.recorder.borrow_mut();
    while let Some((due, stage)) = worker.rates.due(number)
        && due < end
    {
        let flow = pick(&prepared.plan.stages[stage].mix, number, prepared.plan.seed);
        if let Some(step) = prepared.flows[flow].first() {
            recorder.skipped(step.id, due);
        }
        number += worker.workers as u64;
    }
}
