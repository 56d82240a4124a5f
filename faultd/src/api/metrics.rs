//! `GET /metrics`: Prometheus' text format.
//!
//! Rendered by hand: it is a dozen lines of text, and the figures of a fault
//! come and go with it, which registries of client libraries do not like.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
};

use axum::{
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use faultd_api::{Fault, Kind};

use super::App;

/// How many requests were answered, by route and status.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<BTreeMap<(String, String, u16), u64>>);

impl Requests {
    /// Counts one answer. The route is a pattern and the method one that is
    /// known, so that clients cannot grow the table.
    pub(super) fn count(&self, method: &Method, route: &str, status: StatusCode) {
        let known = [Method::GET, Method::POST, Method::DELETE, Method::HEAD];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let key = (method.to_owned(), route.to_owned(), status.as_u16());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }
}

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, render(&app)).into_response()
}

/// One metric with all of its series.
struct Metric<'a> {
    out: &'a mut String,
    name: &'static str,
}

impl<'a> Metric<'a> {
    fn new(out: &'a mut String, name: &'static str, kind: &str, help: &str) -> Self {
        // Writing to a String cannot fail, here and below.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Self { out, name }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.out.push_str(self.name);
        if !labels.is_empty() {
            let labels = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escape(v)));
            let _ = write!(self.out, "{{{}}}", labels.collect::<Vec<_>>().join(","));
        }
        let _ = writeln!(self.out, " {value}");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn render(app: &App) -> String {
    let mut out = String::new();
    daemon(&mut out, app);
    totals(&mut out, app);
    faults(&mut out, &app.0.engine.list(false));
    let mut metric = Metric::new(
        &mut out,
        "faultd_api_requests_total",
        "counter",
        "Requests answered, by route; an empty route is one that does not exist.",
    );
    let requests = app.0.requests.0.lock().unwrap_or_else(PoisonError::into_inner);
    for ((method, route, status), count) in requests.iter() {
        let status = status.to_string();
        let labels = [("method", method.as_str()), ("route", route), ("status", &status)];
        metric.sample(&labels, count);
    }
    out
}

fn daemon(out: &mut String, app: &App) {
    Metric::new(out, "faultd_build_info", "gauge", "Version of the daemon.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let (pending, stuck) = app.0.engine.journal().pending();
    Metric::new(out, "faultd_journal_pending", "gauge", "Undos that wait for their time.")
        .sample(&[], pending);
    Metric::new(out, "faultd_journal_stuck", "gauge", "Undos that were tried and failed.")
        .sample(&[], stuck);
    Metric::new(out, "faultd_guardian_up", "gauge", "Whether the guardian lives.")
        .sample(&[], u8::from(app.0.guardian.pid().is_some()));
    Metric::new(
        out,
        "faultd_guardian_restarts_total",
        "counter",
        "How often the guardian died and was started again.",
    )
    .sample(&[], app.0.guardian.restarts());
}

fn totals(out: &mut String, app: &App) {
    let totals = app.0.engine.totals();
    let mut injected = Metric::new(
        out,
        "faultd_faults_injected_total",
        "counter",
        "Faults that came into force, by kind.",
    );
    for kind in Kind::ALL {
        let count = totals.injected.get(kind).copied().unwrap_or(0);
        injected.sample(&[("kind", kind.name())], count);
    }
    let mut ended = Metric::new(
        out,
        "faultd_faults_ended_total",
        "counter",
        "Faults that ended, by kind and reason.",
    );
    for ((kind, reason), count) in &totals.ended {
        ended.sample(&[("kind", kind.name()), ("reason", reason)], count);
    }
}

fn faults(out: &mut String, faults: &[Fault]) {
    let mut active = Metric::new(out, "faultd_faults_active", "gauge", "Faults in force, by kind.");
    for kind in Kind::ALL {
        let count = faults.iter().filter(|f| f.kind == *kind).count();
        active.sample(&[("kind", kind.name())], count);
    }
    each_fault(
        Metric::new(
            out,
            "faultd_fault_matched_total",
            "counter",
            "What the target of a fault matched (packets, calls, processes).",
        ),
        faults,
        |fault| [(None, fault.counters.matched)],
    );
    each_fault(
        Metric::new(
            out,
            "faultd_fault_affected_total",
            "counter",
            "What a fault changed of what it matched.",
        ),
        faults,
        |fault| [(None, fault.counters.affected)],
    );
    each_fault(
        Metric::new(out, "faultd_fault_events_total", "counter", "What else a fault counts."),
        faults,
        |fault| fault.counters.more.iter().map(|(what, n)| (Some(("what", what.as_str())), *n)),
    );
    each_fault(
        Metric::new(
            out,
            "faultd_fault_achieved",
            "gauge",
            "What a fault achieved, in the units of its parameters.",
        ),
        faults,
        |fault| fault.achieved.iter().map(|(name, v)| (Some(("figure", name.as_str())), *v)),
    );
}

/// The series of each fault: by id and kind, and by one more label where there
/// are several.
fn each_fault<'f, S, V>(
    mut metric: Metric<'_>,
    faults: &'f [Fault],
    series: impl Fn(&'f Fault) -> S,
) where
    S: IntoIterator<Item = (Option<(&'static str, &'f str)>, V)>,
    V: fmt::Display,
{
    for fault in faults {
        for (label, value) in series(fault) {
            let labels: Vec<_> = labels(fault).into_iter().chain(label).collect();
            metric.sample(&labels, value);
        }
    }
}

fn labels(fault: &Fault) -> [(&'static str, &str); 2] {
    [("id", &fault.id), ("kind", fault.kind.name())]
}
