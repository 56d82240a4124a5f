//! The maps; `faultd_abi::syscall::map` documents them.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap},
};
use faultd_abi::syscall::{CallKey, Config, FILTERED, Root, Rule, SLOTS, State};

#[map]
pub static SETTINGS: Array<Config> = Array::with_max_entries(1, 0);

#[map]
pub static RULES: Array<Rule> = Array::with_max_entries(SLOTS, 0);

#[map]
pub static STATES: Array<State> = Array::with_max_entries(SLOTS, 0);

#[map]
pub static PIDS: HashMap<u32, u32> = HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

#[map]
pub static PID_FILTER: Array<u64> = Array::with_max_entries(FILTERED, 0);

#[map]
pub static CALLS: HashMap<CallKey, u32> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

#[map]
pub static ROOTS: HashMap<Root, u32> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);
