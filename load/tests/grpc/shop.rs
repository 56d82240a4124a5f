//! A shop on tonic, with counters of its own.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use prost_reflect::prost_types::FileDescriptorSet;
use tokio::sync::{mpsc, oneshot};
use tonic::{
    Code, Request, Response, Status,
    codegen::{
        Body, BoxFuture, Context, Poll, Service, StdError, http,
        tokio_stream::wrappers::ReceiverStream,
    },
    metadata::MetadataMap,
    server::{Grpc, NamedService, ServerStreamingService, UnaryService},
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub struct AddRequest {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(int32, tag = "2")]
    pub n: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AddReply {
    #[prost(string, tag = "1")]
    pub cart_id: String,
    #[prost(int32, tag = "2")]
    pub total: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchRequest {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(int32, tag = "2")]
    pub changes: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Price {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(int64, tag = "2")]
    pub cents: i64,
}

/// What the server has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub adds: Vec<AddRequest>,
    pub watches: Vec<WatchRequest>,
    /// Prices that were told.
    pub prices: u64,
    /// Metadata of each call.
    pub metadata: Vec<MetadataMap>,
    /// Where calls came from.
    pub peers: Vec<SocketAddr>,
}

type Log = Arc<Mutex<Seen>>;

/// Which versions of reflection a shop has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflects {
    None,
    V1,
    V1Alpha,
}

/// A shop on a port of its own, until it is dropped.
pub struct Shop {
    pub address: String,
    pub log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Shop {
    pub fn start() -> Self {
        Self::with(Reflects::None, None, false)
    }

    /// On a Unix socket, or else on a port; through TLS or not.
    pub fn with(reflects: Reflects, socket: Option<&Path>, tls: bool) -> Self {
        let log = Log::default();
        let (stop, mut stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let cart = Cart(Arc::clone(&log));
        let socket = socket.map(Path::to_owned);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let mut builder = Server::builder();
                if tls {
                    let identity = Identity::from_pem(crate::tls::CERTIFICATE, crate::tls::KEY);
                    let config = ServerTlsConfig::new().identity(identity);
                    builder = builder.tls_config(config).unwrap();
                }
                let mut server = builder.add_service(cart);
                server = match reflects {
                    Reflects::None => server,
                    Reflects::V1 => server.add_service(reflection().build_v1().unwrap()),
                    Reflects::V1Alpha => server.add_service(reflection().build_v1alpha().unwrap()),
                };
                if let Some(path) = socket {
                    let listener = tokio::net::UnixListener::bind(&path).unwrap();
                    let incoming =
                        tonic::codegen::tokio_stream::wrappers::UnixListenerStream::new(listener);
                    tell.send(format!("unix:{}", path.display())).unwrap();
                    tokio::select! {
                        served = server.serve_with_incoming(incoming) => served.unwrap(),
                        _ = &mut stopped => {}
                    }
                    return;
                }
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().to_string()).unwrap();
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                tokio::select! {
                    served = server.serve_with_incoming(incoming) => served.unwrap(),
                    _ = &mut stopped => {}
                }
            });
        });
        let address = told.recv().unwrap();
        Self { address, log, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _gone = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    let file = crate::scenarios().join("cart.proto");
    let dir = crate::scenarios();
    let set: FileDescriptorSet = protox::compile([file], [dir]).unwrap();
    tonic_reflection::server::Builder::configure().register_file_descriptor_set(set)
}

#[derive(Clone)]
struct Cart(Log);

impl NamedService for Cart {
    const NAME: &'static str = "shop.v1.Cart";
}

impl<B> Service<http::Request<B>> for Cart
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let cart = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/shop.v1.Cart/Add" => {
                    Grpc::new(ProstCodec::<AddReply, AddRequest>::default())
                        .unary(cart, request)
                        .await
                }
                "/shop.v1.Cart/Watch" => {
                    Grpc::new(ProstCodec::<Price, WatchRequest>::default())
                        .server_streaming(cart, request)
                        .await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

impl Cart {
    fn note<T>(&self, request: &Request<T>) {
        let mut seen = self.0.lock().unwrap();
        seen.metadata.push(request.metadata().clone());
        seen.peers.extend(request.remote_addr());
    }
}

impl UnaryService<AddRequest> for Cart {
    type Response = AddReply;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AddReply>, Status>> + Send>>;

    fn call(&mut self, request: Request<AddRequest>) -> Self::Future {
        self.note(&request);
        let add = request.into_inner();
        let (total, item) = {
            let mut seen = self.0.lock().unwrap();
            seen.adds.push(add.clone());
            (i32::try_from(seen.adds.len()).unwrap(), add.item)
        };
        Box::pin(async move {
            match item.as_str() {
                "slow" => tokio::time::sleep(Duration::from_secs(60)).await,
                "gone" => {
                    let mut status = Status::with_details(
                        Code::NotFound,
                        "no item \u{201c}gone\u{201d}, 100%",
                        b"\x08\x05".as_slice().into(),
                    );
                    status.metadata_mut().insert("x-why", "sold".parse().unwrap());
                    return Err(status);
                }
                _ => {}
            }
            let mut reply = Response::new(AddReply { cart_id: format!("cart-{item}"), total });
            reply.metadata_mut().insert("x-shop", "open".parse().unwrap());
            Ok(reply)
        })
    }
}

impl ServerStreamingService<WatchRequest> for Cart {
    type Response = Price;
    type ResponseStream = ReceiverStream<Result<Price, Status>>;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<WatchRequest>) -> Self::Future {
        self.note(&request);
        let (watch, log) = (request.into_inner(), Arc::clone(&self.0));
        log.lock().unwrap().watches.push(watch.clone());
        Box::pin(async move {
            let (tell, told) = mpsc::channel(1);
            tokio::spawn(async move {
                for change in 1..=i64::from(watch.changes) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let price = Price { item: watch.item.clone(), cents: 100 * change };
                    log.lock().unwrap().prices += 1;
                    if tell.send(Ok(price)).await.is_err() {
                        return;
                    }
                }
                if watch.item == "withdrawn" {
                    let status = Status::aborted("no longer sold");
                    // Nobody may be listening any more.
                    let _heard = tell.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(told)))
        })
    }
}
