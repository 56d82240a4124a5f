//! A service that keeps orders: `PUT /orders/ID` acknowledges one, `GET /orders/ID` says how many
//! there are of it. In memory, so that a kill loses them, or in its log, so that none is lost.

use std::{
    collections::HashMap,
    env,
    fs::{File, OpenOptions, read_to_string},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio, id},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{sys::prctl, sys::signal::Signal};

use crate::eventually;

const PORT: &str = "FAULTD_STORE_PORT";
const LOG: &str = "FAULTD_STORE_LOG";
const DURABLE: &str = "FAULTD_STORE_DURABLE";

/// From its death to its next life.
const AWAY: Duration = Duration::from_millis(400);

/// The service in a process of its own, with somebody who starts it again when it has died. It
/// ends with the test.
pub struct Store {
    port: u16,
    log: PathBuf,
    tag: String,
    over: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts it in the namespace of the calling thread: `helper` names the ignored test of this
    /// executable that calls [`serve`].
    ///
    /// # Panics
    /// When it does not listen in time.
    #[track_caller]
    pub fn start(helper: &str, dir: &Path, durable: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let log = dir.join("store.log");
        File::create(&log).expect("its log");
        // libtest skips what does not exist: a mark on the command line that harms nobody.
        let tag = format!("store-{}-{port}", id());
        let over = Arc::<AtomicBool>::default();
        let (ended, helper, mark, path) =
            (Arc::clone(&over), helper.to_owned(), tag.clone(), log.clone());
        let keeper = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let mut child = spawn(&helper, &mark, port, &path, durable);
                while !ended.load(Ordering::Relaxed) && matches!(child.try_wait(), Ok(None)) {
                    thread::sleep(Duration::from_millis(20));
                }
                // It is ours, and may be gone already.
                let _ = child.kill();
                let _ = child.wait();
                if !ended.load(Ordering::Relaxed) {
                    thread::sleep(AWAY);
                }
            }
        });
        let store = Self { port, log, tag, over, keeper: Some(keeper) };
        eventually(Duration::from_secs(10), "the store listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        store
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What its command line has and no other has.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Orders that it wrote to its log before it acknowledged them: process and key.
    ///
    /// # Panics
    /// When its log is gone.
    #[track_caller]
    pub fn log(&self) -> Vec<(u32, String)> {
        entries(&self.log)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn spawn(helper: &str, tag: &str, port: u16, log: &Path, durable: bool) -> Child {
    let exe = env::current_exe().expect("the path of this executable");
    Command::new(exe)
        .args(["--ignored", "--exact", helper, "--nocapture", "--skip", tag])
        .env(PORT, port.to_string())
        .env(LOG, log)
        .env(DURABLE, durable.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("the store starts")
}

fn entries(log: &Path) -> Vec<(u32, String)> {
    let text = read_to_string(log).expect("the log of the store");
    let entry = |line: &str| {
        let (pid, key) = line.split_once(' ')?;
        Some((pid.parse().ok()?, key.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

type Orders = Arc<Mutex<HashMap<String, u64>>>;

/// What the process of the service does, until it is killed or its test has ended.
///
/// # Panics
/// When its environment does not say where it listens.
pub fn serve() {
    // The thread that started it may end; the death of the whole test is what counts, and the
    // test's process is what `Store` waits for too.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let text = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let log = PathBuf::from(text(LOG));
    let orders = Orders::default();
    if text(DURABLE) == "true" {
        for (_, key) in entries(&log) {
            add(&orders, &key);
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", text(PORT).parse().expect("a port")));
    for stream in listener.expect("the port is free").incoming().flatten() {
        let (orders, log) = (Arc::clone(&orders), log.clone());
        thread::spawn(move || connection(&stream, &orders, &log));
    }
}

fn add(orders: &Orders, key: &str) {
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    *orders.entry(key.to_owned()).or_default() += 1;
}

/// One request after the other; ends when the client does.
fn connection(stream: &TcpStream, orders: &Orders, log: &Path) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let length = skip_headers(&mut reader)?;
        reader.read_exact(&mut vec![0; length]).ok()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let body = match (method, path.strip_prefix("/orders/")) {
            ("PUT", Some(key)) => {
                // One write, so that lines stay whole.
                let mut file = OpenOptions::new().append(true).open(log).ok()?;
                file.write_all(format!("{} {key}\n", id()).as_bytes()).ok()?;
                add(orders, key);
                "{}".to_owned()
            }
            (_, Some(key)) => {
                let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
                format!("{{\"count\":{}}}", orders.get(key).copied().unwrap_or(0))
            }
            _ => "{}".to_owned(),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = stream;
        stream.write_all(head.as_bytes()).ok()?;
    }
}

/// Reads up to the end of a head; the length of the body.
fn skip_headers(reader: &mut BufReader<&TcpStream>) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            return Some(length);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
}
