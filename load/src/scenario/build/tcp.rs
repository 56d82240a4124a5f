//! Bytes over TCP.

use std::path::PathBuf;

use super::{Builder, answer::regex};
use crate::{
    plan::{AnswerEnd, Security, Target, TcpRequest, Transport},
    scenario::{
        file::TcpFile,
        read::{Located, Place, Problem},
    },
    template::Template,
    words,
};

impl Builder<'_> {
    pub(super) fn tcp(&mut self, file: &Located<TcpFile>) -> Result<TcpRequest, Problem> {
        let target = address(&file.address).map_err(|problem| problem.within("address"))?;
        self.targets.insert(file.address.trim().to_owned());
        let send = match (&file.send, &file.send_hex) {
            (Some(_), Some(hex)) => {
                let message = "`send` and `send_hex` at once: a step sends one thing";
                return Err(Problem::at(hex.place, message));
            }
            (Some(text), None) => self.template(text).map_err(|e| e.within("send"))?,
            (None, Some(hex)) => Template::verbatim(bytes(hex).map_err(|e| e.within("send_hex"))?),
            (None, None) => Template::verbatim(""),
        };
        let security = security(file.tls, file.insecure);
        Ok(TcpRequest { target, security, send, end: end(file)?, fresh: file.fresh })
    }
}

/// What ends the answer, said once at most.
fn end(file: &Located<TcpFile>) -> Result<AnswerEnd, Problem> {
    let mut ends: Vec<(&str, Place, AnswerEnd)> = Vec::new();
    if let Some(text) = &file.until {
        if text.is_empty() {
            let message = "is empty: leave it out where no answer is awaited";
            return Err(Problem::at(text.place, message).within("until"));
        }
        ends.push(("until", text.place, AnswerEnd::Text(text.as_bytes().to_vec())));
    }
    if let Some(text) = &file.until_match {
        let regex = regex(text).map_err(|e| e.within("until_match"))?;
        ends.push(("until_match", text.place, AnswerEnd::Match(regex)));
    }
    if file.until_close {
        ends.push(("until_close", file.place, AnswerEnd::Close));
    }
    if let Some(length) = &file.length {
        let bytes =
            words::size(&length.0).map_err(|e| Problem::at(length.place, e).within("length"))?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        ends.push(("length", length.place, AnswerEnd::Length(bytes)));
    }
    if let Some(size) = &file.length_prefix {
        if !matches!(size.value, 1 | 2 | 4 | 8) {
            let message = format!("a length has 1, 2, 4 or 8 bytes, got {}", size.value);
            return Err(Problem::at(size.place, message).within("length_prefix"));
        }
        ends.push(("length_prefix", size.place, AnswerEnd::Prefix(size.value)));
    }
    if let [(first, ..), (second, place, _), ..] = ends.as_slice() {
        let message = format!("`{first}` and `{second}` at once: an answer has one end");
        return Err(Problem::at(*place, message));
    }
    Ok(ends.pop().map_or(AnswerEnd::NoAnswer, |(_, _, end)| end))
}

fn bytes(hex: &Located<String>) -> Result<Vec<u8>, Problem> {
    let wrong = || {
        let message =
            format!("takes bytes in hexadecimal such as 00 1f ff, got {:?}", hex.as_str());
        Problem::at(hex.place, message)
    };
    let digits = hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16));
    let digits = digits.collect::<Option<Vec<u32>>>().ok_or_else(wrong)?;
    if digits.is_empty() || digits.len() % 2 != 0 {
        return Err(wrong());
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// `HOST:PORT`, or `unix:/path/to.sock`.
pub(super) fn address(text: &Located<String>) -> Result<Target, Problem> {
    parse(text).map_err(|message| Problem::at(text.place, message))
}

/// How TLS is to be, from the two keys for it.
pub(super) fn security(tls: bool, insecure: bool) -> Security {
    match (tls, insecure) {
        (false, _) => Security::Plain,
        (true, false) => Security::Verified,
        (true, true) => Security::AnyCertificate,
    }
}

pub(super) fn parse(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        let transport = Transport::Unix(PathBuf::from(path));
        return Ok(Target { host: "localhost".into(), port: 0, transport });
    }
    if text.contains("://") {
        let what = "takes HOST:PORT or unix:/path/to.sock, without a scheme (TLS is `tls: true`)";
        return Err(format!("{what}, got {text:?}"));
    }
    let wrong = || format!("takes HOST:PORT or unix:/path/to.sock, got {text:?}");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|p| *p > 0).ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Target { host: host.to_owned(), port, transport: Transport::Tcp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_bytes() {
        let read =
            |text: &str| bytes(&Located { place: Place::default(), value: text.to_owned() }).ok();
        assert_eq!(read("00 1f\nFF"), Some(vec![0, 31, 255]));
        for wrong in ["", "0", "0x00", "gg"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
