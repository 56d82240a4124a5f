//! Lines that go to a file by way of a thread of its own, so that whoever makes them does not wait
//! for a disk.
//!
//! What is under way is bounded: when the disk does not follow, a feed either waits (what must not
//! be lost) or drops lines and counts them, as its spool was started.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

/// So many bytes of lines are handed over at a time.
const BATCH: usize = 32 << 10;

/// Batches under way at most: 8 MiB.
const MOST_BATCHES: usize = 256;

/// What a feed does when too much is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits.
    Wait,
    /// It drops lines, and counts them.
    Drop,
}

/// A file that lines are written to.
#[derive(Debug)]
pub struct Spool {
    batches: SyncSender<Batch>,
    dropped: Arc<AtomicU64>,
    when_full: WhenFull,
    thread: thread::JoinHandle<(File, u64, Option<io::Error>)>,
}

/// One of those who write to it; each has lines of its own under way.
#[derive(Debug)]
pub struct Feed {
    batches: SyncSender<Batch>,
    dropped: Arc<AtomicU64>,
    when_full: WhenFull,
    bytes: Vec<u8>,
    lines: u64,
}

#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

/// What became of all lines.
#[derive(Debug)]
pub struct Spooled {
    /// The file, at its end.
    pub file: File,
    /// Lines that are in it.
    pub lines: u64,
    /// Lines that are not.
    pub dropped: u64,
    /// Why writing failed, if it did.
    pub error: Option<io::Error>,
}

impl Spool {
    /// Begins to write to `file`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(file: File, when_full: WhenFull) -> io::Result<Self> {
        let (batches, written) = sync_channel(MOST_BATCHES);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let body = move || write(file, &written, &lost);
        let thread = thread::Builder::new().name("spool".into()).spawn(body)?;
        Ok(Self { batches, dropped, when_full, thread })
    }

    /// A way to write to it.
    #[must_use]
    pub fn feed(&self) -> Feed {
        let Self { batches, dropped, when_full, .. } = self;
        Feed {
            batches: batches.clone(),
            dropped: Arc::clone(dropped),
            when_full: *when_full,
            bytes: Vec::new(),
            lines: 0,
        }
    }

    /// Waits until all feeds are gone and everything is written.
    ///
    /// # Errors
    /// The thread died.
    pub fn finish(self) -> io::Result<Spooled> {
        drop(self.batches);
        let died = |_| io::Error::other("the thread that wrote died");
        let (file, lines, error) = self.thread.join().map_err(died)?;
        Ok(Spooled { file, lines, dropped: self.dropped.load(Ordering::Acquire), error })
    }
}

/// Writes until nobody has anything more. After an error lines are counted as dropped.
fn write(
    mut file: File,
    batches: &Receiver<Batch>,
    dropped: &AtomicU64,
) -> (File, u64, Option<io::Error>) {
    let (mut lines, mut error) = (0, None);
    for batch in batches {
        if error.is_none() {
            error = file.write_all(&batch.bytes).err();
        }
        if error.is_none() {
            lines += batch.lines;
        } else {
            dropped.fetch_add(batch.lines, Ordering::AcqRel);
        }
    }
    (file, lines, error)
}

impl Feed {
    /// Adds a line, which `fill` appends to the bytes with its end.
    pub fn line(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        fill(&mut self.bytes);
        self.lines += 1;
        if self.bytes.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands over what it has.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let room = self.bytes.capacity();
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(room));
        let lines = std::mem::take(&mut self.lines);
        let batch = Batch { bytes, lines };
        let handed_over = match self.when_full {
            WhenFull::Wait => self.batches.send(batch).is_ok(),
            WhenFull::Drop => match self.batches.try_send(batch) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            },
        };
        if !handed_over {
            self.dropped.fetch_add(lines, Ordering::AcqRel);
        }
    }
}

impl Clone for Feed {
    /// Another one, without the lines of this one.
    fn clone(&self) -> Self {
        let Self { batches, dropped, when_full, .. } = self;
        Self {
            batches: batches.clone(),
            dropped: Arc::clone(dropped),
            when_full: *when_full,
            bytes: Vec::new(),
            lines: 0,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        io::Read,
    };

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn lines_of_all_feeds_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let spool = Spool::start(File::create(&path).unwrap(), WhenFull::Wait).unwrap();
        let feeds: Vec<_> = (0..4).map(|_| spool.feed()).collect();
        let threads = feeds.into_iter().map(|mut feed| {
            thread::spawn(move || {
                (0..10_000).for_each(|n| feed.line(|out| writeln!(out, "{n}").unwrap()));
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|t| t.join().unwrap());
        let spooled = spool.finish().unwrap();
        assert_eq!((spooled.lines, spooled.dropped), (40_000, 0));
        let text = fs::read_to_string(path).unwrap();
        let sum: u64 = text.lines().map(|line| line.parse::<u64>().unwrap()).sum();
        assert_eq!(sum, 4 * 10_000 * 9_999 / 2);
    }

    #[test]
    fn what_a_disk_does_not_take_is_counted_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        // A pipe that nobody reads from is a disk that has stopped.
        let mut pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let spool = Spool::start(pipe.try_clone().unwrap(), WhenFull::Drop).unwrap();
        let mut feed = spool.feed();
        let line = [b'x'; 1023];
        for _ in 0..20_000 {
            feed.line(|out| out.extend(line.iter().chain(b"\n")));
        }
        drop(feed);
        let reader = thread::spawn(move || {
            let (mut seen, mut buffer) = (0, vec![0; 1 << 20]);
            loop {
                let read = pipe.read(&mut buffer).unwrap();
                seen += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
                // The byte that says that this was all.
                if buffer[..read].last() == Some(&b'!') {
                    return seen;
                }
            }
        });
        let spooled = spool.finish().unwrap();
        (&spooled.file).write_all(b"!").unwrap();
        assert!(spooled.dropped > 5_000, "{}", spooled.dropped);
        assert_eq!(spooled.lines + spooled.dropped, 20_000);
        assert_eq!(reader.join().unwrap(), spooled.lines);
    }

    #[test]
    fn after_an_error_lines_are_counted_too() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let spool = Spool::start(full, WhenFull::Wait).unwrap();
        spool.feed().line(|out| out.extend(b"line\n"));
        let spooled = spool.finish().unwrap();
        assert_eq!((spooled.lines, spooled.dropped), (0, 1));
        assert!(spooled.error.is_some());
    }
}
