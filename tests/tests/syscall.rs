//! `syscall`: real programs fail with the errno asked for, where it was asked for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

use std::{
    collections::BTreeMap,
    env,
    ffi::CString,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use faultd_tests::{
    Outcome, World, cgroup::Cgroup, process, skip, slowly, stats::binomial_999, vm_only,
};
use nix::{errno::Errno, sys::signal::Signal};
use tempfile::TempDir;

macro_rules! needs {
    ($world:expr, $backend:literal) => {
        if !$world.has_backend("syscall", $backend) {
            vm_only!("the backend {} does not work here", $backend);
        }
    };
}

macro_rules! group {
    () => {
        match Cgroup::new() {
            Some(group) => group,
            None => skip!("no version 2 control groups are mounted"),
        }
    };
}

/// A program in a control group, its output read line by line.
struct Program {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Program {
    /// Starts it; it runs once it is in the group.
    #[track_caller]
    fn start(group: &Cgroup, command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        group.add(child.id());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// `name=value` lines up to an empty one.
    fn told(&mut self) -> BTreeMap<String, String> {
        let mut told = BTreeMap::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "ended early: {told:?}");
            match line.trim_end().split_once('=') {
                Some((name, value)) => told.insert(name.to_owned(), value.to_owned()),
                None if line.trim_end() == "done" => return told,
                None => None,
            };
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script of the shell's in a group.
fn shell(group: &Cgroup, script: &str) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("read go; {script}")]).env("LC_ALL", "C");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    group.add(child.id());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// This executable as a program: one of the helpers below.
fn helper(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", name, "--nocapture"]).env("FAULTD_HELPER_DIR", dir);
    command
}

/// A directory `app` with a file `in`, and a file `out` beside it.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    fs::write(dir.path().join("app/in"), "inside\n").unwrap();
    fs::write(dir.path().join("app/other"), "").unwrap();
    fs::write(dir.path().join("out"), "outside\n").unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

fn inject(world: &World, what: &str, group: &Cgroup) -> String {
    world.inject_id(&format!("syscall {what} --cgroup {} --for 300s", group.name()))
}

fn counter(world: &World, id: &str, name: &str) -> u64 {
    world.show(id)["counters"][name].as_u64().unwrap()
}

#[test]
fn connections_of_one_group_time_out() {
    let world = World::new();
    needs!(world, "cgroup");
    let (group, other) = (group!(), group!());
    let curl = "curl -s http://127.0.0.1:9/; echo $?";
    assert_eq!(shell(&group, curl).stdout, "7\n", "refused without a fault");
    let id = inject(&world, "--call connect --errno ETIMEDOUT", &group);
    assert_eq!(shell(&group, curl).stdout, "28\n", "timed out");
    assert_eq!(shell(&other, curl).stdout, "7\n");
    let affected = counter(&world, &id, "affected");
    assert!(affected >= 1 && affected == counter(&world, &id, "matched"));
    world.ctl(&format!("revert {id}")).ok();
    assert_eq!(shell(&group, curl).stdout, "7\n", "reverted");
}

#[test]
fn a_process_and_its_children_are_hit_and_nobody_else() {
    let world = World::new();
    needs!(world, "cgroup");
    let group = group!();
    let (dir, _) = place();
    let mut first = Program::start(&group, &mut helper("helper_that_connects", dir.path()));
    let mut second = Program::start(&group, &mut helper("helper_that_connects", dir.path()));
    let before = first.told();
    assert_eq!((&*before["parent"], &*before["child"]), ("ECONNREFUSED", "ECONNREFUSED"));
    let pid = first.child.id();
    let id = world
        .inject_id(&format!("syscall --call connect --errno EHOSTDOWN --pid {pid} --for 300s"));
    let of = |mut program: Program| {
        fs::write(dir.path().join("again"), "").unwrap();
        (program.told(), program)
    };
    let (told, _first) = of(first);
    assert_eq!((&*told["parent"], &*told["child"]), ("EHOSTDOWN", "EHOSTDOWN"));
    second.told();
    let told = second.told();
    assert_eq!((&*told["parent"], &*told["child"]), ("ECONNREFUSED", "ECONNREFUSED"));
    assert!(counter(&world, &id, "affected") >= 2);
}

#[test]
fn children_born_in_a_crowd_are_hit() {
    let world = World::new();
    needs!(world, "lsm");
    let (_dir, path) = place();
    let file = path.join("app/in");
    let crowd = format!("for n in $(seq 25); do (: <{}) & done; wait", file.display());
    let script = format!("read go; for n in $(seq 8); do ({crowd}) & done; wait");
    let mut shell = Command::new("sh")
        .args(["-c", &script])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let what = format!("--call openat --errno EUCLEAN --path {}", file.display());
    world.inject_id(&format!("syscall {what} --pid {} --backend lsm --for 300s", shell.id()));
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let output = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("needs cleaning").count(), 200, "{said}");
}

#[test]
fn thirty_faults_at_once_and_no_more() {
    let world = World::new();
    needs!(world, "lsm");
    let group = group!();
    let (_dir, path) = place();
    let files = [(); 31].map(|()| tempfile::NamedTempFile::new_in(&path).unwrap());
    let what = |n: usize| {
        let errno = ["EUCLEAN", "EIO"][n % 2];
        format!("--call openat --errno {errno} --path {}", files[n].path().display())
    };
    let script =
        files.each_ref().map(|file| format!("(: <{}) 2>&1; ", file.path().display())).concat();
    let ids: Vec<String> = (0..30).map(|n| inject(&world, &what(n), &group)).collect();
    let refused = world.ctl(&format!("inject syscall {} --cgroup {}", what(30), group.name()));
    assert!(refused.stderr.contains("30 syscall faults are in force"), "{refused:?}");
    let said = shell(&group, &script).stdout;
    assert_eq!(said.lines().count(), 30, "{said}");
    for (n, line) in said.lines().enumerate() {
        assert!(
            line.ends_with(["Structure needs cleaning", "Input/output error"][n % 2]),
            "{said}"
        );
        assert_eq!(counter(&world, &ids[n], "affected"), 1, "{n}");
    }
    world.ctl("revert --all").ok();
    assert_eq!(shell(&group, &script).stdout, "");
}

#[test]
fn at_most_five_of_64_racing_threads_and_a_share() {
    let world = World::new();
    needs!(world, "cgroup");
    let group = group!();
    let (dir, _) = place();
    let race = || Program::start(&group, &mut helper("helper_that_races", dir.path())).told();
    let number = |told: &BTreeMap<String, String>, name: &str| told[name].parse::<u64>().unwrap();
    // The others may miss calls while so many threads race for a processor.
    let backend = if world.has_backend("syscall", "lsm") { "lsm" } else { "cgroup" };
    let what = format!("--call connect --errno ENETDOWN --backend {backend}");
    let id = inject(&world, &format!("{what} --max 5"), &group);
    let told = race();
    assert_eq!((number(&told, "failed"), number(&told, "other")), (5, 64 * 25 - 5));
    assert_eq!(counter(&world, &id, "affected"), 5);
    assert_eq!(counter(&world, &id, "matched"), 64 * 25);
    world.ctl(&format!("revert {id}")).ok();
    for (choice, share) in [("--percent 10", 0.1), ("--every 8", 0.125)] {
        let id = inject(&world, &format!("{what} {choice}"), &group);
        let failed = number(&race(), "failed");
        assert_eq!(counter(&world, &id, "affected"), failed);
        match choice {
            "--every 8" => assert_eq!(failed, 200),
            _ => assert!(binomial_999(failed, 64 * 25, share), "{failed}"),
        }
        world.ctl(&format!("revert {id}")).ok();
    }
}

#[test]
fn a_daemon_killed_takes_its_errors_along() {
    let mut world = World::new();
    needs!(world, "cgroup");
    let group = group!();
    let curl = "curl -s http://127.0.0.1:9/; echo $?";
    inject(&world, "--call connect --errno ETIMEDOUT", &group);
    assert_eq!(shell(&group, curl).stdout, "28\n");
    let daemon = world.take_daemon();
    process::signal(daemon.pid(), Signal::SIGKILL);
    let killed = Instant::now();
    while shell(&group, curl).stdout != "7\n" {
        let limit = slowly(Duration::from_secs(1));
        assert!(killed.elapsed() < limit, "still failing after {limit:?}");
    }
    drop(daemon);
    world.assert_clean();
}

#[test]
fn a_stopped_daemon_cannot_keep_a_fault_beyond_its_time() {
    let world = World::new();
    needs!(world, "cgroup");
    let group = group!();
    let seconds = (3.0 * faultd_tests::slow()).ceil();
    let curl = "curl -s http://127.0.0.1:9/; echo $?";
    let group_name = group.name().to_owned();
    world.inject_id(&format!(
        "syscall --call connect --errno ETIMEDOUT --cgroup {group_name} --for {seconds}s"
    ));
    let start = Instant::now();
    assert_eq!(shell(&group, curl).stdout, "28\n");
    process::signal(world.pid(), Signal::SIGSTOP);
    thread::sleep(Duration::from_secs_f64(seconds).saturating_sub(start.elapsed()));
    thread::sleep(Duration::from_millis(50));
    let after = shell(&group, curl).stdout;
    process::signal(world.pid(), Signal::SIGCONT);
    assert_eq!(after, "7\n");
}

#[test]
fn a_call_that_no_backend_sees_is_refused_with_what_is_missing() {
    let world = World::new();
    let group = group!();
    let target = format!("--cgroup {} --for 10s", group.name());
    let inject = |what: &str| world.ctl(&format!("inject syscall {what} {target}"));
    inject("--call fsync --errno EIO --backend cgroup")
        .refused(5, &["fsync", "cgroup", "faultctl run"]);
    inject("--call fsync --delay 5").refused(5, &["--delay", "faultctl run"]);
    inject("--call connect --errno EIO --path /tmp").refused(5, &["connect", "path"]);
    inject("--call connect --errno EIO --backend magic")
        .refused(2, &["--backend", "security-hook"]);
    world
        .ctl("inject syscall --call connect --errno EIO --for 10s")
        .refused(2, &["process target"]);
    if !world.has_backend("syscall", "syscall-entry") {
        inject("--call fsync --errno EIO").refused(5, &["fsync", "syscall-entry", "security-hook"]);
    }
}

#[test]
fn files_of_one_directory_fail_for_one_group() {
    let world = World::new();
    needs!(world, "security-hook");
    let group = group!();
    let (_dir, path) = place();
    let path = path.display();
    let id =
        inject(&world, &format!("--call openat,open --errno ENOSPC --path {path}/app"), &group);
    let script = format!("cat {path}/app/in; cat {path}/out; echo x > {path}/app/new || echo no");
    let outcome = shell(&group, &script);
    assert_eq!(outcome.stdout, "outside\nno\n", "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("No space left on device").count(), 2, "{}", outcome.stderr);
    // The file was not made, and others may make it.
    assert!(!Path::new(&format!("{path}/app/new")).exists());
    fs::write(format!("{path}/app/new"), "mine\n").unwrap();
    assert_eq!(counter(&world, &id, "affected"), 2);
    // Through a link and a relative name it is the same directory.
    let link = format!("ln -s {path}/app {path}/link; cat {path}/link/in; cd {path}/app; cat in");
    assert_eq!(shell(&group, &link).stdout, "");
    world.ctl(&format!("revert {id}")).ok();
    let outcome = shell(&group, &script);
    assert_eq!(outcome.stdout, "inside\noutside\n", "{}", outcome.stderr);

    let id =
        inject(&world, &format!("--call write --errno EDQUOT --path {path}/app --every 2"), &group);
    let dd = format!("dd if=/dev/zero of={path}/app/new bs=1k count=8 2>&1");
    let outcome = shell(&group, &dd);
    assert!(outcome.stdout.contains("Disk quota exceeded"), "{outcome:?}");
    assert_eq!(fs::metadata(format!("{path}/app/new")).unwrap().len(), 1024);
    let free = shell(&group, &format!("dd if=/dev/zero of={path}/new bs=1k count=8 2>&1"));
    assert!(free.stdout.contains("8+0 records out"), "{free:?}");
    world.ctl(&format!("revert {id}")).ok();
    assert!(shell(&group, &dd).stdout.contains("8+0 records out"));
}

#[test]
fn each_call_fails_through_the_hook_that_it_is_promised_for() {
    let world = World::new();
    needs!(world, "security-hook");
    let group = group!();
    let (dir, path) = place();
    for backend in ["security-hook", "lsm", "syscall-entry"] {
        if world.has_backend("syscall", backend) {
            each_call(&world, &group, dir.path(), &path, backend);
        }
    }
}

/// Calls on files fail with EKEYREJECTED on the path, others with ENOKEY.
fn each_call(world: &World, group: &Cgroup, dir: &Path, path: &Path, backend: &str) {
    let on_files = "openat,read,pread64,readv,write,pwrite64,writev,mkdir,mkdirat,unlink,unlinkat,\
        rename,renameat,renameat2,truncate,ftruncate,newfstatat,statx,ioctl,getdents64";
    let others = "socket,bind,listen,connect,accept4,sendto,recvfrom,sendmsg,recvmsg,kill,clone,\
        clone3,execve,mprotect";
    let mut program = Program::start(group, &mut helper("helper_that_calls", dir));
    let plain = program.told();
    assert!(plain.values().all(|e| e != "EKEYREJECTED" && e != "ENOKEY"), "{plain:?}");
    let restrict = match backend {
        // At the entry only descriptors are followed to their path.
        "syscall-entry" => String::new(),
        _ => format!(" --path {}/app", path.display()),
    };
    let pid = program.child.id();
    let inject = |what: &str, errno: &str, more: &str| {
        world.inject_id(&format!(
            "syscall --call {what} --errno {errno} --backend {backend}{more} --pid {pid} --for 300s"
        ))
    };
    let ids = match backend {
        "syscall-entry" => vec![
            inject("fsync,fdatasync", "EKEYREJECTED", &format!(" --path {}/app", path.display())),
            inject(others, "ENOKEY", ""),
        ],
        _ => vec![inject(on_files, "EKEYREJECTED", &restrict), inject(others, "ENOKEY", "")],
    };
    fs::write(dir.join("again"), "").unwrap();
    let told = program.told();
    let expected = |name: &str| match name {
        "fsync" | "fdatasync" if backend == "syscall-entry" => Some("EKEYREJECTED"),
        "fsync" | "fdatasync" => None,
        _ if others.split(',').any(|other| other.trim() == name) => Some("ENOKEY"),
        _ if backend == "syscall-entry" => None,
        _ => Some("EKEYREJECTED"),
    };
    for (name, error) in &told {
        let wanted = expected(name).unwrap_or(&plain[name]);
        assert_eq!(error, wanted, "{name} through {backend}: {told:?}");
    }
    assert_eq!(told.len(), plain.len());
    for id in ids {
        world.ctl(&format!("revert {id}")).ok();
    }
    fs::write(dir.join("again"), "").unwrap();
    assert_eq!(program.told(), plain, "after the fault");
    let _ = fs::remove_file(dir.join("again"));
}

fn helper_dir() -> PathBuf {
    env::var_os("FAULTD_HELPER_DIR").map(Into::into).unwrap()
}

/// Until this process is in its group.
fn await_go() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Until the test says so. Asks for the file's state in a way that no test
/// makes fail.
fn await_again() {
    let file = CString::new(helper_dir().join("again").as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: a zero-terminated string.
    while unsafe { libc::unlink(file.as_ptr()) } != 0 {
        thread::sleep(Duration::from_millis(10));
    }
}

fn name(error: Option<i32>) -> String {
    error.map_or("ok".to_owned(), |number| format!("{:?}", Errno::from_raw(number)))
}

fn connect() -> String {
    name(TcpStream::connect("127.0.0.1:9").err().and_then(|e| e.raw_os_error()))
}

#[test]
#[ignore = "a program that other tests run"]
fn helper_that_connects() {
    await_go();
    loop {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "helper_child_that_connects", "--nocapture"])
            .output()
            .unwrap();
        let child = String::from_utf8_lossy(&child.stdout).into_owned();
        let child =
            child.split_whitespace().find_map(|w| w.strip_prefix("child=")).unwrap().to_owned();
        println!("\nparent={}\nchild={child}\ndone", connect());
        while !helper_dir().join("again").exists() {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
#[ignore = "a program that other tests run"]
fn helper_child_that_connects() {
    println!("child={} ", connect());
}

#[test]
#[ignore = "a program that other tests run"]
fn helper_that_races() {
    await_go();
    let [failed, other] = [const { AtomicU64::new(0) }; 2];
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let count = match connect().as_str() {
                        "ENETDOWN" => &failed,
                        _ => &other,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("\nfailed={failed:?}\nother={other:?}\ndone");
}

#[test]
#[ignore = "a program that other tests run"]
fn helper_that_calls() {
    await_go();
    let app = helper_dir().join("app");
    let text = |name: &str| CString::new(app.join(name).as_os_str().as_encoded_bytes()).unwrap();
    let (file, made, other) = (text("in"), text("made"), text("other"));
    let open = File::options().read(true).write(true).open(app.join("in")).unwrap();
    let open_dir = File::open(&app).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(udp.local_addr().unwrap()).unwrap();
    udp.set_nonblocking(true).unwrap();
    let fresh = || {
        // SAFETY: plain integers.
        unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }
    };
    let sockets = [fresh(), fresh(), fresh()];
    let (fd, dirfd, lfd, ufd) =
        (open.as_raw_fd(), open_dir.as_raw_fd(), listener.as_raw_fd(), udp.as_raw_fd());
    // SAFETY: plain integers; zero is valid.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as u16;
    address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
    let mut to = address;
    to.sin_port = port.to_be();
    // SAFETY: new memory, at an address of the kernel's choice.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    let size = size_of::<libc::sockaddr_in>() as libc::c_long;
    let mut buffer = [0_u8; 4096];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: plain integers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let at = libc::c_long::from(libc::AT_FDCWD);
    let p = |text: &CString| text.as_ptr() as libc::c_long;
    let n = |fd: i32| libc::c_long::from(fd);
    let b = buffer.as_mut_ptr() as libc::c_long;
    let (io, msg) = ((&raw const part) as libc::c_long, (&raw const message) as libc::c_long);
    let (bind, connect) = ((&raw const address) as libc::c_long, (&raw const to) as libc::c_long);
    let argv = [c"/bin/true".as_ptr(), std::ptr::null()];
    loop {
        let calls: Vec<(&str, libc::c_long, [libc::c_long; 6])> = vec![
            ("openat", libc::SYS_openat, [at, p(&file), 0, 0, 0, 0]),
            ("read", libc::SYS_read, [n(fd), b, 1, 0, 0, 0]),
            ("pread64", libc::SYS_pread64, [n(fd), b, 1, 0, 0, 0]),
            ("readv", libc::SYS_readv, [n(fd), io, 1, 0, 0, 0]),
            ("write", libc::SYS_write, [n(fd), b, 1, 0, 0, 0]),
            ("pwrite64", libc::SYS_pwrite64, [n(fd), b, 1, 0, 0, 0]),
            ("writev", libc::SYS_writev, [n(fd), io, 1, 0, 0, 0]),
            ("fsync", libc::SYS_fsync, [n(fd), 0, 0, 0, 0, 0]),
            ("fdatasync", libc::SYS_fdatasync, [n(fd), 0, 0, 0, 0, 0]),
            ("mkdirat", libc::SYS_mkdirat, [at, p(&made), 0o755, 0, 0, 0]),
            // Exchanged, so that both are there for the next round.
            ("renameat2", libc::SYS_renameat2, [at, p(&file), at, p(&other), 2, 0]),
            ("truncate", libc::SYS_truncate, [p(&file), 1, 0, 0, 0, 0]),
            ("ftruncate", libc::SYS_ftruncate, [n(fd), 1, 0, 0, 0, 0]),
            ("newfstatat", libc::SYS_newfstatat, [at, p(&file), b, 0, 0, 0]),
            ("statx", libc::SYS_statx, [at, p(&file), 0, 0xfff, b, 0]),
            ("ioctl", libc::SYS_ioctl, [n(fd), libc::FIONREAD as libc::c_long, b, 0, 0, 0]),
            ("getdents64", libc::SYS_getdents64, [n(dirfd), b, 4096, 0, 0, 0]),
            ("socket", libc::SYS_socket, [1, 1, 0, 0, 0, 0]),
            ("bind", libc::SYS_bind, [n(sockets[0]), bind, size, 0, 0, 0]),
            ("listen", libc::SYS_listen, [n(sockets[1]), 1, 0, 0, 0, 0]),
            ("connect", libc::SYS_connect, [n(sockets[2]), connect, size, 0, 0, 0]),
            ("accept4", libc::SYS_accept4, [n(lfd), 0, 0, 0, 0, 0]),
            ("sendto", libc::SYS_sendto, [n(ufd), b, 1, 0, 0, 0]),
            ("recvfrom", libc::SYS_recvfrom, [n(ufd), b, 1, 0, 0, 0]),
            ("sendmsg", libc::SYS_sendmsg, [n(ufd), msg, 0, 0, 0, 0]),
            ("recvmsg", libc::SYS_recvmsg, [n(ufd), msg, 0, 0, 0, 0]),
            ("kill", libc::SYS_kill, [std::process::id().into(), 0, 0, 0, 0, 0]),
            ("mprotect", libc::SYS_mprotect, [memory as libc::c_long, 4096, 1, 0, 0, 0]),
        ];
        let mut told = Vec::new();
        for (call, nr, [a, b, c, d, e, f]) in calls {
            // SAFETY: every pointer leads to memory that outlives the call.
            let done = unsafe { libc::syscall(nr, a, b, c, d, e, f) };
            let error = (done < 0).then(Errno::last_raw);
            // What depends on the round before is told as this.
            let error = error
                .filter(|e| ![libc::EEXIST, libc::EINVAL, libc::EISCONN, libc::EAGAIN].contains(e));
            told.push(format!("{call}={}", name(error)));
        }
        let child = || {
            // SAFETY: the child only executes or ends; execve(2) has its strings.
            unsafe {
                let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
                if child == 0 {
                    let none: *const libc::c_char = std::ptr::null();
                    libc::syscall(libc::SYS_execve, argv[0], argv.as_ptr(), &raw const none);
                    libc::_exit(Errno::last_raw());
                }
                child
            }
        };
        let pid = child();
        told.push(format!("clone={}", name((pid < 0).then(Errno::last_raw))));
        // SAFETY: removes what mkdirat may have made.
        unsafe { libc::rmdir(made.as_ptr()) };
        if pid > 0 {
            // SAFETY: waits for the child just made.
            unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
        }
        println!("\n{}\ndone", told.join("\n"));
        await_again();
    }
}
