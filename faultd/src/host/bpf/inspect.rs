//! Which programs and links the kernel holds, whoever made them.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{
    bpf_attach_type, bpf_cmd, bpf_link_info, bpf_link_type, bpf_map_info, bpf_prog_info,
};

use super::{call, call_fd, zeroed};

/// A program that the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadedProgram {
    /// Its id, never reused within a boot (it wraps after 2^31).
    pub id: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// `BPF_PROG_TYPE_*`.
    pub kind: u32,
    /// The names of its maps, sorted.
    pub maps: Vec<String>,
}

/// Where a link attaches its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// TCX on an interface (of a namespace that the kernel does not tell).
    Tcx {
        /// 0 when the interface is gone.
        ifindex: u32,
        /// Egress, or else ingress.
        egress: bool,
    },
    /// A control group.
    Cgroup {
        /// Its id; 0 when it is gone.
        id: u64,
    },
    /// Any other `BPF_LINK_TYPE_*`.
    Other(u32),
}

/// A link that the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadedLink {
    /// Its id.
    pub id: u32,
    /// The program that it attaches.
    pub program: u32,
    /// Where to.
    pub kind: LinkKind,
}

/// Every program.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN. Programs that go meanwhile are left out.
pub fn programs() -> io::Result<Vec<LoadedProgram>> {
    let mut found = Vec::new();
    for id in ids(bpf_cmd::BPF_PROG_GET_NEXT_ID)? {
        let Some(fd) = open(bpf_cmd::BPF_PROG_GET_FD_BY_ID, id)? else { continue };
        found.push(program(&fd)?);
    }
    Ok(found)
}

/// Every link.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN. Links that go meanwhile are left out.
pub fn links() -> io::Result<Vec<LoadedLink>> {
    let mut found = Vec::new();
    for id in ids(bpf_cmd::BPF_LINK_GET_NEXT_ID)? {
        let Some(fd) = open(bpf_cmd::BPF_LINK_GET_FD_BY_ID, id)? else { continue };
        let mut info: bpf_link_info = plain();
        get_info(&fd, &mut info)?;
        found.push(LoadedLink { id: info.id, program: info.prog_id, kind: link_kind(&info) });
    }
    Ok(found)
}

/// How often a program was not run because it was running on the same processor
/// already (Linux 5.12; 0 before).
///
/// # Errors
/// The kernel's answer.
pub fn missed(program: BorrowedFd<'_>) -> io::Result<u64> {
    let mut info: bpf_prog_info = plain();
    get_info(&program, &mut info)?;
    Ok(info.recursion_misses)
}

fn link_kind(info: &bpf_link_info) -> LinkKind {
    let about = &info.__bindgen_anon_1;
    if info.type_ == bpf_link_type::BPF_LINK_TYPE_TCX as u32 {
        // SAFETY: the kernel filled the variant that goes with the type.
        let tcx = unsafe { about.tcx };
        let egress = tcx.attach_type == bpf_attach_type::BPF_TCX_EGRESS as u32;
        return LinkKind::Tcx { ifindex: tcx.ifindex, egress };
    }
    if info.type_ == bpf_link_type::BPF_LINK_TYPE_CGROUP as u32 {
        // SAFETY: as above.
        return LinkKind::Cgroup { id: unsafe { about.cgroup.cgroup_id } };
    }
    LinkKind::Other(info.type_)
}

fn program(fd: &OwnedFd) -> io::Result<LoadedProgram> {
    /// The most maps of one program (`kernel/bpf/verifier.c`, MAX_USED_MAPS).
    const MOST_MAPS: usize = 64;
    let mut map_ids = [0u32; MOST_MAPS];
    let mut info: bpf_prog_info = plain();
    info.nr_map_ids = MOST_MAPS as u32;
    info.map_ids = map_ids.as_mut_ptr() as u64;
    get_info(fd, &mut info)?;
    let mut maps = Vec::new();
    for id in map_ids.iter().take(info.nr_map_ids as usize) {
        if let Some(map) = open(bpf_cmd::BPF_MAP_GET_FD_BY_ID, *id)? {
            let mut about: bpf_map_info = plain();
            get_info(&map, &mut about)?;
            maps.push(text(&about.name));
        }
    }
    maps.sort_unstable();
    Ok(LoadedProgram { id: info.id, name: text(&info.name), kind: info.type_, maps })
}

fn text(name: &[libc::c_char]) -> String {
    let bytes: Vec<u8> = name.iter().map(|c| *c as u8).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ids(cmd: bpf_cmd) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    let mut last = 0;
    loop {
        let mut attr = zeroed();
        attr.__bindgen_anon_6.__bindgen_anon_1.start_id = last;
        match call(cmd, &mut attr) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(e) => return Err(e),
        }
        // SAFETY: plain integers, written by the kernel.
        last = unsafe { attr.__bindgen_anon_6.next_id };
        found.push(last);
    }
}

/// `None` when the object is gone.
fn open(cmd: bpf_cmd, id: u32) -> io::Result<Option<OwnedFd>> {
    let mut attr = zeroed();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id; // the same place for every kind
    match call_fd(cmd, &mut attr) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The info structs of bpf(2): plain integers, so that zero is a valid value
/// and whatever the kernel writes is too.
trait Info {}
impl Info for bpf_prog_info {}
impl Info for bpf_link_info {}
impl Info for bpf_map_info {}

fn plain<T: Info>() -> T {
    // SAFETY: see the trait.
    unsafe { std::mem::zeroed() }
}

fn get_info<T: Info>(fd: &impl AsRawFd, info: &mut T) -> io::Result<()> {
    let mut attr = zeroed();
    attr.info.bpf_fd = fd.as_raw_fd() as u32;
    attr.info.info = std::ptr::from_mut(info) as u64;
    attr.info.info_len = size_of::<T>() as u32;
    call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use aya_obj::generated::bpf_prog_type;

    use super::*;
    use crate::host::{
        bpf::{LinkTarget, link, load_trivial},
        test_support::{private_netns, skipped},
    };

    #[test]
    fn a_program_is_listed_while_it_is_loaded() {
        let kind = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
        let attach = bpf_attach_type::BPF_CGROUP_INET_INGRESS; // none
        let fd = match load_trivial("fd_inspect_test", kind, attach, 0) {
            Ok(fd) => fd,
            Err(e) => return skipped(&format!("bpf(2): {e}")),
        };
        let listed = || programs().unwrap().into_iter().any(|p| p.name == "fd_inspect_test");
        assert!(listed());
        let mut info: bpf_prog_info = plain();
        get_info(&fd, &mut info).unwrap();
        drop(fd);
        // Freed after a grace period; its id is gone at once.
        let gone = |id| !programs().unwrap().iter().any(|p| p.id == id);
        assert!(gone(info.id));
    }

    #[test]
    fn a_tcx_link_tells_its_interface() {
        let Some(netns) = private_netns() else { return skipped("needs root") };
        let kind = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
        let attach = bpf_attach_type::BPF_TCX_EGRESS;
        let Ok(program) = load_trivial("fd_link_test", kind, attach, -1) else {
            return skipped("no TCX in this kernel");
        };
        let linked = netns.run(|| link(program.as_fd(), LinkTarget::Interface(1), attach)).unwrap();
        let Ok(held) = linked else { return skipped("no TCX in this kernel") };
        let mut info: bpf_prog_info = plain();
        get_info(&program, &mut info).unwrap();
        let find = || links().unwrap().into_iter().find(|l| l.program == info.id);
        assert_eq!(find().unwrap().kind, LinkKind::Tcx { ifindex: 1, egress: true });
        drop(held);
        assert_eq!(find(), None);
    }
}
