//! A call made ready: the parts of its request that never change written out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};

use super::{Keep, fit, frame::framed};
use crate::{
    measure::{ErrorKind, Failure},
    plan::{GrpcRequest, Scheme, StatusRange},
    protocol::http1,
    template::{Template, Vars},
};

/// A call that can be made again and again.
#[derive(Debug, Clone)]
pub struct Call {
    method: MethodDescriptor,
    uri: Uri,
    message: Body,
    metadata: Vec<(HeaderName, Template)>,
    /// Statuses that count as success.
    pub expect: Vec<StatusRange>,
    /// The answer is a stream of messages.
    pub streaming: bool,
    collect: bool,
}

#[derive(Debug, Clone)]
enum Body {
    /// The same each time, with its framing.
    Fixed(Bytes),
    Template(Template),
}

impl Call {
    /// Makes `request` to `method` ready.
    ///
    /// # Errors
    /// What cannot be sent, in words.
    pub fn new(request: &GrpcRequest, method: MethodDescriptor) -> Result<Self, String> {
        let scheme = if request.scheme == Scheme::Http { "http" } else { "https" };
        let authority = http1::authority_of(&request.target, request.scheme);
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        let message = match request.message.as_static() {
            Some(json) => Body::Fixed(encoded(&method, json)?),
            None => Body::Template(request.message.clone()),
        };
        let metadata = request.metadata.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| e.to_string())?;
            Ok((name, value.clone()))
        });
        Ok(Self {
            uri: uri.build().map_err(|e| e.to_string())?,
            message,
            metadata: metadata.collect::<Result<_, String>>()?,
            expect: request.expect.clone(),
            streaming: method.is_server_streaming(),
            collect: request.collect,
            method,
        })
    }

    /// Which messages of the answer are kept when checks look at them.
    #[must_use]
    pub fn keeps(&self) -> Keep {
        if self.collect { Keep::All } else { Keep::Last }
    }

    /// The message as it is sent.
    ///
    /// # Errors
    /// What the templates put in makes it no message of the method's type.
    pub fn body(&self, vars: &mut Vars) -> Result<Bytes, Failure> {
        let template = match &self.message {
            Body::Fixed(bytes) => return Ok(bytes.clone()),
            Body::Template(template) => template,
        };
        let mut json = Vec::new();
        let wrong = |text| Failure::new(ErrorKind::Template, text);
        template.render(&mut json, vars).map_err(|e| wrong(e.to_string()))?;
        encoded(&self.method, &json).map_err(wrong)
    }

    /// The head of the request, without the time that the server has for it.
    ///
    /// # Errors
    /// What the templates put in cannot be sent.
    pub fn head(&self, vars: &mut Vars) -> Result<Request<()>, Failure> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let agent = concat!("faultload/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        for (name, template) in &self.metadata {
            let mut value = Vec::new();
            let wrong = |text| Failure::new(ErrorKind::Template, text);
            template.render(&mut value, vars).map_err(|e| wrong(e.to_string()))?;
            let value = HeaderValue::from_maybe_shared(Bytes::from(value))
                .map_err(|_| wrong(format!("the value of {name:?} cannot stand in a header")))?;
            if name == header::USER_AGENT {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        Ok(request)
    }

    /// Messages as JSON: the last one, or an array of all.
    ///
    /// # Errors
    /// One is none of the method's type.
    pub fn json(&self, messages: &[Bytes]) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        if self.collect {
            out.push(b'[');
        }
        for (at, message) in messages.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.write_json(message, &mut out)
                .map_err(|text| Failure::new(ErrorKind::Protocol, text))?;
        }
        if self.collect {
            out.push(b']');
        }
        Ok(out)
    }

    fn write_json(&self, message: &Bytes, out: &mut Vec<u8>) -> Result<(), String> {
        let kind = self.method.output();
        let wrong = |e: String| format!("no {}: {e}", self.method.output().full_name());
        let decoded =
            DynamicMessage::decode(kind, message.clone()).map_err(|e| wrong(e.to_string()))?;
        // What is zero or empty is not on the wire, and can be asked for nevertheless.
        let options = SerializeOptions::new().skip_default_fields(false);
        let mut serializer = serde_json::Serializer::new(out);
        decoded.serialize_with_options(&mut serializer, &options).map_err(|e| wrong(e.to_string()))
    }
}

/// Sets the time that the server has for `request`.
pub fn set_timeout(request: &mut Request<()>, left: Duration) {
    let text = timeout(left);
    // Digits and a letter are a header's value, always.
    if let Ok(value) = HeaderValue::from_str(&text) {
        request.headers_mut().insert("grpc-timeout", value);
    }
}

/// A time as `grpc-timeout` has it: at most eight digits and a unit; rounded up, so that nobody
/// gives up before this side does.
fn timeout(left: Duration) -> String {
    const DIGITS: u128 = 99_999_999;
    let micros = left.as_nanos().div_ceil(1000).max(1);
    for (unit, length) in [('u', 1), ('m', 1000), ('S', 1_000_000)] {
        let count = micros.div_ceil(length);
        if count <= DIGITS {
            return format!("{count}{unit}");
        }
    }
    format!("{}H", micros.div_ceil(3_600_000_000).min(DIGITS))
}

fn encoded(method: &MethodDescriptor, json: &[u8]) -> Result<Bytes, String> {
    let input = method.input();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let wrong = |e: serde_json::Error| {
        let text = String::from_utf8_lossy(&json[..json.len().min(120)]);
        // Which field it is about, the conversion does not say.
        let written = serde_json::from_slice(json).ok();
        let misfit = written.and_then(|value| fit(&value, &method.input()).err());
        let why = misfit.map_or_else(|| e.to_string(), |misfit| misfit.to_string());
        format!("{text:?} is no {}: {why}", method.input().full_name())
    };
    let message = DynamicMessage::deserialize(input, &mut deserializer).map_err(wrong)?;
    deserializer.end().map_err(wrong)?;
    Ok(framed(&message.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_have_eight_digits_at_most() {
        for (left, text) in [
            (Duration::ZERO, "1u"),
            (Duration::from_millis(250), "250000u"),
            (Duration::from_nanos(1_000_001), "1001u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(u64::MAX), "99999999H"),
        ] {
            assert_eq!(timeout(left), text);
        }
    }
}
