//! A process of its own that serves echo, for faults that target processes.
//!
//! Forked from the test, not executed: the guests of the VM tier then need no
//! further program. The child only uses sockets, signals and exit.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, Uid, fork, setresuid},
};

use crate::{cgroup::Cgroup, slowly, traffic};

/// What the process shall be.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    /// Its command name.
    pub comm: Option<String>,
    /// Its user.
    pub uid: Option<u32>,
    /// Fork once more; the grandchild serves.
    pub through_child: bool,
}

/// An echo server (UDP and TCP on the same port) in a process of its own; it
/// is killed when dropped, and dies with the test.
pub struct Victim {
    pid: Pid,
    address: SocketAddr,
}

impl Victim {
    /// Starts one on an address of the calling thread's namespace, inside
    /// `cgroup` if there is one.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn start(ip: &str, cgroup: Option<&Cgroup>, looks: &Looks) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap_or_else(|e| panic!("{ip}: {e}"));
        let address = listener.local_addr().expect("local address");
        drop(listener);
        let (gate, release) = nix::unistd::pipe().expect("pipe");
        let (ready, tell) = nix::unistd::pipe().expect("pipe");
        let looks = looks.clone();
        // SAFETY: the child touches only descriptors and memory of its own
        // thread; it never returns and never runs this process's exit handlers.
        let pid = match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                drop(release);
                let mut go = [0];
                let _ = nix::unistd::read(&gate, &mut go);
                let code = i32::from(serve(address, &looks, &tell).is_none());
                // SAFETY: _exit only ends the process.
                unsafe { libc::_exit(code) }
            }
        };
        drop((gate, tell));
        let victim = Self { pid, address };
        if let Some(cgroup) = cgroup {
            cgroup.add(victim.pid());
        }
        nix::unistd::write(&release, &[1]).expect("releasing the victim");
        let mut byte = [0];
        let got = nix::unistd::read(&ready, &mut byte).unwrap_or(0);
        assert_eq!(got, 1, "the victim did not come up");
        victim
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes it fork; the child serves UDP on the port returned, through a
    /// socket of its own.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn fork(&self) -> u16 {
        let socket = traffic::sender_to(self.address);
        socket.set_read_timeout(Some(slowly(Duration::from_secs(5)))).expect("read timeout");
        socket.send(FORK).expect("asking the victim to fork");
        let mut port = [0; 2];
        socket.recv(&mut port).expect("the port of the victim's child");
        u16::from_be_bytes(port)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

/// What makes the victim fork; the answer is the port of the child (two bytes,
/// big endian).
const FORK: &[u8] = b"fork";

/// The child's life; `None` when something could not be set up.
fn serve(address: SocketAddr, looks: &Looks, tell: &OwnedFd) -> Option<()> {
    die_with_parent()?;
    if let Some(comm) = &looks.comm {
        let name = std::ffi::CString::new(comm.as_str()).ok()?;
        prctl::set_name(&name).ok()?;
    }
    if let Some(uid) = looks.uid {
        let uid = Uid::from_raw(uid);
        setresuid(uid, uid, uid).ok()?;
        // The kernel clears it when credentials change.
        die_with_parent()?;
    }
    if looks.through_child {
        // SAFETY: as in `Victim::start`; this thread is the only one here.
        if let ForkResult::Parent { child } = unsafe { fork() }.ok()? {
            waitpid(child, None).ok()?;
            return Some(());
        }
        die_with_parent()?;
    }
    let listener = TcpListener::bind(address).ok()?;
    let socket = UdpSocket::bind(address).ok()?;
    thread::spawn(move || {
        static NEVER: AtomicBool = AtomicBool::new(false);
        for stream in listener.incoming().flatten() {
            thread::spawn(move || traffic::echo(stream, &NEVER));
        }
    });
    nix::unistd::write(tell, &[1]).ok()?;
    answer(&socket, address)
}

fn answer(socket: &UdpSocket, address: SocketAddr) -> Option<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        if &buffer[..length] != FORK {
            // A reply that a fault drops is the fault's business.
            let _ = socket.send_to(&buffer[..length], from);
            continue;
        }
        let (ready, tell) = nix::unistd::pipe().ok()?;
        // SAFETY: the other thread only serves TCP; the child of this fork uses
        // nothing that it could hold a lock of.
        if let ForkResult::Child = unsafe { fork() }.ok()? {
            die_with_parent()?;
            let socket = UdpSocket::bind((address.ip(), 0)).ok()?;
            let port = socket.local_addr().ok()?.port();
            nix::unistd::write(&tell, &port.to_be_bytes()).ok()?;
            return answer(&socket, address);
        }
        let mut port = [0; 2];
        nix::unistd::read(&ready, &mut port).ok()?;
        let _ = socket.send_to(&port, from);
    }
}

fn die_with_parent() -> Option<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).ok()
}
