//! The loaded eBPF object: its programs and its maps, typed.

use std::{borrow::Cow, env, fs, path::PathBuf};

use aya::{
    Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, SkStorage},
    programs::{CgroupSkb, CgroupSock, ProgramError, RawTracePoint, SchedClassifier},
};
use faultd_abi::{
    Address, Config, Counters, Distribution, ExemptKey, Head, Node, Origins, PrefixEntry, Rule,
    RuleState, map,
};

use super::distributions;

/// The object that was built with the daemon.
static EMBEDDED: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/faultd-net"));

/// Names another object instead, for tests of one that was built apart.
const OBJECT_ENV: &str = "FAULTD_NET_OBJECT";

/// Why the object could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel refused it, or it is no such object.
    #[error("cannot load the eBPF object: {0}")]
    Object(#[from] aya::EbpfError),
    /// A program did not pass the verifier.
    #[error("cannot load the eBPF program {name}: {source}")]
    Program {
        /// Which.
        name: &'static str,
        /// The kernel's answer, with the verifier's log.
        #[source]
        source: ProgramError,
    },
    /// The object was built from other sources than the daemon.
    #[error("the eBPF object has no {0}; it was built from other sources")]
    Missing(&'static str),
    /// A map is not of the type expected, or could not be filled.
    #[error("eBPF map {name}: {source}")]
    Map {
        /// Which.
        name: &'static str,
        /// What is wrong.
        #[source]
        source: MapError,
    },
    /// Nobody says how many CPUs there may be.
    #[error("{path}: {source}")]
    Cpus {
        /// The file that should.
        path: &'static str,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// The object named in the environment cannot be read.
    #[error("{OBJECT_ENV} {path}: {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// What is fixed when the object is loaded.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// The skb mark bit that says "seen"; see
    /// [`faultd_abi::DEFAULT_BYPASS_MARK`].
    pub bypass_mark: u32,
    /// Log each affected packet, at debug level.
    pub log: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { bypass_mark: faultd_abi::DEFAULT_BYPASS_MARK, log: false }
    }
}

/// Names of the programs.
pub mod program {
    use faultd_abi::FORK_COPIES;

    /// Classifier, packets that leave an interface.
    pub const TC_EGRESS: &str = "tc_egress";
    /// Classifier, packets that arrive at an interface.
    pub const TC_INGRESS: &str = "tc_ingress";
    /// Classifier, the way back in for packets held on arrival.
    pub const TAP_INGRESS: &str = "tap_ingress";
    /// Packets that arrive at a socket.
    pub const CG_INGRESS: &str = "cg_ingress";
    /// Tags new sockets.
    pub const SOCK_CREATE: &str = "sock_create";
    /// Keep track of children; each is enough.
    pub const TASK_FORK: [&str; FORK_COPIES] =
        ["task_fork_1", "task_fork_2", "task_fork_3", "task_fork_4"];
}

/// An array map.
pub type ArrayMap<T> = Array<MapData, T>;
/// A hash map.
pub type Hash<K, V> = HashMap<MapData, K, V>;

/// The maps.
pub struct Maps {
    /// What the programs know besides the rules.
    pub config: ArrayMap<Config>,
    /// Rules by slot.
    pub rules: ArrayMap<Rule>,
    /// Their memory.
    pub state: ArrayMap<RuleState>,
    /// Their counts.
    pub counters: PerCpuArray<MapData, Counters>,
    /// How many CPUs those are kept for.
    pub cpus: usize,
    /// Index: list nodes.
    pub nodes: ArrayMap<Node>,
    /// Index: by port.
    pub port_heads: ArrayMap<Head>,
    /// Index: by cgroup.
    pub cgroup_heads: Hash<u64, Head>,
    /// Index: by user.
    pub uid_heads: Hash<u32, Head>,
    /// Index: by interface.
    pub interface_heads: Hash<u32, Head>,
    /// Index: by process class.
    pub class_heads: Hash<u32, Head>,
    /// Process classes by tgid.
    pub pid_class: Hash<u32, u32>,
    /// Index: by address prefix.
    pub prefix_trie: LpmTrie<MapData, Address, u32>,
    /// Entries of the prefix index.
    pub prefix_entries: ArrayMap<PrefixEntry>,
    /// In front of the index: what it may hold.
    pub filter: ArrayMap<u64>,
    /// The process that made a socket.
    pub sock_tag: SkStorage<MapData, u32>,
    /// Flows that no rule touches.
    pub exempt: Hash<ExemptKey, u32>,
    /// Numbers of interfaces.
    pub origins: Hash<u32, Origins>,
    /// Where what comes out of a TAP is received.
    pub tap_targets: Hash<u32, u32>,
    /// What went wrong.
    pub notes: PerCpuArray<MapData, u64>,
}

/// The object, its programs loaded but attached nowhere.
pub struct Object {
    /// Programs, and the maps that only they use.
    pub ebpf: Ebpf,
    /// The maps.
    pub maps: Maps,
    /// When the delay line was last alive; apart, because its thread writes it.
    pub heartbeat: ArrayMap<u64>,
    /// Until when rules are in force; apart, because another thread renews it.
    pub lease: ArrayMap<u64>,
}

impl Object {
    /// Loads the object into the kernel.
    ///
    /// # Errors
    /// When the kernel refuses; the verifier's log is in the message.
    pub fn load(options: LoadOptions) -> Result<Self, LoadError> {
        let bytes = object_bytes()?;
        let log_level: u8 = if options.log { aya_log::Level::Debug as u8 } else { 0 };
        let mut ebpf = EbpfLoader::new()
            // Nothing here is relocated against the kernel's types, and
            // parsing those takes 30 ms and 10 MiB.
            .btf(None)
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global(map::BYPASS_MARK, &options.bypass_mark, true)
            .override_global(aya_log::LEVEL, &log_level, false)
            .load(&bytes)?;
        load_programs(&mut ebpf)?;
        let maps = Maps::take(&mut ebpf)?;
        let heartbeat = take(&mut ebpf, map::LINE_HEARTBEAT)?;
        let lease = take(&mut ebpf, map::LEASE)?;
        Ok(Self { ebpf, maps, heartbeat, lease })
    }
}

fn object_bytes() -> Result<Cow<'static, [u8]>, LoadError> {
    let Some(path) = env::var_os(OBJECT_ENV).map(PathBuf::from) else {
        return Ok(Cow::Borrowed(EMBEDDED));
    };
    fs::read(&path).map(Cow::Owned).map_err(|source| LoadError::File { path, source })
}

fn load_programs(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    for name in [program::TC_EGRESS, program::TC_INGRESS, program::TAP_INGRESS] {
        classifier(ebpf, name)?.load().map_err(|source| LoadError::Program { name, source })?;
    }
    let name = program::CG_INGRESS;
    cg_ingress(ebpf)?.load().map_err(|source| LoadError::Program { name, source })?;
    let name = program::SOCK_CREATE;
    sock_create(ebpf)?.load().map_err(|source| LoadError::Program { name, source })?;
    for name in program::TASK_FORK {
        task_fork(ebpf, name)?.load().map_err(|source| LoadError::Program { name, source })?;
    }
    Ok(())
}

/// A classifier by name.
///
/// # Errors
/// When the object lacks it.
pub fn classifier<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program { name, source })
}

/// The program for packets that arrive at sockets.
///
/// # Errors
/// When the object lacks it.
pub fn cg_ingress(ebpf: &mut Ebpf) -> Result<&mut CgroupSkb, LoadError> {
    let name = program::CG_INGRESS;
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program { name, source })
}

/// The program that tags sockets.
///
/// # Errors
/// When the object lacks it.
pub fn sock_create(ebpf: &mut Ebpf) -> Result<&mut CgroupSock, LoadError> {
    let name = program::SOCK_CREATE;
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program { name, source })
}

/// A program that keeps track of children, by name.
///
/// # Errors
/// When the object lacks it.
pub fn task_fork<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut RawTracePoint, LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    program.try_into().map_err(|source| LoadError::Program { name, source })
}

impl Maps {
    fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        fill_distributions(take(ebpf, map::DISTRIBUTIONS)?)?;
        Ok(Self {
            config: take(ebpf, map::CONFIG)?,
            rules: take(ebpf, map::RULES)?,
            state: take(ebpf, map::STATE)?,
            counters: take(ebpf, map::COUNTERS)?,
            cpus: aya::util::nr_cpus()
                .map_err(|(path, source)| LoadError::Cpus { path, source })?,
            nodes: take(ebpf, map::NODES)?,
            port_heads: take(ebpf, map::PORT_HEADS)?,
            cgroup_heads: take(ebpf, map::CGROUP_HEADS)?,
            uid_heads: take(ebpf, map::UID_HEADS)?,
            interface_heads: take(ebpf, map::INTERFACE_HEADS)?,
            class_heads: take(ebpf, map::CLASS_HEADS)?,
            pid_class: take(ebpf, map::PID_CLASS)?,
            prefix_trie: take(ebpf, map::PREFIX_TRIE)?,
            prefix_entries: take(ebpf, map::PREFIX_ENTRIES)?,
            filter: take(ebpf, map::FILTER)?,
            sock_tag: take(ebpf, map::SOCK_TAG)?,
            exempt: take(ebpf, map::EXEMPT)?,
            origins: take(ebpf, map::ORIGINS)?,
            tap_targets: take(ebpf, map::TAP_TARGETS)?,
            notes: take(ebpf, map::NOTES)?,
        })
    }
}

fn take<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, LoadError>
where
    T: TryFrom<Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    T::try_from(map).map_err(|source| LoadError::Map { name, source })
}

fn fill_distributions(mut map: ArrayMap<Distribution>) -> Result<(), LoadError> {
    for (index, table) in (0_u32..).zip(distributions::tables()) {
        map.set(index, table, 0)
            .map_err(|source| LoadError::Map { name: map::DISTRIBUTIONS, source })?;
    }
    Ok(())
}
