//! The load generators that faultload is measured beside.

use std::{env, ffi::OsString, fs};

use anyhow::{Context, Result};

use crate::{
    binaries,
    cmd::{find_program, run_quiet},
    paths::Paths,
    setup::apt,
};

/// Programs from the machine's own packages, each with the package.
const PACKAGES: [(&str, &str); 3] =
    [("nginx", "nginx"), ("wrk", "wrk"), ("h2load", "nghttp2-client")];

/// Programs from crates.io, and what they are built with.
const CRATES: [(&str, &[&str]); 1] = [("oha", &["--no-default-features", "--features", "rustls"])];

/// Installs those that are missing, and returns the search path with them. What cannot be had is
/// told and left out.
///
/// # Errors
/// If there is no directory for them.
pub fn set_up(paths: &Paths) -> Result<OsString> {
    for (program, package) in PACKAGES {
        if find_program(program).is_none()
            && let Err(error) = apt::install(&[package.to_owned()])
        {
            eprintln!("without {program}: {error:#}");
        }
    }
    let root = paths.target.join("peers");
    fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
    let bin = root.join("bin");
    for (program, features) in CRATES {
        if find_program(program).is_some() || bin.join(program).is_file() {
            continue;
        }
        println!("         cargo install {program} --locked, which takes a while");
        let mut cargo = binaries::cargo(paths);
        // With the versions that its author has tried: newer ones may want a newer compiler.
        cargo.args(["install", program, "--locked", "--root"]).arg(&root).args(features);
        if let Err(error) = run_quiet(&mut cargo) {
            eprintln!("without {program}: {error:#}");
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(env::split_paths(&path).chain([bin])).context("PATH with a folder more")
}
