//! How things are shown: aligned, coloured on a terminal only, or as JSON.

pub mod fault;
pub mod hits;
pub mod markdown;
pub mod table;
pub mod time;

use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR says otherwise
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl When {
    /// What `--color` says, read before the options are parsed; a malformed
    /// value is the parser's to refuse.
    pub fn in_args(args: &[OsString]) -> Self {
        let mut args = args.iter().map_while(|arg| arg.to_str()).take_while(|arg| *arg != "--");
        while let Some(arg) = args.next() {
            let value = match arg.strip_prefix("--color") {
                Some("") => args.next(),
                Some(rest) => rest.strip_prefix('='),
                None => continue,
            };
            return value.and_then(|v| Self::from_str(v, false).ok()).unwrap_or_default();
        }
        Self::Auto
    }
}

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub struct Colour(When);

impl Colour {
    /// As asked for, or as the environment suggests (<https://no-color.org>).
    pub fn new(when: When) -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || env::var_os("TERM").is_some_and(|v| v == "dumb");
        match when {
            When::Auto if unwanted => Self(When::Never),
            when => Self(when),
        }
    }

    fn on(self, terminal: bool) -> bool {
        match self.0 {
            When::Auto => terminal,
            When::Always => true,
            When::Never => false,
        }
    }

    /// Whether standard error is coloured.
    pub fn on_stderr(self) -> bool {
        self.on(io::stderr().is_terminal())
    }

    /// For the parser, which prints help and versions itself.
    pub fn for_clap(self) -> clap::ColorChoice {
        match self.0 {
            When::Auto => clap::ColorChoice::Auto,
            When::Always => clap::ColorChoice::Always,
            When::Never => clap::ColorChoice::Never,
        }
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// A heading, or the one thing to see.
    Strong,
    /// Beside the point.
    Faint,
    /// In force, works.
    Good,
    /// Failed, missing.
    Bad,
    /// On its way, refused.
    Warn,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |c: AnsiColor| Style::new().fg_color(Some(c.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Warn => colour(AnsiColor::Yellow),
        }
    }

    /// The text in this tone, or as it is.
    pub fn paint(self, text: &str, on: bool) -> Cow<'_, str> {
        if !on || self == Self::Plain || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let style = self.style();
        Cow::Owned(format!("{style}{text}{style:#}"))
    }
}

/// Text from elsewhere (labels, process names) on one line, without control
/// characters that would steer the terminal.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// Standard output.
#[derive(Debug)]
pub struct Out {
    to: BufWriter<Stdout>,
    json: bool,
    colour: bool,
    terminal: bool,
}

impl Out {
    /// For people, or as JSON.
    pub fn new(json: bool, colour: Colour) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { to: BufWriter::new(stdout), json, colour: colour.on(terminal), terminal }
    }

    /// Whether JSON is asked for.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks at it right now.
    pub fn on_terminal(&self) -> bool {
        self.terminal
    }

    /// The text in a tone, where colours are on.
    pub fn paint<'a>(&self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        tone.paint(text, self.colour)
    }

    /// One line for people.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        writeln!(self.to, "{}", text.as_ref()).map_err(Failure::Output)
    }

    /// Text that brings its own line ends.
    pub fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.to.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// A table for people.
    pub fn table(&mut self, table: &table::Table) -> Result<(), Failure> {
        let text = table.render(self.colour);
        self.raw(&text)
    }

    /// One JSON document on one line.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, value).map_err(|e| Failure::Output(e.into()))?;
        self.line("")?;
        self.flush()
    }

    /// Makes everything printed so far visible. Must be called at the end: a
    /// write that fails unseen would look like success.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(Failure::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn color_is_found_before_parsing() {
        let when =
            |args: &[&str]| When::in_args(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(when(&["faultctl", "--color", "never", "list"]), When::Never);
        assert_eq!(when(&["faultctl", "list", "--color=always"]), When::Always);
        assert_eq!(when(&["faultctl", "--color=pink"]), When::Auto);
        assert_eq!(when(&["faultctl", "--", "--color=never"]), When::Auto);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31mb\nc"), "a [31mb c");
    }
}
