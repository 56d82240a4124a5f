//! The result as one HTML file: everything is in it, and its policy lets nothing be fetched.

use minijinja::{
    AutoEscape, Environment, context,
    value::{Serde, Value},
};

use super::{ReportError, series::series, view};
use crate::{figures::seconds, summary::Summary};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const CHARTS: &str = include_str!("charts.js");
/// uPlot 1.6.32, MIT: the licence is beside it and in the page.
const UPLOT: &str = include_str!("../../../assets/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("../../../assets/uplot/uPlot.min.css");
const UPLOT_LICENCE: &str = include_str!("../../../assets/uplot/LICENSE");

/// The page.
///
/// # Errors
/// If a figure is no number that JSON has.
pub fn html(summary: &Summary) -> Result<String, ReportError> {
    let wrong = |message: String| ReportError::Form { what: "report.html", message };
    let data = serde_json::to_string(&series(summary)).map_err(|e| wrong(e.to_string()))?;
    let (word, tone) = view::verdict(summary);
    let mut environment = Environment::new();
    // Every text is escaped but those that are marked as safe below.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = environment.render_str(
        PAGE,
        context! {
            style => Value::from_safe_string(format!("{UPLOT_STYLE}{STYLE}")),
            script => Value::from_safe_string(format!("{UPLOT}{CHARTS}")),
            data => Value::from_safe_string(in_script(&data)),
            uplot_licence => UPLOT_LICENCE,
            scenario => Serde(&summary.scenario),
            host => Serde(&summary.host),
            tool => summary.tool.as_str(),
            started_at => summary.started_at.as_str(),
            duration => seconds(summary.duration_s),
            word,
            tone => Serde(tone),
            meaning => view::meaning(summary),
            reasons => summary.verdict.reasons.clone(),
            cards => Serde(view::cards(summary)),
            tables => Serde(view::tables(summary)),
        },
    );
    page.map_err(|e| wrong(e.to_string()))
}

/// JSON that can stand in a script element: none of its characters end the element or begin a
/// comment (HTML standard, "Restrictions for contents of script elements").
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod browser;
#[cfg(test)]
mod tests;
