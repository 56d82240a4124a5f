use std::{os::unix::net::UnixListener, path::PathBuf, thread};

use super::*;

/// A return of `reply_to` with a body, preceded by fields as systemd sends
/// them.
fn answer(kind: u8, reply_to: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(reply_to.to_le_bytes());
    fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap()]);
    fields.extend(signature.as_bytes());
    fields.push(0);
    let mut message = vec![b'l', kind, 1, 1];
    message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(77_u32.to_le_bytes());
    message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

fn text(text: &str) -> Vec<u8> {
    let mut out = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
    out.extend(text.as_bytes());
    out.push(0);
    out
}

fn variant(held: &str) -> Vec<u8> {
    let mut out = vec![1, b's', 0, 0];
    out.extend(text(held));
    out
}

/// Plays systemd: greets, then gives `answers`, one for each call. Returns
/// what it was sent.
fn manager(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, PathBuf, thread::JoinHandle<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("private");
    let listener = UnixListener::bind(&socket).unwrap();
    let played = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        let mut hear = |stream: &mut UnixStream, until: &dyn Fn(&[u8]) -> bool| {
            let from = heard.len();
            while !until(&heard[from..]) {
                let mut chunk = [0; 1024];
                match stream.read(&mut chunk).unwrap() {
                    0 => return false,
                    n => heard.extend(&chunk[..n]),
                }
            }
            true
        };
        hear(&mut stream, &|text| text.ends_with(b"\r\n"));
        stream.write_all(b"OK 0123456789abcdef\r\n").unwrap();
        for (at, answer) in answers.into_iter().enumerate() {
            // The first call comes with the word that begins the conversation.
            let begins = if at == 0 { b"BEGIN\r\n".len() } else { 0 };
            let whole = |bytes: &[u8]| {
                let head = bytes.get(begins..begins + message::HEAD);
                let head = head.map(|head| <[u8; message::HEAD]>::try_from(head).unwrap());
                let rest = head.and_then(|head| message::rest(&head));
                rest.is_some_and(|rest| bytes.len() >= begins + message::HEAD + rest)
            };
            if !hear(&mut stream, &whole) {
                break;
            }
            stream.write_all(&answer).unwrap();
        }
        heard
    });
    (dir, socket, played)
}

fn has(heard: &[u8], words: &str) -> bool {
    heard.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn the_group_of_a_unit() {
    let path = "/org/freedesktop/systemd1/unit/ssh_2eservice";
    let signal = answer(4, 9, "s", &text("JobNew"));
    let mut first = signal;
    first.extend(answer(2, 1, "o", &text(path)));
    let second = answer(2, 2, "v", &variant("/system.slice/ssh.service"));
    let (_dir, socket, played) = manager(vec![first, second]);
    let group = control_group_at(&socket, "sshd.service").unwrap();
    assert_eq!(group.as_deref(), Some("/system.slice/ssh.service"));
    let heard = played.join().unwrap();
    let interface = "org.freedesktop.systemd1.Service";
    for words in ["AUTH EXTERNAL ", "GetUnit", "sshd.service", path, interface, "ControlGroup"] {
        assert!(has(&heard, words), "{words} was not sent");
    }
}

#[test]
fn no_such_unit_and_one_that_does_not_run() {
    let (_dir, socket, played) = manager(vec![answer(3, 1, "s", &text("Unit x not loaded."))]);
    assert_eq!(control_group_at(&socket, "x.service").unwrap(), None);
    played.join().unwrap();
    let path = answer(2, 1, "o", &text("/org/freedesktop/systemd1/unit/x"));
    let (_dir, socket, played) = manager(vec![path, answer(2, 2, "v", &variant(""))]);
    assert_eq!(control_group_at(&socket, "x.slice").unwrap(), None);
    played.join().unwrap();
}

#[test]
fn nobody_there_and_types_without_processes() {
    assert_eq!(control_group_at(Path::new("/no/such/socket"), "x.service").unwrap(), None);
    assert_eq!(control_group_at(Path::new("/no/such/socket"), "x.timer").unwrap(), None);
}

#[test]
fn one_that_hangs_is_waited_for_only_so_long() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("private");
    let _listener = UnixListener::bind(&socket).unwrap();
    let start = Instant::now();
    assert!(control_group_at(&socket, "x.service").is_err());
    assert!(start.elapsed() < PATIENCE * 10);
}

#[test]
fn other_bytes_are_refused() {
    let head = |bytes: [u8; 16]| message::rest(&bytes);
    assert_eq!(head([b'x'; 16]), None);
    assert_eq!(head([0; 16]), None);
    let mut long = [0xff; 16];
    long[0] = b'l';
    assert!(head(long).is_none_or(|n| n > LONGEST));
    let whole = answer(2, 1, "o", &text("/a"));
    let (first, rest) = whole.split_at(message::HEAD);
    let first: [u8; message::HEAD] = first.try_into().unwrap();
    assert_eq!(Message::parse(&first, rest).and_then(|m| m.text()).as_deref(), Some("/a"));
    // Cut anywhere, it is none.
    for n in 0..rest.len() {
        let cut = Message::parse(&first, &rest[..n]);
        assert!(cut.and_then(|m| m.text()).is_none(), "{n} bytes were enough");
    }
}
