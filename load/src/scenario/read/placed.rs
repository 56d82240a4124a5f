//! Any value, in which everything knows its place.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Located, Place};

/// Any value; what is in it can be pointed at.
#[derive(Debug, Clone, PartialEq)]
pub enum Placed {
    /// A text, a number, true, false or nothing.
    Scalar(Value),
    /// A list.
    List(Vec<Located<Placed>>),
    /// Keys and values.
    Map(Vec<(Located<String>, Located<Placed>)>),
}

impl Placed {
    /// The value alone.
    pub fn value(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.value()).collect(),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(k, v)| (k.value.clone(), v.value.value()));
                Value::Object(entries.collect())
            }
        }
    }

    /// The place of what `path` leads to (`items`, `[0]`, `id`), as far as it goes: of a key, that
    /// of the key itself.
    pub fn place(&self, path: &[String]) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let (place, inner) = match self {
            Self::Scalar(_) => return None,
            Self::List(items) => {
                let number = first.trim_start_matches('[').trim_end_matches(']');
                let item = items.get(number.parse::<usize>().ok()?)?;
                (item.place, item)
            }
            Self::Map(entries) => {
                let (key, value) = entries.iter().find(|(key, _)| key.value == *first)?;
                (key.place, value)
            }
        };
        inner.value.place(rest).or(Some(place))
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Placed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E: Error>(self) -> Result<Placed, E> {
                Ok(Placed::Scalar(Value::Null))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Placed, E> {
                Ok(Placed::Scalar(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Placed, E> {
                Ok(Placed::Scalar(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Placed, E> {
                Ok(Placed::Scalar(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Placed, E> {
                Ok(Placed::Scalar(value.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Placed, E> {
                Ok(Placed::Scalar(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Placed, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Placed::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placed, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Placed::Map(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Placed {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}
