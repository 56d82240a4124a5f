//! The gate that every request passes: who asks, and may they.

use axum::{
    Extension,
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{App, peer::Peer, problem::Refusal};
use crate::{config::Grant, engine::audit::Change};

/// What the policy allows the caller.
#[derive(Debug, Clone)]
pub(super) struct Granted(pub Grant);

/// Lets those in whom the policy names, and counts what was answered.
pub(super) async fn gate(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = match app.0.policy.grant(&peer.identity) {
        Ok(grant) => {
            request.extensions_mut().insert(Granted(grant.clone()));
            next.run(request).await
        }
        Err(denied) => {
            if method != Method::GET {
                let action = request.uri().path();
                let result = &format!("not permitted: {denied}");
                let change = Change { action, id: None, kind: None, target: None, result };
                app.0.engine.audit().write(&peer.actor(), &change);
            }
            Refusal::from(denied).into_response()
        }
    };
    let route = path.as_ref().map_or("", MatchedPath::as_str);
    app.0.requests.count(&method, route, response.status());
    response
}
