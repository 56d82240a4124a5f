//! Helper programs: iproute2, for setting up and for looking independently.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `program args…` (separated by blanks) in the calling thread's network
/// namespace and returns its standard output.
///
/// # Panics
/// When it cannot be started or fails.
#[track_caller]
pub fn run(line: &str) -> String {
    let output = output(line);
    assert!(
        output.status.success(),
        "`{line}` failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a command succeeds; its output is dropped.
pub fn succeeds(line: &str) -> bool {
    output(line).status.success()
}

/// Runs a command that prints JSON; no output at all counts as an empty list.
///
/// # Panics
/// When it fails or prints something else.
#[track_caller]
pub fn json(line: &str) -> Value {
    let text = run(line);
    if text.trim().is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("`{line}` printed no JSON: {e}\n{text}"))
}

fn output(line: &str) -> Output {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command line names a program");
    Command::new(program)
        .args(words)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("`{line}`: {e}"))
}
