//! What the probe says about faults.

use crate::summary::{Outage, ProbeStream, Summary};

/// Kinds that are done in an instant: what follows is recovery.
const INSTANT: [&str; 2] = ["kill", "oom"];

/// Fills in how long the target took to recover from each fault.
pub fn settle(summary: &mut Summary) {
    let streams: Vec<ProbeStream> = summary
        .probes
        .iter()
        .flat_map(|p| [p.fresh.clone(), p.pooled.clone()])
        .filter(|s| s.sent > 0)
        .collect();
    if streams.is_empty() {
        return;
    }
    let starts: Vec<f64> = summary.faults.iter().filter_map(|f| f.start_s).collect();
    for fault in &mut summary.faults {
        let (Some(start), Some(end)) = (fault.start_s, fault.end_s) else { continue };
        let from = if INSTANT.contains(&fault.kind.as_str()) { start } else { end };
        // What happens after the next fault began is that one's.
        let next = starts.iter().copied().filter(|s| *s > from).fold(f64::INFINITY, f64::min);
        let of_fault = |o: &&Outage| o.start_s < next && o.start_s >= start - 1.0;
        let ends = streams.iter().flat_map(|s| &s.outages).filter(of_fault).map(|o| o.end_s);
        // One that did not end is a target that did not recover.
        let last = ends.collect::<Option<Vec<f64>>>();
        fault.recovery_s =
            last.map(|ends| ends.into_iter().fold(0.0, |most: f64, end| most.max(end - from)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn recovery_counts_from_the_end_of_a_fault_or_from_the_instant_of_a_kill() {
        let settled = |kind: &str, outages: Vec<Outage>| {
            let mut summary = sample::summary();
            summary.faults[0].kind = kind.into();
            summary.probes[0].fresh.outages = outages.clone();
            summary.probes[0].pooled.outages = outages;
            settle(&mut summary);
            summary.faults[0].recovery_s
        };
        let outage = |start_s, end_s| Outage { start_s, end_s, failed: 1, reason: None };
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?}");
        };
        close(settled("latency", vec![]), 0.0);
        close(settled("latency", vec![outage(21.0, Some(22.0))]), 0.0);
        close(settled("partition", vec![outage(21.0, Some(42.001))]), 2.0);
        close(settled("kill", vec![outage(20.1, Some(23.004))]), 3.0);
        assert_eq!(settled("kill", vec![outage(20.1, None)]), None);
        close(settled("latency", vec![outage(2.0, None)]), 0.0);
    }
}
