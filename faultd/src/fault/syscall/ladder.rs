//! The backends, best first, and which of them works here.

use std::{os::fd::AsFd, sync::OnceLock};

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use faultd_api::{BackendStatus, Call, Support};

use super::{
    calls::{self, At, Place},
    types::types,
};
use crate::host::bpf::{self, Loadable};

/// A way to make calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backend {
    /// The BPF LSM at the security hook in front of the operation. First, since
    /// it alone misses nothing; see [`Backend::note`].
    Lsm,
    /// fmod_ret at the entry of the call.
    Entry,
    /// fmod_ret at the security hook in front of the operation.
    Hook,
    /// Hooks of control groups at sockets.
    Group,
}

impl Backend {
    /// Best first.
    pub const ALL: [Self; 4] = [Self::Lsm, Self::Entry, Self::Hook, Self::Group];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lsm => "lsm",
            Self::Entry => "syscall-entry",
            Self::Hook => "security-hook",
            Self::Group => "cgroup",
        }
    }

    /// What a user should know of it.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Lsm => Some(
                "judged at the security hook: calls that fail before it (EBADF, ENOENT) fail as ever and are not counted",
            ),
            Self::Entry => Some(
                "a call is let pass while another thread was interrupted in the same program on its processor; counted as missed",
            ),
            Self::Hook => Some(
                "judged at the security hook: calls that fail before it (EBADF, ENOENT) fail as ever and are not counted; \
                 a call is let pass while another thread was interrupted in the same program on its processor; counted as missed",
            ),
            Self::Group => Some(
                "IPv4 and IPv6 sockets only; of sends only datagrams to an address given in the call",
            ),
        }
    }
}

/// The last step, which needs no daemon.
pub const RUN: &str = "run";

/// What a backend showed when it was tried.
#[derive(Debug, Clone)]
struct Tried {
    support: Support,
    detail: String,
}

/// Every backend, and what each call is served by.
pub fn statuses() -> Vec<BackendStatus> {
    let status = |backend: Backend| {
        let tried = tried(backend);
        let detail = match tried.support {
            Support::Yes => format!("{}; serves {}", tried.detail, served(backend)),
            _ => tried.detail.clone(),
        };
        BackendStatus { name: backend.name().to_owned(), support: tried.support, detail }
    };
    let mut all: Vec<_> = Backend::ALL.into_iter().map(status).collect();
    all.push(BackendStatus {
        name: RUN.to_owned(),
        support: Support::Yes,
        detail: "faultctl run -- CMD: every call and delays, for a command that it starts; no daemon, no BPF".to_owned(),
    });
    all
}

/// The promised calls that a backend is the best one for, on this kernel.
fn served(backend: Backend) -> String {
    let mut names = Vec::new();
    for name in calls::PROMISED {
        let Ok(call) = name.parse::<Call>() else { continue };
        if choose(call, false, None).is_ok_and(|(best, _)| best == backend) {
            names.push(name);
        }
    }
    if names.is_empty() { "nothing that a better one does not".to_owned() } else { names.join(" ") }
}

/// The best backend that serves a call here, or the one insisted on.
///
/// # Errors
/// What is missing, in words.
pub fn choose(
    call: Call,
    with_path: bool,
    wanted: Option<Backend>,
) -> Result<(Backend, Vec<Place>), String> {
    let mut reasons = Vec::new();
    for backend in Backend::ALL {
        if wanted.is_some_and(|wanted| wanted != backend) {
            continue;
        }
        let tried = tried(backend);
        if tried.support != Support::Yes {
            reasons.push(format!("{}: {}", backend.name(), tried.detail));
            continue;
        }
        let Some(places) = calls::places(backend, call, with_path) else {
            let what = if with_path { " with its path" } else { "" };
            reasons.push(format!("{}: does not see {call}{what}", backend.name()));
            continue;
        };
        let there = |place: Place| match calls::before(&place) {
            Some(older) if !exists(&place) => older,
            _ => place,
        };
        let places: Vec<_> = places.into_iter().map(there).collect();
        match places.iter().find(|place| !exists(place)) {
            None => return Ok((backend, places)),
            Some(Place { at: At::Function(function) | At::Lsm(function), .. }) => {
                reasons.push(format!("{}: this kernel has no {function}", backend.name()));
            }
            Some(_) => {}
        }
    }
    Err(reasons.join("; "))
}

fn exists(place: &Place) -> bool {
    match &place.at {
        At::Function(name) | At::Lsm(name) => {
            types().is_ok_and(|types| types.function(name).is_some())
        }
        At::Group(_) => true,
    }
}

fn tried(backend: Backend) -> &'static Tried {
    static LSM: OnceLock<Tried> = OnceLock::new();
    static ENTRY: OnceLock<Tried> = OnceLock::new();
    static HOOK: OnceLock<Tried> = OnceLock::new();
    static GROUP: OnceLock<Tried> = OnceLock::new();
    match backend {
        Backend::Lsm => LSM.get_or_init(try_lsm),
        Backend::Entry => ENTRY.get_or_init(|| try_function(
            // One that nobody calls while it is tried, and that is let through.
            if cfg!(target_arch = "x86_64") { "__x64_sys_sethostname" } else { "__arm64_sys_sethostname" },
            (bpf_prog_type::BPF_PROG_TYPE_TRACING, bpf_attach_type::BPF_MODIFY_RETURN),
            "fmod_ret at the entry of system calls",
            "this kernel lets no errors be injected into system calls (CONFIG_FUNCTION_ERROR_INJECTION)",
        )),
        Backend::Hook => HOOK.get_or_init(|| try_function(
            "security_settime64",
            (bpf_prog_type::BPF_PROG_TYPE_TRACING, bpf_attach_type::BPF_MODIFY_RETURN),
            "fmod_ret at security hooks",
            "this kernel has no fmod_ret at security hooks (CONFIG_SECURITY, CONFIG_DEBUG_INFO_BTF)",
        )),
        Backend::Group => GROUP.get_or_init(try_group),
    }
}

/// Attaches a program that changes nothing to a function, for a moment.
fn try_function(
    function: &str,
    (kind, attach): (bpf_prog_type, bpf_attach_type),
    works: &str,
    lacks: &str,
) -> Tried {
    let no = |support, detail| Tried { support, detail };
    let id = match types().map(|types| types.function(function)) {
        Ok(Some(id)) => id,
        Ok(None) => return no(Support::No, format!("{lacks}: there is no {function}")),
        Err(missing) => return no(Support::No, format!("{lacks}: {missing}")),
    };
    let program = Loadable {
        name: "fd_probe_fmod",
        kind,
        attach,
        function: id,
        license: c"GPL",
        instructions: &bpf::trivial(0),
    };
    let program = match bpf::load(&program) {
        Ok(program) => program,
        Err(e) if e.source.raw_os_error() == Some(libc::EINVAL) => {
            return no(Support::No, format!("{lacks}: {e}"));
        }
        Err(e) => return no(Support::Refused, e.to_string()),
    };
    match bpf::trampoline(program.as_fd()) {
        Ok(link) => {
            // The kernel waits for every processor and task before this returns.
            std::thread::spawn(move || drop(link));
            Tried { support: Support::Yes, detail: works.to_owned() }
        }
        // Not known to nix: the kernel's own ENOTSUPP.
        Err(e) if matches!(e.raw_os_error(), Some(524) | Some(libc::EOPNOTSUPP)) => no(
            Support::No,
            "this kernel has no BPF trampolines (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)"
                .to_owned(),
        ),
        Err(e) => no(Support::Refused, format!("attaching to {function}: {e}")),
    }
}

fn try_lsm() -> Tried {
    let lacks =
        "the BPF LSM is not in use (CONFIG_BPF_LSM, and bpf in lsm= on the kernel's command line)";
    if !lsm_is_active() {
        return Tried { support: Support::No, detail: lacks.to_owned() };
    }
    try_function(
        "bpf_lsm_settime",
        (bpf_prog_type::BPF_PROG_TYPE_LSM, bpf_attach_type::BPF_LSM_MAC),
        "the BPF LSM at security hooks",
        lacks,
    )
}

/// Whether the BPF LSM is among those that are asked: by lsm_list_modules(2),
/// Linux 6.8, or else as securityfs shows it.
fn lsm_is_active() -> bool {
    const LSM_ID_BPF: u64 = 110; // include/uapi/linux/lsm.h
    const LSM_LIST_MODULES: libc::c_long = 461;
    let mut ids = [0_u64; 64];
    let mut size = size_of_val(&ids) as u32;
    // SAFETY: the kernel writes at most `size` bytes to `ids`.
    let count = unsafe { libc::syscall(LSM_LIST_MODULES, ids.as_mut_ptr(), &raw mut size, 0) };
    if let Ok(count) = usize::try_from(count) {
        return ids.iter().take(count).any(|id| *id == LSM_ID_BPF);
    }
    std::fs::read_to_string("/sys/kernel/security/lsm")
        .is_ok_and(|list| list.trim().split(',').any(|name| name == "bpf"))
}

/// Loads a program that answers with an error of its own.
fn try_group() -> Tried {
    let program = Loadable {
        name: "fd_probe_retval",
        kind: bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
        attach: bpf_attach_type::BPF_CGROUP_INET4_CONNECT,
        function: 0,
        license: c"GPL",
        instructions: &bpf::setting_retval(0, 1),
    };
    let lacks = "needs Linux 5.18 (bpf_set_retval) and CONFIG_CGROUP_BPF";
    match bpf::load(&program) {
        Ok(_) => Tried {
            support: Support::Yes,
            detail: "errors from the hooks of control groups at sockets".to_owned(),
        },
        Err(e) if e.source.raw_os_error() == Some(libc::EINVAL) => {
            Tried { support: Support::No, detail: format!("{lacks}: {e}") }
        }
        Err(e) => Tried { support: Support::Refused, detail: e.to_string() },
    }
}
