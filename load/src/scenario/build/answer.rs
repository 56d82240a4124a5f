//! Extraction and checks.

use regex::bytes::Regex;

use super::{Builder, RESERVED};
use crate::{
    check::{Check, Predicate, Rule},
    extract::{Extract, Source, regex_error},
    plan::StatusRange,
    scenario::{
        file::{CheckFile, ExtractFile},
        read::{Amount, Located, OneOrMany, Ordered, Place, Problem, TextOr},
    },
    template::{Name, Template},
};

/// How statuses are written in the protocol of a step.
type Statuses = fn(&Located<OneOrMany>) -> Result<Vec<StatusRange>, Problem>;

impl Builder<'_> {
    pub(super) fn extracts(
        &mut self,
        files: &Ordered<Located<TextOr<ExtractFile>>>,
    ) -> Result<Vec<Extract>, Problem> {
        let mut extracts = Vec::new();
        for (name, file) in &files.0 {
            let within = |e: Problem| e.within(name.as_str()).within("extract");
            variable(name).map_err(within)?;
            let (source, default) = match &file.value {
                TextOr::Text(path) => {
                    (Source::json_path(path).map_err(|m| within(Problem::at(file.place, m)))?, None)
                }
                TextOr::Full(full) => {
                    (source_of_extract(file.place, full).map_err(within)?, full.default.clone())
                }
            };
            self.known.insert(name.value.clone());
            let variable = self.scope.name(name);
            extracts.push(Extract { variable, source, default: default.map(String::into_bytes) });
        }
        Ok(extracts)
    }

    /// Variables that are made before a request is sent.
    pub(super) fn sets(
        &mut self,
        files: &Ordered<Located<String>>,
    ) -> Result<Vec<(Name, Template)>, Problem> {
        let mut sets = Vec::new();
        for (name, value) in &files.0 {
            let within = |e: Problem| e.within(name.as_str()).within("set");
            variable(name).map_err(within)?;
            let template = self.template(value).map_err(within)?;
            self.known.insert(name.value.clone());
            sets.push((self.scope.name(name), template));
        }
        Ok(sets)
    }

    pub(super) fn checks(
        &mut self,
        files: &[Located<CheckFile>],
        statuses: Statuses,
    ) -> Result<Vec<Check>, Problem> {
        let built = files.iter().enumerate().map(|(at, file)| {
            self.check(file, statuses).map_err(|e| e.within(format!("[{at}]")).within("checks"))
        });
        built.collect()
    }

    fn check(
        &mut self,
        located: &Located<CheckFile>,
        statuses: Statuses,
    ) -> Result<Check, Problem> {
        let file = &located.value;
        let (rule, words) = self.rule(located, statuses)?;
        let name = match &file.name {
            Some(name) => name.clone(),
            None => super::flow::shortened(&words),
        };
        Ok(Check { name, rule })
    }

    fn rule(
        &mut self,
        located: &Located<CheckFile>,
        statuses: Statuses,
    ) -> Result<(Rule, String), Problem> {
        let file = &located.value;
        let mut rules: Vec<(Rule, String)> = Vec::new();
        if let Some(status) = &file.status {
            let ranges = statuses(status).map_err(|e| e.within("status"))?;
            rules.push((Rule::Status(ranges), format!("status is {}", status.0.join(" or "))));
        }
        if let Some(limit) = file.latency_below {
            rules.push((Rule::LatencyBelow(limit.get()), format!("latency below {limit}")));
        }
        for (key, text, predicate) in [
            ("equals", &file.body_equals, Predicate::Equals as fn(_) -> _),
            ("contains", &file.body_contains, Predicate::Contains as fn(_) -> _),
            ("lacks", &file.body_lacks, Predicate::Lacks as fn(_) -> _),
        ] {
            let Some(text) = text else { continue };
            let template = self.template(text).map_err(|e| e.within(format!("body_{key}")))?;
            let rule = Rule::Value(Source::Body, predicate(template));
            rules.push((rule, format!("body {key} {:?}", text.as_str())));
        }
        if let Some(text) = &file.body_matches {
            let regex = regex(text).map_err(|e| e.within("body_matches"))?;
            let rule = Rule::Value(Source::Body, Predicate::Matches(regex));
            rules.push((rule, format!("body matches /{}/", text.as_str())));
        }
        if let Some(source) = source_of_check(located, file)? {
            let words = source.words();
            let (predicate, how) = self.predicate(located)?;
            rules.push((Rule::Value(source, predicate), format!("{words} {how}")));
        } else if let Some(key) = predicates(file).first() {
            let message =
                format!("`{key}` of what? Say `json`, `header`, `cookie` or `regex` beside it");
            return Err(Problem::at(located.place, message));
        }
        let mut rules = rules.into_iter();
        match (rules.next(), rules.next()) {
            (Some(rule), None) => Ok(rule),
            (None, _) => {
                let message = "a check says what must hold: `status`, `latency_below`, `body_contains`, or `json`, `header`, … with `equals`, `contains`, …";
                Err(Problem::at(located.place, message))
            }
            (Some((_, one)), Some((_, two))) => {
                let message = format!("two checks in one ({one}; {two}): make them two");
                Err(Problem::at(located.place, message))
            }
        }
    }

    fn predicate(&mut self, located: &Located<CheckFile>) -> Result<(Predicate, String), Problem> {
        let file = &located.value;
        if let [first, second, ..] = predicates(file).as_slice() {
            let message = format!("`{first}` and `{second}` in one check: make them two");
            return Err(Problem::at(located.place, message));
        }
        for (key, text, predicate) in [
            ("equals", &file.equals, Predicate::Equals as fn(_) -> _),
            ("differs", &file.differs, Predicate::Differs as fn(_) -> _),
            ("contains", &file.contains, Predicate::Contains as fn(_) -> _),
        ] {
            let Some(text) = text else { continue };
            let template = self.template(text).map_err(|e| e.within(key))?;
            let verb = if key == "differs" { "differs from" } else { key };
            return Ok((predicate(template), format!("{verb} {:?}", text.as_str())));
        }
        if let Some(text) = &file.matches {
            let regex = regex(text).map_err(|e| e.within("matches"))?;
            return Ok((Predicate::Matches(regex), format!("matches /{}/", text.as_str())));
        }
        if let Some(bound) = &file.above {
            let number = number(bound).map_err(|e| e.within("above"))?;
            return Ok((Predicate::Above(number), format!("above {number}")));
        }
        if let Some(bound) = &file.below {
            let number = number(bound).map_err(|e| e.within("below"))?;
            return Ok((Predicate::Below(number), format!("below {number}")));
        }
        Ok(match file.exists {
            Some(false) => (Predicate::Absent, "is absent".into()),
            _ => (Predicate::Exists, "exists".into()),
        })
    }
}

/// Refuses what cannot name a variable.
fn variable(name: &Located<String>) -> Result<(), Problem> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(is_name) || RESERVED.contains(&name.as_str()) {
        let message = format!(
            "{:?} cannot name a variable: letters, digits, _ and -, and none of {}",
            name.as_str(),
            RESERVED.join(", ")
        );
        return Err(Problem::at(name.place, message));
    }
    Ok(())
}

/// The ways a value must be that a check names.
fn predicates(file: &CheckFile) -> Vec<&'static str> {
    let given = [
        ("equals", file.equals.is_some()),
        ("differs", file.differs.is_some()),
        ("contains", file.contains.is_some()),
        ("matches", file.matches.is_some()),
        ("above", file.above.is_some()),
        ("below", file.below.is_some()),
        ("exists", file.exists.is_some()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
}

type Key<'a> = (&'static str, &'a Option<Located<String>>);

/// The one source that is named, if any.
fn one_source(place: Place, keys: [Key<'_>; 4]) -> Result<Option<Source>, Problem> {
    let given: Vec<(&str, &Located<String>)> =
        keys.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).collect();
    let (key, value) = match given.as_slice() {
        [] => return Ok(None),
        [one] => *one,
        [(first, _), (second, _), ..] => {
            let message = format!("`{first}` and `{second}`: a value stands in one place");
            return Err(Problem::at(place, message));
        }
    };
    let source = match key {
        "json" => Source::json_path(value),
        "regex" => Source::regex(value),
        "header" => Ok(Source::Header(value.value.clone())),
        _ => Ok(Source::Cookie(value.value.clone())),
    };
    source.map(Some).map_err(|m| Problem::at(value.place, m).within(key))
}

fn source_of_check(
    located: &Located<CheckFile>,
    file: &CheckFile,
) -> Result<Option<Source>, Problem> {
    let keys = [
        ("json", &file.json),
        ("header", &file.header),
        ("cookie", &file.cookie),
        ("regex", &file.regex),
    ];
    one_source(located.place, keys)
}

/// Where a value stands that is to be taken out.
pub(super) fn source_of_extract(place: Place, file: &ExtractFile) -> Result<Source, Problem> {
    let keys = [
        ("json", &file.json),
        ("header", &file.header),
        ("cookie", &file.cookie),
        ("regex", &file.regex),
    ];
    let missing = || {
        let message = "says nowhere where the value stands: `json`, `header`, `cookie` or `regex`";
        Problem::at(place, message)
    };
    one_source(place, keys)?.ok_or_else(missing)
}

pub(super) fn regex(text: &Located<String>) -> Result<Regex, Problem> {
    Regex::new(text).map_err(|e| Problem::at(text.place, regex_error(text, &e)))
}

fn number(amount: &Located<Amount>) -> Result<f64, Problem> {
    amount
        .0
        .trim()
        .parse()
        .map_err(|_| Problem::at(amount.place, format!("takes a number, got {:?}", amount.0)))
}
