//! Tags new sockets with the process that makes them, while a rule names
//! processes.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::{bpf_get_current_pid_tgid, bpf_sk_storage_get},
    macros::cgroup_sock,
    programs::SockContext,
};
use faultd_abi::NOTE_TAG_FAILED;

use crate::maps::{SOCK_TAG, note};

const ALLOW: i32 = 1;

/// A process makes a socket. Sockets that are accepted from it inherit the
/// tag.
#[cgroup_sock(sock_create)]
pub fn sock_create(ctx: SockContext) -> i32 {
    let mut tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: the context is the socket; the map is one of socket storage.
    let tag = unsafe {
        bpf_sk_storage_get(
            core::ptr::from_ref(&SOCK_TAG).cast_mut().cast::<c_void>(),
            ctx.as_ptr(),
            core::ptr::from_mut(&mut tgid).cast(),
            u64::from(BPF_SK_STORAGE_GET_F_CREATE),
        )
    };
    if tag.is_null() {
        note(NOTE_TAG_FAILED);
    }
    ALLOW
}
