//! Whether this generator was fit to judge.
