//! Descriptors kept back for taking effects back.

use std::{fs::File, io};

/// More than any single undo opens at the same time.
const SPARE: usize = 16;

/// Spare descriptors, given up when there are no others: a fault may have
/// used up those of the process or of the system.
pub(super) struct Reserve(Vec<File>);

impl Reserve {
    pub(super) fn new() -> io::Result<Self> {
        let mut reserve = Self(Vec::with_capacity(SPARE));
        reserve.fill()?;
        Ok(reserve)
    }

    /// Makes sure that files can be opened, if need be by letting the spare
    /// descriptors go; fills them up again when there are enough.
    pub(super) fn ensure(&mut self) {
        if self.fill().is_err() {
            self.0.clear();
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        // One more than is kept, so that a full reserve is a test as well.
        let probe = File::open("/dev/null")?;
        while self.0.len() < SPARE {
            self.0.push(probe.try_clone()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_full_until_there_are_no_descriptors_left() {
        let mut reserve = Reserve::new().unwrap();
        reserve.ensure();
        assert_eq!(reserve.0.len(), SPARE);
    }
}
