//! `faultload run FILE`: a scenario from its start to its reports.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;

use super::{
    abort::Abort,
    out, print,
    result::colour,
    samples::{self, Samples},
    scenario::ScenarioArgs,
    show::Show,
    tell,
};
use crate::{
    engine::{Observer, Progress, Run},
    faults,
    plan::{Plan, Request},
    report,
    scenario::Scenario,
    summary::{FaultRecord, Second, Summary},
    template::Shared,
    threshold,
};

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Folder for the results: a new or empty one, or one with an earlier result, which is
    /// overwritten [default: results/YYYYMMDD-HHMMSS-NAME]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs it only if it has one of these tags
    #[arg(long, value_name = "TAG")]
    only: Vec<String>,
    /// Does not run it if it has one of these tags
    #[arg(long, value_name = "TAG")]
    skip: Vec<String>,
    /// Socket of the daemon that injects the faults
    #[arg(
        long,
        value_name = "PATH",
        env = "FAULTD_SOCKET",
        hide_env_values = true,
        default_value = faultd_api::DEFAULT_SOCKET
    )]
    socket: PathBuf,
    /// Writes a line for each attempt there: .csv or .jsonl. Notes of the ledger are kept beside it
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Nothing while it runs
    #[arg(short, long)]
    quiet: bool,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Runs it; returns the exit code.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let scenario = match args.scenario.load()? {
        Ok(scenario) => scenario,
        Err(code) => return Ok(code),
    };
    if !scenario.is_selected(&args.only, &args.skip) {
        tell(format_args!("note: {} is left out, by its tags", scenario.info.name));
        return Ok(0);
    }
    let started = jiff::Timestamp::now();
    // A folder that cannot be written is better known before the run than after.
    let dir = match &args.out {
        Some(dir) => out::given(dir, &samples::files(args.samples.as_deref()))?,
        None => out::fresh(&scenario.info.name)?,
    };
    let _unless_it_stays_empty = out::Tidy(&dir);
    let Scenario { plan, info, faults: planned, phases, thresholds, .. } = scenario;

    let samples = args.samples.as_deref().map(Samples::create).transpose()?;
    let notes = match (&plan.ledger, &args.samples) {
        (None, _) => None,
        // A temporary folder may lie in memory; the folder for results does not.
        (Some(_), None) => Some(
            tempfile::tempfile_in(&dir)
                .with_context(|| format!("no file for the ledger in {}", dir.display()))?,
        ),
        (Some(_), Some(path)) => Some(samples::notes_beside(path)?),
    };
    let has_ledger = plan.ledger.is_some();
    let mut run = Run::new(plan, Shared::default())?;
    if let Some(notes) = notes {
        run.note_in(notes);
    }
    if let Some(samples) = samples {
        samples.give_to(&mut run);
    }
    for warning in run.warnings() {
        tell(format_args!("note: {}", warning.text));
    }
    if let Some(first) = phases.first() {
        run.name_first_phase(&first.name, first.kind);
    }
    let marks = run.phases();
    let driver = faults::Driver::new(&args.socket, planned, phases)?;
    let driver = driver.start(run.begin(), marks);
    let mut watching = Watching {
        show: Show::new(args.quiet).with_faults(driver.active()),
        broken: driver.broken(),
        abort: Abort::new(&thresholds),
        driver: Some(driver),
        tells_of_ledger: has_ledger && !args.quiet,
        records: Vec::new(),
    };
    let outcome = run.execute(&mut watching);
    // Whatever became of the load: what was injected is taken back first.
    watching.load_over();
    let Watching { abort, records, .. } = watching;
    let aborting = abort.broken;
    let outcome = outcome?;
    let (mut summary, _) = outcome.summary(info, format!("{started:.3}"));
    without_pauses(&mut summary, &outcome.plan);
    // What it was to take away is still there.
    let teardown = outcome.teardown.iter().map(|failed| format!("the tear-down failed: {failed}"));
    summary.verdict.reasons.extend(teardown);
    summary.faults = records;
    faults::settle(&mut summary);
    for fault in summary.faults.iter().filter(|f| f.start_s.is_none()) {
        let why = fault.error.as_deref().unwrap_or("the run ended before");
        summary.verdict.reasons.push(format!("{} was not injected: {why}", fault.text));
    }
    summary.thresholds = aborting.into_iter().collect();
    threshold::judge(&mut summary, &thresholds);
    report::write_all(&dir, &summary)?;
    let shown = match args.json {
        true => print(&report::json(&summary)?),
        false => print(&report::terminal(&summary, colour())),
    };
    if !args.json {
        tell(format_args!("\nreports in {}", dir.display()));
    }
    match (shown, summary.verdict.exit_code) {
        // The result is in its folder: the verdict says more than a pipe that is full.
        (Err(error), code) if code != 0 => {
            tell(format_args!("error: {error:#}"));
            Ok(code)
        }
        (shown, code) => shown.map(|()| code),
    }
}

/// Ends the run when a fault cannot be injected (what comes after would not be what was asked
/// for), or when a threshold says so.
struct Watching {
    show: Show,
    broken: faults::Broken,
    abort: Abort,
    driver: Option<faults::Running>,
    /// The ledger is read back afterwards, and somebody wants to know.
    tells_of_ledger: bool,
    /// What became of the faults.
    records: Vec<FaultRecord>,
}

impl Observer for Watching {
    fn second(&mut self, row: &Second, progress: &Progress) -> bool {
        self.show.second(row, progress) && !self.broken.get() && self.abort.second(row, progress)
    }

    fn interrupted(&mut self, in_flight: Option<u64>, grace: Duration) {
        self.show.interrupted(in_flight, grace);
    }

    /// Faults are taken back before the ledger is read: it is not about what they hide.
    fn load_over(&mut self) {
        if let Some(driver) = self.driver.take() {
            self.records = driver.finish();
        }
        if std::mem::take(&mut self.tells_of_ledger) {
            tell("reading the ledger back");
        }
    }
}

/// Steps that only pause have no figures.
fn without_pauses(summary: &mut Summary, plan: &Plan) {
    let is_request = |flow: &str, step: &str| {
        let flow = plan.flows.iter().find(|f| f.name == flow);
        let step = flow.and_then(|f| f.steps.iter().find(|s| s.name == step));
        step.is_none_or(|s| !matches!(s.request, Request::None))
    };
    let of_phases = summary.phases.iter_mut().flat_map(|phase| &mut phase.flows);
    for flow in summary.flows.iter_mut().chain(of_phases) {
        let name = &flow.name;
        flow.steps.retain(|step| is_request(name, &step.name));
    }
}
