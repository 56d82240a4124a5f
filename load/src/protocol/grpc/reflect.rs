//! Asks a server what it serves: server reflection
//! (<https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>), version v1, or v1alpha
//! where there is no v1.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, prost_types::FileDescriptorProto};

use super::{Keep, Messages, exchange, frame::framed, schema, status};
use crate::{
    measure::{ErrorKind, Failure},
    protocol::http2::{self, Connection},
};

/// Longest answer that is taken; descriptions of large services have megabytes.
const LONGEST: usize = 64 << 20;

/// The two versions are the same but for their names.
const SERVICES: [&str; 2] = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];

/// A server does not say what it serves.
#[derive(Debug, thiserror::Error)]
pub enum ReflectError {
    /// It gave no answer.
    #[error("the server does not answer: {0}")]
    Failed(#[from] Failure),
    /// It has no reflection.
    #[error(
        "the server has no reflection ({0}): switch it on there, or name the .proto files (`proto`)"
    )]
    None(String),
    /// It does not have what was asked for.
    #[error("{0}")]
    Unknown(String),
    /// What it said cannot be used.
    #[error("what the server says of itself is wrong: {0}")]
    Wrong(String),
}

#[derive(Clone, PartialEq, Message)]
struct Ask {
    #[prost(oneof = "Question", tags = "3, 4, 7")]
    question: Option<Question>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Question {
    #[prost(string, tag = "3")]
    File(String),
    #[prost(string, tag = "4")]
    Symbol(String),
    #[prost(string, tag = "7")]
    Services(String),
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(message, optional, tag = "4")]
    files: Option<Files>,
    #[prost(message, optional, tag = "6")]
    services: Option<Services>,
    #[prost(message, optional, tag = "7")]
    error: Option<Refusal>,
}

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    protos: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    list: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(string, tag = "2")]
    message: String,
}

/// A server that is being asked.
#[derive(Debug)]
pub struct Reflection<'a> {
    /// The way to it.
    pub connection: &'a Connection,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// What goes into `:authority`.
    pub authority: String,
    /// Sent along with each question.
    pub metadata: Vec<(String, Vec<u8>)>,
}

impl Reflection<'_> {
    /// All that has to be known to call the methods of `service`.
    ///
    /// # Errors
    /// There is no reflection or no such service, or no answer.
    pub async fn service(&self, service: &str) -> Result<DescriptorPool, ReflectError> {
        let mut version = 0;
        let question = || Question::Symbol(service.to_owned());
        let told = match self.ask(version, question()).await {
            Err(ReflectError::None(_)) => {
                version = 1;
                self.ask(version, question()).await
            }
            told => told,
        };
        let told = match told {
            Err(ReflectError::Unknown(text)) => {
                let Ok(told) = self.ask(version, Question::Services(String::new())).await else {
                    return Err(ReflectError::Unknown(text));
                };
                let list = told.services.unwrap_or_default().list;
                let known: Vec<String> = list.into_iter().map(|named| named.name).collect();
                return Err(ReflectError::Unknown(schema::no_service(service, &known)));
            }
            told => told?,
        };
        let mut files = BTreeMap::new();
        let mut missing = added(&mut files, told)?;
        while let Some(name) = missing.pop() {
            if files.contains_key(&name) {
                continue;
            }
            match self.ask(version, Question::File(name.clone())).await {
                Ok(told) => missing.extend(added(&mut files, told)?),
                // Servers may leave out what everybody has.
                Err(error) => match well_known(&name) {
                    Some(file) => {
                        missing.extend(file.dependency.iter().cloned());
                        files.insert(name, file);
                    }
                    None => return Err(error),
                },
            }
        }
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(files.into_values())
            .map_err(|e| ReflectError::Wrong(e.to_string()))?;
        Ok(pool)
    }

    /// One question, on a stream of its own.
    async fn ask(&self, version: usize, question: Question) -> Result<Told, ReflectError> {
        let path = format!("/{}.ServerReflection/ServerReflectionInfo", SERVICES[version]);
        let mut headers = vec![
            ("te".to_owned(), b"trailers".to_vec()),
            ("content-type".to_owned(), b"application/grpc".to_vec()),
        ];
        headers.extend(self.metadata.iter().cloned());
        let path = path.as_bytes();
        let head = http2::head("POST", self.scheme, &self.authority, path, &headers)?;
        let body = framed(&Ask { question: Some(question) }.encode_to_vec());
        let mut messages = Messages::new(Keep::Last, LONGEST, false);
        let reply = exchange(self.connection, head, body, &mut messages, || 0).await?;
        match reply.status {
            status::OK => {}
            status::NOT_FOUND => return Err(ReflectError::Unknown(reply.text())),
            status::UNIMPLEMENTED => return Err(ReflectError::None(reply.text())),
            _ => return Err(Failure::new(ErrorKind::Status, reply.text()).into()),
        }
        let message = messages.kept().first();
        let message = message.ok_or_else(|| ReflectError::Wrong("an empty answer".to_owned()))?;
        let told = Told::decode(message.clone()).map_err(|e| ReflectError::Wrong(e.to_string()))?;
        match told.error {
            Some(refusal) => Err(ReflectError::Unknown(refusal.message)),
            None => Ok(told),
        }
    }
}

/// Adds the files that were told of; returns the names of those that they import.
fn added(
    files: &mut BTreeMap<String, FileDescriptorProto>,
    told: Told,
) -> Result<Vec<String>, ReflectError> {
    let mut imports = Vec::new();
    for bytes in told.files.unwrap_or_default().protos {
        let file = FileDescriptorProto::decode(bytes);
        let file = file.map_err(|e| ReflectError::Wrong(e.to_string()))?;
        imports.extend(file.dependency.iter().cloned());
        files.insert(file.name().to_owned(), file);
    }
    Ok(imports)
}

/// A file that comes with Protocol Buffers.
fn well_known(name: &str) -> Option<FileDescriptorProto> {
    let file = DescriptorPool::global().get_file_by_name(name)?;
    Some(file.file_descriptor_proto().clone())
}
