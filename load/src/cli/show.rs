//! Progress while a run goes on: one line that is rewritten on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write, stderr};

use crate::{
    engine::{Observer, Progress},
    summary::Second,
};

/// Where there is no terminal, a line in so many seconds.
const EVERY: u32 = 5;

/// Shows progress on standard error.
#[derive(Debug)]
pub struct Show {
    quiet: bool,
    terminal: bool,
}

impl Show {
    /// On standard error, unless `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: stderr().is_terminal() }
    }
}

impl Observer for Show {
    fn second(&mut self, row: &Second, progress: &Progress) -> bool {
        let last = progress.at_s + 0.5 >= progress.planned_s;
        let due = self.terminal || last || row.t_s % EVERY == EVERY - 1;
        if !self.quiet && due {
            let line = line(row, progress);
            // Progress that cannot be shown is no reason to end a run.
            let _shown = if self.terminal {
                let end = if last || progress.stopping { "\n" } else { "" };
                write!(stderr(), "\r\x1b[K{line}{end}").and_then(|()| stderr().flush())
            } else {
                writeln!(stderr(), "{line}")
            };
        }
        true
    }
}

fn line(row: &Second, progress: &Progress) -> String {
    let left = (progress.planned_s - progress.at_s).max(0.0);
    let rate = if row.length_s > 0.0 { row.ok as f64 / row.length_s } else { 0.0 };
    let asked = if progress.asked_rate > 0.0 {
        format!(" of {:.0}", progress.asked_rate)
    } else {
        String::new()
    };
    let users = if row.users > 0 { format!("  {} users", row.users) } else { String::new() };
    let p95 = row.p95_ms.map_or("-".to_owned(), |ms| format!("{ms:.2} ms"));
    let probe = row.probes_ok + row.probes_failed;
    let probe = if row.probes_failed > 0 {
        format!("  probe {}/{probe}", row.probes_ok)
    } else {
        String::new()
    };
    let stopping = if progress.stopping { "  ending" } else { "" };
    let skipped =
        if row.skipped > 0 { format!("  {} skipped", row.skipped) } else { String::new() };
    format!(
        "{:>5.0} s  {}  {rate:.0}/s{asked}{users}  p95 {p95}  {} errors  {} in flight{skipped}{probe}  \
         {left:.0} s left{stopping}",
        progress.at_s, progress.stage, row.failed, row.in_flight
    )
}
