//! `man DIR`: a page a command, made from the definition of the options and
//! from the catalogue.

use std::{fs, io, path::Path};

use clap_mangen::Man;
use faultd_api::{Kind, KindInfo};
use serde::Serialize;

use super::Context;
use crate::{cli, failure::Failure, out::markdown};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Pages {
    pages: Vec<String>,
}

pub fn run(cx: &mut Context, dir: &Path) -> Result<(), Failure> {
    let failed = |verb: &str, path: &Path, source| Failure::File {
        what: format!("cannot {verb} {}", path.display()),
        source,
    };
    fs::create_dir_all(dir).map_err(|e| failed("make", dir, e))?;
    let mut root = cli::definition();
    // Fills in what subcommands inherit: their full names and global options.
    root.build();
    let mut pages = Vec::new();
    for command in with_subcommands(&root) {
        let path = dir.join(format!("{}.1", command.get_display_name().unwrap_or("faultctl")));
        let page = page(command).map_err(|e| failed("make", &path, e))?;
        fs::write(&path, page).map_err(|e| failed("write", &path, e))?;
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

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    // What clap_mangen makes of these two reads badly; they follow by hand.
    let after = command.get_after_help().map(ToString::to_string);
    let usage = command.clone().render_usage().to_string();
    let man = Man::new(command.clone())
        .source(concat!("faultctl ", env!("CARGO_PKG_VERSION")))
        .manual("faultd");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    section(&mut out, "SYNOPSIS", usage.trim_start_matches("Usage:").trim());
    man.render_description_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    man.render_options_section(&mut out)?;
    // The root's are the exit codes, which every page ends with.
    if let Some(after) = after.filter(|_| command.get_name() != "faultctl") {
        section(&mut out, "NOTES", &after);
    }
    if let Some(info) = kind_of(command) {
        let text = markdown::plain(info.page, |_, text| text.to_owned());
        // Its first line is the name of the kind.
        section(&mut out, "DETAILS", text.split_once('\n').map_or("", |(_, rest)| rest).trim());
    }
    let codes: Vec<_> = cli::EXIT_CODES.iter().map(|(n, text)| format!("{n}  {text}")).collect();
    section(&mut out, "EXIT STATUS", &codes.join("\n"));
    Ok(out)
}

fn kind_of(command: &clap::Command) -> Option<&'static KindInfo> {
    let kind = command.get_display_name()?.strip_prefix("faultctl-inject-")?;
    kind.parse::<Kind>().ok().and_then(KindInfo::of)
}

/// A section whose lines stay as they are.
fn section(out: &mut Vec<u8>, name: &str, text: &str) {
    let mut roff = format!(".SH \"{name}\"\n.nf\n");
    for line in text.lines() {
        // A line that begins with a control character would be a request.
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        roff.push_str(&format!("{guard}{line}\n"));
    }
    roff.push_str(".fi\n");
    out.extend_from_slice(roff.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_turn_into_requests() {
        let mut out = Vec::new();
        section(&mut out, "X", ".so /etc/passwd\n'br\na\\b --c");
        let expected = ".SH \"X\"\n.nf\n\\&.so /etc/passwd\n\\&'br\na\\eb \\-\\-c\n.fi\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
