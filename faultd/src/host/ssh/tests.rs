use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::*;

/// A child that waits for its input to end.
struct Waits(Child);

impl Waits {
    fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self(command.stdin(Stdio::piped()).spawn()?))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn a_header_needs_no_process() {
    let flows = sessions(None, Some("203.0.113.9 50122 192.0.2.1 22"));
    assert_eq!(flows.len(), 1);
    assert_eq!(sessions(None, Some("203.0.113.9 50122 192.0.2.1 22; rm")), []);
    assert_eq!(sessions(None, None), []);
}

#[test]
fn the_environment_of_the_caller_and_the_header_are_one_flow() -> io::Result<()> {
    let value = "203.0.113.77 50122 192.0.2.77 22";
    let child = Waits::start(Command::new("cat").env("SSH_CONNECTION", value))?;
    // exec may still be under way: until then the environment is this one's.
    let own: BTreeSet<_> = sessions(Some(std::process::id()), None).into_iter().collect();
    let flows: Vec<_> = (0..200)
        .find_map(|_| {
            let flows = sessions(Some(child.pid()), Some(value));
            let new: Vec<_> = flows.into_iter().filter(|f| !own.contains(f)).collect();
            std::thread::sleep(std::time::Duration::from_millis(1));
            (!sessions(Some(child.pid()), None).is_empty()).then_some(new)
        })
        .unwrap_or_default();
    assert_eq!(flows.len(), 1, "{flows:?}");
    Ok(())
}

#[test]
fn the_connection_of_a_server_among_the_ancestors() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, _) = listener.accept()?;
    let wanted = SshFlow { local: accepted.local_addr()?, remote: accepted.peer_addr()? };

    // A process that calls itself sshd-session, holds the connection as its
    // output, and has a child that is the caller.
    // (bash gives background jobs /dev/null as input, hence descriptor 3.)
    let script = "printf sshd-session > /proc/self/comm; exec 3<&0; (cat <&3 >&2; :) & \
                  echo $! >&2; wait";
    let held = OwnedFd::from(accepted);
    let mut child = Command::new("bash")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::from(held))
        .stderr(Stdio::piped())
        .env_remove("SSH_CONNECTION")
        .spawn()?;
    let mut line = String::new();
    if let Some(stderr) = child.stderr.take() {
        BufReader::new(stderr).read_line(&mut line)?;
    }
    let caller: u32 = line.trim().parse().map_err(io::Error::other)?;

    let flows = sessions(Some(caller), None);
    let timed = (0..5).map(|_| {
        let started = Instant::now();
        sessions(Some(caller), None);
        started.elapsed()
    });
    let took = timed.min().unwrap_or_default();
    let by_name = fs::read_to_string(format!("/proc/{}/comm", child.id()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.flush()?;
    }
    child.wait()?;
    drop(client);

    assert_eq!(by_name.trim(), "sshd-session");
    assert!(flows.contains(&wanted), "{flows:?} lacks {wanted:?}");
    // The aim is 3 ms; this bound only catches walks over the whole host.
    assert!(took.as_millis() < 50, "took {took:?}");
    Ok(())
}
