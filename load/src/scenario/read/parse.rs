//! The three formats.

use std::{fmt, path::Path};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Node, Place, Problem, Text, Value, node::Key};

/// How a scenario is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Toml,
    Json,
}

impl Format {
    /// By the ending of a file's name.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads a text.
pub fn parse(text: &Text<'_>, format: Format) -> Result<Node, Problem> {
    match format {
        Format::Yaml => yaml(text.text, text.text),
        Format::Json => json(text),
        Format::Toml => toml(text),
    }
}

fn json(text: &Text<'_>) -> Result<Node, Problem> {
    serde_json::from_str::<serde::de::IgnoredAny>(text.text).map_err(|e| {
        let place = Place { line: e.line() as u32, column: (e.column() as u32).max(1) };
        let all = e.to_string();
        let message = all.split(" at line ").next().unwrap_or_default();
        Problem::at(place, format!("not JSON: {message}"))
    })?;
    // What is JSON is YAML as well, which knows its places. YAML only minds tabs, which stand in no
    // string of JSON.
    yaml(&text.text.replace('\t', " "), text.text)
}

fn yaml(text: &str, shown: &str) -> Result<Node, Problem> {
    let parsed = serde_saphyr::from_str::<Spanned<Raw>>(text).map_err(|e| {
        let e = e.without_snippet();
        let place = e.location().map_or(Place { line: 1, column: 1 }, |at| Place {
            line: at.line() as u32,
            column: at.column() as u32,
        });
        let all = e.to_string();
        // The place is said once, by us.
        let message = all.strip_prefix("error: ").unwrap_or(&all);
        let message = message.lines().next().unwrap_or_default();
        let message = match message.split_once(": ") {
            Some((place, rest)) if place.starts_with("line ") => rest,
            _ => message,
        };
        let message = message.split(" at line ").next().unwrap_or_default();
        // Advice to programmers.
        let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
        Problem::at(place, message)
    })?;
    Ok(from_raw(parsed, shown))
}

/// Any YAML value, with the places of what is in it.
enum Raw {
    Null,
    Bool(bool),
    /// What else is written without quotes and is no text: its own characters are kept, so that
    /// `1.10` stays `1.10`.
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn from_raw(raw: Spanned<Raw>, text: &str) -> Node {
    let location =
        |at: &serde_saphyr::Location| Place { line: at.line() as u32, column: at.column() as u32 };
    let span = raw.defined.span();
    let written = span.byte_offset().zip(span.byte_len()).and_then(|(at, len)| {
        Some(text.get(usize::try_from(at).ok()?..usize::try_from(at + len).ok()?)?.trim())
    });
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => match written {
            // To YAML 1.2, unlike to 1.1, `yes`, `n` and `off` are words like others.
            Some(word) if !matches!(&*word.to_ascii_lowercase(), "true" | "false") => {
                Value::Text(word.to_owned())
            }
            _ => Value::Bool(value),
        },
        Raw::Number(parsed) => match written.map(|w| Value::plain(w.to_owned())) {
            Some(number @ Value::Number(_)) => number,
            _ => Value::Number(parsed),
        },
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| from_raw(item, text)).collect())
        }
        Raw::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                let key = Key { place: location(&key.referenced), name: key.value };
                (key, from_raw(value, text))
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { place: location(&raw.referenced), value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
                d.deserialize_any(self)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

fn toml(text: &Text<'_>) -> Result<Node, Problem> {
    let table = DeTable::parse(text.text).map_err(|e| {
        let place = text.place(e.span().map_or(0, |span| span.start));
        let message = e.message().lines().collect::<Vec<_>>().join(", ");
        Problem::at(place, message)
    })?;
    let at = text.place(table.span().start);
    Ok(Node { place: at, value: from_table(table.into_inner(), text) })
}

fn from_table(table: DeTable<'_>, text: &Text<'_>) -> Value {
    let mut entries: Vec<_> = table.into_iter().collect();
    // The map is sorted by name; the file's order is that of the places.
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, value)| {
        let place = text.place(key.span().start);
        let key = Key { place, name: key.into_inner().into_owned() };
        let at = text.place(value.span().start);
        (key, Node { place: at, value: from_toml(value.into_inner(), text) })
    });
    Value::Map(entries.collect())
}

fn from_toml(value: DeValue<'_>, text: &Text<'_>) -> Value {
    match value {
        DeValue::String(value) => Value::Text(value.into_owned()),
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => Value::Number(number.to_string()),
            Err(_) => Value::Number(value.as_str().to_owned()),
        },
        DeValue::Float(value) => Value::Number(value.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(value) => Value::Text(value.to_string()),
        DeValue::Array(items) => {
            let item = |item: toml::Spanned<DeValue<'_>>| Node {
                place: text.place(item.span().start),
                value: from_toml(item.into_inner(), text),
            };
            Value::List(items.into_iter().map(item).collect())
        }
        DeValue::Table(table) => from_table(table, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, text: &str) -> Result<Node, Problem> {
        parse(&Text { file: "x", text }, format)
    }

    /// The tree without its places.
    fn bare(node: &Node) -> String {
        match &node.value {
            Value::List(items) => {
                format!("[{}]", items.iter().map(bare).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let entry = |(key, node): &(Key, Node)| format!("{}: {}", key.name, bare(node));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn words_of_yaml_1_1_are_words() {
        let node = read(Format::Yaml, "a: yes\nb: n\nc: [off, On]\nd: True\ne: \"y\"\n").unwrap();
        let expected = r#"{a: Text("yes"), b: Text("n"), c: [Text("off"), Text("On")], d: Bool(true), e: Text("y")}"#;
        assert_eq!(bare(&node), expected);
    }

    #[test]
    fn three_formats_give_one_tree() {
        let yaml = "name: x\nrate: 1.10\non: true\nnone:\nlist:\n  - {a: -5}\n  - \"7\"\n";
        let json = "{\"name\": \"x\",\n\t\"rate\": 1.10, \"on\": true, \"none\": null,\n\t\"list\": [{\"a\": -5}, \"7\"]}";
        let toml = "name = \"x\"\nrate = 1.10\non = true\nlist = [{a = -5}, \"7\"]\n";
        let expected = r#"{name: Text("x"), rate: Number("1.10"), on: Bool(true), none: Null, list: [{a: Number("-5")}, Text("7")]}"#;
        assert_eq!(bare(&read(Format::Yaml, yaml).unwrap()), expected);
        assert_eq!(bare(&read(Format::Json, json).unwrap()), expected);
        let without_null = expected.replace("none: Null, ", "");
        assert_eq!(bare(&read(Format::Toml, toml).unwrap()), without_null);
    }

    #[test]
    fn everything_knows_its_place() {
        let place = |node: &Node| (node.place.line, node.place.column);
        let yaml = read(Format::Yaml, "a: 1\nb:\n  c: [x, ü, z]\n").unwrap();
        let json = read(Format::Json, "{\"a\": 1,\n\"b\":\n  {\"c\": [\"x\"]}}").unwrap();
        let toml = read(Format::Toml, "a = 1\n[b]\nc = ['x', 'ü', 'z']\n").unwrap();
        let item = |node: &Node, at: usize| match &node.get("b").unwrap().get("c").unwrap().value {
            Value::List(items) => place(&items[at]),
            other => panic!("{other:?}"),
        };
        assert_eq!((place(yaml.get("a").unwrap()), item(&yaml, 2)), ((1, 4), (3, 13)));
        assert_eq!((place(json.get("a").unwrap()), item(&json, 0)), ((1, 7), (3, 10)));
        assert_eq!((place(toml.get("a").unwrap()), item(&toml, 2)), ((1, 5), (3, 16)));
    }

    #[test]
    fn what_is_no_yaml_toml_or_json_is_told_with_its_place() {
        for (format, text, line) in [
            (Format::Yaml, "a: 1\nb: [1, 2\n", 2),
            (Format::Yaml, "a: 1\na: 2\n", 2),
            (Format::Json, "{\"a\": 1,\n \"b\" 2}", 2),
            (Format::Toml, "a = 1\nb = \n", 2),
            (Format::Toml, "a = 1\na = 2\n", 2),
        ] {
            let problem = read(format, text).unwrap_err();
            assert_eq!(problem.place.unwrap().line, line, "{problem:?}");
            assert!(
                !problem.message.contains('\n') && !problem.message.contains("line "),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn a_text_that_unfolds_without_end_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for at in 1..12 {
            let of = vec![format!("*a{}", at - 1); 10].join(", ");
            text.push_str(&format!("a{at}: &a{at} [{of}]\n"));
        }
        assert!(read(Format::Yaml, &text).is_err());
    }
}
