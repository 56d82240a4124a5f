//! Requests and answers of traffic control, as bytes.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Filter, Handle, Qdisc, QdiscSpec};
use crate::host::netlink::{Attrs, Request, u32_at};

/// `sizeof(struct tcmsg)`, Linux `include/uapi/linux/rtnetlink.h`.
pub(super) const TCMSG_BYTES: usize = 20;
const TCA_KIND: u16 = 1;
pub(super) const TCA_OPTIONS: u16 = 2;
/// Linux `include/uapi/linux/pkt_cls.h`.
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
const TCA_BPF_ID: u16 = 11;

pub(super) fn add_qdisc_request(
    ifindex: u32,
    parent: Handle,
    handle: Handle,
    spec: &QdiscSpec,
) -> Request {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let fixed = tcmsg(ifindex, handle, parent, 0);
    let mut request = Request::new(libc::RTM_NEWQDISC, flags, &fixed);
    request.attr_str(TCA_KIND, spec.kind());
    spec.put_options(&mut request);
    request
}

pub(super) fn add_bpf_filter_request(
    ifindex: u32,
    parent: Handle,
    priority: u16,
    handle: u32,
    program: BorrowedFd<'_>,
    name: &str,
) -> Request {
    let all = (libc::ETH_P_ALL as u16).to_be();
    let info = u32::from(priority) << 16 | u32::from(all);
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let fixed = tcmsg(ifindex, Handle(handle), parent, info);
    let mut request = Request::new(libc::RTM_NEWTFILTER, flags, &fixed);
    request.attr_str(TCA_KIND, "bpf").nest(TCA_OPTIONS, |options| {
        options
            .attr_u32(TCA_BPF_FD, program.as_raw_fd() as u32)
            .attr_str(TCA_BPF_NAME, name)
            .attr_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
    });
    request
}

/// `struct tcmsg`.
pub(super) fn tcmsg(ifindex: u32, handle: Handle, parent: Handle, info: u32) -> [u8; TCMSG_BYTES] {
    let mut out = [0; TCMSG_BYTES];
    out[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    out[8..12].copy_from_slice(&handle.0.to_ne_bytes());
    out[12..16].copy_from_slice(&parent.0.to_ne_bytes());
    out[16..20].copy_from_slice(&info.to_ne_bytes());
    out
}

pub(super) fn parse_qdisc(payload: &[u8]) -> Option<Qdisc> {
    Some(Qdisc {
        ifindex: u32_at(payload, 4)?,
        handle: Handle(u32_at(payload, 8)?),
        parent: Handle(u32_at(payload, 12)?),
        kind: Attrs::after(payload, TCMSG_BYTES).text(TCA_KIND)?,
    })
}

pub(super) fn parse_filter(payload: &[u8]) -> Option<Filter> {
    let attrs = Attrs::after(payload, TCMSG_BYTES);
    let options = attrs.find(TCA_OPTIONS)?; // absent in the header line of each priority
    let options = Attrs::after(options, 0);
    let info = u32_at(payload, 16)?;
    Some(Filter {
        ifindex: u32_at(payload, 4)?,
        handle: u32_at(payload, 8)?,
        parent: Handle(u32_at(payload, 12)?),
        priority: (info >> 16) as u16,
        protocol: u16::from_be(info as u16),
        kind: attrs.text(TCA_KIND)?,
        bpf_name: options.text(TCA_BPF_NAME),
        bpf_id: options.u32(TCA_BPF_ID),
    })
}
