//! `cargo xtask setup`: from a bare Debian or Ubuntu machine with Rust stable to one where
//! everything builds and every test runs.
//!
//! Each step knows whether it is done already from a few files that it looks at, so that a second
//! call asks no package manager and no network.

pub mod apt;
pub mod archive;
mod browser;
mod ebpf;
mod guests;
mod programs;
mod qemu;
mod rust;
mod servers;
pub mod sources;

use anyhow::{Result, bail};

use crate::paths::Paths;

/// One thing that has to be there.
trait Step {
    /// What it is for, in a word or two.
    fn name(&self) -> String;

    /// What is there, or what is not. Looks at files only.
    fn check(&self) -> State;

    /// Gets it. Called only after `check` said that it is missing.
    fn install(&self) -> Result<()>;
}

/// Answer of a step's check.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// There, with a detail for the reader.
    Ready(String),
    /// Not there, and what exactly is not.
    Missing(String),
}

/// How set-up is to behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Report only.
    pub check: bool,
    /// Say nothing about what is there already.
    pub quiet: bool,
    /// Look for newer kernels than those in the cache.
    pub update: bool,
}

/// Brings everything that is missing.
///
/// # Errors
/// If something is missing in the end; the text has one line for each.
pub fn setup(paths: &Paths, options: Options) -> Result<()> {
    let mut missing = Vec::new();
    for step in steps(paths, options) {
        match step.check() {
            State::Ready(detail) => {
                if !options.quiet {
                    println!("ok       {}: {detail}", step.name());
                }
            }
            State::Missing(what) if options.check => {
                println!("missing  {}: {what}", step.name());
                missing.push(format!("{}: {what}", step.name()));
            }
            State::Missing(what) => {
                println!("install  {}: {what}", step.name());
                if let Err(error) = install(step.as_ref()) {
                    println!("failed   {}: {error:#}", step.name());
                    missing.push(format!("{}: {error:#}", step.name()));
                }
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("not everything is there:\n  {}", missing.join("\n  "))
}

/// Runs a step, and does not believe it until its own check agrees.
fn install(step: &dyn Step) -> Result<()> {
    step.install()?;
    match step.check() {
        State::Ready(detail) => {
            println!("done     {}: {detail}", step.name());
            Ok(())
        }
        State::Missing(what) => bail!("still missing after the installation: {what}"),
    }
}

/// In the order in which they need each other.
fn steps(paths: &Paths, options: Options) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(programs::Programs),
        Box::new(servers::Servers::new(paths)),
        Box::new(browser::Browser),
        Box::new(qemu::Qemu),
        Box::new(rust::Component { binary: "cargo-clippy", component: "clippy" }),
        Box::new(rust::Component { binary: "rustfmt", component: "rustfmt" }),
        Box::new(ebpf::Compiler),
        Box::new(ebpf::Linker),
        Box::new(rust::CargoFuzz),
    ];
    steps.extend(guests::steps(paths, options.update));
    steps
}
