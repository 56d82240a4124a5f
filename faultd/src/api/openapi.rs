//! The OpenAPI document, made from the routes and the types.

use std::sync::OnceLock;

use faultd_api::{Kind, Params, Problem};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::routes::{Answer, ROUTES, Route, SchemaOf, Verb};

/// The document; made once.
pub(super) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(generate)
}

fn generate() -> Value {
    // OpenAPI 3.1 takes JSON Schema 2020-12 as it is.
    let settings =
        SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let verb = match route.method {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Delete => "delete",
        };
        path[verb] = operation(route, &mut schemas, &problem);
    }
    let mut components = schemas.take_definitions(true);
    // `params` of a request depends on its kind; the types say "any object".
    for kind in Kind::ALL {
        let mut schema = Params::schema(*kind);
        components.extend(take_definitions(&mut schema));
        components.insert(format!("Params.{kind}"), schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "faultd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The control API of faultd, over a Unix socket.",
        },
        "paths": paths,
        "components": {"schemas": components},
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator, problem: &schemars::Schema) -> Value {
    let mut responses = Map::new();
    let success = match route.answer {
        Answer::Json(schema) => json!({"application/json": {"schema": schema(schemas)}}),
        Answer::Events(schema) => json!({"text/event-stream": {"schema": schema(schemas)}}),
        Answer::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
        Answer::OpenApi => json!({"application/json": {"schema": {"type": "object"}}}),
    };
    let status = route.status.as_u16().to_string();
    responses.insert(status, json!({"description": "Done", "content": success}));
    for status in route.fails.iter().chain(&[403]) {
        let reason = axum::http::StatusCode::from_u16(*status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("Error");
        let content = json!({"application/problem+json": {"schema": problem}});
        responses.insert(status.to_string(), json!({"description": reason, "content": content}));
    }
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        parameters.push(json!({
            "name": "id", "in": "path", "required": true,
            "schema": {"type": "string", "pattern": "^f-[a-z2-9]{6}$"},
        }));
    }
    parameters.extend(route.query.into_iter().flat_map(query));
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::from(parameters);
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": body(schemas)}},
        });
    }
    operation
}

/// The fields of an object as parameters of the query string.
fn query(schema: SchemaOf) -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema = schema(&mut settings.into_generator()).to_value();
    let Some(Value::Object(fields)) = schema.get("properties") else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let mut parameter = json!({"name": name, "in": "query", "schema": schema});
        if schema.get("type").is_some_and(|t| t == "array") {
            // Values separated by commas.
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
        }
        parameter
    };
    fields.iter().map(parameter).collect()
}

/// `postFaultsConfirm` and the like.
fn operation_id(route: &Route) -> String {
    let verb = match route.method {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Delete => "delete",
    };
    let words = route.path.split(['/', '.']).filter(|w| !w.is_empty() && *w != "v1");
    let capital = |word: &str| {
        let word = word.trim_matches(['{', '}']);
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    verb.to_owned() + &words.map(capital).collect::<String>()
}

/// Makes a schema that is a document of its own part of this one; returns the
/// definitions that it brought along.
fn take_definitions(schema: &mut Value) -> Map<String, Value> {
    let mut definitions = Map::new();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(own)) = object.remove("$defs") {
            definitions = own;
        }
    }
    definitions.values_mut().for_each(redirect);
    redirect(schema);
    definitions
}

/// Lets references to a schema's own definitions lead to the components.
fn redirect(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let own = value.as_str().and_then(|target| target.strip_prefix("#/$defs/"));
                match own {
                    Some(own) if name == "$ref" => {
                        *value = format!("#/components/schemas/{own}").into();
                    }
                    _ => redirect(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redirect),
        _ => {}
    }
}
