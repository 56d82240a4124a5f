//! The scenarios that come with the project, and those of docs/scenarios.md.

use std::{fs, path::PathBuf};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn ready_scenarios_are_right() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        let vars = if text.contains("\n  unit:\n") {
            [("unit".to_owned(), "web.service".to_owned())].into()
        } else {
            Default::default()
        };
        let options = Options { vars, ..Options::default() };
        let scenario = load(&path, &options).unwrap_or_else(|e| panic!("{e}"));
        assert!(!scenario.thresholds.is_empty(), "{}: asks nothing", path.display());
        assert!(!timeline_text(&scenario).is_empty());
    }
    assert!(count >= 8, "{count} scenarios");
}

/// The pieces of the page, put into one scenario each: what stands there can be written.
#[test]
fn the_page_says_what_is_true() {
    let page = fs::read_to_string(root().join("docs/scenarios.md")).unwrap();
    let mut pieces = page.split("```yaml\n").skip(1).map(|p| p.split("```").next().unwrap());
    let whole = pieces.next().unwrap();
    loaded(whole);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("users.csv"), "email\na@b.c\n").unwrap();
    fs::copy(root().join("scenarios/cart.proto"), dir.path().join("cart.proto")).unwrap();
    for piece in pieces {
        let key = piece.split(':').next().unwrap();
        // Phases of the first one: stages of five minutes, a fault and a probe in them.
        let keys = [
            ("name", "name: piece\n"),
            ("target", "target: http://127.0.0.1:8080\n"),
            ("flows", "flows: { buy: { steps: [{ name: login, http: GET / }] } }\n"),
            ("stages", "stages: [{ for: 5m, rate: 1/s }]\n"),
            (
                "faults",
                if key == "phases" {
                    ""
                } else {
                    "faults: [{ at: 1m, for: 1m, inject: partition --port 1 }]\n"
                },
            ),
            ("probe", "probe: { http: GET / }\n"),
        ];
        let has = |key: &str| piece.lines().any(|line| line.starts_with(&format!("{key}:")));
        let rest: String = keys.iter().filter(|(k, _)| !has(k)).map(|(_, line)| *line).collect();
        let text = format!("{rest}{piece}");
        let vars = if key == "vars" {
            [("password".to_owned(), "x".to_owned())].into()
        } else {
            Default::default()
        };
        let options = Options { vars, ..Options::default() };
        from_yaml("piece", &text, dir.path(), &options).unwrap_or_else(|e| panic!("{e}\n{text}"));
    }
}
