//! `completions SHELL`: made from the definition of the options.

use clap_complete::Shell;

use super::Context;
use crate::{cli, failure::Failure};

pub fn run(cx: &mut Context, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), "faultctl", &mut script);
    cx.out.raw(&String::from_utf8_lossy(&script))
}
