//! `inject KIND`.

use faultd_api::Fault;

use super::{Context, now, plan, wait};
use crate::{
    cli::inject::Inject,
    failure::Failure,
    interrupt::Interrupt,
    out::{Tone, fault, hits, one_line, table::Cell, table::Table},
};

pub fn run(cx: &mut Context, inject: &Inject) -> Result<(), Failure> {
    let request = inject.request()?;
    let client = cx.client()?;
    if inject.options.dry_run {
        let plan = client.plan(&request)?;
        return plan::show(cx, &request, &plan);
    }
    if !inject.options.wait {
        let fault = client.create(&request)?;
        if cx.out.wants_json() {
            return cx.out.document(&fault);
        }
        return summary(cx, &fault);
    }
    // Before the fault exists: from then on Ctrl-C has to take it back.
    let interrupt = Interrupt::install()?;
    let fault = client.create(&request)?;
    if !cx.out.wants_json() {
        // Nobody may be reading; the wait goes on all the same, or the fault
        // would stay in force with nobody to take it back on Ctrl-C.
        let _ = summary(cx, &fault).and_then(|()| cx.out.flush());
    }
    let renew = inject.options.lease.map(|lease| lease.get() / 3);
    let ended = wait::until_ended(cx, &client, &interrupt, fault, renew)?;
    wait::report(cx, &ended)
}

/// What is in force now, until when, and how it is taken back.
fn summary(cx: &mut Context, fault: &Fault) -> Result<(), Failure> {
    let id = cx.out.paint(Tone::Strong, &fault.id).into_owned();
    cx.out.line(format!("{id} is active: {}", one_line(&fault::title(fault))))?;
    let mut table = Table::plain(2).indented("  ");
    let mut row = |name: &str, value: Cell| table.row([Cell::new(name, Tone::Faint), value]);
    if let Some(hit) = hits::line(fault) {
        row("hits", hit.into());
    }
    row("backend", fault.backend.as_str().into());
    row("ends", fault::ends(fault, now(), &cx.zone()).into());
    for note in &fault.notes {
        row("note", note.into());
    }
    if let Some(lease) = fault.lease {
        let confirm = cx.typed(&format!("confirm {}", fault.id));
        row("confirm", Cell::new(format!("{confirm}  (within {lease}, or it ends)"), Tone::Warn));
    }
    row("revert", cx.typed(&format!("revert {}", fault.id)).into());
    cx.out.table(&table)
}
