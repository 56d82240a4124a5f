//! Texts with holes: `/orders/{{id}}?page={{random.int(1, 9)}}`.
//!
//! A text is compiled once, when the scenario is read, and rendered for each
//! request. What is constant is copied; nothing is allocated but by the buffer
//! that it is rendered into.
//!
//! | hole | what stands there |
//! |---|---|
//! | `{{name}}` | what an earlier step extracted, or a variable of the scenario |
//! | `{{users.email}}` | a column of the data set `users`, of the row that this run of the flow drew |
//! | `{{user}}` `{{iteration}}` | number of the user; how often it has run the flow, from 0 |
//! | `{{counter.NAME}}` `{{counter.NAME(1000)}}` | 1, 2, 3, …, never twice in a run; from another start |
//! | `{{random.int(1, 100)}}` | a whole number, both ends included |
//! | `{{random.string(16)}}` `{{random.hex(16)}}` | letters and digits; hexadecimal digits |
//! | `{{random.bytes(32KiB)}}` | arbitrary bytes |
//! | `{{random.uuid}}` | a version 4 UUID |
//! | `{{random.pick(a, b, c)}}` | one of them |
//! | `{{now.s}}` `{{now.ms}}` `{{now.rfc3339}}` | the time of day |
//! | `{{env.NAME}}` | a variable of the environment, read when the scenario is |
//!
//! A filter may follow: `{{name | json}}` escapes for the inside of a JSON
//! string, `{{name | url}}` percent-encodes, `{{name | base64}}` encodes, `{{name | raw}}` does
//! nothing, also where a JSON or form body would do something by itself.
//! `{{"{{"}}` stands for two braces. Random values follow from the seed of the
//! run and the number of the user.

mod compile;
mod data;
mod filter;
mod random;
mod render;
mod scope;
mod vars;

pub use compile::TemplateError;
pub use data::{DataError, DataSet, Order};
pub use scope::Scope;
pub use vars::{Name, Shared, Vars};

use compile::Part;

/// A text that was compiled.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Compiles `text` on its own: it shares no counter and no data set with
    /// others (see [`Scope::compile`] for that).
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        Scope::default().compile(text)
    }

    /// A text without holes, whatever braces it has.
    #[must_use]
    pub fn verbatim(text: impl Into<Vec<u8>>) -> Self {
        let bytes = text.into();
        Self { parts: if bytes.is_empty() { Vec::new() } else { vec![Part::Text(bytes)] } }
    }

    /// Its bytes, when they are the same each time.
    #[must_use]
    pub fn as_static(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Text(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// The variables that it needs to have been set before.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(Part::variable)
    }

    /// The first hole in it that belongs to a user: its number, its turns, or its row of a data
    /// set, of which this is the column.
    #[must_use]
    pub fn of_user(&self) -> Option<String> {
        self.parts.iter().find_map(Part::of_user)
    }

    /// Whether it makes the same text each time, as long as variables and the run of the flow are
    /// the same.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.parts.iter().all(Part::is_repeatable)
    }

    /// Appends its bytes to `out`.
    ///
    /// # Errors
    /// The variable that it needs and `vars` lacks.
    pub fn render(&self, out: &mut Vec<u8>, vars: &mut Vars) -> Result<(), TemplateError> {
        self.parts.iter().try_for_each(|part| part.render(out, vars))
    }

    /// The same as text; bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// The variable that it needs and `vars` lacks.
    pub fn render_text(&self, vars: &mut Vars) -> Result<String, TemplateError> {
        let mut out = Vec::new();
        self.render(&mut out, vars)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

impl PartialEq for Template {
    /// Whether both were compiled from texts that mean the same.
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Template {}
