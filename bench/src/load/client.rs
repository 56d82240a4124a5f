//! The load generators: where they are, how they are run, what they used.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

use super::limits::{Side, on};

/// A load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Ours.
    Faultload,
    /// wrk 4.
    Wrk,
    /// oha.
    Oha,
    /// h2load of nghttp2, over HTTP/1.1.
    H2load,
}

impl Tool {
    const ALL: [Self; 4] = [Self::Faultload, Self::Wrk, Self::Oha, Self::H2load];

    /// Its name, which is that of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faultload => "faultload",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::H2load => "h2load",
        }
    }

    /// How to get it.
    fn how(self) -> &'static str {
        match self {
            Self::Faultload => "cargo build --release --package faultload",
            Self::Wrk => "the Debian package wrk",
            Self::Oha => "cargo install oha --locked",
            Self::H2load => "the Debian package nghttp2-client",
        }
    }
}

/// Those that are there.
#[derive(Debug)]
pub struct Tools(Vec<(Tool, PathBuf)>);

impl Tools {
    /// Looks where `FAULTLOAD_BIN` and `PATH` say.
    ///
    /// # Errors
    /// There is no faultload.
    pub fn find() -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let in_path = |name: &str| {
            env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
        };
        let found = Tool::ALL.into_iter().filter_map(|tool| {
            let ours = (tool == Tool::Faultload).then(|| env::var_os("FAULTLOAD_BIN")).flatten();
            Some((tool, ours.map(PathBuf::from).or_else(|| in_path(tool.name()))?))
        });
        let found = Self(found.collect());
        if !found.has(Tool::Faultload) {
            bail!("no faultload: FAULTLOAD_BIN names it");
        }
        Ok(found)
    }

    /// Whether it is there.
    pub fn has(&self, tool: Tool) -> bool {
        self.0.iter().any(|(found, _)| *found == tool)
    }

    /// Those of `wanted` that are there.
    pub fn those<const N: usize>(&self, wanted: [Tool; N]) -> Vec<Tool> {
        wanted.into_iter().filter(|&tool| self.has(tool)).collect()
    }

    /// Those that are not there, each with how to get it.
    pub fn missing(&self) -> Vec<String> {
        let missing = Tool::ALL.into_iter().filter(|&tool| !self.has(tool));
        missing.map(|tool| format!("{} ({})", tool.name(), tool.how())).collect()
    }

    /// What each says of its version.
    pub fn versions(&self) -> Vec<String> {
        let version = |(tool, path): &(Tool, PathBuf)| {
            let said = Command::new(path).arg("--version").output().ok()?;
            let text = String::from_utf8_lossy(&said.stdout).into_owned();
            // `wrk debian/4.1.0-3 …`, `h2load nghttp2/1.52.0`, `oha 1.9.0`.
            let words = text.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
            let version =
                words.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            Some(format!("{} {}", tool.name(), version?))
        };
        self.0.iter().filter_map(version).collect()
    }

    /// A command that runs `tool`.
    pub fn command(&self, tool: Tool) -> Command {
        let found = self.0.iter().find(|(found, _)| *found == tool);
        let path = found.map_or_else(|| PathBuf::from(tool.name()), |(_, path)| path.clone());
        Command::new(path)
    }
}

/// What a client said and used.
#[derive(Debug)]
pub struct Ran {
    /// Its standard output.
    pub said: String,
    /// Processor time, user and system, in seconds.
    pub cpu_s: f64,
    /// Peak resident size, in MiB.
    pub peak_mib: f64,
    /// Resident size every 100 ms, in MiB.
    pub resident_mib: Vec<f64>,
}

/// Runs a client on its core. Exit codes are verdicts, not failures.
pub fn run(mut command: Command) -> Result<Ran> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out");
    command.stdin(Stdio::null()).stdout(fs::File::create(&out)?).stderr(Stdio::null());
    let before = children();
    let name = command.get_program().to_owned();
    let mut child =
        on(Side::Client, || command.spawn()).with_context(|| name.display().to_string())?;
    let (mut peak_mib, mut resident_mib) = (0.0, Vec::new());
    for tick in 0_u32.. {
        // The kernel forgets the size of a process when it ends, so it is asked until then.
        let (resident, peak) = memory(&child);
        peak_mib = f64::max(peak_mib, peak);
        if tick.is_multiple_of(10) && resident > 0.0 {
            resident_mib.push(resident);
        }
        if child.try_wait()?.is_some() {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    let cpu_s = children() - before;
    Ok(Ran { said: fs::read_to_string(&out)?, cpu_s, peak_mib, resident_mib })
}

/// Processor time of children that have ended, in seconds.
fn children() -> f64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0.0, |usage| {
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}

/// Resident size now and at most, in MiB; 0 when it has ended.
fn memory(child: &Child) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let mib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    };
    (mib("VmRSS"), mib("VmHWM"))
}
