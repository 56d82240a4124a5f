//! Flows and steps.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Builder, dotless, name,
    request::{Asked, has_what_is_extracted},
    unique,
};
use crate::{
    plan::{Flow, Request, Retry, Step, Think},
    scenario::{
        file::{FlowFile, RetryFile, StepFile},
        read::{Located, Problem, TextOr},
    },
    words,
};

impl Builder<'_> {
    /// Set-up or tear-down: one flow, done once.
    pub(super) fn one_off(
        &mut self,
        steps: &[Located<StepFile>],
        what: &str,
    ) -> Result<Vec<Flow>, Problem> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        // What it extracts stays known: to the flows, and to the tear-down.
        for (at, step) in steps.iter().enumerate() {
            if let Some(note) = &step.ledger {
                let message = "a ledger is kept of the load alone: only steps of flows have one";
                let problem = Problem::at(note.place, message).within("ledger");
                return Err(problem.within(format!("[{at}]")).within(what));
            }
        }
        let steps = self.steps(steps).map_err(|e| e.within(what))?;
        Ok(vec![Flow {
            name: what.to_owned(),
            steps,
            keep_connections: false,
            keep_variables: true,
            think: None,
        }])
    }

    pub(super) fn flows(&mut self) -> Result<Vec<Flow>, Problem> {
        let file = self.file;
        let mut flows: Vec<Flow> = Vec::new();
        for (name, flow) in &file.flows.0 {
            let within = |e: Problem| e.within(name.as_str()).within("flows");
            let named = dotless(name).map_err(within)?;
            unique(flows.iter().map(|f| f.name.as_str()), &named, name.place, "flow")
                .map_err(within)?;
            flows.push(self.flow(named, flow).map_err(within)?);
        }
        match flows.is_empty() {
            true => Err(Problem::at(file.stages.place, "`flows` has none: say what is sent")),
            false => Ok(flows),
        }
    }

    fn flow(&mut self, name: String, file: &Located<FlowFile>) -> Result<Flow, Problem> {
        if file.steps.is_empty() {
            return Err(
                Problem::at(file.steps.place, "a flow has at least one step").within("steps")
            );
        }
        if let Some(weight) = &file.weight {
            super::stage::weight(weight).map_err(|e| e.within("weight"))?;
        }
        let before = self.known.clone();
        if file.keep_variables {
            // Known from the run before; in the first run a step that needs one fails.
            let extracted = file.steps.iter().flat_map(|s| &s.extract.0);
            self.known.extend(extracted.map(|(name, _)| name.value.clone()));
        }
        let steps = self.steps(&file.steps).map_err(|e| e.within("steps"))?;
        self.known = before;
        let pause = file.think.as_ref().map(think).transpose().map_err(|e| e.within("think"))?;
        Ok(Flow {
            name,
            steps,
            keep_connections: file.keep_connections,
            keep_variables: file.keep_variables,
            think: pause,
        })
    }

    pub(super) fn steps(&mut self, files: &[Located<StepFile>]) -> Result<Vec<Step>, Problem> {
        let mut steps: Vec<Step> = Vec::new();
        let mut named: BTreeSet<String> = BTreeSet::new();
        for (at, file) in files.iter().enumerate() {
            let within = |e: Problem| e.within(format!("[{at}]"));
            let mut step = self.step(file).map_err(within)?;
            if let Some(name) = &file.name {
                unique(named.iter().map(String::as_str), &step.name, name.place, "step")
                    .map_err(within)?;
            } else {
                // Names that nobody wrote are told apart by numbers.
                let plain = step.name.clone();
                let mut number = 2;
                while named.contains(&step.name) {
                    step.name = format!("{plain} #{number}");
                    number += 1;
                }
            }
            named.insert(step.name.clone());
            steps.push(step);
        }
        Ok(steps)
    }

    fn step(&mut self, located: &Located<StepFile>) -> Result<Step, Problem> {
        let file = &located.value;
        let sets = self.sets(&file.set)?;
        let (request, default_name) = self.request(located)?;
        let written = file.name.as_ref().map(dotless).transpose().map_err(|e| e.within("name"))?;
        let mut step = Step::new(written.unwrap_or(default_name), request);
        let defaults = self.file;
        let common = match &step.request {
            Request::Http(_) | Request::Tcp(_) | Request::None => defaults.http.timeout,
            Request::Grpc(_) => defaults.grpc.timeout,
            Request::Redis(_) => defaults.redis.timeout,
            Request::Postgres(_) => defaults.postgres.timeout,
        };
        step.timeout = file.timeout.or(common).map_or(step.timeout, |timeout| timeout.get());
        step.retry = retry(file)?;
        step.may_fail = file.may_fail;
        if let Some(repeat) = &file.repeat {
            if repeat.value == 0 {
                return Err(Problem::at(repeat.place, "must be above zero").within("repeat"));
            }
            step.repeat = repeat.value;
        }
        if let Some(text) = &file.think {
            step.think = Some(think(text).map_err(|e| e.within("think"))?);
        }
        if let Some(text) = &file.pause {
            step.think = Some(think(text).map_err(|e| e.within("pause"))?);
        }
        step.sets = sets;
        step.extracts = self.extracts(&file.extract)?;
        step.checks = self.expected(&asked(file), &step.request)?;
        has_what_is_extracted(&file.extract, &step.request)?;
        if let Some(note) = &file.ledger {
            let note = self.note(note, &step.extracts).map_err(|e| e.within("ledger"))?;
            step.ledger = Some(note);
        }
        Ok(step)
    }

    /// What a step sends, and a name for it.
    fn request(&mut self, located: &Located<StepFile>) -> Result<(Request, String), Problem> {
        let file = &located.value;
        let asked = asked(file);
        let kinds = "`http`, `grpc`, `tcp`, `redis`, `postgres` or `pause`";
        match asked.count() + usize::from(file.pause.is_some()) {
            1 => {}
            0 => {
                let message = format!("a step does something: say {kinds}");
                return Err(Problem::at(located.place, message));
            }
            _ => {
                let message = format!("a step does one thing: {kinds}");
                return Err(Problem::at(located.place, message));
            }
        }
        if let Some(request) = self.asked(&asked)? {
            return Ok(request);
        }
        let pause = file.pause.as_ref().map_or(String::new(), |p| p.value.clone());
        for (given, key) in [
            (!file.extract.0.is_empty(), "extract"),
            (!file.checks.is_empty(), "checks"),
            (file.retry.is_some(), "retry"),
            (file.think.is_some(), "think"),
            (!file.set.0.is_empty(), "set"),
            (file.ledger.is_some(), "ledger"),
        ] {
            if given {
                let message = format!("a pause has no answer: `{key}` belongs to a request");
                return Err(Problem::at(located.place, message));
            }
        }
        Ok((Request::None, format!("pause {pause}")))
    }
}

/// The request of a step, unless it is a pause.
fn asked(file: &StepFile) -> Asked<'_> {
    Asked {
        http: file.http.as_ref(),
        grpc: file.grpc.as_ref(),
        tcp: file.tcp.as_ref(),
        redis: file.redis.as_ref(),
        postgres: file.postgres.as_ref(),
        expect: file.expect.as_ref(),
        checks: &file.checks,
    }
}

fn think(text: &Located<String>) -> Result<Think, Problem> {
    let range = words::think(text).map_err(|e| Problem::at(text.place, e))?;
    Ok(Think { min: range.min, max: range.max })
}

fn retry(file: &StepFile) -> Result<Retry, Problem> {
    let Some(retry) = &file.retry else { return Ok(Retry::default()) };
    let (attempts, pause) = match &retry.value {
        TextOr::Text(text) => {
            let wrong = || {
                format!("takes a number of further attempts, or attempts and pause, got {text:?}")
            };
            (text.parse().map_err(|_| Problem::at(retry.place, wrong()).within("retry"))?, None)
        }
        TextOr::Full(RetryFile { attempts, pause }) => (*attempts, *pause),
    };
    Ok(Retry { attempts, pause: pause.map_or(Duration::ZERO, |p| p.get()) })
}

/// Of a step or flow that was not named by its writer.
pub(super) fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let located = Located { place: Default::default(), value: one_line };
    name(&located).unwrap_or_else(|_| located.value.chars().take(99).chain(['…']).collect())
}
