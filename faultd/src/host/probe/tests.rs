use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use nix::errno::Errno;

use super::{answer::Trouble, *};
use crate::host::{bpf, links, netns::Netns, test_support::skipped};

#[test]
fn every_feature_has_an_answer_and_a_reason() {
    for status in features() {
        assert_ne!(status.detail, "was not asked", "{}", status.name);
        assert!(!status.detail.is_empty(), "{}", status.name);
        eprintln!("{:<16}{:?} {}", status.name, status.support, status.detail);
    }
}

#[test]
fn names_are_unique() {
    let mut names = Feature::ALL.map(Feature::name);
    names.sort_unstable();
    assert!(names.windows(2).all(|w| w[0] != w[1]));
}

#[test]
fn shortcuts_combine_what_they_need() {
    let yes = |feature| status(feature).support == Support::Yes;
    assert_eq!(classifier().support == Support::Yes, yes(Feature::Tcx) || yes(Feature::Clsact));
    assert_eq!(tun().support == Support::Yes, yes(Feature::Tun) && yes(Feature::Packet));
    assert_eq!(qdisc("netem").support == Support::Yes, yes(Feature::Netem) && yes(Feature::Prio));
    assert_eq!(qdisc("nonsense").support, Support::No);
}

#[test]
fn errors_are_sorted_into_lacks_and_refuses() {
    let answer = |errno: Errno| Trouble::from(errno).answer("no such thing").support;
    assert_eq!(answer(Errno::ENOENT), Support::No);
    assert_eq!(answer(Errno::EOPNOTSUPP), Support::No);
    assert_eq!(answer(Errno::EPERM), Support::Refused);
    assert_eq!(answer(Errno::ENOMEM), Support::Refused);
}

#[test]
fn nothing_is_left_behind() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("needs root");
    }
    let own = Netns::current().unwrap();
    let before = links::list(&own).unwrap();
    features();
    let probes = || -> HashSet<u32> {
        let all = bpf::programs().unwrap().into_iter();
        all.filter(|p| p.name.starts_with("fd_probe")).map(|p| p.id).collect()
    };
    // Other daemons of the machine probe as well; theirs go, too.
    let (mut left, patience) = (probes(), Instant::now());
    while !left.is_empty() {
        assert!(patience.elapsed() < Duration::from_secs(10), "left behind: {left:?}");
        thread::sleep(Duration::from_millis(5));
        left = left.intersection(&probes()).copied().collect();
    }
    assert_eq!(links::list(&own).unwrap(), before);
    let groups = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let deeper = groups.filter_map(|e| std::fs::read_dir(e.path()).ok()).flatten().flatten();
    let own = std::process::id().to_string();
    let ours = |name: &str| name.starts_with("faultd-probe-") && name.ends_with(&own);
    assert!(!deeper.into_iter().any(|e| ours(&e.file_name().to_string_lossy())));
}
