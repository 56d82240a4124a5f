//! A fault kind that only writes down what is done to it. The label of a
//! request says what it should do.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use faultd_api::{
    BackendStatus, FaultRequest, Hits, Kind, Params, PartitionParams, PlanStep, Span, Support,
    Target,
};

use crate::{
    engine::{
        Accepted, Ask, Engine, Limits, Parts,
        audit::{Actor, Audit},
        journal::Journal,
        plan::{Applied, ApplyCx, Observation, Plan, PlanError, Step, StepError},
    },
    fault::{Caller, FaultKind, Meets, PlanCx, Protected},
    host::undo::Undo,
};

/// What was done, in order.
pub type Log = Arc<Mutex<Vec<String>>>;

/// Serves `partition` requests.
pub struct FakeKind {
    /// What was done.
    pub log: Log,
    /// A file whose content steps labelled `undo` change to `1`.
    pub file: String,
}

impl FaultKind for FakeKind {
    fn kind(&self) -> Kind {
        Kind::Partition
    }

    fn backends(&self) -> Vec<BackendStatus> {
        vec![BackendStatus { name: "fake".into(), support: Support::Yes, detail: "test".into() }]
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let label = request.label.clone().unwrap_or_default();
        match label.as_str() {
            "unsupported" => return Err(PlanError::Unsupported("no such thing here".into())),
            "unsafe" => return Err(PlanError::Unsafe("would cut your own session".into())),
            "plan-panic" => panic!("plan"),
            _ => {}
        }
        if cx
            .protected
            .ports
            .iter()
            .any(|p| request.target.port.as_ref().is_some_and(|set| set.contains(*p)))
        {
            return Err(PlanError::Unsafe("the port is protected".into()));
        }
        let step = |name: &str| -> Box<dyn Step> {
            Box::new(FakeStep {
                name: name.to_owned(),
                label: label.clone(),
                file: self.file.clone(),
                log: Arc::clone(&self.log),
            })
        };
        Ok(Plan {
            backend: "fake".into(),
            backend_reason: "it is the only one".into(),
            steps: ["a", "b", "c"].map(step).into(),
            hits: Hits::default(),
            naming: None,
            rails: Vec::new(),
            notes: vec!["a note".into()],
        })
    }

    fn meets(&self, _: &Params, target: &Target, query: &Target) -> Option<Meets> {
        let effect = "dropped".into();
        (target.port == query.port).then(|| Meets { effect, covers: "all".into() })
    }
}

/// How long it takes a step labelled `lift…` to be taken back.
pub const SLOW_REVERT: Duration = Duration::from_millis(100);

struct FakeStep {
    name: String,
    label: String,
    file: String,
    log: Log,
}

impl FakeStep {
    fn is(&self, what: &str) -> bool {
        self.label == format!("{what}-{}", self.name)
    }

    fn log(&self, what: &str) {
        self.log.lock().unwrap().push(format!("{what} {}", self.name));
    }
}

impl Step for FakeStep {
    fn describe(&self) -> PlanStep {
        PlanStep { apply: format!("step {}", self.name), undo: "nothing".into() }
    }

    fn undo(&self) -> Vec<Undo> {
        if !self.label.contains("undo") {
            return Vec::new();
        }
        vec![Undo::WriteFile { path: self.file.clone(), content: "0".into() }]
    }

    fn apply(self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        if self.label.contains("undo") {
            assert!(cx.journal.pending().0 > 0, "applied before its undo was written");
            std::fs::write(&self.file, "1").unwrap();
        }
        if self.is("apply-fails") || self.is("undo-apply-fails") {
            return Err(StepError::new(self.describe().apply, anyhow::anyhow!("refused")));
        }
        assert!(!self.is("apply-panics"), "a bug");
        if self.is("apply-slow") {
            thread::sleep(Duration::from_millis(500));
        }
        if self.is("finish") {
            // Before the fault is active, which must not be too early.
            cx.finisher.finish();
        }
        self.log("apply");
        Ok(self)
    }
}

impl Applied for FakeStep {
    fn lift(&mut self) -> Result<bool, StepError> {
        if !self.label.starts_with("lift") {
            return Ok(false);
        }
        self.log("lift");
        Ok(!self.is("lift-not"))
    }

    fn revert(&mut self) -> Result<(), StepError> {
        self.log("revert");
        if self.label.starts_with("lift") {
            thread::sleep(SLOW_REVERT);
        }
        assert!(!self.is("revert-panics"), "a bug");
        if self.label == "revert-fails" && self.name != "b" {
            let what = format!("take {} back", self.name);
            return Err(StepError::new(what, anyhow::anyhow!("refused")));
        }
        Ok(())
    }

    fn observe(&mut self) -> Observation {
        let mut seen = Observation::default();
        seen.counters.matched = 10;
        seen.counters.affected = 1;
        seen
    }
}

/// An engine with the fake kind, in a directory of its own.
pub struct Bench {
    /// The engine.
    pub engine: Engine,
    /// What was done.
    pub log: Log,
    /// The state directory.
    pub dir: tempfile::TempDir,
}

impl Bench {
    /// Starts one; port 22 is protected.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::default();
        let engine = start(dir.path(), &log);
        Self { engine, log, dir }
    }

    /// What was done so far.
    pub fn done(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn start(dir: &Path, log: &Log) -> Engine {
    let file = dir.join("effect").to_str().unwrap().to_owned();
    std::fs::write(&file, "0").unwrap();
    let kind = FakeKind { log: Arc::clone(log), file };
    Engine::start(Parts {
        kinds: vec![Box::new(kind)],
        features: Box::new(Vec::new),
        left_behind: Box::new(Vec::new),
        journal: Journal::open(dir).unwrap().0,
        audit: Audit::log_only(),
        protected: Protected { ports: vec![22], ..Protected::default() },
    })
    .unwrap()
}

/// A request for the fake kind.
pub fn ask(label: &str, millis: u64) -> Ask {
    Ask {
        request: FaultRequest {
            params: Params::Partition(PartitionParams {}),
            target: Target::default(),
            duration: Span::from(Duration::from_millis(millis)),
            label: Some(label.to_owned()),
            seed: None,
            backend: None,
            lease: None,
            force: false,
        },
        caller: Caller::default(),
        actor: Actor::daemon(),
        accepted: Accepted::now(),
        limits: Limits { max_active: 2000, max_active_of_owner: 2000 },
    }
}
