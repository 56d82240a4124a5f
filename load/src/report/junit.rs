//! The result for CI systems: a test case for each thing that was asked.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::ReportError;
use crate::summary::{Summary, VerdictKind, with_kind};

/// JUnit XML with one suite: whether the run was run and fit to be judged, its thresholds, its
/// checks, its ledger.
///
/// # Errors
/// If it cannot be written as XML.
pub fn junit(summary: &Summary) -> Result<String, ReportError> {
    let mut report = Report::new("faultload");
    let mut suite = TestSuite::new(summary.scenario.name.as_str());
    let length = Duration::try_from_secs_f64(summary.duration_s).unwrap_or_default();
    suite.set_time(length);
    report.set_time(length);

    let mut add = |name: String, why: Option<(NonSuccessKind, String)>| {
        let status = match why {
            None => TestCaseStatus::success(),
            Some((kind, message)) => {
                let mut status = TestCaseStatus::non_success(kind);
                status.set_message(message);
                status
            }
        };
        let mut case = TestCase::new(name, status);
        case.set_classname(summary.scenario.name.as_str());
        suite.add_test_case(case);
    };
    let verdict = &summary.verdict;
    let ended = (verdict.kind == VerdictKind::Error || verdict.aborted).then(|| {
        let why = if verdict.aborted {
            "a threshold ended it".into()
        } else {
            verdict.reasons.join("; ")
        };
        (NonSuccessKind::Error, why)
    });
    add("the run was run to its end".into(), ended);
    let unfit =
        (!summary.fitness.fit).then(|| (NonSuccessKind::Error, summary.fitness.reasons.join("; ")));
    add("the generator was fit to judge".into(), unfit);
    for threshold in &summary.thresholds {
        let broken = (!threshold.passed).then(|| (NonSuccessKind::Failure, threshold.text.clone()));
        add(threshold.expression.clone(), broken);
    }
    // Failed checks fail the run unless a threshold bears them; then they do not fail here either.
    let judged = |name: &str| verdict.reasons.iter().any(|r| r.contains(name));
    for check in &summary.checks {
        let what = format!("{}/{}: {}", check.flow, check.step, check.name);
        let why = format!(
            "did not hold {} of {} times: {}",
            check.failed,
            check.failed + check.passed,
            check.first_failure.as_deref().unwrap_or_default()
        );
        let broken = check.failed > 0 && judged(&check.name);
        add(what, broken.then_some((NonSuccessKind::Failure, why)));
    }
    if let Some(ledger) = &summary.ledger {
        let why = format!(
            "{} of {} are lost, {} could not be read back",
            ledger.lost, ledger.acknowledged, ledger.unread
        );
        let broken = ledger.lost + ledger.unread > 0 && judged("acknowledged writes");
        let broken = broken.then_some((NonSuccessKind::Failure, why));
        add("acknowledged writes are there".into(), broken);
        let broken = ledger.duplicated > 0 && judged("more than once");
        let why = format!("{} are there more than once", ledger.duplicated);
        let broken = broken.then_some((NonSuccessKind::Failure, why));
        add("no write is there twice".into(), broken);
    }
    let failed = suite.failures + suite.errors > 0;
    if !failed && !verdict.reasons.is_empty() {
        // No case of its own says why.
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(verdict.reasons.join("; "));
        let mut case = TestCase::new("what was asked for was given", status);
        case.set_classname(summary.scenario.name.as_str());
        suite.add_test_case(case);
    }
    let causes = causes(summary);
    if !causes.is_empty() {
        suite.set_system_out(causes);
    }
    report.add_test_suite(suite);
    report.to_string().map_err(|e| ReportError::Form { what: "junit.xml", message: e.to_string() })
}

/// Why requests failed, a line for each kind in each step.
fn causes(summary: &Summary) -> String {
    let mut out = String::new();
    for flow in &summary.flows {
        for step in &flow.steps {
            for (kind, count) in &step.stats.errors {
                let said = step.stats.error_examples.get(kind).map_or("", String::as_str);
                let cause = with_kind(kind, said);
                out.push_str(&format!("{} / {}: {count} × {cause}\n", flow.name, step.name));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_case_for_each_thing_that_was_asked() {
        let xml = junit(&sample::summary()).unwrap();
        assert!(xml.contains(r#"tests="7""#) && xml.contains(r#"failures="1""#), "{xml}");
        assert!(xml.contains(r#"<testcase name="p95 &lt; 500ms""#), "{xml}");
        assert!(xml.contains(r#"<failure message="p95 is 534 ms"/>"#), "{xml}");
        assert!(!xml.contains("</script>"), "{xml}");
    }

    #[test]
    fn why_requests_failed_is_in_it_whatever_the_verdict_is_about() {
        let mut summary = sample::summary();
        summary.thresholds.clear();
        summary.checks.clear();
        summary.ledger = None;
        summary.verdict.reasons = vec!["none of 5 requests succeeded".into()];
        let stats = &mut summary.flows[0].steps[0].stats;
        stats.errors = [("connect".to_owned(), 5)].into();
        stats.error_examples = [("connect".to_owned(), "Connection refused".to_owned())].into();
        let xml = junit(&summary).unwrap();
        assert!(xml.contains(r#"<failure message="none of 5 requests succeeded"/>"#), "{xml}");
        assert!(xml.contains("buy / login: 5 × connect: Connection refused"), "{xml}");
    }

    #[test]
    fn a_generator_that_was_the_bottleneck_is_an_error() {
        let mut summary = sample::summary();
        summary.fitness.fit = false;
        summary.fitness.reasons = vec!["used 99% of its processor\u{1}".into()];
        let xml = junit(&summary).unwrap();
        assert!(
            xml.contains(r#"errors="1""#) && xml.contains("used 99% of its processor"),
            "{xml}"
        );
    }
}
