//! The parameters of each fault kind, one file a kind.
//!
//! Adding a kind: its parameter file, one line in `kinds!`, one line in
//! [`crate::CATALOG`].

pub mod gemodel;
mod kill;
mod latency;
mod loss;
mod oom;
mod partition;
mod pause;
mod pick;
mod signal;
mod syscall;

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use kill::KillParams;
pub use latency::{Distribution, LatencyParams};
pub use loss::LossParams;
pub use oom::OomParams;
pub use partition::PartitionParams;
pub use pause::PauseParams;
pub use pick::Pick;
pub use signal::SignalName;
pub use syscall::SyscallParams;

use crate::{Invalid, Target};

macro_rules! kinds {
    ($($variant:ident($params:ty) = $name:literal),* $(,)?) => {
        /// The name of a fault kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Kind {
            /// Every kind this build knows.
            pub const ALL: &[Kind] = &[$(Kind::$variant),*];

            /// The name as typed.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }
        }

        /// Parameters, by kind.
        #[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
        #[serde(untagged)]
        pub enum Params {
            $(#[doc = concat!("Parameters of `", $name, "`.")] $variant($params),)*
        }

        impl Params {
            /// Which kind these are for.
            pub const fn kind(&self) -> Kind {
                match self { $(Params::$variant(_) => Kind::$variant,)* }
            }

            /// Reads the `params` object of a request for `kind`; unknown
            /// fields are refused.
            ///
            /// # Errors
            /// Names the field that is unknown, missing or of the wrong type.
            pub fn from_json(kind: Kind, value: serde_json::Value) -> Result<Self, Invalid> {
                let wrong = |e: serde_json::Error| Invalid::new("params", format!("of {kind}: {e}"));
                match kind {
                    $(Kind::$variant => serde_json::from_value::<$params>(value).map(Params::$variant).map_err(wrong),)*
                }
            }

            /// Adds one kind's options to a command.
            #[cfg(feature = "cli")]
            pub fn augment_args(kind: Kind, command: clap::Command) -> clap::Command {
                match kind { $(Kind::$variant => <$params as clap::Args>::augment_args(command),)* }
            }

            /// Reads the options that [`Params::augment_args`] added.
            ///
            /// # Errors
            /// When `matches` are not those of such a command.
            #[cfg(feature = "cli")]
            pub fn from_arg_matches(kind: Kind, matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
                match kind {
                    $(Kind::$variant => <$params as clap::FromArgMatches>::from_arg_matches(matches).map(Params::$variant),)*
                }
            }

            /// Checks values that the types alone cannot.
            ///
            /// # Errors
            /// The first parameter that is out of bounds or contradicts another.
            pub fn validate(&self, target: &Target) -> Result<(), Invalid> {
                match self { $(Params::$variant(p) => p.validate(target),)* }
            }

            /// What was asked for, to stand beside a figure of
            /// [`crate::Fault::achieved`]; `None` where nothing definite was.
            pub fn requested(&self, measured: &str) -> Option<f64> {
                match self { $(Params::$variant(p) => p.requested(measured),)* }
            }

            /// The JSON Schema of one kind's parameters.
            pub fn schema(kind: Kind) -> serde_json::Value {
                match kind { $(Kind::$variant => schemars::schema_for!($params).to_value(),)* }
            }
        }
    };
}

kinds! {
    Latency(LatencyParams) = "latency",
    Loss(LossParams) = "loss",
    Partition(PartitionParams) = "partition",
    Syscall(SyscallParams) = "syscall",
    Kill(KillParams) = "kill",
    Pause(PauseParams) = "pause",
    Oom(OomParams) = "oom",
}

impl Kind {
    /// Whether it acts on network traffic; else on processes or resources,
    /// whatever their traffic.
    pub const fn acts_on_traffic(self) -> bool {
        matches!(self, Self::Latency | Self::Loss | Self::Partition)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.iter().copied().find(|k| k.name() == text).ok_or_else(|| {
            let known = Self::ALL.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ");
            Invalid::new("kind", format!("{text:?} is not a fault; known are {known}"))
        })
    }
}
