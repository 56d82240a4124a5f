//! The query of `GET /v1/explain`: what is taken comes back the same.

#![no_main]

use faultd_api::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let Ok(target) = Target::from_query(query) else { return };
    let again = Target::from_query(&target.to_query()).expect("what was written can be read");
    assert_eq!(again, target);
});
