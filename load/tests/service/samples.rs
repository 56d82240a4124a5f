//! Raw samples: what is computed from them is what the summary says.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    sync::atomic::{AtomicU64, Ordering},
};

use faultload::{
    engine::{Run, Silent},
    measure::RawFormat,
    template::Shared,
};

use crate::{
    judged, scenario,
    server::{Reply, Server},
};

const SCENARIO: &str = "
flows:
  \"first, and \\\"quoted\\\"\":
    steps:
      - { name: get, http: GET /get }
      - { name: put, http: { method: PUT, url: /put, body: xyz }, retry: 2, may_fail: true }
  second:
    steps: [{ http: GET /other }]
stages:
  - { for: 1s, rate: 200/s }
  - { for: 500ms, users: 3, flow: second }
";

/// One line, by the names of the columns.
type Row = BTreeMap<String, String>;

fn csv_rows(text: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

fn json_rows(text: &str) -> Vec<Row> {
    let cell = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row = |line| {
        let object: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        object.iter().map(|(name, value)| (name.clone(), cell(value))).collect()
    };
    text.lines().map(row).collect()
}

#[test]
fn what_is_computed_from_them_is_what_the_summary_says() {
    for (format, read) in
        [(RawFormat::Csv, csv_rows as fn(&str) -> Vec<Row>), (RawFormat::JsonLines, json_rows)]
    {
        let (puts, others) = (AtomicU64::new(0), AtomicU64::new(0));
        let server = Server::start(move |request| {
            let is_put = request.path == "/put";
            let number = if is_put { &puts } else { &others }.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_micros(number % 50 * 100));
            match number % 10 {
                3 => Reply::Answer(503, "sorry".into()),
                6 | 7 if is_put => Reply::Reset,
                _ => Reply::Answer(200, "x".repeat((number % 100) as usize)),
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        let scenario = scenario(server.port, SCENARIO);
        let mut run = Run::new(scenario.plan.clone(), Shared::default()).unwrap();
        run.samples_to(File::create(&path).unwrap(), format);
        let outcome = run.execute(&mut Silent).unwrap();
        assert_eq!(outcome.raw.as_ref().unwrap().dropped, 0);
        let summary = judged(&scenario, &outcome);
        let rows = read(&fs::read_to_string(&path).unwrap());
        assert_eq!(rows.len() as u64, outcome.raw.as_ref().unwrap().lines);

        let total = &summary.total;
        assert!(total.failed > 20 && total.retries > 20, "{total:?}");
        let ended: Vec<&Row> = rows.iter().filter(|row| row["last"] == "true").collect();
        let count = |hit: &dyn Fn(&Row) -> bool| ended.iter().filter(|row| hit(row)).count() as u64;
        assert_eq!(ended.len() as u64, total.sent);
        assert_eq!(rows.len() as u64, total.sent + total.retries);
        assert_eq!(count(&|row| row["error"].is_empty()), total.ok);
        for (kind, failed) in &total.errors {
            assert_eq!(count(&|row| row["error"] == *kind), *failed, "{kind}");
        }
        let sum =
            |name: &str| -> u64 { rows.iter().map(|r| r[name].parse::<u64>().unwrap()).sum() };
        assert_eq!(sum("sent_bytes"), total.sent_bytes);
        assert_eq!(sum("received_bytes"), total.received_bytes);
        let fresh = rows.iter().filter(|row| row["connection"] == "fresh").count() as u64;
        assert_eq!(fresh, total.connections.opened);

        for flow in &summary.flows {
            for step in &flow.steps {
                let of_step = |row: &&&Row| row["flow"] == flow.name && row["step"] == step.name;
                let time = |row: &Row, name: &str| row[name].parse::<f64>().unwrap();
                let counts = |row: &&&Row| matches!(&*row["error"], "" | "timeout");
                let mut latencies: Vec<f64> = ended
                    .iter()
                    .filter(of_step)
                    .filter(counts)
                    .map(|row| (time(row, "end_s") - time(row, "due_s")) * 1000.0)
                    .collect();
                latencies.sort_by(f64::total_cmp);
                let latency = &step.stats.latency;
                assert_eq!(latencies.len() as u64, latency.count, "{}", step.name);
                for (quantile, said) in
                    [(0.5, latency.p50_ms), (0.95, latency.p95_ms), (1.0, latency.max_ms)]
                {
                    let at = (latencies.len() as f64 * quantile).ceil() as usize;
                    let (exact, said) = (latencies[at.max(1) - 1], said.unwrap());
                    // Histograms keep three digits.
                    assert!(
                        (said - exact).abs() <= exact * 0.002 + 0.001,
                        "{} {quantile}: {said} ms, exactly {exact} ms",
                        step.name
                    );
                }
            }
        }
    }
}

#[test]
fn samples_that_a_disk_does_not_take_are_counted_and_told() {
    let server = Server::start(|_| Reply::Answer(200, String::new()));
    let scenario = scenario(server.port, SCENARIO);
    let mut run = Run::new(scenario.plan.clone(), Shared::default()).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    run.samples_to(full, RawFormat::JsonLines);
    let outcome = run.execute(&mut Silent).unwrap();
    let summary = judged(&scenario, &outcome);
    let sent = summary.total.sent;
    let said = format!("{sent} of {sent} raw samples were not written: No space left on device");
    let warnings = &summary.fitness.warnings;
    assert!(warnings.iter().any(|warning| warning.starts_with(&said)), "{warnings:?}");
    assert_eq!(summary.verdict.exit_code, 0, "what was measured is right: {:?}", summary.verdict);
}
