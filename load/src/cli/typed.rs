//! Values of options.

use std::{convert::Infallible, time::Duration};

use super::Usage;
use crate::{template::Template, words};

/// A time, with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    match seconds {
        Some(_) => Err(format!("which unit? `{text}s` is so many seconds")),
        None => humantime::parse_duration(text).map_err(|e| e.to_string()),
    }
}

/// A time that is not nothing.
pub(super) fn above_zero(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be above zero".into()),
        time => Ok(time),
    }
}

/// Requests a second, at least some.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match words::rate(text)? {
        rate if rate > 0.0 => Ok(rate),
        _ => Err("must be above zero".into()),
    }
}

/// What other tools have, and this one has not.
pub(super) fn no_number(_: &str) -> Result<Infallible, String> {
    Err("there is no number of requests: a run lasts for a time, so --rate 100 --for 10s sends \
         1000 of them"
        .into())
}

/// A name and a value: `accept: text/html`.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once(':').ok_or("a header is written `name: value`".to_owned())?;
    let (name, value) = (name.trim(), value.trim());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` is no name of a header"));
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t') {
        return Err("a value with control characters".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A template of `option`. Nothing is extracted from answers here, so what it may name is built
/// in.
pub(super) fn template(option: &str, text: &str) -> Result<Template, Usage> {
    let template = Template::compile(text).map_err(|e| Usage(format!("{option} `{text}`: {e}")))?;
    let Some(unknown) = template.variables().next() else { return Ok(template) };
    let known = ["user", "iteration", "counter.NAME", "random.…", "now.…", "env.NAME"];
    let instead = words::instead(unknown, &known);
    let message = format!("{option} `{text}`: there is no variable {unknown:?}{instead}");
    Err(Usage(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_is_refused() {
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("5").unwrap_err(), "which unit? `5s` is so many seconds");
        assert_eq!(above_zero("0s").unwrap_err(), "must be above zero");
        assert_eq!(rate("0/s").unwrap_err(), "must be above zero");
        assert_eq!(rate("2/s"), Ok(2.0));
    }

    #[test]
    fn variables_that_nobody_sets_are_told() {
        assert!(template("-d", "{{random.uuid}} {{user}} {{counter.n}}").is_ok());
        assert_eq!(
            template("-H", "{{usre}}").unwrap_err().to_string(),
            "-H `{{usre}}`: there is no variable \"usre\"; did you mean `user`?"
        );
        let error = template("the URL", "/{{id}}").unwrap_err().to_string();
        assert!(
            error.ends_with("known are user, iteration, counter.NAME, random.…, now.…, env.NAME"),
            "{error}"
        );
        assert!(template("-d", "{{").is_err());
    }
}
