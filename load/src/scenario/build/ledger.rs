//! The ledger of writes.

use std::{collections::BTreeSet, time::Duration};

use super::{Builder, answer::source_of_extract};
use crate::{
    extract::{Extract, Source},
    plan::{Flow, LedgerPlan, ReadBack, Request, Step, WriteNote},
    scenario::{
        file::{LedgerFile, NoteFile},
        read::{Located, Problem, TextOr},
    },
    template::Template,
};

/// Keys that are asked for at once, unless it is said otherwise, and at most.
const PARALLEL: (u32, u32) = (16, 1000);

/// How long a key is asked for, unless it is said otherwise.
const WITHIN: Duration = Duration::from_secs(60);

/// Of `{{value}}` where there is none.
const NO_VALUE: &str = "no step notes a value: say `ledger: { key: …, value: … }` in those that write (with `keys` there is none)";

/// The variable for what an answer says; no scenario can have one of this name.
const TOLD: &str = "(ledger)";

impl Builder<'_> {
    /// What a step notes of its writes; what it extracts itself is in `extracts`.
    pub(super) fn note(
        &mut self,
        written: &Located<TextOr<NoteFile>>,
        extracts: &[Extract],
    ) -> Result<WriteNote, Problem> {
        let (key, value) = match &written.value {
            TextOr::Text(text) => (Located { place: written.place, value: text.clone() }, None),
            TextOr::Full(full) => (full.key.clone(), full.value.clone()),
        };
        let key_template = self.repeatable(&key)?;
        if key_template.as_static().is_some() {
            let message = format!(
                "{:?} is the same for all writes: a key has a variable in it, such as {{{{id}}}}",
                key.as_str()
            );
            return Err(Problem::at(key.place, message));
        }
        let value = value.as_ref().map(|value| self.repeatable(value)).transpose()?;
        let from_answer = key_template
            .variables()
            .any(|name| extracts.iter().any(|extract| &*extract.variable == name));
        Ok(WriteNote { key: key_template, value, from_answer })
    }

    /// A template that makes the same text each time, so that it says what was sent.
    fn repeatable(&mut self, text: &Located<String>) -> Result<Template, Problem> {
        let template = self.template(text)?;
        if !template.is_repeatable() {
            let message = format!(
                "{:?} would be another value than the one that was sent: make it by `set: {{ id: … }}` and say {{{{id}}}} in both places",
                text.as_str()
            );
            return Err(Problem::at(text.place, message));
        }
        Ok(template)
    }

    /// How what `flows` note is read back.
    pub(super) fn ledger(&mut self, flows: &[Flow]) -> Result<Option<LedgerPlan>, Problem> {
        let noting = flows.iter().flat_map(|flow| &flow.steps).find(|step| step.ledger.is_some());
        let Some(file) = &self.file.ledger else {
            return match noting {
                None => Ok(None),
                Some(step) => {
                    let message = format!(
                        "the step {:?} notes its writes, and nothing says how they are read back: say `ledger: {{ read: [{{ http: GET /items/{{{{key}}}} }}] }}`",
                        step.name
                    );
                    Err(Problem::at(self.file.flows_place(), message))
                }
            };
        };
        let within = |e: Problem| e.within("ledger");
        if noting.is_none() {
            let message = "no step notes its writes: say `ledger: \"{{id}}\"` in one that writes";
            return Err(within(Problem::at(file.place, message)));
        }
        let mut notes = flows.iter().flat_map(|flow| &flow.steps).filter_map(|s| s.ledger.as_ref());
        let has_values = notes.any(|note| note.value.is_some());
        self.read_back(file, has_values).map(Some).map_err(within)
    }

    fn read_back(
        &mut self,
        file: &Located<LedgerFile>,
        has_values: bool,
    ) -> Result<LedgerPlan, Problem> {
        let ways = [
            file.count.as_ref().map(|c| (c.place, "count")),
            file.items.as_ref().map(|c| (c.place, "items")),
            file.keys.as_ref().map(|c| (c.place, "keys")),
        ];
        if let [(_, first), (place, second), ..] =
            ways.into_iter().flatten().collect::<Vec<_>>().as_slice()
        {
            let message = format!("`{first}` and `{second}` at once: say one of them");
            return Err(Problem::at(*place, message).within(*second));
        }
        let (key, value) = (self.scope.name("key"), self.scope.name("value"));
        let before: BTreeSet<String> = self.known.clone();
        if file.keys.is_none() {
            self.known.insert("key".to_owned());
        }
        if file.keys.is_none() && has_values {
            self.known.insert("value".to_owned());
        }
        let steps = self.steps(&file.read).map_err(|e| e.within("read"));
        self.known = before;
        let mut steps =
            steps.map_err(|e| match e.message.starts_with("the variable \"value\"") {
                true => Problem { message: NO_VALUE.to_owned(), ..e },
                false => e,
            })?;
        self.check_read(file, &steps)?;
        let told = self.told(file)?;
        let variable = self.scope.name(TOLD);
        let counts = told.is_some().then(|| variable.clone());
        if let (Some(source), Some(last)) = (told, steps.last_mut()) {
            last.extracts.push(Extract { variable: variable.clone(), source, default: None });
        }
        let flow = Flow {
            name: "ledger".into(),
            steps,
            keep_connections: true,
            keep_variables: true,
            think: None,
        };
        let parallel = match &file.parallel {
            Some(n) if n.value == 0 || n.value > PARALLEL.1 => {
                let message = format!("takes a number from 1 to {}, got {}", PARALLEL.1, n.value);
                return Err(Problem::at(n.place, message).within("parallel"));
            }
            Some(n) => n.value,
            None => PARALLEL.0,
        };
        let read = match file.keys {
            Some(_) => ReadBack::List { flow, keys: variable },
            None => ReadBack::Each { flow, count: counts },
        };
        let within = file.within.map_or(WITHIN, |w| w.get());
        Ok(LedgerPlan { read, key, value, parallel: parallel as usize, within })
    }

    /// Refuses steps that cannot tell whether a write is there.
    fn check_read(&self, file: &Located<LedgerFile>, steps: &[Step]) -> Result<(), Problem> {
        let wrong = |message: &str| Err(Problem::at(file.read.place, message).within("read"));
        if steps.iter().any(|step| step.ledger.is_some()) {
            return wrong("what reads the ledger notes no writes of its own");
        }
        match steps.last() {
            None => wrong("has no step: say what is asked, such as `http: GET /items/{{key}}`"),
            Some(last) if matches!(last.request, Request::None) => {
                wrong("ends with a pause, which tells nothing")
            }
            Some(_) => Ok(()),
        }
    }

    /// Where the last answer says what is there.
    fn told(&self, file: &Located<LedgerFile>) -> Result<Option<Source>, Problem> {
        if let Some(count) = &file.count {
            let source = match &count.value {
                TextOr::Text(path) => {
                    Source::json_path(path).map_err(|m| Problem::at(count.place, m))
                }
                TextOr::Full(full) if full.default.is_some() => {
                    let message = "an answer that does not say how many there are tells nothing: leave `default` out";
                    Err(Problem::at(count.place, message))
                }
                TextOr::Full(full) => source_of_extract(count.place, full),
            };
            return source.map(Some).map_err(|e| e.within("count"));
        }
        let (path, key, source) = match (&file.items, &file.keys) {
            (Some(path), _) => (path, "items", Source::json_count(path)),
            (None, Some(path)) => (path, "keys", Source::json_nodes(path)),
            (None, None) => return Ok(None),
        };
        source.map(Some).map_err(|m| Problem::at(path.place, m).within(key))
    }
}
