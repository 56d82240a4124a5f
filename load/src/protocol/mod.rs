//! The clients that speak to targets.

mod answer;

pub use answer::Answer;
