//! Sysctls of a network namespace.
//!
//! `/proc/sys/net` shows the values of the *reading thread's* namespace
//! (Linux `net/sysctl_net.c`, net_ctl_header_lookup()), so every access runs
//! on a thread inside it.

use std::{
    fs, io,
    io::Write,
    path::{Component, Path, PathBuf},
};

use super::netns::Netns;

/// A sysctl that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("sysctl {key} in {netns}: {source}")]
pub struct SysctlError {
    /// As it was asked for.
    pub key: String,
    /// Where.
    pub netns: String,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// Reads a sysctl, without the line end. `key` is written with dots, or with
/// slashes where a part (an interface name) holds dots, as sysctl(8) takes it.
///
/// # Errors
/// When it does not exist or may not be read.
pub fn read(netns: &Netns, key: &str) -> Result<String, SysctlError> {
    let result = path(key).and_then(|path| netns.run(move || fs::read_to_string(path))?);
    result.map(|text| text.trim_end_matches('\n').to_owned()).map_err(wrap(netns, key))
}

/// Writes a sysctl.
///
/// # Errors
/// When it does not exist or may not be written.
pub fn write(netns: &Netns, key: &str, value: &str) -> Result<(), SysctlError> {
    let result = path(key).and_then(|path| netns.run(|| write_existing(&path, value))?);
    result.map_err(wrap(netns, key))
}

/// Writes a file that must exist: sysctls and sysfs have no others.
pub(super) fn write_existing(path: &Path, content: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).truncate(true).open(path)?.write_all(content.as_bytes())
}

fn wrap(netns: &Netns, key: &str) -> impl FnOnce(io::Error) -> SysctlError {
    let (key, netns) = (key.to_owned(), netns.to_string());
    move |source| SysctlError { key, netns, source }
}

fn path(key: &str) -> io::Result<PathBuf> {
    let relative = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    let plain = |c: Component<'_>| matches!(c, Component::Normal(_));
    if relative.is_empty() || !Path::new(&relative).components().all(plain) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "malformed key"));
    }
    Ok(Path::new("/proc/sys").join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::test_support::{private_netns, skipped};

    const KEY: &str = "net.ipv4.conf.lo.route_localnet";

    #[test]
    fn keys_become_paths() {
        let is = |key: &str| path(key).ok().map(|p| p.display().to_string());
        assert_eq!(is("net.ipv4.ip_forward").unwrap(), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(
            is("net/ipv4/conf/eth0.5/rp_filter").unwrap(),
            "/proc/sys/net/ipv4/conf/eth0.5/rp_filter"
        );
        for bad in ["", "/etc/passwd", "../etc", "net/../../etc/passwd"] {
            assert_eq!(is(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_value_is_that_of_the_named_namespace() {
        let (Some(one), Some(two)) = (private_netns(), private_netns()) else {
            return skipped("needs root");
        };
        let outside = fs::read_to_string("/proc/sys/net/ipv4/conf/lo/route_localnet").unwrap();
        let fresh = read(&two, KEY).unwrap();
        let other = if fresh == "0" { "1" } else { "0" };
        write(&one, KEY, other).unwrap();
        assert_eq!(read(&one, KEY).unwrap(), other);
        assert_eq!(read(&two, KEY).unwrap(), fresh);
        let after = fs::read_to_string("/proc/sys/net/ipv4/conf/lo/route_localnet").unwrap();
        assert_eq!(after, outside, "the caller's own namespace was changed");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let own = Netns::current().unwrap();
        let error = read(&own, "net.no_such_thing").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("net.no_such_thing"));
    }
}
