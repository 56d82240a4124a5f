use super::*;
use crate::{sample, summary::Latency};

/// A run whose every latency is `factor` times that of the sample, wavering by `by` percent.
fn run(factor: f64, by: f64, seed: u64) -> Summary {
    let mut summary = sample::summary();
    let waver = |n: u64| {
        let share = faultd_abi::splitmix64(seed, n) as f64 / u64::MAX as f64;
        factor * (1.0 + (share * 2.0 - 1.0) * by / 100.0)
    };
    for second in &mut summary.timeline {
        let factor = waver(second.t_s.into());
        // Without the fault: a comparison of two steady runs.
        let steady = |value: &mut Option<f64>, ms: f64| *value = Some(ms * factor);
        steady(&mut second.p50_ms, 5.0);
        steady(&mut second.p90_ms, 6.0);
        steady(&mut second.p95_ms, 7.0);
        steady(&mut second.p99_ms, 9.0);
        steady(&mut second.mean_ms, 5.2);
        (second.ok, second.failed) = (100, 0);
    }
    let all = waver(1000);
    let latency = Latency {
        p50_ms: Some(5.0 * all),
        p90_ms: Some(6.0 * all),
        p95_ms: Some(7.0 * all),
        p99_ms: Some(9.0 * all),
        mean_ms: Some(5.2 * all),
        ..summary.total.latency.clone()
    };
    for stats in std::iter::once(&mut summary.total)
        .chain(summary.flows.iter_mut().flat_map(|f| f.steps.iter_mut().map(|s| &mut s.stats)))
    {
        stats.latency = latency.clone();
        (stats.failed, stats.error_ratio) = (0, Some(0.0));
    }
    summary
}

fn changes(baseline: &[Summary], current: &[Summary]) -> Vec<(String, Change)> {
    let comparison = compare(baseline, current, &Options::default()).unwrap();
    comparison.lines.into_iter().map(|l| (l.name, l.change)).collect()
}

#[test]
fn the_same_again_is_no_regression() {
    for seed in 0..20 {
        let comparison = compare(
            &[run(1.0, 20.0, seed * 2)],
            &[run(1.0, 20.0, seed * 2 + 1)],
            &Options::default(),
        );
        let comparison = comparison.unwrap();
        assert_eq!(comparison.exit_code(), 0, "{}", comparison.text());
    }
}

#[test]
fn a_third_slower_is_one() {
    let comparison =
        compare(&[run(1.0, 5.0, 1)], &[run(1.33, 5.0, 2)], &Options::default()).unwrap();
    let worse: Vec<&str> = comparison
        .lines
        .iter()
        .filter(|l| l.change == Change::Worse)
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(worse, ["mean", "p50", "p90", "p95", "p99"]);
    assert_eq!(comparison.exit_code(), 98);
    assert!(
        comparison.text().contains("REGRESSION by more than 10% and by more than noise: mean, p50")
    );
    let faster = compare(&[run(1.33, 5.0, 1)], &[run(1.0, 5.0, 2)], &Options::default()).unwrap();
    assert_eq!((faster.exit_code(), faster.lines[3].change), (0, Change::Better));
}

#[test]
fn a_slow_step_counts_also_where_the_run_as_a_whole_hides_it() {
    let with_step = |ms: f64, count: u64| {
        let mut summary = run(1.0, 1.0, 1);
        let mut all = crate::summary::histogram();
        for n in 0..count {
            all.record(((ms + n as f64 / 100.0) * 1e6) as u64).unwrap();
        }
        summary.flows[0].steps[0].stats.latency = Latency::of(&all);
        summary
    };
    let of_step = |count| {
        let comparison =
            compare(&[with_step(6.0, count)], &[with_step(200.0, count)], &Options::default());
        let comparison = comparison.unwrap();
        (comparison.lines[7].change, comparison.exit_code())
    };
    assert_eq!(of_step(200), (Change::Worse, 98));
    assert_eq!(of_step(30), (Change::Worse, 98));
    assert_eq!(of_step(10), (Change::Noise, 0), "too few to tell");
}

#[test]
fn less_than_the_threshold_is_the_same() {
    let all = changes(&[run(1.0, 1.0, 1)], &[run(1.05, 1.0, 2)]);
    assert!(all.iter().all(|(_, change)| *change == Change::Same), "{all:?}");
    let strict = Options { threshold_percent: 2.0, ..Options::default() };
    assert!(compare(&[run(1.0, 1.0, 1)], &[run(1.05, 1.0, 2)], &strict).unwrap().is_regression());
}

#[test]
fn what_wavers_more_than_it_changed_is_noise() {
    let mut current = run(1.15, 1.0, 2);
    // A result whose seconds are all over the place.
    for second in &mut current.timeline {
        second.p95_ms = Some(if second.t_s % 2 == 0 { 0.1 } else { 14.0 });
    }
    let all = changes(&[run(1.0, 90.0, 1)], &[current]);
    assert_eq!(all[5], ("p95".into(), Change::Noise));
}

#[test]
fn repeated_runs_are_judged_from_run_to_run() {
    let runs = |factor: f64, from: u64| {
        (from..from + 5).map(|seed| run(factor, 3.0, seed)).collect::<Vec<_>>()
    };
    let all = changes(&runs(1.0, 1), &runs(1.3, 10));
    // Steps are as well: their runs say how they waver.
    assert_eq!(all[5].1, Change::Worse);
    assert_eq!(all[7], ("buy / login p95".into(), Change::Worse));
    let same = changes(&runs(1.0, 1), &runs(1.0, 20));
    assert!(same.iter().all(|(_, c)| matches!(c, Change::Same | Change::Noise)), "{same:?}");
}

#[test]
fn errors_from_nothing_are_a_regression() {
    let mut current = run(1.0, 1.0, 2);
    for second in &mut current.timeline {
        (second.ok, second.failed) = (95, 5);
    }
    current.total.error_ratio = Some(0.05);
    let comparison = compare(&[run(1.0, 1.0, 1)], &[current], &Options::default()).unwrap();
    assert_eq!(comparison.lines[1].change, Change::Worse);
    assert!(comparison.text().contains("from none"), "{}", comparison.text());
}

#[test]
fn what_cannot_be_compared_is_told() {
    let error = |a: &[Summary], b: &[Summary], threshold| {
        let options = Options { threshold_percent: threshold, ..Options::default() };
        compare(a, b, &options).unwrap_err().to_string()
    };
    let good = || vec![run(1.0, 1.0, 1)];
    assert_eq!(error(&[], &good(), 10.0), "the baseline has no results");
    assert!(error(&good(), &good(), 0.0).starts_with("--threshold takes a percentage above 0"));
    let mut invalid = run(1.0, 1.0, 1);
    invalid.verdict.kind = VerdictKind::Invalid;
    invalid.fitness.reasons = vec!["used 99% of its processor".into()];
    let text = error(&good(), &[invalid], 10.0);
    assert!(
        text.starts_with("the current result \"checkout") && text.contains("used 99%"),
        "{text}"
    );
    let mut other = run(1.0, 1.0, 2);
    other.scenario.name = "other".into();
    other.host.cpus = 64;
    let comparison = compare(&good(), &[other], &Options::default()).unwrap();
    assert_eq!(comparison.warnings.len(), 2, "{:?}", comparison.warnings);
}

#[test]
fn the_wait_for_a_last_answer_is_no_noise() {
    let with_straggler = |factor| {
        let mut summary = run(factor, 1.0, 1);
        let late =
            Second { t_s: 60, length_s: 0.3, ok: 1, p50_ms: Some(900.0), ..Default::default() };
        summary.timeline.push(late);
        summary
    };
    let slower =
        compare(&[with_straggler(1.0)], &[with_straggler(1.5)], &Options::default()).unwrap();
    let p50 = slower.lines.iter().find(|line| line.name == "p50").unwrap();
    assert_eq!((p50.change, slower.exit_code()), (Change::Worse, 98), "{p50:?}");
}
