//! Texts of a plan.

/// A text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
}

/// Why a text is not a template.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// Compiles `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { text: text.to_owned() })
    }

    /// Its bytes, when they are the same each time.
    #[must_use]
    pub fn as_static(&self) -> Option<&[u8]> {
        Some(self.text.as_bytes())
    }

    /// Appends its bytes to `out`.
    ///
    /// # Errors
    /// What it needs and `vars` lacks.
    pub fn render(&self, out: &mut Vec<u8>, _vars: &mut Vars) -> Result<(), TemplateError> {
        out.extend_from_slice(self.text.as_bytes());
        Ok(())
    }
}

/// The variables of one user.
#[derive(Debug, Clone)]
pub struct Vars {
    /// Number of the user.
    pub user: u64,
}

impl Vars {
    /// Those of user number `user`; random values follow from `seed`.
    #[must_use]
    pub fn new(user: u64, _seed: u64) -> Self {
        Self { user }
    }

    /// Forgets what flows have set.
    pub fn clear(&mut self) {}
}
