//! Scenario files: what a run does, written down.
//!
//! ```text
//! file ─▶ read: text ─▶ tree with places ─▶ variables put in ─▶ types of `file`
//!                                                                    │
//!                       plan, faults, phases, thresholds ◀─ build ◀──┘
//! ```
//!
//! Invariants:
//! - What is not understood is refused; nothing is ignored.
//! - Every error has the file, a line and a column, and says what would be right.
//! - A [`Scenario`] that was loaded has every name resolved, every template, path and expression
//!   compiled, and every file that it names read.

mod build;
mod file;
mod read;
mod schema;
mod timeline;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use faultd_api::FaultRequest;

pub use build::typed_fault;
pub use read::{LoadError, Place};
pub use schema::{schema, summary_schema};
pub use timeline::timeline_text;

use crate::{
    plan::Plan,
    summary::{PhaseKind, ScenarioInfo},
    threshold::Threshold,
};
use file::ScenarioFile;
use read::{Format, Problem, Text, Value, from_node, insert, parse};

/// A scenario with every name resolved.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What is sent, and when.
    pub plan: Plan,
    /// What results call it.
    pub info: ScenarioInfo,
    /// Words to choose it by.
    pub tags: Vec<String>,
    /// Faults, in order of their start.
    pub faults: Vec<FaultPlan>,
    /// Phases without gaps from the start of the run to its end.
    pub phases: Vec<PhasePlan>,
    /// What is asked of the numbers.
    pub thresholds: Vec<Threshold>,
}

/// A fault on the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// When it is injected, since the start of the run.
    pub start: Duration,
    /// What is asked of the daemon; its `duration` is how long it lasts.
    pub request: FaultRequest,
    /// In the words of `faultctl inject`.
    pub text: String,
}

/// A phase as it is planned; where a fault makes it, the daemon says when it really began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhasePlan {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: PhaseKind,
    /// Its start, since the start of the run.
    pub start: Duration,
    /// Its end.
    pub end: Duration,
}

/// What the command line says to a scenario.
#[derive(Debug, Clone)]
pub struct Options {
    /// Variables that are given.
    pub vars: BTreeMap<String, String>,
    /// Factor of all times of the run's course (stages, faults, phases), not of time-outs and
    /// pauses.
    pub scale: f64,
    /// Seed of all random decisions, before that of the file.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { vars: BTreeMap::new(), scale: 1.0, seed: None }
    }
}

impl Scenario {
    /// Whether it is to be run when only scenarios with one of the tags `only` are (all, if there
    /// are none) and those with one of `skip` are not.
    #[must_use]
    pub fn is_selected(&self, only: &[String], skip: &[String]) -> bool {
        let has = |wanted: &[String]| wanted.iter().any(|tag| self.tags.contains(tag));
        (only.is_empty() || has(only)) && !has(skip)
    }
}

/// Reads a scenario file: `.yaml`, `.yml`, `.toml` or `.json`.
///
/// # Errors
/// If it cannot be read, or anything in it is wrong.
pub fn load(path: &Path, options: &Options) -> Result<Scenario, LoadError> {
    let format = Format::of(path).ok_or_else(|| {
        let message = "a scenario is a .yaml, .yml, .toml or .json file";
        LoadError::Option(format!("{}: {message}", path.display()))
    })?;
    let text = fs::read_to_string(path)
        .map_err(|cause| LoadError::Read { path: PathBuf::from(path), cause })?;
    let dir = path.parent().unwrap_or(Path::new("."));
    from_text(&path.display().to_string(), &text, format, dir, options)
}

/// Reads a scenario in YAML from a text; files that it names are relative to `dir`.
///
/// # Errors
/// If anything in it is wrong.
pub fn from_yaml(
    name: &str,
    text: &str,
    dir: &Path,
    options: &Options,
) -> Result<Scenario, LoadError> {
    from_text(name, text, Format::Yaml, dir, options)
}

fn from_text(
    name: &str,
    text: &str,
    format: Format,
    dir: &Path,
    options: &Options,
) -> Result<Scenario, LoadError> {
    if !(options.scale > 0.0 && options.scale <= 1000.0) {
        let message = format!("--scale takes a factor above 0, such as 0.1, got {}", options.scale);
        return Err(LoadError::Option(message));
    }
    let text = Text { file: name, text };
    let error = |problem: Problem| match problem.place {
        // It is about the command line.
        None if problem.message.starts_with("--") => LoadError::Option(problem.message),
        _ => text.error(problem),
    };
    let mut tree = parse(&text, format).map_err(error)?;
    if tree.value == Value::Null {
        let message = "says nothing: a scenario has at least `name`, `flows` and `stages`";
        return Err(error(Problem::at(tree.place, message)));
    }
    let vars = insert(&mut tree, &options.vars).map_err(error)?;
    let file: ScenarioFile = from_node(&tree).map_err(error)?;
    let given = vars.into_iter().filter(|(name, _)| options.vars.contains_key(name));
    let shown = given.map(|(name, value)| (name.clone(), unsecret(&name, value))).collect();
    build::build(&file, text, dir, shown, options).map_err(error)
}

/// The value of a variable for reports: what its name says is secret is left out.
fn unsecret(name: &str, value: String) -> String {
    let name = name.to_lowercase();
    let is_secret =
        ["pass", "secret", "token", "key", "credential"].iter().any(|w| name.contains(w));
    if is_secret { "(hidden)".into() } else { value }
}

#[cfg(test)]
mod tests;
