//! The command line of faultload.

fn main() {}
