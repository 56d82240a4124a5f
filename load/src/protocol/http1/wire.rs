//! A request as bytes.

use crate::{
    plan::{Body, HttpRequest, Scheme, Target, Transport},
    template::{TemplateError, Vars},
};

/// Appends the bytes of `request` to `out`; `body` is scratch space.
///
/// # Errors
/// What a template needs and `vars` lacks.
pub fn write_request(
    request: &HttpRequest,
    vars: &mut Vars,
    out: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> Result<(), TemplateError> {
    body.clear();
    let has_body = match &request.body {
        Body::Empty => false,
        Body::Bytes(bytes) => {
            body.extend_from_slice(bytes);
            true
        }
        Body::Template(template) => {
            template.render(body, vars)?;
            true
        }
    };
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    request.path.render(out, vars)?;
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let has = |name: &str| request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !has("host") {
        out.extend_from_slice(format!("host: {}\r\n", authority(request)).as_bytes());
    }
    if !has("user-agent") {
        let line = concat!("user-agent: faultload/", env!("CARGO_PKG_VERSION"), "\r\n");
        out.extend_from_slice(line.as_bytes());
    }
    for (name, value) in &request.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        value.render(out, vars)?;
        out.extend_from_slice(b"\r\n");
    }
    // Methods that carry a body say so when it is empty, too (RFC 9110 §8.6).
    let expects_body = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    if (has_body || expects_body) && !has("content-length") && !has("transfer-encoding") {
        out.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Ok(())
}

/// What goes into `Host`: the port is left out where it is the scheme's own.
pub fn authority(request: &HttpRequest) -> String {
    authority_of(&request.target, request.scheme)
}

/// The same of a target.
#[must_use]
pub fn authority_of(target: &Target, scheme: Scheme) -> String {
    let usual = match scheme {
        Scheme::Http => 80,
        Scheme::Https | Scheme::HttpsInsecure => 443,
    };
    let host = if target.host.contains(':') && !target.host.starts_with('[') {
        format!("[{}]", target.host)
    } else {
        target.host.clone()
    };
    if target.port == usual || matches!(target.transport, Transport::Unix(_)) {
        host
    } else {
        format!("{host}:{}", target.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Target, template::Template};

    fn text(request: &HttpRequest) -> String {
        let (mut out, mut body) = (Vec::new(), Vec::new());
        write_request(request, &mut Vars::new(0, 0), &mut out, &mut body).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_not_given_is_added_and_what_is_given_stays() {
        let target = Target { host: "::1".into(), port: 8080, transport: Transport::Tcp };
        let path = Template::compile("/a?b").unwrap();
        let mut request = HttpRequest::get(target, Scheme::Http, path);
        let got = text(&request);
        assert!(got.starts_with("GET /a?b HTTP/1.1\r\nhost: [::1]:8080\r\nuser-agent: faultload/"));
        assert!(got.ends_with("\r\n\r\n") && !got.contains("content-length"), "{got}");

        request.method = "POST".into();
        request.body = Body::Bytes(b"xyz".to_vec());
        request.headers.push(("Host".into(), Template::compile("h").unwrap()));
        let got = text(&request);
        assert!(got.contains("Host: h\r\n") && !got.contains("host:"), "{got}");
        assert!(got.ends_with("content-length: 3\r\n\r\nxyz"), "{got}");
    }
}
