//! nginx as the server: one worker, a small fixed answer.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{
    limits::{Side, on},
    server::Server,
};

/// nginx, or a server of our own where there is none; until it is dropped.
pub enum Target {
    /// nginx, in a directory of its own.
    Nginx { master: Child, port: u16, _dir: TempDir },
    /// Ours.
    Own(Server),
}

impl Target {
    /// Starts it on the server's core.
    pub fn start() -> Result<Self> {
        if version().starts_with("nginx") { nginx() } else { Ok(Self::Own(Server::start())) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        let port = match self {
            Self::Nginx { port, .. } => *port,
            Self::Own(server) => server.port(),
        };
        format!("http://127.0.0.1:{port}/")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Self::Nginx { master, .. } = self {
            let pid = nix::unistd::Pid::from_raw(master.id() as i32);
            let _sent = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _gone = master.wait();
        }
    }
}

/// What serves: `nginx version: nginx/…`, or our own.
pub fn version() -> String {
    let said = Command::new(program()).arg("-v").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    let version = said.ok().and_then(|text| Some(text.split_once(": ")?.1.to_owned()));
    version.unwrap_or_else(|| "a server of our own (one thread, fixed answer); no nginx".to_owned())
}

/// Administrators' directories are not always searched.
fn program() -> &'static str {
    let known = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];
    known.into_iter().find(|path| fs::exists(path).unwrap_or(false)).unwrap_or("nginx")
}

fn nginx() -> Result<Target> {
    let dir = tempfile::tempdir()?;
    let at = dir.path().display();
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
        .join(" ");
    let conf = format!(
        "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log crit;
         worker_rlimit_nofile 20000;
         events {{ worker_connections 16000; }}
         http {{
             access_log off; {temporary} keepalive_requests 1000000000; keepalive_timeout 600s;
             server {{
                 listen 127.0.0.1:{port} backlog=4096;
                 location / {{ default_type text/plain; return 200 \"hello, world\\n\"; }}
             }}
         }}"
    );
    fs::write(dir.path().join("nginx.conf"), conf)?;
    let mut command = Command::new(program());
    command.arg("-c").arg(dir.path().join("nginx.conf")).arg("-p").arg(dir.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let master = on(Side::Server, || command.spawn()).context("nginx")?;
    let target = Target::Nginx { master, port, _dir: dir };
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(target);
        }
        sleep(Duration::from_millis(10));
    }
    bail!("nginx does not answer on port {port}")
}
