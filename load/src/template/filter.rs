//! Filters: what is done to a value before it stands in its hole.

use base64::{Engine, engine::general_purpose::STANDARD};

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Escaped for the inside of a JSON string.
    Json,
    /// Percent-encoded for a path segment or a query value (RFC 3986: all but
    /// unreserved characters).
    Url,
    /// Base64 with padding.
    Base64,
    /// As it is, also where another filter would be applied by itself.
    Raw,
}

impl Filter {
    /// Names and filters.
    pub const ALL: [(&str, Self); 4] =
        [("json", Self::Json), ("url", Self::Url), ("base64", Self::Base64), ("raw", Self::Raw)];

    /// Filters what stands in `out` from `start` on.
    pub fn apply(self, out: &mut Vec<u8>, start: usize) {
        let clean = match self {
            Self::Json => !out[start..].iter().any(|b| needs_escape(*b)),
            Self::Url => out[start..].iter().all(|b| is_unreserved(*b)),
            Self::Base64 => false,
            Self::Raw => true,
        };
        // Most values are plain, and then nothing is allocated.
        if clean {
            return;
        }
        let value = out.split_off(start);
        match self {
            Self::Json => json(&value, out),
            Self::Url => url(&value, out),
            Self::Base64 => out.extend_from_slice(STANDARD.encode(value).as_bytes()),
            Self::Raw => out.extend_from_slice(&value),
        }
    }
}

fn needs_escape(byte: u8) -> bool {
    // Bytes above ASCII may be no UTF-8: looked at in full.
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0x80
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn json(value: &[u8], out: &mut Vec<u8>) {
    for c in String::from_utf8_lossy(value).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if u32::from(c) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn url(value: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        if is_unreserved(byte) {
            out.push(byte);
        } else {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.push(b'%');
            out.extend_from_slice(&digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(filter: Filter, value: &[u8]) -> String {
        let mut out = b"kept \"".to_vec();
        let start = out.len();
        out.extend_from_slice(value);
        filter.apply(&mut out, start);
        String::from_utf8(out.split_off(start)).unwrap()
    }

    #[test]
    fn json_is_what_serde_json_writes() {
        for text in ["plain", "a\"b\\c", "\n\r\t\u{1}", "ünï ☃", ""] {
            let expected = serde_json::to_string(text).unwrap();
            assert_eq!(format!("\"{}\"", filtered(Filter::Json, text.as_bytes())), expected);
        }
        assert_eq!(filtered(Filter::Json, b"\xff"), "\u{fffd}");
    }

    #[test]
    fn url_and_base64() {
        assert_eq!(filtered(Filter::Url, "a b/ü~".as_bytes()), "a%20b%2F%C3%BC~");
        assert_eq!(filtered(Filter::Url, b"a-b"), "a-b");
        assert_eq!(filtered(Filter::Base64, b"user:pass"), "dXNlcjpwYXNz");
    }
}
