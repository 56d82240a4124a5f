//! The timeline of faults.

use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use faultd_api::{FaultRequest, Invalid, Kind, Params, Span, Target};

use super::{Builder, moment, place::culprit};
use crate::scenario::{
    FaultPlan,
    file::FaultFile,
    read::{Located, Place, Placed, Problem},
};

/// A fault whose load tool is gone ends after this long.
const DEFAULT_LEASE: Duration = Duration::from_secs(5);
/// The shortest that the daemon takes.
const LEAST_LEASE: Duration = Duration::from_millis(100);

impl Builder<'_> {
    pub(super) fn faults(&self, seed: u64, end: Duration) -> Result<Vec<FaultPlan>, Problem> {
        let mut faults = Vec::new();
        for (at, file) in self.file.faults.iter().enumerate() {
            let within = |e: Problem| e.within(format!("[{at}]")).within("faults");
            let fault = self.fault(file, seed, at as u64).map_err(within)?;
            if fault.start >= end {
                let message = format!(
                    "starts at {}, when the load is over ({})",
                    humantime::format_duration(fault.start),
                    humantime::format_duration(end)
                );
                return Err(within(Problem::at(file.at.place, message).within("at")));
            }
            faults.push(fault);
        }
        faults.sort_by_key(|f| f.start);
        Ok(faults)
    }

    fn fault(
        &self,
        located: &Located<FaultFile>,
        seed: u64,
        number: u64,
    ) -> Result<FaultPlan, Problem> {
        let file = &located.value;
        let (params, target) = self.what(located)?;
        let duration = Span::from(self.scaled(file.duration.get()));
        let lease = file.lease.as_ref().map_or(DEFAULT_LEASE, |l| l.get());
        let request = FaultRequest {
            params,
            target,
            duration,
            label: file.label.as_ref().map(|l| l.value.clone()),
            // The run's seed repeats its faults, and no two of them draw the same.
            seed: Some(file.seed.unwrap_or_else(|| faultd_abi::splitmix64(seed, number))),
            backend: file.backend.clone(),
            // What is over sooner than any lease needs none: `--scale` makes such faults.
            lease: (duration.get() >= LEAST_LEASE).then(|| Span::from(lease.min(duration.get()))),
            force: file.force,
        };
        request.validate().map_err(|e| self.invalid(located, &request, &e))?;
        let start = self.scaled(moment(&file.at).map_err(|e| e.within("at"))?);
        Ok(FaultPlan { start, text: words(&request), request })
    }

    /// What is wrong with a request, where that was written.
    fn invalid(
        &self,
        located: &Located<FaultFile>,
        request: &FaultRequest,
        error: &Invalid,
    ) -> Problem {
        let file = &located.value;
        let field = error.field.as_str();
        let plain = format!("{field} {}", error.message);
        let other = |place: Option<Place>| Problem::at(place.unwrap_or(located.place), &*plain);
        match field {
            "for" => return other(Some(file.duration.place)),
            "label" => return other(file.label.as_ref().map(|l| l.place)),
            "lease" => return other(file.lease.as_ref().map(|l| l.place)),
            _ => {}
        }
        if let Some(inject) = &file.inject {
            // What is complained of is named first.
            let message = error.to_string();
            let option = message.split(' ').next().unwrap_or_default();
            return Problem::at(self.option_place(inject, option), &*message).within("inject");
        }
        let has = |params: &&Located<Placed>| params.value.place(&[field.to_owned()]).is_some();
        let params = file.params.as_ref().filter(has);
        let target = file.target.as_ref().filter(|_| {
            let written = serde_json::to_value(&request.target).unwrap_or_default();
            params.is_none() && written.get(field).is_some_and(|value| !value.is_null())
        });
        let (table, key) = match (params, target) {
            (Some(params), _) => (Some(params.place), "params"),
            (None, Some(target)) => (Some(target.place), "target"),
            // It is about what is not there.
            (None, None) => {
                return other(file.params.as_ref().map(|params| params.place));
            }
        };
        let place = table.and_then(|table| self.key_place(table, field)).or(table);
        let message = format!("`{field}` {}", error.message);
        Problem::at(place.unwrap_or(located.place), message).within(key)
    }

    /// Kind, parameters and target, in whichever way they were written.
    fn what(&self, located: &Located<FaultFile>) -> Result<(Params, Target), Problem> {
        let file = &located.value;
        match (&file.inject, &file.kind) {
            (Some(inject), None) => {
                for (given, key) in [
                    (file.params.as_ref().map(|p| p.place), "params"),
                    (file.target.as_ref().map(|t| t.place), "target"),
                ] {
                    if let Some(place) = given {
                        let message =
                            format!("`{key}` goes with `kind`; `inject` says it in its own words");
                        return Err(Problem::at(place, message).within(key));
                    }
                }
                typed(inject).map_err(|message| {
                    let mut words = message.split([' ', '\'', '=']);
                    let option = words.find(|word| word.starts_with("--")).unwrap_or_default();
                    let place = match option {
                        "" => inject.place,
                        option => self.option_place(inject, option),
                    };
                    Problem::at(place, &*message).within("inject")
                })
            }
            (None, Some(kind)) => {
                let params =
                    file.params.as_ref().map_or_else(|| serde_json::json!({}), |p| p.value.value());
                let table = file.params.as_ref().map_or(kind.place, |p| p.place);
                let read = |params| Params::from_json(kind.value, params);
                let params = read(params.clone()).map_err(|e| {
                    let key = culprit(&params, &e, |params| read(params).err());
                    let place = key.and_then(|key| self.key_place(table, &key)).unwrap_or(table);
                    Problem::at(place, format!("params {}", e.message)).within("params")
                })?;
                Ok((params, file.target.as_ref().map(|t| t.value.clone()).unwrap_or_default()))
            }
            (None, None) => Err(Problem::at(
                located.place,
                "which fault? Say `inject: latency --ms 500 --port 8080`, or `kind` with `params` and `target`",
            )),
            (Some(inject), Some(_)) => {
                Err(Problem::at(inject.place, "`inject` and `kind` at once: say one of them"))
            }
        }
    }
}

/// Reads a fault in the words of `faultctl inject`: `latency --ms 500 --port 8080`.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn typed(text: &str) -> Result<(Params, Target), String> {
    let words: Vec<String> =
        shlex::split(text).ok_or_else(|| format!("{text:?}: a quote is not closed"))?;
    let kind: Kind = match words.first() {
        Some(kind) => kind.parse().map_err(|e: Invalid| e.message)?,
        None => return Err("says no fault, such as latency --ms 500 --port 8080".into()),
    };
    let command = Command::new(kind.name()).disable_help_flag(true).no_binary_name(false);
    let command = Target::augment_args(Params::augment_args(kind, command));
    if let Some(key) = words.iter().find_map(|word| beside(word)) {
        return Err(format!("--{key} stands beside `inject` here: `{key}: …`"));
    }
    let wrong = |e: clap::Error| {
        let all = e.render().to_string();
        // What is missing stands on the line after the first.
        let lines = all.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
        let line = lines.filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
        line.trim_start_matches("error: ").replace("  ", " ")
    };
    let matches = command.try_get_matches_from(&words).map_err(wrong)?;
    let params = Params::from_arg_matches(kind, &matches).map_err(wrong)?;
    let target = Target::from_arg_matches(&matches).map_err(wrong)?;
    Ok((params, target))
}

/// The key that says in a scenario what this option says to faultctl.
fn beside(word: &str) -> Option<&str> {
    let option = word.strip_prefix("--")?.split('=').next()?;
    ["for", "label", "seed", "backend", "lease", "force"].into_iter().find(|key| *key == option)
}

/// A fault as `faultctl inject` would take it.
fn words(request: &FaultRequest) -> String {
    let mut out = request.kind().name().to_owned();
    let params = serde_json::to_value(&request.params).unwrap_or_default();
    for (name, value) in params.as_object().into_iter().flatten() {
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            // As faultctl takes them: openat,creat.
            serde_json::Value::Array(items) => {
                let items = items.iter().map(|item| match item {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                items.collect::<Vec<_>>().join(",")
            }
            serde_json::Value::Null | serde_json::Value::Bool(false) => continue,
            // Zero is what these are when nobody said otherwise.
            serde_json::Value::Number(n) if n.as_f64() == Some(0.0) => continue,
            serde_json::Value::Number(n) if n.as_f64().is_some_and(|f| f.fract() == 0.0) => {
                format!("{}", n.as_f64().unwrap_or_default())
            }
            other => other.to_string(),
        };
        let option = if name == "jitter_ms" { "jitter" } else { name };
        out.push_str(&format!(" --{} {value}", option.replace('_', "-")));
    }
    for (name, value) in request.target.options() {
        out.push_str(&format!(" {name} {value}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_command_line_are_understood() {
        let (params, target) = typed("latency --ms 500 --jitter 100 --port 8080").unwrap();
        assert_eq!(params.kind(), Kind::Latency);
        assert_eq!(target.to_string(), "--port 8080");
        let (_, target) = typed("kill --name 'my app' --signal KILL").unwrap();
        assert_eq!(target.name.as_deref(), Some("my app"));
    }

    #[test]
    fn a_fault_is_told_as_faultctl_takes_it() {
        let text = "syscall --call connect,openat --errno ETIMEDOUT --pid 7";
        let (params, target) = typed(text).unwrap();
        let request = FaultRequest {
            params,
            target,
            duration: Span::from(Duration::from_secs(1)),
            label: None,
            seed: None,
            backend: None,
            lease: None,
            force: false,
        };
        let told = words(&request);
        assert!(told.contains("--call connect,openat"), "{told}");
        assert_eq!(typed(&told).unwrap().0, request.params);
    }

    #[test]
    fn mistakes_are_one_line() {
        for (text, expected) in [
            ("", "says no fault"),
            ("latnecy --ms 5", "\"latnecy\" is not a fault"),
            ("latency --port 80", "the following required arguments were not provided: --ms"),
            ("latency --ms x", "invalid value 'x' for '--ms"),
            ("latency --ms 5 --prot 80", "unexpected argument '--prot' found"),
            ("latency --ms 5 --for 9s", "--for stands beside `inject` here: `for: …`"),
            ("latency 'x", "\"latency 'x\": a quote is not closed"),
        ] {
            let error = typed(text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
