//! The one step of a network fault in one namespace: its rules, with the delay
//! line or the qdisc that these need.

use std::sync::Arc;

use faultd_api::{LatencyParams, PlanStep};

use super::{
    line::Line,
    plane::{Action, Flow, RuleSpec, Slot, Via},
    qdisc::Hold,
    space::{Net, Space},
};
use crate::{
    engine::plan::{Applied, ApplyCx, Observation, Step, StepError},
    host::{links::Link, netns::Netns},
};

/// Puts a rule in force in one namespace.
pub struct RuleStep {
    /// The family's shared parts.
    pub net: Arc<Net>,
    /// Where.
    pub netns: Netns,
    /// In words.
    pub description: PlanStep,
    /// The interfaces concerned.
    pub links: Vec<Link>,
    /// The rule, but for seed and expiry.
    pub spec: RuleSpec,
    /// Flows that are left alone.
    pub exempt: Vec<Flow>,
}

impl Step for RuleStep {
    fn describe(&self) -> PlanStep {
        self.description.clone()
    }

    fn apply(mut self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        self.spec.expires_boot_ns = cx.expires_boot_ns;
        self.spec.seed = cx.seed;
        let what = || self.description.apply.clone();
        let space = self.net.space(&self.netns).map_err(|e| StepError::new(what(), e))?;
        let mut rule = AppliedRule::new(Arc::clone(&self.net), space);
        match rule.build(&self, cx) {
            Ok(()) => Ok(Box::new(rule)),
            Err(error) => {
                let left = rule.take_back();
                let error = left.into_iter().fold(error, |e, l| e.context(format!("and then {l}")));
                Err(StepError { what: what(), source: error })
            }
        }
    }
}

/// What is in force, in the order in which it was put there.
struct AppliedRule {
    net: Arc<Net>,
    space: Arc<Space>,
    action: Option<Action>,
    exempt: Vec<Flow>,
    line: Option<Arc<Line>>,
    holds: Vec<Hold>,
    slots: Vec<Slot>,
}

impl AppliedRule {
    fn new(net: Arc<Net>, space: Arc<Space>) -> Self {
        Self {
            net,
            space,
            action: None,
            exempt: Vec::new(),
            line: None,
            holds: Vec::new(),
            slots: Vec::new(),
        }
    }

    fn build(&mut self, step: &RuleStep, cx: &ApplyCx<'_>) -> Result<(), anyhow::Error> {
        self.action = Some(step.spec.action.clone());
        for flow in &step.exempt {
            self.space.plane.exempt(flow)?;
            self.exempt.push(*flow);
        }
        match &step.spec.action {
            Action::Delay(_, Via::Line) => self.line = Some(self.space.join_line()?),
            Action::Delay(_, Via::Edt) => self.add_fq(step, cx)?,
            Action::Delay(params, Via::Netem { .. }) => return self.add_netem(step, params, cx),
            Action::Drop | Action::Loss(_) => {}
        }
        self.slots.push(self.space.plane.add(&step.spec)?);
        Ok(())
    }

    fn add_fq(&mut self, step: &RuleStep, cx: &ApplyCx<'_>) -> Result<(), anyhow::Error> {
        for link in &step.links {
            let netns = &self.space.netns;
            let hold = self.space.qdiscs().fq(netns, link, cx.journal, cx.expires_boot_ns)?;
            self.holds.extend(hold);
        }
        Ok(())
    }

    /// A rule a link, since each sends to a class of its own.
    fn add_netem(
        &mut self,
        step: &RuleStep,
        params: &LatencyParams,
        cx: &ApplyCx<'_>,
    ) -> Result<(), anyhow::Error> {
        for link in &step.links {
            let netns = &self.space.netns;
            let expires = cx.expires_boot_ns;
            let hold = self.space.qdiscs().netem(netns, link, params, cx.journal, expires)?;
            self.holds.push(hold);
            let mut spec = step.spec.clone();
            spec.ifindexes = vec![link.ifindex];
            spec.action = Action::Delay(params.clone(), Via::Netem { classid: hold.class() });
            self.slots.push(self.space.plane.add(&spec)?);
        }
        Ok(())
    }

    /// Ends the rules; returns what could not be taken back.
    fn end_rules(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        for slot in self.slots.drain(..).rev() {
            left.extend(self.space.plane.remove(slot).err().map(|e| e.to_string()));
        }
        left
    }

    /// Takes everything back, in reverse; returns what could not be.
    fn take_back(&mut self) -> Vec<String> {
        let mut left = self.end_rules();
        for hold in self.holds.drain(..).rev() {
            let released = self.space.qdiscs().release(&self.space.netns, hold);
            left.extend(released.err().map(|e| e.to_string()));
        }
        if self.line.take().is_some() {
            left.extend(self.space.leave_line().err().map(|e| e.to_string()));
        }
        for flow in self.exempt.drain(..).rev() {
            left.extend(self.space.plane.unexempt(&flow).err().map(|e| e.to_string()));
        }
        self.net.tidy(&self.space.netns);
        left
    }
}

/// What could not be taken back, as the engine wants it.
fn nothing_or(left: &[String]) -> Result<(), StepError> {
    if left.is_empty() {
        return Ok(());
    }
    Err(StepError::new("taking back a network rule", anyhow::anyhow!(left.join("; "))))
}

impl Applied for AppliedRule {
    // Held packets are on their way when the rules have gone; the delay line's
    // device takes the kernel many times longer.
    fn lift(&mut self) -> Result<bool, StepError> {
        nothing_or(&self.end_rules()).map(|()| true)
    }

    fn revert(&mut self) -> Result<(), StepError> {
        nothing_or(&self.take_back())
    }

    fn observe(&mut self) -> Observation {
        let mut seen = Observation::default();
        for slot in &self.slots {
            let counters = self.space.plane.counters(*slot);
            seen.counters.matched += counters.matched;
            seen.counters.affected += counters.affected;
            let more = &mut seen.counters.more;
            let mut count = |name: &str, value: u64| {
                if value > 0 {
                    *more.entry(name.to_owned()).or_default() += value;
                }
            };
            count("affected_bytes", counters.affected_bytes);
            count("passed_no_line", counters.passed_no_line);
            count("exempt", counters.exempt);
            count("protected", counters.protected);
            if let Some(line) = &self.line {
                let stats = line.stats((*slot).into());
                count("delivered", stats.delivered);
                count("overflow", stats.overflow);
                if let Some(held) = stats.held {
                    seen.achieved.insert("ms_p50".to_owned(), held.p50);
                    seen.achieved.insert("ms_p99".to_owned(), held.p99);
                    seen.achieved.insert("ms_max".to_owned(), held.max);
                }
            } else if counters.delay_ns > 0 {
                let mean = counters.delay_ns as f64 / counters.affected.max(1) as f64 / 1e6;
                seen.achieved.insert("ms_mean".to_owned(), mean);
            }
        }
        let drops = matches!(self.action, Some(Action::Drop | Action::Loss(_)));
        if drops && seen.counters.matched > 0 {
            let share = seen.counters.affected as f64 / seen.counters.matched as f64;
            seen.achieved.insert("percent".to_owned(), 100.0 * share);
        }
        seen
    }
}

impl Drop for AppliedRule {
    fn drop(&mut self) {
        // Only a daemon that is unwinding gets here with something in force.
        for error in self.take_back() {
            tracing::error!(error, "network rule left behind");
        }
    }
}
