//! Sorting what trying something showed into the three values of an answer.

use std::io;

use faultd_api::Support;
use nix::errno::Errno;

use crate::host::netlink::NetlinkError;

/// What trying a feature showed.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) support: Support,
    pub(super) detail: String,
}

impl Answer {
    pub(super) fn yes(detail: impl Into<String>) -> Self {
        Self { support: Support::Yes, detail: detail.into() }
    }

    pub(super) fn no(detail: impl Into<String>) -> Self {
        Self { support: Support::No, detail: detail.into() }
    }

    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Self { support: Support::Refused, detail: detail.into() }
    }

    /// Sorts the answer of a system call: `lacks` says what the kernel does
    /// not have when the error means that.
    pub(super) fn from_result<T>(
        result: Result<T, impl Into<Trouble>>,
        works: &str,
        lacks: &str,
    ) -> (Self, Option<T>) {
        match result.map_err(Into::into) {
            Ok(value) => (Self::yes(works), Some(value)),
            Err(trouble) => (trouble.answer(lacks), None),
        }
    }
}

/// A system call's error, with the kernel's words where there are some.
pub(super) struct Trouble {
    errno: Option<Errno>,
    text: String,
}

impl Trouble {
    pub(super) fn answer(self, lacks: &str) -> Answer {
        let unknown_to_the_kernel = matches!(
            self.errno,
            Some(
                Errno::ENOENT
                    | Errno::ENODEV
                    | Errno::ENXIO
                    | Errno::ENOSYS
                    | Errno::EINVAL
                    | Errno::EOPNOTSUPP
                    | Errno::ENOPROTOOPT
                    | Errno::EAFNOSUPPORT
            )
        );
        if unknown_to_the_kernel {
            return Answer::no(format!("{lacks}: {}", self.text));
        }
        Answer::refused(self.text)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self { errno: error.raw_os_error().map(Errno::from_raw), text: error.to_string() }
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

impl From<NetlinkError> for Trouble {
    fn from(error: NetlinkError) -> Self {
        Self { errno: Some(error.errno), text: error.to_string() }
    }
}
