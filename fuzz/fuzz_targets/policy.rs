//! The policy file: any text is taken or refused with words, and what is taken
//! keeps the bounds that the daemon relies on.

#![no_main]

use std::time::Duration;

use faultd::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(message) => return assert!(!message.is_empty()),
    };
    assert!(config.network.bypass_mark.is_power_of_two());
    assert!(!config.protected().ports.contains(&0));
    for allow in &config.allow {
        assert!(!allow.users.is_empty() || !allow.groups.is_empty());
        assert!(allow.max_duration.get() <= Duration::from_secs(30 * 24 * 3600));
    }
});
