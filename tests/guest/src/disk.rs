//! The guest's disks, told apart by what they call themselves: the order in which a kernel finds
//! them is its own affair.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// A disk of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The root; what is written to it is lost at the end.
    Userland,
    /// The build under test.
    Payload,
    /// The modules of the running kernel, `RELEASE/…` at its top.
    Modules,
}

/// Where the label of an ext4 file system is: `s_volume_name`, at 0x78 of the superblock, which
/// is 1 KiB into the disk (`Documentation/filesystems/ext4/super.rst`).
const LABEL_AT: u64 = 1024 + 0x78;
const LABEL_BYTES: usize = 16;

impl Disk {
    /// The label of its file system.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Userland => "userland",
            Self::Payload => "payload",
            Self::Modules => "modules",
        }
    }

    /// Whether a block device (or an image of one) is this disk.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is(self, device: &Path) -> io::Result<bool> {
        let mut label = [0; LABEL_BYTES];
        File::open(device)?.read_exact_at(&mut label, LABEL_AT)?;
        let text = label.split(|b| *b == 0).next().unwrap_or_default();
        Ok(text == self.label().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_and_a_longer_one_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        let mut bytes = vec![0; 4096];
        bytes[LABEL_AT as usize..][..7].copy_from_slice(b"payload");
        std::fs::write(&image, &bytes).unwrap();
        assert!(Disk::Payload.is(&image).unwrap());
        assert!(!Disk::Modules.is(&image).unwrap());
        bytes[LABEL_AT as usize + 7] = b's';
        std::fs::write(&image, &bytes).unwrap();
        assert!(!Disk::Payload.is(&image).unwrap());
        assert!(Disk::Payload.is(&dir.path().join("none")).is_err());
    }
}
