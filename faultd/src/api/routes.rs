//! The routes: one table, from which the router and the OpenAPI document are
//! made, so that they cannot drift apart.

use axum::{
    Router,
    handler::Handler,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{MethodFilter, MethodRouter, on},
};
use faultd_api::{
    Capabilities, Event, EventsQuery, Explain, Fault, FaultList, Health, ListQuery, Plan,
    RawRequest, Target,
};
use schemars::{Schema, SchemaGenerator};

use super::{App, access, events, handlers, metrics, problem::Refusal};

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One route.
pub(super) struct Route {
    pub method: Verb,
    pub path: &'static str,
    pub summary: &'static str,
    /// Fields of the query string.
    pub query: Option<SchemaOf>,
    /// JSON body.
    pub body: Option<SchemaOf>,
    /// Status of success.
    pub status: StatusCode,
    pub answer: Answer,
    /// Statuses of failure, beside 403, which every route has.
    pub fails: &'static [u16],
    handler: fn() -> MethodRouter<App>,
}

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

/// What a route answers.
pub(super) enum Answer {
    Json(SchemaOf),
    /// Server-sent events whose data has this schema.
    Events(SchemaOf),
    Text,
    /// The document itself.
    OpenApi,
}

fn get<H: Handler<T, App>, T: 'static>(handler: H) -> MethodRouter<App> {
    on(MethodFilter::GET, handler)
}

fn post<H: Handler<T, App>, T: 'static>(handler: H) -> MethodRouter<App> {
    on(MethodFilter::POST, handler)
}

fn delete<H: Handler<T, App>, T: 'static>(handler: H) -> MethodRouter<App> {
    on(MethodFilter::DELETE, handler)
}

const fn schema<T: schemars::JsonSchema>() -> SchemaOf {
    SchemaGenerator::subschema_for::<T>
}

/// A read that answers JSON and cannot fail.
const fn read(
    path: &'static str,
    summary: &'static str,
    answer: Answer,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    let (query, body, fails): (Option<SchemaOf>, Option<SchemaOf>, &[u16]) = (None, None, &[]);
    Route {
        method: Verb::Get,
        path,
        summary,
        query,
        body,
        status: StatusCode::OK,
        answer,
        fails,
        handler,
    }
}

/// Every route of the API.
pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Verb::Post,
        body: Some(schema::<RawRequest>()),
        status: StatusCode::CREATED,
        fails: &[400, 408, 409, 413, 415, 500, 501, 503],
        ..read(
            "/v1/faults",
            "Inject a fault; answers when it is in force",
            Answer::Json(schema::<Fault>()),
            || post(handlers::inject),
        )
    },
    Route {
        query: Some(schema::<ListQuery>()),
        fails: &[400],
        ..read(
            "/v1/faults",
            "The faults that have not ended, oldest first",
            Answer::Json(schema::<FaultList>()),
            || get(handlers::list),
        )
    },
    Route {
        method: Verb::Delete,
        fails: &[503],
        ..read(
            "/v1/faults",
            "Revert every fault that the caller may revert",
            Answer::Json(schema::<FaultList>()),
            || delete(handlers::revert_all),
        )
    },
    Route {
        fails: &[400, 404],
        ..read("/v1/faults/{id}", "One fault", Answer::Json(schema::<Fault>()), || {
            get(handlers::show)
        })
    },
    Route {
        method: Verb::Delete,
        fails: &[400, 404, 503],
        ..read(
            "/v1/faults/{id}",
            "Revert a fault; answers when it is taken back",
            Answer::Json(schema::<Fault>()),
            || delete(handlers::revert),
        )
    },
    Route {
        method: Verb::Post,
        fails: &[400, 404, 409],
        ..read(
            "/v1/faults/{id}/confirm",
            "Renew the lease of a fault",
            Answer::Json(schema::<Fault>()),
            || post(handlers::confirm),
        )
    },
    Route {
        method: Verb::Post,
        body: Some(schema::<RawRequest>()),
        fails: &[400, 408, 413, 415, 500, 501, 503],
        ..read(
            "/v1/plan",
            "What a request would do; changes nothing",
            Answer::Json(schema::<Plan>()),
            || post(handlers::plan),
        )
    },
    Route {
        query: Some(schema::<Target>()),
        fails: &[400],
        ..read(
            "/v1/explain",
            "Which faults a flow or process meets; lists are separated by commas",
            Answer::Json(schema::<Explain>()),
            || get(handlers::explain),
        )
    },
    Route {
        query: Some(schema::<EventsQuery>()),
        fails: &[400],
        ..read(
            "/v1/events",
            "What happens to faults, as server-sent events",
            Answer::Events(schema::<Event>()),
            || get(events::events),
        )
    },
    Route {
        fails: &[500],
        ..read(
            "/v1/capabilities",
            "What works on this host, probed anew",
            Answer::Json(schema::<Capabilities>()),
            || get(handlers::capabilities),
        )
    },
    read("/v1/health", "How the daemon is", Answer::Json(schema::<Health>()), || {
        get(handlers::health)
    }),
    read("/metrics", "Figures in Prometheus' text format", Answer::Text, || get(metrics::metrics)),
    read("/v1/openapi.json", "This document", Answer::OpenApi, || get(handlers::openapi)),
];

/// The router of the whole API.
pub(super) fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), access::gate))
        .with_state(app)
}

async fn no_such_route(uri: Uri) -> Refusal {
    let detail = format!("there is nothing at {}; GET /v1/openapi.json lists what is", uri.path());
    Refusal::invalid(StatusCode::NOT_FOUND, detail)
}

/// axum adds the Allow header.
async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{} does not answer to {method}", uri.path());
    Refusal::invalid(StatusCode::METHOD_NOT_ALLOWED, detail)
}
