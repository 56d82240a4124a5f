//! What each command does, one file a command.

mod catalog;
mod completions;
mod confirm;
mod doctor;
mod events;
mod explain;
mod inject;
mod list;
mod man;
mod plan;
mod revert;
mod run;
mod show;
mod version;
mod wait;
mod watch;

use std::{borrow::Cow, cell::OnceCell, path::PathBuf};

use faultd_api::{DEFAULT_SOCKET, client::Client};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    cli::{Cli, Command},
    failure::{Failure, complain, say},
    out::{Colour, Out, one_line},
};

/// What every command works with.
struct Context {
    socket: PathBuf,
    out: Out,
    colour: Colour,
    zone: OnceCell<TimeZone>,
}

impl Context {
    fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.socket)?)
    }

    /// The local time zone, read when a time is first shown.
    fn zone(&self) -> TimeZone {
        self.zone.get_or_init(TimeZone::system).clone()
    }

    /// A command as one would have to type it to reach the same daemon.
    fn typed(&self, command: &str) -> String {
        if self.socket.as_os_str() == DEFAULT_SOCKET {
            return format!("faultctl {command}");
        }
        format!("faultctl --socket {} {command}", quoted(&self.socket.to_string_lossy()))
    }

    fn complain(&self, text: &str) {
        complain(self.colour, text);
    }

    /// A message that is not part of the result.
    fn say(&self, text: &str) {
        say(&one_line(text));
    }
}

/// Runs one command to its end.
pub fn run(cli: Cli, out: Out) -> Result<(), Failure> {
    let mut cx = Context {
        socket: cli.global.socket,
        out,
        colour: Colour::new(cli.global.color),
        zone: OnceCell::new(),
    };
    match cli.command {
        Command::Inject(inject) => inject::run(&mut cx, &inject),
        Command::List { all } => list::run(&mut cx, all),
        Command::Show(one) => show::run(&mut cx, &one.id),
        Command::Watch { id } => watch::run(&mut cx, id.as_deref()),
        Command::Revert { ids, all } => revert::run(&mut cx, &ids, all),
        Command::Explain(explain) => explain::run(&mut cx, &explain.target),
        Command::Doctor(one) => doctor::run(&mut cx, one.kind),
        Command::Catalog(one) => catalog::run(&mut cx, one.kind),
        Command::Events { follow } => events::run(&mut cx, follow),
        Command::Run(args) => run::run(&mut cx, *args),
        Command::Confirm(one) => confirm::run(&mut cx, &one.id),
        Command::Completions { shell } => completions::run(&mut cx, shell),
        Command::Man { dir } => man::run(&mut cx, &dir),
        Command::Version => version::run(&mut cx),
    }?;
    cx.out.flush()
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// Quoted for a shell where it has to be.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("/run/faultd/x.sock"), "/run/faultd/x.sock");
        assert_eq!(quoted("/tmp/it's $HOME"), r"'/tmp/it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
