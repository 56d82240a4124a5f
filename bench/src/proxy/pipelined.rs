//! A proxy that does nothing but delay, with nothing in its way: plain threads, large buffers that
//! are used again, and a queue, so that it reads on while a chunk waits. Proxies that people use
//! do more and are slower.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

const CHUNK: usize = 256 * 1024;
/// Chunks that wait at the most, so that a slow reader pushes back.
const QUEUE: usize = 256;

/// A chunk, and when it is due.
struct Held {
    due: Instant,
    bytes: Vec<u8>,
    length: usize,
}

/// Serves until the process is killed.
pub fn serve(listen: SocketAddr, upstream: SocketAddr, delay: Duration) -> Result<ExitCode> {
    for client in TcpListener::bind(listen)?.incoming() {
        let (client, server) = (client?, TcpStream::connect(upstream)?);
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        // A connection that ends is no error of the proxy's.
        thread::spawn(move || io::copy(&mut from_client, &mut to_server));
        let (send, held) = sync_channel(QUEUE);
        let (give_back, buffers) = channel();
        thread::spawn(move || write(client, &held, &give_back));
        thread::spawn(move || -> Option<()> {
            let mut server = server;
            loop {
                let mut bytes = buffers.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
                let length = server.read(&mut bytes).ok().filter(|length| *length > 0)?;
                send.send(Held { due: Instant::now() + delay, bytes, length }).ok()?;
            }
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn write(mut client: TcpStream, held: &Receiver<Held>, give_back: &Sender<Vec<u8>>) {
    for Held { due, bytes, length } in held {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if client.write_all(&bytes[..length]).is_err() {
            return;
        }
        // The reader may be gone already.
        let _ = give_back.send(bytes);
    }
}
