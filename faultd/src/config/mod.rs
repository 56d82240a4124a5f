//! The policy file, `/etc/faultd/config.toml`: what is protected and who may
//! do what.
//!
//! Without a file the defaults hold, which `packaging/config.toml` spells out:
//! root and the members of the group `faultd` may inject every fault for up to
//! an hour, only root may force, and nobody else may do anything.

mod accounts;
mod policy;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use faultd_api::{Kind, Span};
use serde::Deserialize;

pub use accounts::{Account, group_id};
pub use policy::{Denied, Grant, Identity, Policy};

use crate::fault::Protected;

/// Where the file is, unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/faultd/config.toml";
/// Members of this group may use the daemon, and may open its socket.
pub const GROUP: &str = "faultd";

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not what a policy file looks like; says where and why.
    #[error("{}: {message}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column, and what is wrong there.
        message: String,
    },
}

/// The policy file as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Limits for everybody together.
    pub limits: Limits,
    /// What no fault may touch, whoever asks.
    pub protect: Protect,
    /// The network data plane.
    pub network: Network,
    /// Who may do what; the first entry that names the caller decides.
    pub allow: Vec<Allow>,
}

/// Limits for everybody together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Faults in force at the same time.
    pub max_active: usize,
}

/// What no fault may touch.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protect {
    /// Ports, at either end.
    pub ports: Vec<u16>,
    /// systemd units.
    pub units: Vec<String>,
    /// Command names.
    pub processes: Vec<String>,
}

/// The network data plane.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The bit of a packet's mark that means "already seen by faultd".
    pub bypass_mark: u32,
}

/// One line of who may do what.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Users, by name or number.
    pub users: Vec<Account>,
    /// Groups, by name or number; supplementary ones count.
    pub groups: Vec<Account>,
    /// The faults allowed; all when left out, none (looking only) when empty.
    pub kinds: Option<Vec<Kind>>,
    /// The longest duration of a fault.
    pub max_duration: Span,
    /// How many faults one user may have in force at the same time.
    pub max_active: usize,
    /// Whether safety rails may be lifted.
    pub force: bool,
    /// Whether faults of other users may be reverted and confirmed.
    pub revert_others: bool,
}

impl Default for Config {
    fn default() -> Self {
        let allow = Allow::default();
        let root = Allow { users: vec![Account::from("root")], force: true, ..allow.clone() };
        let group = Allow { groups: vec![Account::from(GROUP)], ..allow };
        Self {
            limits: Limits::default(),
            protect: Protect::default(),
            network: Network::default(),
            allow: vec![root, group],
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_active: 4000 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self { bypass_mark: 0x0400_0000 }
    }
}

impl Default for Allow {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            groups: Vec::new(),
            kinds: None,
            max_duration: Span::from_secs(3600),
            max_active: 4000,
            force: false,
            revert_others: true,
        }
    }
}

impl Config {
    /// Reads the file at `path`; the default file may be absent, one that was
    /// asked for may not.
    ///
    /// # Errors
    /// When it cannot be read, or is malformed.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text)
                .map_err(|message| ConfigError::Malformed { path: file.to_owned(), message }),
            Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_none() => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: file.to_owned(), source }),
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Where and what is wrong, over several lines when a line can be shown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if !self.network.bypass_mark.is_power_of_two() {
            return Err(format!(
                "network.bypass_mark must be one bit, got {:#x}",
                self.network.bypass_mark
            ));
        }
        if self.protect.ports.contains(&0) {
            return Err("protect.ports takes ports between 1 and 65535, got 0".into());
        }
        for (i, allow) in self.allow.iter().enumerate() {
            let number = i + 1;
            if allow.users.is_empty() && allow.groups.is_empty() {
                return Err(format!("allow entry {number} names neither users nor groups"));
            }
            if allow.max_duration.get() > Duration::from_secs(30 * 24 * 3600) {
                return Err(format!(
                    "max_duration of allow entry {number} must be at most 30days, got {}",
                    allow.max_duration
                ));
            }
        }
        Ok(())
    }

    /// The policy, with names resolved to numbers. Names that do not exist on
    /// this host match nobody; [`Config::unknown_names`] tells which.
    pub fn policy(&self) -> Policy {
        Policy::new(self)
    }

    /// Users and groups in the file that this host does not know.
    pub fn unknown_names(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        for allow in &self.allow {
            let users = allow.users.iter().filter(|u| u.uid().is_none());
            unknown.extend(users.map(|u| format!("user {u}")));
            let groups = allow.groups.iter().filter(|g| g.gid().is_none());
            unknown.extend(groups.map(|g| format!("group {g}")));
        }
        unknown
    }

    /// What faults must leave alone.
    pub fn protected(&self) -> Protected {
        Protected {
            ports: self.protect.ports.clone(),
            units: self.protect.units.clone(),
            processes: self.protect.processes.clone(),
        }
    }
}
