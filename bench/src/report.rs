//! The figures as a table and as JSON, each beside what was promised.

use std::{fmt, fs};

use faultd_tests::wire::Way;
use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was typed.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// `inject`, by kind.
    pub inject: Vec<Inject>,
    /// Packets that no rule matches.
    pub packet: Vec<Packet>,
    /// Doing nothing.
    pub idle: Option<Idle>,
    /// Throughput.
    pub bulk: Option<Bulk>,
    /// Exactness of delays.
    pub accuracy: Vec<Accuracy>,
}

/// What it ran on.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// `uname -r`.
    pub kernel: String,
    /// Model name of the first processor.
    pub cpu: String,
    /// How many there are.
    pub cores: usize,
    /// Processes that wanted to run in the last minute, at the start.
    pub load: f64,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
        let load = read("/proc/loadavg");
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            load: load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(0.0),
        }
    }
}

/// The middle and the ends of what was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// Least.
    pub min: f64,
    /// Half of all are below.
    pub median: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// Most.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: f64| {
            let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self { min: rank(0.0), median: rank(50.0), p99: rank(99.0), max: rank(100.0) }
    }
}

/// How long `inject` takes.
#[derive(Debug, Serialize)]
pub struct Inject {
    /// Which fault.
    pub kind: String,
    /// `faultctl`, from start to exit.
    pub process_ms: Spread,
    /// From `created_at` to `active_at`.
    pub inside_ms: Spread,
    /// The API call on an open connection.
    pub call_ms: Spread,
}

/// What a packet costs that no rule matches.
#[derive(Debug, Serialize)]
pub struct Packet {
    /// What the rules name.
    pub dimension: String,
    /// How many there are.
    pub rules: usize,
    /// Nanoseconds a packet.
    pub ns: f64,
}

/// What doing nothing costs.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// Resident memory of the daemon.
    pub daemon_kib: u64,
    /// Resident memory of the guardian.
    pub guardian_kib: u64,
    /// Voluntary context switches of both.
    pub wakeups: u64,
    /// Over this time.
    pub seconds: u64,
}

/// A bulk TCP stream over loopback.
#[derive(Debug, Serialize)]
pub struct Bulk {
    /// Without anything.
    pub bare_gbit: Spread,
    /// Through the delay line, 1 ms.
    pub delay_line_gbit: Spread,
    /// Through user-space proxies, 1 ms.
    pub proxies: Vec<Proxied>,
}

/// The same stream through a proxy.
#[derive(Debug, Serialize)]
pub struct Proxied {
    /// Which.
    pub proxy: &'static str,
    /// Whether the delay line is to move twice as much.
    pub is_promised: bool,
    /// What it moved.
    pub gbit: Spread,
}

/// How exact a delay is on one connection.
#[derive(Debug, Serialize)]
pub struct Accuracy {
    /// What delays.
    pub backend: String,
    /// How much was asked for.
    pub delay_ms: f64,
    /// `lo` or `veth`.
    pub way: &'static str,
    /// 4 or 6.
    pub ip: u8,
    /// `TCP` or `UDP`.
    pub proto: &'static str,
    /// Round trips measured.
    pub count: usize,
    /// The middle of what the delay is off by.
    pub error_median_ms: f64,
    /// 99 of 100 round trips are off by less.
    pub error_p99_ms: f64,
}

impl Accuracy {
    /// From what each round trip was off by.
    pub fn of(backend: &str, delay: f64, way: Way, proto: &'static str, errors: &[f64]) -> Self {
        let off: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
        Self {
            backend: backend.to_owned(),
            delay_ms: delay,
            way: if way.is_veth() { "veth" } else { "lo" },
            ip: if matches!(way, Way::Lo4 | Way::Veth4) { 4 } else { 6 },
            proto,
            count: errors.len(),
            error_median_ms: Spread::of(errors).median,
            error_p99_ms: Spread::of(&off).p99,
        }
    }

    /// Whether the promise is for this backend.
    fn is_ours(&self) -> bool {
        matches!(self.backend.as_str(), "delay-line" | "edt")
    }
}

impl Report {
    /// Promises that the figures break, in words.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let mut hold = |what: String, value: f64, most: f64| {
            // A NaN is a miss too.
            if value.is_nan() || value > most {
                missed.push(format!("{what}: {value:.3}, at most {most}"));
            }
        };
        for i in &self.inject {
            hold(format!("inject {} as a process, ms", i.kind), i.process_ms.median, 30.0);
            hold(format!("inject {} inside, ms", i.kind), i.inside_ms.median, 5.0);
        }
        for p in &self.packet {
            hold(format!("a packet beside {} {} rules, ns", p.rules, p.dimension), p.ns, 150.0);
        }
        if let Some(idle) = &self.idle {
            hold("idle, KiB".to_owned(), idle.daemon_kib as f64, 20.0 * 1024.0);
            hold("idle, wake-ups".to_owned(), idle.wakeups as f64, 0.0);
        }
        if let Some(bulk) = &self.bulk {
            let line = bulk.delay_line_gbit.median;
            let beside = "bare loopback beside the delay line".to_owned();
            hold(beside, bulk.bare_gbit.median / line, 4.0);
            for p in bulk.proxies.iter().filter(|p| p.is_promised) {
                let beside = format!("twice {} beside the delay line", p.proxy);
                hold(beside, 2.0 * p.gbit.median / line, 1.0);
            }
        }
        for a in self.accuracy.iter().filter(|a| a.is_ours()) {
            let name =
                format!("{} {} ms, {} IPv{} {}", a.backend, a.delay_ms, a.way, a.ip, a.proto);
            hold(format!("{name}: median error, ms"), a.error_median_ms.abs(), 0.2);
            hold(format!("{name}: p99 error, ms"), a.error_p99_ms, 1.0);
        }
        missed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { kernel, cpu, cores, load } = &self.machine;
        writeln!(f, "{}\nLinux {kernel}, {cores} cores of {cpu}, load {load}", self.command)?;
        show_inject(f, &self.inject)?;
        show_packet(f, &self.packet)?;
        self.idle.as_ref().map_or(Ok(()), |idle| show_idle(f, idle))?;
        self.bulk.as_ref().map_or(Ok(()), |bulk| show_bulk(f, bulk))?;
        show_accuracy(f, &self.accuracy)?;
        let missed = self.missed();
        if missed.is_empty() {
            return writeln!(f, "\nevery promise holds");
        }
        writeln!(f, "\nNOT AS PROMISED:\n  {}", missed.join("\n  "))
    }
}

fn show_inject(f: &mut fmt::Formatter<'_>, rows: &[Inject]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "\ninject (ms)          median      p99      max   promised")?;
    for i in rows {
        for (what, s, most) in [
            ("process", &i.process_ms, "< 30"),
            ("inside", &i.inside_ms, "< 5"),
            ("API call", &i.call_ms, ""),
        ] {
            let name = format!("{} {what}", i.kind);
            writeln!(f, "{name:<18}{:>9.2}{:>9.2}{:>9.2}   {most}", s.median, s.p99, s.max)?;
        }
    }
    Ok(())
}

fn show_packet(f: &mut fmt::Formatter<'_>, rows: &[Packet]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "\na packet that no rule matches      ns   promised")?;
    for p in rows {
        let name = format!("{} rules by {}", p.rules, p.dimension);
        writeln!(f, "{name:<28}{:>9.0}   < 150", p.ns)?;
    }
    Ok(())
}

fn show_idle(f: &mut fmt::Formatter<'_>, idle: &Idle) -> fmt::Result {
    let Idle { daemon_kib, guardian_kib, wakeups, seconds } = idle;
    writeln!(
        f,
        "\nidle: {daemon_kib} KiB resident (guardian {guardian_kib} KiB), promised < 20480; \
         {wakeups} wake-ups in {seconds} s, promised 0"
    )
}

fn show_bulk(f: &mut fmt::Formatter<'_>, b: &Bulk) -> fmt::Result {
    writeln!(f, "\nbulk TCP over loopback (Gbit/s)   median      min      max")?;
    let mut row = |name: &str, s: &Spread| {
        writeln!(f, "{name:<31}{:>9.2}{:>9.2}{:>9.2}", s.median, s.min, s.max)
    };
    row("bare", &b.bare_gbit)?;
    row("1 ms delay line", &b.delay_line_gbit)?;
    for p in &b.proxies {
        row(&format!("{}, 1 ms", p.proxy), &p.gbit)?;
    }
    let line = b.delay_line_gbit.median;
    let of_bare = line / b.bare_gbit.median;
    writeln!(f, "the delay line moves {of_bare:.2} of bare (promised ≥ 0.25)")?;
    for p in &b.proxies {
        let times = line / p.gbit.median;
        let promised = if p.is_promised { " (promised ≥ 2)" } else { "" };
        writeln!(f, "the delay line moves {times:.1} times {}{promised}", p.proxy)?;
    }
    Ok(())
}

fn show_accuracy(f: &mut fmt::Formatter<'_>, rows: &[Accuracy]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\nerror of the added round trip (ms)                    median      p99   \
         promised ≤ 0.2, ≤ 1 (edt, delay line)"
    )?;
    for a in rows {
        let name = format!(
            "{:<11}{:>6} ms  {:<5}IPv{} {}  {:>4} round trips",
            a.backend, a.delay_ms, a.way, a.ip, a.proto, a.count
        );
        writeln!(f, "{name:<52}{:>9.3}{:>9.3}", a.error_median_ms, a.error_p99_ms)?;
    }
    Ok(())
}
