//! One result for each test, and what is made of them.

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use faultd_guest::{Outcome, Remark};
use serde::Serialize;

use super::Tier;
use crate::vm::kernel::Label;

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It passed.
    Ok,
    /// It did not, or it could not be run to its end.
    Failed,
    /// It says that it cannot run here.
    Skipped,
    /// It does not run on the host; the guests have to. Counts as a skip unless one of them did.
    LeftToVm,
}

/// One test on one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct TestResult {
    /// Its tier.
    pub tier: Tier,
    /// Kernel of the guest: label of the matrix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// `executable::path::of::test`.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// Wall-clock milliseconds; 0 where libtest does not tell.
    pub ms: u64,
    /// Reason of a skip, or of a failure that is not the test's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// End of the output of a test that failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

impl TestResult {
    /// A tier, or a kernel of it, that cannot run.
    pub fn cannot_run(tier: Tier, kernel: Option<Label>, why: String) -> Self {
        Self {
            tier,
            kernel: kernel.map(|k| k.to_string()),
            name: "(all)".into(),
            verdict: Verdict::Skipped,
            ms: 0,
            note: Some(why),
            output: String::new(),
        }
    }

    /// The result of a process that ran one test.
    pub fn of_process(tier: Tier, kernel: Option<Label>, name: &str, outcome: Outcome) -> Self {
        let (verdict, note) = judge(&outcome);
        Self {
            tier,
            kernel: kernel.map(|k| k.to_string()),
            name: name.to_owned(),
            verdict,
            ms: outcome.ms,
            note,
            output: outcome.output,
        }
    }

    /// As [`Self::of_process`], for a test whose process ran others as well.
    pub fn of_unit_test(
        name: String,
        verdict: Verdict,
        note: Option<String>,
        output: &str,
    ) -> Self {
        let output = if verdict == Verdict::Failed { output.to_owned() } else { String::new() };
        Self { tier: Tier::Unit, kernel: None, name, verdict, ms: 0, note, output }
    }

    fn place(&self) -> String {
        match (self.tier, &self.kernel) {
            (Tier::Vm, Some(kernel)) => kernel.clone(),
            (tier, _) => format!("{tier:?}").to_lowercase(),
        }
    }
}

fn judge(outcome: &Outcome) -> (Verdict, Option<String>) {
    if outcome.timed_out {
        return (Verdict::Failed, Some("killed: its time was up".into()));
    }
    if let Some(signal) = outcome.signal {
        return (Verdict::Failed, Some(format!("ended by signal {signal}")));
    }
    if !outcome.passed() {
        return (Verdict::Failed, outcome.error.clone());
    }
    of_remark(outcome.remark.as_ref())
}

/// The verdict on a test that passed and said this.
pub fn of_remark(remark: Option<&Remark>) -> (Verdict, Option<String>) {
    match remark {
        Some(Remark::Skipped(reason)) => (Verdict::Skipped, Some(reason.clone())),
        Some(Remark::LeftToVm(reason)) => (Verdict::LeftToVm, Some(reason.clone())),
        None => (Verdict::Ok, None),
    }
}

/// All results of a run.
#[derive(Default)]
pub struct Report {
    results: Vec<TestResult>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a result and shows it. Passing unit tests are many and quick: they are counted only.
    pub fn add(&mut self, result: TestResult) {
        if result.tier != Tier::Unit || result.verdict != Verdict::Ok {
            println!("{}", line(&result));
        }
        // At once: a run that is interrupted has said why.
        for line in result.output.trim_end().lines() {
            println!("    {line}");
        }
        self.results.push(result);
    }

    /// Shows everything, writes the file, and decides.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self, file: &Path, deny_skips: bool) -> Result<ExitCode> {
        self.settle();
        let totals = self.totals();
        self.show_table();
        self.show_details();
        let document = serde_json::json!({ "totals": totals, "results": self.results });
        fs::write(file, serde_json::to_vec_pretty(&document)?)
            .with_context(|| file.display().to_string())?;

        let denied = deny_skips && totals.skipped > 0;
        if denied {
            println!("skipped tests count as failures here");
        }
        println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
        Ok(if totals.failed > 0 || denied { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    #[cfg(test)]
    pub fn names_of_failed(&self) -> Vec<&str> {
        let failed = self.results.iter().filter(|r| r.verdict == Verdict::Failed);
        failed.map(|r| r.name.as_str()).collect()
    }

    /// A test that the host left to the guests has run if it passed in one of them, and is a
    /// skip if it did not.
    fn settle(&mut self) {
        let ran: Vec<_> = self
            .results
            .iter()
            .filter(|r| r.tier == Tier::Vm && matches!(r.verdict, Verdict::Ok | Verdict::Failed))
            .map(|r| r.name.clone())
            .collect();
        for result in &mut self.results {
            if result.verdict == Verdict::LeftToVm && !ran.contains(&result.name) {
                result.verdict = Verdict::Skipped;
            }
        }
    }

    fn totals(&self) -> Totals {
        let count = |verdict| self.results.iter().filter(|r| r.verdict == verdict).count();
        Totals {
            passed: count(Verdict::Ok),
            failed: count(Verdict::Failed),
            skipped: count(Verdict::Skipped),
        }
    }

    /// Privileged tests down, the host and the kernels across.
    fn show_table(&self) {
        let privileged =
            || self.results.iter().filter(|r| r.tier != Tier::Unit && r.name != "(all)");
        let mut places: Vec<String> = Vec::new();
        let mut rows: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for result in privileged() {
            let place = result.place();
            if !places.contains(&place) {
                places.push(place.clone());
            }
            rows.entry(&result.name).or_default().insert(place, cell(result));
        }
        let unit = self.results.iter().filter(|r| r.tier == Tier::Unit);
        let (ok, all) =
            unit.fold((0, 0), |(ok, all), r| (ok + usize::from(r.verdict == Verdict::Ok), all + 1));
        println!();
        if all > 0 {
            println!("unit tests: {ok} of {all} passed");
        }
        if rows.is_empty() {
            return;
        }
        let width = rows.keys().map(|name| name.len()).max().unwrap_or(0);
        print!("{:width$}", "test");
        places.iter().for_each(|place| print!("  {place:>12}"));
        println!();
        for (name, cells) in rows {
            print!("{name:width$}");
            for place in &places {
                print!("  {:>12}", cells.get(place).map_or("-", String::as_str));
            }
            println!();
        }
        println!();
    }

    /// Names of what failed (its output was shown when it did) and reasons of skips.
    fn show_details(&self) {
        for result in self.results.iter().filter(|r| r.verdict == Verdict::Failed) {
            println!("FAILED {} [{}] {}", result.name, result.place(), note(result));
        }
        for result in self.results.iter().filter(|r| r.verdict == Verdict::Skipped) {
            println!("SKIPPED {} [{}] {}", result.name, result.place(), note(result));
        }
    }
}

fn note(result: &TestResult) -> &str {
    result.note.as_deref().unwrap_or_default()
}

fn line(result: &TestResult) -> String {
    let word = match result.verdict {
        Verdict::Ok => "ok",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "SKIPPED",
        Verdict::LeftToVm => "left to vm",
    };
    let (place, name, ms) = (result.place(), &result.name, result.ms);
    format!("{word:<10} {place:<7} {name} ({ms} ms) {}", note(result)).trim_end().to_owned()
}

fn cell(result: &TestResult) -> String {
    match result.verdict {
        Verdict::Ok => format!("{} ms", result.ms),
        Verdict::Failed => "FAILED".into(),
        Verdict::Skipped => "skipped".into(),
        Verdict::LeftToVm => "vm only".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(tier: Tier, name: &str, code: i32, remark: Option<Remark>) -> TestResult {
        let outcome = Outcome { code: Some(code), remark, ..Outcome::default() };
        TestResult::of_process(tier, None, name, outcome)
    }

    #[test]
    fn verdicts() {
        assert_eq!(result(Tier::Host, "t", 0, None).verdict, Verdict::Ok);
        assert_eq!(
            result(Tier::Host, "t", 0, Some(Remark::Skipped("no fq".into()))).verdict,
            Verdict::Skipped
        );
        // A test that failed after saying that it skips has failed.
        assert_eq!(
            result(Tier::Host, "t", 101, Some(Remark::Skipped("no fq".into()))).verdict,
            Verdict::Failed
        );
        let killed = Outcome { timed_out: true, signal: Some(9), ..Outcome::default() };
        let killed = TestResult::of_process(Tier::Vm, Some(Label::V6_1), "t", killed);
        assert_eq!(killed.verdict, Verdict::Failed);
        assert!(killed.note.unwrap().contains("time"));
    }

    #[test]
    fn what_is_left_to_the_guests_has_to_run_there() {
        let left = Some(Remark::LeftToVm("no netem".into()));
        let mut report = Report::new();
        report.add(result(Tier::Host, "a", 0, left.clone()));
        report.add(result(Tier::Host, "b", 0, left));
        report.add(result(Tier::Vm, "a", 0, None));
        report.settle();
        assert_eq!(report.totals(), Totals { passed: 1, failed: 0, skipped: 1 });
    }

    #[test]
    fn skips_fail_only_where_they_are_denied() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.json");
        for deny in [false, true] {
            let mut report = Report::new();
            report.add(TestResult::cannot_run(Tier::Vm, Some(Label::V6_1), "no QEMU".into()));
            let code = report.finish(&file, deny).unwrap();
            let expected = if deny { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            assert_eq!(format!("{code:?}"), format!("{expected:?}"));
        }
        let document: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(document["totals"]["skipped"], 1);
        assert_eq!(document["results"][0]["kernel"], "6.1");
    }
}
