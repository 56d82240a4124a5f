//! Kernels in the cache, and how one gets there.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};
use faultd_guest::Disk;

use super::disk;
use crate::cmd::{capture, command, find_program, run_quiet};

/// Modules that the initramfs loads; what they depend on comes with them. One that a kernel has
/// built in is left out.
const BOOT_MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "nfit", "nd_pmem", "ext4"];

/// What a directory of the cache holds; another number is another layout.
const LAYOUT: &str = "3";

/// Which kernel of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// 6.1, before TCX and the last of its kind that is still in wide use.
    V6_1,
    /// 6.12, with TCX.
    V6_12,
    /// The newest that the distribution offers.
    Newest,
    /// The distribution's own, where it has none of the others.
    Stock,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 4] = [Self::V6_1, Self::V6_12, Self::Newest, Self::Stock];

    /// The kernels that the tests are to run on.
    pub const MATRIX: [Self; 3] = [Self::V6_1, Self::V6_12, Self::Newest];
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::Newest => "newest",
            Self::Stock => "stock",
        })
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|label| label.to_string() == text)
            .ok_or_else(|| format!("kernel must be 6.1, 6.12, newest, stock or all, got {text}"))
    }
}

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Which one it is.
    pub label: Label,
    /// `uname -r`.
    pub release: String,
    dir: PathBuf,
}

impl Kernel {
    /// The kernel in the cache, if there is one.
    #[must_use]
    pub fn cached(cache: &Path, label: Label) -> Option<Self> {
        let dir = dir_of(cache, label);
        if fs::read_to_string(dir.join("layout")).ok()? != LAYOUT {
            return None;
        }
        let release = fs::read_to_string(dir.join("release")).ok()?;
        Some(Self { label, release: release.trim().to_owned(), dir })
    }

    /// The compressed kernel.
    #[must_use]
    pub fn vmlinuz(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// Disk with the modules, `RELEASE/…` at its top.
    #[must_use]
    pub fn modules_image(&self) -> PathBuf {
        self.dir.join("modules.img")
    }

    /// Directory with the modules of the initramfs and their `order`.
    #[must_use]
    pub fn boot_modules(&self) -> PathBuf {
        self.dir.join("boot-modules")
    }
}

fn dir_of(cache: &Path, label: Label) -> PathBuf {
    cache.join("kernels").join(label.to_string())
}

/// Puts a kernel into the cache, in place of an older one. `tree` is where its packages were
/// unpacked.
///
/// # Errors
/// If the tree holds no kernel with modules, or a tool fails.
pub fn install(cache: &Path, label: Label, tree: &Path) -> Result<Kernel> {
    let (release, modules) = find_modules(tree)?;
    let stage = tempfile::tempdir_in(cache)?;
    let ready = stage.path().join("ready");
    fs::create_dir(&ready)?;

    let vmlinuz = tree.join(format!("boot/vmlinuz-{release}"));
    // Newer packages keep the kernel beside its modules.
    let beside = modules.join("vmlinuz");
    let vmlinuz = if vmlinuz.is_file() { vmlinuz } else { beside };
    fs::copy(&vmlinuz, ready.join("vmlinuz")).with_context(|| vmlinuz.display().to_string())?;

    // depmod wants DIR/lib/modules/RELEASE whatever the package's own layout is.
    let base = stage.path().join("lib/modules");
    fs::create_dir_all(&base)?;
    fs::rename(&modules, base.join(&release)).context("moving the modules")?;
    let depmod = find_program("depmod").context("depmod is missing: run `cargo xtask setup`")?;
    run_quiet(command(depmod, &["-b"]).arg(stage.path()).arg(&release))?;

    boot_modules(&base.join(&release), &ready.join("boot-modules"))?;
    disk::from_dir(Disk::Modules, &base, &ready.join("modules.img"), 0)?;
    fs::write(ready.join("release"), format!("{release}\n"))?;
    fs::write(ready.join("layout"), LAYOUT)?;

    let dir = dir_of(cache, label);
    fs::create_dir_all(cache.join("kernels"))?;
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::rename(&ready, &dir)?;
    Kernel::cached(cache, label).context("the kernel is not in the cache after all")
}

/// Finds `RELEASE` and its modules below `lib` or `usr/lib`.
fn find_modules(tree: &Path) -> Result<(String, PathBuf)> {
    for base in ["usr/lib/modules", "lib/modules"] {
        let Ok(entries) = fs::read_dir(tree.join(base)) else { continue };
        for entry in entries.flatten() {
            if entry.path().join("kernel").is_dir() {
                return Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()));
            }
        }
    }
    bail!("the packages hold no kernel modules")
}

/// Copies what the initramfs needs, uncompressed, with a file `order` that says in which order to
/// load it.
fn boot_modules(modules: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let dep = fs::read_to_string(modules.join("modules.dep")).context("modules.dep")?;
    let mut order = String::new();
    for path in load_order(&dep, &BOOT_MODULES) {
        let name = module_name(&path);
        let file = format!("{name}.ko");
        decompress(&modules.join(&path), &to.join(&file))?;
        order.push_str(&file);
        order.push('\n');
    }
    fs::write(to.join("order"), order)?;
    Ok(())
}

/// Paths of the modules `wanted` and of all that they need, what is needed first.
/// `dep` is modules.dep(5), whose lists name the direct and indirect dependencies, the one to
/// load last first.
fn load_order(dep: &str, wanted: &[&str]) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let lines = |name: &str| {
        dep.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(path, _)| module_name(path) == name)
            .map(|(path, needs)| (path.to_owned(), needs.to_owned()))
    };
    for (path, needs) in wanted.iter().filter_map(|name| lines(name)) {
        let needs = needs.split_whitespace().rev().map(str::to_owned);
        for path in needs.chain([path]) {
            if !order.contains(&path) {
                order.push(path);
            }
        }
    }
    order
}

/// `kernel/drivers/block/virtio_blk.ko.xz` is `virtio_blk`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

fn decompress(from: &Path, to: &Path) -> Result<()> {
    let program = match from.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => {
            fs::copy(from, to).with_context(|| from.display().to_string())?;
            return Ok(());
        }
    };
    let to = fs::File::create(to)?;
    let mut tool = command(program, &["-dc", "--"]);
    tool.arg(from).stdout(to);
    let status = tool.status().with_context(|| format!("could not run {program}"))?;
    if !status.success() {
        bail!("{program} could not read {}", from.display());
    }
    Ok(())
}

/// Whether QEMU for this machine is there at all.
///
/// # Errors
/// If it is not; the text says what to do.
pub fn check_qemu() -> Result<String> {
    let qemu =
        find_program("qemu-system-x86_64").context("QEMU is missing: run `cargo xtask setup`")?;
    let version = capture(command(qemu, &[]).arg("--version"))?;
    Ok(version.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_after_what_they_need() {
        let dep = "kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko\n\
            kernel/drivers/virtio/virtio-ring.ko:\n\
            kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio-ring.ko\n\
            kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio-ring.ko\n";
        let order: Vec<_> = load_order(dep, &BOOT_MODULES).iter().map(|p| module_name(p)).collect();
        assert_eq!(
            order,
            [
                "virtio_ring",
                "virtio",
                "virtio_pci",
                "virtio_blk",
                "jbd2",
                "mbcache",
                "crc16",
                "ext4"
            ]
        );
    }

    #[test]
    fn a_module_that_is_built_in_is_left_out() {
        assert!(load_order("kernel/net/x.ko:\n", &BOOT_MODULES).is_empty());
    }

    #[test]
    fn labels() {
        for label in Label::ALL {
            assert_eq!(label.to_string().parse(), Ok(label));
        }
        assert!("6.13".parse::<Label>().unwrap_err().contains("6.13"));
    }

    #[test]
    fn both_layouts_of_modules_are_found() {
        for base in ["lib/modules", "usr/lib/modules"] {
            let tree = tempfile::tempdir().unwrap();
            fs::create_dir_all(tree.path().join(base).join("6.9-x/kernel")).unwrap();
            let (release, path) = find_modules(tree.path()).unwrap();
            assert_eq!(release, "6.9-x");
            assert!(path.ends_with(format!("{base}/6.9-x")));
        }
        assert!(find_modules(tempfile::tempdir().unwrap().path()).is_err());
    }
}
