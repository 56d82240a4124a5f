//! How an entry lies in the journal file.
//!
//! The file is an array of slots of 512 bytes; an entry takes one or several
//! in a row. Every slot starts with a state word, which is zero in the slots
//! that continue an entry, so that no content can be taken for an entry.
//!
//! | offset | first slot                | further slots |
//! |--------|---------------------------|---------------|
//! | 0      | state                     | 0             |
//! | 4      | CRC32 of mark             | content …     |
//! | 8      | expiry (boot clock, ns)   |               |
//! | 16     | sequence number           |               |
//! | 24     | length of the content     |               |
//! | 28     | CRC32 of body             |               |
//! | 32     | content (JSON) …          |               |
//!
//! The first 16 bytes, the *mark*, change during the life of an entry; the
//! rest, the *body*, does not. Each has a checksum of its own, and the mark's
//! covers the sequence number, so that a mark never goes with a wrong body.

use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::host::undo::Undo;

/// Bytes of one slot: a disk sector, which is written whole or not at all.
pub(super) const SLOT_BYTES: usize = 512;
/// Bytes of the first slot before its content.
const HEAD_BYTES: usize = 32;
/// Bytes of a further slot before its content.
const CONT_BYTES: usize = 4;
/// The longest content, far above any undo; keeps one entry from taking all.
const MAX_CONTENT: usize = 256 * 1024;

pub(super) type Slot = [u8; SLOT_BYTES];

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The fault (or shared effect) that it belongs to.
    pub owner: String,
    /// How the effect is taken back.
    pub undo: Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending = 1,
    Done = 2,
}

/// The part of an entry that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub state: State,
    pub expires_boot_ns: u64,
}

impl Mark {
    pub(super) fn encode(self, seq: u64) -> [u8; 16] {
        let mut out = [0; 16];
        out[..4].copy_from_slice(&(self.state as u32).to_le_bytes());
        out[8..].copy_from_slice(&self.expires_boot_ns.to_le_bytes());
        let crc = mark_crc(&out, seq);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a mark. One that is neither free nor whole was torn while it was
    /// changed: the effect may be there, so it counts as pending and overdue.
    fn decode(head: &Slot, seq: u64) -> Option<Self> {
        let state = u32_at(head, 0);
        if state == 0 {
            return None;
        }
        let torn = Self { state: State::Pending, expires_boot_ns: 0 };
        let mut mark = [0; 16];
        mark.copy_from_slice(&head[..16]);
        if u32_at(head, 4) != mark_crc(&mark, seq) {
            return Some(torn);
        }
        let expires_boot_ns = u64_at(head, 8);
        Some(match state {
            1 => Self { state: State::Pending, expires_boot_ns },
            2 => Self { state: State::Done, expires_boot_ns },
            _ => torn,
        })
    }
}

fn mark_crc(mark: &[u8; 16], seq: u64) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&mark[..4]);
    crc.update(&mark[8..]);
    crc.update(&seq.to_le_bytes());
    crc.finalize()
}

fn body_crc(seq: u64, content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seq.to_le_bytes());
    crc.update(&(content.len() as u64).to_le_bytes());
    crc.update(content);
    crc.finalize()
}

/// Lays an entry out, its mark still free.
pub(super) fn encode(seq: u64, entry: &Entry) -> Result<Vec<Slot>, JournalError> {
    let content = serde_json::to_vec(entry).map_err(std::io::Error::from)?;
    if content.len() > MAX_CONTENT {
        return Err(JournalError::TooLarge { bytes: content.len(), max: MAX_CONTENT });
    }
    let mut head = [0; SLOT_BYTES];
    head[16..24].copy_from_slice(&seq.to_le_bytes());
    // Fits: checked against MAX_CONTENT just above.
    head[24..28].copy_from_slice(&(content.len() as u32).to_le_bytes());
    head[28..32].copy_from_slice(&body_crc(seq, &content).to_le_bytes());
    let (first, rest) = content.split_at(content.len().min(SLOT_BYTES - HEAD_BYTES));
    head[HEAD_BYTES..HEAD_BYTES + first.len()].copy_from_slice(first);
    let mut slots = vec![head];
    for chunk in rest.chunks(SLOT_BYTES - CONT_BYTES) {
        let mut slot = [0; SLOT_BYTES];
        slot[CONT_BYTES..CONT_BYTES + chunk.len()].copy_from_slice(chunk);
        slots.push(slot);
    }
    Ok(slots)
}

/// The first slot of an entry, read but not yet checked against its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub seq: u64,
    pub mark: Mark,
    len: usize,
    crc: u32,
}

impl Head {
    /// Reads a first slot; `None` when it is free, continues an entry, or says
    /// something impossible.
    pub(super) fn decode(slot: &Slot) -> Option<Self> {
        let seq = u64_at(slot, 16);
        let mark = Mark::decode(slot, seq)?;
        let len = u32_at(slot, 24) as usize;
        (len <= MAX_CONTENT).then_some(Self { seq, mark, len, crc: u32_at(slot, 28) })
    }

    /// How many slots the entry takes.
    pub(super) fn span(&self) -> usize {
        let rest = self.len.saturating_sub(SLOT_BYTES - HEAD_BYTES);
        1 + rest.div_ceil(SLOT_BYTES - CONT_BYTES)
    }

    /// Puts the content together; `None` when it is not what was written.
    pub(super) fn entry(&self, slots: &[Slot]) -> Option<Entry> {
        let (first, rest) = slots.split_first()?;
        let mut content = first[HEAD_BYTES..].to_vec();
        for slot in rest {
            content.extend_from_slice(&slot[CONT_BYTES..]);
        }
        content.truncate(self.len);
        if content.len() != self.len || body_crc(self.seq, &content) != self.crc {
            return None;
        }
        serde_json::from_slice(&content).ok()
    }
}

fn u32_at(slot: &Slot, at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&slot[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(slot: &Slot, at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&slot[at..at + 8]);
    u64::from_le_bytes(word)
}
