//! Two processes side by side, and what they say together.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use faultload::report;

use crate::server::{Reply, Server};

fn faultload() -> Command {
    Command::new(env!("CARGO_BIN_EXE_faultload"))
}

fn start(file: &Path, out: &Path) -> Child {
    let mut command = faultload();
    command.arg("run").arg(file).arg("--out").arg(out).arg("-q");
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn two_processes_say_together_what_the_server_saw() {
    let asked = Arc::<AtomicU64>::default();
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Reply::Answer(200, String::new())
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("half.yaml");
    let text = format!(
        "name: half\ntarget: http://127.0.0.1:{}\nflows: {{ get: {{ steps: [{{ http: GET / }}] }} }}\n\
         stages: [{{ for: 1s, rate: 100/s }}]\nthresholds: [requests == 200, error_ratio < 1%]\n",
        server.port
    );
    std::fs::write(&file, text).unwrap();
    let [one, other, both] = ["one", "other", "both"].map(|name| dir.path().join(name));
    let mut runs = [start(&file, &one), start(&file, &other)];
    for run in &mut runs {
        let code = run.wait().unwrap().code();
        assert!(matches!(code, Some(97 | 99)), "alone it is half of what is asked: {code:?}");
    }
    let merged = faultload().arg("merge").args([&one, &other]).arg("-o").arg(&both).output();
    let merged = merged.unwrap();
    let said = String::from_utf8_lossy(&merged.stdout).into_owned();
    assert!(matches!(merged.status.code(), Some(0 | 97)), "{said}");
    let (summary, half) = (report::read(&both).unwrap(), report::read(&one).unwrap());
    assert_eq!(summary.total.sent, asked.load(Ordering::Relaxed));
    assert_eq!(summary.total.latency.count, 200);
    assert_eq!(summary.host.workers, 2 * half.host.workers);
    let rows: u64 = summary.timeline.iter().map(|row| row.ok).sum();
    assert_eq!(rows, 200);
    for name in ["timeline.csv", "report.html", "report.md", "junit.xml"] {
        assert!(both.join(name).is_file(), "{name}");
    }
    for (parts, out) in [([&one, &one], &both), ([&one, &other], &one)] {
        let refused = faultload().arg("merge").args(parts).arg("-o").arg(out).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{parts:?} to {}", out.display());
    }
    let alone = faultload().arg("merge").arg(&one).arg("-o").arg(&both).output().unwrap();
    assert_eq!(alone.status.code(), Some(2), "one result is no sum");
}
