//! Progress while a run goes on: one line that is rewritten on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use super::tell;
use crate::{
    engine::{Observer, Progress},
    faults::Active,
    figures,
    summary::Second,
};

/// Where there is no terminal, a line in so many seconds; and one whenever a fault has begun or
/// ended.
const EVERY: u32 = 5;

/// Shows progress on standard error.
#[derive(Debug)]
pub struct Show {
    quiet: bool,
    terminal: bool,
    active: Active,
    /// Faults of the second before.
    before: Vec<String>,
}

impl Show {
    /// On standard error, unless `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let (active, before) = (Active::default(), Vec::new());
        Self { quiet, terminal: stderr().is_terminal(), active, before }
    }

    /// With the faults that are `active`.
    #[must_use]
    pub fn with_faults(self, active: Active) -> Self {
        Self { active, ..self }
    }
}

impl Observer for Show {
    fn second(&mut self, row: &Second, progress: &Progress) -> bool {
        let last = progress.at_s + 0.5 >= progress.planned_s;
        let faults = self.active.names();
        let due = self.terminal || last || faults != self.before || row.t_s % EVERY == EVERY - 1;
        if !self.quiet && due {
            let line = line(row, progress, &faults);
            // Progress that cannot be shown is no reason to end a run.
            let _shown = if self.terminal {
                let end = if last || progress.stopping { "\n" } else { "" };
                write!(stderr(), "\r\x1b[K{line}{end}").and_then(|()| stderr().flush())
            } else {
                writeln!(stderr(), "{line}")
            };
        }
        self.before = faults;
        true
    }

    /// Said to somebody who waits for it to end, also when they want to hear nothing else.
    fn interrupted(&mut self, in_flight: u64, grace: Duration) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        tell(format_args!("{clear}{}", ending(in_flight, grace)));
    }
}

fn ending(in_flight: u64, grace: Duration) -> String {
    let requests = if in_flight == 1 { "request" } else { "requests" };
    format!(
        "ending: {in_flight} {requests} in flight may go on for {} (Ctrl-C again ends at once)",
        figures::seconds(grace.as_secs_f64())
    )
}

fn line(row: &Second, progress: &Progress, faults: &[String]) -> String {
    let left = (progress.planned_s - progress.at_s).max(0.0);
    let rate = if row.length_s > 0.0 { row.ok as f64 / row.length_s } else { 0.0 };
    let asked = if progress.asked_rate > 0.0 {
        format!(" of {:.0}", progress.asked_rate)
    } else {
        String::new()
    };
    let users = if row.users > 0 { format!("  {} users", row.users) } else { String::new() };
    let p95 = figures::maybe_ms(row.p95_ms);
    let probe = row.probes_ok + row.probes_failed;
    let probe = if row.probes_failed > 0 {
        format!("  probe {}/{probe}", row.probes_ok)
    } else {
        String::new()
    };
    let faults = match faults {
        [] => String::new(),
        faults => format!("  fault {}", one_line(&faults.join(" + "))),
    };
    // A run that has no phases of its own is one phase, which says nothing.
    let place = match progress.phase.as_str() {
        "run" | "load" => progress.stage.clone(),
        phase if phase == progress.stage => phase.to_owned(),
        phase => format!("{} [{phase}]", progress.stage),
    };
    let place = one_line(&place);
    let stopping = if progress.stopping { "  ending" } else { "" };
    let skipped =
        if row.skipped > 0 { format!("  {} skipped", row.skipped) } else { String::new() };
    format!(
        "{:>5.0} s  {place}  {rate:.0}/s{asked}{users}  p95 {p95}  {} errors{faults}  \
         {} in flight{skipped}{probe}  {left:.0} s left{stopping}",
        progress.at_s, row.failed, row.in_flight
    )
}

/// Whatever a name holds, it cannot steer the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_interrupts_hears_how_long_it_may_take() {
        assert_eq!(
            ending(3, Duration::from_secs(30)),
            "ending: 3 requests in flight may go on for 30s (Ctrl-C again ends at once)"
        );
        assert!(
            ending(1, Duration::from_secs(90))
                .starts_with("ending: 1 request in flight may go on for 1m 30s")
        );
    }

    #[test]
    fn the_line_says_phase_rate_users_p95_errors_faults_and_time_left() {
        let row = Second {
            length_s: 1.0,
            ok: 100,
            failed: 3,
            users: 20,
            in_flight: 4,
            p95_ms: Some(512.5),
            ..Second::default()
        };
        let mut progress = Progress {
            at_s: 30.0,
            planned_s: 90.0,
            stage: "hold".into(),
            phase: "fault".into(),
            asked_rate: 0.0,
            asked_users: 20,
            ok: 0,
            failed: 0,
            stopping: false,
        };
        let faults = ["latency".to_owned(), "lossy\u{1b}[2J".to_owned()];
        assert_eq!(
            line(&row, &progress, &faults),
            "   30 s  hold [fault]  100/s  20 users  p95 512 ms  3 errors  \
             fault latency + lossy [2J  4 in flight  60 s left"
        );
        progress.phase = "run".into();
        let plain = line(&row, &progress, &[]);
        assert!(plain.starts_with("   30 s  hold  100/s") && !plain.contains("fault"), "{plain}");
    }
}
