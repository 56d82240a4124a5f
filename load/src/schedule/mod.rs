//! Exact times of arrivals.
