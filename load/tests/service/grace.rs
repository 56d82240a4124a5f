//! What is in flight when the time is up.

use std::time::{Duration, Instant};

use crate::{
    result,
    server::{Reply, Server},
};

/// A service that leaves every eighth request without an answer.
fn hanging() -> Server {
    let asked = std::sync::atomic::AtomicU64::new(0);
    Server::start(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 8 {
        7 => Reply::Hang,
        _ => Reply::Answer(200, String::new()),
    })
}

#[test]
fn what_hangs_at_the_end_is_interrupted_when_the_grace_is_over() {
    for arrivals in ["users: 4", "rate: 40/s"] {
        let server = hanging();
        let started = Instant::now();
        let summary = result(
            server.port,
            &format!(
                "
flows: {{ get: {{ steps: [{{ http: GET / }}] }} }}
stages: [{{ for: 1s, {arrivals} }}]
limits: {{ grace: 500ms }}
thresholds: [failed == 0]
"
            ),
        );
        let total = &summary.total;
        assert!(total.unfinished >= 4, "{total:?}");
        assert_eq!((total.failed, total.ok), (0, total.sent - total.unfinished), "{total:?}");
        assert_eq!(summary.verdict.exit_code, 0, "{:?}", summary.verdict);
        // What was cut took at least half a second.
        assert!(total.latency.max_ms.unwrap() >= 500.0, "{:?}", total.latency);
        assert_eq!(total.latency.count, total.sent, "{total:?}");
        // A time-out would have taken thirty seconds.
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
}

#[test]
fn a_service_that_never_answers_does_not_pass() {
    let server = Server::start(|_| Reply::Hang);
    let text = "
flows: { get: { steps: [{ http: GET / }] } }
stages: [{ for: 500ms, rate: 20/s }]
limits: { grace: 200ms }
thresholds: [failed < 1]
";
    let verdict = result(server.port, text).verdict;
    assert_eq!(verdict.exit_code, 99, "{verdict:?}");
    assert!(verdict.reasons[0].starts_with("none of 10 requests succeeded"), "{verdict:?}");
}
