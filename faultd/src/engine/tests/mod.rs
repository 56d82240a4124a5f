pub mod fake;

use std::{
    fs,
    time::{Duration, Instant},
};

use faultd_api::{EndReason, EventKind, Fault, PortSet, Span, State};

use super::*;
use fake::{Bench, SLOW_REVERT, ask};

async fn until_ended(bench: &Bench, id: &str, patience: u64) -> Fault {
    let start = Instant::now();
    loop {
        let fault = bench.engine.get(id).unwrap();
        if fault.state == State::Ended {
            return fault;
        }
        assert!(start.elapsed() < Duration::from_millis(patience), "{id} did not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn steps_are_applied_in_order_and_taken_back_in_reverse() {
    let bench = Bench::new();
    let fault = bench.engine.inject(ask("x", 60_000)).await.unwrap();
    assert_eq!(fault.state, State::Active);
    assert!(fault.active_at.is_some() && fault.active_mono_ns.is_some());
    assert_eq!(bench.done(), ["apply a", "apply b", "apply c"]);
    let ended = bench.engine.revert(vec![fault.id], Actor::daemon()).await.unwrap();
    assert_eq!(ended[0].end_reason, Some(EndReason::Reverted));
    assert!(ended[0].ended_mono_ns > ended[0].active_mono_ns);
    assert_eq!(bench.done()[3..], ["revert c", "revert b", "revert a"]);
}

#[tokio::test]
async fn a_fault_has_ended_when_all_steps_are_out_of_force() {
    let bench = Bench::new();
    for (label, steps_taken_back) in [("lift", 0), ("lift-not-b", 3)] {
        let fault = bench.engine.inject(ask(label, 60_000)).await.unwrap();
        bench.log.lock().unwrap().clear();
        let start = clock::mono_ns();
        let ended = bench.engine.revert(vec![fault.id], Actor::daemon()).await.unwrap();
        let took = clock::mono_ns() - start;
        let lifts = ["lift c", "lift b", "lift a"];
        assert_eq!(bench.done(), [lifts, ["revert c", "revert b", "revert a"]].concat());
        let edge = ended[0].ended_mono_ns.unwrap() - start;
        let slow = SLOW_REVERT.as_nanos() as u64;
        assert!(edge >= steps_taken_back * slow, "{label}: ended after {edge} ns");
        assert!(took - edge >= (3 - steps_taken_back) * slow, "{label}: {edge} of {took} ns");
    }
}

#[tokio::test]
async fn a_failed_step_takes_the_earlier_ones_back() {
    let bench = Bench::new();
    for label in ["apply-fails-c", "apply-panics-c"] {
        bench.log.lock().unwrap().clear();
        let error = bench.engine.inject(ask(label, 60_000)).await.unwrap_err();
        let EngineError::Failed { id, message } = error else { panic!("{error}") };
        assert_eq!(bench.done(), ["apply a", "apply b", "revert b", "revert a"]);
        let fault = bench.engine.get(&id).unwrap();
        assert_eq!(fault.end_reason, Some(EndReason::Failed));
        assert_eq!(fault.error.as_ref(), Some(&message));
        assert!(message.contains("step c"), "{message}");
    }
    assert!(bench.engine.list(false).is_empty());
    assert_eq!(bench.engine.list(true).len(), 2);
}

#[tokio::test]
async fn undos_are_written_first_and_replayed_on_failure_and_at_the_end() {
    let bench = Bench::new();
    let effect = || fs::read_to_string(bench.dir.path().join("effect")).unwrap();
    bench.engine.inject(ask("undo-apply-fails-c", 60_000)).await.unwrap_err();
    assert_eq!(effect(), "0");
    assert_eq!(bench.engine.journal().pending(), (0, 0));
    let fault = bench.engine.inject(ask("undo", 60_000)).await.unwrap();
    assert_eq!(effect(), "1");
    assert_eq!(bench.engine.journal().pending(), (3, 0));
    bench.engine.revert(vec![fault.id], Actor::daemon()).await.unwrap();
    assert_eq!(effect(), "0");
    assert_eq!(bench.engine.journal().pending(), (0, 0));
}

#[tokio::test]
async fn taking_back_goes_on_after_errors_and_reports_them_all() {
    let bench = Bench::new();
    let fault = bench.engine.inject(ask("revert-fails", 60_000)).await.unwrap();
    let ended = bench.engine.revert(vec![fault.id], Actor::daemon()).await.unwrap();
    let error = ended[0].error.as_deref().unwrap();
    assert!(error.contains("take c back") && error.contains("take a back"), "{error}");
    assert_eq!(bench.done()[3..], ["revert c", "revert b", "revert a"]);
}

#[tokio::test]
async fn a_panic_in_a_fault_ends_neither_the_others_nor_the_engine() {
    let bench = Bench::new();
    let error = bench.engine.inject(ask("plan-panic", 60_000)).await.unwrap_err();
    assert!(matches!(error, EngineError::Plan(PlanError::Host(_))), "{error}");
    let fault = bench.engine.inject(ask("revert-panics-b", 60_000)).await.unwrap();
    bench.engine.revert(vec![fault.id.clone()], Actor::daemon()).await.unwrap();
    assert_eq!(bench.done().len(), 6);
    assert!(bench.engine.get(&fault.id).unwrap().error.unwrap().contains("a bug"));
    bench.engine.inject(ask("x", 60_000)).await.unwrap();
}

#[tokio::test]
async fn a_failed_plan_leaves_nothing() {
    let bench = Bench::new();
    assert!(bench.engine.inject(ask("unsupported", 1000)).await.is_err());
    assert!(bench.engine.inject(ask("unsafe", 1000)).await.is_err());
    assert!(bench.engine.list(true).is_empty());
    assert!(bench.done().is_empty());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let bench = Bench::new();
    let plan = bench.engine.dry_run(ask("x", 1000)).await.unwrap();
    assert_eq!(plan.steps.len(), 3);
    assert!(bench.engine.list(true).is_empty() && bench.done().is_empty());
}

#[tokio::test]
async fn a_fault_ends_at_its_time_counted_from_acceptance() {
    let bench = Bench::new();
    // The time before it comes into force counts, however busy the machine is.
    let asked = ask("x", 2500);
    let deadline = asked.accepted.boot_ns + 2_500_000_000;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let fault = bench.engine.inject(asked).await.unwrap();
    let fault = until_ended(&bench, &fault.id, 5000).await;
    let late = clock::boot_ns().saturating_sub(deadline);
    assert!(late > 0 && late < 900_000_000, "{late} ns after its time");
    assert_eq!(fault.end_reason, Some(EndReason::Expired));
    assert_eq!(fault.counters.matched, 30, "the last look counts");
}

#[tokio::test]
async fn a_fault_that_is_done_ends_before_its_time() {
    let bench = Bench::new();
    let id = bench.engine.inject(ask("finish-b", 60_000)).await.unwrap().id;
    let other = bench.engine.inject(ask("x", 60_000)).await.unwrap().id;
    let fault = until_ended(&bench, &id, 2000).await;
    assert_eq!(fault.end_reason, Some(EndReason::Completed));
    assert_eq!(fault.counters.matched, 30, "the last look counts");
    assert_eq!(bench.engine.get(&other).unwrap().state, State::Active);
}

#[tokio::test]
async fn a_fault_whose_time_is_up_before_it_starts_never_starts() {
    let bench = Bench::new();
    let asked = ask("x", 1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(matches!(bench.engine.inject(asked).await, Err(EngineError::TooLate(_))));
    assert!(bench.done().is_empty());
}

#[tokio::test]
async fn a_lease_holds_while_it_is_confirmed() {
    let bench = Bench::new();
    let mut asked = ask("x", 60_000);
    asked.request.lease = Some(Span::from(Duration::from_millis(1000)));
    let id = bench.engine.inject(asked).await.unwrap().id;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.engine.confirm(&id, &Actor::daemon()).unwrap();
    }
    let start = Instant::now();
    let fault = until_ended(&bench, &id, 5000).await;
    assert_eq!(fault.end_reason, Some(EndReason::LeaseLost));
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
    let again = bench.engine.confirm(&id, &Actor::daemon());
    assert!(matches!(again, Err(EngineError::Over(_))));
    let none = bench.engine.inject(ask("x", 60_000)).await.unwrap().id;
    assert!(matches!(bench.engine.confirm(&none, &Actor::daemon()), Err(EngineError::NoLease(_))));
    assert!(matches!(
        bench.engine.confirm("f-zzzzzz", &Actor::daemon()),
        Err(EngineError::NoSuchFault(_))
    ));
}

#[tokio::test]
async fn a_lease_never_outlives_the_fault() {
    let bench = Bench::new();
    let mut asked = ask("x", 2000);
    asked.request.lease = Some(Span::from(Duration::from_millis(1900)));
    let id = bench.engine.inject(asked).await.unwrap().id;
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.engine.confirm(&id, &Actor::daemon()).unwrap();
    assert_eq!(until_ended(&bench, &id, 5000).await.end_reason, Some(EndReason::Expired));
}

#[tokio::test]
async fn stopping_takes_everything_back_and_refuses_what_comes_later() {
    let bench = Bench::new();
    for _ in 0..3 {
        bench.engine.inject(ask("x", 60_000)).await.unwrap();
    }
    let ended = bench.engine.shutdown().await;
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|f| f.end_reason == Some(EndReason::DaemonExit)));
    assert!(matches!(bench.engine.inject(ask("x", 1000)).await, Err(EngineError::Stopping)));
}

#[tokio::test]
async fn readers_do_not_wait_for_the_executor() {
    let bench = Bench::new();
    let engine = bench.engine.clone();
    let slow = tokio::spawn(async move { engine.inject(ask("apply-slow-b", 60_000)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Had it waited, the fault would be active by now.
    assert_eq!(bench.engine.list(false)[0].state, State::Applying);
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn events_tell_the_life_of_a_fault_in_order() {
    let bench = Bench::new();
    let (_, mut events) = bench.engine.subscribe();
    let mut asked = ask("x", 60_000);
    asked.request.lease = Some(Span::from_secs(30));
    let id = bench.engine.inject(asked).await.unwrap().id;
    bench.engine.confirm(&id, &Actor::daemon()).unwrap();
    bench.engine.revert(vec![id.clone()], Actor::daemon()).await.unwrap();
    let expected = [
        (EventKind::Planned, State::Planned),
        (EventKind::Active, State::Active),
        (EventKind::Confirmed, State::Active),
        (EventKind::Ended, State::Ended),
    ];
    for (i, (kind, state)) in expected.into_iter().enumerate() {
        let event = events.try_recv().unwrap();
        assert_eq!(event.seq, i as u64 + 1);
        assert_eq!((event.event, event.fault.state), (kind, state));
        assert_eq!(event.fault.id, id);
    }
    assert_eq!(bench.engine.subscribe().0.len(), 4, "late readers get what was");
}

#[tokio::test]
async fn limits_hold() {
    let bench = Bench::new();
    let limited = || {
        let mut asked = ask("x", 60_000);
        asked.limits = Limits { max_active: 2, max_active_of_owner: 1 };
        asked
    };
    bench.engine.inject(limited()).await.unwrap();
    let own = bench.engine.inject(limited()).await.unwrap_err();
    assert!(own.to_string().contains("your faults"), "{own}");
    let mut other = limited();
    other.caller.uid = 1;
    bench.engine.inject(other).await.unwrap();
    let mut third = limited();
    third.caller.uid = 2;
    assert!(matches!(bench.engine.inject(third).await, Err(EngineError::Limit(_))));
}

#[tokio::test]
async fn a_thousand_faults_at_once() {
    let bench = Bench::new();
    let start = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..1000 {
        ids.push(bench.engine.inject(ask("x", 60_000)).await.unwrap().id);
    }
    let each = start.elapsed() / 1000;
    assert!(each < Duration::from_millis(2), "{each:?} for one inject");
    let listed: Vec<_> = bench.engine.list(false).into_iter().map(|f| f.id).collect();
    assert_eq!(listed, ids, "the order of acceptance");
    let ended = bench.engine.revert(ids, Actor::daemon()).await.unwrap();
    assert_eq!(ended.len(), 1000);
    assert!(bench.engine.list(false).is_empty());
    let one_more = bench.engine.inject(ask("x", 60_000)).await.unwrap().id;
    bench.engine.revert(vec![one_more], Actor::daemon()).await.unwrap();
    assert_eq!(bench.engine.list(true).len(), 1000, "the history is bounded");
}

#[tokio::test]
async fn seeds_are_kept_or_drawn() {
    let bench = Bench::new();
    let mut asked = ask("x", 60_000);
    asked.request.seed = Some(7);
    assert_eq!(bench.engine.inject(asked).await.unwrap().seed, 7);
    let a = bench.engine.inject(ask("x", 60_000)).await.unwrap().seed;
    let b = bench.engine.inject(ask("x", 60_000)).await.unwrap().seed;
    assert_ne!(a, b);
}

#[tokio::test]
async fn explain_names_the_faults_that_are_met() {
    let bench = Bench::new();
    let mut asked = ask("x", 60_000);
    asked.request.target.port = Some(PortSet::single(80));
    let id = bench.engine.inject(asked).await.unwrap().id;
    let met = |port| {
        let query = Target { port: Some(PortSet::single(port)), ..Target::default() };
        bench.engine.explain(&query)
    };
    assert_eq!(met(80).rules[0].id, id);
    assert!(met(81).rules.is_empty());
}
