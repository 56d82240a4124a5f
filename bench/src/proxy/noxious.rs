//! The user-space proxy that delays are usually made with: noxious, a Rust port
//! of Toxiproxy.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::{Context, Result};
use noxious::{
    proxy::{ProxyConfig, ProxyRunner, Runner, Toxics},
    signal::{Close, Stop},
    socket::TcpListener,
    toxic::{StreamDirection, Toxic, ToxicKind},
};

/// Serves until the process is killed.
pub fn serve(listen: SocketAddr, upstream: SocketAddr, latency_ms: u64) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("a runtime for the proxy")?;
    runtime.block_on(run(listen, upstream, latency_ms))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(listen: SocketAddr, upstream: SocketAddr, latency: u64) -> Result<()> {
    let config = ProxyConfig {
        name: "bench".to_owned(),
        listen: listen.to_string(),
        upstream: upstream.to_string(),
        enabled: true,
        rand_seed: None,
    };
    let toxic = Toxic {
        kind: ToxicKind::Latency { latency, jitter: 0 },
        name: "latency".to_owned(),
        toxicity: 1.0,
        direction: StreamDirection::Downstream,
    };
    let toxics = Toxics { upstream: Vec::new(), downstream: vec![toxic] };
    let (listener, info) =
        ProxyRunner::initialize_proxy::<TcpListener>(config, toxics).await.context("noxious")?;
    let (stop, _stopper) = Stop::new();
    let (_close, closer) = Close::new();
    let (_sender, receiver) = bmrng::channel(1);
    ProxyRunner::run_proxy(listener, info, receiver, stop, closer).await.context("noxious")
}
