//! The page without a browser: its shape, that nothing is fetched, that no name breaks out.

use super::*;
use crate::sample;

fn page() -> String {
    html(&sample::summary()).unwrap()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("{from} is not there")) + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

#[test]
fn elements_that_are_opened_are_closed() {
    let page = page();
    // What scripts and styles hold is not HTML.
    let mut rest = page.as_str();
    let mut open: Vec<String> = Vec::new();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap();
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        match () {
            () if tag.starts_with('!') || name == "meta" => {}
            () if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{tag}>"),
            () => {
                if name == "script" || name == "style" {
                    rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
                }
                open.push(name);
            }
        }
    }
    assert_eq!(open, Vec::<String>::new());
    assert_eq!(page.matches("<script").count(), 2, "the data and the program");
}

#[test]
fn nothing_is_fetched() {
    let page = page();
    assert!(
        page.contains("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
    );
    for fetches in
        ["src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket", "import("]
    {
        assert!(!page.contains(fetches), "{fetches} is in the page");
    }
    // The address of uPlot in its first comment, and the target of the run.
    let urls: Vec<&str> = page.match_indices("://").map(|(at, _)| &page[at..at + 13]).collect();
    assert!(urls.iter().all(|u| ["://github.com", "://127.0.0.1:"].contains(u)), "{urls:?}");
}

#[test]
fn names_do_not_break_out() {
    let mut summary = sample::summary();
    summary.phases[0].name = sample::HOSTILE.into();
    summary.faults[0].label = Some("<!--<script>".into());
    let page = html(&summary).unwrap();
    assert!(!page.contains("</script><b>") && !page.contains("<!--<script>"));
    let data = between(&page, "id=\"data\">", "</script>");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["phases"][0]["name"], sample::HOSTILE, "the data is whole");
    assert_eq!(data["faults"][0]["name"], "<!--<script>");
    assert!(
        page.contains("checkout &lt;&#x2f;script&gt;&lt;b&gt;")
            || page.contains("checkout &lt;/script&gt;&lt;b&gt;")
    );
}

#[test]
fn the_page_is_small_and_has_its_licence() {
    let page = page();
    assert!(page.len() < 120_000, "{}", page.len());
    assert!(page.contains("Copyright (c) 2022 Leon Sorokin") || page.contains("Leon Sorokin"));
}

#[test]
fn an_empty_result_has_a_page() {
    let page = html(&Summary::default()).unwrap();
    assert!(page.contains("NOT RUN TO ITS END"));
}

/// For a look by hand: `FAULTLOAD_SAMPLE_REPORT=DIR cargo test -p faultload sample_report -- --ignored`.
#[test]
#[ignore = "writes a report for people to look at"]
fn sample_report() {
    let dir = std::env::var("FAULTLOAD_SAMPLE_REPORT").unwrap();
    crate::report::write_all(std::path::Path::new(&dir), &sample::summary()).unwrap();
}
