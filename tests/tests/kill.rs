//! `kill`: who is meant gets the signal, nobody else does, and what is told of
//! it is true.

use std::{fs, thread, time::Duration};

use faultd_tests::{
    Herd, World,
    cgroup::Cgroup,
    clock::{mono_ns, to_ms},
    daemon::{Home, id},
    eventually,
    process::{alive, state},
    skip, slow, slowly, stretched,
};
use serde_json::Value;

/// One sleeper after the other, for ever.
const SUPERVISED: &str = "while :; do sleep 9999.$MARK; done";

#[track_caller]
fn gone(pids: &[u32]) {
    eventually(Duration::from_secs(2), "they are gone", || pids.iter().all(|pid| !alive(*pid)));
}

fn process(fault: &Value, pid: u32) -> &Value {
    let all = fault["processes"].as_array();
    let found = all.and_then(|all| all.iter().find(|p| p["pid"] == pid));
    found.unwrap_or_else(|| panic!("no process {pid} in {fault}"))
}

#[test]
fn each_way_to_name_a_process() {
    let world = World::new();
    let mut group = Cgroup::new();
    let name = |herd: &Herd| format!("h{}", herd.mark());
    type Target<'a> = (&'a str, &'a dyn Fn(&Herd) -> String);
    let targets: [Target<'_>; 4] = [
        ("pid", &|herd| format!("--pid {}", herd.pid())),
        ("name", &|herd| format!("--name {}", name(herd))),
        ("cmdline", &|herd| format!("--cmdline ^sleep.9999.{}$", herd.mark())),
        ("exe", &|herd| {
            let exe = fs::read_link(format!("/proc/{}/exe", herd.pid())).unwrap();
            format!("--exe {} --name {}", exe.display(), name(herd))
        }),
    ];
    let script = "printf h$MARK > /proc/self/comm; sleep 9999.$MARK & touch ready; wait";
    for (how, target) in targets {
        let herd = Herd::run(script);
        let bystander = Herd::run(script);
        let both = [&herd, &bystander];
        let [sleeper, other] = both.map(|herd| herd.await_sleepers(1)[0]);
        let target = target(&herd);
        let listed = world.ctl(&format!("--json inject kill {target} --dry-run")).json();
        let count = if how == "cmdline" { 1 } else { 2 };
        assert_eq!(listed["hits"]["process_count"], count, "{how}: {listed}");
        assert!(alive(sleeper) && alive(herd.pid()), "{how}: a dry run killed");

        let fault = world.inject(&format!("kill {target} --for 60s"));
        gone(&[sleeper]);
        if count == 2 {
            gone(&[herd.pid()]);
        }
        let shown = world.show(&id(&fault));
        assert_eq!(shown["counters"]["matched"], count, "{how}: {shown}");
        assert_eq!(shown["counters"]["affected"], count, "{how}: {shown}");
        assert!(alive(other) && alive(bystander.pid()), "{how}: a bystander died");
        world.revert_all();
    }
    if let Some(group) = group.take() {
        let herd = Herd::run(script);
        let sleeper = herd.await_sleepers(1)[0];
        group.add(sleeper);
        world.inject(&format!("kill --cgroup {} --for 60s", group.name()));
        gone(&[sleeper]);
        world.revert_all();
    }
}

#[test]
fn a_replacement_is_recognised_and_ends_the_fault() {
    let world = World::new();
    let herd = Herd::run(SUPERVISED);
    let bystander = Herd::run(SUPERVISED);
    let (old, other) = (herd.await_sleepers(1)[0], bystander.await_sleepers(1)[0]);
    let started = mono_ns();
    let id = world.inject_id(&format!("kill --pid {old} --for 600s"));
    let fault = world.ended(&id);
    let took = to_ms(mono_ns() - started);
    assert_eq!(fault["end_reason"], "completed", "{fault}");
    let new = herd.await_sleepers(1)[0];
    assert_ne!(old, new);
    let told = process(&fault, old);
    assert_eq!(told["replaced_by"], new, "{fault}");
    assert!(told["ended_ms"].as_f64().is_some_and(|ms| ms < took), "{fault}");
    assert!(told["recovered_ms"].as_f64().is_some_and(|ms| ms < took), "{fault}");
    assert_eq!(fault["achieved"]["recovered"], 1.0);
    assert_eq!(bystander.sleepers(), [other]);
}

#[test]
fn a_slow_recovery_takes_the_time_that_it_takes() {
    let world = World::new();
    let herd = Herd::run("while :; do sleep 9999.$MARK; sleep 0.7; done");
    let old = herd.await_sleepers(1)[0];
    let id = world.inject_id(&format!("kill --pid {old} --for 600s"));
    let fault = world.ended(&id);
    let ms = process(&fault, old)["recovered_ms"].as_f64().expect("a time to recover");
    assert!(ms > 650.0 && ms < 700.0 + 400.0 * slow(), "recovered after {ms} ms");
}

#[test]
fn without_a_supervisor_the_fault_lasts_its_time() {
    let world = World::new();
    let herd = Herd::run("sleep 9999.$MARK & sleep 9999.$MARK & wait");
    let all = herd.await_sleepers(2);
    let time = stretched(500.0);
    let id = world.inject_id(&format!("kill --pid {} --for {time}ms", all[0]));
    let fault = world.ended(&id);
    assert_eq!(fault["end_reason"], "expired");
    assert_eq!(fault["counters"]["ended"], 1);
    assert_eq!(fault["achieved"]["recovered"], 0.0);
    assert_eq!(herd.sleepers(), [all[1]]);
}

/// Which of six workers die, by the order of their start.
fn picked(world: &World, pick: &str, seed: u32) -> Vec<usize> {
    // One after the other: their start times differ.
    let herd = Herd::run(
        "for i in 1 2 3 4 5 6; do sleep 9999.$MARK & echo $! >> pids; sleep 0.05; done; wait",
    );
    herd.await_sleepers(6);
    let pids = fs::read_to_string(herd.file("pids")).unwrap_or_default();
    let pids: Vec<u32> = pids.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(pids.len(), 6);
    let fault = world.inject(&format!(
        "kill --cmdline ^sleep.9999.{}$ --pick {pick} --seed {seed} --for 60s",
        herd.mark()
    ));
    let killed = fault["counters"]["affected"].as_u64().unwrap_or_default();
    let left = herd.await_sleepers(6 - killed as usize);
    world.revert_all();
    (0..6).filter(|i| !left.contains(&pids[*i])).collect()
}

#[test]
fn a_share_of_the_workers_by_the_seed() {
    let world = World::new();
    let first = picked(&world, "50%", 7);
    assert_eq!(first.len(), 3);
    assert_eq!(picked(&world, "50%", 7), first, "the same seed chose others");
    assert_eq!(picked(&world, "one", 7).len(), 1);
    assert_eq!(picked(&world, "5", 7).len(), 5);
    let others = (8..14).map(|seed| picked(&world, "50%", seed));
    assert!(others.into_iter().any(|chosen| chosen != first), "the seed does not matter");
}

#[test]
fn a_grace_period_and_who_needed_the_kill() {
    let world = World::new();
    let polite =
        Herd::run("trap 'touch asked; exit 0' TERM; touch ready; while :; do sleep 0.02; done");
    let rude = Herd::run("trap 'touch asked' TERM; touch ready; while :; do sleep 0.02; done");
    for herd in [&polite, &rude] {
        eventually(Duration::from_secs(5), "the trap is set", || herd.file("ready").exists());
    }
    let grace = stretched(700.0);
    // Their short sleeps are hit as well or not, as it happens.
    let id = world.inject_id(&format!(
        "kill --pid {},{} --grace {grace}ms --for {}ms",
        polite.pid(),
        rude.pid(),
        grace + stretched(1500.0),
    ));
    thread::sleep(Duration::from_secs_f64(grace / 2e3));
    assert!(alive(rude.pid()), "killed before its time");
    let fault = world.ended(&id);
    assert!(polite.file("asked").exists() && rude.file("asked").exists(), "TERM did not arrive");
    let [polite, rude] = [&polite, &rude].map(|herd| process(&fault, herd.pid()));
    assert!(polite["ended_ms"].as_f64().is_some_and(|ms| ms < grace), "{fault}");
    assert_eq!(polite["needed_kill"], Value::Null, "{fault}");
    let ms = rude["ended_ms"].as_f64().expect("an end");
    assert!(ms >= grace && ms < grace + 400.0 * slow(), "{fault}");
    assert_eq!(rude["needed_kill"], true, "{fault}");
    assert!(fault["counters"]["needed_kill"].as_u64() >= Some(1), "{fault}");
}

#[test]
fn no_kill_follows_once_the_fault_is_reverted() {
    let world = World::new();
    let rude = Herd::run("trap 'touch asked' TERM; touch ready; while :; do sleep 0.02; done");
    eventually(Duration::from_secs(5), "the trap is set", || rude.file("ready").exists());
    let grace = stretched(400.0);
    world.inject(&format!("kill --pid {} --grace {grace}ms --for 60s", rude.pid()));
    world.revert_all();
    thread::sleep(Duration::from_secs_f64(grace / 1e3) + slowly(Duration::from_millis(300)));
    assert!(rude.file("asked").exists() && alive(rude.pid()));
}

#[test]
fn other_signals() {
    let world = World::new();
    let herd = Herd::run("trap 'touch got' USR1; touch ready; while :; do sleep 0.02; done");
    eventually(Duration::from_secs(5), "the trap is set", || herd.file("ready").exists());
    // To its short sleeps as well, which die of it.
    let id = world.inject_id(&format!("kill --pid {} --signal SIGUSR1 --for 60s", herd.pid()));
    eventually(Duration::from_secs(5), "the signal arrived", || herd.file("got").exists());
    assert!(alive(herd.pid()));
    assert_eq!(process(&world.show(&id), herd.pid())["ended_ms"], Value::Null);
}

#[test]
fn sigkill_of_the_daemon_leaves_nothing() {
    let mut world = World::new();
    let rude = Herd::run("trap 'touch asked' TERM; touch ready; while :; do sleep 0.02; done");
    eventually(Duration::from_secs(5), "the trap is set", || rude.file("ready").exists());
    world.inject(&format!("kill --pid {} --grace {}ms --for 60s", rude.pid(), stretched(500.0)));
    world.take_daemon().kill();
    world.assert_clean_within(Duration::from_secs(1));
    thread::sleep(slowly(Duration::from_millis(800)));
    assert!(alive(rude.pid()), "a dead daemon killed");
    world.restart();
    assert_eq!(world.get("/v1/health")["status"], "ok");
}

#[test]
fn who_is_never_hit() {
    let world = World::new();
    let (daemon, guardian) = (world.pid(), world.guardian());
    let refused = |target: &str, words: &[&str]| {
        world.ctl(&format!("inject kill {target} --for 1s")).refused(4, words);
    };
    refused("--pid 1", &["init process", "--force"]);
    refused("--pid 2", &["kernel"]);
    refused(&format!("--pid {daemon} --force"), &["faultd's own"]);
    refused(&format!("--pid {guardian} --force"), &["faultd's own"]);
    // The test's session is that of the faultctl that it runs.
    let leader = nix::unistd::getsid(None).unwrap();
    if leader.as_raw() > 1 {
        refused(&format!("--pid {leader}"), &["leads the session", "--force allows it"]);
    }
    assert!(alive(daemon) && alive(guardian));

    let herd = Herd::run(SUPERVISED);
    let sleeper = herd.await_sleepers(1)[0];
    drop(world);
    let home = Home::new().with_config(
        "[protect]\nprocesses = [\"sleep\"]\n[[allow]]\nusers = [\"root\"]\nforce = true\n",
    );
    let world = World::build(false, home, &[]);
    world.ctl(&format!("inject kill --pid {sleeper} --force")).refused(4, &["policy protects"]);
    // Among others it is left alone, and that is told.
    let plan = world.ctl(&format!("--json inject kill --pid {} --dry-run", herd.pid())).json();
    assert!(plan["rails"].to_string().contains("policy protects"), "{plan}");
    assert_eq!(plan["hits"]["process_count"], 1, "{plan}");
    assert!(alive(sleeper));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let world = World::new();
    let herd = Herd::run(SUPERVISED);
    let pid = herd.await_sleepers(1)[0];
    for (what, words) in [
        ("kill", &["--pid is missing"][..]),
        ("kill --name no-such-process", &["no process has the command name"]),
        ("kill --user 4000321", &["no process runs as user"]),
        (&format!("kill --pid {pid} --port 80"), &["--port", "acts on processes"]),
        (&format!("kill --pid {pid} --pick 2"), &["--pick", "asks for 2", "1 match"]),
        (&format!("kill --pid {pid} --grace 10s --for 10s"), &["--grace", "shorter than --for"]),
        (&format!("kill --pid {pid} --grace 1s --signal KILL"), &["--grace"]),
        (&format!("kill --pid {pid} --backend magic"), &["--backend"]),
        (&format!("kill --cmdline ( --pid {pid}"), &["--cmdline", "not a regular expression"]),
    ] {
        world.ctl(&format!("inject {what}")).refused(2, words);
    }
    let stop = world.ctl(&format!("inject kill --pid {pid} --signal STOP"));
    assert!(stop.code == Some(2) && stop.stderr.contains("`pause`"), "{stop:?}");
    assert!(state(pid).is_some_and(|s| s != 'T'));
}

#[test]
fn version_one_groups_are_targets_too() {
    let Some(group) = Cgroup::v1("pids") else { skip!("no cgroup v1 hierarchy is mounted") };
    let world = World::new();
    let herd = Herd::run(SUPERVISED);
    let sleeper = herd.await_sleepers(1)[0];
    group.add(sleeper);
    world.inject(&format!("kill --cgroup {} --for 60s", group.name()));
    gone(&[sleeper]);
}
