//! Values taken out of answers, for later steps to use.

mod json;

use regex::bytes::Regex;
use serde_json_path::JsonPath;

use crate::{
    protocol::Answer,
    template::{Name, Vars},
};

pub(crate) use json::{Query, text_of};

/// One value that is taken out of an answer.
#[derive(Debug, Clone)]
pub struct Extract {
    /// The variable that it becomes.
    pub variable: Name,
    /// Where it stands.
    pub source: Source,
    /// What it is when the answer does not have it; without this the step fails.
    pub default: Option<Vec<u8>>,
}

/// Where in an answer a value stands.
#[derive(Debug, Clone)]
pub enum Source {
    /// The status.
    Status,
    /// The whole body.
    Body,
    /// A header, by its name.
    Header(String),
    /// A cookie that the answer sets, by its name.
    Cookie(String),
    /// The first node that a JSONPath (RFC 9535) finds in the body. Strings without their quotes,
    /// everything else as JSON.
    JsonPath(Query),
    /// All nodes that a JSONPath finds in the body, as a JSON array; of a single one that is an
    /// array, what that holds.
    JsonNodes(Query),
    /// How many these are.
    JsonCount(Query),
    /// The first group of a regular expression over the body, or all of what it matches when it
    /// has no group.
    Regex(Regex),
}

impl Source {
    /// The source for a JSONPath.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn json_path(text: &str) -> Result<Self, String> {
        query(text).map(Self::JsonPath)
    }

    /// The source for all nodes of a JSONPath.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn json_nodes(text: &str) -> Result<Self, String> {
        query(text).map(Self::JsonNodes)
    }

    /// The source for the number of nodes of a JSONPath.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn json_count(text: &str) -> Result<Self, String> {
        query(text).map(Self::JsonCount)
    }

    /// The source for a regular expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn regex(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self::Regex).map_err(|e| regex_error(text, &e))
    }

    /// Whether it looks at the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        !matches!(self, Self::Status | Self::Header(_) | Self::Cookie(_))
    }

    /// The value in an answer, if it has one.
    pub(crate) fn find(&self, answer: &Answer<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Status => Some(answer.status.to_string().into_bytes()),
            Self::Body => Some(answer.body.to_vec()),
            Self::Header(name) => answer.header(name).map(<[u8]>::to_vec),
            Self::Cookie(name) => cookie(answer, name).map(<[u8]>::to_vec),
            Self::JsonPath(query) => query.first(answer.body).map(text_of),
            Self::JsonNodes(query) => query.nodes(answer.body).map(|nodes| text_of(nodes.into())),
            Self::JsonCount(query) => {
                query.nodes(answer.body).map(|nodes| nodes.len().to_string().into_bytes())
            }
            Self::Regex(regex) => {
                let captures = regex.captures(answer.body)?;
                captures.get(1).or_else(|| captures.get(0)).map(|found| found.as_bytes().to_vec())
            }
        }
    }

    /// In words: `header "location"`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Status => "status".into(),
            Self::Body => "body".into(),
            Self::Header(name) => format!("header {name:?}"),
            Self::Cookie(name) => format!("cookie {name:?}"),
            Self::JsonPath(query) | Self::JsonNodes(query) | Self::JsonCount(query) => {
                query.text().to_owned()
            }
            Self::Regex(regex) => format!("/{}/", regex.as_str()),
        }
    }
}

fn query(text: &str) -> Result<Query, String> {
    let path = JsonPath::parse(text).map_err(|e| {
        format!(
            "{text:?} is not a JSONPath such as $.items[0].id: {} at column {}",
            e.message(),
            e.position() + 1
        )
    })?;
    Ok(Query::new(text, path))
}

/// What is wrong with a regular expression, in one line.
pub(crate) fn regex_error(text: &str, error: &regex::Error) -> String {
    // The crate draws a picture over several lines; what is wrong is in the last one.
    let all = error.to_string();
    let last = all.lines().last().unwrap_or_default().trim_start_matches("error: ");
    format!("{text:?} is not a regular expression: {last}")
}

/// The value that an answer sets a cookie to (RFC 6265, section 4.1.1).
fn cookie<'a>(answer: &Answer<'a>, name: &str) -> Option<&'a [u8]> {
    let set = answer.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case("set-cookie"));
    let mut value = set.filter_map(|&(_, value)| {
        let pair = value.split(|b| *b == b';').next()?;
        let at = pair.iter().position(|b| *b == b'=')?;
        (pair[..at].trim_ascii() == name.as_bytes()).then(|| pair[at + 1..].trim_ascii())
    });
    // Of a cookie that is set twice, browsers keep the last.
    value.next_back()
}

impl Extract {
    /// Whether it looks at the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.source.needs_body()
    }

    /// Sets its variable.
    ///
    /// # Errors
    /// Why the answer does not have the value.
    pub fn apply(&self, answer: &Answer<'_>, vars: &mut Vars) -> Result<(), String> {
        match self.source.find(answer).as_ref().or(self.default.as_ref()) {
            Some(value) => {
                vars.set(&self.variable, value);
                Ok(())
            }
            None => {
                Err(format!("the answer has no {} for {:?}", self.source.words(), self.variable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn extract(source: Source) -> Result<String, String> {
        let headers: [(&str, &[u8]); 3] = [
            ("Location", b"/orders/7"),
            ("Set-Cookie", b"other=1"),
            ("set-cookie", b"session=abc=; Path=/; HttpOnly"),
        ];
        let body = br#"{"token": "t-1", "items": [{"id": 7}, {"id": 8}], "ok": true}"#;
        let answer = Answer { status: 201, headers: &headers, body, latency: Duration::ZERO };
        let mut vars = Vars::new(0, 0);
        let extract = Extract { variable: "v".into(), source, default: None };
        extract.apply(&answer, &mut vars)?;
        Ok(String::from_utf8(vars.get("v").unwrap().to_vec()).unwrap())
    }

    #[test]
    fn each_source_is_found() {
        let path = |text| Source::json_path(text).unwrap();
        let regex = |text| Source::regex(text).unwrap();
        for (source, expected) in [
            (Source::Status, "201"),
            (Source::Header("location".into()), "/orders/7"),
            (Source::Cookie("session".into()), "abc="),
            (path("$.token"), "t-1"),
            (path("$.items[1].id"), "8"),
            (path("$.items[?@.id > 7].id"), "8"),
            (path("$.items[0]"), r#"{"id":7}"#),
            (path("$['ok']"), "true"),
            (Source::json_nodes("$.items[*].id").unwrap(), "[7,8]"),
            (Source::json_nodes("$.token").unwrap(), "[\"t-1\"]"),
            (Source::json_count("$.items").unwrap(), "2"),
            (Source::json_count("$.items[?@.id > 7]").unwrap(), "1"),
            (Source::json_count("$.nope").unwrap(), "0"),
            (regex(r#""id": (\d+)"#), "7"),
            (regex("t-."), "t-1"),
        ] {
            assert_eq!(extract(source.clone()), Ok(expected.to_owned()), "{source:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let missing = extract(Source::Header("etag".into())).unwrap_err();
        assert_eq!(missing, "the answer has no header \"etag\" for \"v\"");
        let missing = extract(Source::json_path("$.nope").unwrap()).unwrap_err();
        assert_eq!(missing, "the answer has no $.nope for \"v\"");
    }

    #[test]
    fn a_default_stands_in() {
        let answer = Answer { status: 200, headers: &[], body: b"", latency: Duration::ZERO };
        let mut vars = Vars::new(0, 0);
        let source = Source::json_path("$.next").unwrap();
        let extract = Extract { variable: "v".into(), source, default: Some(b"none".to_vec()) };
        extract.apply(&answer, &mut vars).unwrap();
        assert_eq!(vars.get("v"), Some(&b"none"[..]));
    }

    #[test]
    fn bad_paths_and_expressions_are_refused_in_one_line() {
        for (wrong, start) in [
            (Source::json_path("items[0]"), "\"items[0]\" is not a JSONPath"),
            (Source::json_path("$.items["), "\"$.items[\" is not a JSONPath"),
            (Source::regex("(a"), "\"(a\" is not a regular expression: unclosed group"),
        ] {
            let error = wrong.unwrap_err();
            assert!(error.starts_with(start) && !error.contains('\n'), "{error}");
        }
    }
}
