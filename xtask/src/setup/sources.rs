//! The machine's own apt sources: where its packages come from.
//!
//! Kernels for the VM tier come from other suites of the same mirror, so that no mirror needs to
//! be named here. Formats: sources.list(5), one-line and deb822.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// One archive with some of its suites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Base of the archive.
    pub uri: String,
    /// Suites or code names.
    pub suites: Vec<String>,
    /// Keyring, if the source names one.
    pub signed_by: Option<String>,
}

/// Which distribution this is, from os-release(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// `debian`, `ubuntu`, …
    pub id: String,
    /// `bookworm`, `noble`, …
    pub codename: String,
    /// `12`, `24.04`, …
    pub version: String,
}

impl Release {
    /// The running system's.
    ///
    /// # Errors
    /// If `/etc/os-release` is missing or names no code name.
    pub fn of_this_machine() -> Result<Self> {
        let text = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
        Self::parse(&text).context("/etc/os-release has no VERSION_CODENAME")
    }

    /// Reads os-release(5).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
                .map(|v| v.trim_matches('"').to_owned())
        };
        Some(Self {
            id: value("ID")?,
            codename: value("VERSION_CODENAME")?,
            version: value("VERSION_ID").unwrap_or_default(),
        })
    }
}

/// Reads all sources below `/etc/apt`.
#[must_use]
pub fn of_this_machine() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = entries.flatten().map(|e| e.path()).collect();
        more.sort();
        files.extend(more);
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => sources.extend(parse_one_line(&text)),
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    sources
}

/// The archive that carries the release itself (not its security or third-party packages).
#[must_use]
pub fn main_archive<'a>(sources: &'a [Source], codename: &str) -> Option<&'a Source> {
    sources.iter().find(|s| s.suites.iter().any(|suite| suite == codename))
}

/// Reads the one-line format: `deb [options] uri suite component…`.
#[must_use]
pub fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_line).collect()
}

fn one_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let uri = words.next()?.to_owned();
    let suite = words.next()?.to_owned();
    let signed_by = options
        .split_whitespace()
        .find_map(|o| o.to_ascii_lowercase().starts_with("signed-by=").then(|| o[10..].to_owned()));
    Some(Source { uri, suites: vec![suite], signed_by })
}

/// Reads the deb822 format: stanzas of `Field: value`, continued by indented lines.
#[must_use]
pub fn parse_deb822(text: &str) -> Vec<Source> {
    let without_comments: String = text
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| format!("{}\n", l.trim_end()))
        .collect();
    without_comments.split("\n\n").flat_map(stanza).collect()
}

fn stanza(text: &str) -> Vec<Source> {
    let words = |name: &str| -> Vec<String> {
        field(text, name)
            .map(|v| v.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let is_no = |name: &str| field(text, name).is_some_and(|v| v.trim().eq_ignore_ascii_case("no"));
    if !words("Types").iter().any(|t| t == "deb") || is_no("Enabled") {
        return Vec::new();
    }
    // An inline key block has no path; apt's default keyrings serve then.
    let signed_by = words("Signed-By").into_iter().find(|w| w.starts_with('/'));
    let suites = words("Suites");
    words("URIs")
        .into_iter()
        .map(|uri| Source { uri, suites: suites.clone(), signed_by: signed_by.clone() })
        .collect()
}

/// The value of a field of an RFC 822 stanza, continuation lines included.
#[must_use]
pub fn field(stanza: &str, name: &str) -> Option<String> {
    let mut lines = stanza.lines().skip_while(|line| {
        !line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
    });
    let (_, first) = lines.next()?.split_once(':')?;
    let mut value = first.trim().to_owned();
    for line in lines.take_while(|l| l.starts_with([' ', '\t'])) {
        value.push('\n');
        value.push_str(line.trim());
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deb822_with_comments_between_fields() {
        let text = "Types: deb\n# a snapshot\nURIs: http://mirror.example/debian\n\
            Suites: bookworm bookworm-updates\nComponents: main\n\
            Signed-By: /usr/share/keyrings/k.gpg\n\n\
            Types: deb deb-src\nURIs: http://mirror.example/security\nSuites: bookworm-security\n\n\
            Types: deb-src\nURIs: http://mirror.example/src\nSuites: bookworm\n\n\
            Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm\n";
        let sources = parse_deb822(text);
        assert_eq!(sources.len(), 2);
        let main = main_archive(&sources, "bookworm").unwrap();
        assert_eq!(main.uri, "http://mirror.example/debian");
        assert_eq!(main.signed_by.as_deref(), Some("/usr/share/keyrings/k.gpg"));
        assert!(main_archive(&sources, "trixie").is_none());
    }

    #[test]
    fn deb822_with_continuation_lines_and_an_inline_key() {
        let text = "Types: deb\nURIs: http://a.example/u\n http://b.example/u\nSuites: noble\n\
            Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA\n";
        let sources = parse_deb822(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[1].uri, "http://b.example/u");
        assert_eq!(sources[0].signed_by, None);
    }

    #[test]
    fn one_line_with_and_without_options() {
        let text = "# deb http://old.example/debian buster main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian trixie main contrib\n\
            deb-src http://mirror.example/debian trixie main\n\
            deb http://mirror.example/debian trixie-updates main # comment\n\ndebug x y\n";
        let sources = parse_one_line(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(sources[1].suites, ["trixie-updates"]);
    }

    #[test]
    fn releases() {
        let debian = Release::parse("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
        assert_eq!(debian.unwrap().codename, "bookworm");
        assert_eq!(Release::parse("ID=arch\n"), None);
    }
}
