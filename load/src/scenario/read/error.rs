//! What is wrong with a scenario, and where.

use std::{fmt, path::PathBuf};

/// A place in a text; both count from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

impl Place {
    /// The same line, some characters further on.
    #[must_use]
    pub fn right(self, characters: usize) -> Self {
        let more = u32::try_from(characters).unwrap_or(u32::MAX);
        Self { column: self.column.saturating_add(more), ..self }
    }
}

/// Why a scenario cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// What was said on the command line does not fit it.
    #[error("{0}")]
    Option(String),
    /// Something in it is wrong.
    #[error("{0}")]
    Invalid(Box<Invalid>),
}

/// Something in a scenario that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The file.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where in the structure: `flows.buy.steps[0]`; empty at the top.
    pub path: String,
    /// The line itself.
    pub line: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        if !self.path.is_empty() {
            write!(f, " (in {})", self.path)?;
        }
        if !self.line.trim().is_empty() {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let indent = " ".repeat(column.saturating_sub(1) as usize);
            write!(f, "\n {number} | {}\n {margin} | {indent}^", self.line)?;
        }
        Ok(())
    }
}

/// The same before file and line are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub message: String,
    pub place: Option<Place>,
    /// From the inside out.
    pub path: Vec<String>,
}

impl Problem {
    /// Something wrong at a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: Some(place), path: Vec::new() }
    }

    /// Adds a step of the way to it.
    pub fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// Gives it a place, if it has none yet: the innermost one counts.
    pub fn or_at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }
}

/// A scenario as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The file's name, for messages.
    pub file: &'a str,
    /// What it holds.
    pub text: &'a str,
}

impl Text<'_> {
    /// A problem with everything that helps to find it.
    pub fn error(&self, problem: Problem) -> LoadError {
        let place = problem.place.unwrap_or(Place { line: 1, column: 1 });
        let line = self.text.lines().nth(place.line.saturating_sub(1) as usize).unwrap_or_default();
        let mut path = String::new();
        for step in problem.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        LoadError::Invalid(Box::new(Invalid {
            file: self.file.to_owned(),
            place,
            message: problem.message,
            path,
            // Tabs would put the arrow elsewhere.
            line: line.replace('\t', " "),
        }))
    }

    /// The place of a byte.
    pub fn place(&self, byte: usize) -> Place {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            line: count(before.matches('\n').count()).saturating_add(1),
            column: count(before[start..].chars().count()).saturating_add(1),
        }
    }
}
