//! Rules for processes: membership, and tags on the sockets that are there.

use std::{collections::HashSet, io, os::fd::AsFd};

use super::{
    PlaneError,
    core::Core,
    index::Key,
    pids::{Class, with_descendants},
    tables::forgive_absent,
};
use crate::host::{bpf::btf, process::pidfd, sockets};

impl Core {
    /// Makes processes and their children members of a rule, and tags the
    /// sockets that they have.
    pub(super) fn join_processes(
        &mut self,
        pids: &[u32],
        slot: u16,
        generation: u32,
    ) -> Result<(), PlaneError> {
        self.learn_task_layout()?;
        // Children of members are members from here on; those that were
        // forked before are found in procfs afterwards.
        self.join(pids, slot, generation)?;
        let all = with_descendants(pids);
        let missed: Vec<u32> =
            all.iter().copied().filter(|pid| !self.is_member(*pid, slot)).collect();
        self.join(&missed, slot, generation)?;
        for pid in all {
            self.tag_sockets(pid)?;
        }
        Ok(())
    }

    fn is_member(&self, pid: u32, slot: u16) -> bool {
        self.maps.pid_class.get(&pid, 0).is_ok_and(|class| self.classes.holds(class, slot))
    }

    fn join(&mut self, pids: &[u32], slot: u16, generation: u32) -> Result<(), PlaneError> {
        let now: Vec<(u32, Option<Class>)> =
            pids.iter().map(|pid| (*pid, self.maps.pid_class.get(pid, 0).ok())).collect();
        let others = self.classes_beside(pids);
        let joined = self.classes.join(slot, &now, |class| others.contains(&class));
        for (class, rules) in joined.classes {
            for member in rules {
                let generation = match member == slot {
                    true => generation,
                    false => self.slots.get(member).map_or(0, |entry| entry.generation),
                };
                self.link(Key::Class(class), member, generation)?;
            }
        }
        for (pid, class) in joined.members {
            self.maps.pid_class.insert(pid, class, 0)?;
        }
        Ok(())
    }

    /// Classes that have living members beside `pids`.
    fn classes_beside(&self, pids: &[u32]) -> HashSet<Class> {
        let members = self.maps.pid_class.iter().filter_map(Result::ok);
        let others = members.filter(|(pid, _)| !pids.contains(pid) && pidfd::open(*pid).is_ok());
        others.map(|(_, class)| class).collect()
    }

    /// Ends a rule's membership. The lists of its classes are gone already.
    pub(super) fn leave_processes(&mut self, slot: u16) -> Vec<PlaneError> {
        let mut errors: Vec<PlaneError> = Vec::new();
        if self.classes.leave(slot).is_empty() {
            return errors;
        }
        let dead = |found: Result<(u32, Class), _>| {
            found.ok().filter(|(_, class)| self.classes.is_dead(*class)).map(|(pid, _)| pid)
        };
        let gone: Vec<u32> = self.maps.pid_class.iter().filter_map(dead).collect();
        for pid in gone {
            errors.extend(
                forgive_absent(self.maps.pid_class.remove(&pid)).err().map(PlaneError::from),
            );
        }
        errors
    }

    /// Tags the sockets that a process has, as those that it makes from now on
    /// are tagged by the program. What is gone meanwhile needs no tag.
    fn tag_sockets(&mut self, pid: u32) -> Result<(), PlaneError> {
        let fail = |source: io::Error| PlaneError::Host {
            what: format!("the sockets of process {pid}"),
            source,
        };
        let process = match pidfd::open(pid) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            opened => opened.map_err(fail)?,
        };
        for fd in sockets::descriptors_of(pid) {
            let socket = match pidfd::get_fd(process.as_fd(), fd) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EBADF)) => {
                    continue;
                }
                copied => copied.map_err(fail)?,
            };
            self.maps.sock_tag.insert(&socket, pid, 0)?;
        }
        Ok(())
    }

    /// Where the fork hook finds the ids of a child.
    fn learn_task_layout(&mut self) -> Result<(), PlaneError> {
        if self.config.task_tgid_offset != 0 {
            return Ok(());
        }
        let fail = |source| PlaneError::Host {
            what: "the layout of struct task_struct".to_owned(),
            source,
        };
        let [pid, tgid] = btf::offsets("task_struct", ["pid", "tgid"]).map_err(fail)?;
        self.config.task_pid_offset = pid;
        self.config.task_tgid_offset = tgid;
        self.write_config()
    }
}
