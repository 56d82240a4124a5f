//! `catalog [KIND]`: the table of kinds, or the page of one.

use faultd_api::{CATALOG, Kind, KindInfo, Params};
use serde::Serialize;

use super::Context;
use crate::{
    failure::Failure,
    out::{
        Tone, markdown,
        table::{Align, Cell, Table},
    },
};

/// What `--json` prints without a kind.
#[derive(Debug, Serialize)]
struct Kinds {
    kinds: &'static [KindInfo],
}

/// What `--json` prints for one kind.
#[derive(Debug, Serialize)]
struct Page {
    #[serde(flatten)]
    info: &'static KindInfo,
    params: serde_json::Value,
    page: &'static str,
}

pub fn run(cx: &mut Context, kind: Option<Kind>) -> Result<(), Failure> {
    match kind {
        Some(kind) => page(cx, kind),
        None => table(cx),
    }
}

fn table(cx: &mut Context) -> Result<(), Failure> {
    if cx.out.wants_json() {
        return cx.out.document(&Kinds { kinds: CATALOG });
    }
    let columns = ["KIND", "WHAT IT DOES", "EXAMPLE"].map(|name| (name, Align::Left));
    let mut table = Table::with_heading(&columns);
    for info in CATALOG {
        let kind = Cell::new(info.kind.name(), Tone::Strong);
        table.row([kind, info.summary.into(), info.example.into()]);
    }
    cx.out.table(&table)
}

fn page(cx: &mut Context, kind: Kind) -> Result<(), Failure> {
    let Some(info) = KindInfo::of(kind) else {
        return Err(Failure::NotDone(format!("{kind} has no page")));
    };
    if cx.out.wants_json() {
        return cx.out.document(&Page { info, params: Params::schema(kind), page: info.page });
    }
    let text = markdown::plain(info.page, |tone, text| cx.out.paint(tone, text).into_owned());
    cx.out.raw(&text)
}
