//! Files of single requests: raw samples, and notes of writes beside them.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{engine::Run, measure::RawFormat};

/// A file for raw samples.
pub(super) struct Samples {
    file: File,
    format: RawFormat,
}

impl Samples {
    /// Makes the file: that it cannot be made is better known before the run than after.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let format = RawFormat::of(path).with_context(|| {
            format!("--samples takes a .csv or .jsonl file, got {}", path.display())
        })?;
        Ok(Self { file: created(path)?, format })
    }

    pub(super) fn give_to(self, run: &mut Run) {
        run.samples_to(self.file, self.format);
    }
}

/// A file for the notes of a ledger that is kept: `raw.csv` has `raw.ledger.jsonl` beside it.
pub(super) fn notes_beside(samples: &Path) -> Result<File> {
    let path = notes_path(samples);
    // Written first and read back afterwards.
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    file.with_context(|| format!("cannot write {}", path.display()))
}

fn notes_path(samples: &Path) -> PathBuf {
    samples.with_extension("ledger.jsonl")
}

/// The files that a run with these samples may write.
pub(super) fn files(samples: Option<&Path>) -> Vec<PathBuf> {
    samples.into_iter().flat_map(|path| [path.to_owned(), notes_path(path)]).collect()
}

fn created(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}
