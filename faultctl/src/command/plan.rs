//! `inject --dry-run`: the plan, printed.

use faultd_api::{FaultRequest, Plan};

use super::Context;
use crate::{
    failure::Failure,
    out::{
        Tone, fault, hits, one_line,
        table::{Align, Cell, Table},
    },
};

pub fn show(cx: &mut Context, request: &FaultRequest, plan: &Plan) -> Result<(), Failure> {
    if cx.out.wants_json() {
        return cx.out.document(plan);
    }
    let params = fault::params(plan.kind, &request.to_raw().params);
    let gap = if params.is_empty() { "" } else { " " };
    let title = format!(
        "would inject {}{gap}{params} on {} for {}",
        plan.kind, plan.target, request.duration
    );
    let title = cx.out.paint(Tone::Strong, &one_line(&title)).into_owned();
    cx.out.line(title)?;
    cx.out.line(format!("  backend  {}: {}", plan.backend, one_line(&plan.backend_reason)))?;

    heading(cx, "Steps")?;
    let mut steps = Table::plain(2).indented("  ");
    for (i, step) in plan.steps.iter().enumerate() {
        steps.row([format!("{}.", i + 1).into(), step.apply.as_str().into()]);
        steps.row(["".into(), Cell::new(format!("undo: {}", step.undo), Tone::Faint)]);
    }
    cx.out.table(&steps)?;

    sockets(cx, plan)?;
    processes(cx, plan)?;
    for (name, texts) in [("Rails", &plan.rails), ("Notes", &plan.notes)] {
        if texts.is_empty() {
            continue;
        }
        heading(cx, name)?;
        for text in texts {
            cx.out.line(format!("  {}", one_line(text)))?;
        }
    }
    cx.out.line("")?;
    cx.out.line("Nothing was changed.")
}

fn heading(cx: &mut Context, text: &str) -> Result<(), Failure> {
    cx.out.line("")?;
    let text = cx.out.paint(Tone::Strong, text).into_owned();
    cx.out.line(text)
}

fn sockets(cx: &mut Context, plan: &Plan) -> Result<(), Failure> {
    use Align::Left;
    if !plan.kind.acts_on_traffic() {
        return Ok(());
    }
    let found = &plan.hits;
    heading(cx, &format!("Live sockets that would be hit: {}", found.socket_count))?;
    if found.sockets.is_empty() {
        return Ok(());
    }
    let columns = ["PROTO", "STATE", "LOCAL", "REMOTE", "PROCESS"].map(|name| (name, Left));
    let mut table = Table::with_heading(&columns).indented("  ");
    for socket in &found.sockets {
        let cells = [&socket.proto, &socket.state, &socket.local, &socket.remote];
        let holder = socket.process.as_ref().map_or_else(|| "-".to_owned(), hits::process);
        table.row(cells.map(Cell::from).into_iter().chain([holder.into()]));
    }
    cx.out.table(&table)?;
    more(cx, found.socket_count, found.sockets.len())
}

fn processes(cx: &mut Context, plan: &Plan) -> Result<(), Failure> {
    let found = &plan.hits;
    if found.process_count == 0 && !plan.target.has_process_part() {
        return Ok(());
    }
    heading(cx, &format!("Processes that would be hit: {}", found.process_count))?;
    if found.processes.is_empty() {
        return Ok(());
    }
    let columns = [("PID", Align::Right), ("COMMAND", Align::Left), ("UID", Align::Right)];
    let mut table = Table::with_heading(&columns).indented("  ");
    for process in &found.processes {
        let cells = [process.pid.to_string(), process.comm.clone(), process.uid.to_string()];
        table.row(cells.map(Cell::from));
    }
    cx.out.table(&table)?;
    more(cx, found.process_count, found.processes.len())
}

fn more(cx: &mut Context, all: usize, shown: usize) -> Result<(), Failure> {
    match all.saturating_sub(shown) {
        0 => Ok(()),
        rest => cx.out.line(format!("  … and {rest} more")),
    }
}
