//! Accepting connections, in bounds, and letting them end.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
};

use super::{App, Listener, Shared, metrics::Requests, peer::Peer, routes};
use crate::{
    config::Policy,
    engine::{Engine, guardian::GuardianStatus},
};

/// Connections at the same time, of everybody.
const MAX_CONNECTIONS: usize = 256;
/// And of one user, so that others still get through.
const MAX_OF_USER: usize = 192;
/// A client that takes longer to send its headers is given up.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// Connections get this long to end when the daemon stops.
const STOP_PATIENCE: Duration = Duration::from_millis(500);
/// Wait after a failure to accept (no descriptors), instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The API, ready to serve.
pub struct Server {
    router: Router,
    stop_events: watch::Sender<bool>,
    connections: GracefulShutdown,
    of_user: Arc<Mutex<HashMap<u32, usize>>>,
}

impl Server {
    /// Puts the routes together.
    pub fn new(engine: Engine, policy: Policy, guardian: Arc<GuardianStatus>) -> Self {
        let (stop_events, stopping) = watch::channel(false);
        let requests = Requests::default();
        let app = App(Arc::new(Shared { engine, policy, guardian, requests, stopping }));
        Self {
            router: routes::router(app),
            stop_events,
            connections: GracefulShutdown::new(),
            of_user: Arc::default(),
        }
    }

    /// Serves connections for as long as it is polled.
    ///
    /// # Errors
    /// When the socket cannot be registered; accepting never gives up.
    pub async fn run(&self, listener: &mut Listener) -> io::Result<()> {
        let socket = listener.start()?;
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
            let stream = accept(&socket).await;
            let Some((peer, turn)) = self.admit(&stream) else { continue };
            let service = self.router.clone().layer(Extension(peer));
            let watcher = self.connections.watcher();
            tokio::spawn(async move {
                serve(stream, service, watcher).await;
                drop((slot, turn));
            });
        }
    }

    /// `None` when the client has too many connections, or is gone.
    fn admit(&self, stream: &UnixStream) -> Option<(Peer, Turn)> {
        let peer = match Peer::of(stream) {
            Ok(peer) => peer,
            Err(e) => {
                tracing::warn!("no credentials of a client: {e}");
                return None;
            }
        };
        let uid = peer.identity.uid;
        let turn = Turn::take(&self.of_user, uid);
        if turn.is_none() {
            tracing::warn!(uid, "more than {MAX_OF_USER} connections of one user");
        }
        Some((peer, turn?))
    }

    /// Ends event streams and lets the other connections finish.
    pub async fn stop(self) {
        self.stop_events.send_replace(true);
        let finished = self.connections.shutdown();
        if tokio::time::timeout(STOP_PATIENCE, finished).await.is_err() {
            tracing::debug!("some clients kept their connections");
        }
    }
}

async fn accept(socket: &UnixListener) -> UnixStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(e) => {
                tracing::warn!("accept: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, service: Router, watcher: Watcher) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE).max_headers(64);
    let service = TowerToHyperService::new(service);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(e) = watcher.watch(connection).await {
        tracing::debug!("connection: {e}");
    }
}

/// One of the connections that a user may have; given back when dropped.
struct Turn {
    of_user: Arc<Mutex<HashMap<u32, usize>>>,
    uid: u32,
}

impl Turn {
    fn take(of_user: &Arc<Mutex<HashMap<u32, usize>>>, uid: u32) -> Option<Self> {
        let mut counts = of_user.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(uid).or_default();
        if *count >= MAX_OF_USER {
            return None;
        }
        *count += 1;
        Some(Self { of_user: Arc::clone(of_user), uid })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.of_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.uid);
            }
        }
    }
}
