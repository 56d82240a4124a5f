//! `check`, `schema`: scenarios without running them; and what `run` shares with them.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};

use super::{USAGE, print, tell};
use crate::scenario::{self, LoadError, Options, Scenario};

/// A scenario file and what is said to it.
#[derive(Debug, Args)]
pub struct ScenarioArgs {
    /// The scenario: .yaml, .yml, .toml or .json
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Sets a variable of the scenario's `vars`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    vars: Vec<(String, String)>,
    /// Factor of all times of the run's course: 0.1 makes ten minutes one
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Repeats the random decisions of a run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("takes NAME=VALUE".to_owned()),
    }
}

/// `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value = "scenario")]
    of: SchemaOf,
}

/// What a schema is of.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaOf {
    /// Scenario files
    Scenario,
    /// summary.json
    Summary,
}

impl ScenarioArgs {
    /// The scenario; what is wrong with it is printed, and `Err` has the exit code.
    pub(super) fn load(&self) -> Result<std::result::Result<Scenario, u8>> {
        let vars = self.vars.iter().cloned().collect();
        let options = Options { vars, scale: self.scale, seed: self.seed };
        match scenario::load(&self.file, &options) {
            Ok(scenario) => Ok(Ok(scenario)),
            Err(error @ LoadError::Read { .. }) => Err(anyhow!(error)),
            Err(error) => {
                tell(format_args!("error: {error}"));
                Ok(Err(USAGE))
            }
        }
    }
}

/// Validates a scenario and shows its timeline.
pub(super) fn check(args: &ScenarioArgs) -> Result<u8> {
    match args.load()? {
        Ok(scenario) => print(&scenario::timeline_text(&scenario)).map(|()| 0),
        Err(code) => Ok(code),
    }
}

/// Prints a JSON Schema.
pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    let schema = match args.of {
        SchemaOf::Scenario => scenario::schema(),
        SchemaOf::Summary => scenario::summary_schema(),
    };
    print(&(serde_json::to_string_pretty(&schema)? + "\n")).map(|()| 0)
}
