//! `${NAME}`: variables that are put in when a scenario is read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Node, Place, Problem, Value};
use crate::words;

/// Variables of the command line, by name.
pub type Given = BTreeMap<String, String>;

/// Puts variables into `root`: those of its `vars`, overridden by `given`. Returns their values.
///
/// A scalar that is one variable and nothing else gets the variable's type (`rate: ${rate}` is a
/// number when the variable looks like one). `$${` stands for `${`.
pub fn insert(root: &mut Node, given: &Given) -> Result<Given, Problem> {
    let mut values = declared(root, given)?;
    // Variables may be made of variables that stand above them.
    let names: Vec<String> = values.order.clone();
    for name in names {
        let Some(Some((place, text))) = values.map.get(&name).cloned() else { continue };
        let value = expand(&text, place, &values)?;
        values.map.insert(name, Some((place, value)));
    }
    if let Value::Map(entries) = &mut root.value {
        for (_, node) in entries.iter_mut().filter(|(key, _)| key.name != "vars") {
            walk(node, &values)?;
        }
    }
    Ok(values.map.into_iter().filter_map(|(name, v)| Some((name, v?.1))).collect())
}

struct Values {
    /// `None`: has to be given and was not.
    map: BTreeMap<String, Option<(Place, String)>>,
    order: Vec<String>,
}

fn declared(root: &Node, given: &Given) -> Result<Values, Problem> {
    let mut values = Values { map: BTreeMap::new(), order: Vec::new() };
    if let Some(vars) = root.get("vars") {
        let Value::Map(entries) = &vars.value else {
            let message = format!("takes names and values, got {}", vars.value.words());
            return Err(Problem::at(vars.place, message).within("vars"));
        };
        for (key, node) in entries {
            let value = match (given.get(&key.name), &node.value) {
                (Some(given), _) => Some(given.clone()),
                (None, Value::Null) => None,
                (None, _) => Some(node.as_text().ok_or_else(|| {
                    let message = format!("takes a text or a number, got {}", node.value.words());
                    Problem::at(node.place, message).within(&key.name).within("vars")
                })?),
            };
            values.map.insert(key.name.clone(), value.map(|v| (node.place, v)));
            values.order.push(key.name.clone());
        }
    }
    let unknown: BTreeSet<&String> =
        given.keys().filter(|name| !values.map.contains_key(*name)).collect();
    if let Some(name) = unknown.first() {
        let known: Vec<&str> = values.order.iter().map(String::as_str).collect();
        let message = match known.is_empty() {
            true => format!("--var {name}: the scenario has no `vars`"),
            false => format!("--var {name}: no such variable{}", words::instead(name, &known)),
        };
        return Err(Problem { message, place: None, path: Vec::new() });
    }
    Ok(values)
}

fn walk(node: &mut Node, values: &Values) -> Result<(), Problem> {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => {
            let expanded = expand(text, node.place, values)?;
            let is_whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
            node.value = if is_whole { Value::plain(expanded) } else { Value::Text(expanded) };
            Ok(())
        }
        Value::List(items) => items.iter_mut().try_for_each(|item| walk(item, values)),
        Value::Map(entries) => entries.iter_mut().try_for_each(|(_, node)| walk(node, values)),
        _ => Ok(()),
    }
}

fn expand(text: &str, place: Place, values: &Values) -> Result<String, Problem> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let Some(end) = inside.find('}') else {
            let message = "`${` without `}`; write $${ for the characters themselves";
            return Err(Problem::at(place, message));
        };
        out.push_str(&lookup(&inside[..end], place, values)?);
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn lookup(expression: &str, place: Place, values: &Values) -> Result<String, Problem> {
    let (name, default) = match expression.split_once(":-") {
        Some((name, default)) => (name.trim(), Some(default)),
        None => (expression.trim(), None),
    };
    let found = match name.strip_prefix("env.") {
        Some(variable) => std::env::var(variable).ok(),
        None => values.map.get(name).and_then(|v| v.as_ref()).map(|(_, value)| value.clone()),
    };
    if let Some(value) = found.or_else(|| default.map(str::to_owned)) {
        return Ok(value);
    }
    let message = match (name.strip_prefix("env."), values.map.contains_key(name)) {
        (Some(variable), _) => {
            format!(
                "the environment has no variable {variable:?}; ${{{name}:-DEFAULT}} gives it a default"
            )
        }
        (None, true) => format!("the variable {name:?} has no value; say --var {name}=VALUE"),
        (None, false) => {
            let known: Vec<&str> = values.order.iter().map(String::as_str).collect();
            format!("there is no variable {name:?} in `vars`{}", words::instead(name, &known))
        }
    };
    Err(Problem::at(place, message))
}
