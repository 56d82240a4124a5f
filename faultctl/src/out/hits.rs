//! What a fault hits, in one line: `3 sockets: nginx[812] 0.0.0.0:8080, …`.

use faultd_api::{Fault, HitProcess, HitSocket, Proto};

/// Of each sort; the rest is counted.
const SHOWN: usize = 3;

/// What was alive and hit when the fault was injected. `None` where nothing can
/// be said: the daemon did not tell, or what is hit has no sockets.
pub fn line(fault: &Fault) -> Option<String> {
    let hits = fault.hits.as_ref()?;
    let mut parts = Vec::new();
    if hits.process_count > 0 {
        parts.push(some(hits.process_count, "process", "processes", &hits.processes, process));
    }
    if hits.socket_count > 0 {
        parts.push(some(hits.socket_count, "socket", "sockets", &hits.sockets, socket));
    }
    if parts.is_empty() {
        let has_sockets = fault.target.proto != Some(Proto::Icmp);
        return has_sockets.then(|| "no live socket yet".to_owned());
    }
    Some(parts.join("; "))
}

fn some<T>(count: usize, one: &str, many: &str, listed: &[T], words: fn(&T) -> String) -> String {
    let noun = if count == 1 { one } else { many };
    let shown: Vec<String> = listed.iter().take(SHOWN).map(words).collect();
    let mut text = format!("{count} {noun}");
    if !shown.is_empty() {
        text = format!("{text}: {}", shown.join(", "));
    }
    match count.saturating_sub(shown.len()) {
        0 => text,
        _ if shown.is_empty() => text,
        rest => format!("{text}, … and {rest} more"),
    }
}

/// `nginx[812]`.
pub fn process(process: &HitProcess) -> String {
    format!("{}[{}]", process.comm, process.pid)
}

/// `nginx[812] 0.0.0.0:8080`, `curl[99] udp 10.0.0.1:5000 - 10.0.0.2:53`.
fn socket(socket: &HitSocket) -> String {
    let holder = socket.process.as_ref().map(|p| process(p) + " ").unwrap_or_default();
    let proto = if socket.proto == "tcp" { "" } else { &format!("{} ", socket.proto) };
    let has_peer = !socket.remote.ends_with(":0") && !socket.remote.ends_with(":*");
    let peer = if has_peer { format!(" - {}", socket.remote) } else { String::new() };
    format!("{holder}{proto}{}{peer}", socket.local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_socket(proto: &str, local: &str, remote: &str, comm: Option<&str>) -> HitSocket {
        HitSocket {
            proto: proto.into(),
            state: "ESTAB".into(),
            local: local.into(),
            remote: remote.into(),
            process: comm.map(|comm| HitProcess { pid: 7, comm: comm.into(), uid: 0 }),
        }
    }

    #[test]
    fn a_socket_is_told_by_who_holds_it_and_its_ends() {
        let listening = a_socket("tcp", "0.0.0.0:80", "0.0.0.0:0", Some("nginx"));
        assert_eq!(socket(&listening), "nginx[7] 0.0.0.0:80");
        let talking = a_socket("udp", "[::1]:5000", "[::1]:53", None);
        assert_eq!(socket(&talking), "udp [::1]:5000 - [::1]:53");
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let words = |n: &u32| n.to_string();
        assert_eq!(some(1, "socket", "sockets", &[1], words), "1 socket: 1");
        assert_eq!(some(9, "a", "b", &[1, 2, 3, 4, 5], words), "9 b: 1, 2, 3, … and 6 more");
        assert_eq!(some(2, "a", "b", &[], words), "2 b");
    }
}
