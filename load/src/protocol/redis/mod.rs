//! Redis: commands sent, answers read.

mod decode;

use std::io::Write;

pub use decode::{Decoder, Value};

use super::wire::{Now, Wire};
use crate::{
    measure::{ErrorKind, Failure},
    plan::RedisServer,
};

/// Appends a command as Redis wants it: a list of strings.
pub fn write_command<W: AsRef<[u8]>>(out: &mut Vec<u8>, words: &[W]) {
    write_count(out, '*', words.len());
    for word in words {
        let word = word.as_ref();
        write_count(out, '$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// A line that says how many of something follow.
pub fn write_count(out: &mut Vec<u8>, kind: char, count: usize) {
    // Writing into memory cannot fail.
    let _written = write!(out, "{kind}{count}\r\n");
}

/// Reads as many answers as commands were sent; each may have `limit` bytes.
///
/// # Errors
/// The connection broke, or what came is no answer.
pub async fn receive(
    wire: &mut Wire,
    count: usize,
    limit: usize,
    now: Now<'_>,
) -> Result<Vec<Value>, Failure> {
    let mut decoder = Decoder::new(limit);
    let mut values = Vec::with_capacity(count.min(1024));
    loop {
        while values.len() < count {
            let Some(value) = decoder.next(&mut wire.input)? else { break };
            values.push(value);
        }
        if values.len() == count {
            if !wire.input.is_empty() {
                let text = format!("{} bytes after an answer", wire.input.len());
                return Err(Failure::new(ErrorKind::Protocol, text));
            }
            return Ok(values);
        }
        if wire.fill(now).await? == 0 {
            // A server that closes a connection may have said why on it.
            return Err(match values.iter().find_map(Value::error) {
                Some(text) => Failure::new(ErrorKind::Status, text),
                None => wire.closed_early(),
            });
        }
    }
}

/// Logs in and chooses the database, where `server` says so.
///
/// # Errors
/// The server refused, or the connection broke.
pub async fn log_in(wire: &mut Wire, server: &RedisServer, now: Now<'_>) -> Result<(), Failure> {
    let (mut request, mut count) = (Vec::new(), 0);
    if let Some(password) = &server.password {
        let words = ["AUTH"].into_iter().chain(server.user.as_deref()).chain([password.as_str()]);
        write_command(&mut request, &words.collect::<Vec<_>>());
        count += 1;
    }
    if server.db != 0 {
        write_command(&mut request, &["SELECT", &server.db.to_string()]);
        count += 1;
    }
    if count == 0 {
        return Ok(());
    }
    wire.send(&request, now).await?;
    let answers = receive(wire, count, 64 * 1024, now).await?;
    match answers.iter().find_map(Value::error) {
        Some(text) => Err(Failure::new(ErrorKind::Connect, format!("refused: {text}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lists_of_strings_of_any_bytes() {
        let mut out = Vec::new();
        write_command(&mut out, &[&b"SET"[..], b"k", b"\r\n\0"]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\r\n\0\r\n");
    }
}
