//! Commands for Redis.

use super::{
    Builder,
    flow::shortened,
    tcp::{address, security},
};
use crate::{
    plan::{RedisRequest, RedisServer, Target, Transport},
    scenario::{
        file::{RedisFile, RedisStepFile, WordsFile},
        read::{Located, Place, Problem},
    },
    template::Template,
};

impl Builder<'_> {
    /// A request and a name for it.
    pub(super) fn redis(
        &mut self,
        written: &Located<RedisStepFile>,
    ) -> Result<(RedisRequest, String), Problem> {
        let short;
        let file = match &written.value {
            RedisStepFile::Full(file) => file,
            RedisStepFile::Short(words) => {
                let value = words.clone();
                let command = Some(Located { place: written.place, value });
                short = RedisFile { command, ..RedisFile::default() };
                &short
            }
        };
        let server = self.redis_server(written.place, file)?;
        let (commands, names, pipeline) = match (&file.command, &file.pipeline) {
            (Some(_), Some(pipeline)) => {
                let message = "`command` and `pipeline` at once: say one of them";
                return Err(Problem::at(pipeline.place, message));
            }
            (Some(command), None) => {
                // The short form has no key to stand in.
                let in_full = matches!(written.value, RedisStepFile::Full(_));
                let words = self
                    .words(command)
                    .map_err(|e| if in_full { e.within("command") } else { e })?;
                (vec![words.0], vec![words.1], false)
            }
            (None, Some(pipeline)) if pipeline.is_empty() => {
                let problem = Problem::at(pipeline.place, "has at least one command");
                return Err(problem.within("pipeline"));
            }
            (None, Some(pipeline)) => {
                let built = pipeline.iter().enumerate().map(|(at, command)| {
                    let within = |e: Problem| e.within(format!("[{at}]")).within("pipeline");
                    self.words(command).map_err(within)
                });
                let built = built.collect::<Result<Vec<_>, _>>()?;
                let (commands, names) = built.into_iter().unzip();
                (commands, names, true)
            }
            (None, None) => {
                let message = "`command` is missing, such as `command: GET key`";
                return Err(Problem::at(written.place, message));
            }
        };
        let name = shortened(&format!("redis {}", names.join(" ")));
        Ok((RedisRequest { server, commands, pipeline }, name))
    }

    fn redis_server(&mut self, place: Place, file: &RedisFile) -> Result<RedisServer, Problem> {
        let defaults = &self.file.redis;
        let Some(written) = file.address.as_ref().or(defaults.address.as_ref()) else {
            let message = "no address: say `address: HOST:PORT`, or `redis: { address: HOST:PORT }` at the top";
            return Err(Problem::at(place, message));
        };
        let target = address(written).map_err(|e| e.within("address"))?;
        self.targets.insert(shown("redis", &target));
        let tls = file.tls.unwrap_or(defaults.tls);
        let insecure = file.insecure.unwrap_or(defaults.insecure);
        let password = file.password.as_ref().or(defaults.password.as_ref());
        let user = file.user.as_ref().or(defaults.user.as_ref());
        if let (Some(_), None) = (user, password) {
            return Err(Problem::at(place, "`user` without `password`: AUTH takes both"));
        }
        Ok(RedisServer {
            target,
            security: security(tls, insecure),
            user: user.cloned(),
            password: password.map(|password| password.0.clone()),
            db: file.db.as_ref().or(defaults.db.as_ref()).map_or(0, |db| db.value),
        })
    }

    /// The words of a command, and its name.
    fn words(&mut self, command: &Located<WordsFile>) -> Result<(Vec<Template>, String), Problem> {
        let words: Vec<Located<String>> = match &command.value {
            WordsFile::List(words) => {
                let text = |w: &Located<crate::scenario::read::Amount>| w.value.0.clone();
                words.iter().map(|w| Located { place: w.place, value: text(w) }).collect()
            }
            WordsFile::Text(text) => {
                let words = split(text).map_err(|message| Problem::at(command.place, message))?;
                words.into_iter().map(|value| Located { place: command.place, value }).collect()
            }
        };
        let Some(name) = words.first().filter(|name| !name.trim().is_empty()) else {
            return Err(Problem::at(command.place, "a command has a name, such as GET"));
        };
        let blocks = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC"];
        let upper = name.to_ascii_uppercase();
        if blocks.contains(&upper.as_str()) {
            let message =
                format!("{upper} turns the connection into a stream, which no step reads");
            return Err(Problem::at(name.place, message));
        }
        let templates = words.iter().map(|word| self.template(word));
        Ok((templates.collect::<Result<Vec<_>, _>>()?, upper))
    }
}

/// As results name a target.
pub(super) fn shown(scheme: &str, target: &Target) -> String {
    match &target.transport {
        Transport::Unix(path) => format!("unix:{}", path.display()),
        Transport::Tcp if target.host.contains(':') => {
            format!("{scheme}://[{}]:{}", target.host, target.port)
        }
        Transport::Tcp => format!("{scheme}://{}:{}", target.host, target.port),
    }
}

/// Splits a line as a shell would: at spaces, but within quotes; `\` takes the next character as
/// it is. What stands in `{{…}}` stays together.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let hole = rest.starts_with("{{").then(|| rest.find("}}")).flatten();
        if let Some(end) = hole {
            word.get_or_insert_default().push_str(&rest[..end + 2]);
            rest = &rest[end + 2..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let next = rest.chars().next().ok_or("ends with a `\\`")?;
                rest = &rest[next.len_utf8()..];
                word.get_or_insert_default().push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("a {quote} is opened and not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_would() {
        for (line, expected) in [
            ("GET k", &["GET", "k"][..]),
            ("  SET  k 'a b' ", &["SET", "k", "a b"]),
            (r#"SET k "a \"b\" c" x\ y"#, &["SET", "k", "a \"b\" c", "x y"]),
            ("SET k ''", &["SET", "k", ""]),
            (
                "SET k-{{user}} {{random.int(1, 5)}}x",
                &["SET", "k-{{user}}", "{{random.int(1, 5)}}x"],
            ),
            (r#"SET k '{{ a | json }}'"#, &["SET", "k", "{{ a | json }}"]),
            ("", &[]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        assert_eq!(split("SET 'k").unwrap_err(), "a ' is opened and not closed");
        assert_eq!(split("SET k\\").unwrap_err(), "ends with a `\\`");
    }
}
