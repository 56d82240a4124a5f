//! What nearly every test needs: namespaces, a daemon, and the residue check.

use std::{ops::Deref, thread::panicking, time::Duration};

use crate::{Daemon, Netns, Peer, daemon::Home, residue::Snapshot};

/// How long the kernel may take to free what a daemon held.
const SETTLE: Duration = Duration::from_secs(5);

/// A daemon in a namespace of its own. Dropped, the daemon is stopped, and the
/// test fails unless everything is as it was before the daemon started.
pub struct World {
    // In this order: the daemon goes first, the namespaces last.
    daemon: Option<Daemon>,
    home: Home,
    before: Snapshot,
    peers: Vec<Peer>,
    here: Netns,
}

impl World {
    /// Loopback only.
    pub fn new() -> Self {
        Self::build(false, Home::new(), &[])
    }

    /// Loopback and a veth pair to a second namespace.
    pub fn with_peer() -> Self {
        Self::build(true, Home::new(), &[])
    }

    /// Any of them, with a home prepared by the caller and further environment
    /// for the daemon.
    pub fn build(peer: bool, home: Home, env: &[(&str, &str)]) -> Self {
        Self::prepared(peer, home, env, |_, _| {})
    }

    /// The same, with something set up in the namespaces before the snapshot.
    pub fn prepared(
        peer: bool,
        home: Home,
        env: &[(&str, &str)],
        prepare: impl FnOnce(&Netns, Option<&Peer>),
    ) -> Self {
        let mut world = Self::empty(peer, home, prepare);
        world.daemon = Some(world.home.start_with(env));
        world
    }

    /// Loopback only, and no daemon yet.
    pub fn without_daemon() -> Self {
        Self::empty(false, Home::new(), |_, _| {})
    }

    fn empty(peer: bool, home: Home, prepare: impl FnOnce(&Netns, Option<&Peer>)) -> Self {
        let here = Netns::enter();
        let peers: Vec<Peer> = peer.then(|| here.peer()).into_iter().collect();
        prepare(&here, peers.first());
        let before = Snapshot::take(&here, &peers);
        Self { daemon: None, home, before, peers, here }
    }

    /// The other end of the veth pair.
    ///
    /// # Panics
    /// In a world without one.
    #[track_caller]
    pub fn peer(&self) -> &Peer {
        self.peers.first().expect("this world has no peer")
    }

    /// Directories and logs of the daemon.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Takes the daemon out, to be killed or stopped.
    ///
    /// # Panics
    /// When it is out already.
    #[track_caller]
    pub fn take_daemon(&mut self) -> Daemon {
        self.daemon.take().expect("the daemon is gone already")
    }

    /// Starts another daemon on the same state.
    pub fn restart(&mut self) {
        self.daemon = Some(self.home.start());
    }

    /// Fails unless interfaces, queues, filters and sysctls are as they were
    /// before the daemon started (which may still run).
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert_clean_within(SETTLE);
    }

    /// The same with a limit of the caller's, stretched on slow machines.
    #[track_caller]
    pub fn assert_clean_within(&self, limit: Duration) {
        let left = self.before.settle(&self.here, &self.peers, limit);
        assert!(left.is_empty(), "left behind after {limit:?}:\n{}", left.join("\n"));
    }

    /// What differs from before, once the kernel has had the time to settle;
    /// processes of the daemon's included.
    pub fn left_behind(&self) -> Vec<String> {
        let mut left = self.before.settle(&self.here, &self.peers, SETTLE);
        if self.daemon.is_none() {
            left.extend(self.home.processes().iter().map(|pid| format!("process {pid}")));
        }
        left
    }

    /// Fails if anything differs from before. There is nothing to wait for but
    /// what other tests' daemons do to the whole machine.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let left = self.before.settle(&self.here, &self.peers, Duration::from_millis(200));
        assert!(left.is_empty(), "changed:\n{}", left.join("\n"));
    }

    /// Takes the present state as the one to come back to, for tests that
    /// change the namespace themselves.
    pub fn forget_snapshot(&mut self) {
        self.before = Snapshot::take(&self.here, &self.peers);
    }

    fn end(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let status = daemon.stop();
            assert!(status.success(), "faultd ended with {status}:\n{}", self.home.log());
        }
        self.assert_clean();
        let processes = &self.home;
        crate::eventually(SETTLE, "no process of the daemon's is left", || {
            processes.processes().is_empty()
        });
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for World {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon was taken out")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed already has said what matters.
        if !panicking() {
            self.end();
        }
    }
}
