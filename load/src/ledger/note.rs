//! Notes of writes, as they stand in the file: a JSON object a line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Lines, Seek, SeekFrom},
    iter::Take,
};

use serde::{Deserialize, Serialize};

use crate::{
    measure::{ErrorKind, Failure},
    plan::WriteNote,
    template::Vars,
};

/// A write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its key; `None`: only the answer would have told.
    pub key: Option<String>,
    /// What was written, if that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When it was acknowledged, or given up, in nanoseconds since the start of the run.
    pub at_ns: u64,
    /// It was not acknowledged, and may be there all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

impl Note {
    /// Of a write as `plan` says it, by what the user knows; its time is still to be set.
    #[must_use]
    pub fn of(plan: &WriteNote, vars: &mut Vars) -> Self {
        // A variable that is missing makes a write that cannot be read back, and is reported so.
        let key = plan.key.render_text(vars).ok();
        let value = plan.value.as_ref().and_then(|value| value.render_text(vars).ok());
        Self { key, value, ..Self::default() }
    }

    /// Of one whose answer did not come, before that is known.
    #[must_use]
    pub fn before(plan: &WriteNote, vars: &mut Vars) -> Self {
        if plan.from_answer { Self::default() } else { Self::of(plan, vars) }
    }

    /// Appends it as a line.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Neither texts and numbers nor writing to memory can fail.
        let _written = serde_json::to_writer(&mut *out, self);
        out.push(b'\n');
    }
}

/// Whether a write that failed like this, after its request was sent, may be there all the same.
/// What a server refuses with a status below 500 is not.
#[must_use]
pub fn maybe_written(failure: &Failure, status: u16) -> bool {
    match failure.kind {
        ErrorKind::Status => status >= 500,
        ErrorKind::Timeout
        | ErrorKind::Reset
        | ErrorKind::Truncated
        | ErrorKind::Protocol
        | ErrorKind::Check
        | ErrorKind::Extract => true,
        _ => false,
    }
}

/// The notes in a file, one after the other.
#[derive(Debug)]
pub struct Notes(Take<Lines<BufReader<File>>>);

impl Notes {
    /// The first `count` of `file`. After an error what follows them may be half a note.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(file: &File, count: u64) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self(BufReader::new(file).lines().take(count)))
    }
}

impl Iterator for Notes {
    type Item = io::Result<Note>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.next()?;
        Some(line.and_then(|line| serde_json::from_str(&line).map_err(io::Error::from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let mut file = tempfile::tempfile().unwrap();
        let notes = [
            Note { key: Some("a\n\"".into()), value: Some("é".into()), at_ns: 7, unknown: false },
            Note { key: None, value: None, at_ns: u64::MAX, unknown: true },
        ];
        let mut out = Vec::new();
        notes.iter().for_each(|note| note.write(&mut out));
        out.extend(b"{\"key\":\"ha");
        io::Write::write_all(&mut file, &out).unwrap();
        for _ in 0..2 {
            let read: Vec<Note> = Notes::of(&file, 2).unwrap().map(Result::unwrap).collect();
            assert_eq!(read, notes);
        }
    }

    #[test]
    fn what_may_be_there_is_told_from_what_was_refused() {
        let of = |kind, status| maybe_written(&Failure::new(kind, ""), status);
        assert!(of(ErrorKind::Timeout, 0) && of(ErrorKind::Reset, 0) && of(ErrorKind::Status, 503));
        assert!(!of(ErrorKind::Status, 409) && !of(ErrorKind::Connect, 0));
        assert!(!of(ErrorKind::Descriptors, 0));
    }
}
