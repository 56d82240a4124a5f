//! Rules for processes: which processes are in which of them.
//!
//! Processes that the same rules name form a *class*. The fork hook copies the
//! class of the parent to the child; as every class has one list of rules,
//! which rules a class means can change without touching its members.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;

/// Number of a class; never used again.
pub type Class = u32;

/// The classes, and the processes as far as user space put them there.
#[derive(Default)]
pub struct Classes {
    rules: HashMap<Class, BTreeSet<u16>>,
    last: Class,
}

/// What a new rule changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Classes, and the rules that each must get into its list.
    pub classes: Vec<(Class, BTreeSet<u16>)>,
    /// Processes and their class from now on.
    pub members: Vec<(u32, Class)>,
}

impl Classes {
    /// Makes `pids` members of the rule in `slot`, given what class each is in
    /// now, and which classes have other members too: those stay as they are.
    ///
    /// A class that comes along as a whole only gets one more rule. Otherwise
    /// rules for the same processes would take lists as long as all of them
    /// before, and fill the index with a few hundred.
    pub fn join(
        &mut self,
        slot: u16,
        pids: &[(u32, Option<Class>)],
        has_others: impl Fn(Class) -> bool,
    ) -> Joined {
        let mut joined = Joined::default();
        let mut split: HashMap<Option<Class>, Class> = HashMap::new();
        for (pid, class) in pids {
            // A class without rules is one whose rules have ended.
            let old = class.filter(|class| self.rules.contains_key(class));
            let new = *split.entry(old).or_insert_with(|| {
                if let Some(whole) = old.filter(|class| !has_others(*class)) {
                    self.rules.entry(whole).or_default().insert(slot);
                    joined.classes.push((whole, BTreeSet::from([slot])));
                    return whole;
                }
                self.last += 1;
                let mut rules = old.and_then(|c| self.rules.get(&c)).cloned().unwrap_or_default();
                rules.insert(slot);
                self.rules.insert(self.last, rules.clone());
                joined.classes.push((self.last, rules));
                self.last
            });
            if *class != Some(new) {
                joined.members.push((*pid, new));
            }
        }
        joined
    }

    /// Takes a rule out of every class and names these. Classes that mean
    /// nothing any more are forgotten; see [`Classes::is_dead`].
    pub fn leave(&mut self, slot: u16) -> Vec<Class> {
        let mut left = Vec::new();
        self.rules.retain(|class, rules| {
            if rules.remove(&slot) {
                left.push(*class);
            }
            !rules.is_empty()
        });
        left
    }

    /// Whether members of the class can be forgotten.
    pub fn is_dead(&self, class: Class) -> bool {
        !self.rules.contains_key(&class)
    }

    /// Whether the class means the rule in `slot`.
    pub fn holds(&self, class: Class, slot: u16) -> bool {
        self.rules.get(&class).is_some_and(|rules| rules.contains(&slot))
    }
}

/// The processes given and all that descend from them, as procfs shows it now.
pub fn with_descendants(pids: &[u32]) -> Vec<u32> {
    let mut known: HashSet<u32> = pids.iter().copied().collect();
    let mut open: Vec<u32> = known.iter().copied().collect();
    while let Some(pid) = open.pop() {
        for child in children(pid) {
            if known.insert(child) {
                open.push(child);
            }
        }
    }
    let mut all: Vec<u32> = known.into_iter().collect();
    all.sort_unstable();
    all
}

/// Children of any thread of a process; none if it is gone.
/// (`/proc/PID/task/TID/children`, proc_pid_children(5).)
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_ascii_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_two_rules_get_a_class_of_their_own() {
        let mut classes = Classes::default();
        let first = classes.join(1, &[(10, None), (11, None)], |_| true);
        assert_eq!(first.classes, [(1, BTreeSet::from([1]))]);
        let second = classes.join(2, &[(11, Some(1)), (12, None)], |_| true);
        assert_eq!(second.members, [(11, 2), (12, 3)]);
        assert_eq!(second.classes[0], (2, BTreeSet::from([1, 2])));
        assert_eq!(second.classes[1], (3, BTreeSet::from([2])));

        let mut left = classes.leave(1);
        left.sort_unstable();
        assert_eq!(left, [1, 2]);
        assert!(classes.is_dead(1) && !classes.is_dead(2));
        assert!(classes.holds(2, 2) && !classes.holds(2, 1));
    }

    #[test]
    fn a_class_that_comes_along_as_a_whole_stays_one() {
        let mut classes = Classes::default();
        classes.join(1, &[(10, None), (11, None)], |_| true);
        let joined = classes.join(2, &[(10, Some(1)), (11, Some(1)), (12, None)], |_| false);
        assert_eq!(joined.classes, [(1, BTreeSet::from([2])), (2, BTreeSet::from([2]))]);
        assert_eq!(joined.members, [(12, 2)], "the others are where they were");
        assert!(classes.holds(1, 1) && classes.holds(1, 2) && !classes.holds(2, 1));
        assert_eq!(classes.leave(1), [1]);
        assert!(!classes.is_dead(1), "the second rule needs it");
    }

    #[test]
    fn a_class_of_ended_rules_counts_as_none() {
        let mut classes = Classes::default();
        classes.join(1, &[(10, None)], |_| true);
        classes.leave(1);
        let joined = classes.join(2, &[(10, Some(1)), (11, None)], |_| true);
        assert_eq!(joined.members, [(10, 2), (11, 2)]);
    }

    #[test]
    fn a_child_is_found_below_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let all = with_descendants(&[std::process::id()]);
        assert!(all.contains(&std::process::id()) && all.contains(&child.id()), "{all:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
