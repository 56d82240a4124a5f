//! Letting re-injected packets back in on loopback.
//!
//! A packet that is sent on loopback keeps its route, so the way in does not
//! look one up. A packet that was held has lost it, and IPv4's input then
//! takes it for one with a forged source (Linux `net/ipv4/fib_frontend.c`,
//! `fib_validate_source`; `net/ipv4/route.c`, `ip_route_input_slow`):
//! - `accept_local` lets in packets from this host's own addresses,
//! - `route_localnet` those from and to 127.0.0.0/8.
//!
//! Set on `lo` alone, neither lets anything in that comes from outside. IPv6
//! has no such checks. Both outlive the process, so the journal knows first.

use crate::{
    engine::journal::{Journal, JournalError, Ticket},
    host::{
        netns::Netns,
        sysctl::{self, SysctlError},
        undo::Undo,
    },
};

const KEYS: [&str; 2] = ["net.ipv4.conf.lo.accept_local", "net.ipv4.conf.lo.route_localnet"];

/// Why loopback could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// A sysctl could not be read or set.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// The undo could not be recorded, so nothing was set.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Loopback takes its own packets back while this lives; put back as it was
/// when dropped.
pub(super) struct LoopbackRouting {
    tickets: Vec<Ticket>,
    expires_boot_ns: u64,
}

impl LoopbackRouting {
    /// Sets what is not set yet. `expires_boot_ns`: when the guardian may put
    /// it back although the daemon lives.
    pub fn set(
        netns: &Netns,
        journal: &Journal,
        expires_boot_ns: u64,
    ) -> Result<Self, RoutingError> {
        let mut routing = Self { tickets: Vec::new(), expires_boot_ns };
        for key in KEYS {
            // An early return drops `routing`, which puts back the first key.
            let value = sysctl::read(netns, key)?;
            if value == "1" {
                continue;
            }
            let undo = Undo::Sysctl { netns: netns.reference(), key: key.into(), value };
            routing.tickets.push(journal.record("delay-line", expires_boot_ns, undo)?);
            sysctl::write(netns, key, "1")?;
        }
        Ok(routing)
    }

    /// Moves the time after which the guardian may put it back.
    pub fn extend(&mut self, expires_boot_ns: u64) -> Result<(), RoutingError> {
        if expires_boot_ns <= self.expires_boot_ns {
            return Ok(());
        }
        for ticket in &self.tickets {
            ticket.extend(expires_boot_ns)?;
        }
        self.expires_boot_ns = expires_boot_ns;
        Ok(())
    }
}

impl Drop for LoopbackRouting {
    fn drop(&mut self) {
        for ticket in self.tickets.drain(..).rev() {
            if let Err(error) = ticket.undo() {
                // It stays in the journal, and guardian or recovery try again.
                tracing::error!(%error, "delay line: loopback's routing was not put back");
            }
        }
    }
}
