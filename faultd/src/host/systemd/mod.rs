//! What systemd knows about its units, asked over D-Bus.
//!
//! systemd is asked directly, on the socket that systemctl(1) uses as root: no
//! bus daemon lies in between, which may itself be the one that is paused. No
//! answer within [`PATIENCE`] counts as no systemd.

mod message;

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use message::{Kind, Message};

/// systemd src/core/dbus.c: the private socket of the system manager.
const SOCKET: &str = "/run/systemd/private";
/// Longer than a busy systemd takes, shorter than a client waits for a plan.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest answer that is read; real ones have some hundred bytes.
const LONGEST: usize = 1 << 20;

/// The control group of a unit, as a path below the root of systemd's
/// hierarchy. Knows aliases (`sshd.service` for `ssh.service`), which the
/// control groups do not show. `None` where systemd does not run, does not
/// answer, or has no running unit of that name.
///
/// `unit` is a full name: `nginx.service`.
pub fn control_group(unit: &str) -> Option<String> {
    control_group_at(Path::new(SOCKET), unit).ok().flatten()
}

fn control_group_at(socket: &Path, unit: &str) -> io::Result<Option<String>> {
    // Each type has the property under an interface of its own;
    // org.freedesktop.systemd1(5).
    let interface = match unit.rsplit_once('.').map(|(_, kind)| kind) {
        Some("service") => "org.freedesktop.systemd1.Service",
        Some("slice") => "org.freedesktop.systemd1.Slice",
        Some("scope") => "org.freedesktop.systemd1.Scope",
        Some("socket") => "org.freedesktop.systemd1.Socket",
        Some("mount") => "org.freedesktop.systemd1.Mount",
        Some("swap") => "org.freedesktop.systemd1.Swap",
        _ => return Ok(None),
    };
    if !socket.exists() {
        return Ok(None);
    }
    let mut bus = Bus::connect(socket)?;
    let manager = "org.freedesktop.systemd1.Manager";
    let found = bus.call("/org/freedesktop/systemd1", manager, "GetUnit", &[unit])?;
    let Some(path) = found.as_ref().and_then(Message::text) else { return Ok(None) };
    let properties = "org.freedesktop.DBus.Properties";
    let held = bus.call(&path, properties, "Get", &[interface, "ControlGroup"])?;
    let group = held.as_ref().and_then(Message::variant_text);
    // Empty while it does not run.
    Ok(group.filter(|group| group.starts_with('/')))
}

/// A connection without a bus in between.
struct Bus {
    stream: UnixStream,
    deadline: Instant,
    serial: u32,
}

impl Bus {
    fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let mut bus = Self { stream, deadline: Instant::now() + PATIENCE, serial: 0 };
        // D-Bus specification, "Authentication protocol": the credentials of
        // the socket count, and the user id is repeated in hexadecimal.
        let uid = nix::unistd::geteuid().to_string();
        let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        bus.send(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let answer = bus.line()?;
        if !answer.starts_with("OK ") {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, answer));
        }
        bus.send(b"BEGIN\r\n")?;
        Ok(bus)
    }

    /// Calls a method that takes strings; `None` when it answers with an error.
    fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        arguments: &[&str],
    ) -> io::Result<Option<Message>> {
        self.serial += 1;
        let call = message::call(self.serial, path, interface, member, arguments);
        self.send(&call)?;
        loop {
            let message = self.message()?;
            // Signals and answers to nobody are passed over.
            match message.kind {
                Kind::Return if message.reply_to == Some(self.serial) => return Ok(Some(message)),
                Kind::Error if message.reply_to == Some(self.serial) => return Ok(None),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> io::Result<Message> {
        let mut head = [0; message::HEAD];
        self.receive(&mut head)?;
        let rest = message::rest(&head).filter(|rest| *rest <= LONGEST);
        let mut body = vec![0; rest.ok_or_else(malformed)?];
        self.receive(&mut body)?;
        Message::parse(&head, &body).ok_or_else(malformed)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            self.receive(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write_all(bytes)
    }

    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read_exact(bytes)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a malformed D-Bus message")
}

#[cfg(test)]
mod tests;
