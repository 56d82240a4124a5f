//! Queries for PostgreSQL.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::read::{Amount, Located};

/// A query for PostgreSQL. What is not said here, `postgres` at the top says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresFile {
    /// One statement, with `$1`, `$2`, … for its parameters. One without `{{…}}` is prepared once
    /// on each connection.
    pub query: Option<Located<String>>,
    /// Values for `$1`, `$2`, …; templates, or `null`. The server finds out their types.
    pub params: Vec<Located<Option<Amount>>>,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; `?sslmode=require` (any certificate) or
    /// `verify-full` for TLS.
    pub url: Option<Located<String>>,
    /// The Unix socket that it goes through, or the folder of it: `/run/postgresql`.
    pub socket: Option<String>,
    /// Password to log in with.
    pub password: Option<Located<Amount>>,
}

/// What all queries have in common.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresDefaultsFile {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; `?sslmode=require` (any certificate) or
    /// `verify-full` for TLS.
    pub url: Option<Located<String>>,
    /// The Unix socket that it goes through, or the folder of it: `/run/postgresql`.
    pub socket: Option<String>,
    /// Password to log in with.
    pub password: Option<Located<Amount>>,
    /// How long an answer may take [default: 30s].
    pub timeout: Option<Span>,
}
