//! `pause`: who is meant stands still and goes on afterwards, whatever happens
//! to the daemon meanwhile.

use std::{fs, thread, time::Duration};

use faultd_tests::{
    Herd, World,
    cgroup::Cgroup,
    clock::{mono_ns, to_ms},
    eventually,
    process::{alive, signal, state},
    skip, slow, slowly, stretched,
};
use nix::sys::signal::Signal;

/// What a pause is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Signals,
    FreezerV2,
    FreezerV1,
}

impl By {
    const ALL: [Self; 3] = [Self::Signals, Self::FreezerV2, Self::FreezerV1];
}

/// A ticking herd, and what it is paused by.
struct Scene {
    by: By,
    herd: Herd,
    group: Option<Cgroup>,
}

impl Scene {
    /// `None` where the host has no such freezer.
    fn new(by: By) -> Option<Self> {
        Self::with(by, Herd::ticking)
    }

    fn with(by: By, herd: impl FnOnce() -> Herd) -> Option<Self> {
        let group = match by {
            By::Signals => None,
            By::FreezerV2 => Some(Cgroup::new()?),
            By::FreezerV1 => Some(Cgroup::v1("freezer")?),
        };
        let herd = herd();
        // Its children, short-lived, follow by birth.
        if let Some(group) = &group {
            group.add(herd.pid());
            let mut before = herd.members();
            before.retain(|pid| *pid != herd.pid());
            eventually(SECOND, "those that were born outside are gone", || {
                !before.iter().any(|pid| alive(*pid))
            });
        }
        Some(Self { by, herd, group })
    }

    /// One after the other: each keeps a processor a little busy.
    fn all() -> impl Iterator<Item = Self> {
        By::ALL.into_iter().filter_map(Self::new)
    }

    fn target(&self) -> String {
        match &self.group {
            // The whole path: the name may exist in several hierarchies.
            Some(group) => format!("--cgroup {}", group.path().display()),
            None => format!("--pid {}", self.herd.pid()),
        }
    }

    fn pause(&self, world: &World, ms: f64) -> String {
        let fault = world.inject(&format!("pause {} --for {ms}ms", self.target()));
        let backend = if self.group.is_some() { "freezer" } else { "signals" };
        assert_eq!(fault["backend"], backend, "{:?}: {fault}", self.by);
        let id = faultd_tests::daemon::id(&fault);
        // At once, unless the machine is busy.
        eventually(SECOND, "everything stands still", || {
            world.show(&id)["achieved"]["percent"] == 100.0
        });
        id
    }

    /// Neither stopped nor frozen, as the kernel has it.
    fn is_as_before(&self) -> bool {
        let frozen = self.group.as_ref().is_some_and(|group| match self.by {
            By::FreezerV2 => group.read("cgroup.freeze") != "0",
            _ => group.read("freezer.state") != "THAWED",
        });
        !frozen && self.herd.members().into_iter().all(|pid| state(pid) != Some('T'))
    }

    #[track_caller]
    fn assert_paused(&self) {
        assert!(!self.herd.is_running(), "{:?}: it runs on", self.by);
    }

    #[track_caller]
    fn assert_resumed_within(&self, limit: Duration) {
        self.herd.await_running(limit);
        eventually(limit, "everything is as before", || self.is_as_before());
        assert!(self.herd.is_running(), "{:?}: it runs only for a moment", self.by);
    }
}

/// Longer than any test takes, in milliseconds.
const LONG: f64 = 600_000.0;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn stands_still_and_goes_on() {
    for scene in Scene::all() {
        let world = World::new();
        let bystander = Herd::ticking();
        let id = scene.pause(&world, LONG);
        scene.assert_paused();
        assert!(bystander.is_running(), "{:?}: a bystander stands still", scene.by);
        let shown = world.show(&id);
        assert!(shown["counters"]["affected"].as_u64() >= Some(1), "{shown}");
        assert_eq!(shown["counters"]["matched"], shown["counters"]["affected"], "{shown}");
        world.ctl(&format!("revert {id}")).ok();
        scene.assert_resumed_within(SECOND);
    }
}

#[test]
fn goes_on_when_its_time_is_up() {
    for scene in Scene::all() {
        let world = World::new();
        let time = stretched(1500.0);
        scene.pause(&world, time);
        let started = mono_ns();
        scene.assert_paused();
        scene.assert_resumed_within(Duration::from_secs(3));
        let late = to_ms(mono_ns() - started) - time;
        assert!(late < 1500.0 * slow(), "{:?}: {late} ms late", scene.by);
    }
}

#[test]
fn sigkill_of_the_daemon() {
    for scene in Scene::all() {
        let mut world = World::new();
        scene.pause(&world, LONG);
        scene.assert_paused();
        world.take_daemon().kill();
        scene.assert_resumed_within(SECOND);
        world.assert_clean_within(SECOND);
        world.restart();
        assert_eq!(world.get("/v1/health")["status"], "ok");
    }
}

#[test]
fn sigkill_of_both_and_a_restart() {
    for scene in Scene::all() {
        let mut world = World::new();
        scene.pause(&world, LONG);
        world.take_daemon().kill_with_guardian();
        scene.assert_paused();
        world.restart();
        scene.assert_resumed_within(SECOND);
        assert_eq!(world.get("/v1/health")["status"], "ok");
    }
}

#[test]
fn sigkill_of_both_and_recover_by_hand() {
    for scene in Scene::all() {
        let mut world = World::new();
        scene.pause(&world, LONG);
        world.take_daemon().kill_with_guardian();
        assert_eq!(world.home().recover().code, Some(0));
        scene.assert_resumed_within(SECOND);
        assert_eq!(world.home().recover().code, Some(0));
    }
}

#[test]
fn sigkill_of_the_guardian() {
    for scene in Scene::all() {
        let world = World::new();
        let time = stretched(1500.0);
        scene.pause(&world, time);
        signal(world.guardian(), Signal::SIGKILL);
        scene.assert_paused();
        scene.assert_resumed_within(Duration::from_secs(3));
        world.wait_idle(Duration::from_secs(2));
    }
}

#[test]
fn sigstop_of_the_daemon_past_the_deadline() {
    for scene in Scene::all() {
        let world = World::new();
        let time = stretched(1500.0);
        let started = mono_ns();
        let id = scene.pause(&world, time);
        world.signal(Signal::SIGSTOP);
        scene.assert_paused();
        scene.assert_resumed_within(Duration::from_secs(3));
        let late = to_ms(mono_ns() - started) - time;
        // The guardian leaves the daemon 0.2 s; watching takes longer.
        assert!(late < 1500.0 * slow(), "{:?}: {late} ms late", scene.by);
        // The daemon finds everything done, and stops nobody again.
        world.signal(Signal::SIGCONT);
        world.wait_idle(Duration::from_secs(3));
        assert_eq!(world.show(&id)["end_reason"], "expired");
        assert!(scene.herd.is_running() && scene.is_as_before());
    }
}

#[test]
fn sigterm_of_the_daemon() {
    for scene in Scene::all() {
        let mut world = World::new();
        scene.pause(&world, LONG);
        assert!(world.take_daemon().stop().success());
        assert!(scene.is_as_before(), "{:?}", scene.by);
        scene.assert_resumed_within(SECOND);
    }
}

#[test]
fn a_lost_lease() {
    for scene in Scene::all() {
        let world = World::new();
        let lease = stretched(600.0);
        let fault = world.inject(&format!("pause {} --for 600s --lease {lease}ms", scene.target()));
        scene.assert_resumed_within(Duration::from_secs(3));
        world.wait_idle(Duration::from_secs(2));
        let id = faultd_tests::daemon::id(&fault);
        assert_eq!(world.show(&id)["end_reason"], "lease_lost");
    }
}

/// Pauses with the daemon set to die at one journal write; whether it died.
fn dies_at(by: By, write: usize) -> Option<bool> {
    // Right before the next write is no other place.
    let failpoint = format!("journal:{write}:after");
    // Without children that come and go, each of which would be an entry.
    let scene = Scene::with(by, || Herd::run("exec sleep 9999.$MARK"))?;
    scene.herd.await_sleepers(1);
    let mut world = World::without_daemon();
    let died = match world.home().try_start(&[("FAULTD_FAILPOINT", &failpoint)]) {
        // At a write of its start.
        Err(_) => true,
        Ok(mut daemon) => {
            let time = stretched(400.0);
            daemon.ctl(&format!("inject pause {} --for {time}ms", scene.target()));
            let over = Duration::from_secs_f64(time / 1e3) + slowly(Duration::from_millis(700));
            let died = daemon.wait_exit(over).is_some();
            assert!(died || daemon.stop().success(), "{failpoint}");
            died
        }
    };
    eventually(SECOND, "everything is as before", || scene.is_as_before());
    if died {
        world.restart();
        assert_eq!(world.get("/v1/health")["status"], "ok", "{failpoint}");
    }
    Some(died)
}

#[test]
fn death_at_each_journal_write() {
    for by in [By::Signals, By::FreezerV2] {
        let mut deaths = 0;
        while dies_at(by, deaths + 1) == Some(true) {
            deaths += 1;
            assert!(deaths < 100, "the journal is written without end");
        }
        // One write before the effect and one after it was taken back.
        assert!(deaths >= 2 || Scene::new(by).is_none(), "died at {deaths} writes only");
    }
}

#[test]
fn children_that_come_later() {
    let world = World::new();
    let herd = Herd::run(
        "trap 'sleep 9999.$MARK &' USR1; touch ready; while :; do sleep 600 & wait $!; done",
    );
    eventually(Duration::from_secs(5), "the trap is set", || herd.file("ready").exists());
    world.inject(&format!("pause --pid {} --for 600s", herd.pid()));
    // Somebody else lets the parent go on, and it has a child that nobody has
    // stopped yet.
    signal(herd.pid(), Signal::SIGUSR1);
    signal(herd.pid(), Signal::SIGCONT);
    eventually(Duration::from_secs(5), "a child of later stands still", || {
        herd.sleepers().into_iter().any(|pid| state(pid) == Some('T'))
    });
    world.revert_all();
    eventually(SECOND, "everybody goes on", || {
        herd.members().into_iter().all(|pid| state(pid) != Some('T'))
    });
    assert_eq!(herd.sleepers().len(), 1);
}

#[test]
fn processes_that_join_a_group_later() {
    let world = World::new();
    for backend in ["freezer", "signals"] {
        let Some(group) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
        let (first, later) = (Herd::ticking(), Herd::ticking());
        group.add(first.pid());
        let target = format!("--cgroup {}", group.path().display());
        world.inject(&format!("pause {target} --backend {backend} --for 600s"));
        assert!(!first.is_running());
        assert!(later.is_running());
        group.add(later.pid());
        // By signals, who was there before is found within a second.
        thread::sleep(slowly(Duration::from_millis(1500)));
        assert!(!later.is_running(), "{backend}: it joined and runs");
        world.revert_all();
        first.await_running(SECOND);
        later.await_running(SECOND);
    }
}

#[test]
fn what_stood_still_before_stays_so() {
    let world = World::new();
    let herd = Herd::run("sleep 9999.$MARK & sleep 9999.$MARK & wait");
    let sleepers = herd.await_sleepers(2);
    signal(sleepers[0], Signal::SIGSTOP);
    eventually(SECOND, "it is stopped", || state(sleepers[0]) == Some('T'));
    let id = world.inject_id(&format!("pause --pid {} --for 600s", herd.pid()));
    let shown = world.show(&id);
    assert_eq!(shown["counters"]["already_stopped"], 1, "{shown}");
    assert_eq!(shown["counters"]["affected"], 2, "{shown}");
    world.revert_all();
    assert_eq!(state(sleepers[0]), Some('T'), "it was continued");
    eventually(SECOND, "the other goes on", || state(sleepers[1]) != Some('T'));

    let Some(scene) = Scene::new(By::FreezerV2) else { return };
    let switch = scene.group.as_ref().unwrap().path().join("cgroup.freeze");
    fs::write(&switch, "1").unwrap();
    let plan = world.ctl(&format!("--json inject pause {} --dry-run", scene.target())).json();
    assert!(plan["notes"].to_string().contains("frozen already"), "{plan}");
    scene.pause(&world, LONG);
    world.revert_all();
    assert!(!scene.is_as_before(), "it was thawed");
    fs::write(&switch, "0").unwrap();
}

#[test]
fn pauses_compose() {
    for scene in Scene::all() {
        let world = World::new();
        let first = scene.pause(&world, LONG);
        let second = scene.pause(&world, LONG);
        world.ctl(&format!("revert {first}")).ok();
        scene.assert_paused();
        world.ctl(&format!("revert {second}")).ok();
        scene.assert_resumed_within(SECOND);
    }
}

#[test]
fn a_group_with_somebody_protected_is_not_frozen() {
    let Some(group) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
    let world = World::new();
    let herd = Herd::ticking();
    group.add(herd.pid());
    group.add(world.pid());
    let target = format!("--cgroup {}", group.path().display());
    world
        .ctl(&format!("inject pause {target} --backend freezer"))
        .refused(5, &["also holds", "faultd"]);
    let fault = world.inject(&format!("pause {target} --for 600s"));
    assert_eq!(fault["backend"], "signals", "{fault}");
    assert!(!herd.is_running());
    assert_eq!(world.get("/v1/health")["status"], "ok");
    world.revert_all();
    herd.await_running(SECOND);
}

#[test]
fn explain_tells_of_it() {
    let world = World::new();
    let herd = Herd::ticking();
    let id = world.inject_id(&format!("pause --pid {} --for 600s", herd.pid()));
    let told = world.get(&format!("/v1/explain?pid={}", herd.pid()));
    assert_eq!(told["rules"][0]["id"], id.as_str(), "{told}");
    assert_eq!(told["rules"][0]["covers"], "all", "{told}");
    let other = Herd::ticking();
    let told = world.get(&format!("/v1/explain?pid={}", other.pid()));
    assert_eq!(told["rules"].as_array().map(Vec::len), Some(0), "{told}");
}
