//! The init of a guest: from the initramfs to the real root, then the job, then power off.

mod agent;
mod boot;
mod root;

use std::{fs, process::ExitCode};

use anyhow::Context;
use faultd_guest::{Job, job};
use nix::{
    sys::{
        reboot::{RebootMode, reboot},
        wait::{WaitStatus, wait},
    },
    unistd::{ForkResult, Pid, fork, getpid},
};

fn main() -> ExitCode {
    if getpid() != Pid::from_raw(1) {
        eprintln!("faultd-guest is the init of a test guest and does nothing elsewhere");
        return ExitCode::from(2);
    }
    let job = match prepare() {
        Ok(job) => job,
        Err(error) => {
            // The console, which the host keeps.
            eprintln!("faultd-guest: {error:#}");
            agent::report_broken(&error);
            power_off();
        }
    };
    // SAFETY: there is one thread, so the child may do anything.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            if let Err(error) = agent::run(&job) {
                agent::report_broken(&error);
            }
            ExitCode::SUCCESS
        }
        Ok(ForkResult::Parent { child }) => {
            reap_until(child);
            power_off();
        }
        Err(error) => {
            eprintln!("faultd-guest: fork: {error}");
            power_off();
        }
    }
}

/// Everything up to a booted machine.
fn prepare() -> anyhow::Result<Job> {
    // In the initramfs, which is gone afterwards.
    let job = serde_json::from_slice(&fs::read(job::JOB_FILE).context(job::JOB_FILE)?)?;
    boot::switch_root()?;
    root::prepare()?;
    Ok(job)
}

/// Orphans of the tests become children of pid 1, which has to collect them.
fn reap_until(agent: Pid) {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid == agent => {
                return;
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// Ends the guest: QEMU runs with `-no-reboot`, so that a reset (which needs no ACPI) is the end.
fn power_off() -> ! {
    nix::unistd::sync();
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    // Not reached on a machine that can reset; sysrq does it on any other.
    let _ = fs::write("/proc/sysrq-trigger", "b");
    loop {
        nix::unistd::pause();
    }
}
