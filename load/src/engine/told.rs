//! What answers say about writes that are read back.

use std::collections::HashMap;

use super::{exchange::TOO_LONG, user::User};
use crate::{
    extract::text_of,
    ledger::Found,
    measure::{ErrorKind, Failure},
    template::Name,
};

/// Why there is no answer that says whether a write is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// In words.
    pub why: String,
    /// Another attempt may tell.
    pub again: bool,
}

/// What reading back can tell.
pub(super) trait Told: Sized {
    /// What a failure says.
    fn of_failure(failure: Option<&Failure>, status: u16) -> Result<Self, Unread>;
}

impl Told for Found {
    fn of_failure(failure: Option<&Failure>, status: u16) -> Result<Self, Unread> {
        match failure {
            Some(f) if f.kind == ErrorKind::Status && matches!(status, 404 | 410) => {
                Ok(Self::Nothing)
            }
            Some(f) if f.kind == ErrorKind::Check && f.detail != TOO_LONG => {
                Ok(Self::Different(f.detail.clone()))
            }
            failure => Err(unread(failure, status)),
        }
    }
}

impl Told for HashMap<String, u64> {
    fn of_failure(failure: Option<&Failure>, status: u16) -> Result<Self, Unread> {
        Err(unread(failure, status))
    }
}

/// Of a failure that says nothing about the write.
fn unread(failure: Option<&Failure>, status: u16) -> Unread {
    let Some(failure) = failure else {
        return Unread { why: "not all steps were done".into(), again: false };
    };
    let again = match failure.kind {
        ErrorKind::Status => status >= 500 || matches!(status, 408 | 425 | 429),
        ErrorKind::Check | ErrorKind::Extract | ErrorKind::Template => false,
        _ => true,
    };
    Unread { why: failure.to_string(), again }
}

/// How many there are, by the variable `count`; one, if there is no such variable.
pub(super) fn times(user: &User, count: Option<&Name>) -> Result<Found, Unread> {
    let Some(count) = count else { return Ok(Found::Times(1)) };
    let text = String::from_utf8_lossy(user.vars.get(count).unwrap_or_default()).into_owned();
    match text.trim().parse() {
        Ok(0) => Ok(Found::Nothing),
        Ok(times) => Ok(Found::Times(times)),
        Err(_) => {
            Err(Unread { why: format!("`count` is to be a number, got {text:?}"), again: false })
        }
    }
}

/// All keys that are there, by the variable `keys`, and how often each is.
pub(super) fn keys_of(keys: &Name) -> impl Fn(&User) -> Result<HashMap<String, u64>, Unread> {
    let keys = keys.clone();
    move |user| {
        let json = user.vars.get(&keys).unwrap_or_default();
        let list: Vec<serde_json::Value> = serde_json::from_slice(json)
            .map_err(|e| Unread { why: format!("the list of keys: {e}"), again: false })?;
        let mut found = HashMap::new();
        for key in list {
            let key = String::from_utf8_lossy(&text_of(key)).into_owned();
            *found.entry(key).or_insert(0) += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_lost_or_unread_or_ask_again() {
        let of = |kind, status, text: &str| {
            Found::of_failure(Some(&Failure::new(kind, text)), status).map_err(|e| e.again)
        };
        assert_eq!(of(ErrorKind::Status, 404, ""), Ok(Found::Nothing));
        assert_eq!(of(ErrorKind::Status, 410, ""), Ok(Found::Nothing));
        assert_eq!(of(ErrorKind::Check, 200, "x"), Ok(Found::Different("x".into())));
        assert_eq!(of(ErrorKind::Check, 200, TOO_LONG), Err(false));
        for again in [500, 503, 429] {
            assert_eq!(of(ErrorKind::Status, again, ""), Err(true), "{again}");
        }
        assert_eq!(of(ErrorKind::Status, 401, ""), Err(false));
        assert_eq!(of(ErrorKind::Connect, 0, ""), Err(true));
        assert_eq!(of(ErrorKind::Timeout, 0, ""), Err(true));
        assert_eq!(of(ErrorKind::Extract, 200, ""), Err(false));
        // A list that is not there says nothing of any write.
        let missing = Failure::new(ErrorKind::Status, "status 404");
        assert!(HashMap::of_failure(Some(&missing), 404).is_err());
    }
}
