//! Encodings are compared with what iproute2 6.x sends for the same words
//! (`strace -e sendmsg -xx tc qdisc add …`).

use std::os::fd::AsFd;

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use nix::errno::Errno;

use super::{
    wire::{TCA_OPTIONS, TCMSG_BYTES},
    *,
};
use crate::host::{
    bpf::load_trivial,
    netlink::Attrs,
    test_support::{private_netns, skipped},
    undo::Undo,
};

/// Loopback has this index in every namespace (net/core/dev.c).
const LO: u32 = 1;
const SEVEN: Handle = Handle::new(7, 0);

/// The content of TCA_OPTIONS of the request that adds `spec`.
fn options(spec: &QdiscSpec) -> Vec<u8> {
    let bytes = add_qdisc_request(LO, Handle::ROOT, SEVEN, spec).finish(0, 0);
    Attrs::after(&bytes[16..], TCMSG_BYTES).find(TCA_OPTIONS).unwrap().to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect()
}

#[test]
fn a_request_is_laid_out_as_iproute2_does() {
    let bytes = add_qdisc_request(LO, Handle::ROOT, SEVEN, &QdiscSpec::Clsact).finish(4, 9);
    let expected = hex("30 00 00 00 24 00 05 06 09 00 00 00 00 00 00 00
         00 00 00 00 01 00 00 00 00 00 07 00 ff ff ff ff 00 00 00 00
         0b 00 01 00 63 6c 73 61 63 74 00 00");
    assert_eq!(bytes, expected);
}

#[test]
fn fq_options() {
    // fq limit 20000 flow_limit 5000 horizon 60s horizon_cap
    let fq = Fq {
        limit: Some(20_000),
        flow_limit: Some(5000),
        horizon_us: Some(60_000_000),
        horizon_drop: Some(false),
    };
    let expected = hex("08 00 01 00 20 4e 00 00 08 00 02 00 88 13 00 00
         08 00 0e 00 00 87 93 03 05 00 0f 00 00 00 00 00");
    assert_eq!(options(&QdiscSpec::Fq(fq)), expected);
    assert!(options(&QdiscSpec::Fq(Fq::default())).is_empty());
}

#[test]
fn netem_delay_loss_and_correlation() {
    // netem delay 500ms 10ms 25% loss 1% 5% limit 5000; iproute2 6.x still
    // fills the obsolete fields too, which the 64-bit ones override.
    let netem = Netem {
        limit: 5000,
        latency_ns: 500_000_000,
        jitter_ns: 10_000_000,
        delay_correlation: probability(25.0),
        loss: Some(NetemLoss::Random { loss: probability(1.0), correlation: probability(5.0) }),
        ..Netem::default()
    };
    let expected = hex("00 00 00 00 88 13 00 00 29 5c 8f 02 00 00 00 00 00 00 00 00 00 00 00 00
         0c 00 0a 00 00 65 cd 1d 00 00 00 00
         0c 00 0b 00 80 96 98 00 00 00 00 00
         10 00 01 00 00 00 00 40 cd cc cc 0c 00 00 00 00");
    assert_eq!(options(&QdiscSpec::Netem(Box::new(netem))), expected);
}

#[test]
fn netem_gemodel() {
    // netem loss gemodel 1% 10% 70% 0.1%
    let netem = Netem {
        loss: Some(NetemLoss::Gemodel {
            p: probability(1.0),
            r: probability(10.0),
            h: probability(30.0),
            k1: probability(0.1),
        }),
        ..Netem::default()
    };
    let expected = hex("00 00 00 00 e8 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
         18 00 05 80 14 00 02 00 29 5c 8f 02 9a 99 99 19 cd cc cc 4c 37 89 41 00");
    assert_eq!(options(&QdiscSpec::Netem(Box::new(netem))), expected);
}

#[test]
fn netem_reorder_corrupt_duplicate_rate() {
    // netem delay 10ms reorder 25% 50% corrupt 1% duplicate 2% 3% rate 1mbit
    let netem = Netem {
        latency_ns: 10_000_000,
        reorder: (probability(25.0), probability(50.0)),
        corrupt: (probability(1.0), 0),
        duplicate: (probability(2.0), probability(3.0)),
        rate: 125_000,
        ..Netem::default()
    };
    let expected = hex("00 00 00 00 e8 03 00 00 00 00 00 00 01 00 00 00 52 b8 1e 05 00 00 00 00
         0c 00 0a 00 80 96 98 00 00 00 00 00
         10 00 01 00 00 00 00 00 00 00 00 00 7b 14 ae 07
         0c 00 03 00 00 00 00 40 00 00 00 80
         0c 00 04 00 29 5c 8f 02 00 00 00 00
         14 00 06 00 48 e8 01 00 00 00 00 00 00 00 00 00 00 00 00 00");
    assert_eq!(options(&QdiscSpec::Netem(Box::new(netem))), expected);
}

#[test]
fn netem_rates_beyond_32_bits() {
    // netem rate 50gbit
    let netem = Netem { rate: 6_250_000_000, ..Netem::default() };
    let expected = hex("00 00 00 00 e8 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
         0c 00 08 00 80 6e 87 74 01 00 00 00
         14 00 06 00 ff ff ff ff 00 00 00 00 00 00 00 00 00 00 00 00");
    assert_eq!(options(&QdiscSpec::Netem(Box::new(netem))), expected);
}

#[test]
fn netem_distribution_table() {
    let netem = Netem {
        latency_ns: 1,
        jitter_ns: 1,
        distribution: Some(vec![-8192, 0, 8192]),
        ..Netem::default()
    };
    let bytes = options(&QdiscSpec::Netem(Box::new(netem)));
    assert!(bytes.ends_with(&hex("0a 00 02 00 00 e0 00 00 00 20 00 00")), "{bytes:x?}");
}

#[test]
fn prio_and_htb_options() {
    let prio = Prio { bands: 4, ..Prio::default() };
    let expected = hex("04 00 00 00 01 02 02 02 01 02 00 00 01 01 01 01 01 01 01 01");
    assert_eq!(options(&QdiscSpec::Prio(prio)), expected);
    // htb default 10 (class numbers are hexadecimal)
    let expected = hex("18 00 02 00 03 00 00 00 0a 00 00 00 10 00 00 00 00 00 00 00 00 00 00 00");
    assert_eq!(options(&QdiscSpec::Htb(Htb { default_class: 0x10 })), expected);
}

#[test]
fn probabilities_saturate() {
    assert_eq!(probability(100.0), PROBABILITY_ONE);
    assert_eq!(probability(1000.0), PROBABILITY_ONE);
    assert_eq!(probability(-1.0), 0);
    assert_eq!(probability(50.0), 0x8000_0000);
}

#[test]
fn handles_print_as_in_tc() {
    assert_eq!(Handle::new(0x10, 0).to_string(), "10:");
    assert_eq!(Handle::new(1, 0xa).to_string(), "1:a");
    assert_eq!(Handle::ROOT.to_string(), "root");
}

#[test]
fn clsact_comes_and_goes() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let mut tc = Tc::open(&netns).unwrap();
    let before = tc.qdiscs(None).unwrap();
    match tc.add_clsact(LO) {
        Err(e) if e.source.errno == Errno::ENOENT => return skipped("no clsact in this kernel"),
        other => other.unwrap(),
    }
    assert!(tc.has_clsact(LO).unwrap());
    assert_eq!(tc.add_clsact(LO).unwrap_err().source.errno, Errno::EEXIST);
    assert!(tc.filters(LO, Handle::CLSACT_EGRESS).unwrap().is_empty());
    tc.del_clsact(LO).unwrap();
    assert!(!tc.has_clsact(LO).unwrap());
    assert!(tc.del_clsact(LO).is_err());
    assert_eq!(tc.qdiscs(None).unwrap(), before);
}

#[test]
fn bpf_classifiers_come_and_go() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let mut tc = Tc::open(&netns).unwrap();
    let kind = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
    let no_attach = bpf_attach_type::BPF_CGROUP_INET_INGRESS;
    let Ok(program) = load_trivial("fd_tc_test", kind, no_attach, -1) else {
        return skipped("bpf(2) is not allowed");
    };
    if tc.add_clsact(LO).is_err() {
        return skipped("no clsact in this kernel");
    }
    let at = Handle::CLSACT_EGRESS;
    let result = tc.add_bpf_filter(LO, at, 7, 0x11, program.as_fd(), "ours");
    if result.as_ref().is_err_and(TcError::is_absent) {
        return skipped("no cls_bpf in this kernel");
    }
    result.unwrap();
    let again = tc.add_bpf_filter(LO, at, 7, 0x11, program.as_fd(), "ours");
    assert_eq!(again.unwrap_err().source.errno, Errno::EEXIST);
    tc.add_bpf_filter(LO, at, 7, 0x12, program.as_fd(), "theirs").unwrap();
    let listed = tc.filters(LO, at).unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let ours = listed.iter().find(|f| f.handle == 0x11).unwrap();
    assert_eq!((ours.priority, ours.protocol, ours.parent), (7, 3, at));
    assert_eq!((ours.kind.as_str(), ours.bpf_name.as_deref()), ("bpf", Some("ours")));
    assert!(ours.bpf_id.is_some());
    assert!(tc.filters(LO, Handle::CLSACT_INGRESS).unwrap().is_empty());

    let netns = netns.reference();
    let (parent, priority, handle) = (at, 7, 0x11);
    let undo = Undo::TcFilter { netns: netns.clone(), ifindex: LO, parent, priority, handle };
    undo.replay().unwrap();
    undo.replay().unwrap();
    let left = tc.filters(LO, at).unwrap();
    assert_eq!(left.iter().map(|f| f.handle).collect::<Vec<_>>(), [0x12]);
    // The clsact carries somebody else's filter now, so it stays.
    Undo::Clsact { netns, ifindex: LO }.replay().unwrap();
    assert!(tc.has_clsact(LO).unwrap());
}

#[test]
fn root_qdiscs_that_this_kernel_has_come_and_go() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let mut tc = Tc::open(&netns).unwrap();
    let specs = [
        QdiscSpec::Fq(Fq::default()),
        QdiscSpec::Prio(Prio::default()),
        QdiscSpec::Netem(Box::new(Netem { latency_ns: 1_000_000, ..Netem::default() })),
        QdiscSpec::Htb(Htb::default()),
        QdiscSpec::Tbf(Tbf { rate: 125_000, burst: 16_000, limit: 64_000 }),
    ];
    for spec in specs {
        match tc.add_qdisc(LO, Handle::ROOT, SEVEN, &spec) {
            Err(e) if e.source.errno == Errno::ENOENT => {
                skipped(&format!("no {} in this kernel", spec.kind()));
                continue;
            }
            other => other.unwrap(),
        }
        let root = tc.root(LO).unwrap().unwrap();
        assert_eq!((root.kind.as_str(), root.handle), (spec.kind(), SEVEN));
        let other = Handle::new(8, 0);
        assert!(tc.del_qdisc(LO, Handle::ROOT, other).is_err(), "another handle was deleted");
        tc.del_qdisc(LO, Handle::ROOT, SEVEN).unwrap();
        assert_ne!(tc.root(LO).unwrap().map(|q| q.handle), Some(SEVEN));
    }
}

#[test]
fn the_kernels_own_words_are_kept() {
    let Some(netns) = private_netns() else { return skipped("needs root") };
    let mut tc = Tc::open(&netns).unwrap();
    let error = tc.add_qdisc(9999, Handle::ROOT, SEVEN, &QdiscSpec::Clsact).unwrap_err();
    assert!(error.is_absent());
    assert!(error.to_string().contains("interface 9999"), "{error}");
}
