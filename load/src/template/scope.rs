//! What the templates of one scenario share.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use super::{DataSet, Name, Template, TemplateError, compile};

/// Names, counters and data sets of one scenario. Templates that are compiled
/// in the same scope count with the same counters and draw from the same rows.
#[derive(Debug, Default)]
pub struct Scope {
    names: BTreeMap<String, Name>,
    counters: BTreeMap<String, Counter>,
    data: BTreeMap<String, (usize, Arc<DataSet>)>,
}

#[derive(Debug)]
struct Counter {
    start: u64,
    next: Arc<AtomicU64>,
}

impl Scope {
    /// The name of a variable, the same one each time.
    pub fn name(&mut self, name: &str) -> Name {
        self.names.entry(name.to_owned()).or_insert_with(|| name.into()).clone()
    }

    /// Adds a data set; its columns are then `{{name.column}}`.
    pub fn add_data(&mut self, name: impl Into<String>, set: DataSet) {
        let number = self.data.len();
        self.data.insert(name.into(), (number, Arc::new(set)));
    }

    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(&mut self, text: &str) -> Result<Template, TemplateError> {
        Ok(Template { parts: compile::compile(text, self, None)? })
    }

    /// The same for the inside of a JSON string: what stands in a hole without
    /// a filter is escaped as such.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile_json(&mut self, text: &str) -> Result<Template, TemplateError> {
        Ok(Template { parts: compile::compile(text, self, Some(super::filter::Filter::Json))? })
    }

    /// The same for a form or a query: what stands in a hole without a filter is percent-encoded.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile_form(&mut self, text: &str) -> Result<Template, TemplateError> {
        Ok(Template { parts: compile::compile(text, self, Some(super::filter::Filter::Url))? })
    }

    pub(super) fn data(&self, name: &str) -> Option<(usize, &Arc<DataSet>)> {
        self.data.get(name).map(|(number, set)| (*number, set))
    }

    pub(super) fn data_names(&self) -> impl Iterator<Item = &str> {
        self.data.keys().map(String::as_str)
    }

    /// The counter of that name; `Err` with its start if another was asked for.
    pub(super) fn counter(
        &mut self,
        name: &str,
        start: Option<u64>,
    ) -> Result<Arc<AtomicU64>, u64> {
        let first = start.unwrap_or(1);
        let counter = self
            .counters
            .entry(name.to_owned())
            .or_insert_with(|| Counter { start: first, next: Arc::new(AtomicU64::new(first)) });
        match start {
            Some(start) if start != counter.start => Err(counter.start),
            _ => Ok(counter.next.clone()),
        }
    }
}
