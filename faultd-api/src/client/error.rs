//! What can go wrong between a client and the daemon, by what to do about it.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::Problem;

/// A call that brought no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers: start the daemon, or name its socket.
    #[error("faultd is not reachable at {}: {why}", .socket.display())]
    NotReachable {
        /// Where it was looked for.
        socket: PathBuf,
        /// What was found there, and what to do.
        why: Unreachable,
    },
    /// The socket exists and this user may not open it.
    #[error("{}", not_permitted(.socket, .group.as_deref()))]
    PermissionDenied {
        /// The socket.
        socket: PathBuf,
        /// The group that may, where it could be found out.
        group: Option<String>,
    },
    /// The daemon refused or failed, and says why.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// What answers is not a faultd of this API version.
    #[error("{0}")]
    Protocol(String),
}

/// Why nobody answers.
#[derive(Debug)]
pub enum Unreachable {
    /// There is no such file.
    NoSocket,
    /// There is a file, and it is something else.
    NotASocket,
    /// There is a socket, and no process behind it.
    Refused,
    /// It accepted the connection and did not answer in time.
    Silent(Duration),
    /// It closed the connection without an answer.
    Closed(String),
    /// Something else.
    Io(io::Error),
}

const START: &str = "start it (`systemctl start faultd`) or name another socket with --socket";

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => write!(f, "there is no such socket; {START}"),
            Self::NotASocket => write!(f, "that is no socket; name another with --socket"),
            Self::Refused => write!(f, "the socket exists but nothing listens on it; {START}"),
            Self::Silent(after) => write!(
                f,
                "no answer within {}; it hangs or is stopped (`systemctl status faultd`)",
                crate::Span::from(*after)
            ),
            Self::Closed(how) => write!(
                f,
                "the connection closed before the answer came ({how}); \
                 see `systemctl status faultd`"
            ),
            Self::Io(e) => write!(f, "{e}; {START}"),
        }
    }
}

fn not_permitted(socket: &std::path::Path, group: Option<&str>) -> String {
    let socket = socket.display();
    match group {
        Some("root") | None => format!(
            "not permitted to open {socket}: run this as root, or make a group faultd \
             (`groupadd --system faultd`), restart faultd and join it"
        ),
        Some(group) => format!(
            "not permitted to open {socket}: only root and the group {group} may; \
             join it (`usermod -aG {group} USER`, then log in again) or run this as root"
        ),
    }
}
