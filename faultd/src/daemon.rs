//! The daemon, from its start to its end.
//!
//! The order of the start matters: the state directory is claimed before
//! anything in it is touched, what an earlier daemon left is taken back before
//! anything new can be asked for, and the guardian stands ready before the
//! socket answers. The end is the same in reverse.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use faultd_api::Leftover;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    api::{Listener, Server},
    config::{self, Config},
    engine::{
        Engine, Parts,
        audit::Audit,
        guardian::Keeper,
        journal::{Journal, ReplayReport},
        state_dir::StateDir,
    },
    fault::{self, Preparation},
    host::{cgroup, probe},
    leftovers,
};

/// Threads that plan end when there was nothing to plan for this long.
const PLANNER_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Where the daemon finds and keeps things.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Where it listens.
    pub socket: PathBuf,
    /// Journal, audit file and lock.
    pub state_dir: PathBuf,
    /// The policy file, if one was asked for.
    pub config: Option<PathBuf>,
}

/// Runs the daemon until SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
/// What keeps it from starting; once it listens, it does not fail.
pub fn run(paths: &Paths, preparation: Preparation) -> anyhow::Result<()> {
    let config = Config::load(paths.config.as_deref())?;
    for name in config.unknown_names() {
        tracing::debug!("{name} of the policy does not exist on this host and matches nobody");
    }
    prepare_process();
    let group = config::group_id(config::GROUP);
    let state_dir = StateDir::claim(&paths.state_dir)?;
    let listener = Listener::bind(&paths.socket, group)?;
    if let Some(gid) = group
        && is_in(listener.path(), state_dir.path())
    {
        state_dir.open_to_group(gid)?;
    }
    let (journal, leftovers) = Journal::open(state_dir.path()).context("undo journal")?;
    cgroup::sweep();
    tell(&leftovers);
    let audit = Audit::open(state_dir.path()).context("audit file")?;
    // One thread: the API waits more than it works, and what works has
    // threads of its own (the executor, planners, delay lines).
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(PLANNER_KEEP_ALIVE)
        .build()?;
    let done = runtime.block_on(serve(&config, preparation, &state_dir, listener, journal, audit));
    // A plan may still wait for a name server; nobody waits for the plan.
    runtime.shutdown_background();
    probe::settle();
    done
}

async fn serve(
    config: &Config,
    preparation: Preparation,
    state_dir: &StateDir,
    mut listener: Listener,
    journal: Journal,
    audit: Audit,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut guardian = Keeper::start(state_dir.path().to_owned(), journal.clone())
        .context("starting the guardian")?;
    let catalogue = fault::registry(&journal, preparation).context("preparing the faults")?;
    let engine = Engine::start(Parts {
        kinds: catalogue.kinds,
        features: catalogue.features,
        left_behind: Box::new(left_behind),
        journal,
        audit,
        protected: config.protected(),
    })?;
    let server = Server::new(engine.clone(), config.policy(), guardian.status());
    announce(listener.path());
    tokio::select! {
        done = server.run(&mut listener) => done?,
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        _ = hangup.recv() => tracing::info!("SIGHUP: stopping"),
        never = guardian.keep() => match never {},
    }
    notify(NotifyState::Stopping);
    for fault in engine.shutdown().await {
        if let Some(error) = fault.error {
            tracing::error!(id = fault.id, "not taken back in full: {error}");
        }
    }
    server.stop().await;
    guardian.dismiss();
    Ok(())
}

fn left_behind() -> Vec<Leftover> {
    leftovers::find().unwrap_or_else(|e| {
        tracing::warn!("looking for what dead daemons left: {e}");
        Vec::new()
    })
}

/// Says that the daemon is ready, to people, scripts and systemd.
fn announce(socket: &Path) {
    // Nobody may be reading, which is no reason to stop.
    let _ = writeln!(std::io::stdout(), "listening on {}", socket.display());
    let _ = std::io::stdout().flush();
    notify(NotifyState::Ready);
}

fn notify(state: NotifyState<'_>) {
    if let Err(e) = sd_notify::notify(&[state]) {
        tracing::warn!("telling systemd: {e}");
    }
}

fn tell(leftovers: &ReplayReport) {
    for entry in &leftovers.entries {
        let (owner, what) = (&entry.owner, &entry.what);
        match &entry.error {
            None => tracing::warn!("left by a daemon that died: {owner}: undone: {what}"),
            Some(e) => tracing::error!("left by a daemon that died: {owner}: NOT undone: {e}"),
        }
    }
}

/// As many descriptors as allowed, and out of the way of the out-of-memory
/// killer as far as this process may.
fn prepare_process() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
}

fn is_in(file: &Path, directory: &Path) -> bool {
    let parent = file.parent().and_then(|p| p.canonicalize().ok());
    parent.is_some() && parent == directory.canonicalize().ok()
}
