//! Whether a server speaks HTTP/2: it begins with a SETTINGS frame (RFC 9113 §3.4), and what begins
//! otherwise is another protocol, of which h2 would say that its frames are wrong.

use crate::measure::{ErrorKind, Failure};

/// Enough for a status line, or for what another protocol says first.
const LONGEST: usize = 60;

/// Bytes of the head of a frame.
const HEAD: usize = 9;

/// Where its type stands, and the type of SETTINGS (RFC 9113 §6.5).
const TYPE: usize = 3;
const SETTINGS: u8 = 4;

/// The first bytes that a server sent.
#[derive(Debug, Default)]
pub struct Greeting(Vec<u8>);

impl Greeting {
    /// So many more came.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.0.len() < LONGEST {
            let room = LONGEST - self.0.len();
            self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Why a connection failed that began like this.
    pub fn explain(&self, failure: Failure) -> Failure {
        if let Some(text) = self.of_another_protocol() {
            return Failure::new(ErrorKind::Protocol, text);
        }
        if !self.0.is_empty() || failure.kind != ErrorKind::Reset {
            return failure;
        }
        // It may have been cut off; or it may be a port of another protocol, or of TLS.
        let doubt = "before a word of HTTP/2: does the server speak it on this port?";
        Failure::new(failure.kind, format!("{}, {doubt}", failure.detail))
    }

    /// What it is, if it is not HTTP/2.
    fn of_another_protocol(&self) -> Option<String> {
        let heard = self.0.as_slice();
        if heard.len() < HEAD || heard[TYPE] == SETTINGS && heard[0] == 0 {
            // TLS says as little as this when it takes nothing else: an alert (RFC 8446 §6).
            return heard.starts_with(&[0x15, 3]).then(tls);
        }
        if heard.starts_with(&[0x15, 3]) {
            return Some(tls());
        }
        let text = String::from_utf8_lossy(heard);
        let line = text.lines().next().unwrap_or_default();
        Some(format!("the server does not speak HTTP/2 (it says {line:?})"))
    }
}

fn tls() -> String {
    "the server does not speak HTTP/2 without TLS (it answers in TLS)".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<String> {
        let mut greeting = Greeting::default();
        bytes.chunks(4).for_each(|chunk| greeting.hear(chunk));
        greeting.of_another_protocol()
    }

    #[test]
    fn other_protocols_are_told_by_their_first_words() {
        let http1 = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n";
        assert_eq!(
            of(http1).unwrap(),
            "the server does not speak HTTP/2 (it says \"HTTP/1.1 400 Bad Request\")"
        );
        let redis = of(b"-ERR unknown command 'PRI', with args beginning with: ").unwrap();
        assert!(redis.contains("it says \"-ERR unknown command 'PRI'"), "{redis}");
        assert!(of(&[0x15, 3, 1, 0, 2, 2, 70]).unwrap().contains("it answers in TLS"));
    }

    #[test]
    fn silence_is_doubted_and_stays_a_reset() {
        let gone = || Failure::new(ErrorKind::Reset, "closed");
        let told = Greeting::default().explain(gone());
        assert_eq!(told.kind, ErrorKind::Reset);
        assert!(told.detail.starts_with("closed, before a word of HTTP/2"), "{told}");
        let mut greeting = Greeting::default();
        greeting.hear(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        assert_eq!(greeting.explain(gone()), gone(), "it spoke HTTP/2, and then it went");
    }

    #[test]
    fn http2_is_told_by_its_settings() {
        assert_eq!(of(&[0, 0, 0, 4, 0, 0, 0, 0, 0]), None);
        assert_eq!(of(&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]), None);
        assert_eq!(of(b""), None, "it may have been cut off");
        assert_eq!(of(b"HTTP"), None);
    }
}
