//! JSONPath over a body, without building all of the body's tree where the path is plain.

use std::{fmt, sync::Arc};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_json_path::JsonPath;

/// A compiled JSONPath.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    plain: Option<Arc<[Key]>>,
    path: Arc<JsonPath>,
}

/// A step of a plain path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Name(String),
    Index(usize),
}

impl Query {
    /// Of a path that was parsed from `text`.
    pub fn new(text: &str, path: JsonPath) -> Self {
        Self { text: text.to_owned(), plain: plain(text).map(Into::into), path: Arc::new(path) }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first node of `body` that it finds; `None` also when the body is no JSON.
    pub fn first(&self, body: &[u8]) -> Option<Value> {
        if let Some(keys) = &self.plain {
            let mut json = serde_json::Deserializer::from_slice(body);
            let found = Find(keys).deserialize(&mut json).ok()?;
            // What follows has to be JSON too: half an answer is no answer.
            json.end().ok()?;
            return found;
        }
        let body: Value = serde_json::from_slice(body).ok()?;
        self.path.query(&body).first().cloned()
    }

    /// All nodes of `body` that it finds; of a single one that is an array, what that holds. `None`
    /// when the body is no JSON.
    pub fn nodes(&self, body: &[u8]) -> Option<Vec<Value>> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let nodes = self.path.query(&body).all();
        match nodes.as_slice() {
            [Value::Array(items)] => Some(items.clone()),
            _ => Some(nodes.into_iter().cloned().collect()),
        }
    }
}

/// A value as text: strings as they are, everything else as JSON.
pub fn text_of(value: Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// The steps of a path that is names and indices alone, such as `$.items[0].id`.
fn plain(text: &str) -> Option<Vec<Key>> {
    let mut rest = text.strip_prefix('$')?;
    let mut keys = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let name = &tail[..end];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return None;
            }
            keys.push(Key::Name(name.to_owned()));
            rest = &tail[end..];
        } else {
            let (index, tail) = rest.strip_prefix('[')?.split_once(']')?;
            if !index.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            keys.push(Key::Index(index.parse().ok()?));
            rest = tail;
        }
    }
    Some(keys)
}

/// Reads the node at the end of a path and skips all others.
struct Find<'a>(&'a [Key]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => serde::Deserialize::deserialize(from).map(Some),
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = object.next_key::<std::borrow::Cow<'de, str>>()? {
            match &self.0[0] {
                Key::Name(wanted) if *wanted == *name => {
                    found = object.next_value_seed(Find(&self.0[1..]))?;
                }
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Key::Index(wanted) = self.0[0] else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        for _ in 0..wanted {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = list.next_element_seed(Find(&self.0[1..]))?.flatten();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_finds_what_the_long_one_finds() {
        let bodies = [
            r#"{"a": {"b": [1, {"c": "x"}]}, "d": null, "e\u0301": 2, "a2": [[1, 2], []]}"#,
            r#"[{"a": 1}, 5, "text"]"#,
            "7",
            "",
            r#"{"a": {"b": [1"#,
            r#"{"a": 1} trailing"#,
        ];
        let paths = [
            "$",
            "$.a",
            "$.a.b",
            "$.a.b[1].c",
            "$.a.b[7]",
            "$[0].a",
            "$[1].a",
            "$.d",
            "$.a2[0][1]",
        ];
        for path in paths {
            let quick = Query::new(path, JsonPath::parse(path).unwrap());
            assert!(quick.plain.is_some(), "{path}");
            let slow = Query { plain: None, ..quick.clone() };
            for body in bodies {
                assert_eq!(
                    quick.first(body.as_bytes()),
                    slow.first(body.as_bytes()),
                    "{path} in {body}"
                );
            }
        }
    }

    #[test]
    fn paths_that_are_not_plain_go_the_long_way() {
        for path in ["$..a", "$.*", "$['a']", "$[-1]", "$.a[?@.b]", "$.a[0:2]"] {
            assert!(plain(path).is_none(), "{path}");
        }
    }
}
