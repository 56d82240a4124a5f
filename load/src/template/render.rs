//! From parts to bytes.

use std::{
    io::Write,
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    TemplateError, Vars,
    compile::{Part, Value},
};

impl Part {
    pub(super) fn render(&self, out: &mut Vec<u8>, vars: &mut Vars) -> Result<(), TemplateError> {
        match self {
            Self::Text(bytes) => out.extend_from_slice(bytes),
            Self::Hole(value, filter) => {
                let start = out.len();
                value.render(out, vars)?;
                if let Some(filter) = filter {
                    filter.apply(out, start);
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn render(&self, out: &mut Vec<u8>, vars: &mut Vars) -> Result<(), TemplateError> {
        match self {
            Self::Variable(name) => {
                let value = vars.get(name).ok_or_else(|| TemplateError {
                    message: format!("the variable {name:?} has no value"),
                    at: 0,
                })?;
                out.extend_from_slice(value);
            }
            Self::Column { number, set, column } => {
                let user = vars.user;
                let row = vars.row(*number, |draws| set.draw(user, draws));
                out.extend_from_slice(set.value(row, *column));
            }
            Self::User => decimal(out, vars.user),
            Self::Iteration => decimal(out, vars.iteration),
            Self::Counter(next) => decimal(out, next.fetch_add(1, Ordering::Relaxed)),
            Self::Int(low, high) => {
                let drawn = vars.draws.between(*low, *high);
                if drawn < 0 {
                    out.push(b'-');
                }
                decimal(out, drawn.unsigned_abs());
            }
            Self::Alphanumeric(count) => vars.draws.alphanumeric(out, *count),
            Self::Hex(count) => vars.draws.hex(out, *count),
            Self::Bytes(count) => vars.draws.bytes(out, *count),
            Self::Uuid => vars.draws.uuid(out),
            Self::Pick(choices) => {
                let at = vars.draws.below(choices.len() as u64);
                out.extend_from_slice(&choices[at as usize]);
            }
            Self::NowSeconds => decimal(out, since_epoch().as_secs()),
            Self::NowMillis => decimal(out, since_epoch().as_millis() as u64),
            // Writing into memory cannot fail.
            Self::NowText => drop(write!(out, "{:.3}", jiff::Timestamp::now())),
        }
        Ok(())
    }
}

fn since_epoch() -> std::time::Duration {
    // A clock before 1970 is no reason to stop.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Digits, without the machinery of `fmt`.
fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{DataSet, Order, Scope, Template};

    fn render(text: &str) -> String {
        let mut vars = Vars::new(7, 1);
        vars.set(&"name".into(), b"a \"b\"");
        Template::compile(text).unwrap().render_text(&mut vars).unwrap()
    }

    fn wrong(text: &str) -> String {
        let error = Template::compile(text).unwrap_err();
        format!("{}: {}", error.at, error.message)
    }

    #[test]
    fn holes_are_filled() {
        assert_eq!(render("plain {x}"), "plain {x}");
        assert_eq!(render("<{{ name }}>"), "<a \"b\">");
        assert_eq!(render("{{name|json}} {{name | url}}"), "a \\\"b\\\" a%20%22b%22");
        assert_eq!(render("u{{user}}i{{iteration}}"), "u7i0");
        assert_eq!(render("{{\"{{\"}}x}}"), "{{x}}");
        assert_eq!(render("{{random.string(12)}}").len(), 12);
        assert_eq!(render("{{random.uuid}}").len(), 36);
        assert!(["a", "b"].contains(&render("{{random.pick(a, b)}}").as_str()));
        assert_eq!(render("{{random.int(-3, -3)}}"), "-3");
        assert!(render("{{now.rfc3339}}").ends_with('Z'));
        assert!(render("{{now.ms}}").parse::<u64>().unwrap() > 1_600_000_000_000);
    }

    #[test]
    fn large_payloads_are_as_long_as_said() {
        let template = Template::compile("{{random.bytes(32KiB)}}").unwrap();
        let mut out = Vec::new();
        template.render(&mut out, &mut Vars::new(0, 0)).unwrap();
        assert_eq!(out.len(), 32 * 1024);
        assert_eq!(template.as_static(), None);
    }

    #[test]
    fn what_does_not_change_is_known() {
        let fixed = |text| Template::compile(text).unwrap().as_static().map(<[u8]>::to_vec);
        assert_eq!(fixed("/items"), Some(b"/items".to_vec()));
        assert_eq!(fixed(""), Some(Vec::new()));
        assert_eq!(fixed("/{{user}}"), None);
        assert_eq!(Template::verbatim("{{user}}").as_static(), Some(&b"{{user}}"[..]));
        assert!(fixed("{{env.PATH}}").is_some());
        let two = Template::compile("{{a}}{{user}}{{b}}").unwrap();
        assert_eq!(two.variables().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn counters_are_shared_in_a_scope() {
        let mut scope = Scope::default();
        let one = scope.compile("{{counter.id}}").unwrap();
        let two = scope.compile("{{counter.id}}-{{counter.other(10)}}").unwrap();
        let mut vars = Vars::new(0, 0);
        assert_eq!(one.render_text(&mut vars).unwrap(), "1");
        assert_eq!(two.render_text(&mut vars).unwrap(), "2-10");
        assert_eq!(one.render_text(&mut vars).unwrap(), "3");
        let error = scope.compile("{{counter.id(5)}}").unwrap_err();
        assert!(error.message.contains("starts at 1 elsewhere"), "{error}");
    }

    #[test]
    fn one_row_a_run_of_the_flow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.csv");
        std::fs::write(&path, "name,pass\nann,1\nbob,2\n").unwrap();
        let mut scope = Scope::default();
        scope.add_data("users", DataSet::read(&path, Order::Sequential).unwrap());
        let template = scope.compile("{{users.name}}:{{users.pass}}").unwrap();
        let mut vars = Vars::new(0, 0);
        for expected in ["ann:1", "ann:1"] {
            assert_eq!(template.render_text(&mut vars).unwrap(), expected);
        }
        vars.clear();
        assert_eq!(template.render_text(&mut vars).unwrap(), "bob:2");
        let error = scope.compile("{{users.nam}}").unwrap_err();
        assert!(error.message.ends_with("did you mean `name`?"), "{error}");
    }

    #[test]
    fn json_bodies_escape_by_themselves() {
        let template = Scope::default().compile_json("\"{{name}}\"").unwrap();
        let mut vars = Vars::new(0, 0);
        vars.set(&"name".into(), b"a\"b");
        assert_eq!(template.render_text(&mut vars).unwrap(), "\"a\\\"b\"");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, expected) in [
            ("a {{name", "2: `{{` without `}}`"),
            ("{{}}", "0: an empty hole"),
            ("{{name | jsn}}", "0: there is no filter \"jsn\"; did you mean `json`?"),
            ("{{random.itn(1, 2)}}", "0: there is no `random.itn`; did you mean `random.int`?"),
            ("{{random.int(1)}}", "0: `random.int` takes two bounds"),
            ("{{random.int(2, 1)}}", "0: `random.int` takes the smaller bound first"),
            ("{{random.int(1, x)}}", "0: `random.int` takes whole numbers, got \"x\""),
            ("{{random.bytes(9GiB)}}", "0: `random.bytes` takes a length from 1 to 64MiB"),
            ("{{random.string(0)}}", "0: `random.string` takes a length from 1"),
            ("{{random.uuid(1)}}", "0: `random.uuid` takes no arguments"),
            ("{{user(1)}}", "0: `user` takes no arguments"),
            ("{{a b}}", "0: `a b` is not a name: it has ' '"),
            ("{{people.name}}", "0: `people.name`: there is no data set \"people\""),
            ("{{random.int(1, 2}}", "0: `random.int(1, 2` opens a parenthesis"),
            ("{{env.NO_SUCH_THING_HERE}}", "0: the environment has no variable"),
        ] {
            assert!(wrong(text).starts_with(expected), "{text}: {}", wrong(text));
        }
        let unset = Template::compile("{{token}}").unwrap().render_text(&mut Vars::new(0, 0));
        assert_eq!(unset.unwrap_err().message, "the variable \"token\" has no value");
    }
}
