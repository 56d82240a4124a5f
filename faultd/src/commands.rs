//! Subcommands of faultd that do one thing and exit.

use std::{
    fmt,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use faultd_api::Leftover;

use crate::{config::Config, engine::recover, leftovers};

/// `faultd recover`: takes back what a dead daemon left, and says what.
///
/// # Errors
/// When a daemon is running there, or the journal cannot be read.
pub fn recover(state_dir: &Path) -> anyhow::Result<ExitCode> {
    let report = recover::recover(state_dir)?;
    for entry in &report.entries {
        match &entry.error {
            None => say(format_args!("{}: undone: {}", entry.owner, entry.what)),
            Some(e) => say(format_args!("{}: NOT undone: {e}", entry.owner)),
        }
    }
    if report.entries.is_empty() {
        say(format_args!("nothing to undo"));
    }
    tell_orphans();
    Ok(ExitCode::from(u8::from(report.failed().next().is_some())))
}

/// Warns of what bears faultd's marks although no faultd is there: its journal
/// must have been lost. Nothing is done about it, as it is not known how the
/// host was before.
fn tell_orphans() {
    // Without root there is nothing to see, nor was anything undone.
    for Leftover { what, remove } in leftovers::find().unwrap_or_default() {
        let how = remove.map(|command| format!("; remove it with `{command}`"));
        let how = how.unwrap_or_default();
        let _ = writeln!(io::stderr(), "faultd: left behind by a dead daemon: {what}{how}");
    }
}

/// `faultd check-config`: whether the daemon would take a policy file.
///
/// # Errors
/// Where and what is wrong with it.
pub fn check_config(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(Some(path))?;
    let path = path.display();
    for name in config.unknown_names() {
        say(format_args!("{path}: {name} does not exist on this host and matches nobody"));
    }
    say(format_args!("{path}: ok"));
    Ok(ExitCode::SUCCESS)
}

/// A reader that has gone away is no failure.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}
