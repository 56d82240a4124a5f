//! Asks servers of gRPC what they serve, once and before the run.

use std::{collections::HashMap, rc::Rc, time::Duration};

use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::{
    runtime::{Builder, LocalOptions},
    task::spawn_local,
};

use super::clock::{Clock, Epoch, Timer};
use crate::{
    plan::{GrpcRequest, GrpcSchema, Scheme},
    protocol::{
        grpc::{Call, ReflectError, Reflection, fit, schema},
        http1::authority_of,
        http2::Connection,
        net::Endpoint,
    },
    schedule::nanos,
};

/// What servers have said of their services: by endpoint and service.
#[derive(Debug, Default)]
pub struct Reflections {
    known: HashMap<(usize, String), DescriptorPool>,
}

impl Reflections {
    /// Makes `request` ready; asks the server behind `endpoint`, its number and the way to it, if
    /// the plan does not say what the method looks like. It has as long for that as for the call.
    ///
    /// # Errors
    /// What cannot be sent, or what the server did not say; in words.
    pub fn call(
        &mut self,
        number: usize,
        endpoint: &Endpoint,
        request: &GrpcRequest,
        within: Duration,
    ) -> Result<Call, String> {
        let method = match &request.schema {
            GrpcSchema::Known(method) => method.clone(),
            GrpcSchema::Reflection(name) => {
                let method = self.method(number, endpoint, request, name, within)?;
                fit(&request.written, &method.input()).map_err(|misfit| misfit.to_string())?;
                method
            }
        };
        Call::new(request, method)
    }

    fn method(
        &mut self,
        number: usize,
        endpoint: &Endpoint,
        request: &GrpcRequest,
        name: &str,
        within: Duration,
    ) -> Result<MethodDescriptor, String> {
        let (service, _) = schema::split(name)?;
        let key = (number, service.to_owned());
        if let Some(pool) = self.known.get(&key) {
            return schema::method(pool, name);
        }
        let pool = asked(endpoint, request, service, within)
            .map_err(|e| format!("{name} by reflection: {e}"))?;
        let method = schema::method(&pool, name);
        self.known.insert(key, pool);
        method
    }
}

/// Asks, with an event loop of its own.
fn asked(
    endpoint: &Endpoint,
    request: &GrpcRequest,
    service: &str,
    within: Duration,
) -> Result<DescriptorPool, String> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build_local(LocalOptions::default())
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let clock = Clock::new(Epoch::after(Duration::ZERO)).map_err(|e| e.to_string())?;
        let clock = Rc::new(clock);
        let running = Rc::clone(&clock);
        spawn_local(async move { running.run().await });
        let timer = Rc::new(Timer::default());
        let until = clock.now().saturating_add(nanos(within));
        tokio::select! {
            pool = ask(endpoint, request, service) => pool.map_err(|e| e.to_string()),
            () = clock.sleep(&timer, until) => Err(format!("no answer within {within:?}")),
        }
    })
}

async fn ask(
    endpoint: &Endpoint,
    request: &GrpcRequest,
    service: &str,
) -> Result<DescriptorPool, ReflectError> {
    let stream = endpoint.connect().await?;
    let connection = Connection::new(stream, &Rc::default()).await?;
    // What only the run knows cannot be sent along yet; what comes from the environment can.
    let metadata = request.metadata.iter();
    let metadata =
        metadata.filter_map(|(name, value)| Some((name.clone(), value.as_static()?.into())));
    let reflection = Reflection {
        connection: &connection,
        scheme: if request.scheme == Scheme::Http { "http" } else { "https" },
        authority: authority_of(&request.target, request.scheme),
        metadata: metadata.collect(),
    };
    reflection.service(service).await
}
