//! Interfaces whose packets go through the delay line.

use std::{collections::HashMap, sync::Arc};

use faultd_abi as abi;

use super::{
    DelayLine, PlaneError, RuleSpec, Way,
    attach::Place,
    core::Core,
    line::{LineRefused, LinkOrigins, OriginPool, leaving},
    tables::forgive_absent,
};
use crate::host::links::Link;

/// The rule's number under which the delay line's own attachments are held;
/// no rule has slot 0.
const LINE: u16 = 0;

/// The numbers that are handed out.
#[derive(Default)]
pub struct Origins {
    links: HashMap<u32, LinkOrigins>,
    pool: OriginPool,
}

impl Origins {
    fn next(&mut self) -> Option<u16> {
        let links = &self.links;
        let taken =
            |n: u16| links.values().any(|l| l.numbers.egress == n || l.numbers.ingress == n);
        self.pool.take(taken)
    }
}

impl Core {
    /// See [`super::Plane::connect_line`].
    pub fn connect_line(&mut self, line: Arc<dyn DelayLine>) -> Result<(), PlaneError> {
        self.disconnect_line()?;
        self.config.line_ifindex = line.tap_ifindex();
        self.write_config()?;
        self.line = Some(line);
        Ok(())
    }

    /// See [`super::Plane::disconnect_line`].
    pub fn disconnect_line(&mut self) -> Result<(), PlaneError> {
        let mut errors = Vec::new();
        self.config.line_ifindex = 0;
        errors.extend(self.write_config().err());
        let Some(line) = self.line.take() else { return PlaneError::collect(errors) };
        let gone: Vec<u32> = self.origins.links.keys().copied().collect();
        for ifindex in gone {
            errors.extend(self.drop_origins(&*line, ifindex));
        }
        errors.extend(self.attachments.release(LINE));
        PlaneError::collect(errors)
    }

    /// Gets everything ready for a rule's packets to go through the line.
    pub(super) fn open_line(
        &mut self,
        spec: &RuleSpec,
        links: &[Link],
        slot: u16,
    ) -> Result<(), PlaneError> {
        let line = self.line.clone().ok_or_else(no_line)?;
        for link in links {
            self.ensure_origins(&*line, spec.hooks.bits(), link, spec.expires_boot_ns)?;
        }
        Ok(line.open(slot, spec.expires_boot_ns)?)
    }

    /// Gives an interface the origins that `hooks` need.
    pub(super) fn ensure_origins(
        &mut self,
        line: &dyn DelayLine,
        hooks: u8,
        link: &Link,
        expires_boot_ns: u64,
    ) -> Result<(), PlaneError> {
        let egress = hooks & abi::HOOK_TC_EGRESS != 0 || link.loopback;
        let ingress = hooks & abi::HOOK_TC_INGRESS != 0 && !link.loopback;
        let have = self.origins.links.get(&link.ifindex).copied().unwrap_or_default();
        if egress && have.numbers.egress == 0 {
            self.add_leaving(line, link, expires_boot_ns)?;
        }
        if ingress && have.numbers.ingress == 0 {
            self.add_arriving(line, link, expires_boot_ns)?;
        }
        Ok(())
    }

    fn add_leaving(
        &mut self,
        line: &dyn DelayLine,
        link: &Link,
        expires_boot_ns: u64,
    ) -> Result<(), PlaneError> {
        let way = leaving(link).ok_or_else(|| {
            PlaneError::Unsupported(format!(
                "packets of {} cannot be held by the delay line: it knows Ethernet framing and \
                 none, and not that of this kind of device; name other interfaces with --dev",
                link.name
            ))
        })?;
        let number = self.origins.next().ok_or(PlaneError::Full("origins of the delay line"))?;
        line.add_origin(number, link.ifindex, way, expires_boot_ns)?;
        let known = self.origins.links.entry(link.ifindex).or_default();
        known.numbers.egress = number;
        let numbers = known.numbers;
        Ok(self.maps.origins.insert(link.ifindex, numbers, 0)?)
    }

    fn add_arriving(
        &mut self,
        line: &dyn DelayLine,
        link: &Link,
        expires_boot_ns: u64,
    ) -> Result<(), PlaneError> {
        if leaving(link) != Some(Way::Ethernet) {
            return Err(PlaneError::Unsupported(format!(
                "packets that arrive at {} cannot be held: it carries no Ethernet frames; \
                 use --direction egress or name other interfaces with --dev",
                link.name
            )));
        }
        let number = self.origins.next().ok_or(PlaneError::Full("origins of the delay line"))?;
        let tap = line
            .add_origin(number, link.ifindex, Way::Ingress, expires_boot_ns)?
            .ok_or_else(|| LineRefused(format!("it has no way back in to {}", link.name)))?;
        let known = self.origins.links.entry(link.ifindex).or_default();
        known.numbers.ingress = number;
        known.tap = Some(tap);
        let numbers = known.numbers;
        self.maps.tap_targets.insert(tap, link.ifindex, 0)?;
        self.attachments.acquire(&mut self.ebpf, &[Place::Tap(tap)], LINE, expires_boot_ns)?;
        Ok(self.maps.origins.insert(link.ifindex, numbers, 0)?)
    }

    /// Takes an interface's origins back.
    pub(super) fn drop_origins(&mut self, line: &dyn DelayLine, ifindex: u32) -> Vec<PlaneError> {
        let Some(known) = self.origins.links.remove(&ifindex) else { return Vec::new() };
        let mut errors: Vec<PlaneError> = Vec::new();
        let removed = forgive_absent(self.maps.origins.remove(&ifindex));
        errors.extend(removed.err().map(Into::into));
        if let Some(tap) = known.tap {
            errors.extend(self.attachments.forget(tap));
            let removed = forgive_absent(self.maps.tap_targets.remove(&tap));
            errors.extend(removed.err().map(Into::into));
        }
        for number in [known.numbers.egress, known.numbers.ingress] {
            if number != 0 {
                line.remove_origin(number);
            }
        }
        errors
    }
}

fn no_line() -> PlaneError {
    PlaneError::Unsupported("the rule needs a delay line, and none is connected".to_owned())
}
