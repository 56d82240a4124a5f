//! `watch [ID]`: the counters, once a second, until the faults are over.

use std::{
    env,
    time::{Duration, Instant},
};

use faultd_api::{Fault, State, client::Client};
use jiff::Timestamp;

use super::{Context, now, wait};
use crate::{
    failure::Failure,
    interrupt::Interrupt,
    out::{Tone, fault, time},
};

const SECOND: Duration = Duration::from_secs(1);
/// A fault that expires is looked at right after, so that its end is shown
/// when it happens.
const AFTER_THE_END: Duration = Duration::from_millis(50);

pub fn run(cx: &mut Context, id: Option<&str>) -> Result<(), Failure> {
    let client = cx.client()?;
    let interrupt = Interrupt::install()?;
    let mut faults = match id {
        Some(id) => vec![client.show(id)?],
        None => client.list(false)?,
    };
    if faults.is_empty() {
        if !cx.out.wants_json() {
            cx.say("no fault in force");
        }
        return Ok(());
    }
    let mut view = View::new(cx);
    let begin = Instant::now();
    let mut seconds = 0;
    view.show(cx, &faults, now())?;
    while faults.iter().any(|fault| fault.state != State::Ended) {
        cx.out.flush()?;
        faults.retain(|fault| fault.state != State::Ended);
        // On the second, counted from the beginning: slow answers do not add up.
        let second = SECOND - Duration::from_nanos(begin.elapsed().subsec_nanos().into());
        let end = faults.iter().map(|f| time::left(now(), f.expires_at) + AFTER_THE_END).min();
        if interrupt.within(end.map_or(second, |end| end.min(second)))?.is_some() {
            break;
        }
        faults = refreshed(&client, &faults, id)?;
        let over = faults.iter().any(|fault| fault.state == State::Ended);
        if over || begin.elapsed().as_secs() > seconds {
            seconds = begin.elapsed().as_secs();
            view.show(cx, &faults, now())?;
        }
    }
    view.end(cx, id, &client)
}

/// The same faults as they are now; without an id, those that appeared as well.
fn refreshed(client: &Client, before: &[Fault], id: Option<&str>) -> Result<Vec<Fault>, Failure> {
    if let Some(id) = id {
        return Ok(vec![client.show(id)?]);
    }
    let mut listed = client.list(false)?;
    let mut faults = Vec::new();
    for fault in before {
        match listed.iter().position(|listed| listed.id == fault.id) {
            Some(at) => faults.push(listed.remove(at)),
            // Over meanwhile: the history tells how.
            None => faults.push(client.show(&fault.id)?),
        }
    }
    faults.extend(listed);
    Ok(faults)
}

/// Redrawn on a terminal, else a line a fault and second.
enum View {
    Json,
    Lines,
    Redrawn { height: usize, over: Vec<Fault> },
}

/// While redrawing, lines end at the edge of the terminal: a wrapped line
/// would be two, and the cursor would not come back to the top.
const NO_WRAP: &str = "\u{1b}[?7l";
const WRAP: &str = "\u{1b}[?7h";

impl View {
    fn new(cx: &Context) -> Self {
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        match (cx.out.wants_json(), cx.out.on_terminal() && !dumb) {
            (true, _) => Self::Json,
            (_, false) => Self::Lines,
            (_, true) => Self::Redrawn { height: 0, over: Vec::new() },
        }
    }

    fn show(&mut self, cx: &mut Context, faults: &[Fault], now: Timestamp) -> Result<(), Failure> {
        match self {
            Self::Json => faults.iter().try_for_each(|fault| cx.out.document(fault)),
            Self::Lines => faults.iter().try_for_each(|fault| line(cx, fault, now)),
            Self::Redrawn { height, over } => {
                let shown: Vec<Fault> = over.iter().chain(faults).cloned().collect();
                if *height > 0 {
                    cx.out.raw(&format!("\u{1b}[{height}A\u{1b}[J"))?;
                }
                *height = shown.len() + 1;
                cx.out.raw(NO_WRAP)?;
                cx.out.table(&fault::table(&shown, now))?;
                cx.out.raw(WRAP)?;
                over.extend(faults.iter().filter(|f| f.state == State::Ended).cloned());
                Ok(())
            }
        }
    }

    /// One fault that was watched to its end: what it did in all.
    fn end(self, cx: &mut Context, id: Option<&str>, client: &Client) -> Result<(), Failure> {
        let (Some(id), false) = (id, cx.out.wants_json()) else { return Ok(()) };
        wait::figures(cx, &client.show(id)?)
    }
}

fn line(cx: &mut Context, fault: &Fault, now: Timestamp) -> Result<(), Failure> {
    let at = time::local(now, now, &cx.zone());
    let id = cx.out.paint(Tone::Strong, &fault.id).into_owned();
    let state = match fault.end_reason {
        Some(why) => fault::reason(why).to_owned(),
        None => format!("{} left", fault::left(fault, now)),
    };
    let counters = &fault.counters;
    let achieved: String = fault
        .achieved
        .iter()
        .map(|(name, value)| format!("  {name} {}", fault::number(*value)))
        .collect();
    cx.out.line(format!(
        "{at}  {id}  {}  {state}  matched {}  affected {}{achieved}",
        fault.kind, counters.matched, counters.affected
    ))
}
