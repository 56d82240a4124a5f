//! A server that speaks HTTP/2 and does with gRPC what no server should.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};

/// What it does with each call.
#[derive(Debug, Clone, Copy)]
pub enum Conduct {
    /// A head with this status and type, this body, and these trailers.
    Answer { http: u16, kind: &'static str, body: &'static [u8], trailers: Trailers },
    /// A head that has this status of gRPC and ends the answer.
    TrailersOnly(&'static str),
    /// Half a message, then RST_STREAM.
    Reset,
    /// Half a message, then the connection is closed.
    Close,
    /// GOAWAY instead of an answer.
    GoAway,
    /// Right answers, after 30 ms; a connection takes no further calls after five
    /// (GOAWAY(NO_ERROR), as servers do that bound the age of connections).
    Retire,
}

/// What comes after the body.
#[derive(Debug, Clone, Copy)]
pub enum Trailers {
    None,
    Status(&'static str),
}

/// A server on a port of its own, until it is dropped.
pub struct Raw {
    pub address: String,
    calls: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Raw {
    pub fn start(conduct: Conduct) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let (stop, mut stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let counted = Arc::clone(&calls);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().to_string()).unwrap();
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        tokio::spawn(serve(stream, conduct, Arc::clone(&counted)));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = &mut stopped => {}
                }
            });
        });
        let address = told.recv().unwrap();
        Self { address, calls, stop: Some(stop), thread: Some(thread) }
    }

    /// Calls that came.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _gone = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Serves a connection until either side has had enough of it.
async fn serve(stream: TcpStream, conduct: Conduct, calls: Arc<AtomicU64>) -> Option<()> {
    let mut connection = h2::server::handshake(stream).await.ok()?;
    let close = Arc::new(Notify::new());
    for call in 1.. {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted?,
            () = close.notified() => return None,
        };
        let (request, respond) = accepted.ok()?;
        calls.fetch_add(1, Ordering::SeqCst);
        if matches!(conduct, Conduct::GoAway) {
            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
            continue;
        }
        if matches!(conduct, Conduct::Retire) && call == 5 {
            connection.graceful_shutdown();
        }
        let close = Arc::clone(&close);
        tokio::spawn(async move {
            let stream = answer(request, respond, conduct).await;
            if matches!(conduct, Conduct::Close) {
                close.notify_one();
            }
            stream
        });
    }
    None
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    conduct: Conduct,
) -> Option<SendStream<Bytes>> {
    let head = |http: u16, kind: &str| {
        Response::builder().status(http).header("content-type", kind).body(()).unwrap()
    };
    let half = Bytes::from_static(b"\0\0\0\0\x20half of it");
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data.ok()?.len()).ok()?;
    }
    match conduct {
        Conduct::Answer { http, kind, body, trailers } => {
            let mut stream = respond.send_response(head(http, kind), false).ok()?;
            let last = matches!(trailers, Trailers::None);
            if last || !body.is_empty() {
                stream.send_data(Bytes::from_static(body), last).ok()?;
            }
            if let Trailers::Status(status) = trailers {
                let mut map = HeaderMap::new();
                map.insert("grpc-status", HeaderValue::from_static(status));
                stream.send_trailers(map).ok()?;
            }
            Some(stream)
        }
        Conduct::TrailersOnly(status) => {
            let mut head = head(200, "application/grpc");
            head.headers_mut().insert("grpc-status", HeaderValue::from_static(status));
            head.headers_mut().insert("grpc-message", HeaderValue::from_static("try%20later"));
            respond.send_response(head, true).ok()
        }
        Conduct::Reset => {
            let mut stream = respond.send_response(head(200, "application/grpc"), false).ok()?;
            stream.send_data(half, false).ok()?;
            stream.send_reset(Reason::INTERNAL_ERROR);
            Some(stream)
        }
        Conduct::Close => {
            let mut stream = respond.send_response(head(200, "application/grpc"), false).ok()?;
            stream.send_data(half, false).ok()?;
            Some(stream)
        }
        Conduct::GoAway => None,
        Conduct::Retire => {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let mut stream = respond.send_response(head(200, "application/grpc"), false).ok()?;
            stream.send_data(Bytes::from_static(b"\0\0\0\0\0"), false).ok()?;
            let mut map = HeaderMap::new();
            map.insert("grpc-status", HeaderValue::from_static("0"));
            stream.send_trailers(map).ok()?;
            Some(stream)
        }
    }
}
