//! Rules end, memory fills up, devices go, and the process dies.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use faultd_tests::{
    Netns,
    command::run,
    eventually, slowly,
    traffic::{Pinger, UdpEcho, receiver},
};

use crate::{
    classifier::Match,
    setup::{Running, SLOT, needs_privilege, taps},
};

const LONG: Duration = Duration::from_secs(50);

/// Sends numbered datagrams to a socket whose packets the line holds.
fn held(count: u32) -> (UdpSocket, Running) {
    let receiver = receiver("127.0.0.1:0");
    receiver.set_read_timeout(Some(slowly(Duration::from_secs(2)))).unwrap();
    let to = receiver.local_addr().unwrap();
    let running = Running::new().egress("lo", Match::To(to.port()), LONG);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..count {
        sender.send_to(&number.to_be_bytes(), to).unwrap();
    }
    (receiver, running)
}

/// The numbers that arrive until there are no more.
fn arriving(receiver: &UdpSocket, at_most: usize) -> Vec<u32> {
    let mut buffer = [0; 4];
    let next = || receiver.recv(&mut buffer).ok().map(|_| u32::from_be_bytes(buffer));
    std::iter::from_fn(next).take(at_most).collect()
}

#[test]
fn a_rule_that_ends_lets_go_of_its_packets_in_order() {
    needs_privilege!();
    let _here = Netns::enter();
    let (receiver, mut running) = held(500);
    thread::sleep(Duration::from_millis(50));
    receiver.set_nonblocking(true).unwrap();
    assert!(arriving(&receiver, 1).is_empty(), "came before its time");
    receiver.set_nonblocking(false).unwrap();

    running.classifiers.clear();
    let start = Instant::now();
    running.line.flush(SLOT);
    assert_eq!(arriving(&receiver, 500), (0..500).collect::<Vec<_>>());
    assert!(start.elapsed() < slowly(Duration::from_millis(500)), "{:?}", start.elapsed());
    eventually(Duration::from_secs(1), "all are counted", || {
        running.line.stats(SLOT).flushed == 500
    });
    assert_eq!(running.line.stats(SLOT).delivered, 0);
}

#[test]
fn a_line_that_stops_lets_go_of_its_packets_and_leaves_nothing() {
    needs_privilege!();
    let _here = Netns::enter();
    let (receiver, running) = held(100);
    assert_eq!(taps(), 1);
    drop(running);
    assert_eq!(arriving(&receiver, 100).len(), 100);
    assert_eq!(taps(), 0);
}

#[test]
fn an_origin_that_goes_lets_go_of_its_packets() {
    needs_privilege!();
    let _here = Netns::enter();
    let (receiver, mut running) = held(100);
    running.classifiers.clear();
    running.line.remove_origin(1);
    assert_eq!(arriving(&receiver, 100).len(), 100);
}

#[test]
fn memory_is_bounded_and_what_does_not_fit_is_counted() {
    needs_privilege!();
    let _here = Netns::enter();
    let receiver = receiver("127.0.0.1:0");
    let to = receiver.local_addr().unwrap();
    let mut running = Running::bounded(4 << 20).egress("lo", Match::To(to.port()), LONG);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let message = vec![7; 30_000];
    for _ in 0..400 {
        sender.send_to(&message, to).unwrap();
        thread::sleep(Duration::from_micros(100));
    }
    eventually(Duration::from_secs(2), "12 MB do not fit in 4 MiB", || {
        let overflow = running.line.stats(SLOT).overflow;
        (250..=300).contains(&overflow)
    });
    running.classifiers.clear();
    running.line.flush(SLOT);
    eventually(Duration::from_secs(2), "every datagram is counted once", || {
        let stats = running.line.stats(SLOT);
        stats.flushed + stats.overflow == 400
    });
}

#[test]
fn a_line_whose_tap_is_deleted_says_so_and_passes_nothing_on_late() {
    needs_privilege!();
    let _here = Netns::enter();
    let server = UdpEcho::bind("127.0.0.1:0");
    let running = Running::new().egress("lo", Match::From(server.port()), Duration::from_millis(5));
    assert!(running.line.is_whole());
    run("ip link delete faultd0");
    eventually(Duration::from_secs(2), "the line notices", || !running.line.is_whole());
    drop(running);
    Pinger::udp(server.address()).ping();
}

/// How often the line's thread has gone to sleep.
fn sleeps(thread: &Path) -> u64 {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

/// The line's thread. Other tests run lines of their own in this process, but
/// each thread is in the namespace of the one that started it.
fn line_thread() -> Option<PathBuf> {
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let is_ours = |thread: &PathBuf| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "delay-line")
            && fs::read_link(thread.join("ns/net")).is_ok_and(|netns| netns == own)
    };
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads.map(|thread| thread.unwrap().path()).find(is_ours)
}

#[test]
fn a_line_that_holds_nothing_only_beats() {
    needs_privilege!();
    let _here = Netns::enter();
    let running = Running::new();
    // A thread names itself once it runs.
    eventually(Duration::from_secs(2), "the thread runs", || line_thread().is_some());
    let thread = line_thread().unwrap();
    for broken in [false, true] {
        if broken {
            run("ip link delete faultd0");
            eventually(Duration::from_secs(2), "the line notices", || !running.line.is_whole());
        }
        let start = sleeps(&thread);
        thread::sleep(Duration::from_secs(1));
        let beats = sleeps(&thread) - start;
        assert!((2..=8).contains(&beats), "{beats} wake-ups in a second (broken: {broken})");
    }
}

/// What [`a_killed_process_leaves_nothing`] kills.
#[test]
#[ignore = "started by another test"]
fn victim() {
    if env::var_os("DELAY_LINE_VICTIM").is_none() {
        return;
    }
    let (_receiver, _running) = held(10);
    println!("\nholding");
    thread::sleep(LONG);
}

#[test]
fn a_killed_process_leaves_nothing() {
    needs_privilege!();
    let _here = Netns::enter();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "lifecycle::victim", "--ignored", "--nocapture"])
        .env("DELAY_LINE_VICTIM", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holding"));
    assert_eq!(taps(), 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    eventually(Duration::from_secs(1), "the TAP is gone", || taps() == 0);
}
