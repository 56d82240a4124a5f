use std::{
    io,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use faultd_api::Target;

use super::{
    resolve::{resolve_acting_for, resolve_for},
    stat::Stat,
    *,
};
use crate::host::cgroup::tests::OwnCgroup;

/// Not a process: what these tests start are strangers to that daemon.
const NO_DAEMON: u32 = u32::MAX;

/// A shell with a command name and argument of its own, and a child.
struct Family {
    shell: Child,
    child: u32,
    name: String,
}

impl Family {
    fn start(tag: &str) -> io::Result<Self> {
        let name = format!("ft-{tag}-{}", std::process::id() % 100_000);
        let script = format!("printf {name} > /proc/self/comm; sleep 60 & wait");
        let shell = Command::new("bash")
            .args(["-c", &script, &format!("--mark={name}")])
            .stdin(Stdio::null())
            .spawn()?;
        for _ in 0..2000 {
            thread::sleep(Duration::from_millis(1));
            let named = Stat::read(shell.id())?.comm == name;
            let table = Table::read()?;
            let child = table.iter().find(|s| s.ppid == shell.id() && s.comm == "sleep");
            if let (true, Some(child)) = (named, child) {
                return Ok(Self { child: child.pid, shell, name });
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.shell.id(), self.child];
        pids.sort_unstable();
        pids
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if let Ok(stat) = Stat::read(self.child)
            && let Ok(held) = Held::open(self.child, stat.start_time)
            && stat.ppid == self.shell.id()
        {
            let _ = held.signal(libc::SIGKILL);
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn pids(target: &Target) -> Result<Vec<u32>, String> {
    let resolved = resolve_for(target, false, NO_DAEMON).map_err(|e| e.to_string())?;
    Ok(resolved.processes.iter().map(|p| p.pid).collect())
}

fn refused(target: &Target) -> (Option<&'static str>, String) {
    match resolve_for(target, false, NO_DAEMON) {
        Ok(resolved) => panic!("{target:?} gave {resolved:?}"),
        Err(error) => (error.field(), error.to_string()),
    }
}

#[test]
fn each_condition_finds_the_process_and_its_child() -> io::Result<()> {
    let family = Family::start("each")?;
    let exe = read::exe(family.shell.id()).map(|p| p.display().to_string());
    let name = Some(family.name.clone());
    let all = Ok(family.pids());
    assert_eq!(pids(&Target { pid: vec![family.shell.id()], ..Target::default() }), all);
    assert_eq!(pids(&Target { name: name.clone(), ..Target::default() }), all);
    let cmdline = Some(format!("--mark={}$", family.name));
    assert_eq!(pids(&Target { cmdline: cmdline.clone(), ..Target::default() }), all);
    // Together, the executable through a symbolic link on merged-/usr hosts.
    let uid = Some(nix::unistd::geteuid().to_string());
    let exe_link = exe.map(|e| e.replace("/usr/bin/", "/bin/"));
    let target =
        Target { name: name.clone(), cmdline, exe: exe_link, user: uid, ..Target::default() };
    assert_eq!(pids(&target), all);
    let resolved = resolve_for(&target, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!(resolved.scope, ProcessScope::Pids);
    let shell = resolved.processes.iter().find(|p| p.pid == family.shell.id());
    assert_eq!(shell.map(|p| p.comm.clone()), name);
    assert_eq!(
        shell.map(|p| p.start_time),
        Stat::read(family.shell.id()).ok().map(|s| s.start_time)
    );
    assert_eq!(shell.and_then(|p| p.exe.clone()), read::exe(family.shell.id()));
    Ok(())
}

#[test]
fn conditions_narrow_and_the_failing_one_is_named() -> io::Result<()> {
    let family = Family::start("and")?;
    let base = Target { pid: vec![family.shell.id()], ..Target::default() };
    let (field, text) = refused(&Target { name: Some("nginx".into()), ..base.clone() });
    assert_eq!(field, Some("name"));
    let expected =
        format!("no process is {} and has the command name \"nginx\"", family.shell.id());
    assert_eq!(text, expected);
    let (field, text) = refused(&Target {
        name: Some(family.name.clone()),
        user: Some("4000123".into()),
        exe: Some("/bin/bash".into()),
        ..Target::default()
    });
    assert_eq!(field, Some("user"));
    assert!(text.ends_with("and runs as user 4000123"), "{text}");
    Ok(())
}

#[test]
fn malformed_and_missing() {
    let target = Target::default();
    assert_eq!(refused(&target).0, None);
    let (field, text) = refused(&Target { pid: vec![4_194_305], ..target.clone() });
    assert_eq!((field, text.as_str()), (Some("pid"), "process 4194305 does not exist"));
    let (field, text) = refused(&Target { name: Some("no-such-name".into()), ..target.clone() });
    assert_eq!(
        (field, text.as_str()),
        (Some("name"), "no process has the command name \"no-such-name\"")
    );
    let (field, text) = refused(&Target { cmdline: Some("(".into()), ..target.clone() });
    assert_eq!(field, Some("cmdline"));
    assert!(text.starts_with("not a regular expression"), "{text}");
    assert_eq!(refused(&Target { exe: Some("bash".into()), ..target.clone() }).0, Some("exe"));
    assert_eq!(
        refused(&Target { user: Some("nobody-x".into()), ..target.clone() }).0,
        Some("user")
    );
    for (field, target) in [
        ("cgroup", Target { cgroup: Some("/no/such".into()), ..target.clone() }),
        ("unit", Target { unit: Some("no-such".into()), ..target.clone() }),
        ("container", Target { container: Some("no-such".into()), ..target }),
    ] {
        assert_eq!(refused(&target).0, Some(field));
    }
}

#[test]
fn never_targets() -> io::Result<()> {
    let (field, text) = refused(&Target { pid: vec![1], ..Target::default() });
    assert_eq!(field, Some("pid"));
    assert_eq!(text, "process 1 is the init process; --force allows it");
    let family = Family::start("own")?;
    let me = std::process::id();
    let as_daemon = |target: &Target| resolve_for(target, true, me).map_err(|e| e.to_string());
    let own = as_daemon(&Target { pid: vec![family.child], ..Target::default() });
    assert_eq!(
        own.err(),
        Some(format!(
            "process {} is faultd's own, which is never a target, not even with --force",
            family.child
        ))
    );
    let by_name = as_daemon(&Target { name: Some(family.name.clone()), ..Target::default() });
    let text = by_name.err().unwrap_or_default();
    assert!(
        text.ends_with(&format!("; process {} has, but it is never a target", family.shell.id())),
        "{text}"
    );
    // And never as somebody's descendant.
    let parent = nix::unistd::getppid().as_raw().unsigned_abs();
    if parent > 1 {
        let above = as_daemon(&Target { pid: vec![parent], ..Target::default() });
        let found = above.map_err(io::Error::other)?.processes;
        assert!(found.iter().all(|p| p.pid != me && p.pid != family.child));
    }
    Ok(())
}

#[test]
fn a_thread_and_a_zombie() -> io::Result<()> {
    let tid = thread::spawn(|| {
        let tid = nix::unistd::gettid().as_raw().unsigned_abs();
        refused(&Target { pid: vec![tid], ..Target::default() }).1
    });
    let text = tid.join().unwrap_or_default();
    assert!(text.contains(&format!("is a thread of process {}", std::process::id())), "{text}");
    let mut child = Command::new("true").spawn()?;
    for _ in 0..2000 {
        if Stat::read(child.id())?.is_dead() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let (_, text) = refused(&Target { pid: vec![child.id()], ..Target::default() });
    assert!(text.contains("zombie"), "{text}");
    child.wait()?;
    Ok(())
}

#[test]
fn a_user_is_a_scope_even_without_processes() -> io::Result<()> {
    let target = Target { user: Some("4000123".into()), ..Target::default() };
    let resolved = resolve_for(&target, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!(resolved.scope, ProcessScope::User);
    assert_eq!((resolved.uid, resolved.processes.len()), (Some(4_000_123), 0));
    Ok(())
}

#[test]
fn a_control_group_is_a_scope() -> io::Result<()> {
    let Some(group) = OwnCgroup::v2("scope") else { return Ok(()) };
    let target = Target { cgroup: Some(group.name()), ..Target::default() };
    let empty = resolve_for(&target, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!(empty.processes, []);
    let path = format!("/{}", group.name());
    assert!(matches!(&empty.scope, ProcessScope::Cgroup { level: 1, path: p, .. } if *p == path));

    let family = Family::start("scope")?;
    group.add(family.shell.id())?;
    let full = resolve_for(&target, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!(full.scope, empty.scope);
    // The child was started before the shell moved in: it is not inside.
    assert_eq!(full.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), [family.shell.id()]);

    let with_user = Target { user: Some("4000123".into()), ..target.clone() };
    let nobody = resolve_for(&with_user, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!((nobody.scope, nobody.uid), (empty.scope, Some(4_000_123)));
    // With any other condition it is the processes that count.
    let with_name = Target { name: Some(family.name.clone()), ..target };
    let narrowed = resolve_for(&with_name, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!(narrowed.scope, ProcessScope::Pids);
    assert_eq!(narrowed.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), family.pids());
    drop(family);
    Ok(())
}

#[test]
fn a_fault_on_processes_needs_some() -> io::Result<()> {
    let acting = |target: &Target| {
        let resolved = resolve_acting_for(target, false, NO_DAEMON).map_err(|e| e.to_string())?;
        Ok(resolved.processes.iter().map(|p| p.pid).collect::<Vec<_>>())
    };
    let nobody = Target { user: Some("4000123".into()), ..Target::default() };
    assert_eq!(acting(&nobody), Err("no process runs as user 4000123".to_owned()));
    if let Some(group) = OwnCgroup::v2("acting") {
        let target = Target { cgroup: Some(group.name()), ..Target::default() };
        assert_eq!(
            acting(&target),
            Err(format!("no process is in control group {:?}", group.name()))
        );
    }
    assert!(acting(&Target::default()).is_err_and(|e| e.contains("names no process")));

    // The network namespace narrows, and does not suffice where it is the host's.
    let family = Family::start("netns")?;
    let me = std::process::id().to_string();
    let base = Target { netns: Some(me.clone()), ..Target::default() };
    let text = acting(&base).err().unwrap_or_default();
    assert!(text.contains("own network namespace"), "{text}");
    let named = Target { name: Some(family.name.clone()), ..base };
    assert_eq!(acting(&named), Ok(family.pids()));
    let Some(other) = crate::host::test_support::private_netns() else { return Ok(()) };
    let mut inside = other.run(|| Command::new("sleep").arg("60").spawn())??;
    let elsewhere = Target { netns: Some(inside.id().to_string()), ..Target::default() };
    assert_eq!(acting(&elsewhere), Ok(vec![inside.id()]));
    let text = acting(&Target { netns: elsewhere.netns, ..named }).err().unwrap_or_default();
    assert!(text.contains("and is in network namespace"), "{text}");
    inside.kill()?;
    inside.wait()?;
    Ok(())
}

#[test]
fn a_version_one_group_is_its_processes() -> io::Result<()> {
    use crate::host::cgroup::Hierarchy;
    let pids_controller = |h: &Hierarchy| matches!(h, Hierarchy::V1(c) if c == &["pids"]);
    let Some(group) = OwnCgroup::new("v1scope", pids_controller) else { return Ok(()) };
    let target = Target { cgroup: Some(group.name()), ..Target::default() };
    let (field, text) = refused(&target);
    assert_eq!(field, Some("cgroup"));
    assert_eq!(text, format!("no process is in control group {:?}", group.name()));
    let family = Family::start("v1")?;
    group.add(family.shell.id())?;
    let resolved = resolve_for(&target, false, NO_DAEMON).map_err(io::Error::other)?;
    assert_eq!(resolved.scope, ProcessScope::Pids);
    assert_eq!(resolved.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), family.pids());
    drop(family);
    Ok(())
}

#[test]
fn one_pass_is_fast() -> io::Result<()> {
    let mut best = (0, Duration::MAX);
    for _ in 0..5 {
        let started = Instant::now();
        let count = Table::read()?.iter().count();
        best = std::cmp::min_by_key(best, (count, started.elapsed()), |(_, took)| *took);
    }
    let (count, took) = best;
    println!("{count} processes in {took:?}");
    // The aim is 20 us a process; this bound only catches a second pass or
    // reads of more files, on a busy machine too.
    let bound = Duration::from_micros(400 * count as u64) + Duration::from_millis(20);
    assert!(took < bound, "{count} processes took {took:?}");
    Ok(())
}
