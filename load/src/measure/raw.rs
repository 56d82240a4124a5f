//! Raw samples: a line for each attempt, for those who want to compute on their own.

use std::{io::Write, path::Path, sync::Arc};

use super::Sample;
use crate::{plan::Plan, spool::Feed};

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawFormat {
    /// Comma-separated values with a line of names at the top (RFC 4180).
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// The columns, in order.
const COLUMNS: &str = "due_s,sent_s,first_byte_s,end_s,flow,step,user,attempt,last,status,error,\
                       sent_bytes,received_bytes,connection\n";

impl RawFormat {
    /// By the name of the file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// One attempt of a request.
#[derive(Debug)]
pub struct Attempted<'a> {
    /// Number of the step.
    pub step: usize,
    /// Number of the user.
    pub user: u64,
    /// 1 is the first.
    pub attempt: u32,
    /// No other follows: the request ended with it.
    pub last: bool,
    /// Its times and what moved; of further attempts what moved in all so far.
    pub sample: &'a Sample,
    /// What moved before it.
    pub before: &'a super::Traffic,
    /// What went wrong.
    pub error: Option<&'static str>,
}

/// Writes lines of attempts.
#[derive(Debug, Clone)]
pub struct RawWriter {
    feed: Feed,
    format: RawFormat,
    /// Flow and step by number of the step, as they stand in a line.
    names: Arc<[String]>,
}

impl RawWriter {
    /// Writes to `feed` about the steps of `plan`.
    #[must_use]
    pub fn new(feed: Feed, format: RawFormat, plan: &Plan) -> Self {
        let steps = plan.flows.iter().flat_map(|flow| flow.steps.iter().map(move |s| (flow, s)));
        let names = steps.map(|(flow, step)| match format {
            RawFormat::Csv => format!("{},{}", cell(&flow.name), cell(&step.name)),
            RawFormat::JsonLines => {
                let text = |text: &str| serde_json::Value::from(text);
                format!("\"flow\":{},\"step\":{}", text(&flow.name), text(&step.name))
            }
        });
        Self { feed, format, names: names.collect() }
    }

    /// What stands above all lines.
    #[must_use]
    pub fn head(format: RawFormat) -> &'static str {
        if format == RawFormat::Csv { COLUMNS } else { "" }
    }

    /// Writes a line.
    pub fn attempt(&mut self, attempted: &Attempted<'_>) {
        let Some(names) = self.names.get(attempted.step) else { return };
        let format = self.format;
        // Writing to memory does not fail.
        self.feed.line(|out| {
            let _written = match format {
                RawFormat::Csv => csv(out, names, attempted),
                RawFormat::JsonLines => json(out, names, attempted),
            };
        });
    }
}

fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// Seconds since the start of the run, to the nanosecond.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

impl Attempted<'_> {
    fn end(&self) -> Option<u64> {
        (self.sample.end > 0).then_some(self.sample.end)
    }

    fn bytes(&self) -> (u64, u64) {
        let (now, before) = (&self.sample.traffic, self.before);
        (now.sent - before.sent, now.received - before.received)
    }

    fn connection(&self) -> &'static str {
        let (now, before) = (&self.sample.traffic, self.before);
        match () {
            () if now.opened > before.opened => "fresh",
            () if now.reused > before.reused => "reused",
            () => "",
        }
    }
}

fn csv(out: &mut Vec<u8>, names: &str, a: &Attempted<'_>) -> std::io::Result<()> {
    let sample = a.sample;
    write!(out, "{},", Seconds(sample.due))?;
    for time in [sample.sent, sample.first_byte, a.end()] {
        if let Some(time) = time {
            write!(out, "{}", Seconds(time))?;
        }
        out.push(b',');
    }
    write!(out, "{names},{},{},{},", a.user, a.attempt, a.last)?;
    if sample.status != 0 {
        write!(out, "{}", sample.status)?;
    }
    let (sent, received) = a.bytes();
    writeln!(out, ",{},{sent},{received},{}", a.error.unwrap_or_default(), a.connection())
}

fn json(out: &mut Vec<u8>, names: &str, a: &Attempted<'_>) -> std::io::Result<()> {
    let sample = a.sample;
    write!(out, "{{\"due_s\":{}", Seconds(sample.due))?;
    for (name, time) in
        [("sent_s", sample.sent), ("first_byte_s", sample.first_byte), ("end_s", a.end())]
    {
        match time {
            Some(time) => write!(out, ",\"{name}\":{}", Seconds(time))?,
            None => write!(out, ",\"{name}\":null")?,
        }
    }
    write!(out, ",{names},\"user\":{},\"attempt\":{},\"last\":{}", a.user, a.attempt, a.last)?;
    match sample.status {
        0 => out.extend(b",\"status\":null"),
        status => write!(out, ",\"status\":{status}")?,
    }
    let text = |text: &str| if text.is_empty() { "null".into() } else { format!("\"{text}\"") };
    let (sent, received) = a.bytes();
    let (error, connection) = (text(a.error.unwrap_or_default()), text(a.connection()));
    writeln!(
        out,
        ",\"error\":{error},\"sent_bytes\":{sent},\"received_bytes\":{received},\
         \"connection\":{connection}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Traffic;

    #[test]
    fn both_formats_say_the_same() {
        let traffic =
            Traffic { sent: 30, received: 200, reused: 1, opened: 1, ..Default::default() };
        let before = Traffic { sent: 10, opened: 1, ..Default::default() };
        let sample = Sample {
            due: 1_500_000_000,
            sent: Some(1_500_000_001),
            end: 2_000_000_000,
            status: 503,
            traffic,
            ..Sample::default()
        };
        let attempted = Attempted {
            step: 0,
            user: 7,
            attempt: 2,
            last: true,
            sample: &sample,
            before: &before,
            error: Some("status"),
        };
        let mut out = Vec::new();
        csv(&mut out, &format!("{},get", cell("a, \"b\"")), &attempted).unwrap();
        let line = "1.500000000,1.500000001,,2.000000000,\"a, \"\"b\"\"\",get,7,2,true,503,status,\
                    20,200,reused\n";
        assert_eq!(String::from_utf8(out).unwrap(), line);
        let mut out = Vec::new();
        json(&mut out, "\"flow\":\"a\",\"step\":\"get\"", &attempted).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["due_s"], 1.5);
        assert_eq!(value["first_byte_s"], serde_json::Value::Null);
        assert_eq!((&value["status"], &value["connection"]), (&503.into(), &"reused".into()));
        assert_eq!((&value["sent_bytes"], &value["last"]), (&20.into(), &true.into()));
        assert_eq!(value.as_object().unwrap().len(), COLUMNS.split(',').count());
    }
}
