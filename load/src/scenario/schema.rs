//! JSON Schemas, made of the types themselves.

use schemars::generate::SchemaSettings;

use super::file::ScenarioFile;
use crate::summary::Summary;

/// The JSON Schema of scenario files (2020-12), for editors: put
/// `# yaml-language-server: $schema=…` at the top of a file.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ScenarioFile>();
    schema.insert("title".into(), "faultload scenario".into());
    schema.to_value()
}

/// The JSON Schema of `summary.json`.
#[must_use]
pub fn summary_schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Summary>();
    schema.insert("title".into(), "faultload summary".into());
    schema.to_value()
}
