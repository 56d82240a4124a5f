//! What a bulk stream keeps of its speed through the line.

use std::time::Duration;

use faultd_tests::{
    Netns,
    traffic::{BulkSource, bulk_rate},
};

use crate::{
    classifier::Match,
    setup::{Running, SLOT, needs_privilege},
};

#[test]
#[ignore = "a benchmark: wants two CPUs for itself"]
fn bulk_through_one_millisecond() {
    needs_privilege!();
    let _here = Netns::enter();
    let time = Duration::from_secs(2);
    let mut shares = Vec::new();
    for address in ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"] {
        let source = BulkSource::bind(address);
        let bare = bulk_rate(source.address(), time);
        let which = Match::From(source.address().port());
        let running = Running::new().egress("lo", which, Duration::from_millis(1));
        let through = bulk_rate(source.address(), time);
        let stats = running.line.stats(SLOT);
        println!(
            "bare {:.2} Gbit/s, through 1 ms {:.2} Gbit/s: {:.0} %; {stats:?}",
            bare * 8e-9,
            through * 8e-9,
            through / bare * 100.0
        );
        shares.push(through / bare);
    }
    shares.sort_by(f64::total_cmp);
    assert!(shares[1] >= 0.25, "less than a quarter of bare loopback: {shares:?}");
}

#[test]
#[ignore = "a benchmark: wants a CPU for itself"]
fn making_a_line() {
    needs_privilege!();
    let _here = Netns::enter();
    let (mut make, mut close) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let start = std::time::Instant::now();
        let running = Running::new();
        make.push(start.elapsed().as_nanos() as u64);
        let start = std::time::Instant::now();
        drop(running);
        close.push(start.elapsed().as_nanos() as u64);
    }
    let ms = |values: &[u64]| faultd_tests::traffic::median(values) as f64 / 1e6;
    println!("journal, TAP and thread: {:.2} ms; closing: {:.2} ms", ms(&make), ms(&close));
}
