//! What an injection says it hits: the sockets and processes there are.

use faultd_tests::{
    Victim, World, cgroup::Cgroup, command::run, eventually, skip, traffic::Pinger, victim::Looks,
};
use serde_json::Value;
use std::time::Duration;

/// Local address and state of the sockets listed, each with who holds it.
fn sockets(fault: &Value) -> Vec<(String, String, Option<u64>)> {
    let list = fault["hits"]["sockets"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.iter()
        .map(|s| (text(&s["local"]), text(&s["state"]), s["process"]["pid"].as_u64()))
        .collect()
}

#[test]
fn an_injection_names_the_sockets_it_hits_and_who_holds_them() {
    let world = World::new();
    let victim = Victim::start("127.0.0.1", None, &Looks::default());
    let client = Pinger::tcp(victim.address());
    let line = format!("latency --ms 1 --port {} --for 60s", victim.port());

    // What listens first, then what talks: both ends of the connection.
    let fault = world.inject(&line);
    assert_eq!(fault["hits"]["socket_count"], 4, "{fault}");
    let found = sockets(&fault);
    let at = victim.address().to_string();
    let states: Vec<&str> = found.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(states, ["LISTEN", "UNCONN", "ESTAB", "ESTAB"], "{fault}");
    assert!(found.iter().any(|(local, ..)| *local == client.local().to_string()), "{fault}");
    // Who holds them is looked up for a few milliseconds only; a plan takes its time.
    let plan = world.ctl(&format!("--json inject {line} --dry-run")).json();
    let holder = |(local, _, pid): &(String, String, Option<u64>)| {
        let expected = if *local == at { victim.pid() } else { std::process::id() };
        *pid == Some(expected.into())
    };
    assert!(sockets(&plan).iter().all(holder), "{plan}");
    assert!(found.iter().all(|socket| socket.2.is_none() || holder(socket)), "{fault}");

    let text = world.ctl(&format!("inject {line}")).ok();
    let hits = text.lines().find(|l| l.trim_start().starts_with("hits")).unwrap_or_default();
    assert!(hits.contains("4 sockets: ") && hits.contains(&at), "{text}");
    let id = fault["id"].as_str().unwrap_or_default();
    assert_eq!(world.show(id)["hits"], fault["hits"], "it stays as it was injected");
}

#[test]
fn connections_that_only_wait_to_be_forgotten_are_not_alive() {
    let world = World::new();
    let victim = Victim::start("127.0.0.1", None, &Looks::default());
    drop(Pinger::tcp(victim.address()));
    eventually(Duration::from_secs(5), "the connection is closed", || {
        let all = run(&format!("ss -Htan sport = :{0} or dport = :{0}", victim.port()));
        all.contains("TIME-WAIT") && all.lines().count() == 2
    });
    let fault = world.inject(&format!("loss --percent 1 --port {} --for 60s", victim.port()));
    assert_eq!(fault["hits"]["socket_count"], 2, "those of the victim: {fault}");
}

#[test]
fn an_injection_for_processes_names_them_and_their_sockets() {
    let world = World::new();
    let victim = Victim::start("127.0.0.1", None, &Looks::default());
    let _bystander = Victim::start("127.0.0.1", None, &Looks::default());
    let fault = world.inject(&format!("loss --percent 1 --pid {} --for 60s", victim.pid()));
    assert_eq!(fault["hits"]["process_count"], 1, "{fault}");
    assert_eq!(fault["hits"]["processes"][0]["pid"], victim.pid(), "{fault}");
    assert_eq!(fault["hits"]["socket_count"], 2, "TCP and UDP: {fault}");
    let at = victim.address().to_string();
    assert!(sockets(&fault).iter().all(|(local, ..)| *local == at), "{fault}");
}

#[test]
fn an_injection_for_a_group_counts_the_sockets_made_in_it_and_below() {
    let world = World::new();
    let Some(group) = Cgroup::new() else { skip!("no version 2 control groups") };
    let below = group.child("below");
    let victims = [
        Victim::start("127.0.0.1", Some(&group), &Looks::default()),
        Victim::start("127.0.0.1", Some(&below), &Looks::default()),
    ];
    let _bystander = Victim::start("127.0.0.1", None, &Looks::default());
    let fault = world.inject(&format!("loss --percent 1 --cgroup {} --for 60s", group.name()));
    assert_eq!(fault["hits"]["process_count"], 2, "{fault}");
    assert_eq!(fault["hits"]["socket_count"], 4, "{fault}");
    let ours = victims.each_ref().map(|victim| victim.address().to_string());
    assert!(sockets(&fault).iter().all(|(local, ..)| ours.contains(local)), "{fault}");
}

#[test]
fn what_is_never_touched_is_told_where_one_would_expect_it_to_be() {
    let world = World::with_peer();
    let says = |line: &str| world.ctl(&format!("inject {line}")).ok().contains("ARP");
    assert!(says("loss --percent 1 --dev veth0"));
    assert!(says("partition --remote 10.77.0.2"));
    assert!(!says("latency --ms 1 --port 8080"));
    assert!(!says("loss --percent 1 --remote 10.77.0.2"));
    assert!(says("latency --ms 1 --port 8080 --dry-run"), "a plan tells all rails");
}
