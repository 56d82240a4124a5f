//! Process-type targets: what belongs to them is hit, what does not is not.

use std::{fs, process::Command};

use faultd_tests::{
    Victim, World,
    cgroup::{self, Cgroup},
    eventually, skip,
    traffic::{Pinger, median},
    victim::Looks,
    wire::assert_added,
};

/// A victim and a bystander that look alike but for what is targeted.
struct Scene {
    world: World,
    victim: Victim,
    bystander: Victim,
    /// Connections that were open before the fault.
    open: [Pinger; 2],
    others: [Pinger; 2],
    normal: u64,
}

fn pingers(victim: &Victim) -> [Pinger; 2] {
    [Pinger::tcp(victim.address()), Pinger::udp(victim.address())]
}

impl Scene {
    fn new(world: World, ip: &str, cgroup: Option<&Cgroup>, looks: &Looks) -> Self {
        let victim = Victim::start(ip, cgroup, looks);
        let bystander = Victim::start(ip, None, &Looks::default());
        let (mut open, others) = (pingers(&victim), pingers(&bystander));
        let both: Vec<u64> = open.iter_mut().flat_map(|p| p.series(30)).collect();
        Self { world, victim, bystander, open, others, normal: median(&both) }
    }

    /// 20 ms for the target: on open and on new connections, to nobody else.
    fn delayed(mut self, target: &str) {
        let id = self.world.inject_id(&format!("latency --ms 20 {target} --for 120s"));
        for (what, mut pair, added) in [
            ("open", self.open, 20.0),
            ("new", pingers(&self.victim), 20.0),
            ("a bystander's", self.others, 0.0),
            ("a bystander's new", pingers(&self.bystander), 0.0),
        ] {
            for pinger in &mut pair {
                assert_added(what, &pinger.series(8), self.normal, added);
            }
        }
        let child = (self.victim.address().ip(), self.victim.fork()).into();
        let mut of_child = Pinger::udp(child);
        assert_added("a child forked under the fault", &of_child.series(8), self.normal, 20.0);
        self.world.ctl(&format!("revert {id}")).ok();
        assert_added("reverted", &of_child.series(8), self.normal, 0.0);
        self.open = pingers(&self.victim);
        for pinger in &mut self.open {
            assert_added("reverted", &pinger.series(8), self.normal, 0.0);
        }
        self.world.assert_clean();
    }

    /// Partitioned: nothing comes back from the target, all from others.
    fn cut_off(mut self, target: &str) {
        let limit = faultd_tests::slowly(std::time::Duration::from_millis(300));
        let id = self.world.inject_id(&format!("partition {target} --for 120s"));
        for pinger in &mut self.open {
            assert_eq!(pinger.ping_within(limit), None, "the target answered");
        }
        for pinger in &mut self.others {
            pinger.ping();
        }
        self.world.ctl(&format!("revert {id}")).ok();
        Pinger::udp(self.victim.address()).ping();
        self.world.assert_clean();
    }
}

#[test]
fn pid_is_delayed() {
    for ip in ["127.0.0.1", "::1"] {
        let scene = Scene::new(World::new(), ip, None, &Looks::default());
        let target = format!("--pid {}", scene.victim.pid());
        scene.delayed(&target);
    }
}

#[test]
fn pid_is_cut_off() {
    let scene = Scene::new(World::new(), "127.0.0.1", None, &Looks::default());
    let target = format!("--pid {}", scene.victim.pid());
    scene.cut_off(&target);
}

#[test]
fn children_count() {
    let looks = Looks { through_child: true, ..Looks::default() };
    let scene = Scene::new(World::new(), "127.0.0.1", None, &looks);
    let target = format!("--pid {}", scene.victim.pid());
    scene.delayed(&target);
}

#[test]
fn name_is_delayed() {
    let comm = format!("victim-{}", std::process::id() % 100_000);
    let looks = Looks { comm: Some(comm.clone()), ..Looks::default() };
    let scene = Scene::new(World::new(), "127.0.0.1", None, &looks);
    scene.delayed(&format!("--name {comm}"));
}

#[test]
fn user_is_delayed() {
    let looks = Looks { uid: Some(64_999), ..Looks::default() };
    let scene = Scene::new(World::new(), "127.0.0.1", None, &looks);
    scene.delayed("--user 64999");
}

#[test]
fn user_is_cut_off() {
    let looks = Looks { uid: Some(64_998), ..Looks::default() };
    let scene = Scene::new(World::new(), "::1", None, &looks);
    scene.cut_off("--user 64998");
}

#[test]
fn cgroup_is_delayed() {
    let Some(cgroup) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
    let scene = Scene::new(World::new(), "127.0.0.1", Some(&cgroup), &Looks::default());
    scene.delayed(&format!("--cgroup {}", cgroup.name()));
}

#[test]
fn cgroup_is_cut_off() {
    let Some(cgroup) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
    let scene = Scene::new(World::new(), "127.0.0.1", Some(&cgroup), &Looks::default());
    scene.cut_off(&format!("--cgroup {}", cgroup.name()));
}

#[test]
fn groups_below_count() {
    let Some(outer) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
    let inner = outer.child("inner");
    let scene = Scene::new(World::new(), "::1", Some(&inner), &Looks::default());
    scene.cut_off(&format!("--cgroup {}", outer.name()));
}

#[test]
fn a_port_narrows_a_process() {
    let mut scene = Scene::new(World::new(), "127.0.0.1", None, &Looks::default());
    let (pid, port) = (scene.victim.pid(), scene.victim.port());
    // A port that the process does not use: nothing is hit.
    let other = if port > 40_000 { port - 1 } else { port + 1 };
    scene.world.inject(&format!("latency --ms 20 --pid {pid} --port {other}"));
    for pinger in &mut scene.open {
        assert_added("another port", &pinger.series(8), scene.normal, 0.0);
    }
    scene.world.inject(&format!("latency --ms 20 --pid {pid} --port {port}"));
    for pinger in &mut scene.open {
        assert_added("its port", &pinger.series(8), scene.normal, 20.0);
    }
}

#[test]
fn a_unit_is_its_control_group() {
    let Some(mount) = cgroup::v2_mount() else { skip!("no cgroup v2 hierarchy is mounted") };
    let unit = format!("{}unit-{}.service", cgroup::PREFIX, std::process::id());
    let slice = mount.join("system.slice");
    let made = fs::create_dir(&slice).is_ok();
    let dir = slice.join(&unit);
    fs::create_dir(&dir).unwrap();
    let scene = Scene::new(World::new(), "127.0.0.1", None, &Looks::default());
    fs::write(dir.join("cgroup.procs"), scene.victim.pid().to_string()).unwrap();
    // Sockets belong to the group they were made in: only new ones count.
    let child = scene.victim.fork();
    let mut new = Pinger::udp((scene.victim.address().ip(), child).into());
    scene.world.inject(&format!("latency --ms 20 --unit {unit}"));
    assert_added("the unit's", &new.series(8), scene.normal, 20.0);
    scene.world.revert_all();
    drop(scene);
    eventually(std::time::Duration::from_secs(2), "the group empties", || {
        fs::remove_dir(&dir).is_ok()
    });
    if made {
        fs::remove_dir(&slice).unwrap();
    }
}

#[test]
fn cmdline_and_exe_find_a_foreign_program() {
    let world = World::new();
    let token = format!("token-{}", std::process::id());
    let script = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
                  s.bind(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\n\
                  while True:\n d,a=s.recvfrom(2048)\n s.sendto(d,a)\n";
    let Ok(mut server) = Command::new("python3")
        .args(["-c", script, &token])
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        skip!("there is no python3")
    };
    let mut line = String::new();
    let out = server.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let mut pinger = Pinger::udp(([127, 0, 0, 1], port).into());
    let normal = median(&pinger.series(30));
    let exe = fs::read_link(format!("/proc/{}/exe", server.id())).unwrap();
    for target in [format!("--cmdline {token}$"), format!("--exe {}", exe.display())] {
        let id = world.inject_id(&format!("latency --ms 20 {target} --port {port}"));
        assert_added(&target, &pinger.series(8), normal, 20.0);
        world.ctl(&format!("revert {id}")).ok();
        assert_added(&target, &pinger.series(8), normal, 0.0);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
