//! A server that does what the path of a request asks for, and logs what it saw.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

/// One request that the server has read.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path.
    pub line: String,
    /// When it was complete.
    pub at: Instant,
    /// The number of its connection.
    pub connection: usize,
    /// All of it.
    pub text: String,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// A server on a port of its own, until it is dropped.
pub struct Server {
    pub port: u16,
    log: Log,
    stalled: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    pub fn start() -> Self {
        Self::on(0)
    }

    /// On that port; 0: any.
    pub fn on(port: u16) -> Self {
        let log = Log::default();
        let (stalled, stall) = watch::channel(false);
        let (stop, mut stopped) = oneshot::channel();
        let (tell, port_told) = std::sync::mpsc::channel();
        let seen = Arc::clone(&log);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                socket.bind(([127, 0, 0, 1], port).into()).unwrap();
                let listener = socket.listen(1024).unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                tokio::select! {
                    () = accept(&listener, &seen, &stall) => {}
                    _ = &mut stopped => {}
                }
            });
            // The runtime takes all connections with it.
        });
        let port = port_told.recv().unwrap();
        Self { port, log, stalled, stop: Some(stop), thread: Some(thread) }
    }

    /// Nothing is answered while it is stalled.
    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub fn log(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn accept(listener: &TcpListener, log: &Log, stall: &watch::Receiver<bool>) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve(stream, connection, Arc::clone(log), stall.clone()));
    }
}

/// Reads requests and answers them; ends when either side has had enough.
async fn serve(
    mut stream: TcpStream,
    connection: usize,
    log: Log,
    mut stall: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut answered = 0;
    loop {
        let Some(length) = complete(&text) else {
            if stream.read_buf(&mut text).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let request: Vec<u8> = text.drain(..length).collect();
        let request = String::from_utf8(request).unwrap();
        let line = request.lines().next().unwrap_or_default();
        let line = line.trim_end_matches(" HTTP/1.1").to_owned();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let at = Instant::now();
        log.lock().unwrap().push(Seen { line: line.clone(), at, connection, text: request });
        // What it returns holds a lock: not beyond this line.
        let _going_on = stall.wait_for(|stalled| !stalled).await.is_ok();
        answered += 1;
        if !answer(&mut stream, &path, answered).await? {
            return Ok(());
        }
    }
}

/// The length of the request at the start of `text`, if all of it is there.
fn complete(text: &[u8]) -> Option<usize> {
    let head = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let lower = String::from_utf8_lossy(&text[..head]).to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    (text.len() >= head + length).then_some(head + length)
}

/// Does what `path` asks for; returns whether the connection stays.
async fn answer(stream: &mut TcpStream, path: &str, answered: u32) -> std::io::Result<bool> {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let text = match path {
        "/truncate" => "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        "/longer" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more",
        "/chunked" => {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
        }
        "/half-chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        "/until-close" => "HTTP/1.1 200 OK\r\n\r\nhello",
        "/close" => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "/no-content" => "HTTP/1.1 204 No Content\r\n\r\n",
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        "/continue" => {
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        }
        "/unavailable" => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nhello",
        "/garbage" => "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "/token" => {
            "HTTP/1.1 200 OK\r\nX-Token: t1\r\nContent-Length: 14\r\n\r\n{\"token\":\"t2\"}"
        }
        "/hang" => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return Ok(false);
        }
        "/reset" => {
            stream.set_zero_linger()?;
            return Ok(false);
        }
        // Keeps connections for one answer, and says nothing of it.
        "/one-each" if answered == 1 => {
            stream.write_all(ok.as_bytes()).await?;
            return Ok(false);
        }
        "/pieces" => {
            for piece in ok.as_bytes().chunks(7) {
                stream.write_all(piece).await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            return Ok(true);
        }
        "/events" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            for number in 0..5 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(format!("data: {number}\n\n").as_bytes()).await?;
            }
            stream.write_all(b"data: [DONE]\n\n").await?;
            return Ok(false);
        }
        _ => ok,
    };
    stream.write_all(text.as_bytes()).await?;
    Ok(!matches!(path, "/truncate" | "/half-chunked" | "/until-close" | "/close" | "/garbage"))
}
