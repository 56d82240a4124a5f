//! What is said on standard error.

use std::{
    fmt::{self, Display},
    io::{Write, stderr},
};

/// Says it on a line of its own. Who reads it may be gone and the disk behind it full: neither is
/// a reason to end, nor to end with another exit code.
pub fn tell(text: impl Display) {
    // In one piece: what others say at the same time does not get between.
    let _told = stderr().write_all(format!("{text}\n").as_bytes());
}

/// An error and why it came to it, each said once: many an error says its cause itself.
pub struct Chain<'a>(pub &'a anyhow::Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        for cause in self.0.chain().skip(1).map(ToString::to_string) {
            if !said.contains(&cause) {
                write!(f, ": {cause}")?;
            }
            said = cause;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no address: {source}")]
    struct Doubled {
        source: std::io::Error,
    }

    #[test]
    fn causes_are_said_once() {
        let source = std::io::Error::other("nobody of that name");
        let error = anyhow::Error::from(Doubled { source }).context("the run");
        assert_eq!(Chain(&error).to_string(), "the run: no address: nobody of that name");
        let error = anyhow!("inside").context("outside");
        assert_eq!(Chain(&error).to_string(), "outside: inside");
    }
}
