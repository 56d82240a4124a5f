//! `syscall`: system calls of processes fail.
//!
//! A ladder of backends ([`ladder`]), each call served by the best that sees it
//! on this kernel ([`calls`]). All of them share one eBPF object ([`object`])
//! and one table of rules ([`table`]): whose calls ([`target`]), which, on which
//! files ([`roots`]), and how often is decided in the kernel.

mod calls;
mod ladder;
mod object;
mod roots;
mod step;
mod table;
mod target;
mod types;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use faultd_abi::syscall::Root;
use faultd_api::{
    BackendStatus, FaultRequest, Hits, Invalid, Kind, Params, PlanStep, SyscallParams, Target,
};

use crate::{
    engine::plan::{Plan, PlanError, Rail},
    fault::{FaultKind, Meets, PlanCx},
    host::{memory, process},
};
pub use object::NAME as PROGRAM;

use calls::Place;
use ladder::Backend;
use step::RuleStep;
use table::{RuleSpec, Table};

/// The kind `syscall`.
#[derive(Default)]
pub struct Syscall {
    table: Arc<Table>,
}

/// Tries the backends in the background, so that the first question need not wait for that.
///
/// # Errors
/// When no thread can be started.
pub fn warm_up() -> std::io::Result<()> {
    let probe = std::thread::Builder::new().name("syscall-probe".to_owned());
    probe.spawn(|| {
        drop(ladder::statuses());
        memory::give_back();
    })?;
    Ok(())
}

impl FaultKind for Syscall {
    fn kind(&self) -> Kind {
        Kind::Syscall
    }

    fn backends(&self) -> Vec<BackendStatus> {
        ladder::statuses()
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let Params::Syscall(params) = &request.params else {
            return Err(PlanError::Host("syscall was asked to plan another kind".to_owned()));
        };
        let choice = choose(params, request.backend.as_deref())?;
        let roots = match &params.path {
            Some(path) => roots_of(path)?,
            None => Vec::new(),
        };
        let resolved = target::resolve(&request.target, cx, request.force)?;
        let mut notes: Vec<String> =
            choice.backends.iter().filter_map(|b| b.note()).map(str::to_owned).collect();
        if !resolved.rails.is_empty() {
            notes.push("processes that join are included".to_owned());
        }
        let description = PlanStep {
            apply: format!(
                "syscall rule ({}): {} for {}",
                choice.name(),
                words(params),
                resolved.words
            ),
            undo: "by the kernel: the rule ends at its deadline, programs with the daemon"
                .to_owned(),
        };
        let listed = if cx.list_hits { 200 } else { 5 };
        let hits = Hits {
            sockets: Vec::new(),
            socket_count: 0,
            processes: resolved.processes.iter().take(listed).cloned().collect(),
            process_count: resolved.processes.len(),
        };
        let spec = RuleSpec {
            params: params.clone(),
            whose: resolved.whose,
            places: choice.places.clone(),
            roots,
            // The engine knows these once the fault is accepted.
            expires_boot_ns: 0,
            seed: 0,
        };
        Ok(Plan {
            backend: choice.name(),
            backend_reason: choice.reason(),
            steps: vec![Box::new(RuleStep { table: Arc::clone(&self.table), description, spec })],
            hits,
            naming: None,
            rails: resolved.rails.into_iter().map(Rail::telling).collect(),
            notes,
        })
    }

    fn meets(&self, params: &Params, target: &Target, query: &Target) -> Option<Meets> {
        let Params::Syscall(params) = params else { return None };
        let ours = process::resolve(target, true).ok()?;
        let asked = process::resolve(query, true).ok()?;
        let met = asked.processes.iter().filter(|p| ours.processes.iter().any(|o| o.pid == p.pid));
        let covers = match met.count() {
            0 => return None,
            n if n == asked.processes.len() => "all".to_owned(),
            n => format!("only {n} of {} processes", asked.processes.len()),
        };
        Some(Meets { effect: words(params), covers })
    }
}

/// Where each call of a request is judged.
struct Choice {
    backends: BTreeSet<Backend>,
    places: Vec<(u32, Place)>,
}

impl Choice {
    fn name(&self) -> String {
        self.backends.iter().map(|b| b.name()).collect::<Vec<_>>().join("+")
    }

    fn reason(&self) -> String {
        match self.backends.len() {
            1 => "the best that sees these calls on this kernel".to_owned(),
            _ => "each call is served by the best that sees it on this kernel".to_owned(),
        }
    }
}

fn choose(params: &SyscallParams, wanted: Option<&str>) -> Result<Choice, PlanError> {
    if params.delay_ms.is_some() {
        return Err(PlanError::Unsupported(
            "--delay: programs in the kernel cannot make a call wait; `faultctl run --fault \
             'syscall …' -- CMD` can, for a command that it starts"
                .to_owned(),
        ));
    }
    let wanted = wanted.map(backend).transpose()?;
    let with_path = params.path.is_some();
    let mut choice = Choice { backends: BTreeSet::new(), places: Vec::new() };
    for call in &params.call {
        let Some(nr) = call.number() else {
            let arch = std::env::consts::ARCH;
            let message = format!("{call} does not exist on this host's architecture ({arch})");
            return Err(Invalid::new("call", message).into());
        };
        let (backend, places) = ladder::choose(*call, with_path, wanted).map_err(|missing| {
            PlanError::Unsupported(format!(
                "no backend can make {call} fail here ({missing}); \
                 `faultctl run --fault 'syscall …' -- CMD` can, for a command that it starts"
            ))
        })?;
        choice.backends.insert(backend);
        choice.places.extend(places.into_iter().map(|place| (nr, place)));
    }
    Ok(choice)
}

fn backend(name: &str) -> Result<Backend, PlanError> {
    let found = Backend::ALL.into_iter().find(|backend| backend.name() == name);
    found.ok_or_else(|| {
        let message = match name {
            ladder::RUN => "run is a command: faultctl run --fault 'syscall …' -- CMD".to_owned(),
            _ => {
                let known = Backend::ALL.map(Backend::name).join(", ");
                format!("{name:?} is not one of {known}")
            }
        };
        Invalid::new("backend", message).into()
    })
}

fn roots_of(path: &str) -> Result<Vec<Root>, PlanError> {
    roots::of(Path::new(path)).map_err(|e| {
        let hint = match e.kind() {
            std::io::ErrorKind::NotFound => "; it has to be there, so name its directory",
            _ => "",
        };
        Invalid::new("path", format!("{path:?}: {e}{hint}")).into()
    })
}

fn words(params: &SyscallParams) -> String {
    let calls = params.call.iter().map(|call| call.name()).collect::<Vec<_>>().join(", ");
    let errno = params.errno.map_or("", |errno| errno.name());
    let often = match (params.percent, params.every, params.first) {
        (Some(percent), ..) => format!(" {percent}% of the time"),
        (_, Some(every), _) => format!(" every {every}. time"),
        (_, _, Some(first)) => format!(" the first {first} times"),
        _ => String::new(),
    };
    let most = params.max.map(|max| format!(", at most {max} times")).unwrap_or_default();
    let on = params.path.as_deref().map(|path| format!(" on {path}")).unwrap_or_default();
    format!("{calls}{on} fails with {errno}{often}{most}")
}
