//! A server that goes away and comes back, seen by load and probe.

use std::{
    thread::{self, sleep},
    time::{Duration, Instant},
};

use faultload::{
    engine::{Run, Silent},
    measure::ErrorKind,
    plan::{Arrival, ProbePlan, Request},
    summary::PhaseKind,
    template::Shared,
};

use crate::{errors, get, plan, server::Server, summary};

#[test]
fn an_outage_is_as_long_as_it_was() {
    let server = Server::start();
    let port = server.port;
    let mut plan = plan(get(port, "/"), Arrival::rate(200.0), Duration::from_secs(3));
    let probe = Request::Http(Box::new(get(port, "/")));
    plan.probe = Some(ProbePlan::new("probe", probe));
    let mut run = Run::new(plan, Shared::default()).unwrap();
    run.name_first_phase("baseline", PhaseKind::Baseline);
    let (phases, epoch) = (run.phases(), run.begin());
    let away = thread::spawn(move || {
        sleep(Duration::from_millis(1000));
        let gone = Instant::now();
        phases.cut(epoch.now(), "gone", PhaseKind::Fault);
        drop(server);
        sleep(Duration::from_millis(700));
        let server = Server::on(port);
        let back = gone.elapsed();
        phases.cut(epoch.now(), "back", PhaseKind::Recovery);
        sleep(Duration::from_millis(1500));
        drop(server);
        back
    });
    let outcome = run.execute(&mut Silent).unwrap();
    let truth = away.join().unwrap().as_secs_f64();
    let summary = summary(&outcome);

    let probe = &summary.probes[0];
    for stream in [&probe.fresh, &probe.pooled] {
        let measured = stream.longest_outage_s;
        assert!((measured - truth).abs() < 0.15, "{measured} s, {truth} s is true");
        assert_eq!(stream.outages[0].failed, stream.sent - stream.ok);
    }
    assert_eq!(summary.total.due, 600);
    let lost = errors(&summary, ErrorKind::Connect) + errors(&summary, ErrorKind::Reset);
    assert_eq!(lost, summary.total.failed, "{:?}", summary.total.errors);
    assert!((lost as f64 - 200.0 * truth).abs() < 40.0, "{lost} lost in {truth} s");

    let [baseline, gone, back] = summary.phases.as_slice() else { panic!("three phases") };
    assert!(baseline.total.failed <= 2 && back.total.failed <= 2, "{baseline:?}");
    assert!(gone.total.error_ratio.unwrap() > 0.9, "{:?}", gone.total);
    assert!(baseline.availability_ratio.unwrap() > 0.95);
    assert!(gone.availability_ratio.unwrap() < 0.1);
    assert!(back.availability_ratio.unwrap() > 0.9);
    assert_eq!(baseline.total.due + gone.total.due + back.total.due, 600);
    let rows: u64 = summary.timeline.iter().map(|row| row.probes_ok + row.probes_failed).sum();
    assert!(rows >= 280, "{rows} of 300 probes are in the timeline");
}

#[test]
fn a_stall_that_probes_do_not_wait_for_is_an_outage_from_its_start_to_its_end() {
    let server = Server::start();
    let mut plan = plan(get(server.port, "/"), Arrival::Pause, Duration::from_secs(4));
    let mut probe = ProbePlan::new("probe", Request::Http(Box::new(get(server.port, "/"))));
    probe.step.timeout = Duration::from_millis(500);
    plan.probe = Some(probe);
    let run = Run::new(plan, Shared::default()).unwrap();
    let (truth, outcome) = thread::scope(|scope| {
        let stalling = scope.spawn(|| {
            sleep(Duration::from_millis(1000));
            server.stall(true);
            let stalled = Instant::now();
            sleep(Duration::from_millis(1500));
            server.stall(false);
            stalled.elapsed().as_secs_f64()
        });
        let outcome = run.execute(&mut Silent).unwrap();
        (stalling.join().unwrap(), outcome)
    });
    let probe = &summary(&outcome).probes[0];
    for stream in [&probe.fresh, &probe.pooled] {
        let measured = stream.longest_outage_s;
        assert!((measured - truth).abs() < 0.3, "{measured} s, {truth} s is true: {stream:?}");
    }
    let seen = server.log().len() as u64;
    assert_eq!(seen, probe.fresh.sent + probe.pooled.sent, "each probe has asked once");
}
