//! serde over a [`Node`]: errors get the place of the innermost value that they are about.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::U32Deserializer,
    },
    forward_to_deserialize_any,
};

use super::{Node, Place, Problem, Value, located::LOCATED, node::Key};

/// Reads a type from a tree.
pub fn from_node<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, Problem> {
    T::deserialize(Reader(node)).map_err(|e| e.or_at(node.place))
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> Reader<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let done = match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(text) => number(text, visitor),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), at: 0 }),
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None })
            }
        };
        done.map_err(|e: Problem| e.or_at(self.0.place))
    }
}

fn number<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Problem> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = digits.parse::<u64>() {
        return visitor.visit_u64(value);
    }
    if let Ok(value) = digits.parse::<i64>() {
        return visitor.visit_i64(value);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => visitor.visit_f64(value),
        _ => Err(Problem::bare(format!("{text} is too large for a number"))),
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit(visitor)
    }

    /// What is asked for as text is taken as text, also where it looks like a number.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.0.value {
            Value::Number(text) => {
                visitor.visit_borrowed_str(text).map_err(|e: Problem| e.or_at(self.0.place))
            }
            Value::Bool(value) => {
                visitor.visit_string(value.to_string()).map_err(|e: Problem| e.or_at(self.0.place))
            }
            _ => self.visit(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match name {
            LOCATED => {
                visitor.visit_seq(Parts { place: self.0.place, value: Part::Node(self), at: 0 })
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    /// Keys have names: a list of their values in the order of the type is nothing that anybody
    /// means.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match &self.0.value {
            Value::Map(_) => self.visit(visitor),
            other => {
                let message = format!("takes a table of keys, got {}", other.words());
                Err(Problem::at(self.0.place, message))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let done = match &self.0.value {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Number(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            other => Err(Problem::bare(format!("takes one word, got {}", other.words()))),
        };
        done.map_err(|e: Problem| e.or_at(self.0.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    items: std::slice::Iter<'de, Node>,
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        let value = seed.deserialize(Reader(node));
        value.map(Some).map_err(|e| e.or_at(node.place).within(format!("[{at}]")))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        self.value = self.entries.next();
        let Some((key, node)) = self.value else { return Ok(None) };
        let read = seed.deserialize(KeyReader(key)).map(Some).map_err(|e| e.or_at(key.place));
        read.map_err(|e| match is_half_a_text(key, node) && !e.message.contains("did you mean") {
            true => Problem { message: format!("{}; {QUOTES}", e.message), ..e },
            false => e,
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (key, node) =
            self.value.ok_or_else(|| Problem::bare("a value was read before its key".into()))?;
        let value = seed.deserialize(Reader(node));
        value.map_err(|e| e.or_at(node.place).within(&key.name))
    }
}

/// What helps when a text was cut at its commas.
const QUOTES: &str = "put texts that have commas in quotes";

/// Whether a key is likely what stood behind a comma in a text without quotes: in `{ a: b, c d }`
/// a key `c d` has no value.
fn is_half_a_text(key: &Key, node: &Node) -> bool {
    key.name.contains(' ') || node.value == Value::Null
}

struct KeyReader<'de>(&'de Key);

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_borrowed_str(&self.0.name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match name {
            LOCATED => {
                visitor.visit_seq(Parts { place: self.0.place, value: Part::Key(self.0), at: 0 })
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Line, column and value, as `Located` reads them.
struct Parts<'de> {
    place: Place,
    value: Part<'de>,
    at: u8,
}

#[derive(Clone, Copy)]
enum Part<'de> {
    Node(Reader<'de>),
    Key(&'de Key),
}

impl<'de> SeqAccess<'de> for Parts<'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let at = self.at;
        self.at += 1;
        let number = |n: u32| -> U32Deserializer<Problem> { n.into_deserializer() };
        match (at, self.value) {
            (0, _) => seed.deserialize(number(self.place.line)).map(Some),
            (1, _) => seed.deserialize(number(self.place.column)).map(Some),
            (2, Part::Node(reader)) => seed.deserialize(reader).map(Some),
            (2, Part::Key(key)) => seed.deserialize(KeyReader(key)).map(Some),
            _ => Ok(None),
        }
    }
}
