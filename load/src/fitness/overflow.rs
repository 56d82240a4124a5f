//! Listeners that have no room for a connection.

use std::fs;

/// How often that was since this host came up, in this network namespace (`ListenOverflows` of
/// `/proc/net/netstat`); `None` where the kernel does not say. One connection may try several
/// times.
pub(super) fn count() -> Option<u64> {
    of(&fs::read_to_string("/proc/self/net/netstat").ok()?)
}

/// Lines come in pairs: names, and their values.
fn of(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut both = names.split_whitespace().zip(values.split_whitespace());
    both.find(|(name, _)| *name == "ListenOverflows")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_among_the_counters() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 17 18\n\
                    IpExt: InNoRoutes\nIpExt: 0\n";
        assert_eq!(of(text), Some(17));
        assert_eq!(of("IpExt: InNoRoutes\nIpExt: 0\n"), None);
        assert!(count().is_some());
    }
}
