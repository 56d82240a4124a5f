//! The tables.

use super::{
    Row, Table, Tone,
    errors::{errors, errors_of_steps},
    ledger::{ledger, wrong_writes},
};
use crate::{
    figures::{NONE, bytes, count, maybe_ms, maybe_percent, ms, number, phase_kind, seconds},
    summary::{Flow, Stats, Summary},
};

/// All tables that have rows.
pub fn tables(summary: &Summary) -> Vec<Table> {
    let all = [
        thresholds(summary),
        phases(summary),
        steps(summary),
        runs(summary),
        streams(summary),
        errors(summary),
        errors_of_steps(summary),
        faults(summary),
        probes(summary),
        checks(summary),
        ledger(summary),
        wrong_writes(summary),
        generator(summary),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn held(passed: bool) -> (Tone, String) {
    if passed { (Tone::Good, "✓".into()) } else { (Tone::Bad, "✗".into()) }
}

fn thresholds(summary: &Summary) -> Table {
    let row = |t: &crate::summary::ThresholdResult| {
        let (tone, mark) = held(t.passed);
        let text = if t.aborted { format!("{} (ended the run)", t.text) } else { t.text.clone() };
        Row { tone, cells: vec![mark, t.expression.clone(), text] }
    };
    Table {
        title: "Thresholds",
        note: "",
        columns: vec!["", "asked", "measured"],
        text_columns: 3,
        rows: summary.thresholds.iter().map(row).collect(),
    }
}

const STATS: [&str; 9] = ["requests", "rate", "errors", "p50", "p90", "p95", "p99", "p99.9", "max"];

fn stats_cells(stats: &Stats) -> Vec<String> {
    let latency = &stats.latency;
    vec![
        count(stats.sent),
        format!("{}/s", number(stats.rate)),
        maybe_percent(stats.error_ratio),
        maybe_ms(latency.p50_ms),
        maybe_ms(latency.p90_ms),
        maybe_ms(latency.p95_ms),
        maybe_ms(latency.p99_ms),
        maybe_ms(latency.p99_9_ms),
        maybe_ms(latency.max_ms),
    ]
}

fn stats_tone(stats: &Stats) -> Tone {
    if stats.failed > 0 { Tone::Warn } else { Tone::Plain }
}

fn phases(summary: &Summary) -> Table {
    let row = |phase: &crate::summary::Phase| {
        let kind = phase_kind(phase.kind);
        let name = if kind == phase.name {
            phase.name.clone()
        } else {
            format!("{} ({kind})", phase.name)
        };
        let time = format!("{} – {}", seconds(phase.start_s), seconds(phase.end_s));
        let mut cells = vec![name, time];
        cells.extend(stats_cells(&phase.total));
        cells.push(maybe_percent(phase.availability_ratio));
        cells.push(phase.longest_outage_s.map_or_else(|| NONE.into(), |s| ms(s * 1000.0)));
        Row { tone: stats_tone(&phase.total), cells }
    };
    let mut columns = vec!["phase", "time"];
    columns.extend(STATS);
    columns.extend(["available", "longest outage"]);
    let rows = summary.phases.iter().map(row).collect();
    Table {
        title: "Phases",
        note: "Requests belong to the phase in which they were due.",
        columns,
        text_columns: 2,
        rows,
    }
}

fn steps(summary: &Summary) -> Table {
    let mut rows = Vec::new();
    let retried = summary.total.retries > 0;
    let mut push = |name: String, stats: &Stats| {
        let mut cells = vec![name];
        cells.extend(stats_cells(stats));
        cells.push(maybe_ms(stats.service_time.p95_ms));
        if retried {
            cells.push(count(stats.retries));
        }
        rows.push(Row { tone: stats_tone(stats), cells });
    };
    push("all".into(), &summary.total);
    for Flow { name, total, steps, .. } in &summary.flows {
        // A flow of one step of its own name is said once.
        if !(steps.len() == 1 && steps[0].name == *name) {
            push(name.clone(), total);
        }
        for step in steps {
            let of = if steps.len() == 1 && step.name == *name {
                step.name.clone()
            } else {
                format!("{name} / {}", step.name)
            };
            push(of, &step.stats);
        }
    }
    let mut columns = vec!["flow / step"];
    columns.extend(STATS);
    columns.push("p95 from send");
    if retried {
        columns.push("retries");
    }
    Table {
        title: "Flows and steps",
        note: "Latency counts from the moment a request was due, of good answers, time-outs and requests cut by the end.",
        columns,
        text_columns: 1,
        rows,
    }
}

/// Of flows that have several steps, or runs that did not come to their end.
fn runs(summary: &Summary) -> Table {
    let told = summary.flows.iter().filter(|f| f.steps.len() > 1 || f.unfinished > 0);
    let row = |flow: &Flow| Row {
        tone: if flow.aborted > 0 { Tone::Warn } else { Tone::Plain },
        cells: vec![
            flow.name.clone(),
            count(flow.completed),
            count(flow.aborted),
            count(flow.unfinished),
            maybe_ms(flow.latency.p50_ms),
            maybe_ms(flow.latency.p95_ms),
            maybe_ms(flow.latency.max_ms),
        ],
    };
    Table {
        title: "Runs of flows",
        note: "The end of the load cuts a run after the request in flight. Times are those of complete runs, pauses between steps included.",
        columns: vec!["flow", "complete", "failed", "cut", "p50", "p95", "max"],
        text_columns: 1,
        rows: told.map(row).collect(),
    }
}

fn streams(summary: &Summary) -> Table {
    let steps = summary.flows.iter().flat_map(|f| f.steps.iter().map(move |s| (f, s)));
    let row = |(flow, step): (&Flow, &crate::summary::Step)| {
        let stream = step.stats.stream.as_ref()?;
        let cells = vec![
            format!("{} / {}", flow.name, step.name),
            count(stream.events),
            maybe_ms(stream.first_event.p50_ms),
            maybe_ms(stream.first_event.p99_ms),
            maybe_ms(stream.between_events.p50_ms),
            maybe_ms(stream.between_events.p99_ms),
            count(stream.tokens),
            stream.tokens_per_s.map_or_else(|| NONE.into(), |t| format!("{}/s", number(t))),
        ];
        Some(Row { tone: Tone::Plain, cells })
    };
    Table {
        title: "Streams",
        note: "",
        columns: vec![
            "flow / step",
            "events",
            "first event p50",
            "p99",
            "between events p50",
            "p99",
            "tokens",
            "tokens of one answer",
        ],
        text_columns: 1,
        rows: steps.filter_map(row).collect(),
    }
}

fn faults(summary: &Summary) -> Table {
    let at = |s: Option<f64>| s.map_or_else(|| NONE.into(), |s| format!("{s:.3}s"));
    let row = |f: &crate::summary::FaultRecord| {
        let mut notes: Vec<String> = Vec::new();
        notes.extend(f.label.clone());
        notes.extend(f.error.clone());
        notes.extend(f.end_reason.clone());
        notes.extend(f.achieved.iter().map(|(name, value)| format!("{name} {}", number(*value))));
        let tone = if f.error.is_some() || f.start_s.is_none() { Tone::Bad } else { Tone::Plain };
        let affected = f.counters.get("affected").map_or_else(|| NONE.into(), |n| count(*n));
        let recovery = f.recovery_s.map_or_else(|| NONE.into(), |s| ms(s * 1000.0));
        let backend = f.backend.clone().unwrap_or_else(|| NONE.into());
        Row {
            tone,
            cells: vec![
                f.text.clone(),
                backend,
                notes.join(", "),
                at(f.start_s),
                at(f.end_s),
                affected,
                recovery,
            ],
        }
    };
    Table {
        title: "Faults",
        note: "Times are those at which the daemon confirmed them.",
        columns: vec!["fault", "by", "outcome", "start", "end", "affected", "recovered after"],
        text_columns: 3,
        rows: summary.faults.iter().map(row).collect(),
    }
}

fn probes(summary: &Summary) -> Table {
    let streams = summary
        .probes
        .iter()
        .flat_map(|p| [(p, "new connections", &p.fresh), (p, "kept connection", &p.pooled)]);
    let row =
        |(probe, kind, s): (&crate::summary::Probe, &str, &crate::summary::ProbeStream)| Row {
            tone: if s.ok < s.sent { Tone::Bad } else { Tone::Good },
            cells: vec![
                format!("{}, {kind}", probe.name),
                s.outages.first().and_then(|outage| outage.reason.clone()).unwrap_or_default(),
                count(s.sent),
                maybe_percent(s.availability_ratio),
                count(s.outages.len() as u64),
                ms(s.longest_outage_s * 1000.0),
                ms(s.downtime_s * 1000.0),
                maybe_ms(s.latency.p95_ms),
            ],
        };
    Table {
        title: "Availability",
        note: "Seen by the probe, which asks on its own, whatever the load does.",
        columns: vec![
            "probe",
            "first failure",
            "sent",
            "available",
            "outages",
            "longest",
            "all together",
            "p95",
        ],
        text_columns: 2,
        rows: streams.filter(|(_, _, s)| s.sent > 0).map(row).collect(),
    }
}

fn checks(summary: &Summary) -> Table {
    let row = |c: &crate::summary::CheckResult| {
        let (tone, mark) = held(c.failed == 0);
        let example = c.first_failure.clone().unwrap_or_default();
        let place = format!("{} / {}", c.flow, c.step);
        Row {
            tone,
            cells: vec![mark, c.name.clone(), place, example, count(c.passed), count(c.failed)],
        }
    };
    Table {
        title: "Checks",
        note: "",
        columns: vec!["", "check", "flow / step", "first that did not hold", "held", "did not"],
        text_columns: 4,
        rows: summary.checks.iter().map(row).collect(),
    }
}

fn generator(summary: &Summary) -> Table {
    let fitness = &summary.fitness;
    let mut rows: Vec<Row> = Vec::new();
    let mut push =
        |tone, name: &str, value: String| rows.push(Row { tone, cells: vec![name.into(), value] });
    push(
        if fitness.fit { Tone::Good } else { Tone::Bad },
        "fit to judge",
        if fitness.fit { "yes".into() } else { "no".into() },
    );
    for reason in &fitness.reasons {
        push(Tone::Bad, "because", reason.clone());
    }
    for warning in &fitness.warnings {
        push(Tone::Warn, "note", warning.clone());
    }
    let total = &summary.total;
    push(
        Tone::Plain,
        "turned to requests late by",
        format!(
            "p50 {}, p99 {}, max {}",
            maybe_ms(fitness.lag.p50_ms),
            maybe_ms(fitness.lag.p99_ms),
            maybe_ms(fitness.lag.max_ms)
        ),
    );
    push(
        Tone::Plain,
        "late, skipped",
        format!("{}, {} of {} due", count(total.late), count(total.skipped), count(total.due)),
    );
    if total.unfinished > 0 {
        let text = format!("{} requests, which are no failures", count(total.unfinished));
        push(Tone::Warn, "interrupted by the end", text);
    }
    push(
        Tone::Plain,
        "processor",
        format!(
            "{}% of one in the busiest of {} workers, {}s in all",
            number(fitness.busiest_worker_percent),
            summary.host.workers,
            number(fitness.cpu_s)
        ),
    );
    push(
        Tone::Plain,
        "memory, descriptors",
        format!(
            "{}, {} of {}",
            bytes(fitness.peak_memory_bytes),
            count(fitness.peak_descriptors),
            count(fitness.descriptor_limit)
        ),
    );
    push(
        Tone::Plain,
        "sent, received",
        format!("{}, {}", bytes(total.sent_bytes), bytes(total.received_bytes)),
    );
    push(
        Tone::Plain,
        "connections",
        format!(
            "{} opened, {} failed",
            count(total.connections.opened),
            count(total.connections.failed)
        ),
    );
    Table { title: "Generator", note: "", columns: vec!["", ""], text_columns: 2, rows }
}
