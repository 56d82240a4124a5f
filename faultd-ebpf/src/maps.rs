//! The maps; `faultd_abi::map` documents them.

use aya_ebpf::{
    Global, bindings,
    macros::{btf_map, map},
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray},
};
use faultd_abi as abi;

use crate::atomic;

/// Set on packets that the plane has seen; see `DEFAULT_BYPASS_MARK`.
#[unsafe(no_mangle)]
pub static BYPASS_MARK: Global<u32> = Global::new(abi::DEFAULT_BYPASS_MARK);

#[map]
pub static CONFIG: Array<abi::Config> = Array::with_max_entries(1, 0);

#[map]
pub static RULES: Array<abi::Rule> = Array::with_max_entries(abi::SLOTS, 0);

#[map]
pub static STATE: Array<abi::RuleState> = Array::with_max_entries(abi::SLOTS, 0);

#[map]
pub static COUNTERS: PerCpuArray<abi::Counters> = PerCpuArray::with_max_entries(abi::SLOTS, 0);

#[map]
pub static NODES: Array<abi::Node> = Array::with_max_entries(abi::NODES, 0);

#[map]
pub static PORT_HEADS: Array<abi::Head> = Array::with_max_entries(1 << 16, 0);

#[map]
pub static CGROUP_HEADS: HashMap<u64, abi::Head> = sparse(abi::SLOTS);

#[map]
pub static UID_HEADS: HashMap<u32, abi::Head> = sparse(abi::SLOTS);

#[map]
pub static INTERFACE_HEADS: HashMap<u32, abi::Head> = sparse(abi::INTERFACES);

#[map]
pub static CLASS_HEADS: HashMap<u32, abi::Head> = sparse(abi::SLOTS);

#[map]
pub static PID_CLASS: HashMap<u32, u32> = sparse(1 << 16);

#[map]
pub static PREFIX_TRIE: LpmTrie<abi::Address, u32> = LpmTrie::with_max_entries(abi::PREFIXES, 0);

#[map]
pub static PREFIX_ENTRIES: Array<abi::PrefixEntry> = Array::with_max_entries(abi::PREFIXES, 0);

#[map]
pub static FILTER: Array<u64> = Array::with_max_entries(abi::FILTER_WORDS, 0);

/// Socket storage as aya's `SkStorage`, with BPF_F_CLONE: connections that are
/// accepted inherit the tag of the socket that listens.
#[repr(C)]
pub struct SocketTags {
    r#type: *const [i32; bindings::bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const u32,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (bindings::BPF_F_NO_PREALLOC | bindings::BPF_F_CLONE) as usize],
}

// SAFETY: the fields only describe types to the loader; nobody follows them.
unsafe impl Sync for SocketTags {}

#[btf_map]
pub static SOCK_TAG: SocketTags = SocketTags {
    r#type: core::ptr::null(),
    key: core::ptr::null(),
    value: core::ptr::null(),
    max_entries: core::ptr::null(),
    map_flags: core::ptr::null(),
};

#[map]
pub static FRAGMENTS: LruHashMap<abi::FragmentKey, abi::Ports> =
    LruHashMap::with_max_entries(8192, 0);

#[map]
pub static EXEMPT: HashMap<abi::ExemptKey, u32> = sparse(4096);

#[map]
pub static DISTRIBUTIONS: Array<abi::Distribution> = Array::with_max_entries(abi::DISTRIBUTIONS, 0);

#[map]
pub static LINE_HEARTBEAT: Array<u64> = Array::with_max_entries(1, 0);

#[map]
pub static LEASE: Array<u64> = Array::with_max_entries(1, 0);

#[map]
pub static ORIGINS: HashMap<u32, abi::Origins> = sparse(abi::MAX_ORIGIN as u32 + 1);

#[map]
pub static TAP_TARGETS: HashMap<u32, u32> = sparse(abi::MAX_ORIGIN as u32 + 1);

#[map]
pub static NOTES: PerCpuArray<u64> = PerCpuArray::with_max_entries(abi::NOTES, 0);

/// A hash map that takes memory for what it holds and not for what it may
/// hold; an idle daemon keeps all of them empty.
const fn sparse<K, V>(entries: u32) -> HashMap<K, V> {
    HashMap::with_max_entries(entries, bindings::BPF_F_NO_PREALLOC)
}

/// Counts something that went wrong (`NOTE_*`).
pub fn note(what: u32) {
    if let Some(count) = NOTES.get_ptr_mut(what) {
        // SAFETY: the map's element, valid while the program runs.
        atomic::add(unsafe { &mut *count }, 1);
    }
}
