//! User-space proxies that delay, the usual way to do without a kernel's help.

mod noxious;
mod pipelined;

use std::{
    env,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;

/// Which proxy.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// A Rust port of Toxiproxy
    Noxious,
    /// The best that a proxy can do: it reads on while it waits
    Pipelined,
}

impl Kind {
    /// What it is called in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noxious => "noxious 1.0",
            Self::Pipelined => "a pipelined proxy",
        }
    }

    /// Whether people use it; the other one shows how far a proxy could get.
    pub fn is_in_use(self) -> bool {
        matches!(self, Self::Noxious)
    }

    /// Serves until the process is killed.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn serve(self, listen: SocketAddr, upstream: SocketAddr, ms: u64) -> Result<ExitCode> {
        match self {
            Self::Noxious => noxious::serve(listen, upstream, ms),
            Self::Pipelined => pipelined::serve(listen, upstream, Duration::from_millis(ms)),
        }
    }
}

/// A proxy in a process of its own, as its users would run it.
pub struct Proxy {
    child: Child,
    listen: SocketAddr,
}

impl Proxy {
    /// Starts one that delays what `upstream` says by a millisecond.
    ///
    /// # Errors
    /// If it does not listen soon.
    pub fn start(kind: Kind, upstream: SocketAddr) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let kind = kind.to_possible_value().context("a proxy without a name")?;
        let child = Command::new(env::current_exe()?)
            .args(["proxy", kind.get_name(), &listen.to_string(), &upstream.to_string(), "1"])
            .spawn()
            .context("the proxy")?;
        let proxy = Self { child, listen };
        for _ in 0..200 {
            if TcpStream::connect(listen).is_ok() {
                return Ok(proxy);
            }
            thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("the proxy does not listen")
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
