//! Flows and their steps.

use std::time::Duration;

use super::{Request, WriteNote};
use crate::{
    check::Check,
    extract::Extract,
    template::{Name, Template},
};

/// What one user does from start to end: steps, one after the other.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Shown in reports.
    pub name: String,
    /// In order; a step that fails ends the flow.
    pub steps: Vec<Step>,
    /// Users keep their connections from one run of the flow to the next.
    pub keep_connections: bool,
    /// Users keep the values of their variables from one run of the flow to the next.
    pub keep_variables: bool,
    /// A pause of each user after each run, however it ended. Arrivals have none: the next one
    /// comes when it is due.
    pub think: Option<Think>,
}

impl Flow {
    /// A flow of one step, named like it, with connections kept.
    #[must_use]
    pub fn single(step: Step) -> Self {
        Self {
            name: step.name.clone(),
            steps: vec![step],
            keep_connections: true,
            keep_variables: false,
            think: None,
        }
    }
}

/// One request and what is expected of its answer.
#[derive(Debug, Clone)]
pub struct Step {
    /// Shown in reports.
    pub name: String,
    /// Variables that are made before it is sent, in order.
    pub sets: Vec<(Name, Template)>,
    /// What is sent.
    pub request: Request,
    /// From the start of the attempt (connection included) to the end of the answer.
    pub timeout: Duration,
    /// When it fails.
    pub retry: Retry,
    /// Values that are taken out of the answer, for later steps.
    pub extracts: Vec<Extract>,
    /// What must hold for the answer.
    pub checks: Vec<Check>,
    /// A pause after the step; of users also when the step has failed.
    pub think: Option<Think>,
    /// The flow goes on when this step has failed.
    pub may_fail: bool,
    /// How many times the step is done in a row; at least 1.
    pub repeat: u32,
    /// It writes something that is read back after the run.
    pub ledger: Option<WriteNote>,
}

impl Step {
    /// A step without checks, extraction, retries and pause, with 30 s for its answer.
    #[must_use]
    pub fn new(name: impl Into<String>, request: Request) -> Self {
        Self {
            name: name.into(),
            sets: Vec::new(),
            request,
            timeout: Duration::from_secs(30),
            retry: Retry::default(),
            extracts: Vec::new(),
            checks: Vec::new(),
            think: None,
            may_fail: false,
            repeat: 1,
            ledger: None,
        }
    }
}

/// What to do when a step has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts. The request counts once, with the time of all of them; attempts are
    /// counted apart.
    pub attempts: u32,
    /// Before each of them.
    pub pause: Duration,
}

/// A pause, drawn evenly between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Think {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}
