//! A plan made ready to run: names resolved, requests that never change written out.

use std::{collections::HashMap, sync::Arc};

use super::reflection::Reflections;
use crate::{
    measure::Shape,
    plan::{
        Body, Flow, HttpRequest, HttpVersion, Plan, PostgresRequest, PostgresServer, RedisRequest,
        RedisServer, Request, Scheme, Security, Step, Target, TcpRequest, TlsFiles,
    },
    protocol::{
        grpc::Call,
        http1::write_request,
        net::{Endpoint, TargetError},
    },
    template::{TemplateError, Vars},
};

/// A plan cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A request cannot be written.
    #[error("step `{step}`: {source}")]
    Template {
        /// The step.
        step: String,
        /// Why not.
        source: TemplateError,
    },
    /// A stage has no flow, or one without steps.
    #[error("stage `{0}` has no flow to run")]
    NoFlow(String),
    /// A call over gRPC does not fit what the server says of itself.
    #[error("{place}step `{step}`: {what}")]
    Grpc {
        /// The place in its scenario, with a colon and a space; empty if there is none.
        place: String,
        /// The step.
        step: String,
        /// What does not fit.
        what: String,
    },
}

/// A plan that is ready to run; shared by all workers.
#[derive(Debug)]
pub struct Prepared {
    /// As it was given.
    pub plan: Plan,
    /// For each flow of the plan, its steps.
    pub flows: Vec<Vec<PreparedStep>>,
    /// Steps of the set-up and tear-down flows, which are not measured.
    pub setup: Vec<Vec<PreparedStep>>,
    /// The same.
    pub teardown: Vec<Vec<PreparedStep>>,
    /// Steps that read the ledger back, likewise.
    pub ledger: Vec<PreparedStep>,
    /// The step of the probe, if there is one.
    pub probe: Vec<PreparedStep>,
    /// Where connections go.
    pub endpoints: Vec<Endpoint>,
    /// What there is to record.
    pub shape: Shape,
}

/// A step that is ready to run.
#[derive(Debug, Clone)]
pub struct PreparedStep {
    /// Its number among all steps of all flows.
    pub id: usize,
    /// As it was given.
    pub step: Step,
    /// What it does.
    pub action: Action,
    /// A check or an extraction looks at the body.
    pub needs_body: bool,
    /// A check or an extraction looks at anything.
    pub needs_answer: bool,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Sends an HTTP request.
    Http {
        /// Number of the endpoint.
        endpoint: usize,
        /// As it was given.
        request: Box<HttpRequest>,
        /// Its bytes, if they are the same each time.
        wire: Option<Arc<[u8]>>,
        /// It may be sent again on another connection when one that was idle turns out closed
        /// (RFC 9110 §9.2.2). What the ledger counts is not: nobody but the target doubles it.
        idempotent: bool,
    },
    /// Sends bytes over a plain connection.
    Tcp {
        /// Number of the endpoint.
        endpoint: usize,
        /// As it was given.
        request: Box<TcpRequest>,
    },
    /// Asks Redis.
    Redis {
        /// Number of the endpoint.
        endpoint: usize,
        /// As it was given.
        request: Box<RedisRequest>,
    },
    /// Asks PostgreSQL.
    Postgres {
        /// Number of the endpoint.
        endpoint: usize,
        /// As it was given.
        request: Box<PostgresRequest>,
    },
    /// Makes a call over gRPC.
    Grpc {
        /// Number of the endpoint.
        endpoint: usize,
        /// The call.
        call: Arc<Call>,
    },
    /// Nothing.
    None,
}

/// Where connections of one kind go: those of one key serve each other's requests.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Http(Target, Scheme, HttpVersion),
    Tcp(Target, Security),
    Redis(RedisServer),
    Postgres(PostgresServer),
}

impl Key {
    fn resolve(&self, files: &TlsFiles) -> Result<Endpoint, TargetError> {
        match self {
            Self::Http(target, scheme, version) => {
                Endpoint::resolve(target, *scheme, *version == HttpVersion::Http2, files)
            }
            Self::Tcp(target, security) => Endpoint::resolve_plain(target, *security, files),
            Self::Redis(server) => Endpoint::resolve_plain(&server.target, server.security, files),
            Self::Postgres(server) => {
                Endpoint::resolve_plain(&server.target, server.security, files)
            }
        }
    }
}

#[derive(Default)]
struct Endpoints {
    numbers: HashMap<Key, usize>,
    list: Vec<Endpoint>,
    tls: TlsFiles,
    /// What servers have said of themselves.
    reflections: Reflections,
}

impl Endpoints {
    fn number(&mut self, key: Key) -> Result<usize, TargetError> {
        if let Some(&number) = self.numbers.get(&key) {
            return Ok(number);
        }
        self.list.push(key.resolve(&self.tls)?);
        let number = self.list.len() - 1;
        self.numbers.insert(key, number);
        Ok(number)
    }
}

impl Prepared {
    /// Makes `plan` ready. Looks names up, asks servers for the methods that no .proto file
    /// describes, and does nothing else to the outside.
    ///
    /// # Errors
    /// What cannot be run.
    pub fn new(plan: Plan) -> Result<Self, PrepareError> {
        for stage in &plan.stages {
            let runs =
                |flow: usize| plan.flows.get(flow).is_some_and(|flow| !flow.steps.is_empty());
            let known = stage.mix.iter().all(|&(flow, _)| runs(flow));
            let silent = stage.arrival == crate::plan::Arrival::Pause;
            if !silent && (stage.mix.is_empty() || !known) {
                return Err(PrepareError::NoFlow(stage.name.clone()));
            }
        }
        let mut endpoints = Endpoints { tls: plan.tls.clone(), ..Endpoints::default() };
        let mut next = 0;
        let mut all = |flows: &[Flow]| {
            let flows = flows.iter().map(|flow| {
                let steps = flow.steps.iter().map(|step| {
                    next += 1;
                    prepare(next - 1, step, &mut endpoints)
                });
                steps.collect::<Result<Vec<_>, _>>()
            });
            flows.collect::<Result<Vec<_>, _>>()
        };
        let flows = all(&plan.flows)?;
        let setup = all(&plan.setup)?;
        let teardown = all(&plan.teardown)?;
        let ledger = plan.ledger.as_ref().map(|ledger| ledger.flow().clone());
        let ledger: Vec<_> = all(ledger.as_slice())?.into_iter().flatten().collect();
        let probe = plan.probe.as_ref().map(|probe| Flow::single(probe.step.clone()));
        let probe: Vec<_> = all(probe.as_slice())?.into_iter().flatten().collect();
        // Set-up and tear-down are recorded like the rest, and left out of results.
        let every = flows.iter().chain(&setup).chain(&teardown).flatten();
        let every = every.chain(&ledger).chain(&probe);
        let checks = every.map(|step| step.step.checks.len()).collect();
        let shape = Shape { checks, flows: plan.flows.len() };
        Ok(Self { plan, flows, setup, teardown, ledger, probe, endpoints: endpoints.list, shape })
    }
}

fn prepare(
    id: usize,
    step: &Step,
    endpoints: &mut Endpoints,
) -> Result<PreparedStep, PrepareError> {
    let action = match &step.request {
        Request::None => Action::None,
        Request::Http(request) => Action::Http {
            endpoint: endpoints.number(Key::Http(
                request.target.clone(),
                request.scheme,
                request.version,
            ))?,
            wire: written_out(request)
                .map_err(|source| PrepareError::Template { step: step.name.clone(), source })?,
            idempotent: matches!(
                request.method.as_str(),
                "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
            ) && step.ledger.is_none(),
            request: request.clone(),
        },
        Request::Tcp(request) => Action::Tcp {
            endpoint: endpoints.number(Key::Tcp(request.target.clone(), request.security))?,
            request: request.clone(),
        },
        Request::Redis(request) => Action::Redis {
            endpoint: endpoints.number(Key::Redis(request.server.clone()))?,
            request: request.clone(),
        },
        Request::Postgres(request) => Action::Postgres {
            endpoint: endpoints.number(Key::Postgres(request.server.clone()))?,
            request: request.clone(),
        },
        Request::Grpc(request) => {
            let key = Key::Http(request.target.clone(), request.scheme, HttpVersion::Http2);
            let endpoint = endpoints.number(key)?;
            let way = &endpoints.list[endpoint];
            let call = endpoints.reflections.call(endpoint, way, request, step.timeout);
            let call = call.map_err(|what| PrepareError::Grpc {
                place: match request.place.as_str() {
                    "" => String::new(),
                    place => format!("{place}: "),
                },
                step: step.name.clone(),
                what,
            })?;
            Action::Grpc { endpoint, call: Arc::new(call) }
        }
    };
    let needs_body = step.checks.iter().any(crate::check::Check::needs_body)
        || step.extracts.iter().any(crate::extract::Extract::needs_body);
    let needs_answer = !step.checks.is_empty() || !step.extracts.is_empty();
    Ok(PreparedStep { id, step: step.clone(), action, needs_body, needs_answer })
}

/// The bytes of a request in which nothing changes from one time to the next.
fn written_out(request: &HttpRequest) -> Result<Option<Arc<[u8]>>, TemplateError> {
    let body = match &request.body {
        Body::Template(template) => template.as_static().is_some(),
        Body::Empty | Body::Bytes(_) => true,
    };
    let same = request.path.as_static().is_some()
        && request.headers.iter().all(|(_, value)| value.as_static().is_some());
    if !body || !same {
        return Ok(None);
    }
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    write_request(request, &mut Vars::new(0, 0), &mut out, &mut scratch)?;
    Ok(Some(out.into()))
}
