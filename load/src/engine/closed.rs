//! The closed model: users who begin a flow when their last one has ended.

use std::{rc::Rc, time::Duration};

use tokio::task::{JoinSet, consume_budget};

use super::{
    clock::Timer,
    user::{Ended, User},
    worker::Worker,
};
use crate::{schedule::pick, template::Vars};

/// A user that gets no connection waits so long at first and twice as long each further time,
/// up to the second value: without that it would try as often as the processor allows, and the
/// figures would count its attempts.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

/// Lets this worker's users come and go; ends when the last of them has.
pub async fn run(worker: Rc<Worker>) {
    let first = u32::try_from(worker.index).unwrap_or(u32::MAX);
    let mine = (first..worker.users.most()).step_by(worker.workers);
    let mut coming: Vec<_> =
        mine.filter_map(|user| Some((worker.users.shift(user, 0)?.0, user))).collect();
    coming.sort_unstable();
    let timer = Rc::new(Timer::interruptible());
    let mut users = JoinSet::new();
    for (start, number) in coming {
        worker.clock.sleep(&timer, start).await;
        if worker.is_over() {
            break;
        }
        let seed = worker.prepared.plan.seed;
        let vars = Vars::with_shared(u64::from(number), seed, worker.shared.clone());
        users.spawn_local(work(User::new(Rc::clone(&worker), vars, false), number));
        while users.try_join_next().is_some() {}
    }
    while users.join_next().await.is_some() {}
}

async fn work(mut user: User, number: u32) {
    let worker = Rc::clone(&user.worker);
    let plan = &worker.prepared.plan;
    let seed = plan.seed.wrapping_add(u64::from(number).wrapping_mul(0x9E37_79B9));
    let mut round = 0;
    while let Some((start, until)) = worker.users.shift(number, worker.clock.now()) {
        worker.clock.sleep(&user.pause, start).await;
        worker.at_work.set(worker.at_work.get() + 1);
        loop {
            let now = worker.clock.now();
            if now >= until || now >= worker.end.get() {
                break;
            }
            let Some(stage) = worker.users.stage_at(now) else { break };
            let flow = pick(&plan.stages[stage].mix, round, seed);
            round += 1;
            let ended = user.flow(flow, now).await;
            if ended == Ended::Failed && user.refused > 0 {
                let doubled = BACK_OFF.0 * (1 << (user.refused - 1).min(8));
                user.wait(doubled.min(BACK_OFF.1)).await;
            }
            // A flow that neither sends nor pauses would keep everybody else from their turn.
            consume_budget().await;
        }
        worker.at_work.set(worker.at_work.get() - 1);
        user.leave();
        if worker.is_over() {
            return;
        }
    }
}
