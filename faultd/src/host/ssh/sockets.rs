//! The established TCP connections of one process.

use std::{
    collections::HashSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};

use super::SshFlow;
use crate::host::process::pidfd;

/// Linux include/net/tcp_states.h: TCP_ESTABLISHED.
const ESTABLISHED: u8 = 1;

/// Every established TCP connection of a process.
///
/// Asks the sockets themselves, through borrowed descriptors: that costs the
/// same on a host with a hundred thousand connections. Where borrowing is not
/// allowed, it looks them up in the process's `/proc/PID/net/tcp`.
pub fn established(pid: u32) -> Vec<SshFlow> {
    let sockets = socket_fds(pid);
    if sockets.is_empty() {
        return Vec::new();
    }
    match asked(pid, &sockets) {
        Ok(flows) => flows,
        Err(_) => looked_up(pid, &sockets),
    }
}

/// A socket of a process: its number there, and its inode.
struct SocketFd {
    fd: i32,
    inode: u64,
}

fn socket_fds(pid: u32) -> Vec<SocketFd> {
    let Ok(dir) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    dir.flatten()
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            let fd = entry.file_name().to_str()?.parse().ok()?;
            Some(SocketFd { fd, inode: inode.parse().ok()? })
        })
        .collect()
}

fn asked(pid: u32, sockets: &[SocketFd]) -> io::Result<Vec<SshFlow>> {
    let process = pidfd::open(pid)?;
    let mut flows = Vec::new();
    for socket in sockets {
        match pidfd::get_fd(process.as_fd(), socket.fd) {
            Ok(fd) => flows.extend(ends(&fd)),
            // Closed in between.
            Err(e) if e.raw_os_error() == Some(libc::EBADF) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(flows)
}

fn ends(socket: &(impl AsFd + AsRawFd)) -> Option<SshFlow> {
    if tcp_state(socket.as_fd()) != Some(ESTABLISHED) {
        return None;
    }
    let local = address(&getsockname(socket.as_raw_fd()).ok()?)?;
    let remote = address(&getpeername(socket.as_raw_fd()).ok()?)?;
    Some(SshFlow { local, remote })
}

/// The state of a TCP socket, which is the first byte of its `tcp_info`; the
/// kernel copies as much of that as is asked for. `None` for other sockets.
fn tcp_state(socket: BorrowedFd<'_>) -> Option<u8> {
    let mut state = 0u8;
    let mut len: libc::socklen_t = 1;
    // SAFETY: `state` is valid for a write of `len` bytes, and `len` for one of
    // its own size.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &raw mut len,
        )
    };
    (rc == 0).then_some(state)
}

fn address(raw: &SockaddrStorage) -> Option<SocketAddr> {
    let (ip, port): (IpAddr, u16) = if let Some(v4) = raw.as_sockaddr_in() {
        (v4.ip().into(), v4.port())
    } else {
        let v6 = raw.as_sockaddr_in6()?;
        (v6.ip().into(), v6.port())
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn looked_up(pid: u32, sockets: &[SocketFd]) -> Vec<SshFlow> {
    let inodes: HashSet<u64> = sockets.iter().map(|s| s.inode).collect();
    ["tcp", "tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| {
            let rows: Vec<_> = table.lines().skip(1).filter_map(|l| row(l, &inodes)).collect();
            rows
        })
        .collect()
}

/// A line of `/proc/net/tcp` or `tcp6` (Linux net/ipv4/tcp_ipv4.c,
/// `get_tcp4_sock`), when it is established and one of `inodes`.
fn row(line: &str, inodes: &HashSet<u64>) -> Option<SshFlow> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (fields.next()?, fields.next()?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    if state != ESTABLISHED || !inodes.contains(&inode) {
        return None;
    }
    Some(SshFlow { local: hex_address(local)?, remote: hex_address(remote)? })
}

/// `0100007F:0016`: the address as 32-bit words in the machine's byte order,
/// the port as a plain number.
fn hex_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| {
        let digits = ip.get(i * 8..i * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0u8; 16];
            for (i, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(i)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_table() {
        let inodes = HashSet::from([4711]);
        let v4 = "   1: 010200C0:0016 0971CBCB:C3CA 01 00000000:00000000 02:000AF 00000000  0  0 \
                  4711 2 0000000000000000 20 4 29 10 -1";
        let flow = row(v4, &inodes).map(|f| (f.local.to_string(), f.remote.to_string()));
        assert_eq!(flow, Some(("192.0.2.1:22".into(), "203.203.113.9:50122".into())));
        let listening = v4.replacen(" 01 ", " 0A ", 1);
        assert_eq!(row(&listening, &inodes), None);
        assert_eq!(row(v4, &HashSet::from([1])), None);
        assert_eq!(row("garbage", &inodes), None);
        let mapped = hex_address("0000000000000000FFFF0000010200C0:0016");
        assert_eq!(mapped.map(|a| a.to_string()), Some("192.0.2.1:22".into()));
        let v6 = hex_address("B80D0120000000000000000001000000:0016");
        assert_eq!(v6.map(|a| a.to_string()), Some("[2001:db8::1]:22".into()));
        assert_eq!(hex_address("0100:0016"), None);
    }

    #[test]
    fn both_ways_find_this_process_own_connection() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (accepted, _) = listener.accept()?;
        let wanted = SshFlow { local: accepted.local_addr()?, remote: accepted.peer_addr()? };
        let me = std::process::id();
        assert!(looked_up(me, &socket_fds(me)).contains(&wanted));
        assert!(asked(me, &socket_fds(me))?.contains(&wanted));
        // Not the listener, not both ends merged.
        let other_end = SshFlow { local: stream.local_addr()?, remote: stream.peer_addr()? };
        let found = established(me);
        assert!(found.contains(&other_end));
        assert!(!found.iter().any(|f| f.remote.port() == 0));
        Ok(())
    }
}
