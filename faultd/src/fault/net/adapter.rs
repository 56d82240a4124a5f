//! The delay line as the rule table drives it.

use super::{
    line::{Line, LineError, OriginKind},
    plane::{DelayLine, LineRefused, Way},
};

impl DelayLine for Line {
    fn tap_ifindex(&self) -> u32 {
        Self::tap_ifindex(self)
    }

    fn add_origin(
        &self,
        origin: u16,
        ifindex: u32,
        way: Way,
        expires_boot_ns: u64,
    ) -> Result<Option<u32>, LineRefused> {
        let kind = match way {
            Way::Loopback => OriginKind::Loopback,
            Way::Ethernet => OriginKind::Ethernet,
            Way::L3 => OriginKind::L3,
            Way::Ingress => OriginKind::Ingress,
        };
        Self::add_origin(self, origin, ifindex, kind, expires_boot_ns).map_err(refused)
    }

    fn remove_origin(&self, origin: u16) {
        Self::remove_origin(self, origin);
    }

    fn open(&self, slot: u16, expires_boot_ns: u64) -> Result<(), LineRefused> {
        Self::open(self, slot, expires_boot_ns).map_err(refused)
    }

    fn flush(&self, slot: u16) {
        Self::flush(self, slot);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err's function")]
fn refused(error: LineError) -> LineRefused {
    LineRefused(error.to_string())
}
