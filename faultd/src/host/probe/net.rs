//! Features of network namespaces, tried in one made for it.
//!
//! `ifb` is deliberately not among them: asking for one may load the module,
//! which leaves two devices in the initial namespace (`drivers/net/ifb.c`,
//! `numifbs`).

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    thread,
};

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use nix::{
    sched::{CloneFlags, unshare},
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use super::{Answer, Feature, answer::Trouble};
use crate::host::{
    bpf::{LinkTarget, link, load_trivial},
    netns::Netns,
    tc::{Fq, Handle, Htb, Netem, Prio, QdiscSpec, Tbf, Tc, TcError},
};

/// Loopback has this index in every namespace.
const LO: u32 = 1;
/// `TC_ACT_UNSPEC`, also TCX_NEXT: as if the program were not there.
const PASS: i32 = -1;

const FEATURES: [Feature; 9] = [
    Feature::Tcx,
    Feature::Clsact,
    Feature::Tun,
    Feature::Packet,
    Feature::Fq,
    Feature::Netem,
    Feature::Prio,
    Feature::Htb,
    Feature::Tbf,
];

pub(super) fn ask() -> Vec<(Feature, Answer)> {
    // The namespace ends with its thread and the descriptor in `scratch`.
    let scratch = thread::Builder::new()
        .name("probe-netns".into())
        .spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Netns::current().map_err(io::Error::from)
        })
        .and_then(|t| t.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))));
    match scratch {
        Ok(netns) => FEATURES.map(|feature| (feature, try_one(feature, &netns))).to_vec(),
        Err(e) => {
            let why = Answer::refused(format!("no network namespace to try it in: {e}"));
            FEATURES.map(|feature| (feature, why.clone())).to_vec()
        }
    }
}

fn try_one(feature: Feature, netns: &Netns) -> Answer {
    let netem = Netem { latency_ns: 1_000_000, ..Netem::default() };
    let tbf = Tbf { rate: 125_000, burst: 16_000, limit: 64_000 };
    match feature {
        Feature::Tcx => tcx(netns),
        Feature::Clsact => clsact(netns),
        Feature::Tun => tun(netns),
        Feature::Packet => packet(netns),
        Feature::Fq => qdisc(netns, &QdiscSpec::Fq(Fq::default())),
        Feature::Netem => qdisc(netns, &QdiscSpec::Netem(Box::new(netem))),
        Feature::Prio => qdisc(netns, &QdiscSpec::Prio(Prio::default())),
        Feature::Htb => qdisc(netns, &QdiscSpec::Htb(Htb::default())),
        Feature::Tbf => qdisc(netns, &QdiscSpec::Tbf(tbf)),
        _ => Answer::no("is not a feature of network namespaces"),
    }
}

fn tcx(netns: &Netns) -> Answer {
    let attach = bpf_attach_type::BPF_TCX_EGRESS;
    let result = classifier(attach).and_then(|program| {
        netns.run(|| link(program.as_fd(), LinkTarget::Interface(LO), attach))?
    });
    Answer::from_result(
        result,
        "BPF links on interfaces; gone with the process that holds them",
        "this kernel has no TCX (Linux 6.6)",
    )
    .0
}

fn classifier(attach: bpf_attach_type) -> io::Result<OwnedFd> {
    load_trivial("fd_probe_tc", bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS, attach, PASS)
}

fn clsact(netns: &Netns) -> Answer {
    let result = (|| -> Result<(), Trouble> {
        // Any attach type but TCX's, which kernels before TCX refuse.
        let program = classifier(bpf_attach_type::BPF_CGROUP_INET_INGRESS)?;
        let mut tc = Tc::open(netns).map_err(|e| e.source)?;
        tc.add_clsact(LO).map_err(|e| e.source)?;
        let at = Handle::CLSACT_EGRESS;
        let added = tc.add_bpf_filter(LO, at, 1, 1, program.as_fd(), "fd_probe_tc");
        // The namespace takes it along in any case; other answers must not see it.
        let _ = tc.del_clsact(LO);
        added.map_err(|e| e.source.into())
    })();
    Answer::from_result(
        result,
        "BPF filters on interfaces; undo-logged, as they outlive the process",
        "this kernel has no clsact qdisc or no BPF classifier (sch_ingress, cls_bpf)",
    )
    .0
}

fn tun(netns: &Netns) -> Answer {
    let result = netns.run(open_tap).and_then(|result| result);
    let lacks = "there is no /dev/net/tun or no driver behind it (module tun)";
    Answer::from_result(result, "TAP devices with offloads; gone with their descriptor", lacks).0
}

/// A TAP device as the delay line makes them, in the calling thread's
/// namespace. It has no name that could clash with another.
fn open_tap() -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: plain integers; zero is valid, and an empty name asks for any.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open and `request` is an ifreq, as the call
    // wants it (Linux drivers/net/tun.c, __tun_chr_ioctl()).
    let rc = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(file) }
}

fn packet(netns: &Netns) -> Answer {
    let result = netns.run(open_packet).and_then(|result| result);
    let lacks = "this kernel has no packet sockets with offloads (PACKET_VNET_HDR)";
    Answer::from_result(result, "packet sockets with offloads", lacks).0
}

fn open_packet() -> io::Result<OwnedFd> {
    /// Linux `include/uapi/linux/if_packet.h`.
    const PACKET_VNET_HDR: libc::c_int = 15;
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open and the option takes an int.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_VNET_HDR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

fn qdisc(netns: &Netns, spec: &QdiscSpec) -> Answer {
    let handle = Handle::new(0xfa17, 0);
    let result = Tc::open(netns).and_then(|mut tc| {
        tc.add_qdisc(LO, Handle::ROOT, handle, spec)?;
        // Make room for the next one that is tried.
        tc.del_qdisc(LO, Handle::ROOT, handle)
    });
    let kind = spec.kind();
    Answer::from_result(
        result.map_err(|TcError { source, .. }| source),
        &format!("qdisc {kind}"),
        &format!("this kernel has no {kind} qdisc (module sch_{kind})"),
    )
    .0
}
