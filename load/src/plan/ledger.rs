//! Writes that are noted when they are acknowledged, and how they are read back.

use std::time::Duration;

use super::Flow;
use crate::template::{Name, Template};

/// What a step that writes notes of each write.
#[derive(Debug, Clone)]
pub struct WriteNote {
    /// The key that it is read back by.
    pub key: Template,
    /// What was written, if it is to be compared.
    pub value: Option<Template>,
    /// Only the answer tells the key: of a write without an answer nobody knows it.
    pub from_answer: bool,
}

/// How noted writes are read back after the load.
#[derive(Debug, Clone)]
pub struct LedgerPlan {
    /// What is asked.
    pub read: ReadBack,
    /// The variable that has the key.
    pub key: Name,
    /// The variable that has the value.
    pub value: Name,
    /// Keys that are asked for at once.
    pub parallel: usize,
    /// How long a key that has no answer is asked for again: the service may still be recovering.
    /// When none has an answer for so long, all are given up.
    pub within: Duration,
}

/// What is asked to see whether writes are there.
#[derive(Debug, Clone)]
pub enum ReadBack {
    /// The steps of `flow`, once for each key. One that succeeds has found it, unless `count` is
    /// the variable that then says how many there are.
    Each {
        /// What is asked.
        flow: Flow,
        /// The variable that has the number.
        count: Option<Name>,
    },
    /// The steps of `flow`, once; they leave a JSON array of all keys in the variable `keys`.
    List {
        /// What is asked.
        flow: Flow,
        /// The variable that has them.
        keys: Name,
    },
}

impl LedgerPlan {
    /// What is asked.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        match &self.read {
            ReadBack::Each { flow, .. } | ReadBack::List { flow, .. } => flow,
        }
    }
}
