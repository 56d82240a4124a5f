//! How a fault is shown: as a row, as a few lines, in full.

use clap::Command;
use faultd_api::{EndReason, Fault, Kind, Params, State};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{
    Tone, hits,
    table::{Align, Cell, Table},
    time,
};

/// The parameters in the words of the command line, in the order of the help:
/// `--ms 500 --jitter 20`.
pub fn params(kind: Kind, params: &Value) -> String {
    let Value::Object(fields) = params else { return String::new() };
    let command = Params::augment_args(kind, Command::new(kind.name()));
    let mut rest = fields.clone();
    let mut words = Vec::new();
    for arg in command.get_arguments() {
        let (Some(value), Some(long)) = (rest.remove(arg.get_id().as_str()), arg.get_long()) else {
            continue;
        };
        words.extend(option(long, &value));
    }
    // A newer daemon may know parameters that this build does not.
    words.extend(rest.iter().filter_map(|(name, value)| option(name, value)));
    words.join(" ")
}

fn option(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(format!("--{name}")),
        // Zero is how a parameter says that it is off.
        Value::Number(n) if n.as_f64() == Some(0.0) => None,
        Value::Number(n) => Some(format!("--{name} {}", n.as_f64().map_or(n.to_string(), number))),
        Value::String(text) => Some(format!("--{name} {text}")),
        Value::Array(items) => {
            let text = |item: &Value| item.as_str().map_or(item.to_string(), str::to_owned);
            Some(format!("--{name} {}", items.iter().map(text).collect::<Vec<_>>().join(",")))
        }
        other => Some(format!("--{name} {other}")),
    }
}

/// At most three decimals, none that say nothing.
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `latency --ms 500 on --port 8080`.
pub fn title(fault: &Fault) -> String {
    let params = params(fault.kind, &fault.params);
    let gap = if params.is_empty() { "" } else { " " };
    format!("{}{gap}{params} on {}", fault.kind, fault.target)
}

/// Why it ended, in words.
pub fn reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Expired => "expired",
        EndReason::Completed => "completed",
        EndReason::Reverted => "reverted",
        EndReason::LeaseLost => "lease lost",
        EndReason::DaemonExit => "daemon exit",
        EndReason::Failed => "failed",
    }
}

/// `active`, `ended (expired)`.
pub fn state(fault: &Fault) -> Cell {
    let name = match fault.state {
        State::Planned => "planned",
        State::Applying => "applying",
        State::Active => "active",
        State::Reverting => "reverting",
        State::Ended => "ended",
    };
    let text = match fault.end_reason {
        Some(why) => format!("{name} ({})", reason(why)),
        None => name.to_owned(),
    };
    let tone = match (fault.state, fault.end_reason) {
        (_, Some(EndReason::Failed)) => Tone::Bad,
        (State::Active, _) if fault.error.is_none() => Tone::Good,
        (State::Ended, _) if fault.error.is_none() => Tone::Faint,
        _ => Tone::Warn,
    };
    Cell::new(text, tone)
}

/// How long a fault has left; a dash when it is over.
pub fn left(fault: &Fault, now: Timestamp) -> String {
    match fault.state {
        State::Ended => "-".to_owned(),
        _ => time::span(time::left(now, fault.expires_at)),
    }
}

/// How long a fault was in force, once it is over.
pub fn lasted(fault: &Fault) -> Option<String> {
    let nanos = fault.ended_mono_ns?.checked_sub(fault.active_mono_ns?)?;
    Some(time::span(std::time::Duration::from_nanos(nanos)))
}

/// A row a fault; with a column for labels where there are any.
pub fn table(faults: &[Fault], now: Timestamp) -> Table {
    use Align::{Left, Right};
    let mut columns = vec![
        ("ID", Left),
        ("KIND", Left),
        ("PARAMS", Left),
        ("TARGET", Left),
        ("STATE", Left),
        ("BACKEND", Left),
        ("LEFT", Right),
        ("MATCHED", Right),
        ("AFFECTED", Right),
    ];
    if faults.iter().any(|fault| fault.label.is_some()) {
        columns.push(("LABEL", Left));
    }
    let mut table = Table::with_heading(&columns);
    for fault in faults {
        let params = params(fault.kind, &fault.params);
        table.row([
            Cell::new(&fault.id, Tone::Strong),
            fault.kind.name().into(),
            if params.is_empty() { "-".into() } else { params.into() },
            fault.target.to_string().into(),
            state(fault),
            fault.backend.as_str().into(),
            left(fault, now).into(),
            fault.counters.matched.to_string().into(),
            fault.counters.affected.to_string().into(),
            fault.label.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

/// Everything about one fault, as names and values.
pub fn details(fault: &Fault, now: Timestamp, zone: &TimeZone) -> Table {
    let mut table = Table::plain(2).indented("  ");
    let mut row = |name: &str, value: Cell| table.row([Cell::new(name, Tone::Faint), value]);
    row("state", state(fault));
    row("params", or_dash(params(fault.kind, &fault.params)));
    row("target", fault.target.to_string().into());
    if let Some(hit) = hits::line(fault) {
        row("hit", hit.into());
    }
    row("backend", fault.backend.as_str().into());
    row("seed", fault.seed.to_string().into());
    row("owner", format!("uid {}", fault.owner.uid).into());
    if let Some(label) = &fault.label {
        row("label", label.into());
    }
    row("asked", time::local_ms(fault.created_at, zone).into());
    if let Some(at) = fault.active_at {
        row("active", time::local_ms(at, zone).into());
    }
    match fault.ended_at {
        Some(at) => {
            let lasted = lasted(fault).map(|t| format!(" (after {t})")).unwrap_or_default();
            row("ended", format!("{}{lasted}", time::local_ms(at, zone)).into());
        }
        None => row("ends", ends(fault, now, zone).into()),
    }
    if let Some(lease) = fault.lease {
        row("lease", format!("{lease}, unless confirmed again").into());
    }
    if let Some(error) = &fault.error {
        row("error", Cell::new(error, Tone::Bad));
    }
    for note in &fault.notes {
        row("note", note.into());
    }
    table
}

fn or_dash(text: String) -> Cell {
    if text.is_empty() { "-".into() } else { text.into() }
}

/// `14:03:22 (in 48s)`.
pub fn ends(fault: &Fault, now: Timestamp, zone: &TimeZone) -> String {
    let left = time::span(time::left(now, fault.expires_at));
    format!("{} (in {left})", time::local(fault.expires_at, now, zone))
}

/// What it met and did to it.
pub fn counters(fault: &Fault) -> Table {
    use Align::{Left, Right};
    let mut table = Table::with_heading(&[("COUNTED", Left), ("N", Right)]).indented("  ");
    let counters = &fault.counters;
    let fixed = [("matched", counters.matched), ("affected", counters.affected)];
    let more = counters.more.iter().map(|(name, n)| (name.as_str(), *n));
    for (name, n) in fixed.into_iter().chain(more) {
        table.row([name.into(), n.to_string().into()]);
    }
    table
}

/// What became of single processes; `None` where there is nothing to tell.
pub fn processes(fault: &Fault) -> Option<Table> {
    use Align::{Left, Right};
    if fault.processes.is_empty() {
        return None;
    }
    let columns = [
        ("PID", Right),
        ("COMMAND", Left),
        ("ENDED AFTER", Right),
        ("NEEDED KILL", Left),
        ("REPLACED AFTER", Right),
        ("REPLACED BY", Right),
    ];
    let mut table = Table::with_heading(&columns).indented("  ");
    let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{} ms", number(ms)));
    for process in &fault.processes {
        table.row([
            process.pid.to_string().into(),
            process.comm.as_str().into(),
            ms(process.ended_ms).into(),
            if process.needed_kill { "yes".into() } else { "-".into() },
            ms(process.recovered_ms).into(),
            process.replaced_by.map_or("-".to_owned(), |pid| pid.to_string()).into(),
        ]);
    }
    Some(table)
}

/// Requested beside achieved; `None` while nothing was measured.
pub fn achieved(fault: &Fault) -> Option<Table> {
    use Align::{Left, Right};
    if fault.achieved.is_empty() {
        return None;
    }
    let columns = [("MEASURED", Left), ("REQUESTED", Right), ("ACHIEVED", Right)];
    let mut table = Table::with_heading(&columns).indented("  ");
    let params = Params::from_json(fault.kind, fault.params.clone()).ok();
    for (name, value) in &fault.achieved {
        let requested = params.as_ref().and_then(|params| params.requested(name));
        let requested = requested.map_or("-".to_owned(), number);
        table.row([name.into(), requested.into(), number(*value).into()]);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_read_as_they_are_typed() {
        let shown = params(
            Kind::Latency,
            &json!({"correlation": null, "distribution": "normal", "jitter_ms": 20.0, "ms": 500.0}),
        );
        assert_eq!(shown, "--ms 500 --jitter 20 --distribution normal");
        assert_eq!(params(Kind::Latency, &json!({"ms": 0.25, "jitter_ms": 0.0})), "--ms 0.25");
        assert_eq!(params(Kind::Loss, &json!({"gemodel": "5,30,100,0"})), "--gemodel 5,30,100,0");
        assert_eq!(params(Kind::Loss, &json!({"every": 3, "new": true})), "--every 3 --new");
        assert_eq!(params(Kind::Partition, &json!({})), "");
    }

    #[test]
    fn processes_are_told_one_by_one() {
        let mut fault: Fault = serde_json::from_value(json!({
            "id": "f-7k2m9q", "kind": "partition", "params": {}, "target": {"pid": [7]},
            "state": "active", "backend": "pidfd", "label": null, "seed": 1, "owner": {"uid": 0},
            "created_at": "2026-11-21T10:00:00Z", "expires_at": "2026-11-21T10:01:00Z",
            "active_at": null, "ended_at": null, "end_reason": null, "active_mono_ns": null,
            "ended_mono_ns": null, "counters": {"matched": 2, "affected": 2}, "achieved": {},
        }))
        .unwrap();
        assert!(processes(&fault).is_none());
        fault.processes = serde_json::from_value(json!([
            {"pid": 7, "comm": "web", "ended_ms": 1.25, "recovered_ms": 30.0, "replaced_by": 9},
            {"pid": 8, "comm": "web", "ended_ms": 10_000.5, "needed_kill": true},
        ]))
        .unwrap();
        let expected = "  \
  PID  COMMAND  ENDED AFTER  NEEDED KILL  REPLACED AFTER  REPLACED BY
    7  web          1.25 ms  -                     30 ms            9
    8  web       10000.5 ms  yes                       -            -
";
        assert_eq!(processes(&fault).unwrap().render(false), expected);
    }

    #[test]
    fn numbers_carry_no_idle_decimals() {
        for (value, text) in [(500.0, "500"), (500.024_6, "500.025"), (0.01, "0.01"), (0.0, "0")] {
            assert_eq!(number(value), text);
        }
    }
}
