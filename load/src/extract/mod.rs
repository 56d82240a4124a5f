//! Values taken out of answers.

use crate::{protocol::Answer, template::Vars};

/// One value that is taken out of an answer.
#[derive(Debug, Clone)]
pub enum Extract {}

impl Extract {
    /// Whether it looks at the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        match *self {}
    }

    /// Sets its variable.
    ///
    /// # Errors
    /// Why the answer does not have the value.
    pub fn apply(&self, _answer: &Answer<'_>, _vars: &mut Vars) -> Result<(), String> {
        match *self {}
    }
}
