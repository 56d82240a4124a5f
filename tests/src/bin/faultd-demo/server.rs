//! A real HTTP server: axum, on a thread of its own.

use std::net::{SocketAddr, TcpListener};

use axum::{Router, routing::get};

/// Serves in the calling thread's namespace for as long as the process lives.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the server");
    let address = listener.local_addr().expect("the server's address");
    listener.set_nonblocking(true).expect("non-blocking");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime for the server").block_on(serve(listener));
    });
    address
}

async fn serve(listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the server's socket");
    let service = Router::new().route("/", get(|| async { "hello\n" }));
    let service = axum::serve(listener, service);
    if let Err(e) = service.await {
        eprintln!("the server ended: {e}");
    }
}
