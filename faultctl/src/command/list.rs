//! `list`.

use faultd_api::FaultList;

use super::{Context, now};
use crate::{failure::Failure, out::fault};

pub fn run(cx: &mut Context, all: bool) -> Result<(), Failure> {
    let faults = cx.client()?.list(all)?;
    if cx.out.wants_json() {
        return cx.out.document(&FaultList { faults });
    }
    if faults.is_empty() {
        // Not part of the table: a script that counts lines finds none.
        cx.say(if all { "no fault yet" } else { "no fault in force" });
        return Ok(());
    }
    cx.out.table(&fault::table(&faults, now()))
}
