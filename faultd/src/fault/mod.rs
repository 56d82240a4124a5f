//! The catalogue of faults: the trait that each implements and one registry
//! line for each.

pub mod backend;
pub mod net;
pub mod process;
pub mod syscall;

use std::sync::Arc;

use faultd_api::{BackendStatus, FaultRequest, Invalid, Kind, Params, Target};

use crate::{
    engine::{
        journal::Journal,
        plan::{Plan, PlanError},
    },
    host::{probe, process::ResolveError},
};

use net::{LoadOptions, Net};

/// Who asks, as far as safety rails need to know.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Process id of the client, from SO_PEERCRED.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
    /// `SSH_CONNECTION` as the client repeated it.
    pub ssh_connection: Option<String>,
}

/// What the policy file protects, whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// Ports that no network fault may touch.
    pub ports: Vec<u16>,
    /// systemd units whose processes are never targets.
    pub units: Vec<String>,
    /// Command names that are never targets.
    pub processes: Vec<String>,
}

/// What planning gets besides the request.
pub struct PlanCx<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What is protected.
    pub protected: &'a Protected,
    /// List sockets and processes at length (`--dry-run`), however long it
    /// takes to find out whose they are.
    pub list_hits: bool,
}

/// How an active fault meets a flow or process that `explain` asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meets {
    /// What the fault does to it, in words.
    pub effect: String,
    /// Whether all of it is met (`all`) or which part.
    pub covers: String,
}

/// A kind of fault.
pub trait FaultKind: Send + Sync {
    /// Its name.
    fn kind(&self) -> Kind;

    /// Its backends on this host, best first, each probed.
    fn backends(&self) -> Vec<BackendStatus>;

    /// Turns a well-formed request into a plan. Touches nothing.
    ///
    /// # Errors
    /// When the request cannot be served here; the message says why and what
    /// to do.
    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError>;

    /// Whether a fault of this kind meets what `query` describes.
    fn meets(&self, params: &Params, target: &Target, query: &Target) -> Option<Meets>;
}

/// What a client is told when a target's processes cannot be told.
fn unresolved(error: &ResolveError) -> PlanError {
    if error.is_rail() {
        return PlanError::Unsafe(error.to_string());
    }
    match (error.field(), error) {
        (Some(field), ResolveError::RelativeExe(_)) => {
            Invalid::new(field, error.to_string()).into()
        }
        (Some(field), _) => Invalid::sentence(field, error).into(),
        (None, _) => PlanError::Host(error.to_string()),
    }
}

/// The faults that this build knows, and what they found on this host.
pub struct Catalogue {
    /// One of each kind.
    pub kinds: Vec<Box<dyn FaultKind>>,
    /// Host facts that backends build on, probed when asked.
    pub features: Box<dyn Fn() -> Vec<BackendStatus> + Send + Sync>,
}

/// When what takes a moment is done: the kernel's verifier reads programs, backends are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// In the background, right after the start.
    AtOnce,
    /// When something needs it.
    Lazy,
}

/// Puts the catalogue together: one line for each kind.
///
/// # Errors
/// When something that every fault needs cannot be had.
pub fn registry(journal: &Journal, preparation: Preparation) -> anyhow::Result<Catalogue> {
    let log = tracing::enabled!(target: net::LOG_TARGET, tracing::Level::DEBUG);
    let net = Net::new(journal, LoadOptions { log, ..LoadOptions::default() })?;
    if preparation == Preparation::AtOnce {
        net.warm_up()?;
        probe::warm_up();
        syscall::warm_up()?;
    }
    let kinds: Vec<Box<dyn FaultKind>> = vec![
        Box::new(net::Latency::new(Arc::clone(&net))),
        Box::new(net::Loss::new(Arc::clone(&net))),
        Box::new(net::Partition::new(Arc::clone(&net))),
        Box::new(process::Kill),
        Box::new(process::Pause::default()),
        Box::new(process::Oom::default()),
        Box::new(syscall::Syscall::default()),
    ];
    Ok(Catalogue { kinds, features: Box::new(probe::features) })
}
