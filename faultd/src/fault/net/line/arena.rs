//! Memory for held frames.
//!
//! Frames are read straight into chunks, one behind the other whatever their
//! size, and are sent from where they lie. A chunk is free again when its
//! last frame has left. Free chunks are used again last in, first out, so a
//! short delay keeps working on memory that is still in the cache. The bound
//! counts chunks, which is what the frames really cost, not the sum of their
//! lengths.

use std::{io, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Large enough to waste little at the end (room for one frame of the
/// largest size), small enough for several in a second-level cache.
pub(super) const CHUNK_BYTES: usize = 512 << 10;

/// Frames start on a cache line.
const ALIGN: usize = 64;

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    chunk: u32,
    offset: u32,
    len: u32,
}

impl Span {
    /// The same without its first `n` bytes. It still stands for the whole
    /// when it is released.
    pub fn skip(self, n: u32) -> Self {
        let n = n.min(self.len);
        Self { chunk: self.chunk, offset: self.offset + n, len: self.len - n }
    }
}

struct Chunk {
    base: NonNull<u8>,
    /// Bytes in use from the start.
    used: usize,
    /// Frames that live in it.
    live: u32,
}

// SAFETY: a chunk owns its mapping, and memory may move between threads.
unsafe impl Send for Chunk {}

impl Chunk {
    fn map() -> io::Result<Self> {
        let len = NonZeroUsize::new(CHUNK_BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        // Populated: page faults one by one would cost as much as the copy.
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE;
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice.
        let base = unsafe { mmap_anonymous(None, len, prot, flags) }?;
        Ok(Self { base: base.cast(), used: 0, live: 0 })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: this mapping was made by `map` and nothing points to it any
        // more: slices borrow from the arena that owned the chunk.
        let _ = unsafe { munmap(self.base.cast(), CHUNK_BYTES) };
    }
}

/// Memory for held frames, bounded.
pub(super) struct Arena {
    /// `None` where a chunk was given back; spans refer to chunks by index.
    chunks: Vec<Option<Chunk>>,
    vacant: Vec<u32>,
    /// Mapped and empty, the one that was in use last at the end.
    free: Vec<u32>,
    /// The fewest free chunks since the last trim: so many were not needed.
    spare: usize,
    current: Option<u32>,
    mapped: usize,
    max_chunks: usize,
}

impl Arena {
    /// At most `max_bytes`, but never less than two chunks.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            chunks: Vec::new(),
            vacant: Vec::new(),
            free: Vec::new(),
            spare: 0,
            current: None,
            mapped: 0,
            max_chunks: (max_bytes / CHUNK_BYTES).max(2),
        }
    }

    fn chunk(&mut self, index: u32) -> Option<&mut Chunk> {
        self.chunks.get_mut(index as usize)?.as_mut()
    }

    /// Room for one frame of up to `len` bytes, or `None` when the bound is
    /// reached (or the kernel has no memory). Nothing is taken until
    /// [`Arena::commit`].
    pub fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        debug_assert!(len <= CHUNK_BYTES, "a frame fits a chunk");
        let fits = self
            .current
            .and_then(|index| self.chunk(index))
            .is_some_and(|chunk| CHUNK_BYTES - chunk.used >= len);
        if !fits {
            self.current = Some(self.fresh()?);
        }
        let chunk = self.chunk(self.current?)?;
        let start = chunk.used;
        // SAFETY: start <= CHUNK_BYTES, the mapping is CHUNK_BYTES long and
        // initialised (anonymous memory is zero), bytes from `used` on belong
        // to no frame, and the slice borrows the arena mutably.
        Some(unsafe {
            std::slice::from_raw_parts_mut(chunk.base.as_ptr().add(start), CHUNK_BYTES - start)
        })
    }

    fn fresh(&mut self) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            self.spare = self.spare.min(self.free.len());
            return Some(index);
        }
        if self.mapped >= self.max_chunks {
            return None;
        }
        let chunk = Chunk::map().ok()?;
        self.mapped += 1;
        if let Some(index) = self.vacant.pop() {
            self.chunks[index as usize] = Some(chunk);
            return Some(index);
        }
        let index = u32::try_from(self.chunks.len()).ok()?;
        self.chunks.push(Some(chunk));
        Some(index)
    }

    /// Takes the first `len` bytes of what [`Arena::room`] offered.
    pub fn commit(&mut self, len: usize) -> Option<Span> {
        let index = self.current?;
        let chunk = self.chunk(index)?;
        if len > CHUNK_BYTES - chunk.used {
            return None;
        }
        let offset = u32::try_from(chunk.used).ok()?;
        chunk.used = (chunk.used + len).next_multiple_of(ALIGN).min(CHUNK_BYTES);
        chunk.live += 1;
        Some(Span { chunk: index, offset, len: u32::try_from(len).ok()? })
    }

    /// The bytes of a frame.
    pub fn bytes(&mut self, span: Span) -> &mut [u8] {
        let Some(chunk) = self.chunk(span.chunk) else { return &mut [] };
        let (offset, len) = (span.offset as usize, span.len as usize);
        debug_assert!(offset + len <= chunk.used, "a span lies within what was committed");
        // SAFETY: spans come from `commit`, which keeps them within the
        // mapping, and no two overlap; the slice borrows the arena mutably.
        unsafe { std::slice::from_raw_parts_mut(chunk.base.as_ptr().add(offset), len) }
    }

    /// Gives a frame's memory back.
    pub fn release(&mut self, span: Span) {
        let is_current = self.current == Some(span.chunk);
        let Some(chunk) = self.chunk(span.chunk) else { return };
        debug_assert!(chunk.live > 0, "a frame is released once");
        chunk.live -= 1;
        if chunk.live > 0 {
            return;
        }
        chunk.used = 0;
        if !is_current {
            self.free.push(span.chunk);
        }
    }

    /// Unmaps chunks that were free ever since the last call, at most
    /// `at_most`: each costs the kernel some 20 µs.
    pub fn trim(&mut self, at_most: usize) {
        let idle = self.spare.min(at_most);
        for index in self.free.drain(..idle) {
            self.chunks[index as usize] = None;
            self.vacant.push(index);
        }
        self.mapped -= idle;
        self.spare = self.free.len();
    }

    /// Bytes mapped now.
    #[cfg(test)]
    pub fn mapped_bytes(&self) -> usize {
        self.mapped * CHUNK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 65_600;

    fn store(arena: &mut Arena, fill: u8, len: usize) -> Option<Span> {
        arena.room(FRAME)?[..len].fill(fill);
        arena.commit(len)
    }

    #[test]
    fn frames_keep_their_bytes() {
        let mut arena = Arena::new(64 << 20);
        let spans: Vec<_> =
            (0..200_u8).map(|n| store(&mut arena, n, 60 + usize::from(n) * 300).unwrap()).collect();
        for (n, span) in (0..200_u8).zip(spans) {
            let bytes = arena.bytes(span);
            assert_eq!(bytes.len(), 60 + usize::from(n) * 300);
            assert!(bytes.iter().all(|&byte| byte == n));
        }
    }

    #[test]
    fn the_bound_holds_and_room_comes_back() {
        let mut arena = Arena::new(4 * CHUNK_BYTES);
        let mut spans = Vec::new();
        while let Some(span) = store(&mut arena, 1, 60_000) {
            spans.push(span);
        }
        assert_eq!(arena.mapped_bytes(), 4 * CHUNK_BYTES);
        assert!(spans.len() >= 4 * (CHUNK_BYTES / FRAME), "{}", spans.len());
        for span in spans {
            arena.release(span);
        }
        assert!(store(&mut arena, 2, 60_000).is_some());
    }

    #[test]
    fn one_frame_at_a_time_stays_in_one_place() {
        let mut arena = Arena::new(64 << 20);
        let first = store(&mut arena, 1, 100).unwrap();
        arena.release(first);
        for _ in 0..100_000 {
            let span = store(&mut arena, 1, 100).unwrap();
            assert_eq!(span, first);
            arena.release(span);
        }
    }

    #[test]
    fn small_frames_share_chunks() {
        let mut arena = Arena::new(64 << 20);
        for _ in 0..10_000 {
            store(&mut arena, 1, 90).unwrap();
        }
        assert!(arena.mapped_bytes() <= 3 << 20, "{}", arena.mapped_bytes());
    }

    #[test]
    fn trim_returns_what_was_not_needed_since_the_last() {
        let mut arena = Arena::new(64 << 20);
        let spans: Vec<_> = (0..300).filter_map(|_| store(&mut arena, 1, 60_000)).collect();
        let most = arena.mapped_bytes();
        for span in spans {
            arena.release(span);
        }
        arena.trim(usize::MAX);
        assert_eq!(arena.mapped_bytes(), most, "they were in use just now");
        let again: Vec<_> = (0..100).filter_map(|_| store(&mut arena, 1, 60_000)).collect();
        for span in again {
            arena.release(span);
        }
        arena.trim(5);
        assert_eq!(arena.mapped_bytes(), most - 5 * CHUNK_BYTES);
        for _ in 0..2 {
            arena.trim(usize::MAX);
        }
        assert_eq!(arena.mapped_bytes(), CHUNK_BYTES);
        assert!(store(&mut arena, 1, 100).is_some());
    }
}
