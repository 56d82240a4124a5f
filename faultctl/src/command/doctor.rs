//! `doctor [KIND]`: what works on this host, and what is missing for the rest.

use std::{fs, path::Path};

use faultd_api::{
    BackendStatus, Capabilities, Health, Kind, Leftover, Support,
    client::{Client, ClientError},
};
use serde::Serialize;

use super::Context;
use crate::{
    failure::Failure,
    out::{
        Tone, one_line,
        table::{Align, Cell, Table},
    },
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Findings {
    reachable: bool,
    error: Option<String>,
    health: Option<Health>,
    capabilities: Option<Capabilities>,
    /// What this program sees by itself, where the daemon cannot be asked.
    host: Option<Vec<BackendStatus>>,
}

pub fn run(cx: &mut Context, kind: Option<Kind>) -> Result<(), Failure> {
    let asked = cx.client().and_then(|client| Ok(ask(&client, kind)?));
    let (health, capabilities) = match asked {
        Ok(answers) => answers,
        Err(e) => return without_daemon(cx, e),
    };
    let verdict = verdict(kind, &health, &capabilities);
    if cx.out.wants_json() {
        cx.out.document(&Findings {
            reachable: true,
            error: None,
            health: Some(health),
            capabilities: Some(capabilities),
            host: None,
        })?;
        return verdict;
    }
    daemon(cx, &health)?;
    cx.out.line(format!("kernel {}", one_line(&capabilities.kernel)))?;
    cx.out.line("")?;
    cx.out.table(&backends(&capabilities))?;
    if kind.is_none() {
        cx.out.line("")?;
        cx.out.table(&features("FEATURE", &capabilities.features))?;
    }
    left_behind(cx, &capabilities.left_behind)?;
    cx.out.flush()?;
    verdict
}

fn ask(client: &Client, kind: Option<Kind>) -> Result<(Health, Capabilities), ClientError> {
    let mut capabilities = client.capabilities()?;
    capabilities.kinds.retain(|entry| kind.is_none_or(|kind| kind == entry.kind));
    Ok((client.health()?, capabilities))
}

fn verdict(kind: Option<Kind>, health: &Health, found: &Capabilities) -> Result<(), Failure> {
    let works = |backends: &[BackendStatus]| backends.iter().any(|b| b.support == Support::Yes);
    if let Some(kind) = kind
        && !found.kinds.iter().any(|entry| works(&entry.backends))
    {
        return Err(Failure::NotSupported(format!("no backend of {kind} works on this host")));
    }
    if health.status != "ok" {
        return Err(Failure::NotDone(format!(
            "faultd is {}: {}",
            health.status,
            health.problems.join("; ")
        )));
    }
    Ok(())
}

fn daemon(cx: &mut Context, health: &Health) -> Result<(), Failure> {
    let tone = if health.status == "ok" { Tone::Good } else { Tone::Bad };
    let status = cx.out.paint(tone, &one_line(&health.status)).into_owned();
    let guardian = match health.guardian_pid {
        Some(pid) => format!("guardian pid {pid}"),
        None => "no guardian".to_owned(),
    };
    let faults = match health.active {
        0 => "no fault in force".to_owned(),
        1 => "1 fault in force".to_owned(),
        n => format!("{n} faults in force"),
    };
    cx.out.line(format!(
        "faultd {} at {}: {status} (pid {}, {guardian}, {faults})",
        health.version,
        cx.socket.display(),
        health.pid
    ))?;
    for problem in &health.problems {
        let problem = cx.out.paint(Tone::Bad, &one_line(problem)).into_owned();
        cx.out.line(format!("  {problem}"))?;
    }
    Ok(())
}

/// What dead daemons left, and the commands that remove it.
fn left_behind(cx: &mut Context, found: &[Leftover]) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    cx.out.line("")?;
    let columns = ["LEFT BY A DEAD DAEMON", "REMOVE IT WITH"].map(|name| (name, Align::Left));
    let mut table = Table::with_heading(&columns);
    for thing in found {
        let remove = thing.remove.as_deref().unwrap_or("(goes with what holds it)");
        table.row([Cell::new(&thing.what, Tone::Warn), remove.into()]);
    }
    cx.out.table(&table)
}

fn answer(support: Support) -> Cell {
    match support {
        Support::Yes => Cell::new("yes", Tone::Good),
        Support::No => Cell::new("no", Tone::Warn),
        Support::Refused => Cell::new("refused", Tone::Bad),
    }
}

fn backends(found: &Capabilities) -> Table {
    let columns = ["KIND", "BACKEND", "WORKS", "DETAIL"].map(|name| (name, Align::Left));
    let mut table = Table::with_heading(&columns);
    for entry in &found.kinds {
        for (i, backend) in entry.backends.iter().enumerate() {
            let name = if i == 0 { entry.kind.name() } else { "" };
            table.row([
                Cell::new(name, Tone::Strong),
                backend.name.as_str().into(),
                answer(backend.support),
                backend.detail.as_str().into(),
            ]);
        }
    }
    table
}

fn features(heading: &str, found: &[BackendStatus]) -> Table {
    let columns = [heading, "THERE", "DETAIL"].map(|name| (name, Align::Left));
    let mut table = Table::with_heading(&columns);
    for feature in found {
        let cells = [feature.name.as_str().into(), answer(feature.support)];
        table.row(cells.into_iter().chain([feature.detail.as_str().into()]));
    }
    table
}

/// The daemon is the one that probes; without it, only what can be seen from
/// here is told, and the command fails as every other would.
fn without_daemon(cx: &mut Context, failure: Failure) -> Result<(), Failure> {
    let host = visible();
    if cx.out.wants_json() {
        cx.out.document(&Findings {
            reachable: false,
            error: Some(failure.to_string()),
            health: None,
            capabilities: None,
            host: Some(host),
        })?;
        return Err(failure);
    }
    cx.out.line("The daemon probes what works, and it cannot be asked. Seen from here:")?;
    cx.out.line("")?;
    cx.out.table(&features("FEATURE", &host))?;
    cx.out.line("")?;
    cx.out.line("What a dead daemon left, `faultd recover` takes back, as does the next start.")?;
    cx.out.flush()?;
    Err(failure)
}

/// Facts that need neither privileges nor the daemon.
fn visible() -> Vec<BackendStatus> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let there = |name: &str, path: &str, why: &str| {
        let (support, detail) = match Path::new(path).exists() {
            true => (Support::Yes, path.to_owned()),
            false => (Support::No, format!("no {path}: {why}")),
        };
        BackendStatus { name: name.into(), support, detail }
    };
    vec![
        BackendStatus {
            name: "kernel".into(),
            support: if kernel.is_empty() { Support::No } else { Support::Yes },
            detail: kernel.trim().to_owned(),
        },
        there(
            "btf",
            "/sys/kernel/btf/vmlinux",
            "the kernel was built without CONFIG_DEBUG_INFO_BTF",
        ),
        there("tun", "/dev/net/tun", "the delay line of latency needs it (`modprobe tun`)"),
        there(
            "bpf",
            "/proc/sys/kernel/unprivileged_bpf_disabled",
            "the kernel was built without CONFIG_BPF_SYSCALL",
        ),
    ]
}
