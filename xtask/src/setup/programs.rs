//! Programs that the build, the VM tier and the tests run.

use anyhow::Result;

use super::{State, Step, apt};
use crate::cmd::find_program;

/// Program, and the package of Debian and Ubuntu that has it.
const PROGRAMS: [(&str, &str); 12] = [
    ("cc", "gcc"),
    ("c++", "g++"),
    ("strip", "binutils"),
    ("debootstrap", "debootstrap"),
    ("mke2fs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("curl", "curl"),
    ("ethtool", "ethtool"),
];

/// All of them.
pub struct Programs;

impl Step for Programs {
    fn name(&self) -> String {
        "programs".into()
    }

    fn check(&self) -> State {
        let missing = missing(|name| find_program(name).is_some());
        if missing.is_empty() {
            return State::Ready(format!("{} programs", PROGRAMS.len()));
        }
        State::Missing(missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", "))
    }

    fn install(&self) -> Result<()> {
        let missing = missing(|name| find_program(name).is_some());
        apt::install(&missing.iter().map(|(_, package)| (*package).to_owned()).collect::<Vec<_>>())
    }
}

fn missing(is_there: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    PROGRAMS.into_iter().filter(|(program, _)| !is_there(program)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let missing = missing(|name| name != "mke2fs" && name != "ip");
        assert_eq!(missing, [("mke2fs", "e2fsprogs"), ("ip", "iproute2")]);
    }
}
