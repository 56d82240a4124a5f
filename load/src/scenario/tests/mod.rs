mod accepted;
mod examples;
mod grpc;
mod ledger;
mod mistakes;
mod probe;
mod robust;
mod words;

use std::path::Path;

use super::*;

/// The smallest scenario; tests change it.
const SMALL: &str = "\
name: small
target: http://127.0.0.1:8080
flows:
  get:
    steps:
      - http: GET /items
stages:
  - for: 10s
    rate: 100/s
";

fn load_text(text: &str) -> Result<Scenario, LoadError> {
    from_yaml("s.yaml", text, Path::new("."), &Options::default())
}

fn loaded(text: &str) -> Scenario {
    load_text(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}
