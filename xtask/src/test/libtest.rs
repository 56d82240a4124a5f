//! What executables with the standard test harness print.

/// A line of a run's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `test NAME ... ok`
    Ok(&'a str),
    /// `test NAME ... FAILED`
    Failed(&'a str),
    /// `test NAME ... ignored[, REASON]`
    Ignored,
}

/// The verdicts in the output of a whole executable.
pub fn verdicts(output: &str) -> impl Iterator<Item = Line<'_>> {
    output.lines().filter_map(|line| {
        let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let name = name.trim_end_matches(" - should panic");
        match verdict.trim() {
            "ok" => Some(Line::Ok(name)),
            "FAILED" => Some(Line::Failed(name)),
            other => other.starts_with("ignored").then_some(Line::Ignored),
        }
    })
}

/// What a failed test printed: the section `---- NAME stdout ----`.
pub fn section<'a>(output: &'a str, name: &str) -> &'a str {
    let head = format!("---- {name} stdout ----\n");
    let Some((_, section)) = output.split_once(&head) else { return "" };
    let ends = ["\n---- ", "\n\nfailures:\n", "\n\nsuccesses:\n"];
    let end = ends.iter().filter_map(|end| section.find(end)).min();
    section[..end.unwrap_or(section.len())].trim_end()
}

/// The tests in the output of `--list --format terse`.
pub fn list(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| line.strip_suffix(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\nrunning 4 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\
        test d ... ignored, needs a GPU\ntest e - should panic ... ok\n\nfailures:\n\n\
        ---- a::c stdout ----\n\nthread 'a::c' panicked at x.rs:1:1:\nboom\n\n\nfailures:\n    a::c\n\n\
        test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out\n";

    #[test]
    fn every_test_has_its_verdict() {
        let found: Vec<_> = verdicts(OUTPUT).collect();
        assert_eq!(found, [Line::Ok("a::b"), Line::Failed("a::c"), Line::Ignored, Line::Ok("e")]);
    }

    #[test]
    fn the_output_of_a_failed_test() {
        let section = section(OUTPUT, "a::c");
        assert!(section.ends_with("boom"), "{section}");
        assert_eq!(super::section(OUTPUT, "a::b"), "");
    }

    #[test]
    fn lists() {
        let found: Vec<_> = list("a::b: test\nx: benchmark\nd: test\n").collect();
        assert_eq!(found, ["a::b", "d"]);
    }
}
