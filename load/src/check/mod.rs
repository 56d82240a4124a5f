//! What must hold for an answer.

use crate::{protocol::Answer, template::Vars};

/// One thing that must hold.
#[derive(Debug, Clone)]
pub enum Check {}

impl Check {
    /// In words.
    #[must_use]
    pub fn name(&self) -> String {
        match *self {}
    }

    /// Whether it looks at the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        match *self {}
    }

    /// Passes or says why not.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn test(&self, _answer: &Answer<'_>, _vars: &mut Vars) -> Result<(), String> {
        match *self {}
    }
}
