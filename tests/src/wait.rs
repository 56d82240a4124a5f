//! Waiting, with bounds that stretch on slow machines.

use std::{
    env, fs,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How much slower than an idle machine this one is, for limits and bounds:
/// `FAULTD_TEST_SLOW`, 1 when unset, or how many processes wait for each
/// processor right now, whichever is more (at most 8).
///
/// The VM tier sets the variable, because a guest under emulation is 10 to 50
/// times slower and its clock ticks coarsely.
pub fn slow() -> f64 {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    let set = *FACTOR.get_or_init(|| {
        let Ok(text) = env::var("FAULTD_TEST_SLOW") else { return 1.0 };
        let factor: f64 = text.parse().expect("FAULTD_TEST_SLOW is a number");
        assert!(factor >= 1.0, "FAULTD_TEST_SLOW must be at least 1, got {factor}");
        factor
    });
    set.max(crowding().min(8.0))
}

/// Processes that want to run, for each processor; the mean of a minute.
fn crowding() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(0.0);
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    load / processors as f64
}

/// A time limit, stretched by [`slow`].
pub fn slowly(limit: Duration) -> Duration {
    limit.mul_f64(slow())
}

/// A duration for `--for` that is long enough for the fault to come into force
/// on a slow machine; in milliseconds.
pub fn stretched(ms: f64) -> f64 {
    (ms * slow()).round()
}

/// Waits until something holds; `limit` is stretched by [`slow`].
///
/// # Panics
/// When it does not come to hold in time.
#[track_caller]
pub fn eventually(limit: Duration, what: &str, holds: impl FnMut() -> bool) {
    let limit = slowly(limit);
    assert!(holds_within(limit, holds), "not within {limit:?}: {what}");
}

/// Whether something comes to hold within `limit`, which is taken as it is.
pub fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
