//! The availability probe.
