//! Who may do what.

use std::collections::HashSet;

use faultd_api::{Fault, FaultRequest, Kind, Span};

use super::Config;

/// Who a caller is, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Why a caller may not do something, and what would be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

/// The rules of the policy file, names resolved.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    max_active: usize,
}

#[derive(Debug, Clone)]
struct Rule {
    users: HashSet<u32>,
    groups: HashSet<u32>,
    grant: Grant,
}

/// What one caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// All kinds, or these.
    kinds: Option<Vec<Kind>>,
    max_duration: Span,
    force: bool,
    revert_others: bool,
    /// Faults of this caller in force at the same time.
    pub max_active: usize,
}

impl Policy {
    pub(super) fn new(config: &Config) -> Self {
        let rules = config.allow.iter().map(|allow| Rule {
            users: allow.users.iter().filter_map(|u| u.uid()).collect(),
            groups: allow.groups.iter().filter_map(|g| g.gid()).collect(),
            grant: Grant {
                kinds: allow.kinds.clone(),
                max_duration: allow.max_duration,
                force: allow.force,
                revert_others: allow.revert_others,
                max_active: allow.max_active,
            },
        });
        Self { rules: rules.collect(), max_active: config.limits.max_active }
    }

    /// What the caller may do, by the first rule that names it.
    ///
    /// # Errors
    /// When no rule does.
    pub fn grant(&self, who: &Identity) -> Result<&Grant, Denied> {
        let named = |rule: &&Rule| {
            rule.users.contains(&who.uid)
                || rule.groups.contains(&who.gid)
                || who.groups.iter().any(|gid| rule.groups.contains(gid))
        };
        self.rules.iter().find(named).map(|rule| &rule.grant).ok_or_else(|| {
            Denied(format!(
                "user {} may not use this daemon; root and the group {} may, unless \
                 {} says otherwise",
                who.uid,
                super::GROUP,
                super::DEFAULT_PATH
            ))
        })
    }

    /// Faults of everybody in force at the same time.
    pub fn max_active(&self) -> usize {
        self.max_active
    }
}

impl Grant {
    /// Whether a request is within what the caller may do.
    ///
    /// # Errors
    /// The first thing that is not, and what would be allowed.
    pub fn permits(&self, request: &FaultRequest) -> Result<(), Denied> {
        let kind = request.kind();
        if let Some(kinds) = &self.kinds
            && !kinds.contains(&kind)
        {
            let allowed = kinds.iter().map(|k| k.name()).collect::<Vec<_>>();
            return Err(Denied(match allowed.as_slice() {
                [] => "the policy lets you look, not inject".to_owned(),
                _ => format!(
                    "the policy does not let you inject {kind}, only {}",
                    allowed.join(", ")
                ),
            }));
        }
        if request.duration > self.max_duration {
            return Err(Denied(format!(
                "--for {} is longer than the policy allows ({})",
                request.duration, self.max_duration
            )));
        }
        if request.force && !self.force {
            return Err(Denied("the policy does not let you use --force".into()));
        }
        Ok(())
    }

    /// Whether the caller may revert or confirm a fault.
    ///
    /// # Errors
    /// When it is somebody else's and the policy says no.
    pub fn permits_ending(&self, fault: &Fault, uid: u32) -> Result<(), Denied> {
        if self.revert_others || fault.owner.uid == uid {
            return Ok(());
        }
        Err(Denied(format!(
            "{} belongs to user {}; the policy lets you revert and confirm only your own",
            fault.id, fault.owner.uid
        )))
    }
}
