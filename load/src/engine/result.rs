//! From what a run has recorded to its summary.

use super::{Outcome, host_info};
use crate::{
    measure::{ErrorKind, summarize},
    plan::{Request, Scheme, Transport},
    schedule::nanos,
    summary::{ScenarioInfo, Summary, VERSION},
    template::Vars,
};

impl Outcome {
    /// The summary, without thresholds and verdict; `started_at` is the wall-clock time of the
    /// start. Also what the first failure of each kind said, by step.
    #[must_use]
    pub fn summary(
        &self,
        scenario: ScenarioInfo,
        started_at: String,
    ) -> (Summary, Vec<(String, ErrorKind, String)>) {
        let figures = summarize(&self.plan, &self.marks, &self.phases, self.load_end, self.end);
        let mut phases = figures.phases;
        if let Some(probe) = &self.probe {
            let last = phases.len().saturating_sub(1);
            for (at, phase) in phases.iter_mut().enumerate() {
                let nanos = |seconds: f64| (seconds * 1e9) as u64;
                // One may be due at the very end.
                let end = if at == last { u64::MAX } else { nanos(phase.end_s) };
                let seen = probe.within(nanos(phase.start_s), end);
                phase.availability_ratio = seen.map(|(ratio, _)| ratio);
                phase.longest_outage_s = seen.map(|(_, longest)| longest);
            }
        }
        let seconds = self.end as f64 / 1e9;
        let mut summary = Summary {
            version: VERSION,
            tool: concat!("faultload ", env!("CARGO_PKG_VERSION")).to_owned(),
            scenario,
            host: host_info(self.usage.workers()),
            started_at,
            duration_s: seconds,
            fitness: self.usage.judge(&figures.total, seconds),
            total: figures.total,
            flows: figures.flows,
            phases,
            probes: self.probe.iter().map(|probe| probe.summary("probe")).collect(),
            checks: figures.checks,
            ledger: self.ledger.clone(),
            timeline: self.timeline.clone(),
            ..Summary::default()
        };
        if let Some(raw) = self.raw.as_ref().filter(|raw| raw.dropped > 0) {
            let all = raw.lines + raw.dropped;
            let why = match &raw.error {
                Some(error) => error.to_string(),
                None => "the disk did not follow".to_owned(),
            };
            let text = format!("{} of {all} raw samples were not written: {why}", raw.dropped);
            summary.fitness.warnings.push(text);
        }
        // One signal that comes when nothing is begun any more changes nothing.
        let planned = nanos(self.plan.duration());
        let cut = self.load_end < planned || summary.total.unfinished > 0;
        summary.verdict.interrupted = (self.interrupted && cut) || self.reading_interrupted;
        summary.verdict.aborted = self.aborted;
        (summary, figures.failures)
    }
}

/// What a request is and where it goes: `POST http://127.0.0.1:8080/login`.
pub(super) fn sent_to(request: &Request, vars: &mut Vars) -> String {
    let place = target(request).unwrap_or_default();
    match request {
        Request::Http(http) => {
            let scheme = if http.scheme == Scheme::Http { "http" } else { "https" };
            let path = http.path.render_text(vars).unwrap_or_default();
            format!("{} {scheme}://{place}{path}", http.method)
        }
        Request::Grpc(_) => format!("gRPC to {place}"),
        Request::Tcp(_) => format!("TCP to {place}"),
        Request::Redis(_) => format!("Redis at {place}"),
        Request::Postgres(_) => format!("PostgreSQL at {place}"),
        Request::None => "a pause".into(),
    }
}

/// Where a request goes.
fn target(request: &Request) -> Option<String> {
    let target = match request {
        Request::Http(request) => &request.target,
        Request::Grpc(request) => &request.target,
        Request::Tcp(request) => &request.target,
        Request::Redis(request) => &request.server.target,
        Request::Postgres(request) => &request.server.target,
        Request::None => return None,
    };
    Some(match &target.transport {
        Transport::Tcp => format!("{}:{}", target.host, target.port),
        Transport::Unix(path) => path.display().to_string(),
    })
}

/// What a plan is aimed at, for results: each target once.
#[must_use]
pub fn targets(plan: &crate::plan::Plan) -> Vec<String> {
    let mut found = Vec::new();
    for step in plan.flows.iter().flat_map(|flow| &flow.steps) {
        let Some(text) = target(&step.request) else { continue };
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}
