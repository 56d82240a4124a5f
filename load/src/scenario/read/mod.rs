//! From text to types, with places.
//!
//! YAML, TOML and JSON are read into one tree ([`Node`]) in which everything knows its line and
//! column; variables are put in there; the types of [`super::file`] are then deserialized from the
//! tree. So all formats have the same errors, and an error always has a place.

mod complain;
mod deserialize;
mod error;
mod located;
mod node;
mod parse;
mod placed;
mod variables;

pub(super) use deserialize::from_node;
pub use error::{LoadError, Place};
pub(super) use error::{Problem, Text};
pub use located::{Amount, Located, OneOrMany, Ordered, TextOr};
pub use node::{Node, Value};
pub(super) use parse::{Format, parse};
pub use placed::Placed;
pub(super) use variables::insert;
