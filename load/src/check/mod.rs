//! What must hold for an answer.

use std::time::Duration;

use regex::bytes::Regex;

use crate::{
    extract::Source,
    plan::StatusRange,
    protocol::{Answer, grpc::status},
    template::{Template, Vars},
};

/// One thing that must hold.
#[derive(Debug, Clone)]
pub struct Check {
    /// In words, for reports: `status is 200`.
    pub name: String,
    /// What must hold.
    pub rule: Rule,
}

/// What must hold.
#[derive(Debug, Clone)]
pub enum Rule {
    /// The status lies in one of these ranges.
    Status(Vec<StatusRange>),
    /// The answer took less than this.
    LatencyBelow(Duration),
    /// A value of the answer is as said.
    Value(Source, Predicate),
}

/// How a value must be.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// It is there.
    Exists,
    /// It is not there.
    Absent,
    /// It is this text; a captured value for instance.
    Equals(Template),
    /// It is there and is not this text.
    Differs(Template),
    /// This text is a part of it.
    Contains(Template),
    /// This text is no part of it, or it is not there.
    Lacks(Template),
    /// It matches this expression somewhere.
    Matches(Regex),
    /// It is a number above this one.
    Above(f64),
    /// It is a number below this one.
    Below(f64),
}

impl Check {
    /// Whether it looks at the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        matches!(&self.rule, Rule::Value(source, _) if source.needs_body())
    }

    /// Passes or says why not.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn test(&self, answer: &Answer<'_>, vars: &mut Vars) -> Result<(), String> {
        match &self.rule {
            Rule::Status(ranges) if ranges.iter().any(|r| r.contains(&answer.status)) => Ok(()),
            Rule::Status(_) => Err(format!("status {}", status::text(answer.status))),
            Rule::LatencyBelow(limit) if answer.latency < *limit => Ok(()),
            Rule::LatencyBelow(_) => {
                Err(format!("took {:.1} ms", answer.latency.as_secs_f64() * 1000.0))
            }
            Rule::Value(source, predicate) => predicate.test(source, answer, vars),
        }
    }
}

impl Predicate {
    fn test(&self, source: &Source, answer: &Answer<'_>, vars: &mut Vars) -> Result<(), String> {
        // The body is looked at where it is: it may be large.
        let found = match source {
            Source::Body => None,
            _ => source.find(answer),
        };
        let value = match source {
            Source::Body => Some(answer.body),
            _ => found.as_deref(),
        };
        let missing = || format!("there is no {}", source.words());
        let mut text = |template: &Template| {
            let mut out = Vec::new();
            template.render(&mut out, vars).map(|()| out).map_err(|e| e.to_string())
        };
        let holds = match (self, value) {
            (Self::Absent, None) => true,
            (Self::Lacks(_), None) => true,
            (_, None) => return Err(missing()),
            (Self::Absent, Some(_)) => false,
            (Self::Exists, Some(_)) => true,
            (Self::Equals(template), Some(value)) => text(template)? == value,
            (Self::Differs(template), Some(value)) => text(template)? != value,
            (Self::Contains(template), Some(value)) => contains(value, &text(template)?),
            (Self::Lacks(template), Some(value)) => !contains(value, &text(template)?),
            (Self::Matches(regex), Some(value)) => regex.is_match(value),
            (Self::Above(bound), Some(value)) => number(value).is_some_and(|n| n > *bound),
            (Self::Below(bound), Some(value)) => number(value).is_some_and(|n| n < *bound),
        };
        if holds {
            return Ok(());
        }
        Err(format!("{} is {}", source.words(), excerpt(value.unwrap_or_default())))
    }
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(value, part).is_some()
}

fn number(value: &[u8]) -> Option<f64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// The beginning of a value, for messages.
fn excerpt(value: &[u8]) -> String {
    const LONGEST: usize = 120;
    let start = String::from_utf8_lossy(&value[..value.len().min(LONGEST)]);
    let dots = if value.len() > LONGEST { " …" } else { "" };
    format!("{start:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(rule: Rule) -> Result<(), String> {
        let headers: [(&str, &[u8]); 1] = [("Content-Type", b"application/json")];
        let body = br#"{"user": "u7", "count": 3}"#;
        let latency = Duration::from_millis(120);
        let answer = Answer { status: 200, headers: &headers, body, latency };
        let mut vars = Vars::new(7, 0);
        vars.set(&"name".into(), b"u7");
        Check { name: String::new(), rule }.test(&answer, &mut vars)
    }

    fn value(source: Source, predicate: Predicate) -> Result<(), String> {
        test(Rule::Value(source, predicate))
    }

    #[test]
    fn what_holds_passes_and_what_does_not_tells_what_was_found() {
        let text = |text| Template::compile(text).unwrap();
        let path = |text| Source::json_path(text).unwrap();
        let header = |name: &str| Source::Header(name.into());
        let no = |text: &str| Err(text.to_owned());
        let body = r#"body is "{\"user\": \"u7\", \"count\": 3}""#;
        for (done, expected) in [
            (test(Rule::Status(vec![200..=204])), Ok(())),
            (test(Rule::Status(vec![201..=204, 301..=301])), no("status 200")),
            (test(Rule::LatencyBelow(Duration::from_millis(121))), Ok(())),
            (test(Rule::LatencyBelow(Duration::from_millis(120))), no("took 120.0 ms")),
            (value(path("$.user"), Predicate::Equals(text("{{name}}"))), Ok(())),
            (value(path("$.user"), Predicate::Equals(text("u8"))), no("$.user is \"u7\"")),
            (value(path("$.user"), Predicate::Differs(text("u8"))), Ok(())),
            (value(path("$.no"), Predicate::Differs(text("u8"))), no("there is no $.no")),
            (value(path("$.count"), Predicate::Above(2.5)), Ok(())),
            (value(path("$.count"), Predicate::Below(3.0)), no("$.count is \"3\"")),
            (value(path("$.user"), Predicate::Above(0.0)), no("$.user is \"u7\"")),
            (value(header("content-type"), Predicate::Contains(text("json"))), Ok(())),
            (value(header("etag"), Predicate::Exists), no("there is no header \"etag\"")),
            (value(header("etag"), Predicate::Absent), Ok(())),
            (value(header("etag"), Predicate::Lacks(text("x"))), Ok(())),
            (value(Source::Body, Predicate::Contains(text("\"u{{user}}\""))), Ok(())),
            (value(Source::Body, Predicate::Lacks(text("u7"))), no(body)),
            (value(Source::Body, Predicate::Matches(Regex::new("u[0-9]").unwrap())), Ok(())),
            (
                value(Source::Body, Predicate::Equals(text("{{gone}}"))),
                no("the variable \"gone\" has no value"),
            ),
        ] {
            assert_eq!(done, expected);
        }
    }

    #[test]
    fn long_values_are_cut() {
        assert!(excerpt(&[b'x'; 500]).len() < 130);
        assert_eq!(excerpt(b"\xff"), "\"\u{fffd}\"");
    }
}
