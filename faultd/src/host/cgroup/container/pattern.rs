//! How runtimes name the control groups of their containers.

/// The container that a directory of that name belongs to: an id of 64
/// hexadecimal digits, or the name of an LXC container or nspawn machine.
///
/// Docker, containerd, CRI-O, Podman and nerdctl call it `ID` (cgroupfs
/// driver) or `PREFIX-ID.scope` (systemd driver).
pub(super) fn container(dir: &str) -> Option<String> {
    if let Some(name) = dir.strip_prefix("lxc.payload.") {
        return Some(name.to_owned());
    }
    let Some(scope) = dir.strip_suffix(".scope") else {
        return is_id(dir).then(|| dir.to_owned());
    };
    if let Some(machine) = scope.strip_prefix("machine-") {
        return Some(unescape(machine));
    }
    let (runtime, id) = scope.rsplit_once('-')?;
    // The runtime's monitor (libpod-conmon-ID, crio-conmon-ID) is no part of
    // the container.
    (is_id(id) && !runtime.ends_with("conmon")).then(|| id.to_owned())
}

/// Whether a text is a full container id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Undoes the `\x2d` of systemd.unit(5) names.
fn unescape(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.strip_prefix(b"x").and_then(|t| str::from_utf8(t.get(..2)?).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(code) if byte == b'\\' => {
                out.push(code);
                rest = &tail[3..];
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_of_the_runtimes() {
        let id = "0123456789abcdef".repeat(4);
        for prefix in ["docker", "cri-containerd", "crio", "libpod", "nerdctl"] {
            assert_eq!(container(&format!("{prefix}-{id}.scope")).as_ref(), Some(&id), "{prefix}");
        }
        assert_eq!(container(&id), Some(id.clone()));
        assert_eq!(container("lxc.payload.web-1").as_deref(), Some("web-1"));
        assert_eq!(container("machine-web\\x2d1.scope").as_deref(), Some("web-1"));
        for other in [
            &format!("libpod-conmon-{id}.scope"),
            &format!("crio-conmon-{id}.scope"),
            &format!("docker-{id}.mount"),
            &id[..63],
            &id.to_uppercase(),
            "session-3.scope",
            "init.scope",
            "system.slice",
            "kubepods-burstable-pod12345678_1234_1234_1234_123456789abc.slice",
        ] {
            assert_eq!(container(other), None, "{other}");
        }
    }
}
