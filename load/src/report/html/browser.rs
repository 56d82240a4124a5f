//! The page in a browser: charts are drawn, no script fails, a phone shows it without scrolling
//! sideways, and it is dark where people want that.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

use super::html;
use crate::sample;

/// Known browsers without a window. `cargo xtask setup` installs the first on Debian.
const BROWSERS: [&str; 4] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Runs before everything else in the page: notes what goes wrong.
const LISTEN: &str = "<script>
const wrong = [];
addEventListener('error', (e) => wrong.push(String(e.message)));
addEventListener('unhandledrejection', (e) => wrong.push(String(e.reason)));
addEventListener('securitypolicyviolation', (e) => wrong.push('policy: ' + e.blockedURI));
for (const name of ['error', 'warn']) console[name] = (...all) => wrong.push(all.join(' '));
</script>";

/// Runs at the end: tells whoever has the page in a frame what became of it.
const TELL: &str = "<script>
addEventListener('load', () => setTimeout(() => {
  const style = (el, what) => getComputedStyle(el)[what];
  const root = document.documentElement;
  const wide = [...document.querySelectorAll('body *')].filter((el) => {
    for (let at = el; at; at = at.parentElement) {
      if (at !== document.body && ['auto', 'scroll', 'hidden'].includes(style(at, 'overflowX'))) return false;
    }
    return el.getBoundingClientRect().right > root.clientWidth + 1;
  });
  const inked = [...document.querySelectorAll('canvas')].filter((canvas) => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3]) colours.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
    return colours.size > 3;
  });
  parent.postMessage(JSON.stringify({
    wrong,
    charts: Number(root.dataset.charts),
    canvases: document.querySelectorAll('canvas').length,
    inked: inked.length,
    width: root.clientWidth,
    scroll: root.scrollWidth,
    wide: wide.map((el) => el.tagName + '.' + el.className).slice(0, 5),
    back: style(document.body, 'backgroundColor'),
    text: style(document.body, 'color'),
  }), '*');
}, 500));
</script>";

/// A page with the report in frames of several widths, which writes down what they tell.
fn outer(widths: &[u32]) -> String {
    let frames: String = widths
        .iter()
        .map(|width| {
            format!(
                "<iframe src=report.html style='width:{width}px;height:900px;border:0'></iframe>"
            )
        })
        .collect();
    format!(
        "<!DOCTYPE html><meta name=color-scheme content='light dark'><pre></pre>
         <script>addEventListener('message', (e) => {{
           document.querySelector('pre').textContent += e.data + '\\n';
         }});</script>{frames}"
    )
}

/// What the page tells, by the width of its frame.
fn told(browser: &str, page: &str, widths: &[u32], dark: bool) -> BTreeMap<u64, Value> {
    let dir = tempfile::tempdir().unwrap();
    let page = page.replacen("<style>", &format!("{LISTEN}<style>"), 1);
    let page = page.replacen("</body>", &format!("{TELL}</body>"), 1);
    fs::write(dir.path().join("report.html"), page).unwrap();
    let path = dir.path().join("outer.html");
    fs::write(&path, outer(widths)).unwrap();
    let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
    // Chromium's own words: 0 is dark, 1 is light.
    let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
    let done = Command::new("timeout")
        // The language of a page is that of the environment, and POSIX is none that scripts know.
        .env("LC_ALL", "en_US.UTF-8")
        .args(["120", browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--window-size=1300,1000", "--virtual-time-budget=5000", "--dump-dom"])
        .args([&profile, &scheme])
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&done.stdout);
    let lines = dom.split_once("<pre>").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (lines, _) = lines.unwrap_or_else(|| {
        panic!("no page: {}", String::from_utf8_lossy(&done.stderr));
    });
    let told = lines.lines().map(|line| {
        let line = line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let told: Value = serde_json::from_str(&line).unwrap();
        (told["width"].as_u64().unwrap(), told)
    });
    told.collect()
}

/// How light a colour is as the browser writes it (`rgb(1, 2, 3)`), 0 to 765.
fn lightness(colour: &Value) -> u32 {
    let numbers = colour.as_str().unwrap().split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|n| n.parse::<u32>().ok()).take(3).sum()
}

#[test]
fn a_browser_draws_it_on_a_phone_and_in_the_dark() {
    let found =
        BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let Some(browser) = found else {
        // No guest of the VM tier has a browser either.
        println!("NOT CHECKED: no browser here, so the HTML report was not drawn");
        return;
    };
    let mut summary = sample::summary();
    // A long word is what makes pages wider than a phone.
    summary.scenario.name = "a_name_that_has_no_space_in_it_".repeat(3);
    summary.faults[0].text = "latency --ms 500 --name ".to_owned() + &"x".repeat(150);
    let page = html(&summary).unwrap();
    for dark in [false, true] {
        let told = told(browser, &page, &[320, 390, 1200], dark);
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), [320, 390, 1200], "{told:?}");
        for (width, told) in &told {
            assert_eq!(told["wrong"], serde_json::json!([]), "{width}: errors");
            assert_eq!((&told["charts"], &told["canvases"]), (&7.into(), &7.into()), "{told}");
            assert_eq!(told["inked"], 7, "something is drawn in each: {told}");
            assert_eq!(told["scroll"], *width, "nothing is wider than the page: {told}");
            assert_eq!(told["wide"], serde_json::json!([]), "{width}");
            let (back, text) = (lightness(&told["back"]), lightness(&told["text"]));
            let is_dark = back < 150 && text > 600;
            let is_light = back > 700 && text < 200;
            assert!(if dark { is_dark } else { is_light }, "dark: {dark}: {told}");
        }
    }
}
