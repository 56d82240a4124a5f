//! `GET /v1/events`: what happens, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event as Sent, KeepAlive, Sse},
    },
};
use faultd_api::{Event, EventsQuery};
use futures_util::{Stream, StreamExt, future, stream};
use tokio_stream::wrappers::BroadcastStream;

use super::{App, body::Asked};

/// While a reader is connected and nothing happens, a comment this often tells
/// both ends that the other is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events from now on, or after `Last-Event-ID`; with `follow=false` those
/// that are still held, and then the end. A reader that is too slow misses
/// events and sees so by the gap in `seq`.
pub(super) async fn events(
    State(app): State<App>,
    Asked(query): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Response {
    let (held, receiver) = app.0.engine.subscribe();
    if !query.follow {
        return Sse::new(stream::iter(held).map(|event| sent(&event))).into_response();
    }
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
    let missed = held.into_iter().filter(move |event| last.is_some_and(|last| event.seq > last));
    let live = BroadcastStream::new(receiver).filter_map(|event| future::ready(event.ok()));
    let all = stream::iter(missed).chain(live).map(|event| sent(&event));
    Sse::new(until_stopped(&app, all))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn until_stopped<S: Stream>(app: &App, events: S) -> impl Stream<Item = S::Item> + use<S> {
    let mut stopping = app.0.stopping.clone();
    events.take_until(async move {
        // An error means that the server is gone, which ends the stream too.
        let _ = stopping.wait_for(|stop| *stop).await;
    })
}

fn sent(event: &Event) -> Result<Sent, Infallible> {
    let name = match event.event {
        faultd_api::EventKind::Planned => "planned",
        faultd_api::EventKind::Active => "active",
        faultd_api::EventKind::Confirmed => "confirmed",
        faultd_api::EventKind::Ended => "ended",
    };
    let data = serde_json::to_string(event).unwrap_or_default();
    Ok(Sent::default().id(event.seq.to_string()).event(name).data(data))
}
