//! What a user knows while it runs a flow.

use std::sync::Arc;

use super::random::Draws;

/// The name of a variable; names of one scenario share their text.
pub type Name = Arc<str>;

/// Variables that every user starts with: those of the scenario and what its
/// set-up extracted. Cheap to clone.
pub type Shared = Arc<Vec<(Name, Vec<u8>)>>;

/// The variables of one user.
#[derive(Debug, Clone)]
pub struct Vars {
    /// Number of the user.
    pub user: u64,
    /// How often it has run its flow: 0 the first time.
    pub iteration: u64,
    shared: Shared,
    /// Buffers are kept when variables are forgotten, so that the next run of
    /// the flow needs no new ones.
    own: Vec<Own>,
    /// The row drawn of each data set, by the set's number.
    rows: Vec<Option<u32>>,
    pub(super) draws: Draws,
}

#[derive(Debug, Clone)]
struct Own {
    name: Name,
    value: Vec<u8>,
    set: bool,
}

impl Vars {
    /// Those of user number `user`; random values follow from `seed`.
    #[must_use]
    pub fn new(user: u64, seed: u64) -> Self {
        Self::with_shared(user, seed, Shared::default())
    }

    /// The same with variables that are there from the start.
    #[must_use]
    pub fn with_shared(user: u64, seed: u64, shared: Shared) -> Self {
        let draws = Draws::new(seed, user);
        Self { user, iteration: 0, shared, own: Vec::new(), rows: Vec::new(), draws }
    }

    /// Forgets what flows have set and which rows they drew.
    pub fn clear(&mut self) {
        self.own.iter_mut().for_each(|own| own.set = false);
        self.rows.fill(None);
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        // A scenario has a handful of variables: comparing beats hashing.
        let own = self.own.iter().find(|own| own.set && *own.name == *name);
        own.map(|own| own.value.as_slice()).or_else(|| {
            let shared = self.shared.iter().find(|(shared, _)| **shared == *name);
            shared.map(|(_, value)| value.as_slice())
        })
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &Name, value: &[u8]) {
        match self.own.iter_mut().find(|own| own.name == *name) {
            Some(own) => {
                own.value.clear();
                own.value.extend_from_slice(value);
                own.set = true;
            }
            None => self.own.push(Own { name: name.clone(), value: value.to_vec(), set: true }),
        }
    }

    /// All that is known, for other users to start with: what a set-up flow
    /// leaves to the load.
    #[must_use]
    pub fn share(&self) -> Shared {
        let mut all: Vec<(Name, Vec<u8>)> = self
            .own
            .iter()
            .filter(|own| own.set)
            .map(|o| (o.name.clone(), o.value.clone()))
            .collect();
        for (name, value) in self.shared.iter() {
            if !all.iter().any(|(own, _)| own == name) {
                all.push((name.clone(), value.clone()));
            }
        }
        Arc::new(all)
    }

    /// The row of data set number `set`, drawn by `draw` if there is none yet.
    pub(super) fn row(&mut self, set: usize, draw: impl FnOnce(&mut Draws) -> u32) -> u32 {
        if self.rows.len() <= set {
            self.rows.resize(set + 1, None);
        }
        match self.rows[set] {
            Some(row) => row,
            None => *self.rows[set].insert(draw(&mut self.draws)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variables_hide_shared_ones_until_they_are_forgotten() {
        let name: Name = "token".into();
        let mut first = Vars::new(0, 1);
        first.set(&name, b"shared");
        let mut vars = Vars::with_shared(1, 1, first.share());
        assert_eq!(vars.get("token"), Some(&b"shared"[..]));
        vars.set(&name, b"own");
        assert_eq!(vars.get("token"), Some(&b"own"[..]));
        assert_eq!(*vars.share(), [(name, b"own".to_vec())]);
        vars.clear();
        assert_eq!(vars.get("token"), Some(&b"shared"[..]));
        assert_eq!(vars.get("other"), None);
    }
}
