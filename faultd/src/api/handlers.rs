//! One function a route.

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
};
use faultd_api::{
    Capabilities, Explain, Fault, FaultList, FaultRequest, Health, ListQuery, Plan, RawRequest,
    State as Life, Target,
};

use super::{
    App,
    access::Granted,
    body::{Asked, Id, JsonBody},
    openapi,
    peer::Peer,
    problem::Refusal,
};
use crate::{
    config::Grant,
    engine::{Accepted, Ask, Limits, audit::Change},
};

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) async fn inject(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(Granted(grant)): Extension<Granted>,
    headers: HeaderMap,
    JsonBody(raw): JsonBody<RawRequest>,
) -> Result<(StatusCode, Json<Fault>), Refusal> {
    let accepted = Accepted::now();
    let request = raw.check()?;
    let (kind, target) = (request.kind(), request.target.to_string());
    let result = match permitted(&app, &peer, &grant, &headers, request, accepted) {
        Ok(ask) => app.0.engine.inject(ask).await.map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    if let Err(Refusal(problem)) = &result {
        let change = Change {
            action: "inject",
            id: None,
            kind: Some(kind.name()),
            target: Some(&target),
            result: &problem.detail,
        };
        // A fault that failed half-way has its line from the engine.
        if problem.kind != "urn:faultd:failed" {
            app.0.engine.audit().write(&peer.actor(), &change);
        }
    }
    result.map(|fault| (StatusCode::CREATED, Json(fault)))
}

pub(super) async fn plan(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(Granted(grant)): Extension<Granted>,
    headers: HeaderMap,
    JsonBody(raw): JsonBody<RawRequest>,
) -> Answer<Plan> {
    let ask = permitted(&app, &peer, &grant, &headers, raw.check()?, Accepted::now())?;
    Ok(Json(app.0.engine.dry_run(ask).await?))
}

fn permitted(
    app: &App,
    peer: &Peer,
    grant: &Grant,
    headers: &HeaderMap,
    request: FaultRequest,
    accepted: Accepted,
) -> Result<Ask, Refusal> {
    grant.permits(&request)?;
    Ok(Ask {
        request,
        caller: peer.caller(headers),
        actor: peer.actor(),
        accepted,
        limits: Limits {
            max_active: app.0.policy.max_active(),
            max_active_of_owner: grant.max_active,
        },
    })
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<ListQuery>,
) -> Json<FaultList> {
    Json(FaultList { faults: app.0.engine.list(query.all) })
}

pub(super) async fn show(State(app): State<App>, Id(id): Id) -> Answer<Fault> {
    app.0.engine.get(&id).map(Json).ok_or_else(|| Refusal::no_such_fault(&id))
}

/// Reverting what is over already is no error: it is what was wanted.
pub(super) async fn revert(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(Granted(grant)): Extension<Granted>,
    Id(id): Id,
) -> Answer<Fault> {
    let engine = &app.0.engine;
    let fault = engine.get(&id).ok_or_else(|| Refusal::no_such_fault(&id))?;
    may_end(&app, &peer, &grant, &fault, "revert")?;
    if fault.state == Life::Ended {
        return Ok(Json(fault));
    }
    let mut ended = engine.revert(vec![id.clone()], peer.actor()).await?;
    // Empty when its time was up first.
    ended.pop().or_else(|| engine.get(&id)).map(Json).ok_or_else(|| Refusal::no_such_fault(&id))
}

pub(super) async fn revert_all(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(Granted(grant)): Extension<Granted>,
) -> Answer<FaultList> {
    let engine = &app.0.engine;
    let uid = peer.identity.uid;
    let mine = engine.list(false).into_iter().filter(|f| grant.permits_ending(f, uid).is_ok());
    // Newest first, as the daemon does when it stops; listed oldest first.
    let ids = mine.map(|fault| fault.id).rev().collect();
    let mut faults = engine.revert(ids, peer.actor()).await?;
    faults.reverse();
    Ok(Json(FaultList { faults }))
}

pub(super) async fn confirm(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(Granted(grant)): Extension<Granted>,
    Id(id): Id,
) -> Answer<Fault> {
    let fault = app.0.engine.get(&id).ok_or_else(|| Refusal::no_such_fault(&id))?;
    may_end(&app, &peer, &grant, &fault, "confirm")?;
    Ok(Json(app.0.engine.confirm(&id, &peer.actor())?))
}

fn may_end(
    app: &App,
    peer: &Peer,
    grant: &Grant,
    fault: &Fault,
    action: &str,
) -> Result<(), Refusal> {
    grant.permits_ending(fault, peer.identity.uid).map_err(|denied| {
        let change = Change {
            action,
            id: Some(&fault.id),
            kind: Some(fault.kind.name()),
            target: Some(&fault.target.to_string()),
            result: &format!("not permitted: {denied}"),
        };
        app.0.engine.audit().write(&peer.actor(), &change);
        denied.into()
    })
}

pub(super) async fn explain(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Explain>, Refusal> {
    let target = Target::from_query(query.as_deref().unwrap_or_default())?;
    Ok(Json(app.0.engine.explain(&target)))
}

pub(super) async fn capabilities(State(app): State<App>) -> Answer<Capabilities> {
    let engine = app.0.engine.clone();
    let probed = tokio::task::spawn_blocking(move || engine.capabilities()).await;
    probed.map(Json).map_err(|e| Refusal::failed(format!("the probe failed: {e}")))
}

pub(super) async fn health(State(app): State<App>) -> Json<Health> {
    let engine = &app.0.engine;
    let guardian_pid = app.0.guardian.pid();
    let mut problems = Vec::new();
    let (_, stuck) = engine.journal().pending();
    if stuck > 0 {
        problems.push(format!(
            "{stuck} effects could not be undone; stop the daemon and run `faultd recover`"
        ));
    }
    if guardian_pid.is_none() {
        problems.push("the guardian is not running; it is being started again".to_owned());
    }
    Json(Health {
        status: if problems.is_empty() { "ok" } else { "degraded" }.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        guardian_pid,
        active: engine.active(),
        problems,
    })
}

pub(super) async fn openapi() -> Json<&'static serde_json::Value> {
    Json(openapi::document())
}
