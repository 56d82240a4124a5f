//! The closed model: users who come and go.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use faultload::{
    engine::{Run, Silent},
    measure::ErrorKind,
    plan::{Arrival, Stage, Think},
    template::Shared,
};

use crate::{errors, figures, get, plan, server::Server, summary};

#[test]
fn each_user_has_one_request_and_one_connection_at_a_time() {
    let server = Server::start();
    let summary =
        figures(plan(get(server.port, "/"), Arrival::users(8), Duration::from_millis(500)));
    let total = &summary.total;
    assert_eq!(total.failed, 0);
    assert_eq!(total.connections.opened, 8);
    let log = server.log();
    assert_eq!(log.len() as u64, total.ok, "every request is counted once");
    let connections: BTreeSet<_> = log.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 8);
    assert!(summary.timeline.iter().all(|row| row.in_flight <= 8 && row.connections <= 8));
}

#[test]
fn users_ramp_up_and_down_and_think() {
    let server = Server::start();
    let mut plan = plan(get(server.port, "/"), Arrival::users(1), Duration::from_secs(1));
    let stage = |from, to, ms| Stage {
        duration: Duration::from_millis(ms),
        arrival: Arrival::Users { from, to },
        ..plan.stages[0].clone()
    };
    plan.stages = vec![stage(0, 200, 500), stage(200, 200, 500), stage(200, 0, 500)];
    let pause = Duration::from_millis(100);
    plan.flows[0].steps[0].think = Some(Think { min: pause, max: pause });
    let summary = figures(plan);
    let total = &summary.total;
    assert_eq!((total.failed, total.unfinished), (0, 0), "{:?}", total.errors);
    assert_eq!(total.connections.opened, 200);
    assert_eq!(server.log().len() as u64, total.ok);
    // On average 133 users, each with at most ten requests a second.
    assert!((400..=2200).contains(&total.ok), "{}", total.ok);
    let most = summary.timeline.iter().map(|row| row.users).max().unwrap();
    assert!(most <= 200, "{most}");
}

#[test]
fn who_thinks_also_thinks_after_a_failure() {
    let server = Server::start();
    let pause = Duration::from_millis(100);
    let think = Some(Think { min: pause, max: pause });
    for path in ["/", "/unavailable"] {
        let mut after_a_step =
            plan(get(server.port, path), Arrival::users(4), Duration::from_secs(1));
        let mut after_a_flow = after_a_step.clone();
        after_a_step.flows[0].steps[0].think = think;
        after_a_flow.flows[0].think = think;
        for plan in [after_a_step, after_a_flow] {
            let due = figures(plan).total.due;
            // At most ten a second of each, on a slow machine fewer.
            assert!((8..=44).contains(&due), "{path}: {due}");
        }
    }
    // Nobody waits for an arrival: the next one comes when it is due.
    let mut arriving = plan(get(server.port, "/"), Arrival::rate(50.0), Duration::from_secs(1));
    arriving.flows[0].think = Some(Think { min: pause * 100, max: pause * 100 });
    let summary = figures(arriving);
    assert_eq!(summary.total.ok, 50);
    assert!(summary.total.connections.opened < 50, "they are kept all the same");
}

#[test]
fn users_without_a_server_do_not_spin() {
    let port = Server::start().port;
    let summary = figures(plan(get(port, "/"), Arrival::users(4), Duration::from_millis(500)));
    let refused = errors(&summary, ErrorKind::Connect);
    assert_eq!(refused, summary.total.due);
    assert!((4..=40).contains(&refused), "{refused}");
}

#[test]
fn a_short_queue_of_the_listener_is_told_before_and_after() {
    // Nobody accepts.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let listener = runtime.block_on(async { socket.listen(4) }).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut plan = plan(get(port, "/"), Arrival::users(40), Duration::from_millis(500));
    plan.flows[0].steps[0].timeout = Duration::from_millis(400);
    let run = Run::new(plan, Shared::default()).unwrap();
    let before: Vec<&str> = run.warnings().iter().map(|limit| limit.text.as_str()).collect();
    assert!(before.iter().any(|text| text.contains("lets 4 connections wait")), "{before:?}");
    let after = summary(&run.execute(&mut Silent).unwrap()).fitness.warnings;
    assert!(after.iter().any(|text| text.contains("had no room for a connection")), "{after:?}");
}

#[test]
fn a_stop_is_graceful_and_a_second_one_is_not() {
    let server = Server::start();
    let start = |path| {
        let mut plan = plan(get(server.port, path), Arrival::users(4), Duration::from_secs(60));
        plan.limits.grace = Duration::from_secs(60);
        let pause = Duration::from_secs(30);
        plan.flows[0].steps[0].think = Some(Think { min: pause, max: pause });
        Run::new(plan, Shared::default()).unwrap()
    };
    let began = Instant::now();
    let stopping = |run: &Run, times: u64| {
        let stopper = run.stopper();
        std::thread::spawn(move || {
            for _ in 0..times {
                std::thread::sleep(Duration::from_millis(300));
                stopper.stop();
            }
        })
    };
    let run = start("/");
    let thread = stopping(&run, 1);
    let outcome = run.execute(&mut Silent).unwrap();
    thread.join().unwrap();
    let thinking = summary(&outcome);
    assert_eq!((thinking.total.ok, thinking.total.unfinished), (4, 0));
    let length = |seconds: f64| (0.2..20.0).contains(&seconds);
    assert!(length(thinking.duration_s) && length(thinking.total.duration_s), "{thinking:?}");

    let run = start("/hang");
    let thread = stopping(&run, 2);
    let outcome = run.execute(&mut Silent).unwrap();
    thread.join().unwrap();
    let hanging = summary(&outcome);
    assert_eq!((hanging.total.ok, hanging.total.unfinished), (0, 4));
    assert_eq!(hanging.flows[0].unfinished, 4);
    assert!(hanging.duration_s >= 0.5 && length(hanging.total.duration_s), "{hanging:?}");
    assert!(hanging.phases[0].end_s >= 0.5, "{:?}", hanging.phases);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
