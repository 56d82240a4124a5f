use std::time::Duration;

use faultd_api::{FaultRequest, Params, PartitionParams, Target};

use super::*;

fn request(secs: u64, force: bool) -> FaultRequest {
    FaultRequest {
        params: Params::Partition(PartitionParams {}),
        target: Target::default(),
        duration: Span::from(Duration::from_secs(secs)),
        label: None,
        seed: None,
        backend: None,
        lease: None,
        force,
    }
}

fn who(uid: u32, groups: &[u32]) -> Identity {
    Identity { uid, gid: uid, groups: groups.to_vec() }
}

#[test]
fn the_packaged_file_says_what_the_defaults_are() {
    let text = include_str!("../../../packaging/config.toml");
    assert_eq!(Config::parse(text).unwrap(), Config::default());
    // Every line of the file that is commented out is a valid example.
    let example: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("#= ").or(line.strip_prefix("#=")))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(example.contains("[[allow]]"));
    Config::parse(&example).unwrap();
}

#[test]
fn by_default_root_may_force_and_strangers_nothing() {
    let policy = Config::default().policy();
    let root = policy.grant(&who(0, &[])).unwrap();
    root.permits(&request(3600, true)).unwrap();
    let long = root.permits(&request(3601, false)).unwrap_err();
    assert_eq!(long.to_string(), "--for 1h1s is longer than the policy allows (1h)");
    assert!(policy.grant(&who(12345, &[])).is_err());
}

#[test]
fn rules_match_users_and_all_kinds_of_groups_and_the_first_decides() {
    let policy = Config::parse(
        r#"
        [[allow]]
        users = [1000]
        kinds = ["partition"]
        max_duration = "5m"
        revert_others = false
        [[allow]]
        users = ["1000"]
        groups = [77]
        kinds = []
        "#,
    )
    .unwrap()
    .policy();
    let first = policy.grant(&who(1000, &[77])).unwrap();
    first.permits(&request(300, false)).unwrap();
    assert!(first.permits(&request(301, false)).is_err());
    assert!(first.permits(&request(1, true)).is_err());
    let supplementary = policy.grant(&who(5, &[1, 77])).unwrap();
    assert!(supplementary.permits(&request(1, false)).is_err());
    assert!(policy.grant(&who(77, &[])).is_ok(), "primary group");
    assert!(policy.grant(&who(0, &[])).is_err(), "the file replaces the defaults");
}

#[test]
fn mistakes_are_refused_with_their_line() {
    for (text, expect) in [
        ("[limits]\nmax_actve = 3", "line 2"),
        ("[protekt]", "protekt"),
        ("[[allow]]\nusers = [\"root\"]\nkinds = [\"latencyy\"]", "line 3"),
        ("[[allow]]\nusers = [\"root\"]\nmax_duration = \"forever\"", "line 3"),
        ("[[allow]]\nforce = true", "neither users nor groups"),
        ("[[allow]]\nusers = [-1]", "a name or a number"),
        ("[network]\nbypass_mark = 3", "one bit"),
        ("[protect]\nports = [0]", "between 1 and 65535"),
        ("[protect]\nports = [70000]", "line 2"),
        ("[[allow]]\nusers = [\"root\"]\nmax_duration = \"60days\"", "at most 30days"),
        ("this is not toml", "line 1"),
        ("[limits]\nmax_active = 3\nmax_active = 4", "duplicate key"),
        ("[limits]\nmax_active = 3\n[limits]\nmax_active = 4", "line 3"),
    ] {
        let error = Config::parse(text).unwrap_err();
        assert!(error.contains(expect), "{text:?}: {error}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let error = Config::load(Some(Path::new("/nonexistent/config.toml"))).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/config.toml"), "{error}");
}

#[test]
fn unknown_names_are_reported_and_match_nobody() {
    let config = Config::parse("[[allow]]\nusers = [\"no-such-user-here\"]").unwrap();
    assert_eq!(config.unknown_names(), ["user no-such-user-here"]);
    assert!(config.policy().grant(&who(0, &[])).is_err());
}
