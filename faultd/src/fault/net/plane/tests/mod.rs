//! Privileged tests of plane and programs. The classifiers are run on crafted
//! packets by BPF_PROG_TEST_RUN, with no traffic and nothing attached to an
//! interface of the host.

mod actions;
mod attach;
mod cost;
pub(super) mod harness;
mod holding;
mod matching;
mod owners;
mod packet;
mod parsing;
mod silence;
mod verifier;
