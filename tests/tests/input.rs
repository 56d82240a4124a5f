//! Wrong input of every sort: one clear line, the right exit code, nothing changed.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::CommandExt};

use faultd_tests::{Outcome, World, daemon::Home, http, process::alive};

/// What is typed after `faultctl`, the exit code, and what the line names.
const WRONG: &[(&str, i32, &[&str])] = &[
    // Usage.
    ("inject", 2, &["latency"]),
    ("inject latncy --ms 5", 2, &["latncy", "latency"]),
    ("inject latency", 2, &["--ms"]),
    ("inject latency --ms 5 --no-such-option", 2, &["--no-such-option"]),
    ("inject latency --ms 5 --for 5s --for 6s", 2, &["--for"]),
    ("inject latency --ms 5 --ms 6", 2, &["--ms"]),
    ("no-such-command", 2, &["no-such-command"]),
    ("revert", 2, &[]),
    ("show", 2, &[]),
    // Zero, negative, NaN, huge, nonsense.
    ("inject latency --ms 0", 2, &["--ms", "between", "got 0"]),
    ("inject latency --ms -5", 2, &["--ms", "-5"]),
    ("inject latency --ms NaN", 2, &["--ms", "NaN"]),
    ("inject latency --ms inf", 2, &["--ms", "inf"]),
    ("inject latency --ms 60001", 2, &["--ms", "60000"]),
    ("inject latency --ms 1e300", 2, &["--ms"]),
    ("inject latency --ms 0.001", 2, &["--ms", "0.01"]),
    ("inject latency --ms fast", 2, &["--ms", "fast"]),
    ("inject latency --ms 5 --jitter -1", 2, &["--jitter"]),
    ("inject latency --ms 5 --jitter NaN", 2, &["--jitter"]),
    ("inject latency --ms 5 --correlation 20", 2, &["--correlation", "--jitter"]),
    ("inject latency --ms 5 --jitter 1 --correlation 101", 2, &["--correlation"]),
    ("inject latency --ms 5 --jitter 1 --distribution gauss", 2, &["--distribution", "gauss"]),
    ("inject loss", 2, &["--percent"]),
    ("inject loss --percent 0", 2, &["--percent"]),
    ("inject loss --percent 100.1", 2, &["--percent", "100.1"]),
    ("inject loss --percent -3", 2, &["--percent"]),
    ("inject loss --percent NaN", 2, &["--percent"]),
    ("inject loss --percent 5 --every 3", 2, &["--percent", "--every"]),
    ("inject loss --every 0", 2, &["--every"]),
    ("inject loss --every 99999999999999", 2, &["--every"]),
    ("inject loss --gemodel 0,10", 2, &["--gemodel"]),
    ("inject loss --gemodel 1,2,3,4,5", 2, &["--gemodel"]),
    ("inject loss --gemodel x", 2, &["--gemodel"]),
    ("inject latency --ms 5 --for 0s", 2, &["--for"]),
    ("inject latency --ms 5 --for -5s", 2, &["--for"]),
    ("inject latency --ms 5 --for 10", 2, &["--for", "10"]),
    ("inject latency --ms 5 --for 99999999999999999999h", 2, &["--for"]),
    ("inject latency --ms 5 --for 40days", 2, &["--for"]),
    ("inject latency --ms 5 --lease 2m", 2, &["--lease"]),
    ("inject latency --ms 5 --seed -1", 2, &["--seed"]),
    ("inject latency --ms 5 --seed 99999999999999999999999", 2, &["--seed"]),
    ("inject latency --ms 5 --port 0", 2, &["--port"]),
    ("inject latency --ms 5 --port 65536", 2, &["--port", "65536"]),
    ("inject latency --ms 5 --port 90-80", 2, &["--port", "90-80"]),
    ("inject latency --ms 5 --port 80,,81", 2, &["--port"]),
    ("inject latency --ms 5 --remote 300.1.2.3", 2, &["--remote", "300.1.2.3"]),
    ("inject latency --ms 5 --remote 10.0.0.0/33", 2, &["--remote", "10.0.0.0/33"]),
    ("inject latency --ms 5 --remote evil;rm", 2, &["--remote"]),
    ("inject latency --ms 5 --proto sctp", 2, &["--proto", "sctp"]),
    ("inject latency --ms 5 --proto icmp --port 80", 2, &["--proto", "icmp"]),
    ("inject latency --ms 5 --direction sideways", 2, &["--direction", "sideways"]),
    ("inject latency --ms 5 --dev a/b", 2, &["--dev", "a/b"]),
    ("inject latency --ms 5 --dev an-interface-name-too-long", 2, &["--dev"]),
    ("inject latency --ms 5 --pid 0", 2, &["--pid"]),
    ("inject latency --ms 5 --pid -1", 2, &["--pid"]),
    ("inject latency --ms 5 --pid 99999999999", 2, &["--pid"]),
    ("inject latency --ms 5 --cgroup /a/../../b", 2, &["--cgroup", ".."]),
    // Well formed, and not there.
    ("inject latency --ms 5 --dev nope0", 2, &["nope0"]),
    ("inject partition --netns no-such-namespace", 2, &["no-such-namespace"]),
    ("inject partition --name no-such-command-name", 2, &["no-such-command-name"]),
    ("inject partition --user no-such-user", 2, &["no-such-user"]),
    ("inject partition --cgroup /no/such/group", 2, &["/no/such/group"]),
    ("inject partition --unit no-such-unit.service", 2, &["no-such-unit"]),
    ("inject partition --container no-such-container", 2, &["no-such-container"]),
    ("inject partition --exe /no/such/program", 2, &["/no/such/program"]),
    ("inject partition --cmdline [", 2, &["--cmdline"]),
    ("inject latency --ms 5 --remote no-such-host.invalid", 2, &["no-such-host.invalid"]),
    ("inject latency --ms 5 --backend no-such-backend", 2, &["no-such-backend"]),
    // Policy and faults that are not there.
    ("inject latency --ms 5 --for 2h", 4, &["1h"]),
    ("show f-zzzzzz", 6, &["f-zzzzzz"]),
    ("revert f-zzzzzz", 6, &["f-zzzzzz"]),
    ("confirm f-zzzzzz", 6, &["f-zzzzzz"]),
    ("show ../../etc", 6, &[]),
];

#[test]
fn wrong_command_lines_are_refused_and_change_nothing() {
    let world = World::new();
    let mut wrong = Vec::new();
    for (line, code, words) in WRONG {
        let outcome = world.ctl(line);
        let verdict = std::panic::catch_unwind(|| outcome.refused(*code, words));
        if let Err(panic) = verdict {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("`faultctl {line}`: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), WRONG.len(), wrong.join("\n"));
    world.assert_untouched();
    assert_eq!(world.get("/v1/faults?all=true")["faults"].as_array().map(Vec::len), Some(0));
    assert_eq!(world.get("/v1/health")["status"], "ok");
}

#[test]
fn a_dead_pid_is_refused_by_name() {
    let world = World::new();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert!(!alive(pid));
    for kind in ["partition", "latency --ms 5", "loss --percent 5"] {
        world.ctl(&format!("inject {kind} --pid {pid}")).refused(2, &[&pid.to_string()]);
    }
    world.assert_untouched();
}

#[test]
fn pid_1_and_the_daemon_are_protected() {
    let world = World::new();
    let daemon = world.pid().to_string();
    for pid in ["1", &daemon] {
        let outcome = world.ctl(&format!("inject partition --pid {pid}"));
        outcome.refused(4, &["--force"]);
    }
    world.assert_untouched();
}

#[test]
fn an_unreachable_daemon_is_said_so() {
    let home = Home::new();
    let outcome = faultd_tests::ctl::run(&home.socket(), "list");
    outcome.refused(3, &[&home.socket().display().to_string()]);
}

#[test]
fn strangers_are_refused() {
    let world = World::new();
    let socket = world.socket().to_owned();
    let dir = socket.parent().unwrap();
    fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o660);

    // The program may lie where nobody can read: run a copy.
    let copy = dir.join("faultctl");
    fs::copy(faultd_tests::ctl::binary("FAULTCTL_BIN", "faultctl"), &copy).unwrap();
    let as_nobody = || {
        let mut command = std::process::Command::new(&copy);
        command.arg("--socket").arg(&socket).uid(65_534).gid(65_534).current_dir("/");
        command
    };
    Outcome::of(as_nobody().arg("list")).refused(4, &[]);
    // Even where somebody opened the socket up, the caller is looked at.
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
    for line in ["list", "inject partition --for 5s", "revert --all", "doctor"] {
        let outcome = Outcome::of(as_nobody().args(line.split(' ')));
        assert_eq!(outcome.code, Some(4), "{line}: {}{}", outcome.stderr, outcome.stdout);
    }
    world.assert_untouched();
    assert_eq!(world.get("/v1/faults?all=true")["faults"].as_array().map(Vec::len), Some(0));
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o660)).unwrap();
}

#[test]
fn the_policy_says_who_may_do_what() {
    let config = r#"
        [protect]
        ports = [5432]
        [[allow]]
        users = ["root"]
        kinds = ["latency"]
        max_duration = "30s"
        max_active = 2
        force = false
    "#;
    let world = World::build(false, Home::new().with_config(config), &[]);
    for (line, words) in [
        ("inject loss --percent 5 --port 9", &["loss", "latency"][..]),
        ("inject latency --ms 5 --port 9 --for 31s", &["30s"]),
        ("inject latency --ms 5 --port 9 --for 5s --force", &["--force"]),
        ("inject latency --ms 5 --port 5432 --for 5s", &["5432"]),
        ("inject latency --ms 5 --port 5000-6000 --for 5s", &["5432"]),
    ] {
        world.ctl(line).refused(4, words);
    }
    for _ in 0..2 {
        world.inject("latency --ms 5 --port 9 --for 20s");
    }
    let outcome = world.ctl("inject latency --ms 5 --port 9 --for 20s");
    assert!(matches!(outcome.code, Some(1 | 4)), "a third one: {outcome:?}");
    world.revert_all();
}

#[test]
fn a_broken_configuration_file_stops_the_start() {
    for text in [
        "limits = ",
        "no_such_key = 1\n",
        "[[allow]]\nusers = [\"root\"]\nmax_duration = \"-5s\"\n",
    ] {
        let home = Home::new().with_config(text);
        let output = home.command().output().unwrap();
        assert!(!output.status.success(), "started with {text:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("config.toml"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(!home.socket().exists());
    }
}

#[test]
fn bodies_on_the_wire_are_checked_too() {
    let world = World::new();
    let bodies: &[(&str, &str)] = &[
        ("", "invalid"),
        ("{", "invalid"),
        ("[]", "invalid"),
        ("null", "invalid"),
        ("\"latency\"", "invalid"),
        (r#"{"kind":"latency"}"#, "invalid"),
        (r#"{"kind":"nope","params":{}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"for":"10s","extra":1}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5,"extra":1}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"target":{"prot":"tcp"}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"target":{"port":0}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"target":{"port":-1}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"target":{"port":1e9}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":"5"}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":0}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":NaN}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":1e999}}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"for":"0s"}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"for":60}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"for":"10s","for":"20s"}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"seed":-1}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"label":"a\nb"}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5}}{"kind":"latency"}"#, "invalid"),
        (r#"{"kind":"latency","params":{"ms":5},"target":{"dev":["nope0"]}}"#, "invalid"),
    ];
    for path in ["/v1/faults", "/v1/plan"] {
        for (body, kind) in bodies {
            let response = http::request(world.socket(), "POST", path, body);
            assert!((400..500).contains(&response.status), "{body}: {response:?}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"), "{body}");
            let problem = response.json();
            assert_eq!(problem["type"], format!("urn:faultd:{kind}"), "{body}: {problem}");
            assert_eq!(problem["status"], response.status, "{body}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(!detail.is_empty() && !detail.contains('\n'), "{body}: {detail:?}");
        }
    }
    let huge = format!(r#"{{"kind":"latency","label":"{}"}}"#, "x".repeat(70_000));
    let response = http::request(world.socket(), "POST", "/v1/faults", &huge);
    assert_eq!(response.status, 413, "{response:?}");
    assert_eq!(response.json()["type"], "urn:faultd:too-large");
    world.assert_untouched();
    assert_eq!(world.get("/v1/faults?all=true")["faults"].as_array().map(Vec::len), Some(0));
}
