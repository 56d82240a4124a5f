//! `loss`: a share of the packets is dropped.

use std::sync::Arc;

use faultd_api::{BackendStatus, Direction, FaultRequest, Kind, LossParams, Params, Target};

use super::{
    Net,
    plane::{Action, Loss as Model},
    rules::{self, Shape},
};
use crate::{
    engine::plan::{Plan, PlanError},
    fault::{FaultKind, Meets, PlanCx},
};

/// The kind `loss`.
pub struct Loss {
    net: Arc<Net>,
}

impl Loss {
    /// Over the network family's shared parts.
    pub fn new(net: Arc<Net>) -> Self {
        Self { net }
    }
}

impl FaultKind for Loss {
    fn kind(&self) -> Kind {
        Kind::Loss
    }

    fn backends(&self) -> Vec<BackendStatus> {
        rules::drop_backends()
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let Params::Loss(params) = &request.params else {
            return Err(PlanError::Host("loss was asked to plan another kind".to_owned()));
        };
        let shape =
            Shape { action: Action::Loss(model(params)), default_direction: Direction::Egress };
        rules::plan_drop(&self.net, request, cx, shape)
    }

    fn meets(&self, params: &Params, target: &Target, query: &Target) -> Option<Meets> {
        let Params::Loss(params) = params else { return None };
        let covers = rules::covers(target, query, Direction::Egress)?;
        Some(Meets { effect: words(params), covers })
    }
}

fn model(params: &LossParams) -> Model {
    if let Some(model) = params.gemodel {
        return Model::GilbertElliott(model);
    }
    if let Some(every) = params.every {
        return Model::Every(every);
    }
    Model::Random {
        percent: params.percent.unwrap_or_default(),
        correlation: params.correlation.unwrap_or_default(),
    }
}

fn words(params: &LossParams) -> String {
    if let Some(model) = params.gemodel {
        return format!("drops packets by the Gilbert-Elliott model {model}");
    }
    if let Some(every) = params.every {
        return format!("drops one packet in {every}");
    }
    format!("drops {}% of the packets", params.percent.unwrap_or_default())
}
