//! The documents that the API writes about itself.

use std::collections::HashSet;

use serde_json::Value;

use super::client::{Api, policy_of_tester};
use crate::api::routes::{ROUTES, Verb};

fn references<'a>(value: &'a Value, found: &mut HashSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get("$ref") {
                found.insert(target);
            }
            fields.values().for_each(|v| references(v, found));
        }
        Value::Array(values) => values.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn openapi_tells_every_route_and_every_reference_leads_somewhere() {
    let api = Api::start(&policy_of_tester(""));
    let document = api.get("/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let told: usize =
        document["paths"].as_object().unwrap().values().map(|p| p.as_object().unwrap().len()).sum();
    assert_eq!(told, ROUTES.len());
    let mut ids = HashSet::new();
    for route in ROUTES {
        let verb = match route.method {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Delete => "delete",
        };
        let operation = &document["paths"][route.path][verb];
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{}", route.path);
        assert_eq!(operation["requestBody"].is_object(), route.body.is_some(), "{}", route.path);
        assert!(operation["responses"][route.status.as_str()].is_object(), "{}", route.path);
    }
    let mut found = HashSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Fault"));
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    assert!(document["components"]["schemas"]["Params.latency"]["properties"]["ms"].is_object());
    let explain = &document["paths"]["/v1/explain"]["get"]["parameters"];
    assert!(explain.as_array().unwrap().iter().any(|p| p["name"] == "port"), "{explain}");
}

#[test]
fn every_route_of_the_table_is_served() {
    let api = Api::start(&policy_of_tester(""));
    for route in ROUTES {
        let path = route.path.replace("{id}", "f-zzzzzz");
        let answer = match route.method {
            Verb::Get if path == "/v1/events" => api.get("/v1/events?follow=false"),
            Verb::Get => api.get(&path),
            Verb::Post => api.post(&path, "{}"),
            Verb::Delete => api.delete(&path),
        };
        assert_ne!(answer.status, 405, "{path}");
        let known = answer.status == route.status.as_u16() || route.fails.contains(&answer.status);
        assert!(known, "{path} answers {}, which is not documented", answer.status);
    }
}

#[test]
fn metrics_are_well_formed_and_count() {
    let api = Api::start(&policy_of_tester(""));
    let id = api.inject("");
    let gone = api.inject("");
    api.delete(&format!("/v1/faults/{gone}"));
    api.get("/nope");
    let text = api.get("/metrics").body;
    let mut typed = HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap()), "twice: {line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(typed.contains(name), "{line} comes before its type");
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
    for expected in [
        "faultd_faults_injected_total{kind=\"partition\"} 2".to_owned(),
        "faultd_faults_ended_total{kind=\"partition\",reason=\"reverted\"} 1".to_owned(),
        "faultd_faults_active{kind=\"partition\"} 1".to_owned(),
        format!("faultd_fault_matched_total{{id=\"{id}\",kind=\"partition\"}} 30"),
        "faultd_api_requests_total{method=\"GET\",route=\"\",status=\"404\"} 1".to_owned(),
        "faultd_guardian_up 0".to_owned(),
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn health_says_what_is_wrong() {
    let api = Api::start(&policy_of_tester(""));
    let health = api.get("/v1/health").json();
    assert_eq!(health["status"], "degraded", "there is no guardian in this test");
    assert!(health["problems"][0].as_str().unwrap().contains("guardian"));
    assert_eq!(health["pid"], std::process::id());
}
