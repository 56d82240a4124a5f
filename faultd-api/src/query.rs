//! Query strings of the API: one definition for the daemon and its clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Invalid, Target};

/// Query of `GET /v1/faults`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuery {
    /// Faults that have ended as well, as far back as the history goes.
    pub all: bool,
}

/// Query of `GET /v1/events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// `true`: events from now on, without end. `false`: those still
    /// buffered, then the stream ends.
    pub follow: bool,
}

impl Default for EventsQuery {
    fn default() -> Self {
        Self { follow: true }
    }
}

/// Fields of [`Target`] that hold lists; a comma separates their values, as on
/// the command line.
const LISTS: [&str; 4] = ["dev", "remote", "except_remote", "pid"];

impl Target {
    /// The target as the query of `GET /v1/explain` (`port=8080&dev=eth0,lo`);
    /// empty when everything is asked about.
    pub fn to_query(&self) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        if let Ok(Value::Object(fields)) = serde_json::to_value(self) {
            for (name, value) in fields {
                out.append_pair(&name, &plain(&value));
            }
        }
        out.finish()
    }

    /// Reads what [`Target::to_query`] writes.
    ///
    /// # Errors
    /// Names a field that is unknown, given twice or malformed.
    pub fn from_query(query: &str) -> Result<Self, Invalid> {
        let mut fields = Map::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let value = field(&name, &text)?;
            if fields.insert(name.to_string(), value).is_some() {
                return Err(Invalid::new(name, "was given twice; separate values by commas"));
            }
        }
        let target: Self = serde_json::from_value(Value::Object(fields))
            .map_err(|e| Invalid::new("target", format!("is malformed: {e}")))?;
        target.validate()?;
        Ok(target)
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn field(name: &str, text: &str) -> Result<Value, Invalid> {
    if !LISTS.contains(&name) {
        return Ok(Value::from(text));
    }
    let values = text.split(',').map(|part| {
        if name != "pid" {
            return Ok(Value::from(part));
        }
        let wrong = |_| Invalid::new(name, format!("takes process ids, got {part:?}"));
        part.parse::<u32>().map(Value::from).map_err(wrong)
    });
    values.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, PortSet, Proto};

    #[test]
    fn a_target_survives_the_query_string() {
        let full = Target {
            dev: vec!["eth0".into(), "lo".into()],
            direction: Some(Direction::Both),
            proto: Some(Proto::Tcp),
            port: Some("80,8000-8099".parse().unwrap()),
            local_port: Some(PortSet::single(1)),
            remote_port: Some(PortSet::single(2)),
            remote: vec!["10.0.0.0/8".into(), "fe80::1".into()],
            except_port: Some(PortSet::single(3)),
            except_remote: vec!["db.example".into()],
            pid: vec![1, 77],
            name: Some("two words".into()),
            exe: Some("/usr/bin/x=y&z".into()),
            cmdline: Some("a,b+c %41".into()),
            user: Some("1000".into()),
            cgroup: Some("/a".into()),
            unit: Some("nginx.service".into()),
            container: Some("web".into()),
            netns: Some("blue".into()),
        };
        assert_eq!(Target::from_query(&full.to_query()).unwrap(), full);
        assert_eq!(Target::default().to_query(), "");
        assert_eq!(Target::from_query("").unwrap(), Target::default());
    }

    #[test]
    fn refuses_what_is_no_target() {
        for query in ["prot=tcp", "port=0", "pid=x", "pid=1,", "port=1&port=2", "remote=300.1.2.3"]
        {
            assert!(Target::from_query(query).is_err(), "{query} was taken");
        }
    }
}
