//! The programs pass the verifier, and at what cost.

use super::super::object::{LoadOptions, Object};
use crate::host::test_support::{private_netns, skipped};

#[test]
fn every_program_loads() {
    if private_netns().is_none() {
        return skipped("loading eBPF programs needs CAP_BPF");
    }
    for log in [false, true] {
        let object = Object::load(LoadOptions { log, ..LoadOptions::default() });
        let object = object.unwrap_or_else(|e| panic!("{}", error_chain(&e)));
        for (name, program) in object.ebpf.programs() {
            let info = program.info().unwrap();
            println!("{name}: {:?} instructions verified", info.verified_instruction_count());
        }
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
