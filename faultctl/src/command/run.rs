//! `run -- CMD…`.

use super::Context;
use crate::{
    cli::Run,
    failure::{Failure, say},
    out::one_line,
    run::{self, Ended, Plan, Summary},
};

pub fn run(cx: &mut Context, args: Run) -> Result<(), Failure> {
    let plan = Plan {
        command: args.command,
        specs: args.faults,
        duration: args.duration.map(|span| span.get()),
        seed: args.seed,
    };
    let (ended, summary) = run::run(plan)?;
    report(cx, &summary);
    match ended {
        Ended::Exited(0) => Ok(()),
        Ended::Exited(code) => Err(Failure::Reported(u8::try_from(code).unwrap_or(u8::MAX))),
        Ended::Signaled(signal) => Err(Failure::Interrupted(signal as u8)),
    }
}

/// On standard error, also as JSON: standard output is the command's.
fn report(cx: &Context, summary: &Summary) {
    if cx.out.wants_json() {
        // Such values always have a JSON form.
        say(&serde_json::to_string(summary).unwrap_or_default());
        return;
    }
    for line in summary.lines() {
        say(&one_line(&line));
    }
}
