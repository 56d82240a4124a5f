//! The two streams of a probe.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use hdrhistogram::Histogram;
use tokio::{sync::watch, task::JoinSet};

use super::{Outages, Probed, StartError};
use crate::{
    engine::{Clock, Epoch, Timer},
    measure::{ErrorKind, Failure, growing, record},
    plan::{HttpVersion, ProbePlan, StatusRange, TlsFiles},
    protocol::{
        http1::{Connection, Parser, Sink, write_request},
        net::Endpoint,
    },
    schedule::{SECOND, nanos},
    summary::{Latency, ProbeStream},
    template::Vars,
};

/// Most failed probes whose times are kept.
const MOST_FAILED: usize = 500_000;

/// What both streams ask, made ready.
#[derive(Debug)]
pub struct Setup {
    endpoint: Endpoint,
    request: Vec<u8>,
    head_only: bool,
    expect: Vec<StatusRange>,
    every: u64,
    timeout: u64,
}

impl Setup {
    /// Makes `plan` ready, with the TLS of the run.
    ///
    /// # Errors
    /// The target has no address, or the request needs variables.
    pub fn new(plan: &ProbePlan, tls: &TlsFiles) -> Result<Self, StartError> {
        let request = &plan.request;
        let http2 = request.version == HttpVersion::Http2;
        let endpoint = Endpoint::resolve(&request.target, request.scheme, http2, tls)?;
        let (mut bytes, mut body) = (Vec::new(), Vec::new());
        write_request(request, &mut Vars::new(0, 0), &mut bytes, &mut body)?;
        Ok(Self {
            endpoint,
            request: bytes,
            head_only: request.method == "HEAD",
            expect: request.expect.clone(),
            every: nanos(plan.every).max(1),
            timeout: nanos(plan.timeout),
        })
    }
}

/// What one stream has seen.
#[derive(Debug)]
pub struct Seen {
    /// When its first probe was due.
    first: u64,
    sent: u64,
    ok: u64,
    /// From due to answered.
    latency: Histogram<u64>,
    /// Its outages.
    pub outages: Outages,
    /// Answered and not, by the second in which they were due.
    pub seconds: Vec<(u32, u32)>,
    /// When those that failed were due.
    failed: Vec<u64>,
}

impl Seen {
    fn new(first: u64) -> Self {
        Self {
            first,
            sent: 0,
            ok: 0,
            latency: growing(),
            outages: Outages::default(),
            seconds: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn add(&mut self, probed: Probed) {
        self.sent += 1;
        let second = usize::try_from(probed.due / SECOND).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, (0, 0));
        }
        let counts = &mut self.seconds[second];
        if probed.ok {
            self.ok += 1;
            counts.0 += 1;
            record(&mut self.latency, probed.end.saturating_sub(probed.due));
        } else {
            counts.1 += 1;
            if self.failed.len() < MOST_FAILED {
                self.failed.push(probed.due);
            }
        }
        self.outages.add(probed);
    }

    /// Probes that were due in a stretch of time.
    pub(super) fn due_within(&self, start: u64, end: u64, every: u64) -> u64 {
        let before = |time: u64| time.saturating_sub(self.first).div_ceil(every).min(self.sent);
        before(end).saturating_sub(before(start))
    }

    /// Those of them that failed.
    pub(super) fn failed_within(&self, start: u64, end: u64) -> u64 {
        let before = |time: u64| self.failed.partition_point(|&due| due < time);
        (before(end) - before(start)) as u64
    }

    pub(super) fn summary(&self) -> ProbeStream {
        let (longest, total) = self.outages.lengths();
        ProbeStream {
            sent: self.sent,
            ok: self.ok,
            availability_ratio: (self.sent > 0).then(|| self.ok as f64 / self.sent as f64),
            longest_outage_s: longest as f64 / 1e9,
            downtime_s: total as f64 / 1e9,
            outages: self.outages.list(),
            latency: Latency::of(&self.latency),
        }
    }
}

/// Results in the order in which probes were due, whatever order they end in.
struct Order {
    seen: Seen,
    /// Number of the first probe in `waiting`.
    next: u64,
    waiting: VecDeque<Option<Probed>>,
}

impl Order {
    fn ended(&mut self, number: u64, probed: Probed) {
        let at = usize::try_from(number - self.next).unwrap_or(usize::MAX);
        if self.waiting.len() <= at {
            self.waiting.resize(at + 1, None);
        }
        self.waiting[at] = Some(probed);
        while let Some(Some(probed)) = self.waiting.front().copied() {
            self.waiting.pop_front();
            self.next += 1;
            self.seen.add(probed);
        }
    }
}

/// What the probes of one stream share.
struct Stream {
    setup: Arc<Setup>,
    clock: Rc<Clock>,
    /// Connections that are not in use, if they are kept.
    idle: Option<RefCell<Vec<Connection>>>,
    open: Rc<Cell<u64>>,
    order: RefCell<Order>,
}

/// Runs both streams until they are stopped.
pub(super) async fn both(
    setup: Arc<Setup>,
    epoch: Epoch,
    stop: watch::Receiver<bool>,
) -> io::Result<(Seen, Seen)> {
    let clock = Rc::new(Clock::new(epoch)?);
    let running = Rc::clone(&clock);
    let ticking = tokio::task::spawn_local(async move { running.run().await });
    let stream = |pooled: bool| {
        // Half an interval apart, so that together they look twice as often.
        let first = if pooled { setup.every / 2 } else { 0 };
        let order = Order { seen: Seen::new(first), next: 0, waiting: VecDeque::new() };
        Rc::new(Stream {
            setup: Arc::clone(&setup),
            clock: Rc::clone(&clock),
            idle: pooled.then(RefCell::default),
            open: Rc::default(),
            order: RefCell::new(order),
        })
    };
    let (fresh, pooled) = (stream(false), stream(true));
    let again = stop.clone();
    tokio::join!(Rc::clone(&fresh).run(stop), Rc::clone(&pooled).run(again));
    ticking.abort();
    let seen = |stream: &Stream| {
        let first = stream.order.borrow().seen.first;
        std::mem::replace(&mut stream.order.borrow_mut().seen, Seen::new(first))
    };
    Ok((seen(&fresh), seen(&pooled)))
}

/// A body that nobody looks at.
struct Nowhere;

impl Sink for Nowhere {
    fn body(&mut self, _: &[u8]) {}
}

impl Stream {
    async fn run(self: Rc<Self>, mut stop: watch::Receiver<bool>) {
        let timer = Rc::new(Timer::default());
        let mut probes = JoinSet::new();
        let first = self.order.borrow().seen.first;
        let mut number = 0;
        loop {
            let due = first + number * self.setup.every;
            tokio::select! {
                () = self.clock.sleep(&timer, due) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let stream = Rc::clone(&self);
            probes.spawn_local(async move { stream.probe(number, due).await });
            while probes.try_join_next().is_some() {}
            number += 1;
        }
        while probes.join_next().await.is_some() {}
    }

    async fn probe(&self, number: u64, due: u64) {
        let timer = Rc::new(Timer::default());
        self.clock.set(&timer, due.saturating_add(self.setup.timeout));
        let answered = {
            let mut ask = pin!(self.ask());
            poll_fn(|cx| match ask.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if timer.poll(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        let end = self.clock.now();
        let ok = matches!(answered, Some(Ok(())));
        self.order.borrow_mut().ended(number, Probed { due, end, ok });
    }

    async fn ask(&self) -> Result<(), Failure> {
        let mut connection = self.connection().await?;
        let mut parser = Parser::new(self.setup.head_only, false);
        connection.send(&self.setup.request).await.map_err(|e| Failure::broken(&e))?;
        let now = || self.clock.now();
        let read = connection.receive(&mut parser, &mut Nowhere, now, |_, _| {}).await;
        read.map_err(|broken| broken.failure)?;
        let status = parser.status();
        if let Some(idle) = &self.idle
            && parser.keeps_alive()
        {
            idle.borrow_mut().push(connection);
        }
        if self.setup.expect.iter().any(|range| range.contains(&status)) {
            Ok(())
        } else {
            Err(Failure::new(ErrorKind::Status, format!("status {status}")))
        }
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        if let Some(idle) = &self.idle {
            // Bound to a name, or the borrow would outlive the loop's condition.
            let mut next = idle.borrow_mut().pop();
            while let Some(mut connection) = next {
                if connection.is_open().await? {
                    return Ok(connection);
                }
                next = idle.borrow_mut().pop();
            }
        }
        let stream = self.setup.endpoint.connect().await?;
        Ok(Connection::new(stream, &self.open))
    }
}
