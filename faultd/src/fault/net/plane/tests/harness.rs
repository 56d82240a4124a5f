//! A plane in a namespace of its own, and ways to run its programs.

use std::time::Duration;

use aya::programs::{TestRun as _, TestRunOptions};
use faultd_api::Direction;
use tempfile::TempDir;

use super::super::{
    Action, Counters, Hooks, LoadOptions, Plane, RuleSpec, Scope, lock, object,
    object::program::{TC_EGRESS, TC_INGRESS},
};
use crate::{
    engine::journal::Journal,
    host::{
        netns::Netns,
        test_support::{private_netns, set_up, skipped},
    },
};

/// Boot time that no test lives to see.
pub const NEVER: u64 = u64::MAX;

pub const PASS: i32 = -1;
pub const SHOT: i32 = 2;
const REDIRECT: i32 = 7;

/// A plane of its own.
pub struct Bench {
    pub netns: Netns,
    pub plane: Plane,
    pub journal: Journal,
    _state: TempDir,
}

impl Bench {
    /// `None` without the privilege.
    pub fn new() -> Option<Self> {
        Self::with(LoadOptions::default())
    }

    pub fn with(options: LoadOptions) -> Option<Self> {
        let Some(netns) = private_netns() else {
            skipped("eBPF programs need CAP_BPF and CAP_NET_ADMIN");
            return None;
        };
        let state = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(state.path()).unwrap();
        let plane = Plane::load(&netns, &journal, options).unwrap();
        Some(Self { netns, plane, journal, _state: state })
    }

    /// Lets traffic through loopback.
    pub fn up(&self) {
        set_up(&self.netns, "lo");
    }

    /// Runs the egress classifier on a packet, as if it left by loopback. There
    /// a packet is dropped by a redirect to nowhere; told as [`SHOT`].
    pub fn leave(&self, packet: &[u8]) -> i32 {
        match self.run(TC_EGRESS, packet, 1).0 {
            REDIRECT => SHOT,
            verdict => verdict,
        }
    }

    /// Runs the ingress classifier on a packet.
    pub fn arrive(&self, packet: &[u8]) -> i32 {
        self.run(TC_INGRESS, packet, 1).0
    }

    /// Runs a classifier `repeat` times; its last answer, and the time a run.
    pub fn run(&self, program: &'static str, packet: &[u8], repeat: u32) -> (i32, Duration) {
        let mut core = lock(&self.plane.core);
        let classifier = object::classifier(&mut core.ebpf, program).unwrap();
        // Always on the loopback device, whose number is the same everywhere.
        let options = TestRunOptions { data_in: Some(packet), repeat, ..TestRunOptions::new() };
        let result = classifier.test_run(options).unwrap();
        (result.return_value as i32, result.duration)
    }

    /// Adds a rule, runs `f`, takes the rule back, and returns what it counted.
    pub fn with_rule(&self, spec: &RuleSpec, f: impl FnOnce(&Self)) -> Counters {
        let slot = self.plane.add(spec).unwrap();
        f(self);
        let counters = self.plane.counters(slot);
        self.plane.remove(slot).unwrap();
        counters
    }
}

/// A rule that drops everything that leaves.
pub fn rule() -> RuleSpec {
    RuleSpec {
        hooks: Hooks::classifier(Direction::Egress),
        ifindexes: Vec::new(),
        proto: None,
        port: None,
        local_port: None,
        remote_port: None,
        except_port: None,
        remotes: Vec::new(),
        except_remotes: Vec::new(),
        scope: Scope::Any,
        uid: None,
        expires_boot_ns: NEVER,
        seed: 1,
        force: false,
        lo_from_port: false,
        action: Action::Drop,
    }
}
