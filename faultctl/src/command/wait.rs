//! `inject --wait`: stays until the fault is over, and tells how it went.

use std::time::{Duration, Instant};

use faultd_api::{EndReason, Fault, State, client::Client};

use super::{Context, now};
use crate::{
    failure::Failure,
    interrupt::Interrupt,
    out::{Tone, fault, time},
};

/// A fault may end early (reverted by somebody else): look at least this often.
const LOOK: Duration = Duration::from_millis(500);
/// Look at most this often.
const NAP: Duration = Duration::from_millis(20);

/// Returns the fault as it ended. A signal reverts it; with `renew`, its lease
/// is confirmed that often.
pub fn until_ended(
    cx: &mut Context,
    client: &Client,
    interrupt: &Interrupt,
    mut fault: Fault,
    renew: Option<Duration>,
) -> Result<Fault, Failure> {
    let mut renewed = Instant::now();
    while fault.state != State::Ended {
        let nap = LOOK.min(renew.unwrap_or(LOOK)).min(time::left(now(), fault.expires_at));
        if let Some(signal) = interrupt.within(nap.max(NAP))? {
            cx.say(&format!("interrupted: reverting {}", fault.id));
            let ended = client.revert(&fault.id)?;
            return match report(cx, &ended).and_then(|()| cx.out.flush()) {
                Err(e) if e.exit_code() != 0 => Err(e),
                _ => Err(Failure::Interrupted(signal)),
            };
        }
        let due = renew.is_some_and(|every| renewed.elapsed() >= every);
        fault = if due { client.confirm(&fault.id) } else { client.show(&fault.id) }?;
        if due {
            renewed = Instant::now();
        }
    }
    Ok(fault)
}

/// How it ended, what it did, requested beside achieved.
pub fn report(cx: &mut Context, fault: &Fault) -> Result<(), Failure> {
    if cx.out.wants_json() {
        cx.out.document(fault)?;
    } else {
        let id = cx.out.paint(Tone::Strong, &fault.id).into_owned();
        let how = fault.end_reason.map_or("ended", fault::reason);
        let lasted = fault::lasted(fault).map(|t| format!(" after {t}")).unwrap_or_default();
        cx.out.line(format!("{id} {how}{lasted}"))?;
        figures(cx, fault)?;
    }
    let why = |text: &str| {
        let error = fault.error.as_deref().unwrap_or("see the daemon's log");
        Err(Failure::NotDone(format!("{} {text}: {error}", fault.id)))
    };
    match (fault.end_reason, &fault.error) {
        (Some(EndReason::Failed), _) => why("failed"),
        (_, Some(_)) => why("could not be taken back completely"),
        (Some(EndReason::LeaseLost), _) => {
            Err(Failure::NotDone(format!("{} was not confirmed in time", fault.id)))
        }
        (Some(EndReason::DaemonExit), _) => {
            Err(Failure::NotDone(format!("{} ended early because faultd stopped", fault.id)))
        }
        _ => Ok(()),
    }
}

/// Counters, requested beside achieved, and single processes.
pub fn figures(cx: &mut Context, fault: &Fault) -> Result<(), Failure> {
    cx.out.line("")?;
    cx.out.table(&fault::counters(fault))?;
    if let Some(achieved) = fault::achieved(fault) {
        cx.out.line("")?;
        cx.out.table(&achieved)?;
    }
    if let Some(processes) = fault::processes(fault) {
        cx.out.line("")?;
        cx.out.table(&processes)?;
    }
    Ok(())
}
