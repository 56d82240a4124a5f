//! `cargo xtask fuzz --for 20s`: every fuzz target for a while.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    cmd::{capture, command, find_program, run},
    paths::Paths,
};

/// How long, and which.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For how many seconds each target runs (`20`, `20s` or `5m`)
    #[arg(long = "for", default_value = "20s", value_parser = seconds)]
    duration: u64,
    /// Only this target
    target: Option<String>,
}

/// Runs the targets of `fuzz/`.
///
/// # Errors
/// If a target does not build, or finds an input that crashes it; libFuzzer has shown it.
pub fn fuzz(paths: &Paths, args: &Args) -> Result<()> {
    find_program("cargo-fuzz").context("cargo-fuzz is missing: run `cargo xtask setup`")?;
    let targets = match &args.target {
        Some(target) => vec![target.clone()],
        None => {
            let list = capture(&mut cargo_fuzz(&paths.root, &["list"]))?;
            list.lines().map(str::to_owned).collect()
        }
    };
    for target in targets {
        println!("fuzz: {target} for {} s", args.duration);
        let limit = format!("-max_total_time={}", args.duration);
        // What is found goes to the first directory; the second is under version control.
        let corpus = format!("fuzz/corpus/{target}");
        let seeds = format!("fuzz/seeds/{target}");
        fs::create_dir_all(paths.root.join(&corpus)).context(corpus.clone())?;
        let args =
            ["run", &target, &corpus, &seeds, "--", &limit, "-verbosity=0", "-print_funcs=0"];
        run(&mut cargo_fuzz(&paths.root, &args))
            .with_context(|| format!("fuzz target {target}"))?;
    }
    Ok(())
}

/// The sanitizers are behind unstable flags, which this unlocks on any toolchain.
fn cargo_fuzz(root: &Path, args: &[&str]) -> std::process::Command {
    let mut cargo = command("cargo-fuzz", &["fuzz"]);
    cargo.args(args).current_dir(root).env("RUSTC_BOOTSTRAP", "1");
    // No target loads a BPF program, so none is built.
    cargo.env("FAULTD_EBPF_OBJECT", "/dev/null");
    // Fuzzing builds with flags of its own, into a directory of its own.
    cargo.env_remove("CARGO_TARGET_DIR");
    cargo
}

fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a duration"))?;
    Ok(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(seconds("20"), Ok(20));
        assert_eq!(seconds("20s"), Ok(20));
        assert_eq!(seconds("5m"), Ok(300));
        assert!(seconds("soon").is_err());
    }
}
