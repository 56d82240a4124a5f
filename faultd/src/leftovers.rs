//! What dead daemons left on this host: for `faultd recover` and for
//! `faultctl doctor`.

use std::{io, path::Path};

use faultd_api::Leftover;

use crate::{
    engine::{journal, state_dir::DEFAULT_PATH},
    fault::net::MARKS,
    host::{
        residue::{self, Trace},
        undo::Undo,
    },
};

/// Everything that bears faultd's marks and belongs to no living daemon, and
/// the commands that remove it. Tens of milliseconds on a host with many
/// processes.
///
/// # Errors
/// When the kernel may not be asked; it takes root.
pub fn find() -> io::Result<Vec<Leftover>> {
    // Before and after: a fault may begin or end meanwhile.
    let mut claimed = journal::claimed();
    let traces = residue::traces(&MARKS)?;
    claimed.extend(journal::claimed());
    let abandoned = journal::abandoned(Path::new(DEFAULT_PATH));
    let orphans = residue::orphans(&traces, &claimed).into_iter();
    let mut found: Vec<Leftover> = orphans
        // What a journal names is told by the journal.
        .filter(|trace| !is_among(trace, &abandoned))
        .map(|trace| Leftover { what: trace.to_string(), remove: trace.remove.clone() })
        .collect();
    found.extend(abandoned.iter().map(|undo| Leftover {
        what: format!("{undo}, in the journal of a dead daemon in {DEFAULT_PATH}"),
        remove: Some("faultd recover".to_owned()),
    }));
    Ok(found)
}

fn is_among(trace: &Trace, undos: &[Undo]) -> bool {
    trace.undo.as_ref().is_some_and(|own| undos.iter().any(|undo| undo.is_about_the_same(own)))
}
