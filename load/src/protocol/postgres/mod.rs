//! PostgreSQL: the extended query protocol, with the messages of the postgres-protocol crate.
//! <https://www.postgresql.org/docs/current/protocol-flow.html>
//!
//! Not by way of a whole client crate: those ask for results in binary, of which only somebody who
//! knows the type of each column can make text, and keep the times of bytes to themselves.

mod login;
#[cfg(test)]
mod robust_tests;
mod rows;

use std::{collections::HashMap, fmt::Display, rc::Rc, sync::Arc};

use bytes::{BufMut, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    IsNull,
    message::{
        backend::{ErrorResponseBody, Header, Message},
        frontend,
    },
};

pub use login::{connect, log_in};
use rows::{Column, Rows, columns};

use super::wire::{Now, Wire};
use crate::measure::{ErrorKind, Failure};

/// Longest message that is taken for one: a length beyond it is none.
const LONGEST_MESSAGE: usize = 256 << 20;

/// SQLSTATE after which a prepared statement is of no use: the result's columns are others now, or
/// the statement is gone (DISCARD ALL, a pooler in between).
const STALE: [&str; 2] = ["0A000", "26000"];

/// A connection that is logged in.
#[derive(Debug)]
pub struct Connection {
    /// What carries it.
    pub wire: Wire,
    /// By the text of the query.
    statements: HashMap<Arc<str>, Statement>,
    /// How many were named so far.
    named: u64,
    in_transaction: bool,
}

/// A statement that the server has prepared on one connection.
#[derive(Debug, Clone)]
struct Statement {
    name: String,
    columns: Rc<[Column]>,
}

/// A query with its parameters.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The same each time: it is prepared once.
    pub prepared: Option<&'a Arc<str>>,
    /// The query.
    pub text: &'a str,
    /// Values for `$1`, `$2`, …, in text form.
    pub params: &'a [Option<Vec<u8>>],
    /// The rows are looked at.
    pub keep: bool,
    /// Most bytes of rows, as JSON, that are kept.
    pub limit: usize,
}

/// What the server answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The rows as a JSON list of objects, if they were to be kept.
    pub body: Vec<u8>,
    /// What was done: `INSERT 0 1`.
    pub command: String,
    /// Rows that came or were changed.
    pub rows: u64,
}

/// Why there is no reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server said no; the connection is as good as before.
    Answered(Failure),
    /// The connection is of no use any more.
    Broken(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}

/// An error as the server tells it.
struct SqlError {
    state: String,
    text: String,
}

impl SqlError {
    fn read(body: &ErrorResponseBody) -> Self {
        let (mut state, mut message) = (String::new(), String::new());
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => state = text(),
                b'M' => message = text(),
                _ => {}
            }
        }
        Self { text: format!("SQLSTATE {state}: {message}"), state }
    }
}

fn wrong(what: &dyn Display) -> Failure {
    Failure::new(ErrorKind::Protocol, what.to_string())
}

/// The next message, if all of it has come.
fn next_message(input: &mut BytesMut) -> Result<Option<Message>, Failure> {
    if let Some(header) = Header::parse(input).map_err(|e| wrong(&e))? {
        let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
        if length > LONGEST_MESSAGE {
            let tag = char::from(header.tag());
            return Err(wrong(&format!("a message {tag:?} of {length} bytes is none")));
        }
    }
    Message::parse(input).map_err(|e| wrong(&e))
}

impl Connection {
    /// Whether a transaction was begun and has not ended.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Asks, and reads all of the answer.
    ///
    /// # Errors
    /// The server refused, or the connection broke.
    pub async fn ask(&mut self, ask: &Ask<'_>, now: Now<'_>) -> Result<Reply, Refusal> {
        let known = ask.prepared.and_then(|text| self.statements.get(text)).cloned();
        let mut statement = match &known {
            Some(statement) => statement.clone(),
            None => self.new_statement(ask),
        };
        let mut request = BytesMut::new();
        write(&mut request, ask, &statement.name, known.is_none()).map_err(Refusal::Answered)?;
        self.wire.send(&request, now).await?;

        let mut rows = Rows::new(ask.keep, ask.limit);
        let mut reply = Reply::default();
        let mut error: Option<SqlError> = None;
        loop {
            let Some(message) = next_message(&mut self.wire.input)? else {
                if self.wire.fill(now).await? == 0 {
                    // A server that closes a connection says why on it.
                    let failure = match error {
                        Some(error) => Failure::new(ErrorKind::Reset, error.text),
                        None => self.wire.closed_early(),
                    };
                    return Err(failure.into());
                }
                continue;
            };
            match message {
                Message::RowDescription(body) => statement.columns = columns(&body)?,
                Message::DataRow(body) => rows.add(&statement.columns, &body)?,
                Message::CommandComplete(body) => {
                    reply.command = body.tag().map_err(|e| wrong(&e))?.to_owned();
                }
                Message::ErrorResponse(body) => error = Some(SqlError::read(&body)),
                Message::CopyInResponse(_) => {
                    let text = "COPY … FROM STDIN: there is nothing to send it";
                    return Err(Failure::new(ErrorKind::Protocol, text).into());
                }
                Message::ReadyForQuery(body) => {
                    self.in_transaction = body.status() != b'I';
                    break;
                }
                Message::ParseComplete
                | Message::ParameterDescription(_)
                | Message::NoData
                | Message::BindComplete
                | Message::EmptyQueryResponse
                | Message::PortalSuspended
                | Message::CopyOutResponse(_)
                | Message::CopyData(_)
                | Message::CopyDone
                | Message::NoticeResponse(_)
                | Message::NotificationResponse(_)
                | Message::ParameterStatus(_) => {}
                _ => return Err(wrong(&"a message that does not belong into an answer").into()),
            }
        }
        self.settle(ask, statement, error.as_ref());
        if let Some(error) = error {
            return Err(Refusal::Answered(Failure::new(ErrorKind::Status, error.text)));
        }
        reply.rows = reply.command.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        reply.body = rows.finish().map_err(Refusal::Answered)?;
        Ok(reply)
    }

    fn new_statement(&mut self, ask: &Ask<'_>) -> Statement {
        let name = match ask.prepared {
            None => String::new(),
            Some(_) => {
                self.named += 1;
                format!("faultload-{}", self.named)
            }
        };
        Statement { name, columns: Rc::new([]) }
    }

    /// Remembers a statement that worked, and forgets one that will not any more.
    fn settle(&mut self, ask: &Ask<'_>, statement: Statement, error: Option<&SqlError>) {
        let Some(text) = ask.prepared else { return };
        match error {
            None => {
                if !self.statements.contains_key(text) {
                    self.statements.insert(Arc::clone(text), statement);
                }
            }
            Some(error) if STALE.contains(&error.state.as_str()) => {
                self.statements.remove(text);
            }
            Some(_) => {}
        }
    }
}

/// Appends what asks for `ask` in one flight.
fn write(out: &mut BytesMut, ask: &Ask<'_>, name: &str, parse: bool) -> Result<(), Failure> {
    let failed = |e: &dyn Display| Failure::new(ErrorKind::Template, e.to_string());
    if parse {
        frontend::parse(name, ask.text, [], out).map_err(|e| failed(&e))?;
        frontend::describe(b'S', name, out).map_err(|e| failed(&e))?;
    }
    let value = |param: &Option<Vec<u8>>, out: &mut BytesMut| {
        let Some(text) = param else { return Ok(IsNull::Yes) };
        out.put_slice(text);
        Ok(IsNull::No)
    };
    // No formats: everything is text.
    frontend::bind("", name, [], ask.params, value, [], out).map_err(|e| match e {
        frontend::BindError::Conversion(e) => failed(&e),
        frontend::BindError::Serialization(e) => failed(&e),
    })?;
    frontend::execute("", 0, out).map_err(|e| failed(&e))?;
    frontend::sync(out);
    Ok(())
}
