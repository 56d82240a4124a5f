//! `show ID`.

use super::{Context, now, wait};
use crate::{
    failure::Failure,
    out::{Tone, fault},
};

pub fn run(cx: &mut Context, id: &str) -> Result<(), Failure> {
    let shown = cx.client()?.show(id)?;
    if cx.out.wants_json() {
        return cx.out.document(&shown);
    }
    let id = cx.out.paint(Tone::Strong, &shown.id).into_owned();
    cx.out.line(format!("{id}: {}", shown.kind))?;
    let details = fault::details(&shown, now(), &cx.zone());
    cx.out.table(&details)?;
    wait::figures(cx, &shown)
}
