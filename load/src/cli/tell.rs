//! What is said on standard error.

use std::{
    fmt::Display,
    io::{Write, stderr},
};

/// Says it on a line of its own. Who reads it may be gone and the disk behind it full: neither is
/// a reason to end, nor to end with another exit code.
pub fn tell(text: impl Display) {
    let _told = writeln!(stderr(), "{text}");
}
