//! The journal's file: reserved, locked, read and written by position.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{errno::Errno, fcntl};

use super::{
    failpoint,
    slot::{Entry, Head, Mark, SLOT_BYTES, Slot, State},
};
use crate::engine::clock;

/// Bytes reserved for the journal when the daemon starts.
const FILE_BYTES: usize = 4 * 1024 * 1024;
/// How many slots there are; slot 0 is the header.
pub(super) const SLOTS: usize = FILE_BYTES / SLOT_BYTES;
/// Slots read at a time when the file is searched.
const CHUNK: usize = 64;
/// How long the daemon waits for another process to finish its replay.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

const MAGIC: &[u8; 8] = b"FAULTDJ1";

/// The journal's file.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
}

/// Held while the file is changed; let go when dropped.
#[must_use]
pub(super) struct FileLock<'a>(&'a File);

impl Drop for FileLock<'_> {
    fn drop(&mut self) {
        if let Err(e) = self.0.unlock() {
            tracing::error!("undo journal: unlock: {e}");
        }
    }
}

/// An entry and where it lies.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub slot: usize,
    pub span: usize,
    pub seq: u64,
    pub mark: Mark,
    pub entry: Entry,
}

/// Who wrote the file: the boot, and which start of a daemon in it.
struct Header {
    boot_id: String,
    generation: u64,
}

impl JournalFile {
    /// Opens or creates the file and reserves its space.
    ///
    /// # Errors
    /// When it cannot be opened (a symbolic link is refused) or reserved.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.custom_flags(libc::O_NOFOLLOW).open(path)?;
        reserve(&file)?;
        Ok(Self { file })
    }

    /// Opens the file of a daemon that has run here; `None` if none has.
    ///
    /// # Errors
    /// When there is one that cannot be opened, or is too short to be one.
    pub fn open_existing(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match options.custom_flags(libc::O_NOFOLLOW).open(path) {
            Ok(file) if file.metadata()?.len() < FILE_BYTES as u64 => Ok(None),
            Ok(file) => Ok(Some(Self { file })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The journal in a file that was opened for reading, to look at.
    pub(super) fn read_only(file: File) -> Self {
        Self { file }
    }

    /// Locks the file against other processes.
    ///
    /// # Errors
    /// When another process holds it for longer than [`LOCK_PATIENCE`].
    pub(super) fn lock(&self) -> io::Result<FileLock<'_>> {
        self.lock_within(LOCK_PATIENCE)
    }

    /// Locks the file, waiting no longer than `patience`.
    pub(super) fn lock_within(&self, patience: Duration) -> io::Result<FileLock<'_>> {
        let start = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(FileLock(&self.file)),
                Err(std::fs::TryLockError::Error(e)) => return Err(e),
                Err(std::fs::TryLockError::WouldBlock) => {}
            }
            if start.elapsed() >= patience {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process keeps it locked",
                ));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether what it holds was written since the machine started.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_of_this_boot(&self) -> io::Result<bool> {
        let boot_id = clock::boot_id()?;
        Ok(self.header()?.is_some_and(|h| h.boot_id == boot_id))
    }

    /// Counts the starts of daemons on this file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn generation(&self) -> io::Result<u64> {
        Ok(self.header()?.map_or(0, |h| h.generation))
    }

    pub(super) fn start_generation(&self) -> io::Result<()> {
        let generation = self.generation()? + 1;
        self.write_header(&Header { boot_id: clock::boot_id()?, generation })
    }

    fn header(&self) -> io::Result<Option<Header>> {
        let mut slot = [0; SLOT_BYTES];
        self.file.read_exact_at(&mut slot, 0)?;
        let (body, crc) = slot.split_at(SLOT_BYTES - 4);
        if !body.starts_with(MAGIC) || crc32fast::hash(body).to_le_bytes() != *crc {
            return Ok(None);
        }
        let mut generation = [0; 8];
        generation.copy_from_slice(&body[8..16]);
        let boot_id = &body[16..52];
        let Ok(boot_id) = std::str::from_utf8(boot_id) else { return Ok(None) };
        let generation = u64::from_le_bytes(generation);
        Ok(Some(Header { boot_id: boot_id.to_owned(), generation }))
    }

    fn write_header(&self, header: &Header) -> io::Result<()> {
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(MAGIC);
        slot[8..16].copy_from_slice(&header.generation.to_le_bytes());
        let id = header.boot_id.as_bytes();
        let len = id.len().min(36);
        slot[16..16 + len].copy_from_slice(&id[..len]);
        let crc = crc32fast::hash(&slot[..SLOT_BYTES - 4]);
        slot[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        self.file.write_all_at(&slot, 0)
    }

    /// Every pending entry, in the order of their positions.
    pub(super) fn pending(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut next = 1;
        self.for_each_head(|slot, head| {
            if slot < next || head.mark.state != State::Pending {
                return Ok(());
            }
            // A body that is not whole was never followed by its effect.
            let Some(entry) = self.entry(slot, head)? else { return Ok(()) };
            let span = head.span();
            next = slot + span;
            found.push(Found { slot, span, seq: head.seq, mark: head.mark, entry });
            Ok(())
        })?;
        Ok(found)
    }

    fn for_each_head(
        &self,
        mut each: impl FnMut(usize, &Head) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK * SLOT_BYTES];
        for first in (0..SLOTS).step_by(CHUNK) {
            self.file.read_exact_at(&mut chunk, (first * SLOT_BYTES) as u64)?;
            for (i, slot) in chunk.as_chunks::<SLOT_BYTES>().0.iter().enumerate() {
                if first + i == 0 {
                    continue;
                }
                if let Some(head) = Head::decode(slot) {
                    each(first + i, &head)?;
                }
            }
        }
        Ok(())
    }

    fn entry(&self, slot: usize, head: &Head) -> io::Result<Option<Entry>> {
        if slot + head.span() > SLOTS {
            return Ok(None);
        }
        let mut slots: Vec<Slot> = vec![[0; SLOT_BYTES]; head.span()];
        for (i, out) in slots.iter_mut().enumerate() {
            self.file.read_exact_at(out, ((slot + i) * SLOT_BYTES) as u64)?;
        }
        Ok(head.entry(&slots))
    }

    /// Drops every entry: effects of the kernel do not survive a reboot.
    pub(super) fn wipe(&self) -> io::Result<()> {
        // Slot 0 is the header's.
        fill_with_zeros(&self.file, 1)
    }

    pub(super) fn write_body(&self, slot: usize, chunks: &[Slot]) -> io::Result<()> {
        self.write(slot, chunks.as_flattened())
    }

    pub(super) fn write_mark(&self, slot: usize, seq: u64, mark: Mark) -> io::Result<()> {
        self.write(slot, &mark.encode(seq))
    }

    /// Every write of an entry; those of the header belong to the start.
    fn write(&self, slot: usize, bytes: &[u8]) -> io::Result<()> {
        failpoint::before_write();
        self.file.write_all_at(bytes, (slot * SLOT_BYTES) as u64)?;
        failpoint::after_write();
        Ok(())
    }
}

/// Makes sure that writing within the file never needs space.
fn reserve(file: &File) -> io::Result<()> {
    match fcntl::fallocate(file, fcntl::FallocateFlags::empty(), 0, FILE_BYTES as i64) {
        Ok(()) => Ok(()),
        // A file system without fallocate(2): fill the file, once.
        Err(Errno::EOPNOTSUPP) => {
            let first = file.metadata()?.len() as usize / SLOT_BYTES;
            fill_with_zeros(file, first)
        }
        Err(e) => Err(e.into()),
    }
}

/// Zeros from slot `first` to the end, in few large writes: this is on the way of every first start.
fn fill_with_zeros(file: &File, first: usize) -> io::Result<()> {
    let zeros = vec![0; CHUNK * SLOT_BYTES];
    for slot in (first..SLOTS).step_by(CHUNK) {
        let slots = CHUNK.min(SLOTS - slot);
        file.write_all_at(&zeros[..slots * SLOT_BYTES], (slot * SLOT_BYTES) as u64)?;
    }
    Ok(())
}
