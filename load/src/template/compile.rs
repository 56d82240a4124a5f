//! From text to parts.

use std::sync::{Arc, atomic::AtomicU64};

use super::{DataSet, Name, Scope, filter::Filter};
use crate::words;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What, and what would be right.
    pub message: String,
    /// Where in the text, in bytes; 0 when it is about rendering.
    pub at: usize,
}

/// Longest value that a hole may make: a typing error should not take the
/// memory of the machine.
const MAX_LENGTH: u64 = 64 << 20;

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// As it stands.
    Text(Vec<u8>),
    /// A hole.
    Hole(Value, Option<Filter>),
}

/// What stands in a hole.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Variable(Name),
    Column { number: usize, set: Arc<DataSet>, column: usize },
    User,
    Iteration,
    Counter(Arc<AtomicU64>),
    Int(i64, i64),
    Alphanumeric(usize),
    Hex(usize),
    Bytes(usize),
    Uuid,
    Pick(Vec<Vec<u8>>),
    NowSeconds,
    NowMillis,
    NowText,
}

impl Part {
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Hole(Value::Variable(name), _) => Some(name),
            _ => None,
        }
    }

    pub(super) fn is_repeatable(&self) -> bool {
        use Value::{Column, Iteration, User, Variable};
        match self {
            Self::Text(_) => true,
            Self::Hole(value, _) => {
                matches!(value, Variable(_) | Column { .. } | User | Iteration)
            }
        }
    }

    /// What stands in the hole, if it belongs to a user.
    pub(super) fn of_user(&self) -> Option<String> {
        match self {
            Self::Hole(Value::User, _) => Some("user".into()),
            Self::Hole(Value::Iteration, _) => Some("iteration".into()),
            Self::Hole(Value::Column { set, column, .. }, _) => set.columns().get(*column).cloned(),
            _ => None,
        }
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Hole(a, f), Self::Hole(b, g)) => f == g && format!("{a:?}") == format!("{b:?}"),
            _ => false,
        }
    }
}

/// Compiles `text`; holes without a filter get `default`.
pub(super) fn compile(
    text: &str,
    scope: &mut Scope,
    default: Option<Filter>,
) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut constant: Vec<u8> = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|offset| at + offset) {
        constant.extend_from_slice(&text.as_bytes()[at..open]);
        let inside = open + 2;
        if text[inside..].starts_with("\"{{\"}}") {
            constant.extend_from_slice(b"{{");
            at = inside + "\"{{\"}}".len();
            continue;
        }
        let Some(close) = text[inside..].find("}}").map(|offset| inside + offset) else {
            let message = "`{{` without `}}`; two braces themselves are written {{\"{{\"}}";
            return Err(TemplateError { message: message.into(), at: open });
        };
        let hole = hole(&text[inside..close], scope, default)
            .map_err(|message| TemplateError { message, at: open })?;
        match hole {
            Hole::Constant(bytes) => constant.extend_from_slice(&bytes),
            Hole::Value(value, filter) => {
                if !constant.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut constant)));
                }
                parts.push(Part::Hole(value, filter));
            }
        }
        at = close + 2;
    }
    constant.extend_from_slice(&text.as_bytes()[at..]);
    if !constant.is_empty() {
        parts.push(Part::Text(constant));
    }
    Ok(parts)
}

enum Hole {
    /// Known already.
    Constant(Vec<u8>),
    Value(Value, Option<Filter>),
}

fn hole(text: &str, scope: &mut Scope, default: Option<Filter>) -> Result<Hole, String> {
    let (expression, filter) = match text.split_once('|') {
        Some((expression, name)) => (expression, Some(filter(name.trim())?)),
        None => (text, default),
    };
    let expression = expression.trim();
    let (path, arguments) = match expression.split_once('(') {
        Some((path, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| {
                format!("`{expression}` opens a parenthesis that it does not close")
            })?;
            (path.trim_end(), Some(inner.split(',').map(str::trim).collect::<Vec<_>>()))
        }
        None => (expression, None),
    };
    if path.is_empty() {
        return Err("an empty hole; say what is to stand there: {{name}}".into());
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if let Some(odd) = path.chars().find(|c| !is_name(*c)) {
        return Err(format!("`{path}` is not a name: it has {odd:?}"));
    }
    if let Some(name) = path.strip_prefix("env.") {
        let value =
            std::env::var(name).map_err(|_| format!("the environment has no variable {name:?}"))?;
        let mut bytes = value.into_bytes();
        if let Some(filter) = filter {
            filter.apply(&mut bytes, 0);
        }
        return no_arguments(path, arguments.as_deref()).map(|()| Hole::Constant(bytes));
    }
    Ok(Hole::Value(value(path, arguments.as_deref(), scope)?, filter))
}

fn filter(name: &str) -> Result<Filter, String> {
    let found = Filter::ALL.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, filter)| filter).ok_or_else(|| {
        let known = Filter::ALL.map(|(known, _)| known);
        format!("there is no filter {name:?}{}", words::instead(name, &known))
    })
}

fn value(path: &str, arguments: Option<&[&str]>, scope: &mut Scope) -> Result<Value, String> {
    let Some((head, tail)) = path.split_once('.') else {
        no_arguments(path, arguments)?;
        return Ok(match path {
            "user" => Value::User,
            "iteration" => Value::Iteration,
            _ => Value::Variable(scope.name(path)),
        });
    };
    match head {
        "random" => random(tail, arguments.unwrap_or_default()),
        "now" => {
            no_arguments(path, arguments)?;
            match tail {
                "s" => Ok(Value::NowSeconds),
                "ms" => Ok(Value::NowMillis),
                "rfc3339" => Ok(Value::NowText),
                _ => Err(unknown(path, &["now.s", "now.ms", "now.rfc3339"])),
            }
        }
        "counter" => {
            let start = match arguments.unwrap_or_default() {
                [] => None,
                [start] => Some(whole(path, start)?),
                _ => return Err(format!("`{path}` takes one argument, its first number")),
            };
            scope.counter(tail, start).map(Value::Counter).map_err(|other| {
                format!("`{path}` starts at {other} elsewhere; a counter has one start")
            })
        }
        _ => {
            no_arguments(path, arguments)?;
            column(head, tail, scope)
        }
    }
}

fn column(head: &str, tail: &str, scope: &Scope) -> Result<Value, String> {
    let Some((number, set)) = scope.data(head) else {
        let heads = ["random", "now", "counter", "env"];
        let known: Vec<&str> = heads.into_iter().chain(scope.data_names()).collect();
        return Err(format!(
            "`{head}.{tail}`: there is no data set {head:?}{}",
            words::instead(head, &known)
        ));
    };
    match set.columns().iter().position(|c| c == tail) {
        Some(column) => Ok(Value::Column { number, set: set.clone(), column }),
        None => {
            let columns: Vec<&str> = set.columns().iter().map(String::as_str).collect();
            let instead = words::instead(tail, &columns);
            Err(format!("the data set {head:?} has no column {tail:?}{instead}"))
        }
    }
}

fn random(what: &str, arguments: &[&str]) -> Result<Value, String> {
    let path = format!("random.{what}");
    let length = || match arguments {
        [text] => length(&path, text),
        _ => Err(format!("`{path}` takes one argument, its length: {path}(16)")),
    };
    match what {
        "int" => match arguments {
            [low, high] => {
                let (low, high) = (integer(&path, low)?, integer(&path, high)?);
                if low > high {
                    return Err(format!(
                        "`{path}` takes the smaller bound first, got {low}, {high}"
                    ));
                }
                Ok(Value::Int(low, high))
            }
            _ => Err(format!("`{path}` takes two bounds: {path}(1, 100)")),
        },
        "string" => length().map(Value::Alphanumeric),
        "hex" => length().map(Value::Hex),
        "bytes" => length().map(Value::Bytes),
        "uuid" if arguments.is_empty() => Ok(Value::Uuid),
        "uuid" => Err(format!("`{path}` takes no arguments")),
        "pick" if arguments.iter().any(|a| !a.is_empty()) => {
            Ok(Value::Pick(arguments.iter().map(|a| a.as_bytes().to_vec()).collect()))
        }
        "pick" => Err(format!("`{path}` takes what to pick from: {path}(a, b, c)")),
        _ => {
            let known =
                ["int", "string", "hex", "bytes", "uuid", "pick"].map(|k| format!("random.{k}"));
            Err(unknown(&path, &known.each_ref().map(String::as_str)))
        }
    }
}

fn unknown(path: &str, known: &[&str]) -> String {
    format!("there is no `{path}`{}", words::instead(path, known))
}

fn no_arguments(path: &str, arguments: Option<&[&str]>) -> Result<(), String> {
    match arguments {
        None => Ok(()),
        Some(_) => Err(format!("`{path}` takes no arguments")),
    }
}

fn whole(path: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{path}` takes a whole number, got {text:?}"))
}

fn integer(path: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("`{path}` takes whole numbers, got {text:?}"))
}

fn length(path: &str, text: &str) -> Result<usize, String> {
    let bytes = words::size(text).map_err(|why| format!("`{path}`: {why}"))?;
    if bytes == 0 || bytes > MAX_LENGTH {
        return Err(format!("`{path}` takes a length from 1 to 64MiB, got {text}"));
    }
    Ok(bytes as usize)
}
