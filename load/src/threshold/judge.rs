//! From a result to a verdict.

use super::{EXIT_BROKEN, EXIT_ERROR, EXIT_INVALID, Metric, Threshold};
use crate::{
    figures,
    summary::{Summary, ThresholdResult, VerdictKind},
};

/// Skipped sends beyond this share of those due break a run: it was not the load that was asked
/// for.
pub const MAX_SKIPPED_RATIO: f64 = 0.001;

/// Fills in [`Summary::thresholds`] and the verdict.
///
/// Exit codes: 1 when the run was not run to its end (reasons that are in the verdict already, or a
/// signal), else 97 when the generator was the bottleneck, else 99 when anything that was asked for
/// was not given, else 0. Failed checks break a run unless one of its thresholds says how many
/// failures it bears; so do lost and duplicated writes unless one says how many.
pub fn judge(summary: &mut Summary, thresholds: &[Threshold]) {
    let aborted: Vec<String> =
        summary.thresholds.iter().filter(|t| t.aborted).map(|t| t.expression.clone()).collect();
    let mut results: Vec<ThresholdResult> =
        thresholds.iter().map(|t| t.evaluate(summary)).collect();
    for result in &mut results {
        result.aborted = aborted.contains(&result.expression);
        // What ended the run was broken then, whatever the last seconds did to the figure.
        result.passed &= !result.aborted;
    }
    results.extend(skipped(summary));
    summary.thresholds = results;

    let mut reasons = std::mem::take(&mut summary.verdict.reasons);
    if summary.verdict.interrupted {
        let after = figures::seconds(summary.duration_s);
        reasons.push(format!("a signal ended the run after {after}, before it was complete"));
    }
    let could_not_run = !reasons.is_empty();
    let unfit = !summary.fitness.fit;
    if unfit {
        reasons.extend(summary.fitness.reasons.iter().cloned());
    }
    let broken = summary.thresholds.iter().filter(|t| !t.passed);
    let broken = broken.map(|t| format!("{}: {}", t.expression, t.text));
    let nothing_good = nothing_good(summary, thresholds);
    let mut unmet: Vec<String> = nothing_good.into_iter().chain(broken).collect();
    unmet.extend(failed_checks(summary, thresholds));
    unmet.extend(nothing_sent(summary));
    unmet.extend(nothing_streamed(summary));
    unmet.extend(lost_writes(summary, thresholds));
    unmet.extend(duplicated_writes(summary, thresholds));
    unmet.extend(unread_writes(summary));
    let kind = match () {
        () if could_not_run => VerdictKind::Error,
        () if unfit => VerdictKind::Invalid,
        () if !unmet.is_empty() => VerdictKind::Failed,
        () => VerdictKind::Passed,
    };
    reasons.extend(unmet);
    let verdict = &mut summary.verdict;
    verdict.kind = kind;
    verdict.reasons = reasons;
    verdict.aborted = !aborted.is_empty();
    verdict.exit_code = match kind {
        VerdictKind::Passed => 0,
        VerdictKind::Failed => EXIT_BROKEN,
        VerdictKind::Invalid => EXIT_INVALID,
        VerdictKind::Error => EXIT_ERROR,
    };
}

/// Asked of every run that has due times.
fn skipped(summary: &Summary) -> Option<ThresholdResult> {
    let total = &summary.total;
    let ratio = total.skipped as f64 / total.due.max(1) as f64;
    (ratio > MAX_SKIPPED_RATIO).then(|| ThresholdResult {
        expression: format!("skipped_ratio <= {}", figures::percent(MAX_SKIPPED_RATIO)),
        passed: false,
        measured: Some(ratio),
        text: format!(
            "{} of {} requests that were due were never sent",
            figures::count(total.skipped),
            figures::count(total.due)
        ),
        aborted: false,
    })
}

/// That no request at all succeeds is meant only where a threshold says how many may fail.
/// Requests that fail are what a fault makes, so fewer good ones are for thresholds to judge.
fn nothing_good(summary: &Summary, thresholds: &[Threshold]) -> Option<String> {
    let total = &summary.total;
    let is_bounded = thresholds.iter().any(|t| t.metric.bounds_all_failures());
    if total.sent == 0 || total.ok > 0 || (total.failed > 0 && is_bounded) {
        return None;
    }
    let cause = summary.main_cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    Some(format!("none of {} requests succeeded{cause}", figures::count(total.sent)))
}

fn failed_checks(summary: &Summary, thresholds: &[Threshold]) -> Vec<String> {
    if thresholds.iter().any(|t| t.metric.bounds_failures()) {
        return Vec::new();
    }
    let failed = summary.checks.iter().filter(|c| c.failed > 0);
    failed
        .map(|c| {
            let example = c.first_failure.as_ref().map(|f| format!(" ({f})")).unwrap_or_default();
            let all = c.failed + c.passed;
            format!(
                "{}/{}: {} did not hold {} of {} times{example}",
                c.flow,
                c.step,
                c.name,
                figures::count(c.failed),
                figures::count(all)
            )
        })
        .collect()
}

/// A run that asks nothing answers nothing; one may be for its probe alone.
fn nothing_sent(summary: &Summary) -> Option<String> {
    let probed = summary.probes.iter().any(|p| p.fresh.sent + p.pooled.sent > 0);
    (summary.total.due == 0 && !probed).then(|| "nothing was sent".to_owned())
}

/// Of a step whose answers are to come in pieces, some do.
fn nothing_streamed(summary: &Summary) -> Option<String> {
    let steps = summary.flows.iter().flat_map(|flow| &flow.steps);
    let mut silent = steps.filter_map(|step| {
        let events = step.stats.stream.as_ref()?.events;
        (step.stats.ok > 0 && events == 0).then_some(step)
    });
    silent.next().map(|step| {
        let answers = figures::count(step.stats.ok);
        format!("{}: not one event in {answers} good answers: do they stream?", step.name)
    })
}

fn duplicated_writes(summary: &Summary, thresholds: &[Threshold]) -> Option<String> {
    let is_bounded = thresholds.iter().any(|t| t.metric == Metric::DuplicatedWrites);
    let ledger = summary.ledger.as_ref().filter(|l| l.duplicated > 0 && !is_bounded)?;
    Some(format!("{} writes are there more than once", figures::count(ledger.duplicated)))
}

fn lost_writes(summary: &Summary, thresholds: &[Threshold]) -> Option<String> {
    let is_bounded = thresholds.iter().any(|t| t.metric == Metric::LostWrites);
    let ledger = summary.ledger.as_ref().filter(|l| l.lost > 0 && !is_bounded)?;
    Some(format!(
        "{} of {} acknowledged writes are lost",
        figures::count(ledger.lost),
        figures::count(ledger.acknowledged)
    ))
}

/// A ledger that tells nothing, or not all, shows no write to be there.
fn unread_writes(summary: &Summary) -> Option<String> {
    let ledger = summary.ledger.as_ref()?;
    if ledger.acknowledged == 0 {
        return Some("the ledger is empty: no write was acknowledged".into());
    }
    let why = ledger.unread_reason.as_deref().unwrap_or("without a reason");
    (ledger.unread > 0).then(|| {
        format!(
            "{} of {} acknowledged writes could not be read back: {why}",
            figures::count(ledger.unread),
            figures::count(ledger.acknowledged)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sample,
        summary::{CheckResult, Ledger, Stream},
    };

    fn judged(expressions: &[&str], change: impl FnOnce(&mut Summary)) -> Summary {
        let mut summary = sample::summary();
        summary.verdict = Default::default();
        summary.thresholds.clear();
        summary.checks.clear();
        summary.ledger = None;
        change(&mut summary);
        let thresholds: Vec<Threshold> = expressions.iter().map(|e| e.parse().unwrap()).collect();
        judge(&mut summary, &thresholds);
        summary
    }

    fn code(expressions: &[&str], change: impl FnOnce(&mut Summary)) -> u8 {
        judged(expressions, change).verdict.exit_code
    }

    #[test]
    fn what_holds_passes() {
        let all = [
            "p95 < 10s",
            "error_ratio < 50%",
            "rate > 1/s",
            "phase.fault.p99 < 60s",
            "phase.baseline.error_ratio < 1%",
            "step.login.p95 < 10s",
            "flow.buy.mean < 10s",
            "availability > 50%",
            "longest_outage < 1m",
            "recovery < 1m",
            "service.p50 < 10s",
        ];
        let summary = judged(&all, |_| {});
        assert_eq!(summary.verdict.reasons, Vec::<String>::new());
        assert_eq!(summary.verdict.exit_code, 0);
        assert_eq!(summary.thresholds.len(), all.len());
    }

    #[test]
    fn what_has_no_samples_is_broken() {
        for expression in [
            "step.nosuch.p95 < 10s",
            "flow.nosuch.rate > 0",
            "phase.nosuch.p95 < 10s",
            "first_event.p95 < 10s",
            "tokens_per_second > 0",
            "lost_writes == 0",
            "checks > 1%",
        ] {
            let summary = judged(&[expression], |_| {});
            assert_eq!(summary.verdict.exit_code, 99, "{expression}");
            assert!(summary.thresholds[0].text.starts_with("no samples"), "{expression}");
        }
        assert_eq!(code(&["recovery < 1m"], |s| s.probes.clear()), 99);
        assert_eq!(code(&["recovery < 1m"], |s| s.faults[0].recovery_s = None), 99);
    }

    #[test]
    fn without_thresholds_some_good_answers_will_do() {
        let ok = |ok: u64| {
            move |s: &mut Summary| {
                s.total.failed += s.total.ok - ok;
                s.total.ok = ok;
                s.total.settle();
            }
        };
        assert_eq!(code(&[], ok(1)), 0);
        let summary = judged(&[], ok(0));
        assert_eq!(summary.verdict.exit_code, 99);
        assert!(summary.verdict.reasons[0].starts_with("none of "));
        assert!(summary.thresholds.is_empty(), "nobody wrote one");
        assert_eq!(code(&["p95 < 1m", "errors.reset < 9999"], ok(0)), 99, "that is not meant");
        assert_eq!(code(&["error_ratio == 100%"], ok(0)), 0, "somebody has said what is asked");
        let in_flight = |s: &mut Summary| {
            s.total.unfinished = s.total.sent;
            (s.total.ok, s.total.failed) = (0, 0);
        };
        for expressions in [&[][..], &["failed < 1"]] {
            assert_eq!(code(expressions, in_flight), 99, "none had an answer when time was up");
        }
    }

    #[test]
    fn a_run_that_sends_nothing_is_broken_unless_it_probes() {
        let idle = |s: &mut Summary| s.total = Default::default();
        assert_eq!(code(&[], idle), 0, "its probe was at work");
        let silent = |s: &mut Summary| {
            idle(s);
            s.probes.clear();
        };
        assert_eq!(judged(&[], silent).verdict.reasons, ["nothing was sent"]);
        assert_eq!(code(&[], silent), 99);
    }

    #[test]
    fn answers_that_are_to_stream_do() {
        let stream = |events: u64| {
            move |s: &mut Summary| {
                let stream = Stream { events, ..Stream::default() };
                s.flows[0].steps[0].stats.stream = Some(stream);
            }
        };
        assert_eq!((code(&[], stream(1)), code(&[], stream(0))), (0, 99));
    }

    #[test]
    fn a_run_that_was_interrupted_is_not_passed() {
        let interrupted = |s: &mut Summary| s.verdict.interrupted = true;
        let summary = judged(&["p95 < 1us"], interrupted);
        assert_eq!((summary.verdict.kind, summary.verdict.exit_code), (VerdictKind::Error, 1));
        assert!(summary.verdict.reasons[0].starts_with("a signal ended the run after "));
    }

    #[test]
    fn skipped_sends_break_a_run() {
        let skip = |per_mille: u64| {
            move |s: &mut Summary| s.total.skipped = s.total.due * per_mille / 1000
        };
        assert_eq!(code(&[], skip(1)), 0);
        let summary = judged(&[], skip(2));
        assert_eq!(summary.verdict.exit_code, 99);
        assert!(
            summary.verdict.reasons[0].starts_with("skipped_ratio <= 0.1%: "),
            "{:?}",
            summary.verdict
        );
    }

    #[test]
    fn a_generator_that_was_the_bottleneck_outweighs_what_it_measured() {
        let unfit = |s: &mut Summary| {
            s.fitness.fit = false;
            s.fitness.reasons = vec!["used 99 % of its processor".into()];
        };
        let summary = judged(&["p95 < 1us"], unfit);
        assert_eq!(summary.verdict.exit_code, 97);
        assert_eq!(summary.verdict.reasons.len(), 2);
        assert_eq!(code(&[], |s| s.verdict.reasons.push("no daemon".into())), 1);
    }

    #[test]
    fn failed_checks_count_unless_a_threshold_says_how_many_may() {
        let check = |s: &mut Summary| {
            s.checks = vec![CheckResult {
                name: "status is 200".into(),
                failed: 1,
                passed: 9,
                ..Default::default()
            }];
        };
        assert_eq!(code(&["p95 < 1m"], check), 99);
        assert_eq!(code(&["checks > 50%"], check), 0);
        assert_eq!(code(&["error_ratio < 50%"], check), 0);
    }

    #[test]
    fn lost_writes_count_unless_a_threshold_says_how_many_may() {
        let lost = |s: &mut Summary| {
            s.ledger = Some(Ledger { acknowledged: 10, lost: 1, ..Default::default() });
        };
        assert_eq!(code(&[], lost), 99);
        assert_eq!(code(&["lost_writes < 2"], lost), 0);
        assert_eq!(code(&["lost_writes == 0"], lost), 99);
        let twice = |s: &mut Summary| {
            s.ledger = Some(Ledger { acknowledged: 10, duplicated: 1, ..Default::default() });
        };
        assert_eq!(code(&["lost_writes == 0"], twice), 99);
        assert_eq!(code(&["duplicated_writes < 2"], twice), 0);
    }

    #[test]
    fn a_ledger_that_was_not_read_or_is_empty_is_broken() {
        let ledger = |acknowledged, unread| {
            move |s: &mut Summary| {
                let found = acknowledged - unread;
                s.ledger = Some(Ledger { acknowledged, found, unread, ..Default::default() });
            }
        };
        assert_eq!(code(&["lost_writes == 0"], ledger(10, 0)), 0);
        assert_eq!(code(&["lost_writes < 5"], ledger(10, 1)), 99);
        assert_eq!(code(&[], ledger(10, 1)), 99);
        assert_eq!(code(&[], ledger(0, 0)), 99);
        assert_eq!(code(&["duplicated_writes == 0"], ledger(0, 0)), 99);
    }

    #[test]
    fn of_several_phases_the_worst_counts() {
        let summary = judged(&["phase.fault.p50 < 1ms"], |s| {
            let mut second = s.phases[1].clone();
            second.name = "fault-2".into();
            second.total.latency = Default::default();
            s.phases[1].name = "fault-1".into();
            s.phases.push(second);
        });
        // One of them has no samples.
        assert!(!summary.thresholds[0].passed);
        assert!(summary.thresholds[0].text.starts_with("no samples"));
    }
}
