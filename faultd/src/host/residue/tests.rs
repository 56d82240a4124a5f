use std::os::fd::AsFd;

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};

use super::*;
use crate::host::{
    bpf::load_trivial,
    netns::Netns,
    tc::{Handle, Htb, QdiscSpec, Tc},
    test_support::{add_veth_pair, private_netns, skipped},
    undo::Undo,
};

const MARKS: Marks<'_> = Marks {
    qdisc_major: 0xfa18,
    programs: &["fd_residue_test"],
    maps: &["FD_NO_SUCH_MAP"],
    interface_prefix: "fdresidue",
    cgroup_prefix: "fd-residue-test",
};

fn snapshot(things: &[(&str, &[&str])]) -> Snapshot {
    let set = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect();
    Snapshot { things: things.iter().map(|(p, lines)| ((*p).to_owned(), set(lines))).collect() }
}

#[test]
fn differences_name_place_and_thing() {
    let before = snapshot(&[("a", &["1", "2"]), ("b", &["3"])]);
    let after = snapshot(&[("a", &["2", "4"]), ("c", &["5"])]);
    let lines: Vec<String> = before.differences(&after).iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["a: gone: 1", "a: new: 4", "b: gone: 3", "c: new: 5"]);
    assert!(before.differences(&before).is_empty());
}

/// Only those lines that are about the test's own namespace: other tests run
/// at the same time.
fn changes(before: &Snapshot, ino: u64) -> Vec<String> {
    let place = format!("network namespace {ino}");
    let now = Snapshot::take().unwrap();
    let all = before.differences(&now);
    all.into_iter().filter(|d| d.place == place).map(|d| d.to_string()).collect()
}

#[test]
fn a_snapshot_shows_what_came_and_that_it_went() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    // A namespace held by a descriptor alone is out of sight; keep a thread in it.
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let keeper = netns.spawn("keeper", move || {
        let _ = wait.recv();
    });
    let keeper = keeper.unwrap();
    let before = Snapshot::take().unwrap();
    let mut tc = Tc::open(&netns).unwrap();
    let spec = QdiscSpec::Htb(Htb::default());
    let seen_at_all = before.things.contains_key(&format!("network namespace {}", netns.ino()));
    assert!(seen_at_all, "the namespace of a thread is out of sight");
    if tc.add_qdisc(1, Handle::ROOT, Handle::new(0xfa19, 0), &spec).is_ok() {
        let lines = changes(&before, netns.ino());
        assert!(lines.iter().any(|l| l.contains("qdisc htb")), "{lines:?}");
        tc.del_qdisc(1, Handle::ROOT, Handle::NONE).unwrap();
    }
    if add_veth_pair(&netns, "fdr0", "fdr1") {
        let lines = changes(&before, netns.ino());
        assert!(lines.iter().any(|l| l.contains("interface fdr0 (veth)")), "{lines:?}");
        let link = crate::host::links::by_name(&netns, "fdr0").unwrap();
        crate::host::test_support::del_link(&netns, link.ifindex);
    }
    let lines = changes(&before, netns.ino());
    assert!(!lines.iter().any(|l| l.contains("new")), "{lines:?}");
    done.send(()).unwrap();
    keeper.join().unwrap();
}

#[test]
fn what_bears_the_marks_is_found() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let keeper = netns.spawn("keeper", move || {
        let _ = wait.recv();
    });
    let keeper = keeper.unwrap();
    let found =
        || -> Vec<String> { traces(&MARKS).unwrap().iter().map(ToString::to_string).collect() };
    assert_eq!(found(), [""; 0]);

    let mut tc = Tc::open(&netns).unwrap();
    let spec = QdiscSpec::Htb(Htb::default());
    let ours = Handle::new(MARKS.qdisc_major, 0);
    if tc.add_qdisc(1, Handle::ROOT, ours, &spec).is_ok() {
        assert!(
            found().iter().any(|l| l.starts_with("root qdisc htb fa18: on lo")),
            "{:?}",
            found()
        );
        tc.del_qdisc(1, Handle::ROOT, ours).unwrap();
    }
    if add_veth_pair(&netns, "fdresidue0", "other0") {
        assert!(found().iter().any(|l| l.starts_with("interface fdresidue0")));
        let link = crate::host::links::by_name(&netns, "fdresidue0").unwrap();
        crate::host::test_support::del_link(&netns, link.ifindex);
    }
    let kind = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
    let program = load_trivial("x", kind, bpf_attach_type::BPF_CGROUP_INET_INGRESS, -1);
    if let Ok(program) = program
        && tc.add_clsact(1).is_ok()
    {
        let at = Handle::CLSACT_EGRESS;
        tc.add_bpf_filter(1, at, 1, 1, program.as_fd(), "fd_residue_test").unwrap();
        assert!(found().iter().any(|l| l.starts_with("classifier fd_residue_test on lo")));
        tc.del_clsact(1).unwrap();
    }
    assert_eq!(found(), [""; 0]);
    done.send(()).unwrap();
    keeper.join().unwrap();
}

#[test]
fn a_program_shows_who_holds_it() {
    let kind = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
    let no_attach = bpf_attach_type::BPF_CGROUP_INET_INGRESS;
    let Ok(_program) = load_trivial("fd_held_test", kind, no_attach, -1) else {
        return skipped("bpf(2) is not allowed");
    };
    let listed = crate::host::bpf::programs().unwrap();
    let id = listed.iter().find(|p| p.name == "fd_held_test").unwrap().id;
    let holders = bpf::holders();
    assert!(holders.get(&id).unwrap().contains(&std::process::id()));

    let trace = Trace {
        what: "BPF program x".into(),
        holders: vec![7],
        can_be_held: true,
        undo: None,
        remove: None,
    };
    assert_eq!(trace.to_string(), "BPF program x (held by process 7)");
    let orphan = Trace { holders: vec![], ..trace };
    assert_eq!(orphan.to_string(), "BPF program x (held by nobody)");
}

#[test]
fn what_a_living_daemon_may_use_is_no_orphan() {
    let trace = |what: &str, holders: &[u32], can_be_held| Trace {
        what: what.into(),
        holders: holders.to_vec(),
        can_be_held,
        undo: None,
        remove: None,
    };
    let (held, left) = (trace("held", &[7], true), trace("left", &[], true));
    let group = trace("group", &[], false);
    let all = [held.clone(), left.clone(), group.clone()];
    assert_eq!(orphans(&all, &[]), [&left]);
    assert_eq!(orphans(&[left.clone(), group.clone()], &[]), [&left, &group]);
    assert!(orphans(std::slice::from_ref(&held), &[]).is_empty());

    let on = |ifindex| Undo::RootQdisc {
        netns: Netns::current().unwrap().reference(),
        ifindex,
        handle: Handle::new(MARKS.qdisc_major, 0),
    };
    let qdisc = Trace { undo: Some(on(1)), ..trace("qdisc", &[], false) };
    let all = [held, qdisc.clone()];
    assert!(orphans(&all, &[on(2), on(1)]).is_empty(), "in a living daemon's journal");
    assert_eq!(orphans(&all, &[on(2)]), [&qdisc], "in nobody's");
}
