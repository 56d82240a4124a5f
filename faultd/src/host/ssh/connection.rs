//! The `SSH_CONNECTION` variable of ssh(1): `client_ip client_port server_ip
//! server_port`.

use std::net::{IpAddr, SocketAddr};

use super::SshFlow;

/// Parses a value strictly: four fields, single spaces, nothing else. An IPv6
/// zone (`fe80::1%eth0`) is taken and dropped, as no packet carries it.
pub fn parse(value: &str) -> Option<SshFlow> {
    let mut fields = value.split(' ');
    let mut end = || Some(SocketAddr::new(address(fields.next()?)?, port(fields.next()?)?));
    let (remote, local) = (end()?, end()?);
    // A flow has one protocol version at both ends.
    if fields.next().is_some() || local.is_ipv4() != remote.is_ipv4() {
        return None;
    }
    Some(SshFlow { local, remote })
}

/// The value of the variable in the content of `/proc/PID/environ`.
pub fn from_environ(environ: &[u8]) -> Option<SshFlow> {
    environ
        .split(|b| *b == 0)
        .find_map(|entry| entry.strip_prefix(b"SSH_CONNECTION="))
        .and_then(|value| parse(str::from_utf8(value).ok()?))
}

fn address(text: &str) -> Option<IpAddr> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let parsed: IpAddr = address.parse().ok()?;
    match zone {
        Some(zone) if zone.is_empty() || parsed.is_ipv4() => None,
        // IPv4 on a dual-stack socket goes as IPv4 on the wire.
        _ => Some(parsed.to_canonical()),
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(local: &str, remote: &str) -> Option<SshFlow> {
        Some(SshFlow { local: local.parse().ok()?, remote: remote.parse().ok()? })
    }

    #[test]
    fn takes_both_protocols() {
        assert_eq!(
            parse("203.0.113.9 50122 192.0.2.1 22"),
            flow("192.0.2.1:22", "203.0.113.9:50122")
        );
        assert_eq!(
            parse("2001:db8::9 50122 2001:db8::1 2222"),
            flow("[2001:db8::1]:2222", "[2001:db8::9]:50122")
        );
        assert_eq!(
            parse("fe80::9%eth0 50122 fe80::1%eth0 22"),
            flow("[fe80::1]:22", "[fe80::9]:50122")
        );
        assert_eq!(
            parse("::ffff:203.0.113.9 50122 ::ffff:192.0.2.1 22"),
            flow("192.0.2.1:22", "203.0.113.9:50122")
        );
    }

    #[test]
    fn refuses_everything_else() {
        for value in [
            "",
            "203.0.113.9 50122 192.0.2.1",
            "203.0.113.9 50122 192.0.2.1 22 ",
            "203.0.113.9  50122 192.0.2.1 22",
            "203.0.113.9 50122 192.0.2.1 22 x",
            "203.0.113.9 0 192.0.2.1 22",
            "203.0.113.9 +5 192.0.2.1 22",
            "203.0.113.9 65536 192.0.2.1 22",
            "203.0.113.9%eth0 5 192.0.2.1 22",
            "fe80::9% 5 fe80::1 22",
            "2001:db8::9 5 192.0.2.1 22",
            "host 5 192.0.2.1 22",
        ] {
            assert_eq!(parse(value), None, "{value:?} was taken");
        }
    }

    #[test]
    fn finds_it_in_an_environment() {
        let environ = b"A=1\0XSSH_CONNECTION=no\0SSH_CONNECTION=203.0.113.9 5 192.0.2.1 22\0Z=\0";
        assert_eq!(from_environ(environ), flow("192.0.2.1:22", "203.0.113.9:5"));
        assert_eq!(from_environ(b"A=SSH_CONNECTION=203.0.113.9 5 192.0.2.1 22\0"), None);
        assert_eq!(from_environ(b""), None);
    }
}
