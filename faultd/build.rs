//! Builds the eBPF programs and puts them where the daemon embeds them:
//! `aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/faultd-net"))`.
//!
//! `FAULTD_EBPF_OBJECT` names a ready-made object instead (a packager's build host need not have
//! the eBPF toolchain): a file, or a directory with one file for each fault family.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

use toolchain::{TARGET, Toolchain};

/// One object for each fault family, so that a section which one kernel refuses does not take
/// the other families down. The names are those of the binaries of faultd-ebpf.
const FAMILIES: [&str; 2] = ["faultd-net", "faultd-syscall"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed=FAULTD_EBPF_OBJECT");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Cargo shows this line alone, and fails the build.
            println!("cargo::error={why}");
            ExitCode::SUCCESS
        }
    }
}

fn build() -> Result<(), String> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    if let Some(object) = env::var_os("FAULTD_EBPF_OBJECT").filter(|v| !v.is_empty()) {
        return supplied(Path::new(&object), &out_dir);
    }

    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest_dir.parent().ok_or("faultd is not inside its workspace")?;
    for source in ["faultd-ebpf", "faultd-abi", "xtask/src/toolchain.rs"] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }

    let toolchain = Toolchain::find().map_err(|missing| missing.to_string())?;
    let target_dir = shared_target_dir(&out_dir).join("ebpf");
    let mut cargo = toolchain.cargo("build", &target_dir, &[]);
    let output = cargo
        .arg("--bins")
        .current_dir(workspace)
        .output()
        .map_err(|e| format!("could not run {}: {e}", cargo.get_program().display()))?;
    if !output.status.success() {
        return Err(in_one_message(&String::from_utf8_lossy(&output.stderr)));
    }
    for family in FAMILIES {
        let object = target_dir.join(TARGET).join("release").join(family);
        copy(&object, &out_dir.join(family)).map_err(|e| format!("{}: {e}", object.display()))?;
    }
    Ok(())
}

/// Takes the objects that the packager names.
fn supplied(object: &Path, out_dir: &Path) -> Result<(), String> {
    for family in FAMILIES {
        let object = if object.is_dir() { object.join(family) } else { object.to_owned() };
        println!("cargo::rerun-if-changed={}", object.display());
        copy(&object, &out_dir.join(family))
            .map_err(|e| format!("FAULTD_EBPF_OBJECT: {}: {e}", object.display()))?;
    }
    Ok(())
}

/// The build's `target` directory. `OUT_DIR` changes with profile and features; the eBPF programs
/// do not, so they are built once for all of these. Cargo tags the directory; should it stop
/// to, `OUT_DIR` itself serves.
fn shared_target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).unwrap_or(out_dir)
}

/// Copies unless the content is the same, so that an unchanged object does not rebuild the daemon.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let content = fs::read(from)?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::write(to, content)
}

/// A compiler's report as one value of a `cargo::error` line, whose value ends with the line.
fn in_one_message(stderr: &str) -> String {
    for line in stderr.lines() {
        println!("cargo::error={line}");
    }
    "the eBPF programs did not build".to_owned()
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|e| format!("{name}: {e}"))
}
