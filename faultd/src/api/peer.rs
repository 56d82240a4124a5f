//! Who is at the other end of a connection, as the kernel says.

use std::{fs, io, os::fd::AsRawFd};

use axum::http::HeaderMap;
use faultd_api::SSH_CONNECTION_HEADER;
use tokio::net::UnixStream;

use crate::{config::Identity, engine::audit::Actor, fault::Caller};

/// `SSH_CONNECTION` is two addresses and two ports; nothing longer is one.
const MAX_SSH_CONNECTION: usize = 128;
/// More supplementary groups than any account has; the kernel allows 65536.
const MAX_GROUPS: usize = 65_536;

/// The client of one connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub identity: Identity,
    /// None when the client is in a pid namespace that cannot be seen.
    pub pid: Option<u32>,
}

impl Peer {
    /// Reads the credentials that the kernel noted when the client connected
    /// (SO_PEERCRED and SO_PEERGROUPS, unix(7)).
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let cred = stream.peer_cred()?;
        let pid = cred.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        let groups = peer_groups(stream)?;
        Ok(Self { identity: Identity { uid: cred.uid(), gid: cred.gid(), groups }, pid })
    }

    /// For the audit trail.
    pub(super) fn actor(&self) -> Actor {
        let comm = self
            .pid
            .and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok())
            .unwrap_or_default();
        Actor {
            uid: self.identity.uid,
            gid: self.identity.gid,
            pid: self.pid,
            comm: comm.trim_end().to_owned(),
        }
    }

    /// For safety rails.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Caller {
        let ssh = headers.get(SSH_CONNECTION_HEADER).and_then(|v| v.to_str().ok());
        Caller {
            pid: self.pid,
            uid: self.identity.uid,
            ssh_connection: ssh
                .filter(|text| text.len() <= MAX_SSH_CONNECTION)
                .map(ToOwned::to_owned),
        }
    }
}

fn peer_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut bytes =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the buffer is writable for `bytes` bytes, which the kernel
        // sets to what it wrote, or to what it would need (ERANGE).
        let rc = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<libc::gid_t>();
        if rc == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > MAX_GROUPS
        {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
