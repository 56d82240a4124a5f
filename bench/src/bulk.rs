//! A bulk TCP stream: bare loopback, through a 1 ms delay line, and through a
//! user-space proxy with a 1 ms latency toxic, in turns.

use std::{
    env,
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use faultd_tests::{
    World,
    traffic::{BulkSource, bulk_rate},
};

use crate::report::{Bulk, Spread};

const ROUNDS: usize = 3;

/// Measures each of the three as often, so that a busy moment hits all alike.
pub fn measure(scale: f64) -> Result<Bulk> {
    eprintln!("bulk …");
    let time = Duration::from_secs_f64((2.0 * scale).max(0.3));
    let world = World::new();
    let source = BulkSource::bind("127.0.0.1:0");
    let (mut bare, mut line, mut proxied) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(gbit(bulk_rate(source.address(), time)));
        let id = world.inject_id(&format!(
            "latency --ms 1 --backend delay-line --port {} --for 120s",
            source.address().port()
        ));
        line.push(gbit(bulk_rate(source.address(), time)));
        world.ctl(&format!("revert {id}")).ok();
        let proxy = Proxy::start(source.address())?;
        proxied.push(gbit(bulk_rate(proxy.listen, time)));
    }
    Ok(Bulk {
        bare_gbit: Spread::of(&bare),
        delay_line_gbit: Spread::of(&line),
        proxy_gbit: Spread::of(&proxied),
        proxy: crate::proxy::NAME.to_owned(),
    })
}

fn gbit(bytes_per_second: f64) -> f64 {
    bytes_per_second * 8.0 / 1e9
}

/// The proxy in a process of its own, as its users would run it.
struct Proxy {
    child: std::process::Child,
    listen: SocketAddr,
}

impl Proxy {
    fn start(upstream: SocketAddr) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(env::current_exe()?)
            .args(["proxy", &listen.to_string(), &upstream.to_string(), "1"])
            .spawn()
            .context("the proxy")?;
        let proxy = Self { child, listen };
        for _ in 0..200 {
            if TcpStream::connect(listen).is_ok() {
                return Ok(proxy);
            }
            thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("the proxy does not listen")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
