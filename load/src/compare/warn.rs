//! What speaks against comparing two results at all.

use crate::summary::Summary;

/// One sentence each.
pub fn warnings(baseline: &[Summary], current: &[Summary]) -> Vec<String> {
    let mut warnings = Vec::new();
    let (Some(one), Some(other)) = (baseline.first(), current.first()) else { return warnings };
    let (old, new) = (&one.scenario, &other.scenario);
    if old.name != new.name {
        warnings.push(format!("different scenarios: {:?} and {:?}", old.name, new.name));
    }
    if old.scale != new.scale {
        warnings.push(format!("different scales: {} and {}", old.scale, new.scale));
    }
    if old.vars != new.vars {
        warnings.push("different variables".into());
    }
    if old.targets != new.targets {
        warnings.push(format!(
            "different targets: {} and {}",
            old.targets.join(", "),
            new.targets.join(", ")
        ));
    }
    // A result of before has no stages: it does not say that they differ.
    let told = !old.stages.is_empty() && !new.stages.is_empty();
    if told && old.scale == new.scale && old.stages != new.stages {
        warnings.push(format!(
            "different load: {} and {}",
            old.stages.join(", "),
            new.stages.join(", ")
        ));
    }
    let (old_steps, new_steps) = (steps(one), steps(other));
    if old_steps != new_steps {
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|step| !those.contains(step)).cloned().collect::<Vec<_>>()
        };
        let mut differing = only(&old_steps, &new_steps);
        differing.extend(only(&new_steps, &old_steps));
        let which = match differing.as_slice() {
            [] => String::new(),
            steps => format!(": not in both {}", steps.join(", ")),
        };
        warnings.push(format!("different flows{which}"));
    }
    if (&one.host.kernel, one.host.cpus) != (&other.host.kernel, other.host.cpus) {
        warnings.push(format!(
            "different hosts: Linux {} with {} processors, Linux {} with {}",
            one.host.kernel, one.host.cpus, other.host.kernel, other.host.cpus
        ));
    }
    for (side, runs) in [("baseline", baseline), ("current result", current)] {
        if runs.iter().any(|r| r.verdict.interrupted || r.verdict.aborted) {
            warnings.push(format!("a run of the {side} ended early"));
        }
    }
    warnings
}

/// All steps, with their flows.
fn steps(summary: &Summary) -> Vec<String> {
    let flows = summary.flows.iter();
    flows.flat_map(|f| f.steps.iter().map(|s| format!("{} / {}", f.name, s.name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_was_sent_elsewhere_or_otherwise_is_told() {
        let one = sample::summary();
        assert_eq!(warnings(std::slice::from_ref(&one), std::slice::from_ref(&one)), [""; 0]);
        let mut other = one.clone();
        other.scenario.targets = vec!["h:1".into()];
        other.scenario.stages = vec!["10s 5/s".into()];
        other.flows[0].steps[0].name = "sign in".into();
        let told = warnings(std::slice::from_ref(&one), std::slice::from_ref(&other));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("different targets: ") && told[0].ends_with(" and h:1"));
        assert_eq!(told[1], "different flows: not in both buy / login, buy / sign in");
        let mut before = one;
        before.scenario.stages = vec!["10s 9/s".into()];
        let told = warnings(&[before], &[other]);
        assert_eq!(told[1], "different load: 10s 9/s and 10s 5/s");
    }
}
