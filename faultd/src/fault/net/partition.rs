//! `partition`: no packet of the target passes, in either direction.

use std::sync::Arc;

use faultd_api::{BackendStatus, Direction, FaultRequest, Kind, Params, Target};

use super::{
    Net,
    plane::Action,
    rules::{self, Shape},
};
use crate::{
    engine::plan::{Plan, PlanError},
    fault::{FaultKind, Meets, PlanCx},
};

/// The kind `partition`.
pub struct Partition {
    net: Arc<Net>,
}

impl Partition {
    /// Over the network family's shared parts.
    pub fn new(net: Arc<Net>) -> Self {
        Self { net }
    }
}

impl FaultKind for Partition {
    fn kind(&self) -> Kind {
        Kind::Partition
    }

    fn backends(&self) -> Vec<BackendStatus> {
        rules::drop_backends()
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let shape = Shape { action: Action::Drop, default_direction: Direction::Both };
        rules::plan_drop(&self.net, request, cx, shape)
    }

    fn meets(&self, _: &Params, target: &Target, query: &Target) -> Option<Meets> {
        let covers = rules::covers(target, query, Direction::Both)?;
        Some(Meets { effect: "drops every packet".to_owned(), covers })
    }
}
