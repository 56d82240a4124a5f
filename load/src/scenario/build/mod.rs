//! From what was written to a plan with every name resolved.

mod answer;
mod body;
mod data;
mod fault;
mod flow;
mod grpc;
mod http;
mod ledger;
mod phase;
mod place;
mod postgres;
mod probe;
mod redis;
mod request;
mod stage;
mod tcp;
mod threshold;
mod tls;

pub use fault::typed as typed_fault;

use std::{collections::BTreeSet, path::Path, time::Duration};

use faultd_api::Span;

use super::{
    Options, Scenario,
    file::{LimitsFile, ScenarioFile},
    read::{Amount, Located, Place, Problem, Text},
};
use crate::{
    plan::{Limits, Plan, Stage},
    summary::ScenarioInfo,
    template::{Scope, Template, TemplateError},
    words,
};

/// Names that templates have a meaning of their own for.
const RESERVED: [&str; 6] = ["user", "iteration", "random", "counter", "now", "env"];

/// What building needs to know everywhere.
pub(super) struct Builder<'a> {
    file: &'a ScenarioFile,
    text: Text<'a>,
    /// Files that the scenario names are relative to this.
    dir: &'a Path,
    scale: f64,
    scope: Scope,
    /// Variables that are known where the builder stands.
    known: BTreeSet<String>,
    /// It stands in the probe, which is no user's.
    in_probe: bool,
    targets: BTreeSet<String>,
    /// .proto files that were compiled.
    protos: grpc::Protos,
}

/// Builds everything.
pub(super) fn build(
    file: &ScenarioFile,
    text: Text<'_>,
    dir: &Path,
    vars: std::collections::BTreeMap<String, String>,
    options: &Options,
) -> Result<Scenario, Problem> {
    let mut builder = Builder {
        file,
        text,
        dir,
        scale: options.scale,
        scope: Scope::default(),
        known: BTreeSet::new(),
        in_probe: false,
        targets: BTreeSet::new(),
        protos: grpc::Protos::default(),
    };
    let name = name(&file.name).map_err(|e| e.within("name"))?;
    builder.data()?;
    let tls = builder.tls()?;
    let setup = builder.one_off(&file.setup, "setup")?;
    // Here, where what the set-up extracts is known, and nothing else.
    let probe = builder.probe()?;
    let flows = builder.flows()?;
    let teardown = builder.one_off(&file.teardown, "teardown")?;
    let ledger = builder.ledger(&flows)?;
    let stages = builder.stages(&flows)?;
    let limits = limits(&file.limits)?;
    let seed = options.seed.or(file.seed).unwrap_or_else(drawn_seed);
    let plan = Plan {
        name: name.clone(),
        stages,
        flows,
        setup,
        teardown,
        limits,
        ledger,
        tls,
        probe,
        seed,
    };
    let faults = builder.faults(seed, plan.duration())?;
    let phases = builder.phases(&faults, plan.duration())?;
    let thresholds = builder.thresholds(&plan, &phases)?;
    let info = ScenarioInfo {
        name,
        description: file.description.clone(),
        file: Some(text.file.to_owned()),
        targets: builder.targets.into_iter().collect(),
        stages: plan.stages.iter().map(Stage::words).collect(),
        vars,
        seed,
        scale: options.scale,
    };
    Ok(Scenario { plan, info, tags: file.tags.clone(), faults, phases, thresholds })
}

/// A seed from the clock: it only has to differ from run to run.
fn drawn_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.unwrap_or_default().as_nanos() as u64;
    // Short enough to be typed again.
    faultd_abi::splitmix64(nanos, u64::from(std::process::id())) >> 32
}

/// A name for reports: one line, not empty, not endless.
fn name(name: &Located<String>) -> Result<String, Problem> {
    let text = name.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(Problem::at(name.place, "a name has 1 to 100 characters, all on one line"));
    }
    Ok(text.to_owned())
}

/// The same for what thresholds name: `step.NAME.p95`.
fn dotless(written: &Located<String>) -> Result<String, Problem> {
    let text = name(written)?;
    if text.contains(['.', '<', '>', '=', '!']) {
        let message = format!("{text:?}: a name that thresholds can use has no dots, <, >, = or !");
        return Err(Problem::at(written.place, message));
    }
    Ok(text)
}

/// Refuses a name that is there already.
fn unique<'n>(
    names: impl Iterator<Item = &'n str>,
    name: &str,
    place: Place,
    what: &str,
) -> Result<(), Problem> {
    let taken: Vec<&str> = names.collect();
    if taken.contains(&name) {
        return Err(Problem::at(place, format!("there is a {what} {name:?} already")));
    }
    Ok(())
}

/// A point in time, counted from the start of the run.
fn moment(text: &Located<String>) -> Result<Duration, Problem> {
    match text.trim() {
        "0" | "0s" | "0ms" => Ok(Duration::ZERO),
        other => other.parse::<Span>().map(Span::get).map_err(|_| {
            let message = format!(
                "takes a time since the start of the run, such as 0s or 30s, got {other:?}"
            );
            Problem::at(text.place, message)
        }),
    }
}

fn limits(file: &LimitsFile) -> Result<Limits, Problem> {
    let mut limits = Limits::default();
    let positive = |value: &Located<u32>, key: &str| match value.value {
        0 => Err(Problem::at(value.place, "must be above zero").within(key).within("limits")),
        value => Ok(value as usize),
    };
    if let Some(workers) = &file.workers {
        limits.workers = Some(positive(workers, "workers")?);
    }
    if let Some(in_flight) = &file.in_flight {
        limits.in_flight = positive(in_flight, "in_flight")?;
    }
    if let Some(grace) = file.grace {
        limits.grace = grace.get();
    }
    if let Some(Located { place, value: Amount(text) }) = &file.body {
        let bytes = words::size(text)
            .map_err(|e| Problem::at(*place, e).within("body").within("limits"))?;
        limits.body = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    Ok(limits)
}

impl Builder<'_> {
    /// A time of the run's own course, scaled.
    fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.scale)
    }

    /// The place of a character of a scalar, where the file shows it as it is.
    fn inside(&self, scalar: &Located<String>, at: usize) -> Place {
        let line = self.text.text.lines().nth(scalar.place.line.saturating_sub(1) as usize);
        let rest: String = line
            .unwrap_or_default()
            .chars()
            .skip(scalar.place.column.saturating_sub(1) as usize)
            .collect();
        if rest.starts_with(scalar.as_str()) {
            return scalar.place.right(at);
        }
        let quoted = rest.strip_prefix(['"', '\'']).is_some_and(|r| r.starts_with(scalar.as_str()));
        if quoted { scalar.place.right(at + 1) } else { scalar.place }
    }

    fn template_error(&self, text: &Located<String>, error: TemplateError) -> Problem {
        let characters = text.get(..error.at).map_or(0, |before| before.chars().count());
        Problem::at(self.inside(text, characters), error.message)
    }

    /// A template all of whose variables are known.
    fn template(&mut self, text: &Located<String>) -> Result<Template, Problem> {
        let template = self.scope.compile(text).map_err(|e| self.template_error(text, e))?;
        self.check_variables(&template, text.place)?;
        Ok(template)
    }

    fn check_variables(&self, template: &Template, place: Place) -> Result<(), Problem> {
        if self.in_probe {
            probe::refuse_users(template, place)?;
        }
        let Some(unknown) = template.variables().find(|name| !self.known.contains(*name)) else {
            return Ok(());
        };
        let known = self.known.iter().map(String::as_str);
        let (builtin, instead): (&[&str], _) = match self.in_probe {
            true => (&[], "; a probe knows what `setup` extracts, and nothing that a flow does"),
            false => (
                &["user", "iteration"],
                "; an earlier step has to extract it (variables of `vars` are written ${…})",
            ),
        };
        let all: Vec<&str> = known.chain(builtin.iter().copied()).collect();
        let instead = match words::nearest(unknown, &all) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => instead.to_owned(),
        };
        Err(Problem::at(place, format!("the variable {unknown:?} is not known here{instead}")))
    }
}
