//! What the host and the guests of the VM tier share: the job that a guest is given, the events
//! that it reports, and how one test process is run and judged (on the host too).

pub mod disk;
pub mod exec;
pub mod job;

pub use disk::Disk;
pub use exec::{Outcome, die_with_parent, run};
pub use job::{Event, Job, Remark, Task};
