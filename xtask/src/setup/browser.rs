//! A browser for the test that draws the HTML report.

use anyhow::Result;

use super::{State, Step, apt, sources::Release};
use crate::cmd::find_program;

/// Programs that the test knows.
const BROWSERS: [&str; 4] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// The smallest package that has one, 64 MB to download. Elsewhere than on Debian it does not exist
/// or brings a package manager of its own.
const PACKAGE: &str = "chromium-headless-shell";

/// The browser.
pub struct Browser;

impl Step for Browser {
    fn name(&self) -> String {
        "browser".into()
    }

    fn check(&self) -> State {
        let is_debian = Release::of_this_machine().is_ok_and(|release| release.id == "debian");
        state(|name| find_program(name).is_some(), is_debian)
    }

    fn install(&self) -> Result<()> {
        apt::install(&[PACKAGE.to_owned()])
    }
}

fn state(is_there: impl Fn(&str) -> bool, is_debian: bool) -> State {
    match BROWSERS.into_iter().find(|name| is_there(name)) {
        Some(name) => State::Ready(name.to_owned()),
        None if is_debian => State::Missing("draws the HTML report in a test".into()),
        None => State::Ready("none here: the HTML report is tested without one".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_browser_will_do_and_only_debian_gets_one() {
        assert_eq!(
            state(|name| name == "google-chrome", true),
            State::Ready("google-chrome".into())
        );
        assert!(matches!(state(|_| false, true), State::Missing(_)));
        assert!(matches!(state(|_| false, false), State::Ready(_)));
    }
}
