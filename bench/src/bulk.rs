//! A bulk TCP stream: bare loopback, through a 1 ms delay line, and through
//! user-space proxies with a 1 ms latency, in turns.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use faultd_tests::{
    World,
    traffic::{BulkSource, bulk_rate},
};

use crate::{
    proxy::{Kind, Proxy},
    report::{Bulk, Proxied, Spread},
};

const ROUNDS: usize = 3;

/// Measures each as often, so that a busy moment hits all alike.
pub fn measure(scale: f64) -> Result<Bulk> {
    eprintln!("bulk …");
    let time = Duration::from_secs_f64((2.0 * scale).max(0.3));
    let world = World::new();
    let source = BulkSource::bind("127.0.0.1:0");
    let (mut bare, mut line) = (Vec::new(), Vec::new());
    let mut proxied: Vec<_> = Kind::value_variants().iter().map(|k| (*k, Vec::new())).collect();
    for _ in 0..ROUNDS {
        bare.push(gbit(bulk_rate(source.address(), time)));
        let id = world.inject_id(&format!(
            "latency --ms 1 --backend delay-line --port {} --for 120s",
            source.address().port()
        ));
        line.push(gbit(bulk_rate(source.address(), time)));
        world.ctl(&format!("revert {id}")).ok();
        for (kind, rates) in &mut proxied {
            let proxy = Proxy::start(*kind, source.address())?;
            rates.push(gbit(bulk_rate(proxy.address(), time)));
        }
    }
    let proxies = proxied
        .iter()
        .map(|(kind, rates)| Proxied {
            proxy: kind.name(),
            is_promised: kind.is_in_use(),
            gbit: Spread::of(rates),
        })
        .collect();
    Ok(Bulk { bare_gbit: Spread::of(&bare), delay_line_gbit: Spread::of(&line), proxies })
}

fn gbit(bytes_per_second: f64) -> f64 {
    bytes_per_second * 8.0 / 1e9
}
