//! `faultctl run` in a container: namespaces of its own, the capabilities that
//! container engines leave, no new privileges, and a seccomp filter that forbids
//! what their default profiles forbid.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

use std::{env, fs, os::unix::process::CommandExt, process::Command};

use faultd_tests::{Outcome, ctl, skip};
use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EPERM, SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO, sock_filter, sock_fprog,
};

/// What container engines leave of root's (containers-common's containers.conf).
const CAPABILITIES: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+net_bind_service,\
                            +setfcap,+setgid,+setpcap,+setuid,+sys_chroot";

/// What their profiles forbid to those who have no more than that
/// (containers-common's seccomp.json).
const FORBIDDEN: [libc::c_long; 18] = [
    libc::SYS_bpf,
    libc::SYS_fanotify_init,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

#[test]
fn errors_and_delays_work_in_a_container() {
    let dir = tempfile::tempdir().unwrap();
    let [full, slow] = ["full", "slow"].map(|name| dir.path().join(name).display().to_string());
    fs::write(&full, "").unwrap();
    let faults = [
        format!("syscall --call openat,open --errno ENOSPC --path {full}"),
        "syscall --call fsync --delay 200".to_owned(),
    ];
    let script = format!(
        "cat {full}; dd if=/dev/zero of={slow} bs=1 count=1 conv=fsync; \
         grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; exit 7"
    );
    let exe = env::current_exe().unwrap();
    let outcome = Outcome::of(
        Command::new("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--uts", "--ipc", "--net", "--"])
            .args(["setpriv", "--bounding-set", CAPABILITIES, "--inh-caps=-all", "--no-new-privs"])
            .arg(exe)
            .args(["--ignored", "--exact", "helper_in_a_container", "--nocapture"])
            .env("LC_ALL", "C")
            .env("FAULTD_HELPER_FAULTS", faults.join("\n"))
            .env("FAULTD_HELPER_SCRIPT", script)
            .env("FAULTD_HELPER_PROGRAM", ctl::binary("FAULTCTL_BIN", "faultctl")),
    );
    if outcome.stderr.contains("unshare failed") {
        skip!("no namespaces can be made here: {}", outcome.stderr);
    }
    assert_eq!(outcome.code, Some(7), "{outcome:?}");
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    // CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_BPF and the like are not among these.
    for line in ["CapEff:\t000000008004", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
    let took = outcome.stderr.split("copied, ").nth(1).and_then(|rest| rest.split(' ').next());
    let took: f64 = took.unwrap().parse().unwrap();
    assert!(took >= 0.2, "{took}");
}

/// The last step into the container, which `setpriv` cannot do: the filter.
#[test]
#[ignore = "a program that another test runs"]
fn helper_in_a_container() {
    let text = |name: &str| env::var(format!("FAULTD_HELPER_{name}")).unwrap();
    let mut command = Command::new(text("PROGRAM"));
    command.arg("run");
    for fault in text("FAULTS").lines() {
        command.args(["--fault", fault]);
    }
    command.args(["--", "sh", "-c", &text("SCRIPT")]);
    forbid();
    // SAFETY: takes no pointers; asks for a call that the filter knows.
    assert_eq!(unsafe { libc::unshare(0) }, -1, "the filter is in place");
    panic!("{}", command.exec());
}

fn forbid() {
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // The number of the call comes first in `struct seccomp_data`.
    let mut filter = vec![statement(BPF_LD | BPF_W | BPF_ABS, 0)];
    for call in FORBIDDEN {
        let jump = statement(BPF_JMP | BPF_JEQ | BPF_K, u32::try_from(call).unwrap());
        filter.push(sock_filter { jf: 1, ..jump });
        filter.push(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM as u32));
    }
    filter.push(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    let program =
        sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: the program and what it points to outlive the call, which copies it.
    let done =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
