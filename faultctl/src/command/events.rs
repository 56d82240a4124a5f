//! `events [--follow]`.

use std::time::Duration;

use faultd_api::{Event, EventKind, client::Next};

use super::Context;
use crate::{
    failure::Failure,
    interrupt::Interrupt,
    out::{Tone, fault, one_line, time},
};

/// How soon Ctrl-C is noticed.
const TICK: Duration = Duration::from_millis(100);

pub fn run(cx: &mut Context, follow: bool) -> Result<(), Failure> {
    let client = cx.client()?;
    if !follow {
        let mut events = client.events(false)?.peekable();
        if events.peek().is_none() && !cx.out.wants_json() {
            cx.say("no event yet");
        }
        return events.try_for_each(|event| print(cx, &event?));
    }
    let interrupt = Interrupt::install()?;
    let mut events = client.events(true)?;
    let mut last = None;
    while interrupt.taken()?.is_none() {
        match events.next_within(TICK)? {
            Next::Event(event) => {
                warn_of_gap(cx, last, event.seq);
                last = Some(event.seq);
                print(cx, &event)?;
                cx.out.flush()?;
            }
            Next::Quiet => {}
            Next::End => return Err(Failure::NotDone("faultd ended the event stream".into())),
        }
    }
    Ok(())
}

fn warn_of_gap(cx: &Context, last: Option<u64>, seq: u64) {
    let missed = last.map_or(0, |last| seq.saturating_sub(last + 1));
    if missed > 0 {
        cx.say(&format!("{missed} events were lost: this reader was too slow"));
    }
}

fn print(cx: &mut Context, event: &Event) -> Result<(), Failure> {
    if cx.out.wants_json() {
        return cx.out.document(event);
    }
    let (name, tone) = match event.event {
        EventKind::Planned => ("planned", Tone::Faint),
        EventKind::Active => ("active", Tone::Good),
        EventKind::Confirmed => ("confirmed", Tone::Plain),
        EventKind::Ended => ("ended", Tone::Strong),
    };
    let name = cx.out.paint(tone, &format!("{name:<9}")).into_owned();
    let about = match (event.event, event.fault.end_reason) {
        (EventKind::Ended, Some(why)) => {
            let error = event.fault.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
            format!("{}{error}", fault::reason(why))
        }
        _ => format!("{} ({})", fault::title(&event.fault), event.fault.backend),
    };
    let at = time::local_ms(event.at, &cx.zone());
    cx.out.line(format!("{at}  {name}  {}  {}", event.fault.id, one_line(&about)))
}
