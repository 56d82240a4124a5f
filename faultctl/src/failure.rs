//! How a command fails, and the exit code that this means.

use std::io::{self, Write};

use clap::builder::StyledStr;
use faultd_api::{Invalid, client::ClientError};

use crate::{
    out::{Colour, Tone, one_line},
    run::RunError,
};

/// A command that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed makes no sense.
    #[error("{line}")]
    Usage {
        /// What is wrong.
        line: String,
        /// Where to read on.
        hint: String,
    },
    /// Nothing was typed: here is what could be.
    #[error("{0}")]
    Help(StyledStr),
    /// A value is out of bounds.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The daemon could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// A file could not be written.
    #[error("{what}: {source}")]
    File {
        /// Which, and what was tried.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The daemon did its part and the outcome is not what was asked for.
    #[error("{0}")]
    NotDone(String),
    /// No backend works here.
    #[error("{0}")]
    NotSupported(String),
    /// `run` did not run its command, or not to its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Every message was printed; this is the code of the first.
    #[error("")]
    Reported(u8),
    /// A signal ended the command early.
    #[error("")]
    Interrupted(u8),
}

// The exit codes of the contract. Those of the daemon's answers are in
// `Problem::exit_code`.
const DONE: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_REACHABLE: u8 = 3;
const NOT_PERMITTED: u8 = 4;
const NOT_SUPPORTED: u8 = 5;
// As env(1), timeout(1) and shells say it.
const COMMAND_NOT_EXECUTABLE: u8 = 126;
const COMMAND_NOT_FOUND: u8 = 127;

impl Failure {
    /// The exit code that this failure means.
    pub fn exit_code(&self) -> u8 {
        match self {
            // Whoever read our output has seen enough: `faultctl list | head -1`.
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => DONE,
            Self::Output(_) | Self::File { .. } | Self::NotDone(_) => FAILED,
            Self::Usage { .. } | Self::Help(_) | Self::Invalid(_) => USAGE,
            Self::Client(ClientError::NotReachable { .. }) => NOT_REACHABLE,
            Self::Client(ClientError::PermissionDenied { .. }) => NOT_PERMITTED,
            Self::Client(ClientError::Problem(problem)) => problem.exit_code(),
            Self::Client(ClientError::Protocol(_)) => FAILED,
            Self::NotSupported(_) => NOT_SUPPORTED,
            Self::Run(error) => match error {
                RunError::Kernel(_) | RunError::Nested | RunError::Refused(_) => NOT_SUPPORTED,
                RunError::NoSuchCall(_) | RunError::NoPath(_) | RunError::Nul(_) => USAGE,
                RunError::NotFound(_) => COMMAND_NOT_FOUND,
                RunError::Exec { .. } => COMMAND_NOT_EXECUTABLE,
                RunError::Start { .. } | RunError::Supervise { .. } => FAILED,
            },
            Self::Reported(code) => *code,
            // As shells report a death by signal: a script that runs this stops too.
            Self::Interrupted(signal) => 128 + signal,
        }
    }

    /// One line on standard error, and a hint where there is one.
    pub fn report(&self, colour: Colour) {
        match self {
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            Self::Reported(_) | Self::Interrupted(_) => {}
            Self::Help(text) if colour.on_stderr() => say(&text.ansi().to_string()),
            Self::Help(text) => say(&text.to_string()),
            Self::Usage { hint, .. } => {
                complain(colour, &self.to_string());
                say(hint);
            }
            _ => complain(colour, &self.to_string()),
        }
    }
}

/// Prints one `error:` line. Whatever the text holds, it stays one line and
/// cannot steer the terminal.
pub fn complain(colour: Colour, text: &str) {
    let label = Tone::Bad.paint("error:", colour.on_stderr());
    say(&format!("{label} {}", one_line(text)));
}

/// Prints a message on standard error. Where nobody reads that, the message is
/// lost and the command goes on.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
}
