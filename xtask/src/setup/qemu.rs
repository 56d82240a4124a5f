//! QEMU, as new as the distribution has it.
//!
//! Guests mostly run under emulation, and there versions differ: QEMU 10 needs a third less time
//! for the same tests than 7.2 of Debian 12, which also has bugs that guests must be kept away
//! from (`vm::accel`). One that is there already is taken as it is.

use anyhow::Result;

use super::{
    State, Step, apt,
    sources::{self, Release, Source},
};
use crate::cmd::find_program;

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// QEMU for x86-64.
pub struct Qemu;

impl Step for Qemu {
    fn name(&self) -> String {
        "QEMU".into()
    }

    fn check(&self) -> State {
        match find_program(PROGRAM) {
            Some(path) => State::Ready(path.display().to_string()),
            None => State::Missing("runs the guests of the VM tier".into()),
        }
    }

    fn install(&self) -> Result<()> {
        let packages = [PACKAGE.to_owned()];
        let release = Release::of_this_machine()?;
        if let Some((list, suite)) = backports(&sources::of_this_machine(), &release) {
            match apt::install_from(&list, &suite, &packages) {
                Ok(()) => return Ok(()),
                Err(error) => println!("         not from {suite}: {error:#}"),
            }
        }
        apt::install(&packages)
    }
}

/// The line of sources.list(5) for Debian's backports, from the mirror of the release itself, and
/// the suite's name. Ubuntu's are among its ordinary sources.
fn backports(sources: &[Source], release: &Release) -> Option<(String, String)> {
    if release.id != "debian" {
        return None;
    }
    let main = sources::main_archive(sources, &release.codename)?;
    let suite = format!("{}-backports", release.codename);
    let signed_by =
        main.signed_by.as_ref().map(|k| format!(" [signed-by={k}]")).unwrap_or_default();
    Some((format!("deb{signed_by} {} {suite} main\n", main.uri), suite))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str) -> Release {
        Release { id: id.into(), codename: "bookworm".into(), version: "12".into() }
    }

    #[test]
    fn backports_come_from_the_mirror_of_the_release() {
        let sources = sources::parse_one_line(
            "deb http://security.example/debian bookworm-security main\n\
             deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main\n",
        );
        let (list, suite) = backports(&sources, &release("debian")).unwrap();
        assert_eq!(suite, "bookworm-backports");
        let line = "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm-backports main\n";
        assert_eq!(list, line);
        assert_eq!(backports(&sources, &release("ubuntu")), None);
        assert_eq!(backports(&[], &release("debian")), None);
    }
}
