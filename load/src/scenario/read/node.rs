//! A scenario as a tree in which everything knows its place.

use super::Place;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in the order of the file; each key once.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Where.
    pub place: Place,
    /// Its name.
    pub name: String,
}

impl Value {
    /// A scalar that was written without quotes.
    pub fn plain(text: String) -> Self {
        match text.as_str() {
            "" | "null" | "~" => Self::Null,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ if is_number(&text) => Self::Number(text),
            _ => Self::Text(text),
        }
    }

    /// As an error message calls it.
    pub fn words(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Bool(value) => format!("`{value}`"),
            Self::Number(text) => format!("the number {text}"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a table of keys".into(),
        }
    }
}

impl Node {
    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.name == name).map(|(_, n)| n),
            _ => None,
        }
    }

    /// A scalar as text.
    pub fn as_text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// A decimal number as JSON has them.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && text.parse::<f64>().is_ok()
}
