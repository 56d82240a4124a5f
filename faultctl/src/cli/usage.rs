//! Usage errors, condensed to one clear line and a hint.

use std::{
    ffi::OsString,
    num::{ParseFloatError, ParseIntError},
};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use faultd_api::{Invalid, Kind};

use crate::failure::Failure;

/// `faultctl help inject` is `faultctl inject --help`.
pub fn as_options(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|arg| arg == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    args
}

/// One line and a hint instead of the parser's several.
pub fn condense(error: &clap::Error, args: &[OsString]) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::Help(error.render());
    }
    let command = command_of(args);
    if error.kind() == ErrorKind::MissingSubcommand && command == "faultctl" {
        // The same as without any argument or variable.
        return Failure::Help(super::definition().render_help());
    }
    let line = line(error, &command);
    Failure::Usage { line, hint: format!("for all options: {command} --help") }
}

/// What is wrong, in one line.
pub fn line(error: &clap::Error, command: &str) -> String {
    let arg = || option(&text(error, ContextKind::InvalidArg));
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_argument(error),
        ErrorKind::InvalidSubcommand => unknown_subcommand(error, command),
        ErrorKind::MissingSubcommand => match command {
            "faultctl inject" => format!("inject needs a fault: {}", kinds()),
            _ => format!("{command} needs a command"),
        },
        ErrorKind::MissingRequiredArgument if command == "faultctl revert" => {
            "revert needs the ID of a fault, or --all".to_owned()
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<_> =
                texts(error, ContextKind::InvalidArg).iter().map(|t| option(t)).collect();
            let verb = if missing.len() == 1 { "is" } else { "are" };
            format!("{} {verb} missing", listed(&missing, "and"))
        }
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::InvalidValue => invalid_value(error),
        ErrorKind::ValueValidation => validation(error),
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            format!("{} was given the wrong number of values", arg())
        }
        _ => first_line(error),
    }
}

fn unknown_argument(error: &clap::Error) -> String {
    let given = text(error, ContextKind::InvalidArg);
    let what = if given.starts_with('-') {
        format!("there is no option {given}")
    } else {
        format!("{given:?} is one argument too many")
    };
    did_you_mean(what, &texts(error, ContextKind::SuggestedArg))
}

fn unknown_subcommand(error: &clap::Error, command: &str) -> String {
    let given = text(error, ContextKind::InvalidSubcommand);
    let suggested = texts(error, ContextKind::SuggestedSubcommand);
    if command != "faultctl inject" {
        return did_you_mean(format!("there is no command {given:?}"), &suggested);
    }
    let what = format!("{given:?} is not a fault");
    if suggested.is_empty() {
        return format!("{what}; there are {}", kinds());
    }
    did_you_mean(what, &suggested)
}

fn conflict(error: &clap::Error) -> String {
    let arg = option(&text(error, ContextKind::InvalidArg));
    let prior: Vec<_> = texts(error, ContextKind::PriorArg).iter().map(|t| option(t)).collect();
    if prior.is_empty() || prior.contains(&arg) {
        return format!("{arg} was given twice");
    }
    format!("{arg} cannot be combined with {}", listed(&prior, "and"))
}

fn invalid_value(error: &clap::Error) -> String {
    let arg = option(&text(error, ContextKind::InvalidArg));
    let value = text(error, ContextKind::InvalidValue);
    if value.is_empty() {
        return format!("{arg} needs a value");
    }
    let valid = texts(error, ContextKind::ValidValue);
    let line = format!("{arg} takes {}, got {value:?}", listed(&valid, "or"));
    did_you_mean(line, &texts(error, ContextKind::SuggestedValue))
}

fn validation(error: &clap::Error) -> String {
    let arg = option(&text(error, ContextKind::InvalidArg));
    let value = text(error, ContextKind::InvalidValue);
    let Some(source) = std::error::Error::source(error) else { return first_line(error) };
    if let Some(invalid) = source.downcast_ref::<Invalid>() {
        return format!("{arg} {}", invalid.message);
    }
    if source.is::<ParseFloatError>() {
        return format!("{arg} takes a number, got {value:?}");
    }
    let source_text = source.to_string();
    // Integer options: clap words their bounds as `-5 is not in 0..=9`.
    if let Some((low, high)) =
        source_text.split_once(" is not in ").and_then(|(_, range)| range.split_once("..="))
    {
        return format!("{arg} must be between {low} and {high}, got {value}");
    }
    if source_text.contains("too large") {
        return format!("{arg} is too large: {value}");
    }
    if source.is::<ParseIntError>() || source_text.contains("digit") {
        return format!("{arg} takes a whole number, got {value:?}");
    }
    format!("{arg} {source_text}, got {value:?}")
}

fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn kinds() -> String {
    Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn did_you_mean(line: String, suggested: &[String]) -> String {
    match suggested {
        [] => line,
        [first, ..] => format!("{line}; did you mean {first}?"),
    }
}

/// `--ms <MS>` → `--ms`, `<ID>` → `ID`.
fn option(shown: &str) -> String {
    if shown.starts_with('-') {
        return shown.split([' ', '=']).next().unwrap_or(shown).to_owned();
    }
    shown.trim_matches(['<', '>', '[', ']', '.']).to_owned()
}

fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., end] => format!("{} {last} {end}", init.join(", ")),
    }
}

/// The command that was meant, as far as it can be told: `faultctl inject latency`.
fn command_of(args: &[OsString]) -> String {
    let mut command = &super::definition();
    let mut path = command.get_name().to_owned();
    for word in args.iter().skip(1).filter_map(|arg| arg.to_str()) {
        let Some(next) = command.find_subcommand(word) else { continue };
        command = next;
        path = format!("{path} {word}");
    }
    path
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    texts(error, kind).into_iter().next().unwrap_or_default()
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        Some(ContextValue::StyledStrs(texts)) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
