//! Waiting, with bounds that stretch on slow machines.

use std::{
    env,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How much slower than bare metal this machine is: `FAULTD_TEST_SLOW`, 1 when
/// unset. The VM tier sets it, because a guest under emulation is 10 to 50
/// times slower and its clock ticks coarsely.
pub fn slow() -> f64 {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    *FACTOR.get_or_init(|| {
        let Ok(text) = env::var("FAULTD_TEST_SLOW") else { return 1.0 };
        let factor: f64 = text.parse().expect("FAULTD_TEST_SLOW is a number");
        assert!(factor >= 1.0, "FAULTD_TEST_SLOW must be at least 1, got {factor}");
        factor
    })
}

/// A time limit, stretched by [`slow`].
pub fn slowly(limit: Duration) -> Duration {
    limit.mul_f64(slow())
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
