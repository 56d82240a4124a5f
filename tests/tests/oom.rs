//! `oom`: the kernel really kills, in the target's memory control group alone,
//! and the limit is as it was.

use std::{thread, time::Duration};

use faultd_tests::{Hog, World, cgroup::Cgroup, eventually, skip, slowly, stretched, vm_only};
use nix::sys::signal::Signal;

/// More than the process that faultd sends into a group of version 1 uses.
const MEMORY: usize = 64 << 20;

#[test]
fn the_kernel_kills_and_the_limit_is_back() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let other = Cgroup::with_memory().expect("a second group");
    let world = World::new();
    let mut hog = Hog::start(&group, MEMORY);
    let mut bystander = Hog::start(&other, MEMORY);
    let (limit, kills) = (group.memory_limit(), group.oom_kills());
    for target in [format!("--pid {}", hog.pid()), format!("--cgroup {}", group.path().display())] {
        let plan = world.ctl(&format!("--json inject oom {target} --dry-run")).json();
        assert_eq!(plan["hits"]["process_count"], 1, "{plan}");
        assert_eq!(group.memory_limit(), limit, "a dry run changed the limit");
    }
    let id = world.inject_id(&format!("oom --pid {} --for 600s", hog.pid()));
    assert_eq!(hog.await_kill(), Signal::SIGKILL);
    let fault = world.ended(&id);
    assert_eq!(fault["end_reason"], "completed", "{fault}");
    assert_eq!(fault["achieved"]["oom_kills"], 1.0, "{fault}");
    assert_eq!(fault["processes"][0]["pid"], hog.pid(), "{fault}");
    assert_eq!(group.oom_kills(), kills + 1, "the kernel counted otherwise");
    assert_eq!(group.memory_limit(), limit);
    assert_eq!(bystander.killed_by(), None);
    assert_eq!(other.oom_kills(), 0);
}

#[test]
fn one_of_several_dies() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let world = World::new();
    let mut large = Hog::start(&group, MEMORY);
    let mut small = [Hog::start(&group, MEMORY / 8), Hog::start(&group, MEMORY / 8)];
    let id = world.inject_id(&format!("oom --cgroup {} --for 600s", group.path().display()));
    large.await_kill();
    let fault = world.ended(&id);
    assert_eq!(fault["achieved"]["oom_kills"], 1.0, "{fault}");
    thread::sleep(slowly(Duration::from_millis(200)));
    assert!(small.iter_mut().all(|hog| hog.killed_by().is_none()), "more died than needed");
    // And once more, with what is left.
    let small_pids = small.iter().map(|hog| hog.pid().to_string()).collect::<Vec<_>>().join(",");
    if group.has("memory.max") {
        let before = group.oom_kills();
        let id = world.inject_id(&format!("oom --pid {small_pids} --for 600s"));
        let kills = world.ended(&id)["achieved"]["oom_kills"].as_f64();
        // A kernel that is slow to free what the first one held may take the other as well.
        assert!(kills >= Some(1.0), "{kills:?}");
        assert_eq!(
            kills,
            Some((group.oom_kills() - before) as f64),
            "the kernel counted otherwise"
        );
    }
}

#[test]
fn groups_of_others_are_refused() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let world = World::new();
    let (hog, other) = (Hog::start(&group, 1 << 20), Hog::start(&group, 1 << 20));
    let words = ["is not its own", &other.pid().to_string()];
    world.ctl(&format!("inject oom --pid {}", hog.pid())).refused(5, &words);
    assert_eq!(group.oom_kills(), 0);
    // In a group of the root's.
    let bare = faultd_tests::Herd::run("sleep 9999.$MARK");
    let outcome = world.ctl(&format!("inject oom --pid {}", bare.pid()));
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
}

/// A fault that cannot come true: nobody may be killed.
fn held(world: &World, group: &Cgroup, hog: &Hog, ms: f64) -> String {
    let limit = group.memory_limit();
    let id = world.inject_id(&format!("oom --pid {} --for {ms}ms", hog.pid()));
    eventually(Duration::from_secs(5), "the limit is lowered", || group.memory_limit() != limit);
    id
}

#[test]
fn sigkill_of_the_daemon_puts_the_limit_back() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let mut hog = Hog::start(&group, MEMORY);
    if !hog.exempt() {
        vm_only!("a process can be exempted with CAP_SYS_RESOURCE alone");
    }
    let limit = group.memory_limit();
    let mut world = World::new();
    held(&world, &group, &hog, 600_000.0);
    world.take_daemon().kill();
    eventually(Duration::from_secs(1), "the limit is back", || group.memory_limit() == limit);
    world.assert_clean_within(Duration::from_secs(1));
    assert_eq!(hog.killed_by(), None);
}

#[test]
fn sigstop_of_the_daemon_past_the_deadline() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let hog = Hog::start(&group, MEMORY);
    if !hog.exempt() {
        vm_only!("a process can be exempted with CAP_SYS_RESOURCE alone");
    }
    let limit = group.memory_limit();
    let world = World::new();
    let time = stretched(1000.0);
    held(&world, &group, &hog, time);
    world.signal(Signal::SIGSTOP);
    let over = Duration::from_secs_f64(time / 1e3) + Duration::from_secs(1);
    eventually(over, "the limit is back", || group.memory_limit() == limit);
    world.signal(Signal::SIGCONT);
    world.wait_idle(Duration::from_secs(3));
    assert_eq!(group.memory_limit(), limit, "it was lowered again");
}

#[test]
fn nobody_may_be_killed_and_that_is_told() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let mut hog = Hog::start(&group, MEMORY);
    if !hog.exempt() {
        vm_only!("a process can be exempted with CAP_SYS_RESOURCE alone");
    }
    let world = World::new();
    let limit = group.memory_limit();
    let id = held(&world, &group, &hog, stretched(800.0));
    let second = world.ctl(&format!("inject oom --pid {}", hog.pid()));
    second.refused(4, &["an oom fault is active"]);
    let fault = world.ended(&id);
    assert_eq!(fault["end_reason"], "expired", "{fault}");
    assert_eq!(fault["achieved"]["oom_kills"], 0.0, "{fault}");
    assert_eq!(fault["counters"]["affected"], 0, "{fault}");
    assert_eq!(group.memory_limit(), limit);
    assert_eq!(hog.killed_by(), None);
}

/// Has the daemon die at one journal write; whether it died.
fn dies_at(group: &Cgroup, write: usize) -> bool {
    // Right before the next write is no other place.
    let failpoint = format!("journal:{write}:after");
    let hog = Hog::start(group, MEMORY);
    let limit = group.memory_limit();
    let mut world = World::without_daemon();
    let died = match world.home().try_start(&[("FAULTD_FAILPOINT", &failpoint)]) {
        Err(_) => true,
        Ok(mut daemon) => {
            let time = stretched(600.0);
            daemon.ctl(&format!("inject oom --pid {} --for {time}ms", hog.pid()));
            let over = Duration::from_secs_f64(time / 1e3) + slowly(Duration::from_millis(700));
            let died = daemon.wait_exit(over).is_some();
            assert!(died || daemon.stop().success(), "{failpoint}");
            died
        }
    };
    eventually(Duration::from_secs(1), "the limit is back", || group.memory_limit() == limit);
    if died {
        world.restart();
        assert_eq!(world.get("/v1/health")["status"], "ok", "{failpoint}");
    }
    died
}

#[test]
fn death_at_each_journal_write() {
    let Some(group) = Cgroup::with_memory() else { skip!("no memory control groups") };
    let mut deaths = 0;
    while dies_at(&group, deaths + 1) {
        deaths += 1;
        assert!(deaths < 100, "the journal is written without end");
    }
    assert!(deaths >= 2, "died at {deaths} writes only");
}
