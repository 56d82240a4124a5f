//! Several processes that sent load side by side, as one result.
//!
//! Counts are added, and distributions by their histograms (HDR, V2), so quantiles are those of all
//! requests together. What no sum makes (a second's quantiles, longest outages) is that of the part
//! that fared worst.

use std::collections::BTreeMap;

use super::{
    CheckResult, Fitness, Flow, Ledger, Phase, Second, Step, Summary, ThresholdResult, VERSION,
    Verdict, VerdictKind, WireError,
};

/// Lost and duplicated writes that are named.
const MOST_EXAMPLES: usize = 100;

/// Results cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// They are about different things.
    #[error("{what} differs: {one:?} and {other:?}; parts of one run have the same")]
    Differs {
        /// In what.
        what: &'static str,
        /// The first one's.
        one: String,
        /// The other's.
        other: String,
    },
    /// A histogram cannot be read.
    #[error(transparent)]
    Histogram(#[from] WireError),
}

/// Puts the parts of a run together, without thresholds evaluated and without a verdict but for
/// what kept a part from its end: [`crate::threshold::judge`] comes after.
///
/// # Errors
/// If they are parts of different scenarios, or a histogram cannot be read.
pub fn merged(first: &Summary, others: &[Summary]) -> Result<Summary, MergeError> {
    let mut all = first.clone();
    all.verdict = Verdict { reasons: kept(first), ..first.verdict.clone() };
    for other in others {
        add(&mut all, other)?;
    }
    Ok(all)
}

fn add(all: &mut Summary, other: &Summary) -> Result<(), MergeError> {
    same("the version of the format", &all.version.to_string(), &other.version.to_string())?;
    same("the scenario", &all.scenario.name, &other.scenario.name)?;
    debug_assert_eq!(all.version, VERSION, "others are not read");
    same("the list of thresholds", &written(all), &written(other))?;
    all.scenario.stages.extend(other.scenario.stages.iter().cloned());
    for target in &other.scenario.targets {
        if !all.scenario.targets.contains(target) {
            all.scenario.targets.push(target.clone());
        }
    }
    if other.started_at < all.started_at {
        all.started_at.clone_from(&other.started_at);
    }
    all.duration_s = all.duration_s.max(other.duration_s);
    all.host.workers += other.host.workers;
    all.total = all.total.merged(&other.total)?;
    flows(&mut all.flows, &other.flows)?;
    phases(&mut all.phases, &other.phases)?;
    for fault in &other.faults {
        if !all.faults.iter().any(|known| !known.id.is_empty() && known.id == fault.id) {
            all.faults.push(fault.clone());
        }
    }
    all.faults.sort_by(|a, b| a.planned_start_s.total_cmp(&b.planned_start_s));
    for probe in &other.probes {
        let mut probe = probe.clone();
        probe.name = format!("{} {}", probe.name, all.probes.len() + 1);
        all.probes.push(probe);
    }
    thresholds(&mut all.thresholds, &other.thresholds);
    checks(&mut all.checks, &other.checks);
    if let Some(part) = &other.ledger {
        ledger(all.ledger.get_or_insert_with(Ledger::default), part);
    }
    timeline(&mut all.timeline, &other.timeline);
    fitness(&mut all.fitness, &other.fitness)?;
    all.verdict.reasons.extend(kept(other));
    all.verdict.interrupted |= other.verdict.interrupted;
    all.verdict.aborted |= other.verdict.aborted;
    Ok(())
}

/// What was asked of a part; that too few were skipped is asked of every run.
fn written(part: &Summary) -> String {
    let mut all: Vec<&str> = part.thresholds.iter().map(|t| t.expression.as_str()).collect();
    all.retain(|expression| !expression.starts_with("skipped_ratio <= 0.1%"));
    all.join(", ")
}

/// Why a part was not run to its end; the rest is judged anew.
fn kept(part: &Summary) -> Vec<String> {
    match part.verdict.kind {
        VerdictKind::Error if !part.verdict.interrupted => part.verdict.reasons.clone(),
        _ => Vec::new(),
    }
}

fn same(what: &'static str, one: &str, other: &str) -> Result<(), MergeError> {
    match one == other {
        true => Ok(()),
        false => Err(MergeError::Differs { what, one: one.to_owned(), other: other.to_owned() }),
    }
}

fn flows(all: &mut Vec<Flow>, others: &[Flow]) -> Result<(), MergeError> {
    for other in others {
        let Some(flow) = all.iter_mut().find(|flow| flow.name == other.name) else {
            all.push(other.clone());
            continue;
        };
        flow.completed += other.completed;
        flow.aborted += other.aborted;
        flow.unfinished += other.unfinished;
        flow.latency = flow.latency.merged(&other.latency)?;
        flow.total = flow.total.merged(&other.total)?;
        for step in &other.steps {
            match flow.steps.iter_mut().find(|known| known.name == step.name) {
                Some(Step { stats, .. }) => *stats = stats.merged(&step.stats)?,
                None => flow.steps.push(step.clone()),
            }
        }
    }
    Ok(())
}

fn phases(all: &mut Vec<Phase>, others: &[Phase]) -> Result<(), MergeError> {
    for other in others {
        let Some(phase) = all.iter_mut().find(|phase| phase.name == other.name) else {
            all.push(other.clone());
            continue;
        };
        phase.start_s = phase.start_s.min(other.start_s);
        phase.end_s = phase.end_s.max(other.end_s);
        phase.total = phase.total.merged(&other.total)?;
        flows(&mut phase.flows, &other.flows)?;
        phase.availability_ratio =
            worst(phase.availability_ratio, other.availability_ratio, f64::min);
        phase.longest_outage_s = worst(phase.longest_outage_s, other.longest_outage_s, f64::max);
    }
    all.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    Ok(())
}

fn worst(one: Option<f64>, other: Option<f64>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    one.zip(other).map(|(one, other)| pick(one, other)).or(one).or(other)
}

fn thresholds(all: &mut Vec<ThresholdResult>, others: &[ThresholdResult]) {
    for other in others {
        match all.iter_mut().find(|known| known.expression == other.expression) {
            Some(known) => known.aborted |= other.aborted,
            None => all.push(other.clone()),
        }
    }
}

fn checks(all: &mut Vec<CheckResult>, others: &[CheckResult]) {
    for other in others {
        let same = |check: &&mut CheckResult| {
            (&check.flow, &check.step, &check.name) == (&other.flow, &other.step, &other.name)
        };
        let Some(check) = all.iter_mut().find(same) else {
            all.push(other.clone());
            continue;
        };
        check.passed += other.passed;
        check.failed += other.failed;
        check.first_failure = check.first_failure.take().or_else(|| other.first_failure.clone());
    }
}

fn ledger(all: &mut Ledger, other: &Ledger) {
    all.acknowledged += other.acknowledged;
    all.found += other.found;
    all.lost += other.lost;
    all.duplicated += other.duplicated;
    all.unread += other.unread;
    all.unread_reason = all.unread_reason.take().or_else(|| other.unread_reason.clone());
    all.unknown += other.unknown;
    all.unknown_found += other.unknown_found;
    all.unknown_missing += other.unknown_missing;
    all.examples.extend(other.examples.iter().cloned());
    all.examples.truncate(MOST_EXAMPLES);
    all.duplicates.extend(other.duplicates.iter().cloned());
    all.duplicates.truncate(MOST_EXAMPLES);
}

fn timeline(all: &mut Vec<Second>, others: &[Second]) {
    let mut rows: BTreeMap<u32, Second> = all.drain(..).map(|row| (row.t_s, row)).collect();
    for other in others {
        rows.entry(other.t_s).and_modify(|row| second(row, other)).or_insert_with(|| other.clone());
    }
    all.extend(rows.into_values());
}

fn second(row: &mut Second, other: &Second) {
    let ended = |row: &Second| (row.ok + row.failed) as f64;
    let (mine, theirs) = (ended(row), ended(other));
    row.mean_ms = match (row.mean_ms, other.mean_ms) {
        (Some(a), Some(b)) => Some((a * mine + b * theirs) / (mine + theirs).max(1.0)),
        (a, b) => a.or(b),
    };
    row.length_s = row.length_s.max(other.length_s);
    row.due += other.due;
    row.sent += other.sent;
    row.ok += other.ok;
    row.failed += other.failed;
    row.skipped += other.skipped;
    row.late += other.late;
    row.users += other.users;
    row.in_flight += other.in_flight;
    row.connections += other.connections;
    for (mine, theirs) in [
        (&mut row.p50_ms, other.p50_ms),
        (&mut row.p90_ms, other.p90_ms),
        (&mut row.p95_ms, other.p95_ms),
        (&mut row.p99_ms, other.p99_ms),
        (&mut row.max_ms, other.max_ms),
        (&mut row.lag_p99_ms, other.lag_p99_ms),
    ] {
        *mine = worst(*mine, theirs, f64::max);
    }
    for (kind, count) in &other.errors {
        *row.errors.entry(kind.clone()).or_default() += count;
    }
    row.sent_bytes += other.sent_bytes;
    row.received_bytes += other.received_bytes;
    row.probes_ok += other.probes_ok;
    row.probes_failed += other.probes_failed;
    row.cpu_percent = row.cpu_percent.max(other.cpu_percent);
}

fn fitness(all: &mut Fitness, other: &Fitness) -> Result<(), MergeError> {
    all.fit &= other.fit;
    all.reasons.extend(other.reasons.iter().cloned());
    for warning in &other.warnings {
        if !all.warnings.contains(warning) {
            all.warnings.push(warning.clone());
        }
    }
    all.lag = all.lag.merged(&other.lag)?;
    all.busiest_worker_percent = all.busiest_worker_percent.max(other.busiest_worker_percent);
    all.cpu_s += other.cpu_s;
    all.peak_memory_bytes = all.peak_memory_bytes.max(other.peak_memory_bytes);
    all.peak_descriptors = all.peak_descriptors.max(other.peak_descriptors);
    all.descriptor_limit = all.descriptor_limit.min(other.descriptor_limit);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample, summary::Stats, threshold::judge};

    #[test]
    fn two_halves_are_a_whole() {
        let part = sample::summary();
        let whole = merged(&part, std::slice::from_ref(&part)).unwrap();
        let doubled = |field: fn(&Stats) -> u64| {
            assert_eq!(field(&whole.total), 2 * field(&part.total));
            for (flow, half) in whole.flows.iter().zip(&part.flows) {
                assert_eq!(field(&flow.total), 2 * field(&half.total));
                assert_eq!(field(&flow.steps[0].stats), 2 * field(&half.steps[0].stats));
            }
            for (phase, half) in whole.phases.iter().zip(&part.phases) {
                assert_eq!(field(&phase.total), 2 * field(&half.total));
            }
        };
        doubled(|stats| stats.ok);
        doubled(|stats| stats.failed);
        doubled(|stats| stats.latency.count);
        assert_eq!(whole.total.latency.p95_ms, part.total.latency.p95_ms, "the same distribution");
        assert_eq!(whole.total.rate, 2.0 * part.total.rate);
        assert_eq!((whole.phases.len(), whole.flows.len()), (part.phases.len(), part.flows.len()));
        assert_eq!(whole.faults.len(), part.faults.len(), "one daemon's fault is one fault");
        assert_eq!(whole.probes.len(), 2 * part.probes.len());
        let ok = |summary: &Summary| summary.timeline.iter().map(|row| row.ok).sum::<u64>();
        assert_eq!((ok(&whole), whole.timeline.len()), (2 * ok(&part), part.timeline.len()));
        assert_eq!(whole.thresholds.len(), part.thresholds.len());
    }

    #[test]
    fn a_part_that_did_not_reach_its_end_is_no_whole() {
        let part = sample::summary();
        let mut broken = part.clone();
        broken.verdict.kind = VerdictKind::Error;
        broken.verdict.reasons = vec!["the daemon died".into()];
        let mut whole = merged(&part, &[broken]).unwrap();
        judge(&mut whole, &[]);
        assert_eq!((whole.verdict.exit_code, &*whole.verdict.reasons[0]), (1, "the daemon died"));
    }

    #[test]
    fn a_part_lends_no_threshold_to_another() {
        let part = sample::summary();
        let mut lenient = part.clone();
        lenient.thresholds.push(ThresholdResult {
            expression: "error_ratio <= 100%".into(),
            ..ThresholdResult::default()
        });
        let error = merged(&part, &[lenient]).unwrap_err().to_string();
        assert!(error.starts_with("the list of thresholds differs"), "{error}");
    }

    #[test]
    fn parts_of_different_runs_are_refused() {
        let part = sample::summary();
        let mut other = part.clone();
        other.scenario.name = "another".into();
        let error = merged(&part, &[other]).unwrap_err().to_string();
        assert!(
            error.starts_with("the scenario differs: ") && error.contains("another"),
            "{error}"
        );
    }
}
