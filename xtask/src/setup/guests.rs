//! Kernels and userland of the VM tier.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use super::{
    State, Step,
    archive::Archive,
    sources::{Release, main_archive, of_this_machine},
};
use crate::{
    paths::Paths,
    vm::{
        kernel::{self, Kernel, Label},
        userland,
    },
};

/// One kernel for each entry of the matrix, and the userland.
pub fn steps(paths: &Paths, update: bool) -> Vec<Box<dyn Step>> {
    let cache = paths.vm_cache.clone();
    let labels: &[Label] = match Release::of_this_machine() {
        Ok(release) if release.id == "debian" => &Label::MATRIX,
        // Other distributions have no suites with the kernels of the matrix.
        _ => &[Label::Stock, Label::Newest],
    };
    let kernel = |label: &Label| -> Box<dyn Step> {
        Box::new(GuestKernel { cache: cache.clone(), label: *label, update })
    };
    let mut steps: Vec<_> = labels.iter().map(kernel).collect();
    steps.push(Box::new(Userland { cache: cache.clone() }));
    steps
}

/// A kernel that guests boot.
struct GuestKernel {
    cache: PathBuf,
    label: Label,
    update: bool,
}

impl Step for GuestKernel {
    fn name(&self) -> String {
        format!("guest kernel {}", self.label)
    }

    fn check(&self) -> State {
        match Kernel::cached(&self.cache, self.label) {
            Some(kernel) if !self.update || self.was_looked_up() => State::Ready(kernel.release),
            Some(_) => State::Missing("a look at the archive".into()),
            None => State::Missing("not in the cache".into()),
        }
    }

    fn install(&self) -> Result<()> {
        let release = Release::of_this_machine()?;
        let sources = of_this_machine();
        let source = main_archive(&sources, &release.codename)
            .with_context(|| format!("no apt source has the suite {}", release.codename))?;
        fs::create_dir_all(&self.cache)?;
        let mut tried = Vec::new();
        for (suite, meta) in places(self.label, &release) {
            println!("         {meta} of {suite}");
            match self.fetch(&source.uri, &suite, &meta, source.signed_by.as_deref()) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let why = format!("{meta} of {suite}: {error:#}");
                    println!("         not there: {}", why.lines().next().unwrap_or_default());
                    tried.push(why);
                }
            }
        }
        bail!("no suite had it: {}", tried.join("; "))
    }
}

impl GuestKernel {
    fn fetch(&self, uri: &str, suite: &str, meta: &str, keyring: Option<&str>) -> Result<()> {
        let work = tempfile::tempdir_in(&self.cache)?;
        let archive = Archive::open(&work.path().join("apt"), uri, suite, keyring)?;
        let packages = archive.kernel_packages(meta)?;
        let names = packages.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let stamp = self.stamp();
        let unchanged = fs::read_to_string(&stamp).is_ok_and(|had| had == names);
        if !(unchanged && Kernel::cached(&self.cache, self.label).is_some()) {
            let tree = work.path().join("tree");
            archive.unpack(&packages, &tree)?;
            kernel::install(&self.cache, self.label, &tree)?;
        }
        fs::write(stamp, names)?;
        Ok(())
    }

    /// Names of the packages that the cached kernel came from; touched at every look-up.
    fn stamp(&self) -> PathBuf {
        self.cache.join(format!("kernels/{}.packages", self.label))
    }

    /// Within the last minutes, that is by this very run.
    fn was_looked_up(&self) -> bool {
        let modified = fs::metadata(self.stamp()).and_then(|m| m.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 300))
    }
}

/// Suites and meta packages to try, the preferred first. Cloud flavours have the drivers of a
/// guest and everything of the network stack, at a fifth of the size.
fn places(label: Label, release: &Release) -> Vec<(String, String)> {
    let cloud = |suite: &str| (suite.to_owned(), "linux-image-cloud-amd64".to_owned());
    // Later kernels come as updates of a release.
    let own = |package: String| {
        let updates = format!("{}-updates", release.codename);
        vec![(updates, package.clone()), (release.codename.clone(), package)]
    };
    match (release.id.as_str(), label) {
        ("debian", Label::V6_1) => vec![cloud("bookworm")],
        ("debian", Label::V6_12) => vec![cloud("trixie"), cloud("bookworm-backports")],
        ("debian", Label::Newest) => {
            vec![cloud("sid"), cloud("testing"), cloud("stable-backports")]
        }
        ("debian", Label::Stock) => vec![cloud(&release.codename)],
        (_, Label::Newest) => own(format!("linux-image-generic-hwe-{}", release.version)),
        _ => own("linux-image-generic".to_owned()),
    }
}

/// The root disk of the guests.
struct Userland {
    cache: PathBuf,
}

impl Step for Userland {
    fn name(&self) -> String {
        "guest userland".into()
    }

    fn check(&self) -> State {
        match userland::cached(&self.cache) {
            Ok(image) => {
                let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
                State::Ready(name)
            }
            Err(_) => State::Missing("not in the cache".into()),
        }
    }

    fn install(&self) -> Result<()> {
        fs::create_dir_all(&self.cache)?;
        println!("         debootstrap");
        userland::make(&self.cache)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str, codename: &str, version: &str) -> Release {
        Release { id: id.into(), codename: codename.into(), version: version.into() }
    }

    #[test]
    fn debian_takes_each_kernel_from_the_release_that_has_it() {
        let debian = release("debian", "bookworm", "12");
        assert_eq!(places(Label::V6_1, &debian)[0].0, "bookworm");
        assert_eq!(places(Label::V6_12, &debian)[0].0, "trixie");
        assert_eq!(places(Label::V6_12, &debian)[1].0, "bookworm-backports");
        assert_eq!(places(Label::Newest, &debian)[0].0, "sid");
    }

    #[test]
    fn ubuntu_takes_its_own() {
        let ubuntu = release("ubuntu", "noble", "24.04");
        let (suite, package) = places(Label::Newest, &ubuntu).remove(0);
        assert_eq!(
            (suite.as_str(), package.as_str()),
            ("noble-updates", "linux-image-generic-hwe-24.04")
        );
        assert_eq!(places(Label::Stock, &ubuntu)[0].1, "linux-image-generic");
    }
}
