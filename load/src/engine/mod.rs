//! The part that executes a plan.
