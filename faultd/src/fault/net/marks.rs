//! How the things that network faults make are told from other people's.

use super::{plane::program, qdisc::ROOT_MAJOR};
use crate::host::residue::Marks;

/// What the residue finder looks for.
pub const MARKS: Marks<'static> = Marks {
    qdisc_major: ROOT_MAJOR,
    programs: &[
        program::TC_EGRESS,
        program::TC_INGRESS,
        program::TAP_INGRESS,
        program::CG_INGRESS,
        program::SOCK_CREATE,
        program::TASK_FORK[0],
        program::TASK_FORK[1],
        program::TASK_FORK[2],
        program::TASK_FORK[3],
        crate::fault::syscall::PROGRAM,
    ],
    maps: &["PORT_HEADS", "TAP_TARGETS", "PID_CLASS", "SOCK_TAG", "SETTINGS"],
    // The delay line's TAP devices.
    interface_prefix: "faultd",
    // The probe makes the only ones.
    cgroup_prefix: "faultd-probe-",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::journal::Journal,
        fault::net::plane::{LoadOptions, Plane},
        host::{
            residue::traces,
            test_support::{private_netns, skipped},
        },
    };

    #[test]
    fn every_program_of_the_data_plane_bears_the_marks() {
        let Some(netns) = private_netns() else { return skipped("needs root") };
        let state = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(state.path()).unwrap();
        let _plane = Plane::load(&netns, &journal, LoadOptions::default()).unwrap();
        let found = traces(&MARKS).unwrap();
        let own = std::process::id();
        // Those of system calls are loaded with the first rule; their own test looks.
        let of_plane = |name: &&&str| **name != crate::fault::syscall::PROGRAM;
        for name in MARKS.programs.iter().filter(of_plane) {
            let start = format!("BPF program {name} (");
            let is_it = |t: &&crate::host::residue::Trace| {
                t.what.starts_with(&start) && t.holders.contains(&own)
            };
            assert!(found.iter().any(|t| is_it(&t)), "{name} is not among {found:#?}");
        }
    }
}
