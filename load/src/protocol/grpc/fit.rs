//! Whether a message, as it was written, fits the type that a method takes.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use crate::words;

/// A part of a message that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The way to it: `items`, `[0]`, `id`.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
}

impl Misfit {
    fn new(message: String) -> Self {
        Self { path: Vec::new(), message }
    }

    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.insert(0, step.into());
        self
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("message")?;
        for step in &self.path {
            let dot = if step.starts_with('[') { "" } else { "." };
            write!(f, "{dot}{step}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Says what of `value` is no message of that type. What templates will put in is not known yet and
/// passes.
///
/// # Errors
/// The first thing that does not fit.
pub fn fit(value: &Value, message: &MessageDescriptor) -> Result<(), Misfit> {
    if has_hole(value) && value.is_string() {
        return Ok(());
    }
    let Value::Object(fields) = value else {
        let text = format!("a message ({}) is a table of its fields", message.full_name());
        return Err(Misfit::new(text));
    };
    for (name, value) in fields {
        // Extensions are named in brackets.
        if name.contains("{{") || name.starts_with('[') {
            continue;
        }
        let field = message.get_field_by_json_name(name);
        let field = field.or_else(|| message.get_field_by_name(name));
        let Some(field) = field else { return Err(unknown(name, message)) };
        fit_field(name, value, &field, message).map_err(|e| e.within(name))?;
    }
    Ok(())
}

fn unknown(name: &str, message: &MessageDescriptor) -> Misfit {
    let known: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let instead = words::instead(name, &known);
    Misfit::new(format!("{} has no field `{name}`{instead}", message.full_name())).within(name)
}

fn fit_field(
    name: &str,
    value: &Value,
    field: &FieldDescriptor,
    message: &MessageDescriptor,
) -> Result<(), Misfit> {
    match (inner(field), value) {
        (Some(inner), Value::Array(items)) if field.is_list() => {
            for (at, item) in items.iter().enumerate() {
                fit(item, &inner).map_err(|e| e.within(format!("[{at}]")))?;
            }
            Ok(())
        }
        (Some(inner), Value::Object(entries)) if field.is_map() => entries
            .iter()
            .try_for_each(|(key, value)| fit(value, &inner).map_err(|e| e.within(key))),
        (Some(inner), Value::Object(_)) if !field.is_list() => fit(value, &inner),
        _ if has_hole(value) => Ok(()),
        _ => fit_whole(name, value, field, message),
    }
}

/// The type of message that a field holds, if it is one whose JSON is a table of its fields; those
/// that come with Protocol Buffers mostly have a form of their own.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let mut kind = field.kind();
    if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
        kind = entry.map_entry_value_field().kind();
    }
    match kind {
        Kind::Message(inner) if inner.package_name() != "google.protobuf" => Some(inner),
        _ => None,
    }
}

/// A field whose value is known to its end: what the conversion says of it.
fn fit_whole(
    name: &str,
    value: &Value,
    field: &FieldDescriptor,
    message: &MessageDescriptor,
) -> Result<(), Misfit> {
    if let (Kind::Enum(kind), Value::String(word)) = (field.kind(), value)
        && kind.get_value_by_name(word).is_none()
    {
        let known: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let instead = words::instead(word, &known);
        return Err(Misfit::new(format!("{} has no {word:?}{instead}", kind.full_name())));
    }
    let alone = Value::Object([(name.to_owned(), value.clone())].into_iter().collect());
    match DynamicMessage::deserialize(message.clone(), alone) {
        Ok(_) => Ok(()),
        Err(e) => Err(Misfit::new(misfit_words(value, field, &e))),
    }
}

/// What the field takes and what it got; of what has a form of its own also what is wrong with
/// that.
fn misfit_words(value: &Value, field: &FieldDescriptor, error: &impl std::fmt::Display) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(names) => names.full_name().to_owned(),
        plain => format!("{plain:?}").to_lowercase(),
    };
    let takes = if field.is_list() { format!("a list of {kind}") } else { kind };
    match field.kind() {
        Kind::Message(_) | Kind::Bytes => format!("takes {takes}, got {value}: {error}"),
        _ => format!("takes {takes}, got {value}"),
    }
}

/// Whether a template stands anywhere in it.
fn has_hole(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(has_hole),
        Value::Object(fields) => fields.iter().any(|(k, v)| k.contains("{{") || has_hole(v)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;
    use serde_json::json;

    use super::*;
    use crate::protocol::grpc::schema;

    const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
        import \"google/protobuf/timestamp.proto\";\n\
        enum Size { SMALL = 0; LARGE = 1; }\n\
        message Item { string item_id = 1; int32 n = 2; Size size = 3; bytes raw = 4; }\n\
        message Order { repeated Item items = 1; map<string, Item> by_name = 2; \
        google.protobuf.Timestamp at = 3; Item gift = 4; repeated int64 prices = 5; }\n";

    fn order() -> MessageDescriptor {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("order.proto");
        std::fs::write(&path, PROTO).unwrap();
        let pool: DescriptorPool = schema::compile(&[path], &[]).unwrap();
        pool.get_message_by_name("shop.v1.Order").unwrap()
    }

    #[test]
    fn what_fits_passes_with_its_templates() {
        let order = order();
        for good in [
            json!({}),
            json!({ "items": [{ "item_id": "a", "n": 3, "size": "LARGE" }, { "itemId": "b" }] }),
            json!({ "by_name": { "x": { "n": "{{n | raw}}" } }, "at": "2024-01-01T00:00:00Z" }),
            json!({ "prices": [1, "2"], "gift": "{{gift | raw}}", "at": "{{now.rfc3339}}" }),
            json!("{{all | raw}}"),
        ] {
            assert_eq!(fit(&good, &order), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_does_not_is_named_with_its_place() {
        let order = order();
        for (bad, expected) in [
            (json!([]), "message: a message (shop.v1.Order) is a table of its fields"),
            (
                json!({ "item": [] }),
                "message.item: shop.v1.Order has no field `item`; did you mean `items`?",
            ),
            (
                json!({ "items": [{}, { "item_di": "x{{user}}" }] }),
                "message.items[1].item_di: shop.v1.Item has no field `item_di`; \
                 did you mean `item_id`?",
            ),
            (
                json!({ "by_name": { "x": { "m": 1 } } }),
                "message.by_name.x.m: shop.v1.Item has no field `m`; did you mean `n`?",
            ),
            (
                json!({ "gift": { "size": "LARG" } }),
                "message.gift.size: shop.v1.Size has no \"LARG\"; did you mean `LARGE`?",
            ),
        ] {
            assert_eq!(fit(&bad, &order).unwrap_err().to_string(), expected);
        }
        let text = json!({ "gift": { "n": "three" } });
        let expected = "message.gift.n: takes int32, got \"three\"";
        assert_eq!(fit(&text, &order).unwrap_err().to_string(), expected);
        for (bad, at) in [
            (json!({ "gift": { "n": "three" } }), "message.gift.n: "),
            (json!({ "gift": { "item_id": 3 } }), "message.gift.item_id: "),
            (json!({ "gift": { "raw": "%" } }), "message.gift.raw: "),
            (json!({ "at": "noon" }), "message.at: "),
            (json!({ "prices": [1, "x"] }), "message.prices: "),
            (json!({ "items": { "n": 1 } }), "message.items: "),
        ] {
            let wrong = fit(&bad, &order).unwrap_err().to_string();
            assert!(wrong.starts_with(at) && wrong.len() > at.len(), "{wrong}");
        }
    }
}
