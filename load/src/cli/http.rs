//! `faultload http URL`: the quick case, without a file.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args;

use super::{
    Usage, out, print,
    result::colour,
    samples::{self, Samples},
    show::Show,
    tell,
    typed::{above_zero, count, duration, header, no_number, rate, seed, template},
    url::Url,
};
use crate::{
    engine::{Run, targets},
    plan::{
        Arrival, Body, Flow, HttpRequest, HttpVersion, Limits, Plan, ProbePlan, Request, Scheme,
        Stage, Step, Streaming, Think, TlsFiles,
    },
    report,
    summary::ScenarioInfo,
    template::Shared,
    threshold::{Known, Threshold},
};

/// Send requests to one URL.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("arrivals").required(true).args(["rate", "users"])))]
pub struct HttpArgs {
    /// `http://HOST:PORT/PATH`, the same with https, or `unix:/run/x.sock:/path`
    #[arg(value_parser = Url::parse)]
    url: Url,
    /// Requests a second, sent when due whatever became of earlier ones: 1000, 50/s, 600/m
    #[arg(short, long, alias = "rps", value_parser = rate)]
    rate: Option<f64>,
    /// Users, each of whom sends its next request when it has the answer to the last one
    #[arg(
        short,
        long,
        short_alias = 'c',
        alias = "connections",
        value_parser = count
    )]
    users: Option<u32>,
    /// How long: 30s, 5m, 1h30m
    #[arg(
        short = 'f',
        long = "for",
        alias = "duration",
        value_name = "DURATION",
        value_parser = above_zero,
        default_value = "30s"
    )]
    length: Duration,
    /// There is none; this says what there is instead
    #[arg(short = 'n', long = "requests", alias = "number", hide = true, value_parser = no_number)]
    _requests: Option<std::convert::Infallible>,
    /// Goes up to the rate or the number of users in this time before; counts in addition
    #[arg(long, value_name = "DURATION", value_parser = above_zero)]
    ramp: Option<Duration>,
    /// A header; may have variables as scenarios do: {{user}}, {{counter.n}}
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The body; may have variables as scenarios do: {{user}}, {{random.uuid}}. `@FILE` reads it from
    /// a file, as it is. Makes the method POST unless another is given
    #[arg(short, long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// GET, POST, …
    #[arg(short = 'X', long)]
    method: Option<String>,
    /// Limit on each answer
    #[arg(long, value_name = "DURATION", value_parser = above_zero, default_value = "30s")]
    timeout: Duration,
    /// What is in flight when the time is up may go on for so long; what is left then is cut, and
    /// counted as interrupted, which is no failure
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    grace: Duration,
    /// A pause of each user after an answer, or after a request that failed
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "users")]
    think: Option<Duration>,
    /// A connection for each request
    #[arg(long)]
    no_keepalive: bool,
    /// HTTP/2: agreed upon by TLS, or known beforehand without
    #[arg(long)]
    http2: bool,
    /// Take any certificate
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Certificates in PEM of the authorities that are trusted, in place of the public ones
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A certificate in PEM for servers that ask for the client's, with --key
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key in PEM of --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Measure events of a streamed answer: server-sent events, or pieces as they arrive
    #[arg(long, value_name = "sse|chunks", value_parser = ["sse", "chunks"])]
    stream: Option<String>,
    /// What must hold, or the exit code is 99: 'p95 < 500ms', 'error_ratio < 1%'. A run without one
    /// good answer ends with 99 in any case
    #[arg(short = 't', long = "threshold", value_name = "EXPRESSION")]
    thresholds: Vec<Threshold>,
    /// Ask the same URL 50 times a second on a fresh and on a pooled connection, and report
    /// availability and outages
    #[arg(long)]
    probe: bool,
    /// Threads that send [default: one a processor]
    #[arg(long, value_name = "N", value_parser = count)]
    threads: Option<u32>,
    /// Requests in flight at most, with --rate; what is due beyond it waits
    #[arg(
        long,
        value_name = "N",
        value_parser = count,
        default_value_t = 10_000
    )]
    in_flight: u32,
    /// Writes a line for each attempt there: .csv or .jsonl
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Folder for results: a new or empty one, or one with an earlier result, which is overwritten
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Nothing while it runs
    #[arg(short, long)]
    quiet: bool,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Repeats the random decisions of a run
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,
}

/// Runs it; returns the exit code.
pub(super) fn run(args: &HttpArgs) -> Result<u8> {
    let plan = plan(args)?;
    refuse_unknown(args, &plan)?;
    // A folder that cannot be written is better known before the run than after.
    if let Some(dir) = &args.out {
        out::given(dir, &samples::files(args.samples.as_deref()))?;
    }
    let info = ScenarioInfo {
        name: plan.name.clone(),
        targets: targets(&plan),
        stages: plan.stages.iter().map(Stage::words).collect(),
        seed: plan.seed,
        scale: 1.0,
        ..ScenarioInfo::default()
    };
    let samples = args.samples.as_deref().map(Samples::create).transpose()?;
    let mut run = Run::new(plan, Shared::default())?;
    if let Some(samples) = samples {
        samples.give_to(&mut run);
    }
    for warning in run.warnings() {
        tell(format_args!("note: {}", warning.text));
    }
    let started = std::time::SystemTime::now();
    let outcome = run.execute(&mut Show::new(args.quiet))?;
    let started_at = humantime::format_rfc3339_millis(started).to_string();
    let (mut summary, _) = outcome.summary(info, started_at);
    crate::threshold::judge(&mut summary, &args.thresholds);
    if let Some(dir) = &args.out {
        report::write_all(dir, &summary)?;
    }
    if args.json {
        print(&report::json(&summary)?)?;
    } else {
        print(&report::terminal(&summary, colour()))?;
    }
    Ok(summary.verdict.exit_code)
}

/// Refuses thresholds that ask for what this run does not have.
fn refuse_unknown(args: &HttpArgs, plan: &Plan) -> Result<(), Usage> {
    let known = Known { plan, phases: vec!["run"], has_faults: false, probe: "--probe" };
    let misfit = args.thresholds.iter().find_map(|t| Some((t, t.misfit(&known)?)));
    match misfit {
        None => Ok(()),
        Some((threshold, message)) => Err(Usage(format!("--threshold '{threshold}': {message}"))),
    }
}

/// What was typed as a plan.
fn plan(args: &HttpArgs) -> Result<Plan, Usage> {
    let HttpArgs { url, .. } = args;
    let scheme = match url.scheme {
        Scheme::Https if args.insecure => Scheme::HttpsInsecure,
        scheme => scheme,
    };
    let body = match args.data.as_deref() {
        None => Body::Empty,
        Some(text) => match text.strip_prefix('@') {
            Some(file) => {
                Body::Bytes(fs::read(file).map_err(|e| Usage(format!("-d @{file}: {e}")))?)
            }
            None => Body::Template(template("-d", text)?),
        },
    };
    let method = args
        .method
        .clone()
        .unwrap_or_else(|| if matches!(body, Body::Empty) { "GET" } else { "POST" }.to_owned());
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Usage(format!("`{method}` is no method")));
    }
    let mut headers = Vec::new();
    for (name, value) in &args.headers {
        headers.push((name.clone(), template("-H", value)?));
    }
    let request = HttpRequest {
        version: if args.http2 { HttpVersion::Http2 } else { HttpVersion::Http1 },
        method,
        headers,
        body,
        streaming: args.stream.as_deref().map(|how| match how {
            "sse" => Streaming::ServerSentEvents,
            _ => Streaming::Chunks,
        }),
        ..HttpRequest::get(url.target.clone(), scheme, template("the URL", &url.path)?)
    };
    let probe = args.probe.then(|| {
        let request = HttpRequest {
            body: Body::Empty,
            method: "GET".into(),
            streaming: None,
            ..request.clone()
        };
        ProbePlan::new("probe", Request::Http(Box::new(request)))
    });
    let mut step = Step::new("request", Request::Http(Box::new(request)));
    step.timeout = args.timeout;
    let think = args.think.map(|pause| Think { min: pause, max: pause });
    let flow = Flow { keep_connections: !args.no_keepalive, think, ..Flow::single(step) };
    let hold = match (args.rate, args.users) {
        (Some(rate), _) => Arrival::rate(rate),
        (None, Some(users)) => Arrival::users(users),
        (None, None) => return Err(Usage("--rate or --users".into())),
    };
    let ramp = args.ramp.map(|duration| {
        let arrival = match hold {
            Arrival::Rate { to, .. } => Arrival::Rate { from: 0.0, to },
            Arrival::Users { to, .. } => Arrival::Users { from: 0, to },
            Arrival::Pause => Arrival::Pause,
        };
        Stage { name: "ramp".into(), duration, arrival, mix: vec![(0, 1.0)] }
    });
    let hold =
        Stage { name: "hold".into(), duration: args.length, arrival: hold, mix: vec![(0, 1.0)] };
    Ok(Plan {
        name: url.target.host.clone(),
        stages: ramp.into_iter().chain([hold]).collect(),
        flows: vec![flow],
        setup: Vec::new(),
        teardown: Vec::new(),
        limits: Limits {
            workers: args.threads.map(|threads| threads as usize),
            in_flight: args.in_flight as usize,
            grace: args.grace,
            ..Limits::default()
        },
        ledger: None,
        tls: TlsFiles { ca: args.ca.clone(), identity: args.cert.clone().zip(args.key.clone()) },
        probe,
        seed: args.seed.unwrap_or_else(rand::random),
    })
}
