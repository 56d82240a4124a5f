//! Users and groups, by name and by number, as the host's name service
//! (nsswitch.conf(5)) knows them.

use std::ffi::CString;

use nix::{
    errno::Errno,
    unistd::{Gid, Group, Uid, User, getgrouplist},
};

/// Why a user or group could not be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Neither a known user nor a number.
    #[error("no user {0:?} on this host (looked for a user name, then for a user id)")]
    NoUser(String),
    /// Neither a known group nor a number.
    #[error("no group {0:?} on this host (looked for a group name, then for a group id)")]
    NoGroup(String),
    /// The name service failed.
    #[error("cannot look up {wanted:?}: {errno}")]
    Lookup {
        /// What was looked for.
        wanted: String,
        /// What it answered.
        errno: Errno,
    },
}

/// The user id that `name_or_number` stands for. A name goes first, as with
/// chown(1); a number needs no entry in the user database (containers use
/// such).
///
/// # Errors
/// When it is neither, or the name service fails.
pub fn uid(name_or_number: &str) -> Result<u32, UserError> {
    let lookup = |errno| UserError::Lookup { wanted: name_or_number.to_owned(), errno };
    if let Some(user) = User::from_name(name_or_number).map_err(lookup)? {
        return Ok(user.uid.as_raw());
    }
    number(name_or_number).ok_or_else(|| UserError::NoUser(name_or_number.to_owned()))
}

/// The group id that `name_or_number` stands for; see [`uid`].
///
/// # Errors
/// When it is neither, or the name service fails.
pub fn gid(name_or_number: &str) -> Result<u32, UserError> {
    let lookup = |errno| UserError::Lookup { wanted: name_or_number.to_owned(), errno };
    if let Some(group) = Group::from_name(name_or_number).map_err(lookup)? {
        return Ok(group.gid.as_raw());
    }
    number(name_or_number).ok_or_else(|| UserError::NoGroup(name_or_number.to_owned()))
}

/// The name of a user id, where it has one.
pub fn name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// Whether a user is a member of a group, by primary group or by the group
/// database. A group or user that does not exist has no members.
///
/// # Errors
/// When the name service fails.
pub fn is_member(uid: u32, group_name: &str) -> Result<bool, UserError> {
    let lookup = |errno| UserError::Lookup { wanted: group_name.to_owned(), errno };
    let Some(group) = Group::from_name(group_name).map_err(lookup)? else { return Ok(false) };
    let Some(user) = User::from_uid(Uid::from_raw(uid)).map_err(lookup)? else { return Ok(false) };
    if user.gid == group.gid {
        return Ok(true);
    }
    // A name from the database holds no NUL.
    let Ok(user_name) = CString::new(user.name) else { return Ok(false) };
    let groups: Vec<Gid> = getgrouplist(&user_name, user.gid).map_err(lookup)?;
    Ok(groups.contains(&group.gid))
}

/// A plain decimal id; the highest one means "none" to the kernel.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(uid("root"), Ok(0));
        assert_eq!(gid("root"), Ok(0));
        assert_eq!(uid("0"), Ok(0));
        assert_eq!(uid("4000123"), Ok(4_000_123));
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(4_000_123), None);
    }

    #[test]
    fn says_what_was_looked_for() {
        let missing = uid("no-such-user").map_err(|e| e.to_string());
        assert_eq!(
            missing,
            Err("no user \"no-such-user\" on this host (looked for a user name, then for a user \
                 id)"
            .to_owned())
        );
        for text in ["", "+1", "-1", "4294967295", "99999999999", "1 "] {
            assert_eq!(uid(text), Err(UserError::NoUser(text.to_owned())));
            assert_eq!(gid(text), Err(UserError::NoGroup(text.to_owned())));
        }
    }

    #[test]
    fn membership() {
        assert_eq!(is_member(0, "root"), Ok(true));
        assert_eq!(is_member(0, "no-such-group"), Ok(false));
        assert_eq!(is_member(4_000_123, "root"), Ok(false));
    }
}
