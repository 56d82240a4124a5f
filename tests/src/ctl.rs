//! Running `faultctl` as a user would.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output of a command that has to succeed.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "the command failed: {}{}", self.stderr, self.stdout);
        self.stdout
    }

    /// The one JSON document on standard output of a command that has to
    /// succeed.
    ///
    /// # Panics
    /// When it did not, or printed anything else.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("not one JSON document: {e}\n{text}"))
    }

    /// Checks a refusal: the exit code, nothing on standard output, and on
    /// standard error one line that says what is wrong and mentions all of
    /// `words`, at most one more line that says where to read on.
    ///
    /// # Panics
    /// When any of that is otherwise.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "exit code; it said: {}{}", self.stderr, self.stdout);
        assert_eq!(self.stdout, "", "standard output of a refusal");
        let lines: Vec<&str> = self.stderr.lines().collect();
        let errors = lines.iter().filter(|l| l.starts_with("error: ")).count();
        assert!(errors == 1 && lines.len() <= 2, "one clear line, got: {}", self.stderr);
        for word in words {
            assert!(lines[0].contains(word), "{word:?} is not in: {}", self.stderr);
        }
    }
}

/// A binary under test: `variable` names it, else it lies beside the test
/// executable's directory, where cargo puts it.
///
/// # Panics
/// When it is in neither place.
pub fn binary(variable: &str, name: &str) -> PathBuf {
    let path = env::var_os(variable).map_or_else(|| beside_us(name), PathBuf::from);
    assert!(
        path.is_file(),
        "{} does not exist: build it, or name it in {variable}",
        path.display()
    );
    path
}

/// `faultctl` for a socket, without the surrounding session's SSH_CONNECTION.
pub fn faultctl(socket: &Path) -> Command {
    let mut command = Command::new(binary("FAULTCTL_BIN", "faultctl"));
    command.arg("--socket").arg(socket).env_remove("SSH_CONNECTION").env("NO_COLOR", "1");
    command
}

/// Runs `faultctl` with arguments separated by blanks.
pub fn run(socket: &Path, arguments: &str) -> Outcome {
    run_args(socket, arguments.split_whitespace())
}

/// Runs `faultctl` with arguments that may hold blanks.
pub fn run_args<S: AsRef<OsStr>>(socket: &Path, arguments: impl IntoIterator<Item = S>) -> Outcome {
    Outcome::of(faultctl(socket).args(arguments))
}

fn beside_us(name: &str) -> PathBuf {
    let here = env::current_exe().expect("the path of this executable");
    // target/debug/deps/latency-… → target/debug/faultd; xtask lies in target/debug itself.
    let found = here.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| here.with_file_name(name))
}
