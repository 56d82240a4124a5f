//! Programs at the hooks that control groups have at sockets: an error instead
//! of their answer (bpf_set_retval(), Linux 5.18).

use aya_ebpf::{
    helpers::bpf_set_retval,
    macros::{cgroup_sock, cgroup_sock_addr},
    programs::{SockAddrContext, SockContext},
};
use faultd_abi::syscall::hook;

use crate::judge::judge;

const REFUSE: i32 = 0;
const ALLOW: i32 = 1;

#[inline(always)]
fn answer() -> i32 {
    let error = judge(hook::CGROUP, |_| Some((0, 0)));
    if error == 0 {
        return ALLOW;
    }
    // SAFETY: takes a number.
    unsafe { bpf_set_retval(-(error as i32)) };
    REFUSE
}

macro_rules! at_addresses {
    ($($name:ident),*) => {$(
        #[cgroup_sock_addr($name)]
        pub fn $name(_ctx: SockAddrContext) -> i32 {
            answer()
        }
    )*};
}

at_addresses!(connect4, connect6, bind4, bind6, sendmsg4, sendmsg6);

#[cgroup_sock(sock_create)]
pub fn sock_create(_ctx: SockContext) -> i32 {
    answer()
}
