//! What a fault hits: the network part and the process part of a target.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, PortSet};

/// Which way packets go, as seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Direction {
    /// Packets that leave.
    Egress,
    /// Packets that arrive.
    Ingress,
    /// Both.
    Both,
}

/// Transport protocols that a rule can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6 (never neighbour discovery).
    Icmp,
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

/// What a fault hits. Every field narrows; an empty target means everything
/// (for network faults) and is refused by faults that need a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Target"))]
pub struct Target {
    /// Network interface; may be given several times [default: every one that is up]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DEV", value_delimiter = ','))]
    pub dev: Vec<String>,
    /// Direction of the packets [default: egress; both for partition]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DIR"))]
    pub direction: Option<Direction>,
    /// Transport protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PROTO"))]
    pub proto: Option<Proto>,
    /// Port at either end: 80, 80,443 or 8000-8099
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PORTS"))]
    pub port: Option<PortSet>,
    /// Port at this host's end
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PORTS"))]
    pub local_port: Option<PortSet>,
    /// Port at the other end
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PORTS"))]
    pub remote_port: Option<PortSet>,
    /// Address of the other end: an address, a CIDR block or a host name
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "ADDR", value_delimiter = ','))]
    pub remote: Vec<String>,
    /// Ports (either end) that are left alone
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PORTS"))]
    pub except_port: Option<PortSet>,
    /// Addresses of the other end that are left alone
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "ADDR", value_delimiter = ','))]
    pub except_remote: Vec<String>,
    /// Process id, its children included
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PID", value_delimiter = ','))]
    pub pid: Vec<u32>,
    /// Processes with this command name (comm)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub name: Option<String>,
    /// Processes that run this executable
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PATH"))]
    pub exe: Option<String>,
    /// Processes whose command line matches this regular expression
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "REGEX"))]
    pub cmdline: Option<String>,
    /// Processes and sockets of this user (name or uid)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "USER"))]
    pub user: Option<String>,
    /// Control group, as a path below its mount point
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PATH"))]
    pub cgroup: Option<String>,
    /// systemd unit
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub unit: Option<String>,
    /// Container, by id or name
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "ID|NAME"))]
    pub container: Option<String>,
    /// Network namespace, by name (ip netns) or by the pid of a process in it
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME|PID"))]
    pub netns: Option<String>,
}

impl Target {
    /// Whether any field names processes, directly or through their group.
    pub fn has_process_part(&self) -> bool {
        !self.pid.is_empty()
            || [&self.name, &self.exe, &self.cmdline, &self.user, &self.cgroup, &self.unit]
                .into_iter()
                .any(Option::is_some)
            || self.container.is_some()
    }

    /// Checks that it names processes, and nothing that processes do not have:
    /// for faults that act on processes, whatever their network traffic.
    ///
    /// # Errors
    /// The first option that does not belong there, or that there is none.
    pub fn validate_as_processes(&self) -> Result<(), Invalid> {
        for (field, given) in [
            ("dev", !self.dev.is_empty()),
            ("direction", self.direction.is_some()),
            ("proto", self.proto.is_some()),
            ("port", self.port.is_some()),
            ("local_port", self.local_port.is_some()),
            ("remote_port", self.remote_port.is_some()),
            ("remote", !self.remote.is_empty()),
            ("except_port", self.except_port.is_some()),
            ("except_remote", !self.except_remote.is_empty()),
        ] {
            if given {
                let message = "says which traffic is meant; this fault acts on processes";
                return Err(Invalid::new(field, message));
            }
        }
        if self.has_process_part() || self.netns.is_some() {
            return Ok(());
        }
        Err(Invalid::new(
            "pid",
            "is missing: say --pid, --name, --exe, --cmdline, --user, --cgroup, --unit, \
             --container or --netns",
        ))
    }

    /// Checks what can be checked without looking at a host.
    ///
    /// # Errors
    /// The first field that is malformed.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (field, texts, most) in [
            ("dev", &self.dev, 8),
            ("remote", &self.remote, 8),
            ("except_remote", &self.except_remote, 8),
        ] {
            if texts.len() > most {
                return Err(Invalid::new(
                    field,
                    format!("takes at most {most} values, got {}", texts.len()),
                ));
            }
        }
        for name in &self.dev {
            // Linux: include/uapi/linux/if.h IFNAMSIZ, net/core/dev.c dev_valid_name().
            let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
            if name.is_empty() || name.len() > 15 || name.contains(bad) {
                return Err(Invalid::new("dev", format!("takes an interface name, got {name:?}")));
            }
        }
        for (field, texts) in [("remote", &self.remote), ("except_remote", &self.except_remote)] {
            for text in texts {
                if !is_remote(text) {
                    return Err(Invalid::new(
                        field,
                        format!("takes an address, a CIDR block or a host name, got {text:?}"),
                    ));
                }
            }
        }
        if let Some(0) = self.pid.iter().find(|p| **p == 0 || **p > i32::MAX as u32).map(|_| 0) {
            return Err(Invalid::new("pid", "takes process ids above zero"));
        }
        for (field, text) in [
            ("name", &self.name),
            ("exe", &self.exe),
            ("cmdline", &self.cmdline),
            ("user", &self.user),
            ("cgroup", &self.cgroup),
            ("unit", &self.unit),
            ("container", &self.container),
            ("netns", &self.netns),
        ] {
            let Some(text) = text else { continue };
            if text.is_empty() || text.len() > 4096 || text.contains(['\0', '\n']) {
                return Err(Invalid::new(
                    field,
                    format!(
                        "must not be empty, hold line breaks or exceed 4096 bytes, got {text:?}"
                    ),
                ));
            }
        }
        if let (Some(_), true) =
            (&self.cgroup, self.cgroup.as_deref().is_some_and(|c| c.split('/').any(|p| p == "..")))
        {
            return Err(Invalid::new("cgroup", "must not contain `..`"));
        }
        if self.proto == Some(Proto::Icmp)
            && (self.port.is_some() || self.local_port.is_some() || self.remote_port.is_some())
        {
            return Err(Invalid::new("proto", "icmp has no ports; leave out the port options"));
        }
        Ok(())
    }

    /// The same target in the words of the command line (`--port 8080`), for
    /// people; empty when everything is hit.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let mut list = |name, values: &[String]| {
            if !values.is_empty() {
                out.push((name, values.join(",")));
            }
        };
        list("--dev", &self.dev);
        list("--remote", &self.remote);
        list("--except-remote", &self.except_remote);
        let pids: Vec<String> = self.pid.iter().map(u32::to_string).collect();
        list("--pid", &pids);
        for (name, value) in [
            (
                "--direction",
                self.direction.map(|d| match d {
                    Direction::Egress => "egress".to_owned(),
                    Direction::Ingress => "ingress".to_owned(),
                    Direction::Both => "both".to_owned(),
                }),
            ),
            ("--proto", self.proto.map(|p| p.to_string())),
            ("--port", self.port.as_ref().map(PortSet::to_string)),
            ("--local-port", self.local_port.as_ref().map(PortSet::to_string)),
            ("--remote-port", self.remote_port.as_ref().map(PortSet::to_string)),
            ("--except-port", self.except_port.as_ref().map(PortSet::to_string)),
            ("--name", self.name.clone()),
            ("--exe", self.exe.clone()),
            ("--cmdline", self.cmdline.clone()),
            ("--user", self.user.clone()),
            ("--cgroup", self.cgroup.clone()),
            ("--unit", self.unit.clone()),
            ("--container", self.container.clone()),
            ("--netns", self.netns.clone()),
        ] {
            if let Some(value) = value {
                out.push((name, value));
            }
        }
        out
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.options().into_iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>();
        f.pad(if text.is_empty() { "all traffic" } else { "" })?;
        f.write_str(&text.join(" "))
    }
}

fn is_remote(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return true;
    }
    // RFC 1123 host name; an all-numeric one is a mistyped address.
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    text.len() <= 253
        && text.trim_end_matches('.').split('.').all(label)
        && text.chars().any(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_malformed_fields() {
        let bad = [
            Target { dev: vec!["eth0/1".into()], ..Target::default() },
            Target { dev: vec!["a-name-far-too-long".into()], ..Target::default() },
            Target { remote: vec!["300.1.2.3".into()], ..Target::default() },
            Target { remote: vec!["10.0.0.0/40".into()], ..Target::default() },
            Target { remote: vec!["evil;rm".into()], ..Target::default() },
            Target { pid: vec![0], ..Target::default() },
            Target { name: Some(String::new()), ..Target::default() },
            Target { cgroup: Some("/a/../../b".into()), ..Target::default() },
            Target {
                proto: Some(Proto::Icmp),
                port: Some(PortSet::single(1)),
                ..Target::default()
            },
        ];
        for target in bad {
            assert!(target.validate().is_err(), "{target:?} was taken");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<Target>(r#"{"prot":"tcp"}"#).is_err());
    }
}
