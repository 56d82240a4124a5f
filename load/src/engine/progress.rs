//! What is told while a run goes on.

use std::time::Duration;

use crate::summary::Second;

/// Where a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Seconds since its start.
    pub at_s: f64,
    /// How long it is planned to be, in seconds.
    pub planned_s: f64,
    /// The stage.
    pub stage: String,
    /// The phase.
    pub phase: String,
    /// Arrivals a second that the plan asks for now; 0 in stages with users.
    pub asked_rate: f64,
    /// Users that the plan asks for now; 0 in stages with a rate.
    pub asked_users: u32,
    /// Good answers so far.
    pub ok: u64,
    /// Failures so far.
    pub failed: u64,
    /// Somebody has asked it to end.
    pub stopping: bool,
}

/// Hears of a run while it goes on.
pub trait Observer {
    /// A second is over. Returns whether to go on; if not the run ends gracefully.
    fn second(&mut self, row: &Second, progress: &Progress) -> bool;

    /// A signal has asked it to end: nothing is begun any more, and about so many requests in
    /// flight may go on for `grace`.
    fn interrupted(&mut self, _in_flight: u64, _grace: Duration) {}

    /// The load is over. What follows is reading back what was written, and the tear-down.
    fn load_over(&mut self) {}
}

/// Takes no notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn second(&mut self, _: &Second, _: &Progress) -> bool {
        true
    }
}
