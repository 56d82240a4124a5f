//! `syscall` on servers that keep data: they meet the error where it was asked
//! for, say so to their clients, and are whole again afterwards.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::chown, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use faultd_tests::{Outcome, World, cgroup::Cgroup, eventually, skip, slowly, stats, vm_only};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};
use tempfile::TempDir;

macro_rules! group {
    ($world:expr) => {{
        if !$world.has_backend("syscall", "security-hook") {
            vm_only!("the backend security-hook does not work here");
        }
        match Cgroup::new() {
            Some(group) => group,
            None => skip!("no version 2 control groups are mounted"),
        }
    }};
}

/// A server in a control group; it ends with the test.
struct Server(Child);

impl Server {
    /// Starts it; it becomes itself once it is in the group.
    #[track_caller]
    fn start(group: &Cgroup, user: &User, command: &str, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; exec {command}")])
            .env("LC_ALL", "C")
            .current_dir("/")
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        group.add(child.id());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT: PostgreSQL's fast shutdown, which takes its children along; Redis ends as well.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT);
        let end = Instant::now() + slowly(Duration::from_secs(5));
        while Instant::now() < end {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn counter(world: &World, id: &str, name: &str) -> u64 {
    world.show(id)["counters"][name].as_u64().unwrap()
}

/// A directory of a user's.
fn home_of(user: &User) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    dir
}

/// A connection to Redis, by its inline commands.
struct Redis(BufReader<UnixStream>);

impl Redis {
    #[track_caller]
    fn connect(socket: &Path) -> Self {
        let mut stream = None;
        eventually(Duration::from_secs(10), "Redis listens", || {
            stream = UnixStream::connect(socket).ok();
            stream.is_some()
        });
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(slowly(Duration::from_secs(20)))).unwrap();
        Self(BufReader::new(stream))
    }

    /// The first line of the answer.
    #[track_caller]
    fn ask(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        // A string follows its length.
        if let Some(len) = line.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) {
            let mut text = vec![0; len + 2];
            self.0.read_exact(&mut text).unwrap();
            return String::from_utf8(text).unwrap().trim_end().to_owned();
        }
        line
    }
}

#[test]
fn redis_cannot_save_and_serves_on() {
    let world = World::new();
    let group = group!(world);
    let program = Path::new("/usr/bin/redis-server");
    let (true, Ok(Some(user))) = (program.exists(), User::from_name("redis")) else {
        vm_only!("there is no Redis here");
    };
    let dir = home_of(&user);
    let path = dir.path().display();
    // Elsewhere: what it says is not to fail.
    let logs = home_of(&user);
    let log = logs.path().join("log");
    let arguments = format!("--port 0 --unixsocket {path}/socket --dir {path} --save ''");
    let _server = Server::start(&group, &user, &format!("{} {arguments}", program.display()), &log);
    let mut redis = Redis::connect(&dir.path().join("socket"));
    assert_eq!(redis.ask("SET colour blue"), "+OK");
    assert_eq!(redis.ask("SAVE"), "+OK");
    let saved = fs::read(dir.path().join("dump.rdb")).unwrap();

    // Its own process, every time: nothing is written, the old file stays.
    let on = format!("--path {path} --cgroup {} --for 300s", group.name());
    let id = world.inject_id(&format!("syscall --call openat --errno ENOSPC {on}"));
    assert_eq!(redis.ask("SET colour green"), "+OK");
    assert!(redis.ask("SAVE").starts_with("-ERR"));
    assert_eq!(redis.ask("GET colour"), "green");
    assert!(fs::read_to_string(&log).unwrap().contains("No space left on device"));
    assert_eq!(fs::read(dir.path().join("dump.rdb")).unwrap(), saved);
    assert_eq!(counter(&world, &id, "affected"), 1);
    world.ctl(&format!("revert {id}")).ok();
    assert_eq!(redis.ask("SAVE"), "+OK");

    // A child, which saves in the background.
    let id = world.inject_id(&format!("syscall --call write --errno EDQUOT {on}"));
    assert_eq!(redis.ask("BGSAVE"), "+Background saving started");
    eventually(Duration::from_secs(10), "the child met the error", || {
        fs::read_to_string(&log).unwrap().contains("Disk quota exceeded")
    });
    assert!(counter(&world, &id, "affected") >= 1);
    assert_eq!(redis.ask("GET colour"), "green");
    world.ctl(&format!("revert {id}")).ok();

    // A share of its saves.
    let id = world
        .inject_id(&format!("syscall --call openat --errno ENOSPC --percent 40 --seed 9 {on}"));
    let failed = (0..60).filter(|_| redis.ask("SAVE").starts_with("-ERR")).count() as u64;
    assert_eq!(counter(&world, &id, "affected"), failed);
    // A save that gets past its file opens the directory as well, for fsync.
    let opened = counter(&world, &id, "matched");
    assert!(stats::binomial_999(failed, opened, 0.4), "{failed} of {opened} files failed");
    world.ctl(&format!("revert {id}")).ok();
    assert_eq!(redis.ask("SAVE"), "+OK");
}

/// PostgreSQL's programs, data directory and user, as Debian installs them.
struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    config: PathBuf,
    user: User,
    sockets: TempDir,
}

impl Postgres {
    fn find() -> Option<Self> {
        let user = User::from_name("postgres").ok()??;
        let version = fs::read_dir("/var/lib/postgresql").ok()?.flatten().next()?.file_name();
        let data = Path::new("/var/lib/postgresql").join(&version).join("main");
        let bin = Path::new("/usr/lib/postgresql").join(&version).join("bin");
        let config = Path::new("/etc/postgresql").join(&version).join("main/postgresql.conf");
        let sockets = home_of(&user);
        bin.join("postgres").exists().then_some(Self { bin, data, config, user, sockets })
    }

    fn log(&self) -> PathBuf {
        self.sockets.path().join("log")
    }

    fn start(&self, group: &Cgroup) -> Server {
        let (bin, data) = (self.bin.display(), self.data.display());
        let (config, sockets) = (self.config.display(), self.sockets.path().display());
        let server = format!(
            "{bin}/postgres -D {data} -c config_file={config} -c unix_socket_directories={sockets} \
             -c listen_addresses= -c ssl=off -c dynamic_shared_memory_type=mmap \
             -c external_pid_file= -c jit=off -c autovacuum=off"
        );
        Server::start(group, &self.user, &server, &self.log())
    }

    fn sql(&self, statement: &str) -> Outcome {
        Outcome::of(
            Command::new(self.bin.join("psql"))
                .args(["-XAtq", "-v", "VERBOSITY=terse", "-h"])
                .arg(self.sockets.path())
                .args(["-c", statement, "postgres"])
                .env("LC_ALL", "C")
                .current_dir("/")
                .uid(self.user.uid.as_raw())
                .gid(self.user.gid.as_raw()),
        )
    }

    #[track_caller]
    fn await_answers(&self) {
        eventually(Duration::from_secs(30), "PostgreSQL answers", || {
            self.sql("SELECT 1").stdout == "1\n"
        });
    }
}

#[test]
fn postgres_meets_errors_on_its_files_and_keeps_what_it_acknowledged() {
    let world = World::new();
    let group = group!(world);
    let Some(postgres) = Postgres::find() else {
        vm_only!("there is no PostgreSQL here");
    };
    let _server = postgres.start(&group);
    postgres.await_answers();
    postgres.sql("CREATE TABLE kept (n int)").ok();
    postgres.sql("INSERT INTO kept VALUES (1)").ok();
    let target = format!("--cgroup {} --for 300s", group.name());
    let data = postgres.data.display();

    // No room for its tables: an error for the client, and nothing else.
    let id = world
        .inject_id(&format!("syscall --call pwrite64 --errno ENOSPC --path {data}/base {target}"));
    let grown = postgres.sql("CREATE TABLE grown AS SELECT generate_series(1, 3000)");
    assert_ne!(grown.code, Some(0));
    assert!(grown.stderr.contains("No space left on device"), "{grown:?}");
    assert_eq!(postgres.sql("SELECT n FROM kept").ok(), "1\n");
    assert!(counter(&world, &id, "affected") >= 1);
    world.ctl(&format!("revert {id}")).ok();
    postgres.sql("CREATE TABLE grown AS SELECT generate_series(1, 3000)").ok();

    // One write of the write-ahead log fails: it cannot know what is on the disk, so it crashes,
    // and recovers what it had acknowledged.
    let id = world.inject_id(&format!(
        "syscall --call pwrite64 --errno EIO --path {data}/pg_wal --max 1 {target}"
    ));
    let lost = postgres.sql("INSERT INTO kept VALUES (2)");
    assert_ne!(lost.code, Some(0), "{lost:?}");
    let log = fs::read_to_string(postgres.log()).unwrap();
    let panic = log.lines().find(|line| line.contains("PANIC")).unwrap_or_default();
    assert!(panic.contains("Input/output error"), "{log}");
    postgres.await_answers();
    assert_eq!(counter(&world, &id, "affected"), 1);
    world.ctl(&format!("revert {id}")).ok();
    assert_eq!(postgres.sql("SELECT n FROM kept").ok(), "1\n");
    postgres.sql("INSERT INTO kept VALUES (3)").ok();
    assert_eq!(postgres.sql("SELECT n FROM kept ORDER BY n").ok(), "1\n3\n");
}
