//! The programs, one file for each kind of hook.

mod cgroup;
mod classifier;
mod fork;
mod socket;
mod tap;
