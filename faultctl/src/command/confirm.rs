//! `confirm ID`.

use super::{Context, now};
use crate::{failure::Failure, out::fault};

pub fn run(cx: &mut Context, id: &str) -> Result<(), Failure> {
    let confirmed = cx.client()?.confirm(id)?;
    if cx.out.wants_json() {
        return cx.out.document(&confirmed);
    }
    let again = confirmed.lease.map(|l| format!("; confirm again within {l}")).unwrap_or_default();
    let ends = fault::ends(&confirmed, now(), &cx.zone());
    cx.out.line(format!("{} confirmed{again}; ends {ends} at the latest", confirmed.id))
}
