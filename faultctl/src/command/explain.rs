//! `explain TARGET`.

use faultd_api::Target;

use super::Context;
use crate::{
    failure::Failure,
    out::{
        Tone, one_line,
        table::{Align, Cell, Table},
    },
};

pub fn run(cx: &mut Context, target: &Target) -> Result<(), Failure> {
    target.validate()?;
    let explained = cx.client()?.explain(target)?;
    if cx.out.wants_json() {
        return cx.out.document(&explained);
    }
    cx.out.line(format!("{}: {}", one_line(&target.to_string()), one_line(&explained.effect)))?;
    if explained.rules.is_empty() {
        return Ok(());
    }
    cx.out.line("")?;
    let columns = ["ID", "KIND", "EFFECT", "COVERS"].map(|name| (name, Align::Left));
    let mut table = Table::with_heading(&columns);
    for rule in &explained.rules {
        table.row([
            Cell::new(&rule.id, Tone::Strong),
            rule.kind.name().into(),
            rule.effect.as_str().into(),
            rule.covers.as_str().into(),
        ]);
    }
    cx.out.table(&table)
}
