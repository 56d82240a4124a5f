//! A plain HTTP/1.1 client over the Unix socket, so that the API is judged by
//! what is on the wire.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

use crate::slowly;

/// One connection, kept alive between requests.
pub struct Http {
    stream: BufReader<UnixStream>,
}

/// A response, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("not JSON: {e}\n{} {}", self.status, self.body))
    }
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(slowly(Duration::from_secs(20))))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request, with a JSON body if there is one, and reads the response.
    ///
    /// # Errors
    /// When the connection breaks, or what comes back is no HTTP.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> io::Result<Response> {
        self.send(method, path, body)?;
        let (status, headers) = self.head()?;
        let mut response = Response { status, headers, body: String::new() };
        let mut bytes = Vec::new();
        if response.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            while let Some(chunk) = self.chunk()? {
                bytes.extend(chunk);
            }
        } else if let Some(length) = response.header("content-length") {
            bytes.resize(length.parse().map_err(io::Error::other)?, 0);
            self.stream.read_exact(&mut bytes)?;
        } else if status != 204 {
            self.stream.read_to_end(&mut bytes)?;
        }
        response.body = String::from_utf8(bytes).map_err(io::Error::other)?;
        Ok(response)
    }

    /// Sends a request and returns the response's status once its head is
    /// there; the body is then read line by line.
    ///
    /// # Errors
    /// As [`Http::request`].
    pub fn stream(mut self, path: &str) -> io::Result<(u16, Lines)> {
        self.send("GET", path, "")?;
        let (status, _) = self.head()?;
        Ok((status, Lines { http: self, buffered: String::new() }))
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if !body.is_empty() {
            text +=
                &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        self.stream.get_mut().write_all(text.as_bytes())
    }

    fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let line = self.read_line()?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok((status, headers))
    }

    fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line()?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok((length > 0).then_some(bytes))
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// The lines of a chunked body that may never end.
pub struct Lines {
    http: Http,
    buffered: String,
}

impl Iterator for Lines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((line, rest)) = self.buffered.split_once('\n') {
                let line = line.trim_end().to_owned();
                self.buffered = rest.to_owned();
                return Some(Ok(line));
            }
            match self.http.chunk() {
                Ok(Some(bytes)) => self.buffered += &String::from_utf8_lossy(&bytes),
                Ok(None) => return None,
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// One request on a connection of its own.
///
/// # Panics
/// When there is no answer.
#[track_caller]
pub fn request(socket: &Path, method: &str, path: &str, body: &str) -> Response {
    Http::connect(socket)
        .and_then(|mut http| http.request(method, path, body))
        .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
}
