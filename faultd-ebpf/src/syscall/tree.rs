//! Which rules' paths a file lies below.

use faultd_abi::syscall::{DEPTH, Offsets, Root};

use crate::{
    context::{Address, read, read32},
    maps::ROOTS,
};

/// Follows a directory entry up to the root of its file system and collects the
/// slots of every root met on the way. Roots below mount points are in the map
/// too, so mounts need not be crossed.
#[inline(always)]
pub fn slots_above(dentry: Address, offsets: &Offsets) -> u32 {
    let dev = read32(read(dentry, offsets.dentry_sb), offsets.sb_dev);
    let mut slots = 0;
    let mut dentry = dentry;
    for _ in 0..DEPTH {
        // Nothing is there yet where a file is about to be made: inode 0, which
        // none of the roots has.
        let ino = read(read(dentry, offsets.dentry_inode), offsets.inode_ino);
        // SAFETY: a word, copied at once.
        if let Some(found) = unsafe { ROOTS.get(&Root { ino, dev, pad: 0 }) } {
            slots |= *found;
        }
        let parent = read(dentry, offsets.dentry_parent);
        if parent == dentry || parent == 0 {
            break;
        }
        dentry = parent;
    }
    slots
}

/// The entry of an open file.
#[inline(always)]
pub fn of_file(file: Address, offsets: &Offsets) -> Address {
    if file == 0 {
        return 0;
    }
    of_path(file + u64::from(offsets.file_path), offsets)
}

/// The entry of a `struct path`.
#[inline(always)]
pub fn of_path(path: Address, offsets: &Offsets) -> Address {
    read(path, offsets.path_dentry)
}
