//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The directories that tasks work with.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The workspace.
    pub root: PathBuf,
    /// Cargo's build directory.
    pub target: PathBuf,
    /// Kernels and userland images of the VM tier: costly to fetch, so `FAULTD_VM_CACHE` may name
    /// a place that several checkouts share.
    pub vm_cache: PathBuf,
}

impl Paths {
    /// Those of this checkout.
    ///
    /// # Errors
    /// If the program runs outside of cargo and its checkout has moved.
    pub fn find() -> Result<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().context("xtask is not inside its workspace")?;
        let root = root.canonicalize().with_context(|| root.display().to_string())?;
        let target = root.join(dir("CARGO_TARGET_DIR", "target"));
        let vm_cache = root.join(dir("FAULTD_VM_CACHE", "target/vm"));
        Ok(Self { root, target, vm_cache })
    }

    /// Where consoles of guests are kept.
    #[must_use]
    pub fn vm_logs(&self) -> PathBuf {
        self.target.join("vm/logs")
    }
}

fn dir(name: &str, default: &str) -> PathBuf {
    env::var_os(name).filter(|v| !v.is_empty()).map_or_else(|| default.into(), PathBuf::from)
}
