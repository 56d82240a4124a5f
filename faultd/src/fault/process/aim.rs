//! Whom a fault on processes hits: the target as this host understands it, less
//! those that a rail protects, plus those that come later.

use std::collections::HashSet;

use faultd_api::{FaultRequest, HitProcess, Hits, Target};

use crate::{
    engine::plan::{PlanError, Rail},
    fault::{PlanCx, unresolved},
    host::{
        cgroup::CgroupRef,
        process::{self, Process, ProcessScope, Protection, Table, pids, stat::Stat},
    },
};

/// The most processes that a report lists; all are counted.
pub const LISTED: usize = 200;

/// And once the fault is injected.
const LISTED_ONCE_INJECTED: usize = 5;

/// Rails are listed one by one up to this number.
const SPARED_LISTED: usize = 10;

/// Whom a fault hits.
pub struct Aim {
    /// The processes, by ascending id; never empty.
    pub processes: Vec<Process>,
    /// The control group that the target consists of, where it is one and no
    /// other condition narrows it.
    pub group: Option<CgroupRef>,
    /// Who was meant but is left alone.
    pub rails: Vec<Rail>,
    crowd: Crowd,
}

impl Aim {
    /// Looks at the host, touches nothing.
    ///
    /// # Errors
    /// When the target is malformed, matches nothing, or means nobody but
    /// protected processes.
    pub fn at(request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Self, PlanError> {
        let target = &request.target;
        let resolved =
            process::resolve_acting(target, request.force).map_err(|e| unresolved(&e))?;
        let guard = Guard::new(target, request.force, cx);
        let mut rails = Vec::new();
        let mut spared = 0;
        let mut processes = Vec::with_capacity(resolved.processes.len());
        for process in resolved.processes {
            let Some(reason) = guard.reason(process.pid) else {
                processes.push(process);
                continue;
            };
            let words = format!("process {} ({}): {reason}", process.pid, process.comm);
            if target.pid.contains(&process.pid) {
                return Err(PlanError::Unsafe(words));
            }
            if cx.caller.pid == Some(process.pid) {
                // A target by command line or user often means it: no news.
                continue;
            }
            spared += 1;
            if spared <= SPARED_LISTED {
                rails.push(Rail::telling(format!("left alone: {words}")));
            }
        }
        if processes.is_empty() {
            let spared = match rails.is_empty() {
                true => "the command that asks".to_owned(),
                false => words(&rails),
            };
            return Err(PlanError::Unsafe(format!("the target means nobody else: {spared}")));
        }
        if spared > SPARED_LISTED {
            rails.push(Rail::telling(format!("left alone: {} more", spared - SPARED_LISTED)));
        }
        if request.force {
            let words = "--force: only faultd and what the policy names are left alone";
            rails.push(Rail::telling(words));
        }
        let group = resolved.group.filter(|_| is_a_group(target));
        let known = processes.iter().map(|p| p.pid).collect();
        let crowd = Crowd {
            target: target.clone(),
            force: request.force,
            scope: resolved.scope,
            guard,
            seen: pids().into_iter().collect(),
            known,
        };
        Ok(Self { processes, group, rails, crowd })
    }

    /// The processes, for a report.
    pub fn hits(&self, cx: &PlanCx<'_>) -> Hits {
        let most = if cx.list_hits { LISTED } else { LISTED_ONCE_INJECTED };
        let listed = self.processes.iter().take(most);
        Hits {
            processes: listed.map(HitProcess::from).collect(),
            process_count: self.processes.len(),
            ..Hits::default()
        }
    }

    /// Whether a process is left alone, whatever the target says.
    pub fn spares(&self, pid: u32) -> bool {
        self.crowd.guard.reason(pid).is_some()
    }

    /// Takes those in as well that have come since the host was looked at.
    pub fn catch_up(&mut self) {
        let newcomers = self.crowd.newcomers(true);
        self.processes.extend(newcomers);
        self.processes.sort_unstable_by_key(|p| p.pid);
    }

    /// Who belongs to it later.
    pub fn into_crowd(self) -> Crowd {
        self.crowd
    }
}

/// Rails in one line.
pub fn words(rails: &[Rail]) -> String {
    rails.iter().map(|rail| rail.words.as_str()).collect::<Vec<_>>().join("; ")
}

/// A target that is one control group, whoever lives in it.
fn is_a_group(target: &Target) -> bool {
    let groups = [&target.cgroup, &target.unit, &target.container];
    let narrows = [&target.name, &target.exe, &target.cmdline, &target.user, &target.netns];
    groups.into_iter().flatten().count() == 1
        && narrows.into_iter().flatten().count() == 0
        && target.pid.is_empty()
}

/// The name that the guardians of all daemons give themselves.
const GUARDIAN: &str = "faultd-guardian";

/// The rails.
struct Guard {
    /// Pid 1, where it was named and insisted on.
    insisted: Option<u32>,
    /// The command that asks, forced or not: it has to tell the outcome.
    asking: Option<u32>,
    /// All of them.
    all: Protection,
    /// Those that `--force` does not lift.
    always: Protection,
    /// The caller's session, unless forced.
    session: Option<u32>,
    units: Vec<String>,
    names: Vec<String>,
}

impl Guard {
    fn new(target: &Target, force: bool, cx: &PlanCx<'_>) -> Self {
        let (units, names) = (cx.protected.units.clone(), cx.protected.processes.clone());
        let caller = cx.caller.pid.filter(|_| !force);
        let session = caller.and_then(|pid| Stat::read(pid).ok()).map(|stat| stat.session);
        Self {
            insisted: (force && target.pid.contains(&1)).then_some(1),
            asking: cx.caller.pid,
            all: Protection::new(caller, &units, &names),
            always: Protection::new(None, &units, &names),
            session: session.filter(|session| *session != 0),
            units,
            names,
        }
    }

    /// Why a process is left alone.
    fn reason(&self, pid: u32) -> Option<String> {
        if self.insisted == Some(pid) {
            return None;
        }
        if self.asking == Some(pid) {
            return Some("it is the command that asked".to_owned());
        }
        if Stat::read(pid).is_ok_and(|stat| stat.comm == GUARDIAN) {
            return Some("it takes back the faults of another faultd".to_owned());
        }
        let reason = self.all.reason(pid)?;
        let lifted = self.always.reason(pid).is_none();
        Some(if lifted { format!("{reason}; --force allows it") } else { reason })
    }

    /// The same for processes that came later: the policy's units have new
    /// ones, and whoever gave the command types on.
    fn reason_later(&self, stat: &Stat, now: &Protection) -> Option<String> {
        if self.session == Some(stat.session) {
            return Some("it belongs to the session of the command".to_owned());
        }
        self.reason(stat.pid).or_else(|| now.reason(stat.pid))
    }
}

/// Who belongs to a target as time goes by.
pub struct Crowd {
    target: Target,
    force: bool,
    scope: ProcessScope,
    guard: Guard,
    /// Every process of the host at the last look.
    seen: HashSet<u32>,
    /// Those of the target, the protected excepted.
    known: HashSet<u32>,
}

impl Crowd {
    /// Processes of the target that have come since the last look: children
    /// of those known, and for users and control groups whoever belongs to
    /// them now. With `thorough`, also those that were there and have only now
    /// come to belong to it.
    ///
    /// A look without new processes on the host costs one pass over the names
    /// in `/proc`.
    pub fn newcomers(&mut self, thorough: bool) -> Vec<Process> {
        let now: HashSet<u32> = pids().into_iter().collect();
        let fresh = now.iter().any(|pid| !self.seen.contains(pid));
        self.seen = now;
        self.known.retain(|pid| self.seen.contains(pid));
        let by_descent = self.scope == ProcessScope::Pids;
        if !fresh && (by_descent || !thorough) {
            return Vec::new();
        }
        let mut found = if by_descent { self.descendants() } else { self.joined() };
        if found.is_empty() {
            return found;
        }
        let now = Protection::new(None, &self.guard.units, &self.guard.names);
        found.retain(|process| {
            let stat = Stat::read(process.pid).ok();
            stat.is_some_and(|stat| self.guard.reason_later(&stat, &now).is_none())
        });
        self.known.extend(found.iter().map(|p| p.pid));
        found
    }

    fn descendants(&self) -> Vec<Process> {
        let Ok(table) = Table::read() else { return Vec::new() };
        let own = table.family(std::process::id());
        let all = table.with_descendants(self.known.iter().copied(), &own);
        let new = all.into_iter().filter(|pid| !self.known.contains(pid));
        new.filter_map(|pid| Process::of(table.get(pid)?)).collect()
    }

    fn joined(&self) -> Vec<Process> {
        // Nobody left is no error here: somebody may come.
        let resolved = process::resolve_acting(&self.target, self.force);
        let all = resolved.map(|resolved| resolved.processes).unwrap_or_default();
        all.into_iter().filter(|process| !self.known.contains(&process.pid)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread, time::Duration};

    use faultd_api::{Params, PauseParams, Span};

    use super::*;
    use crate::fault::{Caller, Protected};

    /// A request whose target the test process cannot mean: its own children
    /// are faultd's own to it. These tests therefore ask about strangers.
    fn request(target: Target, force: bool) -> FaultRequest {
        FaultRequest {
            params: Params::Pause(PauseParams {}),
            target,
            duration: Span::from_secs(1),
            label: None,
            seed: None,
            backend: None,
            lease: None,
            force,
        }
    }

    fn at(target: Target, caller: &Caller, protected: &Protected) -> Result<Aim, PlanError> {
        let cx = PlanCx { caller, protected, list_hits: true };
        Aim::at(&request(target, false), &cx)
    }

    #[test]
    fn groups_are_groups_only_when_nothing_narrows_them() {
        let group = Target { cgroup: Some("/a".into()), ..Target::default() };
        assert!(is_a_group(&group));
        assert!(!is_a_group(&Target { user: Some("0".into()), ..group.clone() }));
        assert!(!is_a_group(&Target { unit: Some("x".into()), ..group.clone() }));
        assert!(!is_a_group(&Target { pid: vec![7], ..group }));
        assert!(!is_a_group(&Target { name: Some("x".into()), ..Target::default() }));
    }

    #[test]
    fn own_children_are_never_hit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let target = Target { pid: vec![child.id()], ..Target::default() };
        let Err(error) = at(target, &Caller::default(), &Protected::default()) else {
            panic!("a child of the daemon's is a target");
        };
        assert!(matches!(error, PlanError::Unsafe(_)), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn strangers_are_hit_and_their_children_found() {
        // Reparented away from this process by the shell's exit.
        let script = "setsid sh -c 'echo $$; sleep 0.4; sleep 61 & wait' & sleep 0.1";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        shell.wait().unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        let target = Target { pid: vec![pid], ..Target::default() };

        let by_policy = Protected { processes: vec!["sh".into()], ..Protected::default() };
        let Err(error) = at(target.clone(), &Caller::default(), &by_policy) else {
            panic!("the policy was passed over");
        };
        assert!(error.to_string().contains("policy protects"), "{error}");
        let caller = Caller { pid: Some(pid), ..Caller::default() };
        let Err(error) = at(target.clone(), &caller, &Protected::default()) else {
            panic!("the caller was passed over");
        };
        assert!(error.to_string().contains("the command that asked"), "{error}");

        let aim = at(target, &Caller::default(), &Protected::default()).unwrap();
        assert!(aim.processes.iter().any(|p| p.pid == pid));
        let mut crowd = aim.into_crowd();
        let mut found = Vec::new();
        for _ in 0..500 {
            thread::sleep(Duration::from_millis(10));
            found.extend(crowd.newcomers(false));
            if found.iter().any(|p| p.comm == "sleep") {
                break;
            }
        }
        assert!(!found.is_empty(), "the child was not found");
        assert_eq!(crowd.newcomers(true), [], "and it is new only once");
        for process in found.iter().map(Process::reference) {
            process.signal(libc::SIGKILL).unwrap();
        }
        if let Ok(stat) = Stat::read(pid) {
            let shell = process::ProcessRef { pid, start_time: stat.start_time };
            shell.signal(libc::SIGKILL).unwrap();
        }
    }
}
