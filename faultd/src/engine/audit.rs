//! The audit trail: one line for every change, who asked for it and what came
//! of it.
//!
//! Each line goes to the log (tracing target `audit`) and, as JSON, to
//! `audit.log` in the state directory. That file is bounded: when it is full it
//! becomes `audit.log.1`, and the one before that is gone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;

/// Name of the audit file in the state directory.
pub const FILE_NAME: &str = "audit.log";
/// The file is rotated when it exceeds this many bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// User id, from SO_PEERCRED.
    pub uid: u32,
    /// Group id, from SO_PEERCRED.
    pub gid: u32,
    /// Process id, from SO_PEERCRED; none when it is in another pid namespace.
    pub pid: Option<u32>,
    /// Its command name, as far as it could be read.
    pub comm: String,
}

impl Actor {
    /// The daemon itself, when a deadline passes or it stops.
    pub fn daemon() -> Self {
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            pid: Some(std::process::id()),
            comm: "faultd".into(),
        }
    }
}

/// One change, or an attempt at one.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// `inject`, `revert`, `confirm`, `end`, …
    pub action: &'a str,
    /// The fault, once it has an id.
    pub id: Option<&'a str>,
    /// Its kind.
    pub kind: Option<&'a str>,
    /// What it hits, in the words of the command line.
    pub target: Option<&'a str>,
    /// `ok`, or why not.
    pub result: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    actor: &'a Actor,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    result: &'a str,
}

/// Where changes are written down.
pub struct Audit {
    file: Mutex<Option<Rotated>>,
}

struct Rotated {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Audit {
    /// Opens the audit file of a state directory.
    ///
    /// # Errors
    /// When it cannot be created or appended to.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE_NAME);
        let file = append(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file: Mutex::new(Some(Rotated { path, file, bytes })) })
    }

    /// Writes to the log alone, for tests.
    #[cfg(test)]
    pub fn log_only() -> Self {
        Self { file: Mutex::new(None) }
    }

    /// Writes one change down. A file that cannot be written (a full disk may
    /// be the very fault) costs its line there, not the one in the log.
    pub fn write(&self, actor: &Actor, change: &Change<'_>) {
        tracing::info!(
            target: "audit",
            uid = actor.uid,
            gid = actor.gid,
            pid = actor.pid,
            comm = actor.comm,
            action = change.action,
            id = change.id,
            kind = change.kind,
            target = change.target,
            result = change.result,
        );
        let line = Line {
            at: super::clock::wall(),
            actor,
            action: change.action,
            id: change.id,
            kind: change.kind,
            target: change.target,
            result: change.result,
        };
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = slot.as_mut()
            && let Err(e) = file.append(&line)
        {
            tracing::warn!("{}: {e}", file.path.display());
        }
    }
}

impl Rotated {
    fn append(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        if self.bytes + text.len() as u64 > MAX_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = append(&self.path)?;
            self.bytes = 0;
        }
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_holds_json_lines_is_private_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path()).unwrap();
        let filler = "x".repeat(64 * 1024);
        let change = Change {
            action: "inject",
            id: Some("f-aaaaaa"),
            kind: Some("latency"),
            target: Some("--port 80"),
            result: &filler,
        };
        for _ in 0..150 {
            audit.write(&Actor::daemon(), &change);
        }
        for name in [FILE_NAME, "audit.log.1"] {
            let path = dir.path().join(name);
            let meta = fs::metadata(&path).unwrap();
            assert!(meta.len() <= MAX_BYTES);
            assert_eq!(meta.permissions().mode() & 0o777, 0o600);
            for line in fs::read_to_string(path).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["id"], "f-aaaaaa");
                assert_eq!(line["comm"], "faultd");
            }
        }
    }
}
