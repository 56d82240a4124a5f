//! Bodies of HTTP requests.

use std::fs;

use serde_json::Value;

use super::Builder;
use crate::{
    plan::Body,
    scenario::{
        file::HttpFile,
        read::{Located, Placed, Problem},
    },
    template::Template,
};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Builder<'_> {
    /// The body and the type that it goes by, if the kind of body says.
    pub(super) fn body(
        &mut self,
        file: &HttpFile,
    ) -> Result<(Body, Option<&'static str>), Problem> {
        let given = [
            ("body", file.body.as_ref().map(|b| b.place)),
            ("json", file.json.as_ref().map(|j| j.place)),
            ("form", file.form.as_ref().map(|_| file.url.place)),
            ("file", file.file.as_ref().map(|f| f.place)),
        ];
        let mut places = given.iter().filter_map(|(key, place)| Some((*key, (*place)?)));
        if let (Some((first, _)), Some((second, place))) = (places.next(), places.next()) {
            let message = format!("`{first}` and `{second}` at once: a request has one body");
            return Err(Problem::at(place, message));
        }
        if let Some(text) = &file.body {
            return Ok((body_of(self.template(text).map_err(|e| e.within("body"))?), None));
        }
        if let Some(json) = &file.json {
            let text = Located { place: json.place, value: json_text(&json.value) };
            let template = self
                .scope
                .compile_json(&text)
                .map_err(|e| Problem::at(json.place, e.message).within("json"))?;
            self.check_variables(&template, json.place).map_err(|e| e.within("json"))?;
            return Ok((body_of(template), Some(JSON)));
        }
        if let Some(form) = &file.form {
            let mut text = String::new();
            for (name, value) in &form.0 {
                if !text.is_empty() {
                    text.push('&');
                }
                text.push_str(&encoded(name));
                text.push('=');
                around_holes(value, &mut text, |constant, out| out.push_str(&encoded(constant)));
            }
            let template = self
                .scope
                .compile_form(&text)
                .map_err(|e| Problem::at(file.url.place, e.message).within("form"))?;
            self.check_variables(&template, file.url.place).map_err(|e| e.within("form"))?;
            return Ok((body_of(template), Some(FORM)));
        }
        if let Some(name) = &file.file {
            let path = self.dir.join(name.as_str());
            let bytes = fs::read(&path).map_err(|e| {
                let message = format!("cannot read {}: {e}", path.display());
                Problem::at(name.place, message).within("file")
            })?;
            return Ok((Body::Bytes(bytes), None));
        }
        Ok((Body::Empty, None))
    }
}

fn body_of(template: Template) -> Body {
    match template.as_static() {
        Some(bytes) => Body::Bytes(bytes.to_vec()),
        None => Body::Template(template),
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Writes `text` with what stands outside of `{{…}}` changed by `constant`.
fn around_holes(text: &str, out: &mut String, constant: impl Fn(&str, &mut String)) {
    let mut rest = text;
    while let Some((at, end)) =
        rest.find("{{").and_then(|at| Some((at, at + rest[at..].find("}}")? + 2)))
    {
        constant(&rest[..at], out);
        out.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    constant(rest, out);
}

/// JSON with the templates in its texts left as they are. A text that is nothing but
/// `{{… | raw}}` stands without quotes: a number, or JSON that was captured.
pub(super) fn json_text(value: &Placed) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Placed, out: &mut String) {
    let list = |open: char,
                close: char,
                count: usize,
                out: &mut String,
                item: &mut dyn FnMut(usize, &mut String)| {
        out.push(open);
        for at in 0..count {
            if at > 0 {
                out.push(',');
            }
            item(at, out);
        }
        out.push(close);
    };
    match value {
        Placed::Scalar(Value::String(text)) => write_text(text, out),
        Placed::Scalar(plain) => out.push_str(&plain.to_string()),
        Placed::List(items) => {
            list('[', ']', items.len(), out, &mut |at, out| write_json(&items[at], out));
        }
        // In the order of the file: some servers and many people look at it.
        Placed::Map(fields) => list('{', '}', fields.len(), out, &mut |at, out| {
            write_text(&fields[at].0, out);
            out.push(':');
            write_json(&fields[at].1, out);
        }),
    }
}

fn write_text(text: &str, out: &mut String) {
    let is_raw = text.starts_with("{{")
        && text.find("}}") == text.len().checked_sub(2)
        && text.trim_end_matches("}}").rsplit('|').next().is_some_and(|f| f.trim() == "raw");
    if is_raw {
        out.push_str(text);
        return;
    }
    out.push('"');
    around_holes(text, out, |constant, out| {
        let quoted = Value::from(constant).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    });
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<T>(value: T) -> Located<T> {
        Located { place: Default::default(), value }
    }

    #[test]
    fn texts_are_escaped_around_their_holes() {
        let text = |text: &str| Placed::Scalar(text.into());

        let list = [1.into(), 2.5.into(), Value::Null, true.into()].map(|v| at(Placed::Scalar(v)));
        let fields = [
            ("plain", text("a\"b")),
            ("hole", text("x\"{{name}}\\")),
            ("n", Placed::List(list.into())),
            ("raw", text("{{n | raw}}")),
            ("not {{k}}", text("{{a}} {{b | raw}}")),
        ];
        let fields = fields.map(|(key, value)| (at(key.to_owned()), at(value)));
        let value = Placed::Map(fields.into());
        assert_eq!(
            json_text(&value),
            r#"{"plain":"a\"b","hole":"x\"{{name}}\\","n":[1,2.5,null,true],"raw":{{n | raw}},"not {{k}}":"{{a}} {{b | raw}}"}"#
        );
    }
}
