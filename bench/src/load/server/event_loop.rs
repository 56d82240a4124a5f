//! What the thread of the server does.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, accept4, bind, listen, setsockopt,
        socket, sockopt,
    },
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};

use super::{Log, Order};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n\
                        hello, world\n";
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
const EVENT: &[u8] = b"d\r\ndata: token\n\n\r\n";
const LAST: &[u8] = b"0\r\n\r\n";

/// The first event of a stream, after its request.
const FIRST: Duration = Duration::from_millis(50);
/// From one event to the next.
const BETWEEN: Duration = Duration::from_millis(10);
/// Events of a stream.
const EVENTS: u32 = 20;

const LISTENER: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// A socket that takes connections on that port; 0: any.
pub(super) fn listening(port: u16) -> TcpListener {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    setsockopt(&fd, sockopt::ReuseAddr, &true).expect("an option that all kernels have");
    // Connections inherit it.
    setsockopt(&fd, sockopt::TcpNoDelay, &true).expect("an option that TCP has");
    let address = SockaddrIn::from(std::net::SocketAddrV4::new([127, 0, 0, 1].into(), port));
    bind(fd.as_raw_fd(), &address).expect("the port is free");
    listen(&fd, Backlog::MAXCONN).expect("it is bound");
    TcpListener::from(fd)
}

/// A stream that goes on at `at`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    connection: u64,
    number: u32,
    asked: Instant,
    before: Instant,
}

/// What it works with.
pub(super) struct Loop {
    epoll: Epoll,
    timer: TimerFd,
    listener: Option<TcpListener>,
    port: u16,
    connections: HashMap<u64, (TcpStream, Vec<u8>)>,
    next: u64,
    streams: BinaryHeap<Reverse<Due>>,
    log: Log,
}

impl Loop {
    /// Nothing has come yet.
    pub(super) fn new(listener: TcpListener, port: u16) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll");
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).expect("a timer");
        let readable = |key| EpollEvent::new(EpollFlags::EPOLLIN, key);
        epoll.add(&listener, readable(LISTENER)).expect("a new descriptor");
        epoll.add(timer.as_fd(), readable(TIMER)).expect("a new descriptor");
        Self {
            epoll,
            timer,
            listener: Some(listener),
            port,
            connections: HashMap::new(),
            next: 0,
            streams: BinaryHeap::new(),
            log: Log::default(),
        }
    }

    /// Serves until it is told to stop.
    pub(super) fn run(
        mut self,
        log: &Mutex<Log>,
        orders: &mpsc::Receiver<Order>,
        stop: &AtomicBool,
    ) {
        let mut events = vec![EpollEvent::empty(); 512];
        let mut shared = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            match orders.try_recv() {
                Ok(Order::Stall(length)) => sleep(length),
                Ok(Order::Away(length)) => {
                    self.go_away();
                    sleep(length);
                    self.come_back();
                }
                Err(_) => {}
            }
            let wait = EpollTimeout::from(5_u8);
            let ready = match self.epoll.wait(&mut events, wait) {
                Ok(ready) => ready,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => panic!("epoll_wait: {error}"),
            };
            for event in &events[..ready] {
                match event.data() {
                    LISTENER => self.accept(),
                    TIMER => self.send_events(),
                    connection => self.serve(connection),
                }
            }
            if shared.elapsed() > Duration::from_millis(50) {
                let mut all = log.lock().unwrap_or_else(PoisonError::into_inner);
                all.requests.append(&mut self.log.requests);
                all.first_events_ms.append(&mut self.log.first_events_ms);
                all.between_ms.append(&mut self.log.between_ms);
                shared = Instant::now();
            }
        }
    }

    fn go_away(&mut self) {
        self.listener = None;
        for (_, (stream, _)) in self.connections.drain() {
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _reset = setsockopt(&stream, sockopt::Linger, &linger);
        }
        self.streams.clear();
    }

    fn come_back(&mut self) {
        let listener = listening(self.port);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
        self.epoll.add(&listener, event).expect("a new descriptor");
        self.listener = Some(listener);
    }

    fn accept(&mut self) {
        let Some(listener) = self.listener.as_ref().map(AsRawFd::as_raw_fd) else { return };
        while let Ok(fd) = accept4(listener, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC) {
            // SAFETY: the kernel has just opened it, for nobody else.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
            let number = self.next;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
            self.epoll.add(&stream, event).expect("a new descriptor");
            self.connections.insert(number, (stream, Vec::new()));
            self.next += 1;
            // After a stall the request is there already, and has waited long enough.
            self.serve(number);
        }
    }

    fn serve(&mut self, number: u64) {
        let Some((stream, partial)) = self.connections.get_mut(&number) else { return };
        let mut buffer = [0; 4096];
        let read = match stream.read(&mut buffer) {
            Ok(read) if read > 0 => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            _ => {
                self.connections.remove(&number);
                return;
            }
        };
        let now = Instant::now();
        let text = if partial.is_empty() {
            &buffer[..read]
        } else {
            partial.extend_from_slice(&buffer[..read]);
            partial.as_slice()
        };
        // Clients send one request without a body, and wait.
        if !text.ends_with(b"\r\n\r\n") {
            if partial.is_empty() {
                partial.extend_from_slice(&buffer[..read]);
            }
            return;
        }
        self.log.requests.push(now);
        let streams = text.starts_with(b"GET /s");
        partial.clear();
        if !streams {
            // Small enough for any socket buffer.
            let _written = stream.write(ANSWER);
            return;
        }
        let _written = stream.write(STREAM);
        let due = Due { at: now + FIRST, connection: number, number: 0, asked: now, before: now };
        self.streams.push(Reverse(due));
        self.arm();
    }

    fn send_events(&mut self) {
        loop {
            let now = Instant::now();
            match self.streams.peek() {
                Some(Reverse(due)) if due.at <= now => {}
                _ => break,
            }
            let Some(Reverse(due)) = self.streams.pop() else { break };
            let Some((stream, _)) = self.connections.get_mut(&due.connection) else { continue };
            let written = stream.write(EVENT);
            if written.is_err() {
                continue;
            }
            let since = |then: Instant| (now - then).as_secs_f64() * 1e3;
            if due.number == 0 {
                self.log.first_events_ms.push(since(due.asked));
            } else {
                self.log.between_ms.push(since(due.before));
            }
            if due.number + 1 == EVENTS {
                let _written = stream.write(LAST);
                continue;
            }
            let next = Due { at: due.at + BETWEEN, number: due.number + 1, before: now, ..due };
            self.streams.push(Reverse(next));
        }
        self.arm();
    }

    /// Sets the timer for the event that is due next.
    fn arm(&mut self) {
        let Some(Reverse(due)) = self.streams.peek() else {
            let _unset = self.timer.unset();
            return;
        };
        let left = due.at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(left.into());
        self.timer.set(expiration, TimerSetTimeFlags::empty()).expect("a time that clocks have");
    }
}
