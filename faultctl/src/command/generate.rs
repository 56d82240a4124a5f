//! `completions SHELL` and `man DIR`: made from the definition of the options.

use std::{fs, path::Path};

use clap_complete::Shell;
use clap_mangen::Man;
use serde::Serialize;

use super::Context;
use crate::{cli, failure::Failure};

pub fn completions(cx: &mut Context, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), "faultctl", &mut script);
    cx.out.raw(&String::from_utf8_lossy(&script))
}

#[derive(Debug, Serialize)]
struct Pages {
    pages: Vec<String>,
}

pub fn man_pages(cx: &mut Context, dir: &Path) -> Result<(), Failure> {
    let failed =
        |what: &str, source| Failure::File { what: format!("{what} {}", dir.display()), source };
    fs::create_dir_all(dir).map_err(|e| failed("cannot make", e))?;
    let mut root = cli::definition();
    // Fills in what subcommands inherit: their full names and global options.
    root.build();
    let mut pages = Vec::new();
    for command in with_subcommands(&root) {
        let man = Man::new(command.clone()).source(concat!("faultctl ", env!("CARGO_PKG_VERSION")));
        let path = dir.join(man.get_filename());
        let mut page = Vec::new();
        man.render(&mut page).map_err(|e| failed("cannot render a page for", e))?;
        fs::write(&path, page)
            .map_err(|e| failed(&format!("cannot write {} in", man.get_filename()), e))?;
        pages.push(path.display().to_string());
    }
    if cx.out.wants_json() {
        return cx.out.document(&Pages { pages });
    }
    pages.iter().try_for_each(|page| cx.out.line(page))
}

fn with_subcommands(command: &clap::Command) -> Vec<&clap::Command> {
    let below = command.get_subcommands().flat_map(with_subcommands);
    std::iter::once(command).chain(below).collect()
}
