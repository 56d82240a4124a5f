//! The command: fork, install the filter, hand over its listener, exec.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    io::{IoSliceMut, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::Path,
};

use libc::{c_long, sock_filter, sock_fprog};
use nix::{
    cmsg_space,
    errno::Errno,
    sys::{
        signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask},
        socket::{ControlMessageOwned, MsgFlags, recvmsg},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork},
};

use super::{
    error::RunError,
    filter::{self, Pass},
    listener::Listener,
};

/// The command's process, waiting to be let go.
#[derive(Debug)]
pub struct Child {
    /// Its process.
    pub pid: Pid,
    gate: UnixStream,
}

/// How far the child got when it failed, as it tells its parent.
const FILTER: u8 = 1;
const EXEC: u8 = 2;

/// What the child executes, made ready before the fork.
struct Prepared {
    files: Vec<CString>,
    args: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    code: Vec<sock_filter>,
    pass: Pass,
    mask: SigSet,
}

impl Child {
    /// Starts the command's process, with the filter but not yet the command.
    /// `mask`: signals that the command shall block.
    ///
    /// # Errors
    /// When it cannot be started, or the kernel refuses the filter.
    pub fn start(
        command: &[OsString],
        calls: &[u32],
        pass: Pass,
        mask: SigSet,
    ) -> Result<(Self, Listener), RunError> {
        let args = command.iter().map(|arg| text(arg)).collect::<Result<Vec<_>, _>>()?;
        let environment = env::vars_os()
            .map(|(name, value)| text(&[name.as_os_str(), &value].join(OsStr::new("="))))
            .collect::<Result<Vec<_>, _>>()?;
        let pointers = |list: &[CString]| -> Vec<_> {
            list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let prepared = Prepared {
            files: candidates(&command[0])?,
            args: pointers(&args),
            environment: pointers(&environment),
            code: filter::program(calls, pass),
            pass,
            mask,
        };
        let (gate, theirs) = UnixStream::pair().map_err(|e| RunError::start("socketpair", e))?;
        // SAFETY: this program has one thread, so the child may do anything.
        match unsafe { fork() }.map_err(|e| RunError::start("fork", e))? {
            ForkResult::Child => {
                drop(gate);
                prepared.become_command(&theirs)
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                let listener = receive_listener(&gate)?;
                let listener = Listener::new(listener).map_err(RunError::Kernel)?;
                Ok((Self { pid: child, gate }, listener))
            }
        }
    }

    /// Lets it execute the command. Returns when it has.
    ///
    /// # Errors
    /// When there is no such command, or it cannot be executed.
    pub fn go(mut self, command: &OsStr) -> Result<Pid, RunError> {
        // A child that is gone has said why, or is reaped with its signal.
        let _ = self.gate.write_all(&[0]);
        let mut report = [0; 5];
        match self.gate.read_exact(&mut report) {
            Ok(()) => {
                let _ = waitpid(self.pid, None);
                Err(RunError::exec(command, errno_of(report)))
            }
            Err(_) => Ok(self.pid),
        }
    }
}

fn errno_of(report: [u8; 5]) -> Errno {
    let [_, rest @ ..] = report;
    Errno::from_raw(i32::from_ne_bytes(rest))
}

fn text(text: &OsStr) -> Result<CString, RunError> {
    CString::new(text.as_bytes()).map_err(|_| RunError::Nul(text.to_owned()))
}

/// The files that may be meant, in the order of PATH (execvp(3)).
fn candidates(program: &OsStr) -> Result<Vec<CString>, RunError> {
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![text(program)?]);
    }
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let at = |dir: std::path::PathBuf| {
        let dir = if dir.as_os_str().is_empty() { Path::new(".").to_owned() } else { dir };
        text(dir.join(program).as_os_str())
    };
    env::split_paths(&path).map(at).collect()
}

/// The listener that the child sends, or why it has none.
fn receive_listener(gate: &UnixStream) -> Result<OwnedFd, RunError> {
    let mut report = [0; 5];
    let mut space = cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(&mut report)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_WAITALL;
    let message = recvmsg::<()>(gate.as_raw_fd(), &mut parts, Some(&mut space), flags)
        .map_err(|e| RunError::start("recvmsg", e))?;
    let descriptors = message.cmsgs().map_err(|e| RunError::start("recvmsg", e))?;
    for control in descriptors {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel has just made this descriptor for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    if message.bytes == report.len() {
        return Err(RunError::filter(errno_of(report)));
    }
    Err(RunError::start("the command's process", Errno::ESRCH))
}

impl Prepared {
    /// The child's way to execve(2); it never comes back from here.
    fn become_command(&self, gate: &UnixStream) -> ! {
        let gate = gate.as_raw_fd();
        // SAFETY: sets a handler to the default; Rust's runtime ignores SIGPIPE.
        let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
        let error = match install(&self.code) {
            Err(e) => self.report(gate, FILTER, e),
            Ok(listener) => {
                self.send(gate, listener);
                self.wait(gate);
                self.exec()
            }
        };
        self.report(gate, EXEC, error);
        // SAFETY: ends the process.
        let _ = unsafe { self.call(libc::SYS_exit_group, [127, 0, 0, 0]) };
        std::process::abort()
    }

    /// A system call that passes the filter whatever it names.
    ///
    /// # Safety
    /// As the call asks for.
    unsafe fn call(&self, nr: c_long, [a, b, c, d]: [c_long; 4]) -> Result<c_long, Errno> {
        let pass = self.pass.0.cast_signed();
        // SAFETY: the caller's promise; the calls made here ignore what they do
        // not take.
        Errno::result(unsafe { libc::syscall(nr, a, b, c, d, 0, pass) })
    }

    fn send(&self, gate: RawFd, listener: RawFd) {
        let mut byte = [0_u8; 5];
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
        // A header of 16 bytes, a descriptor, and the padding after it (cmsg(3)).
        let mut space = [0_u64; 3];
        // SAFETY: `space` has room for a header and a descriptor, and what the
        // message points to lives until the call returns.
        unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = space.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&space) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(listener);
            let message = (&raw const message) as c_long;
            let _ = self.call(libc::SYS_sendmsg, [gate.into(), message, 0, 0]);
            // The command must not hold its own supervisor's descriptor; it is
            // CLOEXEC, this only makes it so before that.
            let _ = self.call(libc::SYS_close, [listener.into(), 0, 0, 0]);
        }
    }

    fn wait(&self, gate: RawFd) {
        let mut byte = 0_u8;
        let at = (&raw mut byte) as c_long;
        // SAFETY: reads one byte into a byte.
        let _ = unsafe { self.call(libc::SYS_read, [gate.into(), at, 1, 0]) };
    }

    /// Why none of the candidates could be executed.
    fn exec(&self) -> Errno {
        let (args, environment) =
            (self.args.as_ptr() as c_long, self.environment.as_ptr() as c_long);
        let mut denied = None;
        for file in &self.files {
            // SAFETY: zero-terminated strings in zero-terminated lists, which
            // live as long as this process.
            let done = unsafe {
                self.call(libc::SYS_execve, [file.as_ptr() as c_long, args, environment, 0])
            };
            match done {
                // The next directory of PATH may have it, as execvp(3) says.
                Err(Errno::EACCES) => denied = Some(Errno::EACCES),
                Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(e) => return e,
            }
        }
        denied.unwrap_or(Errno::ENOENT)
    }

    fn report(&self, gate: RawFd, stage: u8, error: Errno) -> Errno {
        let [a, b, c, d] = (error as i32).to_ne_bytes();
        let report = [stage, a, b, c, d];
        let at = report.as_ptr() as c_long;
        // SAFETY: writes five bytes out of five.
        let _ = unsafe { self.call(libc::SYS_write, [gate.into(), at, report.len() as c_long, 0]) };
        error
    }
}

/// Installs the filter and returns its listener. Without CAP_SYS_ADMIN the
/// process has to give up setuid programs for it (no_new_privs, prctl(2)).
fn install(code: &[sock_filter]) -> Result<RawFd, Errno> {
    // An interrupted call is not asked about twice (Linux 5.19), and the command
    // runs no slower for speculation's sake.
    let plain = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let best = plain | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    match set_filter(code, best).or_else(|e| retry(e, Errno::EINVAL, || set_filter(code, plain))) {
        Err(Errno::EACCES) => {}
        done => return done,
    }
    nix::sys::prctl::set_no_new_privs()?;
    set_filter(code, best).or_else(|e| retry(e, Errno::EINVAL, || set_filter(code, plain)))
}

fn retry<T>(error: Errno, on: Errno, again: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    if error == on { again() } else { Err(error) }
}

fn set_filter(code: &[sock_filter], flags: libc::c_ulong) -> Result<RawFd, Errno> {
    let program = sock_fprog {
        len: u16::try_from(code.len()).map_err(|_| Errno::E2BIG)?,
        filter: code.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which lives until then.
    let fd = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    Errno::result(fd).and_then(|fd| RawFd::try_from(fd).map_err(|_| Errno::EBADF))
}
