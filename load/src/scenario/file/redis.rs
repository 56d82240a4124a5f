//! Commands for Redis.

use std::{borrow::Cow, fmt};

use faultd_api::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use crate::scenario::read::{Amount, Located};

/// A command for Redis, or several at once. What is not said here, `redis` at the top says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisFile {
    /// `[SET, key, value]`, or `SET key value`, split as a shell would; templates.
    pub command: Option<Located<WordsFile>>,
    /// Commands that are sent at once; the step fails if one of them does.
    pub pipeline: Option<Located<Vec<Located<WordsFile>>>>,
    /// `HOST:PORT`, or `unix:/path/to.sock`.
    pub address: Option<Located<String>>,
    /// Name to log in with.
    pub user: Option<String>,
    /// Password to log in with.
    pub password: Option<Located<Amount>>,
    /// Number of the database [default: 0].
    pub db: Option<Located<u32>>,
    /// Through TLS.
    pub tls: Option<bool>,
    /// Take any TLS certificate.
    pub insecure: Option<bool>,
}

/// What a step asks Redis: a command in its short forms, or everything.
#[derive(Debug)]
pub enum RedisStepFile {
    /// `GET key`, or `[GET, key]`.
    Short(WordsFile),
    /// In keys.
    Full(RedisFile),
}

impl<'de> Deserialize<'de> for RedisStepFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = RedisStepFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command such as `GET key` or [GET, key], or a table of keys")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RedisStepFile, E> {
                Words.visit_str(text).map(RedisStepFile::Short)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RedisStepFile, A::Error> {
                Words.visit_seq(list).map(RedisStepFile::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RedisStepFile, A::Error> {
                RedisFile::deserialize(MapAccessDeserializer::new(map)).map(RedisStepFile::Full)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for RedisStepFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RedisStep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, full) =
            (generator.subschema_for::<WordsFile>(), generator.subschema_for::<RedisFile>());
        json_schema!({ "anyOf": [short, full] })
    }
}

/// What all commands for Redis have in common.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisDefaultsFile {
    /// `HOST:PORT`, or `unix:/path/to.sock`.
    pub address: Option<Located<String>>,
    /// Name to log in with.
    pub user: Option<String>,
    /// Password to log in with.
    pub password: Option<Located<Amount>>,
    /// Number of the database [default: 0].
    pub db: Option<Located<u32>>,
    /// Through TLS.
    pub tls: bool,
    /// Take any TLS certificate.
    pub insecure: bool,
    /// How long an answer may take [default: 30s].
    pub timeout: Option<Span>,
}

/// Words of a command: in a list, or in one text that is split.
#[derive(Debug, Clone, PartialEq)]
pub enum WordsFile {
    /// To be split.
    Text(String),
    /// As they are.
    List(Vec<Located<Amount>>),
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = WordsFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command such as `GET key` or [GET, key]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<WordsFile, E> {
        Ok(WordsFile::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WordsFile, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(WordsFile::List(words))
    }
}

impl<'de> Deserialize<'de> for WordsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for WordsFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": ["string", "number"] } }
            ]
        })
    }
}
