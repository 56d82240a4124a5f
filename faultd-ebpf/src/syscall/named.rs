//! Whom the rules name. Every call of every process comes through here, so what
//! is dear is asked last and of as few as can be.

use aya_ebpf::helpers::{
    bpf_get_current_ancestor_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
};
use faultd_abi::syscall::{Config, EXEMPT, FILTERED, INIT, SLOTS};

use crate::{
    flag::{is_zero, mask},
    maps::{PID_FILTER, PIDS, RULES},
};

/// The slots of rules that name the current process.
#[inline(always)]
pub fn named(config: &Config) -> u32 {
    let scoped = if config.scopes == 0 { 0 } else { scoped(config) };
    if config.pids | scoped == 0 {
        return 0;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let may_be_known = PID_FILTER.get(tgid % FILTERED).is_some_and(|word| *word != 0);
    // SAFETY: a word, copied at once.
    let known = if may_be_known { unsafe { PIDS.get(&tgid) }.copied() } else { None };
    let known = known.unwrap_or(0);
    let exempt = known & EXEMPT != 0 || tgid == INIT;
    known & config.pids | if exempt { 0 } else { scoped }
}

/// The slots of rules for groups and users that the current process is in.
#[inline(always)]
fn scoped(config: &Config) -> u32 {
    let uid = if config.users == 0 { 0 } else { bpf_get_current_uid_gid() as u32 };
    let mut slots = 0;
    let mut scopes = config.scopes;
    for slot in 0..SLOTS {
        if scopes == 0 {
            break;
        }
        let is_set = scopes & 1 != 0;
        scopes >>= 1;
        if !is_set {
            continue;
        }
        let Some(rule) = RULES.get(slot) else { break };
        // SAFETY: takes a number.
        let group = unsafe { bpf_get_current_ancestor_cgroup_id(rule.level as i32) };
        let differs =
            (group ^ rule.cgroup) & rule.cgroup_mask | u64::from((uid ^ rule.uid) & rule.uid_mask);
        slots |= rule.bit & mask(is_zero(differs)) as u32;
    }
    slots
}
