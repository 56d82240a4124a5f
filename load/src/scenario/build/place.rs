//! Where something stands in the file that the types alone do not say: keys of free-form tables,
//! words of a command line.

use serde_json::Value;

use super::Builder;
use crate::scenario::read::{Located, Place};

impl Builder<'_> {
    /// The place of the key `name` of the table at `table`. Only for keys that are known to be
    /// there: what is looked for is the first of that name from there on.
    pub(super) fn key_place(&self, table: Place, name: &str) -> Option<Place> {
        let skipped = table.line.saturating_sub(1) as usize;
        for (at, line) in self.text.text.lines().enumerate().skip(skipped) {
            let from = if at == skipped { table.column.saturating_sub(1) as usize } else { 0 };
            let start = line.char_indices().nth(from).map_or(line.len(), |(byte, _)| byte);
            let found = line[start..].match_indices(name).map(|(byte, _)| start + byte);
            let key = found.into_iter().find(|&byte| is_key(line, byte, name.len()));
            if let Some(byte) = key {
                let column = line[..byte].chars().count() + 1;
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                return Some(Place { line: number(at + 1), column: number(column) });
            }
        }
        None
    }

    /// The place of the option `option` in a command line, or of the command line.
    pub(super) fn option_place(&self, line: &Located<String>, option: &str) -> Place {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        let mut found = line.match_indices(option);
        match found.find(|(at, _)| ends(&line[at + option.len()..])) {
            Some((at, _)) => self.inside(line, line[..at].chars().count()),
            None => line.place,
        }
    }
}

/// Whether what stands there is all of a key.
fn is_key(line: &str, start: usize, length: usize) -> bool {
    let before = line[..start].trim_end_matches(['"', '\'']);
    let after = line[start + length..].trim_start_matches(['"', '\'']).trim_start();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    // In YAML a list item begins with a dash, which is followed by a space.
    !before.ends_with(is_word) && after.starts_with([':', '='])
}

/// The entry of `table` that makes `fails` complain as it does: without it the complaint is
/// another one, or none.
pub(super) fn culprit<E: PartialEq>(
    table: &Value,
    complaint: &E,
    fails: impl Fn(Value) -> Option<E>,
) -> Option<String> {
    let entries = table.as_object()?;
    let without = |name: &String| {
        let mut rest = entries.clone();
        rest.remove(name);
        fails(rest.into())
    };
    entries.keys().find(|name| without(name).as_ref() != Some(complaint)).cloned()
}
