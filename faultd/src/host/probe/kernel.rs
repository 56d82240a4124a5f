//! Features of the kernel as a whole: BPF, its hooks on control groups and
//! tracepoints, RCU.

use std::{
    fs::{self, OpenOptions},
    io,
    os::fd::AsFd,
};

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use faultd_api::Support;

use super::{Answer, Feature};
use crate::host::{
    bpf::{LinkTarget, array_map, link, load_trivial, raw_tracepoint},
    cgroup::{Scratch, v2_root},
};

/// About what the rule tables of one network namespace take.
const MAP_BYTES: u32 = 4 << 20;

pub(super) fn ask() -> Vec<(Feature, Answer)> {
    let bpf = bpf();
    let mut memory = memory();
    // Kernels before 5.11 charge maps to this limit and answer EPERM.
    if bpf.support == Support::Yes && memory.support != Support::Yes {
        memory.detail.push_str("; raise RLIMIT_MEMLOCK (LimitMEMLOCK=infinity in the unit)");
    }
    vec![
        (Feature::Bpf, bpf),
        (Feature::Btf, btf()),
        (Feature::BpfMemory, memory),
        (Feature::CgroupSkb, cgroup_skb()),
        (Feature::CgroupSock, cgroup_sock()),
        (Feature::RawTracepoint, tracepoint()),
        (Feature::RcuExpedited, rcu_expedited()),
    ]
}

fn bpf() -> Answer {
    let no_attach = bpf_attach_type::BPF_CGROUP_INET_INGRESS;
    let kind = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
    let result = load_trivial("fd_probe_bpf", kind, no_attach, -1);
    Answer::from_result(result, "bpf(2) loads programs", "this kernel has no BPF classifiers").0
}

fn btf() -> Answer {
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    match fs::metadata(PATH) {
        Ok(found) => Answer::yes(format!("{PATH}, {} KiB", found.len() / 1024)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Answer::no(format!("this kernel has no {PATH} (CONFIG_DEBUG_INFO_BTF)"))
        }
        Err(e) => Answer::refused(format!("{PATH}: {e}")),
    }
}

fn memory() -> Answer {
    let result = array_map(8, MAP_BYTES / 8);
    let works = format!("a map of {} MiB", MAP_BYTES >> 20);
    Answer::from_result(result, &works, "this kernel has no BPF array maps").0
}

fn cgroup_skb() -> Answer {
    let attach = bpf_attach_type::BPF_CGROUP_INET_EGRESS;
    on_scratch_cgroup(bpf_prog_type::BPF_PROG_TYPE_CGROUP_SKB, attach)
}

fn cgroup_sock() -> Answer {
    let attach = bpf_attach_type::BPF_CGROUP_INET_SOCK_CREATE;
    on_scratch_cgroup(bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK, attach)
}

fn on_scratch_cgroup(kind: bpf_prog_type, attach: bpf_attach_type) -> Answer {
    const ALLOW: i32 = 1;
    let result = load_trivial("fd_probe_cg", kind, attach, ALLOW).and_then(|program| {
        let group = Scratch::new(v2_root()?, "bpf")?;
        link(program.as_fd(), LinkTarget::Cgroup(group.as_fd()), attach)
    });
    Answer::from_result(
        result,
        "BPF programs on version 2 control groups",
        "this kernel has no BPF on control groups (CONFIG_CGROUP_BPF), or no cgroup2",
    )
    .0
}

fn tracepoint() -> Answer {
    let kind = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT;
    let no_attach = bpf_attach_type::BPF_CGROUP_INET_INGRESS;
    let result = load_trivial("fd_probe_tp", kind, no_attach, 0)
        .and_then(|program| raw_tracepoint(program.as_fd(), c"sched_process_fork"));
    Answer::from_result(
        result,
        "BPF programs on tracepoints; children of a target are followed",
        "this kernel has no BPF on tracepoints (CONFIG_BPF_EVENTS)",
    )
    .0
}

fn rcu_expedited() -> Answer {
    const PATH: &str = "/sys/kernel/rcu_expedited";
    let result = OpenOptions::new().write(true).open(PATH);
    let works = "classifiers attach within 1 ms";
    let lacks = "there is no /sys/kernel/rcu_expedited; attaching a classifier takes some 10 ms";
    Answer::from_result(result, works, lacks).0
}
