//! The figures of `load` as a table, each beside what was promised.

use std::fmt;

use serde::Serialize;

use super::{
    closed::{Memory, Speed},
    flat::Flat,
    pacing::Pacing,
    stall::{Outage, Stall},
    streams::Streams,
    users::Ramp,
};
use crate::report::Machine;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was typed.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// What served where nothing had to be logged.
    pub server: String,
    /// Tools and their versions.
    pub versions: Vec<String>,
    /// Tools that were not there, each with how to get it.
    pub missing: Vec<String>,
    /// 50 connections.
    pub closed: Vec<Speed>,
    /// 5000 connections.
    pub memory: Vec<Memory>,
    /// Constant rates.
    pub pacing: Vec<Pacing>,
    /// A stall.
    pub stall: Vec<Stall>,
    /// An outage.
    pub outage: Option<Outage>,
    /// Users that come and go.
    pub ramp: Option<Ramp>,
    /// Streams.
    pub sse: Option<Streams>,
    /// Memory over time.
    pub flat: Vec<Flat>,
}

/// The promises that figures break.
#[derive(Default)]
struct Missed(Vec<String>);

impl Missed {
    /// `value` is to be within `least` and `most`. A NaN is a miss too.
    fn hold(&mut self, what: impl fmt::Display, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.0.push(match (least.is_finite(), most.is_finite()) {
                (true, false) => format!("{what}: {value:.3}, at least {least:.3}"),
                (false, true) => format!("{what}: {value:.3}, at most {most:.3}"),
                _ => format!("{what}: {value:.3}, from {least:.3} to {most:.3}"),
            });
        }
    }

    fn most(&mut self, what: impl fmt::Display, value: f64, most: f64) {
        self.hold(what, value, f64::NEG_INFINITY, most);
    }

    fn least(&mut self, what: impl fmt::Display, value: f64, least: f64) {
        self.hold(what, value, least, f64::INFINITY);
    }
}

impl Report {
    /// Promises that the figures break, in words.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Missed::default();
        let speed = |name| self.closed.iter().find(|row| row.tool == name);
        if let Some(ours) = speed("faultload") {
            if let Some(oha) = speed("oha") {
                missed.least("requests/s beside oha", ours.rate.median / oha.rate.median, 1.0);
                missed.most("CPU beside oha", ours.cpu_s.median / oha.cpu_s.median, 1.0);
            }
            if let Some(wrk) = speed("wrk") {
                missed.least("requests/s beside wrk", ours.rate.median / wrk.rate.median, 0.85);
            }
        }
        for row in self.memory.iter().filter(|row| row.tool == "faultload") {
            missed.most("MiB at 5000 connections", row.peak_mib, 170.0);
        }
        for row in self.pacing.iter().filter(|row| row.tool == "faultload") {
            let asked = row.asked as f64;
            missed.hold(format!("arrivals at {}/s", row.rate), row.arrived as f64, asked, asked);
            missed.hold(format!("answers at {}/s", row.rate), row.said, asked, asked);
            missed.most(format!("evenness at {}/s", row.rate), row.evenness, row.most);
            if row.rate <= 5000 {
                let lag = row.lag_p99_ms.unwrap_or(f64::NAN);
                missed.most(format!("lag p99 at {}/s, ms", row.rate), lag, 0.2);
            }
        }
        for row in self.stall.iter().filter(|row| row.tool == "faultload") {
            for (name, value, truth) in
                [("p95", row.p95_ms, row.true_p95_ms), ("p99", row.p99_ms, row.true_p99_ms)]
            {
                // 15 ms either way, and what the server needs to work off what had piled up.
                missed.hold(format!("{name} of the stall, ms"), value, truth - 15.0, truth + 25.0);
            }
        }
        if let Some(row) = &self.outage {
            let (least, most) = (row.true_s - 0.05, row.true_s + 0.05);
            missed.hold("outage on fresh connections, s", row.fresh_s, least, most);
            missed.hold("outage on pooled connections, s", row.pooled_s, least, most);
            missed.hold("recovery seen after, ms", row.recovered_ms, -1.0, 21.0);
            missed.hold("rate in the second after it", row.full_rate, 0.99, 1.1);
        }
        if let Some(row) = &self.ramp {
            missed.most("p99 of 0 to 5000 to 0 users, ms", row.p99_ms, 5.0);
            missed.most("failed requests of the users", row.failed, 0.0);
        }
        if let Some(row) = &self.sse {
            let truth = row.true_first_ms.p99;
            missed.hold("p99 of first events, ms", row.first_ms.1, truth - 1.0, truth + 10.0);
        }
        for row in self.flat.iter().filter(|row| row.tool == "faultload") {
            missed.most("growth over the run, MiB", row.late_mib - row.early_mib, 5.0);
        }
        missed.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { kernel, cpu, cores, load } = &self.machine;
        writeln!(f, "{}\nLinux {kernel}, {cores} cores of {cpu}, load {load}", self.command)?;
        writeln!(f, "{}; {}", self.server, self.versions.join(", "))?;
        for missing in &self.missing {
            writeln!(f, "not there: {missing}")?;
        }
        self.show_closed(f)?;
        self.show_pacing(f)?;
        self.show_stall(f)?;
        self.show_rest(f)?;
        let missed = self.missed();
        if missed.is_empty() {
            return writeln!(f, "\nevery promise holds");
        }
        writeln!(f, "\nNOT AS PROMISED:\n  {}", missed.join("\n  "))
    }
}

impl Report {
    fn show_closed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.closed.is_empty() {
            writeln!(
                f,
                "\n50 connections   requests/s  (min – max)         CPU s/100k   peak MiB"
            )?;
        }
        for row in &self.closed {
            let spread = format!("({:.0} – {:.0})", row.rate.min, row.rate.max);
            let (name, rate, cpu) = (row.tool, row.rate.median, row.cpu_s.median);
            let peak = row.peak_mib.median;
            writeln!(f, "{name:<16}{rate:>11.0}  {spread:<20}{cpu:>10.3}{peak:>11.1}")?;
        }
        if !self.memory.is_empty() {
            writeln!(f, "\n5000 connections peak MiB   requests/s   promised < 170, aim 60")?;
        }
        for row in &self.memory {
            writeln!(f, "{:<16}{:>9.1}{:>13.0}", row.tool, row.peak_mib, row.rate)?;
        }
        Ok(())
    }

    fn show_pacing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pacing.is_empty() {
            writeln!(
                f,
                "\nrate                asked   arrived  reported  evenness (promised)  median second  \
                 longest gap ms  lag p99 ms"
            )?;
        }
        for row in &self.pacing {
            let name = format!("{} {}/s", row.tool, row.rate);
            let promised = format!("(≤ {})", row.most);
            let lag = row.lag_p99_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.3}"));
            writeln!(
                f,
                "{name:<17}{:>8}{:>10}{:>10.0}{:>10.3} {promised:<11}{:>13.3}{:>16.2}{lag:>12}",
                row.asked,
                row.arrived,
                row.said,
                row.evenness,
                row.second_evenness,
                row.longest_gap_ms
            )?;
        }
        Ok(())
    }

    fn show_stall(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.stall.first() {
            let (p95, p99) = (row.true_p95_ms, row.true_p99_ms);
            writeln!(f, "\na stall of 1 s (ms)             p95       p99       max")?;
            writeln!(f, "{:<25}{p95:>10.0}{p99:>10.0}{:>10}", "the truth", 1000)?;
        }
        for Stall { tool, p95_ms, p99_ms, max_ms, .. } in &self.stall {
            writeln!(f, "{tool:<25}{p95_ms:>10.0}{p99_ms:>10.0}{max_ms:>10.0}")?;
        }
        let Some(row) = &self.outage else { return Ok(()) };
        writeln!(
            f,
            "\nan outage of {:.3} s: faultload's probe says {:.3} s (fresh connections), {:.3} s \
             (pooled), over {:.1} ms after the first request; {:.1} % of the rate in the second after",
            row.true_s,
            row.fresh_s,
            row.pooled_s,
            row.recovered_ms,
            row.full_rate * 100.0
        )?;
        write!(f, "failed, with {:.1} % down:", row.true_error_ratio * 100.0)?;
        for (tool, ratio) in &row.error_ratios {
            write!(f, " {tool} {:.1} %", ratio * 100.0)?;
        }
        writeln!(f)
    }

    fn show_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Ramp { users, ok, failed, p50_ms, p99_ms, max_ms, peak_mib }) = &self.ramp {
            writeln!(
                f,
                "\n0 to {users} to 0 users: {ok:.0} answers, {failed:.0} failed, p50 {p50_ms:.2} \
                 ms, p99 {p99_ms:.2} ms (promised < 5), max {max_ms:.1} ms, {peak_mib:.1} MiB"
            )?;
        }
        if let Some(row) = &self.sse {
            let (first, between) = (&row.true_first_ms, &row.true_between_ms);
            writeln!(
                f,
                "\n{} streams, {:.0} complete (ms)     p50       p99",
                row.streams, row.ok
            )?;
            for (name, (p50, p99)) in [
                ("first event, server", (first.median, first.p99)),
                ("first event, faultload", row.first_ms),
                ("between events, server", (between.median, between.p99)),
                ("between events, faultload", row.between_ms),
            ] {
                writeln!(f, "{name:<30}{p50:>8.2}{p99:>10.2}")?;
            }
        }
        if let Some(row) = self.flat.first() {
            writeln!(f, "\nMiB over {} s      early      late      peak", row.seconds)?;
        }
        for Flat { tool, early_mib, late_mib, peak_mib, .. } in &self.flat {
            writeln!(f, "{tool:<16}{early_mib:>9.1}{late_mib:>10.1}{peak_mib:>10.1}")?;
        }
        Ok(())
    }
}
