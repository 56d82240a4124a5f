//! The eBPF object of the family: its maps, typed, and its programs, each
//! loaded when something needs it.
//!
//! aya loads no fmod_ret programs, so this goes through its parser and its own
//! loading is not used.

use std::{
    collections::HashMap as Named,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use anyhow::{Context, anyhow};
use aya::maps::{Array, HashMap, Map, MapData};
use aya_obj::{
    Object as Parsed,
    generated::{bpf_attach_type, bpf_prog_type},
};
use faultd_abi::{
    FORK_COPIES,
    syscall::{CallKey, Config, Root, Rule, State, map},
};

use super::{
    calls::{At, GroupHook, Place},
    types::types,
};
use crate::host::{
    bpf::{self, LinkTarget, Loadable},
    cgroup::v2_root,
};

/// The object that was built with the daemon.
static EMBEDDED: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/faultd-syscall"));

/// What the kernel calls each of the programs; residue is known by it.
pub const NAME: &str = "faultd_syscall";

/// The program that follows children.
const FORK: &str = "task_fork";

/// The maps.
pub struct Maps {
    /// Rules by slot.
    pub rules: Array<MapData, Rule>,
    /// What they met.
    pub states: Array<MapData, State>,
    /// What is known besides.
    pub settings: Array<MapData, Config>,
    /// Slots by process.
    pub pids: HashMap<MapData, u32, u32>,
    /// Whether [`Self::pids`] may know a process.
    pub pid_filter: Array<MapData, u64>,
    /// Slots by call.
    pub calls: HashMap<MapData, CallKey, u32>,
    /// Slots by root.
    pub roots: HashMap<MapData, Root, u32>,
}

/// A program that is attached until this is dropped.
pub struct Attached {
    link: OwnedFd,
    program: OwnedFd,
}

impl Attached {
    /// Calls that passed because another thread was interrupted in this program
    /// on the same processor (`__bpf_prog_enter_recur`, kernel/bpf/trampoline.c).
    pub fn missed(&self) -> u64 {
        bpf::missed(self.program.as_fd()).unwrap_or(0)
    }

    /// Detaches without waiting: the kernel does, for every processor and task.
    pub fn detach(self) {
        std::thread::spawn(move || drop(self.link));
    }
}

/// The object.
pub struct Object {
    /// Its maps.
    pub maps: Maps,
    parsed: Parsed,
    root: Option<OwnedFd>,
}

impl Object {
    /// Makes the maps. Attaches nothing.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load() -> anyhow::Result<Self> {
        let mut parsed = Parsed::parse(EMBEDDED).context("the eBPF object")?;
        let definitions = std::mem::take(&mut parsed.maps);
        let mut made: Named<String, MapData> = Named::new();
        for (name, definition) in &definitions {
            let map = MapData::create(definition.clone(), name, None);
            made.insert(name.clone(), map.with_context(|| format!("eBPF map {name}"))?);
        }
        let text = parsed.functions.keys().map(|(section, _)| *section).collect();
        let fds = definitions.iter().filter_map(|(name, definition)| {
            let fd = made.get(name)?.fd().as_fd().as_raw_fd();
            Some((name.as_str(), fd, definition))
        });
        parsed.relocate_maps(fds, &text).context("the eBPF object")?;
        parsed.relocate_calls(&text).context("the eBPF object")?;
        let mut maps = Maps {
            rules: Array::try_from(Map::Array(take(&mut made, map::RULES)?))?,
            states: Array::try_from(Map::Array(take(&mut made, map::STATES)?))?,
            settings: Array::try_from(Map::Array(take(&mut made, map::SETTINGS)?))?,
            pids: HashMap::try_from(Map::HashMap(take(&mut made, map::PIDS)?))?,
            pid_filter: Array::try_from(Map::Array(take(&mut made, map::PID_FILTER)?))?,
            calls: HashMap::try_from(Map::HashMap(take(&mut made, map::CALLS)?))?,
            roots: HashMap::try_from(Map::HashMap(take(&mut made, map::ROOTS)?))?,
        };
        let offsets = types().map_err(|missing| anyhow!("{missing}"))?.offsets;
        maps.settings.set(0, Config { offsets, ..Config::default() }, 0)?;
        Ok(Self { maps, parsed, root: None })
    }

    /// Loads a place's program and attaches it.
    ///
    /// # Errors
    /// When the kernel refuses; the verifier's last words are in the message.
    pub fn attach(&mut self, place: &Place) -> anyhow::Result<Attached> {
        let (program, link) = match &place.at {
            At::Function(function) | At::Lsm(function) => {
                let id = types().ok().and_then(|types| types.function(function));
                let id = id.with_context(|| format!("this kernel has no {function}"))?;
                let kind = match place.at {
                    At::Lsm(_) => Kind::Lsm(id),
                    _ => Kind::Function(id),
                };
                let program = self.program(place.program, kind)?;
                let link = bpf::trampoline(program.as_fd());
                let link = link.with_context(|| format!("attaching to {function}"))?;
                (program, link)
            }
            At::Group(hook) => {
                let program = self.program(place.program, Kind::Group(*hook))?;
                let target = LinkTarget::Cgroup(self.root()?.as_fd());
                let link = bpf::link(program.as_fd(), target, hook.attach_type());
                let link = link.with_context(|| {
                    format!("attaching {} to the root control group", place.program)
                })?;
                (program, link)
            }
        };
        Ok(Attached { link, program })
    }

    /// Follows children from now on.
    ///
    /// Several copies of the program do, each of which is enough:
    /// [`FORK_COPIES`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn follow_children(&self) -> anyhow::Result<Vec<Attached>> {
        (0..FORK_COPIES).map(|_| self.follow_forks()).collect()
    }

    fn follow_forks(&self) -> anyhow::Result<Attached> {
        let program = self.program(FORK, Kind::Tracepoint)?;
        let link = bpf::raw_tracepoint(program.as_fd(), c"sched_process_fork")
            .context("attaching to sched_process_fork")?;
        Ok(Attached { link, program })
    }

    fn root(&mut self) -> anyhow::Result<&OwnedFd> {
        if self.root.is_none() {
            self.root = Some(v2_root().context("the root of the control groups")?);
        }
        self.root.as_ref().ok_or_else(|| anyhow!("the root was just opened"))
    }

    fn program(&self, name: &str, kind: Kind) -> anyhow::Result<OwnedFd> {
        let function = self.parsed.programs.get(name).map(|program| program.function_key());
        let function = function.and_then(|key| self.parsed.functions.get(&key));
        let function = function.with_context(|| {
            format!("the eBPF object has no {name}; it was built from other sources")
        })?;
        let (kind, attach, id) = match kind {
            Kind::Function(id) => {
                (bpf_prog_type::BPF_PROG_TYPE_TRACING, bpf_attach_type::BPF_MODIFY_RETURN, id)
            }
            Kind::Lsm(id) => (bpf_prog_type::BPF_PROG_TYPE_LSM, bpf_attach_type::BPF_LSM_MAC, id),
            Kind::Group(hook @ GroupHook::Create) => {
                (bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK, hook.attach_type(), 0)
            }
            Kind::Group(hook) => {
                (bpf_prog_type::BPF_PROG_TYPE_CGROUP_SOCK_ADDR, hook.attach_type(), 0)
            }
            // Not looked at for this type.
            Kind::Tracepoint => (
                bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT,
                bpf_attach_type::BPF_CGROUP_INET_INGRESS,
                0,
            ),
        };
        let loadable = Loadable {
            name: NAME,
            kind,
            attach,
            function: id,
            license: &self.parsed.license,
            instructions: &function.instructions,
        };
        bpf::load(&loadable).with_context(|| name.to_owned())
    }
}

/// What a program is.
#[derive(Clone, Copy)]
enum Kind {
    /// fmod_ret for the function with this type id.
    Function(u32),
    /// A hook of the BPF LSM, whose function has this type id.
    Lsm(u32),
    /// A hook of control groups.
    Group(GroupHook),
    /// A raw tracepoint.
    Tracepoint,
}

fn take(maps: &mut Named<String, MapData>, name: &str) -> anyhow::Result<MapData> {
    maps.remove(name).with_context(|| {
        format!("the eBPF object has no map {name}; it was built from other sources")
    })
}

#[cfg(test)]
mod tests {
    use faultd_api::Call;

    use super::*;
    use crate::{
        fault::syscall::{calls, ladder::Backend},
        host::test_support::skipped,
    };

    #[test]
    fn programs_bear_the_marks_that_residue_is_known_by() {
        if !nix::unistd::geteuid().is_root() {
            return skipped("needs root");
        }
        let object = match Object::load() {
            Ok(object) => object,
            Err(e) => return skipped(&format!("{e:#}")),
        };
        let _held = object.program(FORK, Kind::Tracepoint).unwrap();
        let found = crate::host::residue::traces(&crate::fault::net::MARKS).unwrap();
        let start = format!("BPF program {NAME} (");
        let own = std::process::id();
        let is_it = |t: &crate::host::residue::Trace| {
            t.what.starts_with(&start) && t.holders.contains(&own)
        };
        assert!(found.iter().any(is_it), "{found:#?}");
    }

    /// The verifier's verdict on every program, also where the kernel has no
    /// trampolines: those for functions are loaded as raw tracepoints, which
    /// have the same helpers, and take their arguments as plain memory anyway.
    #[test]
    fn the_verifier_takes_every_program() {
        if !nix::unistd::geteuid().is_root() {
            return skipped("needs root");
        }
        let object = match Object::load() {
            Ok(object) => object,
            Err(e) => return skipped(&format!("{e:#}")),
        };
        object.program(FORK, Kind::Tracepoint).unwrap();
        let mut seen = std::collections::BTreeSet::from(["entry", "entry_fd"]);
        for name in &seen {
            object.program(name, Kind::Tracepoint).unwrap();
        }
        let calls = calls::PROMISED.map(|name| name.parse::<Call>().unwrap());
        for (call, backend) in
            calls.into_iter().flat_map(|call| [(call, Backend::Hook), (call, Backend::Group)])
        {
            for place in calls::places(backend, call, false).unwrap_or_default() {
                if !seen.insert(place.program) {
                    continue;
                }
                let kind = match &place.at {
                    At::Group(hook) => Kind::Group(*hook),
                    At::Function(_) | At::Lsm(_) => Kind::Tracepoint,
                };
                if let Err(e) = object.program(place.program, kind) {
                    panic!("{}: {e:#}", place.program);
                }
            }
        }
        assert_eq!(seen.len(), object.parsed.programs.len() - 3, "{seen:?}");
    }
}
