//! What the kernel says on the guest's console.

use std::{fs, path::PathBuf};

/// Lines that mean that the kernel is broken. Whatever a test says after one is worth nothing.
const FATAL: [&str; 6] = [
    "Kernel panic",
    " BUG: ",
    "Oops: ",
    "general protection fault",
    "Unable to handle kernel",
    "KASAN: ",
];

/// A starved emulator looks like a stuck processor to the kernel; that is no fault of the test's.
const HARMLESS: [&str; 2] = ["soft lockup", "workqueue lockup"];

/// The console's file, searched as it grows.
pub struct Console {
    path: PathBuf,
    seen: usize,
}

impl Console {
    /// Watches a file that QEMU is about to write.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: 0 }
    }

    /// The first fatal line that was not there at the last call.
    pub fn new_fatal(&mut self) -> Option<String> {
        let text = self.text();
        let new = text.get(self.seen..).unwrap_or_default();
        // A line that is still being written is looked at next time.
        let complete = new.rfind('\n').map_or(0, |at| at + 1);
        self.seen += complete;
        fatal(&new[..complete]).map(str::to_owned)
    }

    /// The last lines.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn text(&self) -> String {
        // Everything that is not ASCII becomes one byte, so that offsets stay where they were.
        fs::read(&self.path)
            .unwrap_or_default()
            .into_iter()
            .map(|b| if b.is_ascii() { char::from(b) } else { '?' })
            .collect()
    }
}

fn fatal(text: &str) -> Option<&str> {
    text.lines()
        .find(|line| {
            FATAL.iter().any(|marker| line.contains(marker))
                && !HARMLESS.iter().any(|marker| line.contains(marker))
        })
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fatal_lines() {
        let panic = "[    1.0] Kernel panic - not syncing: Attempted to kill init!";
        assert_eq!(fatal(&format!("fine\n{panic}\r\nmore")), Some(panic));
        assert!(fatal("[    9.1] BUG: kernel NULL pointer dereference, address: 0000").is_some());
        assert_eq!(fatal("watchdog: BUG: soft lockup - CPU#1 stuck for 22s!"), None);
        assert_eq!(fatal("DEBUG: all is well\n[ok] Oops handler registered"), None);
    }

    #[test]
    fn each_line_is_reported_once_and_only_when_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console");
        let mut console = Console::new(path.clone());
        assert_eq!(console.new_fatal(), None);
        fs::write(&path, "boot \u{e9}\nKernel pan").unwrap();
        assert_eq!(console.new_fatal(), None);
        fs::write(&path, "boot \u{e9}\nKernel panic!\nlast").unwrap();
        assert_eq!(console.new_fatal().as_deref(), Some("Kernel panic!"));
        assert_eq!(console.new_fatal(), None);
        assert_eq!(console.tail(1), "last");
    }
}
