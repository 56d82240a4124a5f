//! The main job, shown: a real HTTP server, an independent client, and what
//! `faultctl inject` does to them.
//!
//! Everything happens in a network namespace of its own; `cargo xtask demo`
//! builds what is needed and picks the place to run.
#![expect(clippy::expect_used, reason = "a demo that cannot be set up ends here, with the reason")]

mod client;
mod figures;
mod scene;
mod server;

use std::{env, process::ExitCode};

use faultd_tests::World;

use scene::{Act, Scene};

/// What the kernel cannot do; `cargo xtask demo` then goes to a guest.
const NOT_HERE: u8 = 5;

const ACTS: [Act; 3] = [
    Act { title: "every answer half a second late", fault: "latency --ms 500", seconds: 10 },
    Act { title: "three packets in ten lost", fault: "loss --percent 30", seconds: 6 },
    Act { title: "nothing gets through", fault: "partition", seconds: 4 },
];

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| eprintln!("\nthe demo failed: {panic}")));
    let check_only = env::args().nth(1).is_some_and(|a| a == "--check");
    match std::panic::catch_unwind(|| if check_only { check() } else { show() }) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Whether this kernel can do all of it.
fn check() -> ExitCode {
    let world = World::new();
    let found = world.get("/v1/capabilities");
    let mut code = ExitCode::SUCCESS;
    for entry in found["kinds"].as_array().into_iter().flatten() {
        let backends = entry["backends"].as_array().cloned().unwrap_or_default();
        if backends.iter().any(|b| b["support"] == "yes") {
            continue;
        }
        let why: Vec<_> = backends.iter().map(|b| b["detail"].to_string()).collect();
        println!("{}: {}", entry["kind"].as_str().unwrap_or("?"), why.join("; "));
        code = ExitCode::from(NOT_HERE);
    }
    code
}

fn show() -> ExitCode {
    let mut world = World::new();
    let scene = Scene::start(&world);
    scene.introduce(&world);
    for (number, act) in ACTS.iter().enumerate() {
        scene.play(&world, number + 1, act);
    }
    drop(scene);
    println!("\nFinally: what is left behind\n");
    let status = world.take_daemon().stop();
    println!("  faultd, told to stop (SIGTERM), ended with {status}");
    let left = world.left_behind();
    if left.is_empty() {
        println!(
            "  interfaces, queues, filters, BPF programs and links, addresses, routes, sysctls,\n  \
             control groups and processes are as they were before faultd was started"
        );
        return ExitCode::SUCCESS;
    }
    println!("  LEFT BEHIND:\n  {}", left.join("\n  "));
    ExitCode::FAILURE
}
