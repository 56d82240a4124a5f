//! What is left of a run: files, and a summary for the eye.

use std::{
    fs,
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, Result};

use crate::{
    measure::ErrorKind,
    summary::{Latency, Summary},
};

/// Makes the results directory.
pub(super) fn create(dir: Option<&Path>) -> Result<()> {
    let Some(dir) = dir else { return Ok(()) };
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// Writes `summary.json` and prints the result.
pub(super) fn finish(
    summary: &Summary,
    failures: &[(String, ErrorKind, String)],
    dir: Option<&Path>,
    json: bool,
) -> Result<()> {
    if let Some(dir) = dir {
        let path = dir.join("summary.json");
        let text = serde_json::to_vec_pretty(summary)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = if json { serde_json::to_string(summary)? + "\n" } else { text(summary, failures) };
    match stdout().write_all(text.as_bytes()) {
        // Whoever reads may have read enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write the result"),
    }
}

fn times(name: &str, latency: &Latency) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.3}"));
    format!(
        "{name:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n",
        ms(latency.mean_ms),
        ms(latency.p50_ms),
        ms(latency.p95_ms),
        ms(latency.p99_ms),
        ms(latency.p99_9_ms),
        ms(latency.max_ms)
    )
}

fn text(summary: &Summary, failures: &[(String, ErrorKind, String)]) -> String {
    let total = &summary.total;
    let mut out = format!(
        "\nrequests     {} due, {} sent, {} ok, {} failed, {} unfinished, {} late, {} skipped\n",
        total.due, total.sent, total.ok, total.failed, total.unfinished, total.late, total.skipped
    );
    out += &format!("rate         {:.1}/s ok over {:.3} s\n", total.rate, total.duration_s);
    let connections = &total.connections;
    out += &format!(
        "connections  {} opened, {} refused, {} requests on one that was open\n",
        connections.opened, connections.failed, connections.reused
    );
    out += &format!("bytes        {} sent, {} received\n", total.sent_bytes, total.received_bytes);
    let statuses: Vec<_> = total.statuses.iter().map(|(s, n)| format!("{s}: {n}")).collect();
    if !statuses.is_empty() {
        out += &format!("statuses     {}\n", statuses.join(", "));
    }
    out += &format!(
        "\n{:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n",
        "ms", "mean", "p50", "p95", "p99", "p99.9", "max"
    );
    out += &times("from due", &total.latency);
    out += &times("from sent", &total.service_time);
    if total.failed > 0 {
        out += &times("failed", &total.failed_latency);
    }
    if let Some(stream) = &total.stream {
        out += &times("first event", &stream.first_event);
        out += &times("between", &stream.between_events);
        out += &format!("events       {}\n", stream.events);
    }
    for (kind, count) in &total.errors {
        let said = failures.iter().find(|(_, k, _)| k.name() == kind);
        let said = said.map_or(String::new(), |(_, _, text)| format!(" ({text})"));
        out += &format!("error        {kind}: {count}{said}\n");
    }
    for probe in &summary.probes {
        for (name, stream) in [("fresh", &probe.fresh), ("pooled", &probe.pooled)] {
            let ratio = stream.availability_ratio.unwrap_or(0.0) * 100.0;
            out += &format!(
                "probe        {name}: {ratio:.3} % available, longest outage {:.3} s, {} in all, p99 {} ms\n",
                stream.longest_outage_s,
                stream.outages.len(),
                stream.latency.p99_ms.map_or("-".to_owned(), |ms| format!("{ms:.3}")),
            );
        }
    }
    let fitness = &summary.fitness;
    let lag = fitness.lag.p99_ms.map_or(String::new(), |ms| format!("lag p99 {ms:.3} ms, "));
    out += &format!(
        "generator    {lag}busiest worker {:.0} %, {:.2} s of processor, {:.1} MiB\n",
        fitness.busiest_worker_percent,
        fitness.cpu_s,
        fitness.peak_memory_bytes as f64 / f64::from(1 << 20)
    );
    for warning in &fitness.warnings {
        out += &format!("note         {warning}\n");
    }
    for threshold in &summary.thresholds {
        let mark = if threshold.passed { "held  " } else { "broken" };
        out += &format!("{mark}       {}: {}\n", threshold.expression, threshold.text);
    }
    let verdict = &summary.verdict;
    let ended = if verdict.interrupted { " (ended early by a signal)" } else { "" };
    out += &format!("\n{:?}{ended}\n", verdict.kind);
    for reason in &verdict.reasons {
        out += &format!("  {reason}\n");
    }
    out
}
