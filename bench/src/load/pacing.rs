//! Arrivals at a constant rate: how many come, and how evenly, as the server sees it.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::{
    client::{Tool, Tools},
    limits::seconds,
    server::Server,
    tools::{ask, open},
};
use crate::report::Spread;

/// Requests a second, and the most evenness that is promised.
const RATES: [(u32, f64); 3] = [(1000, 0.1), (5000, 0.1), (20_000, 0.5)];

/// A run at one rate.
#[derive(Debug, Serialize)]
pub struct Pacing {
    /// Which tool.
    pub tool: &'static str,
    /// Requests a second that were asked for.
    pub rate: u32,
    /// Requests that were asked for.
    pub asked: u64,
    /// Those that came to the server.
    pub arrived: u64,
    /// Those that the tool says were answered.
    pub said: f64,
    /// Variance over mean of the arrivals in 10 ms: 0 is a clock, 1 is chance.
    pub evenness: f64,
    /// The same of the middle one of all seconds: a machine that turned to something else for a
    /// moment does not show in it.
    pub second_evenness: f64,
    /// What is promised of the whole run.
    pub most: f64,
    /// The longest time between two arrivals, in milliseconds.
    pub longest_gap_ms: f64,
    /// 99 of 100 arrivals were turned to so soon after they were due; faultload's own word.
    pub lag_p99_ms: Option<f64>,
}

/// Measures each rate with each tool that has rates.
pub fn measure(tools: &Tools, scale: f64) -> Result<Vec<Pacing>> {
    let mut rows = Vec::new();
    let seconds = seconds(10, scale);
    for (rate, most) in RATES {
        for tool in tools.those([Tool::Faultload, Tool::Oha]) {
            let server = Server::start();
            let command = open(tools, tool, &server.url("/"), rate, seconds);
            let (said, _) = ask(tool, command)?;
            let arrivals = server.take_log().requests;
            let gaps = arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3);
            let lag = said.at("/fitness/lag/p99_ms");
            let counts = counts(&arrivals, rate);
            let seconds_apart: Vec<_> = counts.chunks_exact(100).map(evenness).collect();
            rows.push(Pacing {
                tool: tool.name(),
                rate,
                asked: u64::from(rate) * seconds,
                arrived: arrivals.len() as u64,
                said: said.ok,
                evenness: evenness(&counts),
                second_evenness: Spread::of(&seconds_apart).median,
                most,
                longest_gap_ms: gaps.fold(0.0, f64::max),
                lag_p99_ms: (!lag.is_nan()).then_some(lag),
            });
        }
    }
    Ok(rows)
}

/// The number of arrivals in each 10 ms, without the ends. The first bin begins half an interval
/// before the first arrival: with arrivals on the edges between bins, a microsecond would decide
/// which one they count in.
fn counts(arrivals: &[Instant], rate: u32) -> Vec<f64> {
    let (Some(&first), Some(&last)) = (arrivals.first(), arrivals.last()) else {
        return Vec::new();
    };
    let half = 0.5 / f64::from(rate);
    let bin = |at: Instant| (((at - first).as_secs_f64() + half) / 0.01) as usize;
    let mut counts = vec![0.0; bin(last) + 1];
    arrivals.iter().for_each(|&at| counts[bin(at)] += 1.0);
    counts.pop();
    counts.into_iter().skip(1).collect()
}

/// Variance over mean.
fn evenness(counts: &[f64]) -> f64 {
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>();
    variance / counts.len() as f64 / mean
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_is_even_and_bursts_are_not() {
        let start = Instant::now();
        let clock: Vec<_> = (0..5000).map(|n| start + Duration::from_micros(n * 1000)).collect();
        assert!(evenness(&counts(&clock, 1000)) < 1e-9);
        let bursts: Vec<_> =
            (0..5000).map(|n| start + Duration::from_millis(n / 100 * 100)).collect();
        let found = evenness(&counts(&bursts, 1000));
        assert!((80.0..100.0).contains(&found), "{found}");
    }
}
