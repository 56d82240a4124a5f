//! `revert ID… | --all`: as many as possible, every failure reported.

use faultd_api::{
    EndReason, Fault,
    client::{Client, ClientError},
};
use serde::Serialize;

use super::Context;
use crate::{failure::Failure, out::fault};

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    reverted: Vec<Fault>,
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Failed {
    id: String,
    error: String,
}

/// What came of one id.
type Answer = (String, Result<Fault, ClientError>);

pub fn run(cx: &mut Context, ids: &[String], all: bool) -> Result<(), Failure> {
    let client = cx.client()?;
    let mut first_code = None;
    let mut outcome = Outcome::default();
    let mut failed = |id: &str, failure: &Failure, outcome: &mut Outcome| {
        first_code.get_or_insert(failure.exit_code());
        outcome.failed.push(Failed { id: id.to_owned(), error: failure.to_string() });
    };
    for (id, result) in results(&client, ids, all)? {
        match result {
            Ok(fault) => match &fault.error {
                Some(error) => failed(&id, &remains(error), &mut outcome),
                None => outcome.reverted.push(fault),
            },
            Err(e) => failed(&id, &e.into(), &mut outcome),
        }
    }
    print(cx, &outcome, all)?;
    cx.out.flush()?;
    first_code.map_or(Ok(()), |code| Err(Failure::Reported(code)))
}

fn remains(error: &str) -> Failure {
    Failure::NotDone(format!("not taken back completely: {error}"))
}

/// One result a fault. Fails as a whole only where no fault could be reached.
fn results(client: &Client, ids: &[String], all: bool) -> Result<Vec<Answer>, Failure> {
    if all {
        let faults = client.revert_all()?;
        return Ok(faults.into_iter().map(|fault| (fault.id.clone(), Ok(fault))).collect());
    }
    let mut results = Vec::new();
    for (i, id) in ids.iter().enumerate() {
        if ids[..i].contains(id) {
            continue;
        }
        match client.revert(id) {
            // Every other fault would meet the same.
            Err(e @ (ClientError::NotReachable { .. } | ClientError::PermissionDenied { .. }))
                if results.is_empty() =>
            {
                return Err(e.into());
            }
            result => results.push((id.clone(), result)),
        }
    }
    Ok(results)
}

fn print(cx: &mut Context, outcome: &Outcome, all: bool) -> Result<(), Failure> {
    for failed in &outcome.failed {
        match failed.error.contains(&failed.id) {
            true => cx.complain(&failed.error),
            false => cx.complain(&format!("{}: {}", failed.id, failed.error)),
        }
    }
    if cx.out.wants_json() {
        return cx.out.document(outcome);
    }
    if all && outcome.reverted.is_empty() && outcome.failed.is_empty() {
        cx.say("no fault in force");
    }
    for ended in &outcome.reverted {
        let title = fault::title(ended);
        cx.out.line(match ended.end_reason {
            Some(EndReason::Reverted) | None => format!("{} reverted: {title}", ended.id),
            Some(why) => format!("{} was over already ({}): {title}", ended.id, fault::reason(why)),
        })?;
    }
    Ok(())
}
