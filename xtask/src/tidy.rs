//! `cargo xtask tidy`: rules of the repository that no other tool checks.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{
    cmd::{capture, command},
    paths::Paths,
};

/// A file that is longer has more than one purpose.
const LONGEST_FILE: usize = 600;

/// A tracked file.
struct File {
    path: String,
    text: String,
}

/// A rule looks at all files and returns what breaks it.
type Rule = fn(&[File]) -> Vec<String>;

const RULES: [Rule; 8] = [
    short_files,
    no_bare_allow,
    no_bare_ignore,
    no_machine_paths,
    no_archive_hosts,
    no_unfinished_work,
    ends_with_newline,
    one_file_and_one_page_for_each_kind,
];

/// Checks every tracked file.
///
/// # Errors
/// Everything that breaks a rule, a line each.
pub fn tidy(paths: &Paths) -> Result<()> {
    let files = tracked(&paths.root)?;
    let broken: Vec<_> = RULES.iter().flat_map(|rule| rule(&files)).collect();
    if broken.is_empty() {
        println!("tidy: {} files", files.len());
        return Ok(());
    }
    bail!("the repository is not tidy:\n  {}", broken.join("\n  "))
}

fn tracked(root: &Path) -> Result<Vec<File>> {
    // New files count before they are added.
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let names = capture(command("git", &list).current_dir(root))?;
    let text = |name: &str| {
        // What git lists and the disk lacks is being deleted; what is not text has no lines.
        let text = fs::read_to_string(root.join(name)).ok()?;
        Some(File { path: name.to_owned(), text })
    };
    Ok(names.split_terminator('\0').filter_map(text).collect())
}

/// Lines of `files` for which `is_bad` says so.
fn lines<'a>(
    files: impl Iterator<Item = &'a File>,
    rule: &str,
    is_bad: impl Fn(&str) -> bool,
) -> Vec<String> {
    files
        .flat_map(|file| file.text.lines().enumerate().map(move |(at, line)| (file, at, line)))
        .filter(|(_, _, line)| is_bad(line))
        .map(|(file, at, line)| format!("{}:{}: {rule}: {}", file.path, at + 1, line.trim()))
        .collect()
}

/// Lines of `files` that hold one of `texts`.
fn lines_with<'a>(
    files: impl Iterator<Item = &'a File>,
    rule: &str,
    texts: &[&str],
) -> Vec<String> {
    lines(files, rule, |line| texts.iter().any(|text| line.contains(text)))
}

/// Whole files that break a rule; `fault` says how, for those that do.
fn whole<'a>(
    files: impl Iterator<Item = &'a File>,
    fault: impl Fn(&File) -> Option<String>,
) -> Vec<String> {
    files.filter_map(|file| Some(format!("{}: {}", file.path, fault(file)?))).collect()
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|f| f.path.ends_with(".rs"))
}

fn short_files(files: &[File]) -> Vec<String> {
    whole(rust(files), |file| {
        let count = file.text.lines().count();
        (count > LONGEST_FILE).then(|| format!("{count} lines, more than {LONGEST_FILE}"))
    })
}

fn no_bare_allow(files: &[File]) -> Vec<String> {
    let rule = "use #[expect(…, reason = …)], which tells when it is no longer needed";
    lines(rust(files), rule, |line| {
        let line = line.trim_start();
        line.starts_with(concat!("#[", "allow(")) || line.starts_with(concat!("#![", "allow("))
    })
}

fn no_bare_ignore(files: &[File]) -> Vec<String> {
    let rule = "say why the test runs do not run it: #[ignore = …]";
    lines(rust(files), rule, |line| line.trim_start().starts_with(concat!("#[", "ignore]")))
}

fn no_machine_paths(files: &[File]) -> Vec<String> {
    let paths = [concat!("/wo", "rk/"), concat!("/tmp", "/wt"), concat!("/ho", "me/")];
    lines_with(files.iter(), "path of one machine", &paths)
}

/// Mirrors are the machine's business: its own sources name them.
fn no_archive_hosts(files: &[File]) -> Vec<String> {
    let hosts = [
        concat!("deb.deb", "ian.org"),
        concat!("security.deb", "ian.org"),
        concat!("snapshot.deb", "ian.org"),
        concat!("archive.ub", "untu.com"),
        concat!("static.cra", "tes.io"),
        concat!("index.cra", "tes.io"),
        concat!("static.rust", "-lang.org"),
    ];
    lines_with(files.iter(), "host of a package archive", &hosts)
}

fn no_unfinished_work(files: &[File]) -> Vec<String> {
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    lines(rust(files), "belongs into an issue", |line| {
        line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| markers.contains(&word))
    })
}

fn ends_with_newline(files: &[File]) -> Vec<String> {
    // Inputs of the fuzz targets are what they are.
    let texts = files.iter().filter(|file| !file.path.starts_with("fuzz/seeds/"));
    whole(texts, |file| {
        let ends = file.text.is_empty() || file.text.ends_with('\n');
        (!ends).then(|| "no newline at its end".to_owned())
    })
}

/// A person who looks for a fault finds one file with its name, and its page in the catalogue.
/// (That every kind has a page is a test of faultd-api.)
fn one_file_and_one_page_for_each_kind(files: &[File]) -> Vec<String> {
    let stem = |path: &str, dir: &str, extension: &str| {
        let name = path.strip_prefix(dir)?.strip_suffix(extension)?;
        Some(name.to_owned())
    };
    let pages = files.iter().filter_map(|f| stem(&f.path, "faultd-api/catalog/", ".md"));
    pages
        .filter(|kind| {
            let file = format!("/{}.rs", kind.replace('-', "_"));
            let dir = format!("/{}/mod.rs", kind.replace('-', "_"));
            !rust(files).any(|f| {
                f.path.starts_with("faultd/src/fault/")
                    && (f.path.ends_with(&file) || f.path.ends_with(&dir))
            })
        })
        .map(|kind| format!("faultd/src/fault: no file for the kind {kind}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn each_rule_can_fail_and_pass() {
        let page = file("faultd-api/catalog/disk-fill.md", "x\n");
        let cases: [(Rule, File, File); 8] = [
            (short_files, file("a.rs", &"\n".repeat(601)), file("a.rs", &"\n".repeat(600))),
            (
                no_bare_allow,
                file("a.rs", concat!("#[", "allow(dead_code)]\n")),
                file("a.rs", "#[expect(dead_code, reason = \"\")]\n"),
            ),
            (
                no_bare_ignore,
                file("a.rs", concat!("    #[", "ignore]\n")),
                file("a.rs", "    #[ignore = \"a benchmark\"]\n"),
            ),
            (
                no_machine_paths,
                file("a.md", concat!("see /ho", "me/me/x\n")),
                file("a.md", "see /etc/faultd\n"),
            ),
            (
                no_archive_hosts,
                file("a.sh", concat!("http://deb.deb", "ian.org/x\n")),
                file("a.sh", "http://mirror.example\n"),
            ),
            (
                no_unfinished_work,
                file("a.rs", concat!("// TO", "DO: x\n")),
                file("a.rs", "// todos\n"),
            ),
            (ends_with_newline, file("a", "x"), file("a", "x\n")),
            (
                one_file_and_one_page_for_each_kind,
                file("faultd-api/catalog/loss.md", "x\n"),
                file("faultd/src/fault/resource/disk_fill.rs", "x\n"),
            ),
        ];
        for (at, (rule, bad, good)) in cases.into_iter().enumerate() {
            assert_eq!(rule(&[bad]).len(), 1, "rule {at} has to fail");
            assert_eq!(rule(&[good]), Vec::<String>::new(), "rule {at} has to pass");
        }
        let source = file("faultd/src/fault/resource/disk_fill.rs", "x\n");
        assert!(one_file_and_one_page_for_each_kind(&[page, source]).is_empty());
    }
}
