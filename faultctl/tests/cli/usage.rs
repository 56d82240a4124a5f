//! Wrong input: one clear line, a hint at most, exit code 2, nothing sent.

use crate::fake::{Fake, faultctl, ran};

/// What is typed after `faultctl`, and the line that it gets.
const WRONG: &[(&str, &str)] = &[
    ("inject", "inject needs a fault: latency, loss, partition, syscall, kill, pause, oom"),
    ("inject latncy --ms 5", "\"latncy\" is not a fault; did you mean latency?"),
    (
        "inject zzz",
        "\"zzz\" is not a fault; there are latency, loss, partition, syscall, kill, pause, oom",
    ),
    ("inject latency", "--ms is missing"),
    ("inject latency --ms", "--ms needs a value"),
    ("inject latency --ms 0", "--ms must be between 0.01 and 60000, got 0"),
    ("inject latency --ms -5", "--ms must be between 0.01 and 60000, got -5"),
    ("inject latency --ms NaN", "--ms must be between 0.01 and 60000, got NaN"),
    ("inject latency --ms inf", "--ms must be between 0.01 and 60000, got inf"),
    ("inject latency --ms 1e9", "--ms must be between 0.01 and 60000, got 1000000000"),
    ("inject latency --ms 5s", "--ms takes a number, got \"5s\""),
    ("inject latency --ms 5 --ms 6", "--ms was given twice"),
    ("inject latency --ms 5 --jitter -1", "--jitter must be between 0 and 60000, got -1"),
    (
        "inject latency --ms 5 --distribution normal",
        "--distribution shapes the jitter; add --jitter MS",
    ),
    (
        "inject latency --ms 5 --jitter 1 --distribution norml",
        "--distribution takes uniform, normal, pareto or paretonormal, got \"norml\"; \
         did you mean normal?",
    ),
    ("inject latency --ms 5 --for 5s --for 6s", "--for was given twice"),
    (
        "inject latency --ms 5 --for 10",
        "--for takes a duration such as 500ms, 60s, 5m or 1h30m, got \"10\"",
    ),
    (
        "inject latency --ms 5 --for -5s",
        "--for takes a duration such as 500ms, 60s, 5m or 1h30m, got \"-5s\"",
    ),
    ("inject latency --ms 5 --for 0s", "--for must be above zero, got \"0s\""),
    (
        "inject latency --ms 5 --for 90days",
        "--for must be between 1ms and 30days, got 2months29days2h52m48s",
    ),
    ("inject latency --ms 5 --lease 2m", "--lease must be between 100ms and --for (1m), got 2m"),
    (
        "inject latency --ms 5 --confirm-within 2m",
        "--confirm-within must be between 100ms and --for (1m), got 2m",
    ),
    (
        "inject latency --ms 5 --lease 1s --confirm-within 1s",
        "--lease cannot be combined with --confirm-within",
    ),
    ("inject latency --ms 5 --dry-run --wait", "--dry-run cannot be combined with --wait"),
    ("inject latency --ms 5 --frce", "there is no option --frce; did you mean --force?"),
    ("inject latency --ms 5 --zzz", "there is no option --zzz"),
    ("inject latency --ms 5 8080", "\"8080\" is one argument too many"),
    ("inject latency --ms 5 --seed -1", "--seed takes a whole number, got \"-1\""),
    (
        "inject latency --ms 5 --seed 99999999999999999999",
        "--seed is too large: 99999999999999999999",
    ),
    ("inject latency --ms 1e300", "--ms must be between 0.01 and 60000, got 1e300"),
    ("inject latency --ms 5 --port 0", "--port takes ports between 1 and 65535, got \"0\""),
    ("inject latency --ms 5 --port -1", "--port takes ports between 1 and 65535, got \"-1\""),
    (
        "inject latency --ms 5 --local-port 70000",
        "--local-port takes ports between 1 and 65535, got \"70000\"",
    ),
    (
        "inject latency --ms 5 --remote 300.1.2.3",
        "--remote takes an address, a CIDR block or a host name, got \"300.1.2.3\"",
    ),
    ("inject latency --ms 5 --dev eth0/1", "--dev takes an interface name, got \"eth0/1\""),
    ("inject latency --ms 5 --proto tpc", "--proto takes tcp, udp or icmp, got \"tpc\""),
    ("inject latency --ms 5 --pid 0", "--pid takes process ids above zero"),
    ("inject latency --ms 5 --pid x", "--pid takes a whole number, got \"x\""),
    ("inject loss", "--percent is missing: say --percent, --gemodel or --every"),
    ("inject loss --percent 0", "--percent must be above 0 and at most 100, got 0"),
    ("inject loss --percent 101", "--percent must be above 0 and at most 100, got 101"),
    ("inject loss --every 0", "--every must be at least 1, got 0"),
    ("inject loss --every -5", "--every must be between 0 and 4294967295, got -5"),
    ("inject loss --every x", "--every takes a whole number, got \"x\""),
    (
        "inject loss --gemodel 1,2,3,4,5",
        "--gemodel takes p,r[,1-h[,1-k]] in percent, got \"1,2,3,4,5\"",
    ),
    ("inject partition --ms 5", "there is no option --ms"),
    ("lst", "there is no command \"lst\"; did you mean list?"),
    ("show", "ID is missing"),
    ("revert", "revert needs the ID of a fault, or --all"),
    ("revert --all f-1", "--all cannot be combined with ID"),
    (
        "doctor latncy",
        "KIND takes latency, loss, partition, syscall, kill, pause or oom, got \"latncy\"; did you mean latency?",
    ),
    ("explain --port x", "--port takes ports between 1 and 65535, got \"x\""),
    (
        "explain --remote 300.1.2.3",
        "--remote takes an address, a CIDR block or a host name, got \"300.1.2.3\"",
    ),
    ("list --color pink", "--color takes auto, always or never, got \"pink\""),
    ("completions tcl", "SHELL takes bash, elvish, fish, powershell or zsh, got \"tcl\""),
];

#[test]
fn wrong_input_gets_one_clear_line() {
    let fake = Fake::new();
    for (typed, line) in WRONG {
        let ran = fake.run(&typed.split(' ').collect::<Vec<_>>());
        let mut lines = ran.stderr.lines();
        assert_eq!(lines.next(), Some(format!("error: {line}").as_str()), "faultctl {typed}");
        let hint = lines.next();
        assert!(hint.is_none_or(|hint| hint.starts_with("for all options: faultctl")), "{hint:?}");
        assert_eq!(lines.next(), None, "faultctl {typed}");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "faultctl {typed}");
    }
    assert_eq!(fake.asked(), [""; 0], "nothing may be sent");
}

#[test]
fn the_hint_names_the_command_that_was_meant() {
    let stderr =
        ran(faultctl(&["--json", "inject", "loss", "--every", "x"]).spawn().unwrap()).stderr;
    assert_eq!(stderr.lines().nth(1), Some("for all options: faultctl inject loss --help"));
}

#[test]
fn nothing_typed_gets_the_help_and_code_2() {
    // Neither a variable nor an option is a command.
    let fake = Fake::new();
    for ran in [ran(faultctl(&[]).spawn().unwrap()), fake.run(&[]), fake.run(&["--json"])] {
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains("Usage: faultctl [OPTIONS] <COMMAND>"), "{}", ran.stderr);
    }
}

#[test]
fn help_is_a_command_too() {
    for (typed, option) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "list"], &["list", "--help"]),
        (&["help", "inject", "loss"], &["inject", "loss", "--help"]),
    ] {
        let [asked, shown] = [typed, option].map(|args| ran(faultctl(args).spawn().unwrap()));
        assert_eq!((asked.code, &asked.stdout), (Some(0), &shown.stdout), "{typed:?}");
        assert!(asked.stdout.contains("Usage: faultctl"), "{}", asked.stdout);
    }
    let unknown = ran(faultctl(&["help", "nope"]).spawn().unwrap());
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.starts_with("error: there is no command \"nope\""), "{unknown:?}");
}
