//! Servers that say themselves what they serve.

use faultload::{
    engine::Run,
    scenario::{Options, from_yaml},
    template::Shared,
};

use crate::{
    run, scenario, scenarios,
    shop::{Reflects, Shop},
};

const RATE: &str = "{ for: 300ms, rate: 100/s }";

/// Why a scenario cannot be run.
fn refused(shop: &Shop, step: &str) -> String {
    let text = scenario(&shop.address, "reflection: true", &[step], RATE);
    let scenario = from_yaml("test.yaml", &text, &scenarios(), &Options::default()).unwrap();
    Run::new(scenario.plan, Shared::default()).unwrap_err().to_string()
}

#[test]
fn both_versions_are_understood() {
    for version in [Reflects::V1, Reflects::V1Alpha] {
        let shop = Shop::with(version, None, false);
        let steps = [
            "- grpc: { method: shop.v1.Cart/Add, message: { item: a, n: \"{{counter.n}}\" } }",
            "- grpc: { method: shop.v1.Cart/Watch, message: { changes: 1 } }\n  \
               checks: [{ json: $.cents, equals: 100 }]",
        ];
        let text = scenario(&shop.address, "reflection: true", &steps, RATE);
        let (summary, failures) = run(&text);
        assert_eq!((summary.total.ok, summary.total.failed), (30, 0), "{failures:?}");
        let seen = shop.log.lock().unwrap();
        let [add, watch] = [0, 1].map(|flow| summary.flows[flow].total.ok);
        assert_eq!((seen.adds.len() as u64, seen.prices), (add, watch));
        assert!(add > 0 && watch > 0, "{add} and {watch}");
    }
}

#[test]
fn what_the_server_does_not_have_ends_the_run_before_it_begins() {
    let shop = Shop::with(Reflects::V1, None, false);
    for (step, expected) in [
        (
            "- grpc: shop.v1.Crat/Add",
            "test.yaml:8:15: step `Crat/Add`: shop.v1.Crat/Add by reflection: \
             there is no service \"shop.v1.Crat\"; did you mean `shop.v1.Cart`?",
        ),
        (
            "- grpc: { method: shop.v1.Cart/Ad }",
            "test.yaml:8:25: step `Cart/Ad`: the service shop.v1.Cart has no method \"Ad\"; \
             did you mean `Add`?",
        ),
        (
            "- grpc: { method: shop.v1.Cart/Add, message: { itme: a } }",
            "test.yaml:8:25: step `Cart/Add`: message.itme: shop.v1.AddRequest has no field \
             `itme`; did you mean `item`?",
        ),
    ] {
        assert_eq!(refused(&shop, step), expected);
    }
    assert!(shop.log.lock().unwrap().metadata.is_empty(), "nothing was sent");
}

#[test]
fn a_server_without_reflection_is_told_from_one_that_is_not_there() {
    let shop = Shop::start();
    let text = refused(&shop, "- grpc: shop.v1.Cart/Add");
    assert!(text.contains("the server has no reflection (UNIMPLEMENTED"), "{text}");
    let address = shop.address.clone();
    drop(shop);
    let text = scenario(&address, "reflection: true", &["- grpc: shop.v1.Cart/Add"], RATE);
    let scenario = from_yaml("test.yaml", &text, &scenarios(), &Options::default()).unwrap();
    let text = Run::new(scenario.plan, Shared::default()).unwrap_err().to_string();
    assert!(text.contains("the server does not answer: connect: "), "{text}");
}
