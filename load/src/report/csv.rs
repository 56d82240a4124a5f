//! `timeline.csv`: the run a second at a time.

use crate::summary::{Phase, Second, Summary};

const COLUMNS: [&str; 26] = [
    "t_s",
    "length_s",
    "phase",
    "faults",
    "due",
    "sent",
    "ok",
    "failed",
    "skipped",
    "late",
    "users",
    "in_flight",
    "connections",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "mean_ms",
    "sent_bytes",
    "received_bytes",
    "probes_ok",
    "probes_failed",
    "cpu_percent",
    "lag_p99_ms",
    "errors",
];

/// The timeline as CSV (RFC 4180) with a line of names at its top. Without samples a time is empty;
/// `errors` holds `kind=count` pairs.
#[must_use]
pub fn timeline_csv(summary: &Summary) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory cannot fail, and every record has as many fields as there are columns.
    let _ = writer.write_record(COLUMNS);
    for second in &summary.timeline {
        let _ = writer.write_record(record(summary, second));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn record(summary: &Summary, second: &Second) -> [String; 26] {
    let from = f64::from(second.t_s);
    let to = from + second.length_s;
    // A fault begins and ends within seconds: these belong to the phase that has most of them.
    let share = |p: &&Phase| p.end_s.min(to) - p.start_s.max(from);
    let phase = summary.phases.iter().filter(|p| share(p) > 0.0);
    let phase = phase.max_by(|a, b| share(a).total_cmp(&share(b)));
    let active = summary.faults.iter().filter(|f| {
        f.start_s.is_some_and(|start| start < to) && f.end_s.is_none_or(|end| end > from)
    });
    let ms = |value: Option<f64>| value.map(|v| format!("{v:.3}")).unwrap_or_default();
    let errors = second.errors.iter().map(|(kind, n)| format!("{kind}={n}"));
    [
        second.t_s.to_string(),
        format!("{:.3}", second.length_s),
        phase.map(|p| p.name.clone()).unwrap_or_default(),
        active.map(|f| f.text.as_str()).collect::<Vec<_>>().join("; "),
        second.due.to_string(),
        second.sent.to_string(),
        second.ok.to_string(),
        second.failed.to_string(),
        second.skipped.to_string(),
        second.late.to_string(),
        second.users.to_string(),
        second.in_flight.to_string(),
        second.connections.to_string(),
        ms(second.p50_ms),
        ms(second.p90_ms),
        ms(second.p95_ms),
        ms(second.p99_ms),
        ms(second.max_ms),
        ms(second.mean_ms),
        second.sent_bytes.to_string(),
        second.received_bytes.to_string(),
        second.probes_ok.to_string(),
        second.probes_failed.to_string(),
        format!("{:.1}", second.cpu_percent),
        ms(second.lag_p99_ms),
        errors.collect::<Vec<_>>().join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_second_belongs_to_the_phase_that_has_most_of_it() {
        let mut summary = sample::summary();
        let cut = summary.phases[1].start_s;
        summary.phases[0].end_s = cut + 0.3;
        summary.phases[1].start_s = cut + 0.3;
        let name = |summary: &Summary| record(summary, &summary.timeline[cut as usize])[2].clone();
        assert_eq!(name(&summary), "fault");
        summary.phases[0].end_s = cut + 0.7;
        summary.phases[1].start_s = cut + 0.7;
        assert_eq!(name(&summary), "baseline");
    }

    #[test]
    fn a_row_a_second_that_a_reader_takes() {
        let text = timeline_csv(&sample::summary());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 60);
        let fault = &rows[21];
        assert_eq!(
            (&fault[0], &fault[2], &fault[3]),
            ("21", "fault", "latency --ms 500 --port 8080")
        );
        assert_eq!((&fault[7], &fault[25]), ("50", "reset=50"));
        assert_eq!((&rows[19][3], &rows[41][3]), ("", ""));
    }
}
