use std::time::{Duration, Instant};

use super::*;
use crate::host::test_support::{add_veth_pair, private_netns, set_up, skipped};

#[test]
fn loopback_is_known_everywhere() {
    let own = Netns::current().unwrap();
    let lo = by_name(&own, "lo").unwrap();
    assert!(lo.loopback && lo.ifindex == 1 && lo.framing == Framing::Ethernet);
    assert!(lo.mtu >= 1500);
}

#[test]
fn a_missing_interface_lists_those_there_are() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let error = by_name(&netns, "eth7").unwrap_err().to_string();
    assert!(error.contains("eth7") && error.contains("lo"), "{error}");
}

#[test]
fn a_fresh_loopback_is_down_until_it_is_set_up() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    assert!(!by_name(&netns, "lo").unwrap().up);
    set_up(&netns, "lo");
    assert!(by_name(&netns, "lo").unwrap().up);
}

#[test]
fn hardware_types_are_sorted() {
    assert_eq!(Framing::from_hardware_type(1), Framing::Ethernet);
    assert_eq!(Framing::from_hardware_type(0xfffe), Framing::L3);
    assert_eq!(Framing::from_hardware_type(32), Framing::Other(32));
}

#[test]
fn interfaces_that_come_and_go_are_told() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let mut watch = LinkWatch::open(&netns).unwrap();
    assert!(watch.wait(0).unwrap().is_empty());
    if !add_veth_pair(&netns, "va", "vb") {
        return skipped("no veth in this kernel");
    }
    let a = by_name(&netns, "va").unwrap();
    assert_eq!((a.kind.as_deref(), a.lower, a.master), (Some("veth"), None, None));

    let mut seen = collect(&mut watch, |seen| {
        let new = |name| seen.iter().any(|e| matches!(e, LinkEvent::Changed(l) if l.name == name));
        new("va") && new("vb")
    });
    crate::host::test_support::del_link(&netns, a.ifindex);
    seen.extend(collect(&mut watch, |seen| seen.contains(&LinkEvent::Gone { ifindex: a.ifindex })));
    assert!(seen.contains(&LinkEvent::Gone { ifindex: a.ifindex }), "{seen:?}");
}

fn collect(watch: &mut LinkWatch, enough: impl Fn(&[LinkEvent]) -> bool) -> Vec<LinkEvent> {
    let until = Instant::now() + Duration::from_secs(5);
    let mut seen = Vec::new();
    while !enough(&seen) {
        assert!(Instant::now() < until, "only {seen:?}");
        seen.extend(watch.wait(100).unwrap());
    }
    seen
}

#[test]
fn malformed_messages_are_ignored() {
    assert_eq!(parse(&[]), None);
    assert_eq!(parse(&[0; 15]), None);
    assert_eq!(parse(&[7; 64]), None);
    assert_eq!(parse(&[0; 64]), None, "an interface without a name");
}
