//! `inject KIND`: the subcommands come from the parameter types of the API.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand, error::ErrorKind};
use faultd_api::{
    CATALOG, DEFAULT_FOR, FaultRequest, Invalid, Kind, KindInfo, Params, Span, Target,
};

/// A fault that was typed.
#[derive(Debug)]
pub struct Inject {
    pub params: Params,
    pub target: Target,
    pub options: Options,
}

/// What every kind takes besides its parameters and its target.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct Options {
    /// How long: 500ms, 60s, 5m, 1h30m [default: 60s]
    #[arg(long = "for", value_name = "DUR", allow_hyphen_values = true)]
    pub duration: Option<Span>,
    /// Free text, shown in lists
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Seed of the random decisions, to repeat a run [default: drawn by the daemon]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Insist on one backend; `faultctl doctor` lists them [default: the best that works]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// End the fault unless it is confirmed within DUR, again and again; with --wait this
    /// command confirms it
    #[arg(long, value_name = "DUR", allow_hyphen_values = true)]
    pub lease: Option<Span>,
    /// The same, for a person: `faultctl confirm ID` keeps the fault
    #[arg(long, value_name = "DUR", conflicts_with = "lease", allow_hyphen_values = true)]
    pub confirm_within: Option<Span>,
    /// Print what would be done and change nothing
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Lift the safety rails, where the policy lets you
    #[arg(long)]
    pub force: bool,
    /// Return when the fault has ended; Ctrl-C reverts it
    #[arg(long)]
    pub wait: bool,
}

impl Inject {
    /// The request, checked before anything is sent.
    pub fn request(&self) -> Result<FaultRequest, Invalid> {
        let Options { duration, label, seed, backend, lease, confirm_within, force, .. } =
            &self.options;
        let request = FaultRequest {
            params: self.params.clone(),
            target: self.target.clone(),
            duration: duration.unwrap_or(DEFAULT_FOR),
            label: label.clone(),
            seed: *seed,
            backend: backend.clone(),
            lease: lease.or(*confirm_within),
            force: *force,
        };
        request.validate().map_err(|e| match (e.field.as_str(), confirm_within) {
            ("lease", Some(_)) => Invalid::new("confirm_within", e.message),
            _ => e,
        })?;
        Ok(request)
    }
}

impl Subcommand for Inject {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(CATALOG.iter().map(kind_command))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name.parse::<Kind>().is_ok()
    }
}

fn kind_command(info: &'static KindInfo) -> Command {
    let command = Command::new(info.kind.name()).next_help_heading("Parameters");
    let command = Params::augment_args(info.kind, command);
    let command = Options::augment_args(Target::augment_args(command));
    command
        // A negative number is a wrong value, not an unknown option.
        .mut_args(|arg| match arg.get_action().takes_values() {
            true => arg.allow_negative_numbers(true),
            false => arg,
        })
        .about(capitalised(info.summary))
        .long_about(None)
        .after_help(format!("Example:\n  {}\n\nMore: faultctl catalog {}", info.example, info.kind))
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl FromArgMatches for Inject {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, matches) =
            matches.subcommand().ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let kind =
            name.parse().map_err(|e: Invalid| clap::Error::raw(ErrorKind::InvalidSubcommand, e))?;
        Ok(Self {
            params: Params::from_arg_matches(kind, matches)?,
            target: Target::from_arg_matches(matches)?,
            options: Options::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use faultd_api::RawRequest;
    use serde_json::json;

    use super::*;

    /// Every parameter of a kind, as option and as JSON field.
    fn parameters(kind: Kind) -> Vec<(String, String)> {
        Params::augment_args(kind, Command::new(kind.name()))
            .get_arguments()
            .map(|arg| (arg.get_long().unwrap_or_default().to_owned(), arg.get_id().to_string()))
            .collect()
    }

    #[test]
    fn every_parameter_is_described_in_the_catalogue() {
        for info in CATALOG {
            for (option, field) in parameters(info.kind) {
                let row = info.page.lines().find(|l| l.starts_with(&format!("| `--{option}")));
                let row = row.unwrap_or_else(|| panic!("{}: no row for --{option}", info.kind));
                assert!(row.contains(&format!("`{field}`")), "{}: no {field}: {row}", info.kind);
            }
        }
    }

    #[test]
    fn every_example_of_the_catalogue_can_be_typed() {
        for info in CATALOG {
            let lines = info.page.lines().filter(|line| line.starts_with("faultctl inject"));
            for line in lines.chain([info.example]) {
                let parsed = crate::cli::definition().try_get_matches_from(line.split(' '));
                let matches = parsed.unwrap_or_else(|e| panic!("{line}: {e}"));
                let (_, matches) = matches.subcommand().unwrap();
                let inject = Inject::from_arg_matches(matches).unwrap();
                assert_eq!(inject.params.kind(), info.kind, "{line}");
                inject.request().unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
    }

    #[test]
    fn the_same_request_whether_typed_or_sent() {
        let line = "faultctl inject latency --ms 5 --jitter 1 --port 80 --for 5s";
        let matches = crate::cli::definition().get_matches_from(line.split(' '));
        let typed = Inject::from_arg_matches(matches.subcommand().unwrap().1).unwrap().request();
        let sent: RawRequest = serde_json::from_value(json!({
            "kind": "latency", "params": {"ms": 5, "jitter_ms": 1}, "target": {"port": 80},
            "for": "5s"
        }))
        .unwrap();
        assert_eq!(typed, sent.check());
    }
}
