//! What this host allows: descriptors and ports, looked at before the run.

use std::{fs, io, thread};

use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::close,
};

use crate::{
    plan::{Arrival, Plan},
    summary::HostInfo,
};

/// Descriptors that are needed besides those of connections.
const SPARE: u64 = 64;

/// The same with those of the probe.
fn spare(plan: &Plan) -> u64 {
    let probes = plan.probe.as_ref().map_or(0, |probe| probe.waiting());
    probes.saturating_add(SPARE)
}

/// Something of which there is less than the plan may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// In words, with what to do.
    pub text: String,
    /// The plan cannot be run as it is written.
    pub fatal: bool,
}

/// Raises the descriptor limit as far as it goes, makes room for those that `plan` may need, and
/// says what is short for it. Returns that and the limit.
#[must_use]
pub fn preflight(plan: &Plan) -> (Vec<Limit>, u64) {
    let descriptors = raise_descriptors();
    let (users, in_flight) = connections(plan);
    // A table that stays small only makes its growth felt.
    let _room = make_room((users + in_flight).saturating_add(spare(plan)).min(descriptors));
    (short(plan, descriptors, local_ports()), descriptors)
}

/// Makes the table of descriptors large enough for `count`. The kernel grows it when it is full,
/// and lets whoever opened the one too many wait for all processors to have passed by if there
/// are several threads (`expand_fdtable` in fs/file.c): 10 ms and more in which nothing is sent.
fn make_room(count: u64) -> io::Result<()> {
    let last = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
    let file = fs::File::open("/dev/null")?;
    close(fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(last))?)?;
    Ok(())
}

/// Connections that users and arrivals may need at most.
fn connections(plan: &Plan) -> (u64, u64) {
    let users = plan.stages.iter().map(|stage| match stage.arrival {
        Arrival::Users { from, to } => u64::from(from.max(to)),
        Arrival::Rate { .. } | Arrival::Pause => 0,
    });
    let open = plan.stages.iter().any(|stage| matches!(stage.arrival, Arrival::Rate { .. }));
    (users.max().unwrap_or(0), if open { plan.limits.in_flight as u64 } else { 0 })
}

fn raise_descriptors() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

/// Ports for connections of our own to one address.
fn local_ports() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_ascii_whitespace().map_while(|word| word.parse::<u64>().ok());
    let (first, last) = (ends.next()?, ends.next()?);
    Some((last + 1).saturating_sub(first))
}

fn short(plan: &Plan, descriptors: u64, ports: Option<u64>) -> Vec<Limit> {
    let (users, in_flight) = connections(plan);
    let needed = |connections: u64| connections.saturating_add(spare(plan));
    let mut found = Vec::new();
    if needed(users) > descriptors {
        found.push(Limit {
            text: format!(
                "{users} users need {} descriptors and the hard limit is {descriptors}: \
                 raise it (ulimit -Hn)",
                needed(users)
            ),
            fatal: true,
        });
    } else if needed(in_flight) > descriptors {
        found.push(Limit {
            text: format!(
                "{in_flight} requests may be in flight and the descriptor limit is {descriptors}: \
                 beyond it they fail as local errors"
            ),
            fatal: false,
        });
    }
    if let Some(ports) = ports
        && users.max(in_flight) > ports
    {
        found.push(Limit {
            text: format!(
                "up to {} connections and {ports} local ports to one address \
                 (net.ipv4.ip_local_port_range)",
                users.max(in_flight)
            ),
            fatal: false,
        });
    }
    found
}

/// This host, for results.
#[must_use]
pub fn host_info(workers: usize) -> HostInfo {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    HostInfo {
        kernel: kernel.trim().to_owned(),
        cpus: u32::try_from(processors()).unwrap_or(u32::MAX),
        workers: u32::try_from(workers).unwrap_or(u32::MAX),
    }
}

/// Processors that this process may use.
#[must_use]
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{Limits, ProbePlan, Request, Stage};

    #[test]
    fn the_table_has_room() {
        make_room(700).unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(size.trim().parse::<u64>().unwrap() >= 700, "{size}");
    }

    #[test]
    fn what_is_short_is_told_before_the_run() {
        let stage = |arrival| Stage {
            name: "x".into(),
            duration: Duration::from_secs(1),
            arrival,
            mix: vec![(0, 1.0)],
        };
        let plan = |arrival| Plan {
            name: "x".into(),
            stages: vec![stage(arrival)],
            flows: Vec::new(),
            setup: Vec::new(),
            teardown: Vec::new(),
            limits: Limits::default(),
            ledger: None,
            tls: crate::plan::TlsFiles::default(),
            probe: None,
            seed: 0,
        };
        let many = plan(Arrival::users(5000));
        assert!(short(&many, 4096, Some(28_000))[0].fatal);
        assert_eq!(short(&many, 6000, Some(28_000)), []);
        assert!(!short(&many, 6000, Some(1000))[0].fatal);
        assert!(!short(&plan(Arrival::rate(10.0)), 1024, Some(28_000))[0].fatal);
        let mut probed = many.clone();
        probed.probe = Some(ProbePlan::new("probe", Request::None));
        assert_eq!(short(&many, 5100, None), []);
        assert!(short(&probed, 5100, None)[0].fatal, "a hundred probes may wait");
    }
}
