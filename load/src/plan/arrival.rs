//! When flows start: rates (open model) and users (closed model).

use std::{fmt, time::Duration};

use crate::figures;

/// A stretch of the run with one kind of arrivals.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Shown in reports.
    pub name: String,
    /// How long it lasts.
    pub duration: Duration,
    /// What starts flows.
    pub arrival: Arrival,
    /// Index of a flow in [`super::Plan::flows`], and its weight among the others.
    pub mix: Vec<(usize, f64)>,
}

impl Stage {
    /// In words: `30s at 100/s`.
    #[must_use]
    pub fn words(&self) -> String {
        let length = figures::seconds(self.duration.as_secs_f64());
        match self.arrival {
            Arrival::Pause => format!("{length} of pause"),
            arrival => format!("{length} at {arrival}"),
        }
    }
}

/// What starts flows in a stage. Both go linearly from the first value to the second.
///
/// Steps and spikes are stages of their own: a step is a stage with a higher constant rate, a
/// spike is one that is short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrival {
    /// Open model: flows start at their due times, whether or not earlier ones have ended.
    Rate {
        /// Flows a second at the start of the stage.
        from: f64,
        /// Flows a second at its end.
        to: f64,
    },
    /// Closed model: so many users, each of whom starts a flow when its last one has ended.
    Users {
        /// Users at the start of the stage.
        from: u32,
        /// Users at its end.
        to: u32,
    },
    /// Nothing is sent.
    Pause,
}

impl Arrival {
    /// A rate that stays as it is.
    #[must_use]
    pub fn rate(per_second: f64) -> Self {
        Self::Rate { from: per_second, to: per_second }
    }

    /// A number of users that stays as it is.
    #[must_use]
    pub fn users(count: u32) -> Self {
        Self::Users { from: count, to: count }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Rate { from, to } if from == to => format!("{}/s", figures::number(*from)),
            Self::Rate { from, to } => {
                format!("{}/s → {}/s", figures::number(*from), figures::number(*to))
            }
            Self::Users { from, to } if from == to => format!("{from} users"),
            Self::Users { from, to } => format!("{from} → {to} users"),
            Self::Pause => "pause".into(),
        };
        f.pad(&text)
    }
}
