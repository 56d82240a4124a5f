//! A small HTTP server around a function, a thread a connection.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use nix::sys::socket::{setsockopt, sockopt::Linger};

/// A request.
#[derive(Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// All of the head.
    pub head: String,
    pub body: String,
}

/// What the server does with it.
#[derive(Debug)]
pub enum Reply {
    /// Answers with a status and a body.
    Answer(u16, String),
    /// Breaks the connection.
    Reset,
    /// Says nothing, until the client has had enough.
    Hang,
}

type Answering = dyn Fn(&Asked) -> Reply + Send + Sync;

/// Those that are open, by number; whoever ends one takes it out, so that it is really closed.
type Connections = Arc<Mutex<HashMap<usize, TcpStream>>>;

/// A server on a port of its own, until it is dropped.
pub struct Server {
    pub port: u16,
    over: Arc<AtomicBool>,
    connections: Connections,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (over, connections) = (Arc::<AtomicBool>::default(), Connections::default());
        let (ending, held) = (Arc::clone(&over), Arc::clone(&connections));
        let answer: Arc<Answering> = Arc::new(answer);
        let thread = thread::spawn(move || {
            let mut threads = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                if ending.load(Ordering::Acquire) {
                    break;
                }
                let stream = stream.unwrap();
                held.lock().unwrap().insert(number, stream.try_clone().unwrap());
                let (answer, held) = (Arc::clone(&answer), Arc::clone(&held));
                threads.push(thread::spawn(move || {
                    // A client that goes away is none of the server's errors.
                    drop(serve(&stream, &*answer));
                    held.lock().unwrap().remove(&number);
                }));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { port, over, connections, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // The accepting thread looks up when somebody comes.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        for connection in self.connections.lock().unwrap().values() {
            drop(connection.shutdown(Shutdown::Both));
        }
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Reads a request at the start of `text`, once it is complete.
fn parse(text: &mut Vec<u8>) -> Option<Asked> {
    let head_length = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(text[..head_length].to_vec()).unwrap();
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    if text.len() < head_length + length {
        return None;
    }
    let body = String::from_utf8(text[head_length..head_length + length].to_vec()).unwrap();
    text.drain(..head_length + length);
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    Some(Asked { method, path, head, body })
}

fn serve(mut stream: &TcpStream, answer: &Answering) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut text, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let Some(asked) = parse(&mut text) else {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            text.extend_from_slice(&buffer[..read]);
            continue;
        };
        match answer(&asked) {
            Reply::Answer(status, body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all(format!("{head}{body}").as_bytes())?;
            }
            Reply::Reset => {
                let linger = libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(stream, Linger, &linger)?;
                return Ok(());
            }
            Reply::Hang => {
                let _gone = stream.read(&mut buffer)?;
                return Ok(());
            }
        }
    }
}
