//! Calls over gRPC.

use std::path::PathBuf;

use base64::{Engine, engine::DecodePaddingMode, engine::general_purpose};
use prost_reflect::DescriptorPool;

use super::{Builder, body::json_text, flow::shortened, tcp};
use crate::{
    plan::{GrpcRequest, GrpcSchema, Scheme, StatusRange, Target, Transport},
    protocol::grpc::{fit, schema, status},
    scenario::{
        file::GrpcFile,
        read::{Located, OneOrMany, Place, Placed, Problem, TextOr},
    },
    template::Template,
    words,
};

/// What has a meaning of its own in a call (<https://grpc.io/docs/guides/metadata/>).
const TAKEN: [&str; 5] = ["te", "content-type", "connection", "host", "content-length"];

/// .proto files that were compiled, by their names and those of the directories that they import
/// from.
pub(super) type Protos = Vec<((Vec<PathBuf>, Vec<PathBuf>), DescriptorPool)>;

impl Builder<'_> {
    /// A call and a name for it.
    pub(super) fn grpc(
        &mut self,
        written: &Located<TextOr<GrpcFile>>,
        expect: Option<Vec<StatusRange>>,
    ) -> Result<(GrpcRequest, String), Problem> {
        let short;
        let file = match &written.value {
            TextOr::Full(file) => file,
            TextOr::Text(text) => {
                let method = Located { place: written.place, value: text.clone() };
                short = GrpcFile { method, ..GrpcFile::default() };
                &short
            }
        };
        let name = Located { place: file.method.place, value: file.method.trim().to_owned() };
        if name.is_empty() {
            return Err(Problem::at(written.place, "`method` is missing"));
        }
        let (target, scheme) = self.grpc_target(file, written.place)?;
        let schema = self.grpc_schema(file, &name)?;
        let empty = Located { place: written.place, value: Placed::Map(Vec::new()) };
        let message = file.message.as_ref().unwrap_or(&empty);
        let json = message.value.value();
        if let GrpcSchema::Known(method) = &schema {
            fit(&json, &method.input()).map_err(|misfit| {
                let place = message.value.place(&misfit.path).unwrap_or(message.place);
                let problem = Problem::at(place, misfit.message);
                let steps = misfit.path.into_iter().rev();
                steps.fold(problem, Problem::within).within("message")
            })?;
        }
        let template = self
            .scope
            .compile_json(&json_text(&message.value))
            .map_err(|e| Problem::at(message.place, e.message).within("message"))?;
        self.check_variables(&template, message.place).map_err(|e| e.within("message"))?;
        let Place { line, column } = name.place;
        let request = GrpcRequest {
            target,
            scheme,
            schema,
            message: template,
            written: json,
            metadata: self.metadata(file)?,
            expect: expect.unwrap_or_else(|| vec![status::OK..=status::OK]),
            collect: file.collect,
            place: format!("{}:{line}:{column}", self.text.file),
        };
        // Without its package: thresholds name steps, and names that they can use have no dots.
        Ok((request, shortened(name.rsplit('.').next().unwrap_or_default())))
    }

    fn grpc_target(&mut self, file: &GrpcFile, at: Place) -> Result<(Target, Scheme), Problem> {
        let defaults = &self.file.grpc;
        let Some(address) = file.address.as_ref().or(defaults.address.as_ref()) else {
            let message = "`address` is missing: say it here, or `grpc: { address: HOST:PORT }` at the top for all calls";
            return Err(Problem::at(at, message));
        };
        let target =
            tcp::parse(address).map_err(|m| Problem::at(address.place, m).within("address"))?;
        let scheme = if file.insecure.unwrap_or(defaults.insecure) {
            Scheme::HttpsInsecure
        } else if file.tls.unwrap_or(defaults.tls) {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let shown = match &target.transport {
            Transport::Unix(_) => address.trim().to_owned(),
            Transport::Tcp => format!("grpc://{}", address.trim()),
        };
        self.targets.insert(shown);
        Ok((target, scheme))
    }

    /// Where the description of the method comes from: what the call says goes before what all
    /// calls have in common.
    fn grpc_schema(
        &mut self,
        file: &GrpcFile,
        name: &Located<String>,
    ) -> Result<GrpcSchema, Problem> {
        let wrong = |message| Problem::at(name.place, message).within("method");
        schema::split(name).map_err(wrong)?;
        let defaults = &self.file.grpc;
        let asks =
            |reflection: &Option<Located<bool>>| reflection.as_ref().is_some_and(|r| r.value);
        let (proto, include, reflection) = match file.proto.is_some() || asks(&file.reflection) {
            true => (&file.proto, &file.include, &file.reflection),
            false => (&defaults.proto, &defaults.include, &defaults.reflection),
        };
        match (proto, asks(reflection)) {
            (Some(proto), true) => {
                let message =
                    "`proto` and `reflection` at once: a method is described in one place";
                Err(Problem::at(proto.place, message))
            }
            (Some(proto), false) => {
                let include = include.as_ref().or(defaults.include.as_ref());
                let pool = self.protos(proto, include)?;
                schema::method(&pool, name).map(GrpcSchema::Known).map_err(wrong)
            }
            (None, true) => Ok(GrpcSchema::Reflection(name.value.clone())),
            (None, false) => {
                let message = "nothing says what the method looks like: `proto: FILE`, or `reflection: true` to ask the server";
                Err(wrong(message.to_owned()))
            }
        }
    }

    fn protos(
        &mut self,
        files: &Located<OneOrMany>,
        include: Option<&OneOrMany>,
    ) -> Result<DescriptorPool, Problem> {
        let paths = |names: &OneOrMany| names.0.iter().map(|name| self.dir.join(name)).collect();
        let key: (Vec<PathBuf>, Vec<PathBuf>) =
            (paths(&files.value), include.map_or_else(Vec::new, paths));
        if let Some((_, pool)) = self.protos.iter().find(|(known, _)| *known == key) {
            return Ok(pool.clone());
        }
        let pool = schema::compile(&key.0, &key.1)
            .map_err(|message| Problem::at(files.place, message).within("proto"))?;
        self.protos.push((key, pool.clone()));
        Ok(pool)
    }

    fn metadata(&mut self, file: &GrpcFile) -> Result<Vec<(String, Template)>, Problem> {
        let mut metadata: Vec<(String, Template)> = Vec::new();
        let own = file.metadata.0.iter().map(|entry| (entry, true));
        let common = self.file.grpc.metadata.0.iter().map(|entry| (entry, false));
        for ((name, value), is_own) in own.chain(common) {
            let within = |e: Problem| e.within(name.as_str()).within("metadata");
            let key = name.to_ascii_lowercase();
            if !is_own && metadata.iter().any(|(known, _)| *known == key) {
                continue;
            }
            let token = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if key.is_empty() || !key.chars().all(token) {
                let message = format!(
                    "{:?} is no name of metadata: letters, digits, _, - and .",
                    name.as_str()
                );
                return Err(within(Problem::at(name.place, message)));
            }
            if key.starts_with("grpc-") || TAKEN.contains(&key.as_str()) {
                let message = format!("`{key}` has a meaning of its own in gRPC: leave it out");
                return Err(within(Problem::at(name.place, message)));
            }
            let template = self.template(value).map_err(within)?;
            if let Some(text) = template.as_static() {
                valid(&key, text).map_err(|m| within(Problem::at(value.place, m)))?;
            }
            metadata.push((key, template));
        }
        Ok(metadata)
    }
}

/// Whether metadata can have that value.
fn valid(name: &str, value: &[u8]) -> Result<(), &'static str> {
    if name.ends_with("-bin") {
        let config = general_purpose::GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let base64 = general_purpose::GeneralPurpose::new(&base64::alphabet::STANDARD, config);
        return match base64.decode(value) {
            Ok(_) => Ok(()),
            Err(_) => Err("a value of a name that ends in -bin is base64: {{… | base64}}"),
        };
    }
    match value.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        true => Ok(()),
        false => {
            Err("a value is printable ASCII on one line; others go by a name that ends in -bin")
        }
    }
}

/// `OK`, `NOT_FOUND`, `5`.
pub(super) fn statuses(written: &Located<OneOrMany>) -> Result<Vec<StatusRange>, Problem> {
    if written.0.is_empty() {
        return Err(Problem::at(written.place, "says no status, such as OK or NOT_FOUND"));
    }
    let ranges = written.0.iter().map(|text| {
        let status = status::parse(text).ok_or_else(|| {
            let instead = match words::nearest(text, &status::NAMES) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => String::new(),
            };
            let message =
                format!("takes a status of gRPC such as OK or NOT_FOUND, got {text:?}{instead}");
            Problem::at(written.place, message)
        })?;
        Ok(status..=status)
    });
    ranges.collect()
}
