//! Statuses of gRPC, and how they stand beside those of HTTP in one count.

use std::borrow::Cow;

/// The names of the codes 0 to 16
/// (<https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>).
pub const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What is added to a code, so that it is no status of HTTP.
const BASE: u16 = 10_000;

/// The status for which nothing has to be expected: code 0.
pub const OK: u16 = BASE;

/// Code 4: the time that the caller gave is up.
pub const DEADLINE_EXCEEDED: u16 = BASE + 4;

/// Code 5: there is no such thing.
pub const NOT_FOUND: u16 = BASE + 5;

/// Code 12: the server has no such method.
pub const UNIMPLEMENTED: u16 = BASE + 12;

/// A code as samples and checks have it; codes that no server should send share one.
#[must_use]
pub fn of_code(code: u32) -> u16 {
    BASE.saturating_add(u16::try_from(code).unwrap_or(u16::MAX))
}

/// The status of that name, or of that number: `NOT_FOUND`, `5`.
#[must_use]
pub fn parse(text: &str) -> Option<u16> {
    let named = NAMES.iter().position(|name| *name == text);
    let code = named.or_else(|| text.parse().ok().filter(|code| *code < NAMES.len()))?;
    Some(of_code(u32::try_from(code).ok()?))
}

/// A status for people, of whichever protocol: `404`, `NOT_FOUND`, and `GRPC_99` for a code that
/// has no name.
#[must_use]
pub fn text(status: u16) -> Cow<'static, str> {
    match status.checked_sub(BASE) {
        None => status.to_string().into(),
        Some(code) => match NAMES.get(usize::from(code)) {
            Some(name) => (*name).into(),
            None => format!("GRPC_{code}").into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_the_same_status() {
        assert_eq!(parse("OK"), Some(OK));
        assert_eq!((parse("5"), parse("NOT_FOUND")), (Some(NOT_FOUND), Some(NOT_FOUND)));
        assert_eq!(parse("UNIMPLEMENTED"), Some(UNIMPLEMENTED));
        assert_eq!(text(of_code(14)), "UNAVAILABLE");
        assert_eq!(text(of_code(99)), "GRPC_99");
        assert_eq!(text(503), "503");
        assert_eq!((parse("17"), parse("not_found"), parse("")), (None, None, None));
        assert_eq!(of_code(u32::MAX), u16::MAX);
    }
}
